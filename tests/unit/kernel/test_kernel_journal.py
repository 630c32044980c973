"""Journal: what was appended is there after every kind of ending, and nothing else is."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawswarm.kernel.journal import MAX_RECORD, Journal, scan
from clawswarm.model.errors import InvariantBroken

# The folder is shared by the examples of one property: each example starts by removing its file.
steady = settings(
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
records = st.lists(st.binary(min_size=1, max_size=40), max_size=12)
HEAD_BYTES = 8


def written(path: Path, bodies: list[bytes]) -> bytes:
    """A closed journal of `bodies`, as bytes."""
    path.unlink(missing_ok=True)
    journal = Journal(path)
    for body in bodies:
        journal.append(body)
    journal.close()
    return path.read_bytes()


def contents(path: Path) -> list[bytes]:
    return [body for _, body in scan(path)]


@steady
@given(records)
def test_records_come_back_with_their_numbers(tmp_path: Path, bodies: list[bytes]) -> None:
    path = tmp_path / "folder" / "a.journal"
    path.unlink(missing_ok=True)
    journal = Journal(path)
    assert [journal.append(body) for body in bodies] == list(range(1, len(bodies) + 1))
    assert journal.last_seq == len(bodies)
    assert list(journal.read(1, journal.last_seq)) == list(enumerate(bodies, 1))
    journal.close()
    assert contents(path) == bodies


@steady
@given(records, records)
def test_reopening_continues_the_numbering(tmp_path: Path, before: list[bytes], after: list[bytes]) -> None:
    path = tmp_path / "a.journal"
    written(path, before)
    journal = Journal(path)
    assert journal.last_seq == len(before)
    for body in after:
        journal.append(body)
    assert [body for _, body in journal.read(1, journal.last_seq)] == before + after
    journal.close()
    assert contents(path) == before + after


def test_a_range_is_cut_to_what_exists(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.journal")
    for body in (b"one", b"two", b"three"):
        journal.append(body)
    assert list(journal.read(2, 2)) == [(2, b"two")]
    assert list(journal.read(2, 99)) == [(2, b"two"), (3, b"three")]
    assert list(journal.read(4, 99)) == []
    assert list(journal.read(3, 2)) == []
    journal.close()


def test_a_torn_tail_at_every_byte_keeps_every_earlier_record(tmp_path: Path) -> None:
    bodies = [b"first", b"2", b"the third record", b"\0\0\0\0\0\0\0\0", b"last"]
    whole = written(tmp_path / "whole.journal", bodies)
    ends = [0]
    for body in bodies:
        ends.append(ends[-1] + HEAD_BYTES + len(body))
    assert ends[-1] == len(whole)
    path = tmp_path / "torn.journal"
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends[1:])
        assert contents(path) == bodies[:kept]
        journal = Journal(path)
        assert journal.last_seq == kept
        assert journal.append(b"after the crash") == kept + 1
        journal.close()
        assert contents(path) == [*bodies[:kept], b"after the crash"]


def test_a_corrupt_byte_ends_the_journal_there_and_nothing_before_it_is_touched(tmp_path: Path) -> None:
    bodies = [b"first", b"second", b"third"]
    whole = written(tmp_path / "whole.journal", bodies)
    path = tmp_path / "corrupt.journal"
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x41
        path.write_bytes(damaged)
        kept = 0 if place < 13 else 1 if place < 27 else 2
        assert contents(path) == bodies[:kept], place
        Journal(path).close()
        assert path.read_bytes() == whole[: path.stat().st_size]
        assert contents(path) == bodies[:kept]


@pytest.mark.parametrize("zeros", [1, HEAD_BYTES, 4096])
def test_a_tail_of_zeros_is_torn_not_empty_records(tmp_path: Path, zeros: int) -> None:
    path = tmp_path / "a.journal"
    whole = written(path, [b"first"])
    path.write_bytes(whole + bytes(zeros))
    journal = Journal(path)
    assert journal.last_seq == 1
    journal.close()
    assert path.read_bytes() == whole


def test_an_absurd_length_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    whole = written(path, [b"first"])
    path.write_bytes(whole + b"\xff" * 64)
    assert contents(path) == [b"first"]


@pytest.mark.parametrize("size", [0, MAX_RECORD + 1])
def test_a_record_that_could_not_be_read_back_is_refused(tmp_path: Path, size: int) -> None:
    journal = Journal(tmp_path / "a.journal")
    with pytest.raises(InvariantBroken, match=f"{size} bytes"):
        journal.append(bytes(size))
    assert journal.append(b"\1" * MAX_RECORD) == 1
    journal.close()
    assert contents(tmp_path / "a.journal") == [b"\1" * MAX_RECORD]


def test_reading_stops_where_the_file_was_damaged_under_it(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = Journal(path)
    for body in (b"one", b"two", b"three"):
        journal.append(body)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    assert list(journal.read(1, 3)) == [(1, b"one"), (2, b"two")]
    with path.open("r+b") as file:
        file.seek(HEAD_BYTES)
        file.write(b"X")
    assert list(journal.read(1, 3)) == []
    journal.close()


def test_a_file_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert contents(tmp_path / "none.journal") == []


def test_a_sync_leaves_the_journal_usable(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.journal")
    journal.append(b"one")
    journal.sync()
    assert journal.append(b"two") == 2
    journal.close()
