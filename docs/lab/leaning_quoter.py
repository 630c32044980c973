"""A whole strategy: one tick behind fair value on both sides, leaning against what it holds.

`claw lab compare --candidate docs/lab/leaning_quoter.py:LeaningQuoter` judges it; with
`strategy = "docs/lab/leaning_quoter.py:LeaningQuoter"` under [quoter] the swarm trades it.
"""

from collections.abc import Sequence

from clawswarm.agents.quoter.strategy import MarketView, TargetQuote, quote_pair

PRICE_ONE = 10_000


class LeaningQuoter:
    """Fair value is the microprice, moved by `lean_ticks` when the position is at its limit."""

    SEARCH = {"half_spread_ticks": (1.0, 1.5, 2.0, 3.0), "lean_ticks": (0.0, 2.0, 4.0)}  # noqa: RUF012 - read only

    def __init__(self, half_spread_ticks: float = 1.5, lean_ticks: float = 2.0) -> None:
        self.half_spread_ticks = half_spread_ticks
        self.lean_ticks = lean_ticks

    def quotes(self, view: MarketView) -> Sequence[TargetQuote] | None:
        """Nothing without a two-sided book, and nothing in the last minute."""
        book, market = view.book, view.mandate.market
        if book.microprice is None:
            return []
        if market.closes_ms is not None and market.closes_ms - book.server_ms < 60_000:
            return []
        held = view.inventory.net_e6 / view.mandate.max_position_e6
        fair_e4 = book.microprice * PRICE_ONE - held * self.lean_ticks * book.tick_e4
        half_e4 = self.half_spread_ticks * book.tick_e4
        return quote_pair(view, bid_e4=int(fair_e4 - half_e4), ask_e4=int(fair_e4 + half_e4) + 1)
