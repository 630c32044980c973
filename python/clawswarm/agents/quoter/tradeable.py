"""When a market can be quoted on both sides: what quoting uptime is measured against. Pure.

A market that is mandated takes orders. It is not tradeable two-sidedly while

- its book has no two sides, no width, or a touch at the end of the scale (0.001, 0.999): it is as good as decided;
- its close is nearer than the strategy withdraws;
- the position is so large, or the swarm so careful, that only the reducing side may rest.

Whatever else keeps quotes away (no book, little integrity, refusals, the strategy's own wish) counts as absence.
So does a touch at 0.95 above which no ask seems to break even: ticks are free up to 0.99, and an order there,
which has a cent a share to lose, is one that a maker can stand behind.
"""

from clawswarm.agents.quoter.pricing import QuadraticModel
from clawswarm.agents.quoter.strategy import MarketView
from clawswarm.model.units import PRICE_ONE_E4

EXTREME_E4 = 10
"""As in rust/core/src/quoting: a touch this near the end of the scale is not quoted."""


def is_tradeable(view: MarketView, model: QuadraticModel) -> bool:
    """Whether orders of both sides could rest now."""
    book, mandate, to_close_s = view.book, view.mandate, view.to_close_s
    if book.bid_e4 is None or book.ask_e4 is None or not book.bid_e4 < book.ask_e4:
        return False
    if book.bid_e4 <= EXTREME_E4 or book.ask_e4 >= PRICE_ONE_E4 - EXTREME_E4:
        return False
    if to_close_s is not None and to_close_s <= model.withdraw_s:
        return False
    held_e6 = abs(view.inventory.net_e6)
    return not mandate.is_reduce_only and held_e6 < model.reduce_only * mandate.max_position_e6
