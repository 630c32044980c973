"""Turn public recordings into the project's format: `python -m clawswarm.lab.convert IN OUT [--select …]`.

In: a folder of one source, or a folder of such folders, each with a README that states `- Source:`,
`- Commit:` and `- Licence:`. Out: one `<slug>.claw` for each market in OUT (see sandbox/recording.py).

Two shapes are read: raw market-channel `book` messages, `<slug>.jsonl.zst`, a file a market, and
`books.parquet` with `markets.parquet`. What happens to a market:

1. Books of both tokens are brought into the YES (= Up) frame: a NO bid at p is a YES ask at 1 − p. Raw
   messages do not say which token is Up: the one with more messages is taken for it.
2. Books are ordered by the venue's timestamp; a recorder's clock drifts and even runs behind it.
3. Crossed and empty books are torn snapshots: skipped and counted.
4. The window alone is kept. The last book before its start opens it, or else the first one after it.
5. Of the books that fall into one interval (100 ms) the last one counts, stamped with the interval's
   end, so no change is shown before it happened; the differences between books are the events.
6. A price with 3 decimals is preceded by the TickSizeChanged that permits it.
7. Neither source holds a reference price, nor trades with side and size: both streams are synthetic.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from heapq import merge
from importlib import import_module
from math import isclose
from pathlib import Path
from random import Random
from typing import Any, Literal

import msgspec

from clawswarm.lab.synthetic import (
    BTC_5M_FLOW,
    BTC_15M_FLOW,
    draw_reference,
    draw_takers,
    find_touches,
)
from clawswarm.model.errors import UserFault, WireFault
from clawswarm.model.instruments import mirror_price_e4
from clawswarm.model.units import MICRO, PRICE_ONE_E4, parse_e6, parse_price_e4
from clawswarm.sandbox.recording import (
    SUFFIX,
    LevelsChanged,
    RecordedEvent,
    RecordedMarket,
    TickSizeChanged,
    write_recording,
)

_SHAREABLE = re.compile(r"MIT\b|CC BY 4\.0 \(attribution: ")
_SLUG = re.compile(r"(?P<coin>[a-z]+)-updown-(?P<minutes>\d+)m-(?P<start_s>\d+)")
# "min_order_size" is "5" in every recorded book.
_MIN_SIZE_E6 = 5 * MICRO
_CUT_OVER_MS = 1_777_334_400_000  # 2026-04-28: before it V1, from it on V2
_PAYOUTS: dict[tuple[float, float], Literal["YES", "NO"]] = {(1.0, 0.0): "YES", (0.0, 1.0): "NO"}
_TICKS_E4 = (100, 10, 1)
_FIVE_MINUTES_MS = 300_000
_YES_WINS_E4, _NO_WINS_E4 = 9_000, 1_000

Levels = dict[int, int]


class BookSnapshot(msgspec.Struct, frozen=True):
    """One whole book in the YES frame at the venue's time; price_e4 → size_e6."""

    server_ms: int
    bids: Levels
    asks: Levels


class RawMarket(msgspec.Struct, frozen=True):
    """One market as a source has it, in the order of the recording."""

    slug: str
    question: str | None
    outcome: Literal["YES", "NO"] | None
    snapshots: list[BookSnapshot]


class _Source(msgspec.Struct, frozen=True):
    folder: Path
    provenance: str


class _RawLevel(msgspec.Struct):
    price: str
    size: str


class _RawBook(msgspec.Struct):
    event_type: str
    asset_id: str = ""
    timestamp: str = ""
    bids: list[_RawLevel] = []
    asks: list[_RawLevel] = []


class _RawLine(msgspec.Struct):
    msg: _RawBook


def read_source(folder: Path) -> _Source:
    """Read a source's licence and name from its README.

    Raises UserFault when it states no licence that permits redistribution.
    """
    readme = folder / "README.md"
    stated = {}
    if readme.is_file():
        stated = dict(
            re.findall(r"^- (Source|Commit|Licence): (.+)$", readme.read_text("utf-8"), re.MULTILINE)
        )
    licence = stated.get("Licence", "none stated")
    if not _SHAREABLE.match(licence) or not {"Source", "Commit"} <= stated.keys():
        raise UserFault(
            f"{folder} must not be converted (licence: {licence}): state '- Source:', '- Commit:' and a "
            "'- Licence:' of MIT or 'CC BY 4.0 (attribution: …)' in its README.md"
        )
    source = stated["Source"].replace("`", "")
    return _Source(folder, f"Source: {source}; commit: {stated['Commit']}; licence: {licence}; converted")


