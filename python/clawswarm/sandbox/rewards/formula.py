"""The liquidity-reward score of one sample of one book (polymarket.md §8), in integers.

    S = ((v − s) / v)²        s: distance from the size-cut-off midpoint; 0 beyond v or below the minimum size
    Q_one = Σ S·size of bids  Q_two = Σ S·size of asks        (YES frame: a NO ask stands among the bids)
    Q_min = max(min(Q_one, Q_two), max(Q_one, Q_two) / 3)     within [0.10, 0.90], else min(Q_one, Q_two)

Twice the midpoint is an integer of 1e-4, so d = |2p − 2m| is one too and S = (2v − d)² / (2v)². The denominator
and the factor 3 are the same for every maker of a sample and are left out; so is the in-game multiplier b.
"""

from clawswarm.sandbox.exchange.book import BookSide, Order, UnifiedBook
from clawswarm.sandbox.exchange.markets import RewardTerms
from clawswarm.sandbox.exchange.scoring import adjusted_mid2_e4, is_eligible

ONE_SIDED_DIVISOR = 3
LOWEST_MID2_E4, HIGHEST_MID2_E4 = 2_000, 18_000
"""Twice the midpoints between which one side alone scores."""


def sample_scores(book: UnifiedBook, terms: RewardTerms, now_ns: int) -> dict[str, int]:
    """Q_min of every maker that scores now, by wallet address, in units common to the sample."""
    mid2 = adjusted_mid2_e4(book, terms.min_size_e6)
    if mid2 is None:
        return {}
    bids, asks = (_side_scores(side, mid2, terms, now_ns) for side in (book.bids, book.asks))
    is_central = LOWEST_MID2_E4 <= mid2 <= HIGHEST_MID2_E4
    scores = {
        address: combine(bids.get(address, 0), asks.get(address, 0), is_central=is_central)
        for address in dict.fromkeys((*bids, *asks))
    }
    return {address: score for address, score in scores.items() if score}


def combine(one: int, two: int, *, is_central: bool) -> int:
    """Three times Q_min of the two sides' scores."""
    both = ONE_SIDED_DIVISOR * min(one, two)
    return max(both, one, two) if is_central else both


def order_score(order: Order, mid2_e4: int, terms: RewardTerms) -> int:
    """(2v)²·S·size of an eligible order."""
    inside = 2 * terms.max_spread_e4 - abs(2 * order.yes_price_e4 - mid2_e4)
    return inside * inside * order.remaining_e6 if inside > 0 else 0


def _side_scores(side: BookSide, mid2_e4: int, terms: RewardTerms, now_ns: int) -> dict[str, int]:
    scores: dict[str, int] = {}
    for level in side.best_first():
        if abs(2 * level.price_e4 - mid2_e4) > 2 * terms.max_spread_e4:
            # A level in front of the adjusted midpoint may be out of reach too; those behind it may not.
            continue
        for order in level.orders.values():
            if is_eligible(order, terms, now_ns) and (score := order_score(order, mid2_e4, terms)):
                address = order.account.address
                scores[address] = scores.get(address, 0) + score
    return scores
