"""Fills and last prices → profit and loss. Pure.

In the YES frame a fill at p of a position that is worth m at the end earns side·(m − p)·size. With f the fair
value at the fill, side·(f − p)·size is the spread earned and side·(m − f)·size what the inventory made of it.
Rewards and rebates come on top, as far as they are known.
"""

from collections.abc import Mapping, Sequence

from clawswarm.model.messages import Evidence, Fill
from clawswarm.model.positions import DayIncome
from clawswarm.model.units import MICRO, PRICE_ONE_E4
from clawswarm.runtime.report import Pnl

_UNIT = PRICE_ONE_E4 * MICRO


def profit(fills: Sequence[Fill], mark_e4: Mapping[str, float], income: DayIncome | None = None) -> Pnl:
    """Split of the profit; parts that lack a price are null, never zero. A fill that failed never happened."""
    fills = [fill for fill in fills if fill.evidence is not Evidence.FAILED]
    fees = sum(fill.fee_e6 for fill in fills) / MICRO
    total: float | None = 0.0 - fees
    spread: float | None = 0.0
    for fill in fills:
        signed = fill.side.sign * fill.size_e6
        mark, fair = mark_e4.get(fill.market), fill.fair_e4
        total = None if total is None or mark is None else total + signed * (mark - fill.price_e4) / _UNIT
        spread = None if spread is None or fair is None else spread + signed * (fair - fill.price_e4) / _UNIT
    inventory = None if total is None or spread is None else total - spread + fees
    if income is not None and total is not None:
        total += (income.rewards_e6 + income.rebates_e6) / MICRO
    return Pnl(
        spread=_cents(spread),
        rebates=None if income is None else income.rebates_e6 / MICRO,
        rewards=None if income is None else income.rewards_e6 / MICRO,
        funding=None,
        hedge=None,
        fees=_cents(0.0 - fees),
        inventory=_cents(inventory),
        total=_cents(total),
    )


def _cents(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 4)