def read_raw_markets(folder: Path, slugs: Iterable[str] | None) -> Iterator[RawMarket]:
    """Read the raw market-channel recordings of a folder; `slugs` None means all."""
    for path in sorted(folder.glob("*.jsonl.zst")):
        slug = path.name.removesuffix(".jsonl.zst")
        if _SLUG.fullmatch(slug) and (slugs is None or slug in slugs):
            yield _read_raw_market(path, slug)


def read_parquet_markets(folder: Path, slugs: Iterable[str] | None) -> Iterator[RawMarket]:
    """Read the markets of a pair of parquet files; `slugs` None means all."""
    lib, parquet = _import_extra("pyarrow.lib"), _import_extra("pyarrow.parquet")
    try:
        for market in parquet.read_table(folder / "markets.parquet").to_pylist():
            if slugs is None or market["slug"] in slugs:
                chosen = [("market_id", "==", market["market_id"])]
                rows = parquet.read_table(folder / "books.parquet", filters=chosen).to_pylist()
                outcome = _PAYOUTS.get((market["payout_up"], market["payout_down"]))
                snapshots = [_snapshot_of_row(row) for row in rows]
                yield RawMarket(market["slug"], market["question"], outcome, snapshots)
    except (lib.ArrowException, OSError, KeyError, TypeError, ValueError, OverflowError, WireFault) as fault:
        raise UserFault(f"{folder} is no readable pair of parquet files ({fault}): fetch it anew") from fault


