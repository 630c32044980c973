"""Outcomes of one event that exclude each other: how far their books' opinions move this one's. Pure.

Each book's opinion is the logit of its microprice, its standard error half the touch's width in logits; moved
together their probabilities sum to one (rust/core/src/quoting/exclusive.rs). Where one outcome's book is missing
nothing is known of the sum, and nothing moves.
"""

from collections.abc import Sequence
from math import log

from clawswarm._core import consistent
from clawswarm.model.instruments import Market
from clawswarm.model.messages import BookState
from clawswarm.model.units import PRICE_ONE_E4

LEAST_SUM, MOST_SUM = 0.85, 1.15


def shift_logits(market: Market, books: Sequence[BookState | None]) -> float:
    """By how many logits the market's opinion moves; 0 while the event is not seen whole."""
    names, logits, variances = [], [], []
    for book in books:
        if book is None or book.bid_e4 is None or book.ask_e4 is None or book.microprice is None:
            return 0.0
        names.append(book.market)
        logits.append(log(book.microprice / (1 - book.microprice)))
        variances.append(((_logit_e4(book.ask_e4) - _logit_e4(book.bid_e4)) / 2) ** 2)
    if len(names) != market.outcomes or market.condition_id not in names:
        return 0.0
    if not LEAST_SUM <= sum(book.microprice or 0.0 for book in books if book is not None) <= MOST_SUM:
        return 0.0
    place = names.index(market.condition_id)
    return consistent(logits, variances)[place] - logits[place]


def _logit_e4(price_e4: int) -> float:
    return log(price_e4 / (PRICE_ONE_E4 - price_e4))
