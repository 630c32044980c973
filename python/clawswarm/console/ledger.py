"""`claw ledger verify` and `claw report`: is the ledger right, and what does it say of a period."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from clawswarm.console.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from clawswarm.model.errors import UserFault
from clawswarm.model.units import MICRO
from clawswarm.runtime.roster import ORCHESTRATOR

if TYPE_CHECKING:
    from clawswarm.ledger.journals import LedgerFiles
    from clawswarm.ledger.period import Period
    from clawswarm.ledger.store import LedgerStore
    from clawswarm.ledger.verify import Verification

LOOKS = 3
EXIT_DIFFERS = 1
RunOption = Annotated[int | None, typer.Option("--run", min=1, help="Number of the run; the newest one.")]

ledger = typer.Typer(no_args_is_help=True, help="Fills, positions and cash of a run.")


@ledger.callback()
def _group() -> None:
    """Keep `verify` a word of its own, though it is the only command."""


@ledger.command()
def verify(config: ConfigOption = DEFAULT_CONFIG, run: RunOption = None, as_json: JsonOption = False) -> None:
    """Derive positions and cash from the journals; compare with the ledger and, while it runs, the venue."""
    from clawswarm.ledger.verify import verify as check
    from clawswarm.runtime.audit import venue_balances

    opened = _open(config, run)
    try:
        for _ in range(LOOKS):
            # While trades go on the two are read at different moments: one look that fits is enough.
            venue = venue_balances(opened.run_dir) if opened.is_running else None
            found = check(opened.store, opened.files, venue)
            if found.is_ok or not opened.is_running:
                break
    finally:
        opened.store.close()
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        _show_checks(found)
    if not found.is_ok:
        raise typer.Exit(EXIT_DIFFERS)


def report(
    config: ConfigOption = DEFAULT_CONFIG,
    run: RunOption = None,
    since: Annotated[
        str | None, typer.Option("--from", help="ISO date or time (UTC); the beginning when left out.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="ISO date or time (UTC), not included; now when left out.")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the period's fills here: .csv or .parquet.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a period of the ledger, market by market; export its fills."""
    from clawswarm.ledger import period

    from_ms, until_ms = _moment_ms("--from", since), _moment_ms("--until", until)
    if from_ms is not None and until_ms is not None and from_ms >= until_ms:
        raise UserFault(f"--from {since} is not before --until {until}; swap or mend them")
    opened = _open(config, run)
    store = opened.store
    try:
        found = period.read_period(store, from_ms, until_ms)
        written = None if export is None else period.export(store, export, from_ms, until_ms)
    finally:
        store.close()
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        _show_period(found, _slugs(opened.run_dir))
    if written is not None:
        typer.echo(f"{written} fills written to {export}", err=True)


class _Opened(NamedTuple):
    """The ledger of a run, its files, the run's folder, and whether its swarm is running."""

    store: "LedgerStore"
    files: "LedgerFiles"
    run_dir: Path
    is_running: bool


def _open(config: Path, number: int | None) -> _Opened:
    from clawswarm.ledger.journals import LedgerFiles
    from clawswarm.ledger.store import LedgerStore
    from clawswarm.runtime.configuration import load_configuration
    from clawswarm.runtime.state_dir import find_control, find_run

    state_dir = Path(load_configuration(config).state_dir)
    run_dir = find_run(state_dir, number)
    try:
        find_control(state_dir)
        is_running = run_dir == find_run(state_dir, None)
    except UserFault:
        is_running = False
    files = LedgerFiles(run_dir)
    return _Opened(LedgerStore(files.database, must_exist=True), files, run_dir, is_running)


def _moment_ms(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as fault:
        raise UserFault(
            f"{option} {text} is no ISO date or time; write 2026-11-26 or 2026-11-26T08:00"
        ) from fault
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000)


def _show_checks(found: "Verification") -> None:
    title = "the ledger is what its journals say" if found.is_ok else "the ledger is NOT right"
    console = Console(highlight=False)
    console.print(
        f"{title}: {found.fills} records of fills and their settlement, {found.records} others",
        soft_wrap=True,
    )
    table = Table(box=None)
    for heading in ("asset", "ledger", "journals", "pending", "venue", ""):
        table.add_column(heading, justify="left" if heading in ("asset", "") else "right")
    for check in found.assets:
        pending = check.ledger.high_e6 - check.ledger.low_e6
        word = "" if check.is_derived else "journals differ"
        if not check.is_inside:
            word = "the venue differs"
        table.add_row(
            _short(check.asset),
            _usd(check.ledger.expected_e6),
            _usd(check.journals.expected_e6),
            _usd(pending),
            _usd(check.venue_e6),
            word,
        )
    console.print(table)
    console.print("assets in shares, cash in USD", style="dim")
    if not found.is_asked:
        console.print("the venue was not asked: this run's swarm is not running, or its key is not at hand")
    if not found.is_cash_known:
        console.print("cash is counted from 0: nobody could read the balance when the ledger began")


def _slugs(run_dir: Path) -> dict[str, str]:
    """Names of the markets that the orchestrator held last; earlier ones are known by their ids."""
    from clawswarm.agents.orchestrator.record import Record

    try:
        record = msgspec.json.decode((run_dir / ORCHESTRATOR / "record.json").read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return {mandate.market.condition_id: mandate.market.slug for mandate in record.mandates}


def _show_period(found: "Period", slugs: Mapping[str, str]) -> None:
    console = Console(highlight=False)
    if not found.markets and not found.flows:
        console.print("nothing was traded in this period")
        return
    table = Table(box=None)
    for heading in (
        "market",
        "fills",
        "failed",
        "pending",
        "bought",
        "sold",
        "net",
        "cash",
        "fees",
        "spread",
    ):
        table.add_column(heading, justify="left" if heading == "market" else "right")
    for row in found.markets:
        counts = (row.fills, row.failed, row.pending)
        amounts = (row.bought_e6, row.sold_e6, row.net_e6, row.cash_e6, row.fees_e6, row.spread_e6)
        table.add_row(slugs.get(row.market, _short(row.market)), *map(str, counts), *map(_usd, amounts))
    console.print(table)
    console.print("bought, sold and net in shares of YES; cash, fees and spread in USD", style="dim")
    for flow in found.flows:
        console.print(f"{flow.kind}: {flow.count}, cash {_usd(flow.cash_e6)}")


def _usd(amount_e6: int | None) -> str:
    return "–" if amount_e6 is None else f"{amount_e6 / MICRO:,.6f}".rstrip("0").rstrip(".")


def _short(asset: str) -> str:
    """A condition id is 66 characters: its beginning tells it apart."""
    market, colon, outcome = asset.partition(":")
    return f"{market[:10]}…{colon}{outcome}" if len(market) > 12 else asset