def build_levels(
    raw: RawMarket, starts_ms: int, duration_ms: int, coalesce_ms: int
) -> tuple[int, list[RecordedEvent], Counter[str]]:
    """Turn snapshots into the first tick, the book's events, and a count of all that was left out."""
    skipped: Counter[str] = Counter()
    steps = zip(raw.snapshots, raw.snapshots[1:], strict=False)
    skipped["out of order (sorted)"] = sum(later.server_ms < earlier.server_ms for earlier, later in steps)
    kept: dict[int, BookSnapshot] = {}
    for snapshot in sorted(raw.snapshots, key=lambda snapshot: snapshot.server_ms):
        if not snapshot.bids and not snapshot.asks:
            skipped["empty"] += 1
        elif snapshot.bids and snapshot.asks and max(snapshot.bids) >= min(snapshot.asks):
            skipped["crossed"] += 1
        else:
            elapsed_ms = max(0, snapshot.server_ms - starts_ms)
            at_ms = -(-elapsed_ms // coalesce_ms) * coalesce_ms
            if at_ms >= duration_ms:
                skipped["after the close"] += 1
            else:
                skipped["coalesced or before the open"] += at_ms in kept
                kept[at_ms] = snapshot
    if not kept:
        raise UserFault(f"{raw.slug} has no usable book inside its window: choose another market")
    first_ms = next(iter(kept))
    if first_ms:
        skipped["ms without a book at the open (first book carried back)"] = first_ms
    opening = kept[first_ms]
    first_tick_e4 = _finest_tick_e4([*opening.bids, *opening.asks], _TICKS_E4[0])
    return first_tick_e4, list(_diff(kept, first_tick_e4)), skipped


def convert_market(
    raw: RawMarket, provenance: str, label: str | None, seed: int, coalesce_ms: int = 100
) -> tuple[RecordedMarket, list[RecordedEvent], Counter[str]]:
    """Convert one market; `label` renames its underlying (recordings of different hours run at once)."""
    parts = _SLUG.fullmatch(raw.slug)
    if parts is None:
        raise UserFault(f"{raw.slug} is no slug of an Up/Down market: choose another market")
    underlying = label or parts["coin"].upper()
    slug = underlying.lower() + raw.slug.removeprefix(parts["coin"])
    starts_ms, duration_ms = int(parts["start_s"]) * 1_000, int(parts["minutes"]) * 60_000
    tick_e4, levels, skipped = build_levels(raw, starts_ms, duration_ms, coalesce_ms)
    touches = find_touches(levels, tick_e4)
    outcome = raw.outcome or _judge_outcome(touches[-1].probability())
    path = draw_reference(touches, outcome, duration_ms, Random(f"{seed}/{slug}/reference"))
    flow = BTC_5M_FLOW if duration_ms <= _FIVE_MINUTES_MS else BTC_15M_FLOW
    takers = draw_takers(touches, path, flow, Random(f"{seed}/{slug}/takers"))
    market = RecordedMarket(
        slug=slug,
        underlying=underlying,
        question=raw.question or _question(parts["coin"], starts_ms, duration_ms),
        tick_e4=tick_e4,
        min_size_e6=_MIN_SIZE_E6,
        duration_ms=duration_ms,
        outcome=outcome,
        era="V1" if starts_ms < _CUT_OVER_MS else "V2",
        depth_levels=max(max(len(book.bids), len(book.asks)) for book in raw.snapshots),
        provenance=provenance,
        synthetic=("reference", "takers"),
        seed=seed,
    )
    # Stable: at one instant the book comes first, then the reference, then the takers.
    return market, list(merge(levels, path, takers, key=lambda event: event.at_ms)), skipped


def convert_folder(
    folder: Path, out: Path, labels: Mapping[str, str | None] | None, seed: int, coalesce_ms: int
) -> list[str]:
    """Convert the chosen markets (None: all) of one source; print what was skipped, return their slugs."""
    source = read_source(folder)
    if (folder / "books.parquet").is_file():
        markets = read_parquet_markets(folder, labels)
    elif any(_SLUG.match(path.name) for path in folder.glob("*.jsonl.zst")):
        markets = read_raw_markets(folder, labels)
    else:
        raise UserFault(
            f"{folder} holds neither <slug>.jsonl.zst books nor books.parquet: choose another folder"
        )
    converted = []
    for raw in markets:
        label = labels[raw.slug] if labels else None
        market, events, skipped = convert_market(raw, source.provenance, label, seed, coalesce_ms)
        write_recording(out / f"{market.slug}{SUFFIX}", market, events)
        left_out = (
            ", ".join(f"{what} {count}" for what, count in sorted(skipped.items()) if count) or "nothing"
        )
        print(f"{market.slug}: {len(raw.snapshots)} books, {len(events)} events; skipped: {left_out}")
        converted.append(raw.slug)
    return converted


def convert_all(
    source: Path, out: Path, labels: Mapping[str, str | None] | None, seed: int, coalesce_ms: int
) -> None:
    """Convert a folder of one source or of several (`labels` None: every market); say what was skipped and why."""
    if not source.is_dir():
        raise UserFault(f"no folder at {source}: give the folder of a recorded source")
    inner = sorted(path for path in source.iterdir() if path.is_dir())
    converted: list[str] = []
    for folder in inner or [source]:
        try:
            converted += convert_folder(folder, out, labels, seed, coalesce_ms)
        except UserFault as fault:
            # One bad folder among many is skipped aloud; the only one given is refused.
            if not inner:
                raise
            print(f"skipped {fault}")
    missing = sorted(set(labels or ()) - set(converted))
    if missing or not converted:
        raise UserFault(f"not converted: {', '.join(missing) or source}: check the slugs and the lines above")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m clawswarm.lab.convert", description="Convert recordings."
    )
    parser.add_argument("source", metavar="IN", type=Path, help="folder of one source, or of several")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the recordings")
    parser.add_argument("--select", nargs="+", metavar="SLUG[=LABEL]", help="these markets, relabelled")
    parser.add_argument("--seed", type=int, default=1, help="of the synthetic streams")
    parser.add_argument("--coalesce-ms", type=int, default=100, help="at most one book change in this time")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.coalesce_ms < 1:
            raise UserFault("--coalesce-ms must be 1 or more: leave it out for 100")
        convert_all(
            chosen.source, chosen.out, _parse_selection(chosen.select), chosen.seed, chosen.coalesce_ms
        )
    except UserFault as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    return 0


def _parse_selection(selection: Sequence[str] | None) -> dict[str, str | None] | None:
    if selection is None:
        return None
    pairs = [entry.partition("=") for entry in selection]
    return {slug: label or None for slug, _, label in pairs}


def _read_raw_market(path: Path, slug: str) -> RawMarket:
    zstandard = _import_extra("zstandard")
    decoder = msgspec.json.Decoder(_RawLine)
    books: list[_RawBook] = []
    try:
        with zstandard.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                book = decoder.decode(line).msg
                if book.event_type == "book":
                    books.append(book)
            counts = Counter(book.asset_id for book in books)
            yes_token = min(counts, key=lambda token: (-counts[token], token), default="")
            snapshots = [_snapshot_of_book(book, book.asset_id == yes_token) for book in books]
    except (msgspec.MsgspecError, zstandard.ZstdError, WireFault, ValueError) as fault:
        raise UserFault(f"{path} cannot be read after {len(books)} books ({fault}): fetch it anew") from fault
    return RawMarket(slug, None, None, snapshots)


