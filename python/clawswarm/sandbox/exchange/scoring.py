"""Whether a resting order scores for liquidity rewards now: size, distance from the midpoint, age (§8).

The midpoint is size-cut-off-adjusted: only levels of at least the market's reward minimum count.
"""

from clawswarm.sandbox.exchange.book import BookSide, Order, UnifiedBook
from clawswarm.sandbox.exchange.markets import RewardTerms

_NS_PER_S = 1_000_000_000


def is_scoring(order: Order, book: UnifiedBook, now_ns: int) -> bool:
    """Whether a live order earns rewards at this moment."""
    terms = order.market.rewards
    if order.status != "LIVE" or not terms.is_on or not is_eligible(order, terms, now_ns):
        return False
    mid2 = adjusted_mid2_e4(book, terms.min_size_e6)
    return mid2 is not None and abs(2 * order.yes_price_e4 - mid2) <= 2 * terms.max_spread_e4


def is_eligible(order: Order, terms: RewardTerms, now_ns: int) -> bool:
    """Whether a resting order is large and old enough."""
    return (
        order.remaining_e6 >= terms.min_size_e6 and now_ns - order.created_ns >= terms.min_age_s * _NS_PER_S
    )


def adjusted_mid2_e4(book: UnifiedBook, min_size_e6: int) -> int | None:
    """Twice the midpoint of the levels of at least this size; None when a side has none."""
    bid, ask = (_adjusted_touch(side, min_size_e6) for side in (book.bids, book.asks))
    return None if bid is None or ask is None else bid + ask


def _adjusted_touch(side: BookSide, min_size_e6: int) -> int | None:
    large = (level.price_e4 for level in side.best_first() if level.total_e6 >= min_size_e6)
    return next(large, None)
