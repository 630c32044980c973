"""`make bench`: run every row, print the table, write benchmarks/latest.json."""

from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import engine, lab, sandbox, sentinel
from benchmarks.measure import Row

LATEST = Path(__file__).with_name("latest.json")
SUITES = (sentinel.rows, engine.rows, sandbox.rows, lab.rows)
N = 20_000


def main() -> None:
    """Run and report."""
    found = [row for suite in track(SUITES, "benchmarks", transient=True) for row in suite(N)]
    LATEST.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    console = Console()
    console.print(table(found))
    for row in found:
        if row.reason is not None:
            console.print(f"{row.name} was not measured: {row.reason}")


def table(rows: list[Row]) -> Table:
    """The rows as a person reads them; a ratio above 1 means faster than the peer."""
    shown = Table(title="benchmarks (latest.json)", title_justify="left", box=None)
    for heading in ("name", "unit", "n", "p50", "p99", "peer", "peer p50", "ratio"):
        is_text = heading in ("name", "unit", "peer")
        shown.add_column(heading, justify="left" if is_text else "right", no_wrap=heading == "name")
    for row in rows:
        figures = [row.p50, row.p99, row.peer_p50, row.ratio]
        p50, p99, peer_p50, ratio = ("–" if figure is None else f"{figure:g}" for figure in figures)
        shown.add_row(row.name, row.unit, str(row.n), p50, p99, row.peer or "–", peer_p50, ratio)
    return shown


if __name__ == "__main__":
    main()
