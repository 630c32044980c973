"""`claw ledger verify` and `claw report`: is the ledger right, and what does it say of a period."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import typer

from clawswarm.console.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from clawswarm.model.errors import UserFault

if TYPE_CHECKING:
    from clawswarm.ledger.journals import LedgerFiles
    from clawswarm.ledger.store import LedgerStore

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
        from clawswarm.console.ledger_view import show_checks

        show_checks(found)
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
    store = _open(config, run).store
    try:
        found = period.read_period(store, from_ms, until_ms)
        written = None if export is None else period.export(store, export, from_ms, until_ms)
    finally:
        store.close()
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        from clawswarm.console.ledger_view import show_period

        show_period(found)
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
