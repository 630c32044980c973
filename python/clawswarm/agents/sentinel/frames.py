"""The journal of received frames: one sentinel keeps them whole, the other only their hashes.

A record is msgpack of (received_ns, connection, frame or its 8-byte BLAKE2b). Together they prove afterwards what
each route delivered at half the disk. Segments of a fixed size; the oldest goes when the cap is reached.
"""

import hashlib
from pathlib import Path

import msgspec

from clawswarm.kernel.journal import MAX_RECORD, Journal

SEGMENT_BYTES = 32 << 20
HASH_BYTES = 8
_encode = msgspec.msgpack.Encoder().encode


class FrameJournal:
    """Appends frames; holds at most `cap_bytes` on disk."""

    def __init__(
        self, folder: Path, cap_bytes: int, keeps_raw: bool, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._folder, self._keeps_raw = folder, keeps_raw
        self._segment_bytes = min(segment_bytes, max(cap_bytes // 2, 1))
        self._kept = max(cap_bytes // self._segment_bytes, 1)
        folder.mkdir(parents=True, exist_ok=True)
        self._number = max((int(path.stem) for path in folder.glob("*.frames")), default=0)
        self._open_next()

    def append(self, received_ns: int, shard: int, frame: bytes) -> None:
        """Journal one frame as it was received."""
        kept = frame if self._keeps_raw else hashlib.blake2b(frame, digest_size=HASH_BYTES).digest()
        record = _encode((received_ns, shard, kept))
        if len(record) > MAX_RECORD:
            # A snapshot of 200 assets can be that long: its hash still proves what came.
            record = _encode((received_ns, shard, hashlib.blake2b(frame, digest_size=HASH_BYTES).digest()))
        self._journal.append(record)
        self._bytes += len(record)
        if self._bytes >= self._segment_bytes:
            self._journal.close()
            self._open_next()

    def close(self) -> None:
        """Close the open segment."""
        self._journal.close()

    def _open_next(self) -> None:
        self._number += 1
        self._journal, self._bytes = Journal(self._folder / f"{self._number:08}.frames"), 0
        for old in sorted(self._folder.glob("*.frames"))[: -self._kept]:
            old.unlink()
