"""The quoters every candidate is measured against, and the swarm's own as a candidate.

`FixedSpread`   a fixed symmetric spread around the middle.
`Microprice`    the public practice (poly-maker): around the microprice, at most one requote in 250 ms,
                skewed linearly against inventory.
`SwarmQuoter`   what the swarm quotes with today (agents/quoter/pricing.py).
`BookQuoter`    the same without the price of the underlying.

Each names twelve points to search, so that nobody wins by having tried more.
"""

from collections.abc import Sequence
from math import ceil, floor
from typing import ClassVar

from clawswarm.agents.quoter.pricing import QuadraticModel, QuadraticQuoter
from clawswarm.agents.quoter.strategy import MarketView, TargetQuote, quote_pair
from clawswarm.kernel.clock import NS_PER_MS
from clawswarm.model.units import PRICE_ONE_E4

DEBOUNCE_NS = 250 * NS_PER_MS
_SHIPPED = QuadraticModel()


class FixedSpread:
    """Both sides `half_spread_ticks` from the middle; silent in the last `quiet_s` seconds."""

    SEARCH: ClassVar[dict[str, tuple[float, ...]]] = {
        "half_spread_ticks": (0.5, 1.0, 1.5, 2.0, 3.0, 4.0),
        "quiet_s": (0.0, 60.0),
    }

    def __init__(self, half_spread_ticks: float = 1.0, quiet_s: float = 0.0) -> None:
        self._half_spread_ticks, self._quiet_s = half_spread_ticks, quiet_s

    def quotes(self, view: MarketView) -> Sequence[TargetQuote]:
        """Nothing without a two-sided book."""
        book, closes_ms = view.book, view.mandate.market.closes_ms
        if book.bid_e4 is None or book.ask_e4 is None:
            return []
        if closes_ms is not None and closes_ms - book.server_ms < self._quiet_s * 1_000:
            return []
        middle_e4, half_e4 = (book.bid_e4 + book.ask_e4) / 2, self._half_spread_ticks * book.tick_e4
        return quote_pair(view, floor(middle_e4 - half_e4), ceil(middle_e4 + half_e4))


class Microprice:
    """Around the microprice, moved by up to `skew_ticks` against inventory; one requote in 250 ms."""

    SEARCH: ClassVar[dict[str, tuple[float, ...]]] = {
        "half_spread_ticks": (0.5, 1.0, 1.5, 2.5),
        "skew_ticks": (0.0, 2.0, 5.0),
    }

    def __init__(self, half_spread_ticks: float = 1.0, skew_ticks: float = 2.0) -> None:
        self._half_spread_ticks, self._skew_ticks = half_spread_ticks, skew_ticks
        self._next_ns = 0

    def quotes(self, view: MarketView) -> Sequence[TargetQuote] | None:
        """None while the last requote is younger than the debounce."""
        book = view.book
        if book.microprice is None:
            return []
        if view.now_ns < self._next_ns:
            return None
        self._next_ns = view.now_ns + DEBOUNCE_NS
        held = view.inventory.net_e6 / view.mandate.max_position_e6
        fair_e4 = book.microprice * PRICE_ONE_E4 - held * self._skew_ticks * book.tick_e4
        half_e4 = self._half_spread_ticks * book.tick_e4
        return quote_pair(view, floor(fair_e4 - half_e4), ceil(fair_e4 + half_e4))


class SwarmQuoter(QuadraticQuoter):
    """What the swarm quotes with, the underlying's price included: on a synthetic one it is flattered."""

    SEARCH: ClassVar[dict[str, tuple[float, ...]]] = {
        "fill_rate": (2.0, 5.0, 10.0),
        "pick_off": (1.0, 2.0),
        "skew": (1.5, 3.0),
    }

    def __init__(
        self,
        fill_rate: float = _SHIPPED.fill_rate,
        pick_off: float = _SHIPPED.pick_off,
        skew: float = _SHIPPED.skew,
        uses_reference: bool = True,
    ) -> None:
        model = QuadraticModel(fill_rate=fill_rate, pick_off=pick_off, skew=skew)
        super().__init__(model, uses_reference=uses_reference)


class BookQuoter(SwarmQuoter):
    """The same, blind to the underlying: what the book alone is good for."""

    def __init__(
        self,
        fill_rate: float = _SHIPPED.fill_rate,
        pick_off: float = _SHIPPED.pick_off,
        skew: float = _SHIPPED.skew,
    ) -> None:
        super().__init__(fill_rate, pick_off, skew, uses_reference=False)


BASELINES = {
    "fixed spread": "clawswarm.lab.baselines:FixedSpread",
    "microprice 250 ms": "clawswarm.lab.baselines:Microprice",
}
SWARM_QUOTER = "clawswarm.lab.baselines:SwarmQuoter"
