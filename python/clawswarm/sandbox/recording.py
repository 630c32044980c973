"""Recorded markets: the compact file that the sandbox replays, and its reader and writer.

One market a file, `<slug>.claw`. The file is one xz stream (checksummed, so that damage is seen) of

    magic    b"CLAW\\x01"      name and version of the format
    record*  length, payload   length: 4 bytes, big endian; payload: msgpack

The first record is a `RecordedMarket` (a map, self-describing). All others are events in time order,
each an array that starts with its kind:

    [0, at_ms, [[side, price_e4, size_e6], ...]]      LevelsChanged
    [1, at_ms, side, size_e6, limit_e4, is_synthetic] TakerArrived
    [2, at_ms, value_e6, is_synthetic]                ReferenceTick
    [3, at_ms, tick_e4]                               TickSizeChanged

Times are milliseconds from the start of the market's window, books are in the YES frame, numbers are
integers. A level's size is its new aggregate, 0 removes it; the first LevelsChanged of a file is the
whole book. The same market and events give the same bytes: the file holds no time of writing.
"""

import io
import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from clawswarm.model.errors import InvariantBroken, UserFault

SUFFIX = ".claw"

_MAGIC = b"CLAW\x01"
_LENGTH_BYTES = 4
# A whole book of a few thousand levels fits; a longer record means that this is another format.
_LONGEST_RECORD_BYTES = 1 << 20
_FOLDER_REMEDY = "run from the project folder or set sandbox.data (claw sandbox: --data)"


class RecordedMarket(msgspec.Struct, frozen=True):
    """What is known about a recorded market; the header of its file."""

    slug: str
    underlying: str
    question: str
    tick_e4: int
    """At the start; a TickSizeChanged may refine it."""
    min_size_e6: int
    duration_ms: int
    outcome: Literal["YES", "NO"] | None
    """"YES", "NO", or None where the recording does not show it."""
    era: str
    """"V1" or "V2": the exchange before or after the cut-over of 2026-04-28."""
    depth_levels: int
    """Most levels a side that the source recorded."""
    provenance: str
    """One line: source, licence, attribution."""
    synthetic: tuple[str, ...]
    """Streams that were not recorded, for example ("reference", "takers")."""
    seed: int
    """Of the synthetic streams."""


class LevelsChanged(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """New aggregate sizes of some levels, in the YES frame."""

    at_ms: int
    changes: tuple[tuple[int, int, int], ...]
    """(side: 0 bid, 1 ask; price_e4; size_e6, 0 removes the level)."""


class TakerArrived(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Someone wants to trade at once, up to a limit, in the YES frame."""

    at_ms: int
    side: str
    """"BUY" or "SELL"."""
    size_e6: int
    limit_e4: int
    is_synthetic: bool


class ReferenceTick(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A price of the underlying, in millionths of a USD."""

    at_ms: int
    value_e6: int
    is_synthetic: bool


class TickSizeChanged(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """From here on prices may be multiples of `tick_e4`."""

    at_ms: int
    tick_e4: int


RecordedEvent = LevelsChanged | TakerArrived | ReferenceTick | TickSizeChanged

_MARKET_DECODER = msgspec.msgpack.Decoder(RecordedMarket)
_EVENT_DECODER: msgspec.msgpack.Decoder[RecordedEvent] = msgspec.msgpack.Decoder(RecordedEvent)


def read_recording(path: Path) -> tuple[RecordedMarket, Iterator[RecordedEvent]]:
    """Open one recording: its market at once, its events as they are asked for.

    Raises UserFault, here or while iterating, when the file is missing, foreign, truncated or damaged.
    """
    records = _read_records(path)
    try:
        market = _MARKET_DECODER.decode(next(records))
    except (StopIteration, msgspec.MsgspecError) as fault:
        raise _damaged(path) from fault
    return market, _decode_events(path, records)


def write_recording(path: Path, market: RecordedMarket, events: Iterable[RecordedEvent]) -> None:
    """Write one recording, replacing the file; equal arguments give equal bytes.

    Raises InvariantBroken when an event is older than the one before it.
    """
    # Spelled out, so that the bytes do not follow a library's defaults.
    compressor = lzma.LZMACompressor(format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, preset=6)
    packed = [compressor.compress(_MAGIC + _frame(msgspec.msgpack.encode(market)))]
    newest_ms = 0
    for event in events:
        if event.at_ms < newest_ms:
            raise InvariantBroken(f"{path.name}: an event at {event.at_ms} ms follows {newest_ms} ms")
        newest_ms = event.at_ms
        packed.append(compressor.compress(_frame(msgspec.msgpack.encode(event))))
    packed.append(compressor.flush())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(packed))


def read_folder(folder: Path) -> list[tuple[RecordedMarket, Path]]:
    """List the recordings of a folder by file name.

    Raises UserFault when there is none, or when one of them cannot be read.
    """
    if not folder.is_dir():
        raise UserFault(f"no folder of recordings at {folder}: {_FOLDER_REMEDY}")
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    if not paths:
        raise UserFault(f"no {SUFFIX} recordings in {folder}: {_FOLDER_REMEDY}")
    return [(read_recording(path)[0], path) for path in paths]


def _frame(payload: bytes) -> bytes:
    if len(payload) > _LONGEST_RECORD_BYTES:
        raise InvariantBroken(f"a record of {len(payload)} bytes is longer than the format allows")
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload


def _read_records(path: Path) -> Iterator[bytes]:
    try:
        # Held in memory (well below a megabyte): no file stays open under a half-read recording.
        packed = io.BytesIO(path.read_bytes())
    except OSError as fault:
        raise UserFault(f"cannot read the recording {path} ({fault.strerror}): {_FOLDER_REMEDY}") from fault
    with lzma.open(packed) as stream:
        if _take(stream, len(_MAGIC), path) != _MAGIC:
            raise _damaged(path)
        while prefix := _take(stream, _LENGTH_BYTES, path):
            length = int.from_bytes(prefix, "big")
            if len(prefix) < _LENGTH_BYTES or length > _LONGEST_RECORD_BYTES:
                raise _damaged(path)
            payload = _take(stream, length, path)
            if len(payload) < length:
                raise _damaged(path)
            yield payload


def _take(stream: BinaryIO | lzma.LZMAFile, length: int, path: Path) -> bytes:
    try:
        return stream.read(length)
    except (EOFError, lzma.LZMAError) as fault:
        raise _damaged(path) from fault


def _decode_events(path: Path, records: Iterator[bytes]) -> Iterator[RecordedEvent]:
    newest_ms = 0
    for payload in records:
        try:
            event = _EVENT_DECODER.decode(payload)
        except msgspec.MsgspecError as fault:
            raise _damaged(path) from fault
        if event.at_ms < newest_ms:
            raise _damaged(path)
        newest_ms = event.at_ms
        yield event


def _damaged(path: Path) -> UserFault:
    return UserFault(
        f"{path} is truncated, damaged or no recording of this version: "
        "restore it (git restore data/sample) or make it anew with python -m clawswarm.lab.convert"
    )
