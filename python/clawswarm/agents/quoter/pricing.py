"""Target quotes of one market. Pure; the mathematics is `_core.quote` (quadratic spread function).

    x = logit(microprice),  r = x − skew·q,  d = base + a·|q| + b·q²,  quotes S(r ± d)

with q = net inventory / largest position; the microprice is that of others' orders alone, and d grows where the
book is believed in part only. Sizes taper towards the largest position on the side that adds to it.
"""

import math

import msgspec

from clawswarm._core import microprice_without, quote
from clawswarm.agents.quoter.strategy import MarketView, TargetQuote, order_size_e6
from clawswarm.model.instruments import Side
from clawswarm.model.units import PRICE_ONE_E4


class QuoterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The strategy's parameters; half-spreads and skew are in logits."""

    half_spread_logits: float
    inventory_skew_logits: float
    widen_linear: float
    widen_quadratic: float
    requote_ticks: int
    hold_ticks: float
    feed_timeout_s: float
    widen_below: float
    widen_factor: float
    pull_below: float
    strategy: str | None = None
    """FILE.py:Class or package.module:Class of a strategy to quote with instead of this file's."""


class QuadraticQuoter:
    """The swarm's own strategy."""

    def __init__(self, settings: QuoterSettings) -> None:
        self._settings = settings

    def quotes(self, view: MarketView) -> list[TargetQuote]:
        """The quotes of the newest book."""
        return target_quotes(view, self._settings)


def target_quotes(view: MarketView, settings: QuoterSettings) -> list[TargetQuote]:
    """The quotes this book calls for, best effort on each side; none without a two-sided book."""
    book, mandate, inventory = view.book, view.mandate, view.inventory
    if book.microprice is None:
        return []
    # Behind our own orders may be nobody near: then the whole book is the better guess.
    others = microprice_without(list(book.bids), list(book.asks), list(view.own)) if view.own else None
    factor = settings.widen_factor if view.integrity < settings.widen_below else 1.0
    factor *= mandate.spread_factor
    ratio = max(-1.0, min(1.0, inventory.net_e6 / mandate.max_position_e6))
    priced = quote(
        book.microprice if others is None else others,
        settings.half_spread_logits * factor,
        ratio,
        settings.inventory_skew_logits,
        settings.widen_linear * factor,
        settings.widen_quadratic * factor,
        view.tick_e4,
        book.bid_e4,
        book.ask_e4,
    )
    targets = []
    for side, price_e4 in ((Side.BUY, priced.bid_e4), (Side.SELL, priced.ask_e4)):
        size_e6 = order_size_e6(side, mandate, inventory)
        if price_e4 is not None and size_e6 >= mandate.market.min_size_e6:
            exact = expit(priced.reservation - side.sign * priced.half_spread) * PRICE_ONE_E4
            hold_e4 = math.floor(side.sign * exact + settings.hold_ticks * view.tick_e4) * side.sign
            targets.append(TargetQuote(side, price_e4, hold_e4, size_e6))
    return targets


def expit(logit: float) -> float:
    """Probability of a logit, in the form that no logit overflows."""
    return 0.5 + 0.5 * math.tanh(logit / 2)
