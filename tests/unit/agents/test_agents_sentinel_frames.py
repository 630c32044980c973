"""The journal of received frames."""

import hashlib
from pathlib import Path

import msgspec

from clawswarm.agents.sentinel.frames import HASH_BYTES, FrameJournal
from clawswarm.kernel.journal import MAX_RECORD, scan


def kept(folder: Path) -> list[list[object]]:
    return [
        msgspec.msgpack.decode(record) for path in sorted(folder.glob("*.frames")) for _, record in scan(path)
    ]


def test_one_sentinel_keeps_frames_and_the_other_their_hashes(tmp_path: Path) -> None:
    frame = b'{"event_type":"book"}'
    for name, keeps_raw in (("raw", True), ("hashes", False)):
        journal = FrameJournal(tmp_path / name, 1 << 20, keeps_raw)
        journal.append(7, 3, frame)
        journal.close()
    digest = hashlib.blake2b(frame, digest_size=HASH_BYTES).digest()
    assert kept(tmp_path / "raw") == [[7, 3, frame]]
    assert kept(tmp_path / "hashes") == [[7, 3, digest]]


def test_the_oldest_segment_goes_when_the_cap_is_reached(tmp_path: Path) -> None:
    journal = FrameJournal(tmp_path, 4_000, keeps_raw=True, segment_bytes=1_000)
    for number in range(100):
        journal.append(number, 0, b"x" * 100)
    journal.close()
    numbers = [record[0] for record in kept(tmp_path)]
    assert numbers == list(range(int(str(numbers[0])), 100))
    assert sum(path.stat().st_size for path in tmp_path.glob("*.frames")) < 5_500


def test_a_restarted_sentinel_goes_on_in_a_new_segment(tmp_path: Path) -> None:
    for number in range(2):
        journal = FrameJournal(tmp_path, 1 << 20, keeps_raw=True)
        journal.append(number, 0, b"x")
        journal.close()
    assert [record[0] for record in kept(tmp_path)] == [0, 1]


def test_a_frame_beyond_the_journals_record_leaves_its_hash(tmp_path: Path) -> None:
    journal = FrameJournal(tmp_path, 64 << 20, keeps_raw=True)
    journal.append(1, 0, b"x" * (MAX_RECORD + 1))
    journal.close()
    assert kept(tmp_path)[0][2] == hashlib.blake2b(b"x" * (MAX_RECORD + 1), digest_size=HASH_BYTES).digest()
