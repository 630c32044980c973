"""Settles recorded windows from a recorded settlement feed and compares with what the venue said.

    python -m clawswarm.lab.outcomes FOLDER

FOLDER holds `BTC-5m-markets.jsonl.gz` (slug, start_sec, end_sec, strike_value, outcome_prices) and
`BTCUSD-prices.csv.gz` (feed_ts_ms, …, full_accuracy_value) as in `ligengxin-rtds-chainlink-btc-2026-07-24`: an era
that settled on the report of the boundary's second itself. Exit code 1 when an outcome differs although the feed
has the closing second.
"""

import csv
import gzip
import sys
from collections import Counter
from pathlib import Path

import msgspec

from clawswarm.model.errors import UserFault
from clawswarm.sandbox.series.settlement import RecordedReports, winner_of

_MARKETS, _PRICES = "BTC-5m-markets.jsonl.gz", "BTCUSD-prices.csv.gz"


class RecordedWindow(msgspec.Struct, frozen=True):
    """One line of the market file."""

    slug: str
    start_sec: int
    end_sec: int
    outcome_prices: tuple[str, str]
    strike_value: str | None = None


class Comparison(msgspec.Struct):
    """Windows by how they settle and whether that is what the venue said."""

    counts: Counter[str]
    differing: list[str]


def compare(windows: list[RecordedWindow], reports: RecordedReports) -> Comparison:
    """Settle each window; "exact" is one whose closing second the feed has, "gap" one that settles before it."""
    counts: Counter[str] = Counter()
    differing: list[str] = []
    for window in windows:
        opening, closing = reports.at(window.start_sec), reports.at(window.end_sec)
        last = reports.last_second
        if last is None or closing is None or window.end_sec > last:
            counts["outside the feed"] += 1
            continue
        if window.strike_value is not None:
            strike = int(window.strike_value)
            if opening is not None and opening.is_exact:
                counts["strike agrees" if opening.value_e18 == strike else "strike differs"] += 1
        elif opening is not None:
            strike = opening.value_e18
        else:
            counts["no strike"] += 1
            continue
        said = {("1", "0"): "YES", ("0", "1"): "NO"}.get(window.outcome_prices)
        kind = "exact" if closing.is_exact else "gap"
        if winner_of(strike, closing.value_e18, is_tie_split=False) == said:
            counts[f"{kind}: agrees"] += 1
        else:
            counts[f"{kind}: differs"] += 1
            differing.append(f"{kind} {window.slug}")
        if closing.value_e18 == strike:
            counts[f"{kind}: tie"] += 1
    return Comparison(counts, differing)


def read_windows(folder: Path) -> list[RecordedWindow]:
    """The recorded windows. Raises UserFault."""
    path = folder / _MARKETS
    try:
        lines = gzip.decompress(path.read_bytes()).splitlines()
        return [msgspec.json.decode(line, type=RecordedWindow) for line in lines]
    except (OSError, EOFError, msgspec.MsgspecError) as fault:
        raise UserFault(f"cannot read {path} ({fault}): name the folder of the recording") from fault


def read_reports(folder: Path) -> RecordedReports:
    """The recorded settlement feed. Raises UserFault."""
    path = folder / _PRICES
    try:
        with gzip.open(path, "rt", newline="") as file:
            rows = csv.DictReader(file)
            return RecordedReports(
                (int(row["feed_ts_ms"]) // 1000, int(row["full_accuracy_value"])) for row in rows
            )
    except (OSError, EOFError, KeyError, ValueError) as fault:
        raise UserFault(f"cannot read {path} ({fault}): name the folder of the recording") from fault


def main() -> None:
    """Print the counts."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m clawswarm.lab.outcomes FOLDER")
    folder = Path(sys.argv[1])
    try:
        found = compare(read_windows(folder), read_reports(folder))
    except UserFault as fault:
        raise SystemExit(str(fault)) from fault
    for name, count in sorted(found.counts.items()):
        print(f"{name:20} {count:5}")
    for name in found.differing:
        print(f"differs: {name}")
    raise SystemExit(1 if found.counts["exact: differs"] else 0)


if __name__ == "__main__":
    main()
