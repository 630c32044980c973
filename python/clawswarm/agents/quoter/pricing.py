"""Target quotes of one market. Pure; the mathematics is `_core.quote` (quadratic spread function).

    x = logit(microprice),  r = x − skew·q,  d = base + a·|q| + b·q²,  quotes S(r ± d)

with q = net inventory / largest position; the microprice is that of others' orders alone, and d grows where the
book is believed in part only. Sizes taper towards the largest position on the side that adds to it.
"""

import math

import msgspec

from clawswarm._core import microprice_without, quote
from clawswarm.model.instruments import Side
from clawswarm.model.messages import BookState, Inventory, Mandate
from clawswarm.model.units import PRICE_ONE_E4

SIZE_STEP_E6 = 10_000


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


class TargetQuote(msgspec.Struct, frozen=True):
    """One order that should rest; one that already rests up to `hold_e4` (more generous) is kept instead."""

    side: Side
    price_e4: int
    hold_e4: int
    size_e6: int


class BookView(msgspec.Struct, frozen=True):
    """A book as one quoter sees it: how far it is believed, and which of its orders are its own.

    `own` is (is a buy, price_e4, size_e6) of each.
    """

    book: BookState
    integrity: float
    own: tuple[tuple[bool, int, int], ...] = ()


def target_quotes(
    view: BookView, mandate: Mandate, inventory: Inventory, settings: QuoterSettings
) -> list[TargetQuote]:
    """The quotes this book calls for, best effort on each side; none without a two-sided book one may believe."""
    book = view.book
    if book.microprice is None or view.integrity < settings.pull_below:
        return []
    # Behind our own orders may be nobody near: then the whole book is the better guess.
    others = microprice_without(list(book.bids), list(book.asks), list(view.own)) if view.own else None
    factor = settings.widen_factor if view.integrity < settings.widen_below else 1.0
    tick_e4 = common_tick_e4(book, mandate)
    ratio = max(-1.0, min(1.0, inventory.net_e6 / mandate.max_position_e6))
    priced = quote(
        book.microprice if others is None else others,
        settings.half_spread_logits * factor,
        ratio,
        settings.inventory_skew_logits,
        settings.widen_linear * factor,
        settings.widen_quadratic * factor,
        tick_e4,
        book.bid_e4,
        book.ask_e4,
    )
    targets = []
    for side, price_e4 in ((Side.BUY, priced.bid_e4), (Side.SELL, priced.ask_e4)):
        size_e6 = _size_e6(side, mandate, inventory)
        if price_e4 is not None and size_e6 >= mandate.market.min_size_e6:
            exact = expit(priced.reservation - side.sign * priced.half_spread) * PRICE_ONE_E4
            hold_e4 = math.floor(side.sign * exact + settings.hold_ticks * tick_e4) * side.sign
            targets.append(TargetQuote(side, price_e4, hold_e4, size_e6))
    return targets


def common_tick_e4(book: BookState, mandate: Mandate) -> int:
    """The tick whose prices both the venue and the engine's gate accept.

    After a tick change the book knows the new tick at once, the mandate when the orchestrator next writes it.
    """
    return math.lcm(book.tick_e4, mandate.market.tick_e4)


def expit(logit: float) -> float:
    """Probability of a logit, in the form that no logit overflows."""
    return 0.5 + 0.5 * math.tanh(logit / 2)


def _size_e6(side: Side, mandate: Mandate, inventory: Inventory) -> int:
    """Order size, cut so that a fill keeps the position within its limit."""
    room_e6 = mandate.max_position_e6 - side.sign * inventory.net_e6
    size_e6 = min(mandate.order_size_e6, room_e6)
    return max(size_e6 - size_e6 % SIZE_STEP_E6, 0)