def _snapshot_of_book(book: _RawBook, is_yes: bool) -> BookSnapshot:
    bids, asks = (
        {parse_price_e4(level.price): parse_e6(level.size) for level in side}
        for side in (book.bids, book.asks)
    )
    return _in_yes_frame(int(book.timestamp), bids, asks, is_yes)


def _snapshot_of_row(row: dict[str, Any]) -> BookSnapshot:
    bids, asks = (
        {
            _exact(price, PRICE_ONE_E4): _exact(size, MICRO)
            for price, size in zip(row[f"{side}_px"], row[f"{side}_sz"], strict=True)
        }
        for side in ("bid", "ask")
    )
    if row["side"] not in {"UP", "DOWN"}:
        raise WireFault(f"side {row['side']!r} is neither UP nor DOWN")
    return _in_yes_frame(row["ts"], bids, asks, row["side"] == "UP")


def _in_yes_frame(server_ms: int, bids: Levels, asks: Levels, is_yes: bool) -> BookSnapshot:
    if not all(0 < price_e4 < PRICE_ONE_E4 for price_e4 in (*bids, *asks)):
        raise WireFault(f"the book at {server_ms} has a price outside (0, 1)")
    if not is_yes:
        bids, asks = _mirror(asks), _mirror(bids)
    sides = ({price_e4: size_e6 for price_e4, size_e6 in side.items() if size_e6} for side in (bids, asks))
    return BookSnapshot(server_ms, *sides)


def _mirror(levels: Levels) -> Levels:
    return {mirror_price_e4(price_e4): size_e6 for price_e4, size_e6 in levels.items()}


def _exact(value: float, scale: int) -> int:
    """The decimal that a float of the source stands for (5.5600000000000005 is 5.56), as an integer."""
    scaled = round(value * scale)
    if not isclose(scaled, value * scale, rel_tol=1e-12, abs_tol=0.0):
        raise WireFault(f"{value!r} is finer than 1/{scale}")
    return scaled


def _diff(books: Mapping[int, BookSnapshot], tick_e4: int) -> Iterator[RecordedEvent]:
    """Books by time → events; the first one stands from 0."""
    standing: tuple[Levels, Levels] = ({}, {})
    is_opening = True
    for at_ms, book in books.items():
        fresh = (book.bids, book.asks)
        changes = tuple(
            (side, price_e4, fresh[side].get(price_e4, 0))
            for side in (0, 1)
            for price_e4 in sorted(standing[side].keys() | fresh[side].keys())
            if standing[side].get(price_e4, 0) != fresh[side].get(price_e4, 0)
        )
        shown_ms = 0 if is_opening else at_ms
        finest_e4 = _finest_tick_e4([price_e4 for _, price_e4, _ in changes], tick_e4)
        if finest_e4 < tick_e4:
            tick_e4 = finest_e4
            yield TickSizeChanged(shown_ms, tick_e4)
        if changes:
            yield LevelsChanged(shown_ms, changes)
        standing, is_opening = fresh, False


def _finest_tick_e4(prices_e4: Sequence[int], tick_e4: int) -> int:
    ticks_e4 = (fine_e4 for fine_e4 in _TICKS_E4 if fine_e4 <= tick_e4)
    return next(fine_e4 for fine_e4 in ticks_e4 if all(price_e4 % fine_e4 == 0 for price_e4 in prices_e4))


def _judge_outcome(last_probability: float | None) -> Literal["YES", "NO"] | None:
    if last_probability is None:
        return None
    if last_probability * PRICE_ONE_E4 >= _YES_WINS_E4:
        return "YES"
    return "NO" if last_probability * PRICE_ONE_E4 <= _NO_WINS_E4 else None


def _question(coin: str, starts_ms: int, duration_ms: int) -> str:
    start, end = (datetime.fromtimestamp(ms / 1_000, UTC) for ms in (starts_ms, starts_ms + duration_ms))
    return f"{coin.upper()} Up or Down - {start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"


def _import_extra(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as fault:
        package = module.partition(".")[0]
        raise UserFault(f"this source needs {package}: pip install 'clawswarm[convert]'") from fault


if __name__ == "__main__":
    sys.exit(main())
