"""The ledger's findings as tables."""

from rich.console import Console
from rich.table import Table

from clawswarm.ledger.period import Period
from clawswarm.ledger.verify import Verification
from clawswarm.model.units import MICRO


def show_checks(found: Verification) -> None:
    """Print what `claw ledger verify` found."""
    title = "the ledger is what its journals say" if found.is_ok else "the ledger is NOT right"
    table = Table(
        title=f"{title}: {found.fills} fills, {found.records} other records", title_justify="left", box=None
    )
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
    console = Console()
    console.print(table)
    if not found.is_asked:
        console.print("the venue was not asked: this run's swarm is not running, or its key is not at hand")
    if not found.is_cash_known:
        console.print("cash is counted from 0: nobody could read the balance when the ledger began")


def show_period(found: Period) -> None:
    """Print a period, market by market."""
    table = Table(title="traded", title_justify="left", box=None)
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
        table.add_row(_short(row.market), *map(str, counts), *map(_usd, amounts))
    console = Console()
    console.print(table)
    for flow in found.flows:
        console.print(f"{flow.kind}: {flow.count}, cash {_usd(flow.cash_e6)}", highlight=False)


def _usd(amount_e6: int | None) -> str:
    return "–" if amount_e6 is None else f"{amount_e6 / MICRO:,.6f}".rstrip("0").rstrip(".")


def _short(asset: str) -> str:
    """A condition id is 66 characters: its beginning tells it apart."""
    market, colon, outcome = asset.partition(":")
    return f"{market[:10]}…{colon}{outcome}" if len(market) > 12 else asset
