"""Append-only journal: records framed as length u32 | crc32 u32 | bytes, numbered from 1.

A torn or corrupt tail (power loss, kill -9 in mid-write) ends at the last good record and is cut off when the
journal is opened for appending; nothing before it is touched. No record is empty: a tail of zeros, which a file
system may leave behind, would read as many of them.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from clawswarm.model.errors import InvariantBroken

_HEAD = struct.Struct("<II")
MAX_RECORD = 1 << 20


class Journal:
    """One journal file, held open for appending by its only writer."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._offsets: list[int] = []
        end = 0
        for offset, record in scan(path):
            self._offsets.append(offset)
            end = offset + _HEAD.size + len(record)
        self._file = path.open("ab")
        if self._file.tell() != end:
            self._file.truncate(end)
            self._file.seek(end)
        self._end = end

    @property
    def last_seq(self) -> int:
        """Number of the newest record, 0 when there is none."""
        return len(self._offsets)

    def append(self, record: bytes) -> int:
        """Write one record through to the operating system and return its number."""
        if not 0 < len(record) <= MAX_RECORD:
            raise InvariantBroken(f"a journal record has 1 to {MAX_RECORD} bytes, not {len(record)} bytes")
        frame = _HEAD.pack(len(record), zlib.crc32(record)) + record
        self._file.write(frame)
        self._file.flush()
        self._offsets.append(self._end)
        self._end += len(frame)
        return len(self._offsets)

    def read(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Yield records `first` to `last` (inclusive, cut to what exists and is undamaged) with their numbers."""
        last = min(last, self.last_seq)
        if first > last:
            return
        with self._path.open("rb") as file:
            file.seek(self._offsets[first - 1])
            for seq in range(first, last + 1):
                if (record := _read_record(file)) is None:
                    return
                yield seq, record

    def sync(self) -> None:
        """Force what was written onto the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def scan(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, record) of every good record; stop at the first torn or corrupt one."""
    if not path.exists():
        return
    with path.open("rb") as file:
        offset = 0
        while (record := _read_record(file)) is not None:
            yield offset, record
            offset += _HEAD.size + len(record)


def read_on(path: Path, start: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield (start, end, record) of the good records from `start`, where one begins, to the end of the file.

    What another process is writing just now is not good yet: it comes with the next call.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(start)
        while (record := _read_record(file)) is not None:
            end = start + _HEAD.size + len(record)
            yield start, end, record
            start = end


def _read_record(file: IO[bytes]) -> bytes | None:
    head = file.read(_HEAD.size)
    if len(head) != _HEAD.size:
        return None
    length, crc = _HEAD.unpack(head)
    if not 0 < length <= MAX_RECORD:
        return None
    record = file.read(length)
    return record if len(record) == length and zlib.crc32(record) == crc else None
