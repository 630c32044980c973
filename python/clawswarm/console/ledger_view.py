"""The ledger's findings as tables."""

from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from clawswarm.agents.orchestrator.record import Record
from clawswarm.console.names import shortened
from clawswarm.ledger.period import MarketPeriod, Period
from clawswarm.ledger.verify import Verification
from clawswarm.model.units import MICRO
from clawswarm.runtime.roster import ORCHESTRATOR


def show_checks(found: Verification) -> None:
    """Print what `claw ledger verify` found."""
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
    try:
        record = msgspec.json.decode((run_dir / ORCHESTRATOR / "record.json").read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return {mandate.market.condition_id: mandate.market.slug for mandate in record.mandates}


def show_period(found: Period, run_dir: Path) -> None:
    """Print a period of a run, market by market."""
    console = Console(highlight=False)
    if not found.markets and not found.flows:
        console.print("nothing was traded in this period")
        return
    slugs = _slugs(run_dir)
    table = Table(box=None)
    for heading in (
        "market",
        "fills",
        "bought",
        "sold",
        "net",
        "cash",
        "fees",
        "spread",
    ):
        table.add_column(heading, justify="left" if heading == "market" else "right")
    for row in found.markets:
        name = shortened(slugs.get(row.market, _short(row.market)), 22)
        amounts = (row.bought_e6, row.sold_e6, row.net_e6, row.cash_e6, row.fees_e6, row.spread_e6)
        table.add_row(name, _fills(row), *(_usd(amount, decimals=4) for amount in amounts))
    console.print(table)
    console.print(
        "bought, sold and net in shares of the YES frame; cash, fees and spread in USD", style="dim"
    )
    for flow in found.flows:
        console.print(f"{flow.kind}: {flow.count}, cash {_usd(flow.cash_e6)}")


def _fills(row: MarketPeriod) -> str:
    unsettled = ((row.failed, "failed"), (row.pending, "pending"))
    return ", ".join([str(row.fills), *(f"{count} {word}" for count, word in unsettled if count)])


def _usd(amount_e6: int | None, decimals: int = 6) -> str:
    return "–" if amount_e6 is None else f"{amount_e6 / MICRO:,.{decimals}f}".rstrip("0").rstrip(".")


def _short(asset: str) -> str:
    """A condition id is 66 characters: its beginning tells it apart."""
    market, colon, outcome = asset.partition(":")
    return f"{market[:10]}…{colon}{outcome}" if len(market) > 12 else asset
