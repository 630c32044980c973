"""`make bench` and `make bench-full`: run every row, print the table, write benchmarks/latest.json.

Words on the command line choose suites (latest.json is then left alone); `--full` takes the large n.
"""

import argparse
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import (
    chaos,
    deadman,
    engine,
    failover,
    governor,
    lab,
    ledger,
    mayhem,
    orchestrator,
    order_path,
    quoter,
    sandbox,
    sentinel,
    swarm_quotes,
)
from benchmarks.measure import Row, allow_retries_for

LATEST = Path(__file__).with_name("latest.json")
N = 20_000
WIDTH = 80
RETRIES_S = 150.0
"""Rows that are disturbed after so long are not tried again. Once each they take about 13 minutes; three tries of
those before cost two thirds of this on top, and the whole of `make bench` still ends within 15."""
SUITES: dict[str, Callable[[bool], list[Row]]] = {
    "sentinel": lambda _is_full: sentinel.rows(N),
    "bytes": lambda _is_full: engine.rows(N),
    "sandbox": lambda _is_full: sandbox.rows(N),
    "chaos": lambda _is_full: chaos.rows(),
    "quoter": lambda _is_full: quoter.rows(N),
    "lab": lambda _is_full: lab.rows(N),
    "path": order_path.rows,
    "failover": failover.rows,
    "deadman": deadman.rows,
    "governor": governor.rows,
    "orchestrator": orchestrator.rows,
    "swarm": swarm_quotes.rows,
    "mayhem": mayhem.rows,
    "ledger": lambda _is_full: ledger.rows(),
}


def main() -> None:
    """Run and report."""
    arguments = argparse.ArgumentParser(description="timings beside a peer, in one run")
    arguments.add_argument("suites", nargs="*", metavar="SUITE", help=f"any of: {', '.join(SUITES)}")
    arguments.add_argument("--full", action="store_true", help="the large n")
    chosen = arguments.parse_args()
    if unknown := set(chosen.suites) - SUITES.keys():
        arguments.error(f"no suite is called {', '.join(sorted(unknown))}; there are: {', '.join(SUITES)}")
    if not chosen.full:
        allow_retries_for(RETRIES_S)
    began = time.perf_counter()
    found: list[Row] = []
    took_s: dict[str, float] = {}
    for name in track(chosen.suites or list(SUITES), "benchmarks", transient=True):
        suite_began = time.perf_counter()
        found += SUITES[name](chosen.full)
        took_s[name] = time.perf_counter() - suite_began
    if not chosen.suites:
        LATEST.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    console = Console()
    console.print(table(found))
    for row in found:
        for line in below(row):
            console.print(line, markup=False, highlight=False)
    each = ", ".join(f"{name} {seconds:.0f}" for name, seconds in took_s.items())
    console.print(f"{len(found)} rows in {time.perf_counter() - began:.0f} s: {each}", highlight=False)


def table(rows: list[Row]) -> Table:
    """The rows as a person reads them at 80 columns; a ratio above 1 means faster than the peer."""
    shown = Table(title="benchmarks", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for heading in ("name", "unit", "n", "p50", "p99", "peer p50", "ratio"):
        is_text = heading in ("name", "unit")
        shown.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    for row in rows:
        figures = (_figure(figure) for figure in (row.p50, row.p99, row.peer_p50, row.ratio))
        shown.add_row(row.name, row.unit, str(row.n), *figures)
    return shown


def below(row: Row) -> list[str]:
    """What stands under the table of a row: its peer, its longest sample by stage, its notes, why it is null."""
    lines = []
    if row.reason is not None:
        lines.append(f"not measured: {row.reason}")
    if row.peer is not None:
        lines.append(f"peer: {row.peer}")
    if row.max is not None:
        parts = " + ".join(f"{split.name} {_figure(split.at_max)}" for split in row.splits)
        lines.append(f"max {_figure(row.max)} {row.unit}" + (f" = {parts}" if parts else ""))
    lines += [f"{s.name}: p50 {_figure(s.p50)}, p99 {_figure(s.p99)} {row.unit}" for s in row.splits]
    lines += row.notes
    wrapped = [part for line in lines for part in textwrap.wrap(line, WIDTH - 2, subsequent_indent="  ")]
    return [row.name, *(f"  {line}" for line in wrapped)] if lines else []


def _figure(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:.5g}"


if __name__ == "__main__":
    main()
