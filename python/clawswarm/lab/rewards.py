"""Liquidity rewards of a run, by the sandbox's own formula (sandbox/rewards): a sample of the book each minute.

    rewards = daily rate · minutes / 1440 · Σ own share / Σ samples somebody scored in

The recorded book stands as one rival, whose share is at least that of all its makers: ours is never flattered
(docs/decisions/0011). The second of each sample is drawn from the seed, the same for every strategy.
"""

from collections.abc import Sequence
from random import Random

import msgspec

from clawswarm.model.instruments import Side
from clawswarm.model.units import MICRO
from clawswarm.sandbox.exchange.accounts import Account
from clawswarm.sandbox.exchange.book import Order, UnifiedBook
from clawswarm.sandbox.exchange.markets import ListedMarket, RewardTerms
from clawswarm.sandbox.recording import LevelsChanged, RecordedEvent
from clawswarm.sandbox.rewards.formula import sample_scores
from clawswarm.sandbox.rewards.program import MINUTES_A_DAY

_MS_PER_MINUTE = 60_000
_NS_PER_MS = 1_000_000
_OWN, _RIVAL = Account(address="own"), Account(address="rival", is_participant=True)


class RewardSample(msgspec.Struct, frozen=True):
    """The recorded book at the moment of one sample: (is a bid, price_e4, size_e6) of every level."""

    at_ns: int
    levels: tuple[tuple[bool, int, int], ...]


OwnQuote = tuple[Side, int, int]
"""Side, price_e4 and size_e6 of one resting order of ours, in the YES frame."""


def draw_samples(events: Sequence[RecordedEvent], duration_ms: int, rng: Random) -> tuple[RewardSample, ...]:
    """One sample in each whole minute of a recording."""
    levels: dict[tuple[bool, int], int] = {}
    changes = iter([event for event in events if isinstance(event, LevelsChanged)])
    coming, samples = next(changes, None), []
    for minute in range(duration_ms // _MS_PER_MINUTE):
        at_ms = minute * _MS_PER_MINUTE + rng.randrange(_MS_PER_MINUTE)
        while coming is not None and coming.at_ms <= at_ms:
            levels.update({(side == 0, price_e4): size_e6 for side, price_e4, size_e6 in coming.changes})
            coming = next(changes, None)
        standing = tuple(
            (is_bid, price_e4, size_e6) for (is_bid, price_e4), size_e6 in levels.items() if size_e6
        )
        samples.append(RewardSample(at_ms * _NS_PER_MS, standing))
    return tuple(samples)


def rewards_usd(
    samples: Sequence[RewardSample], own: Sequence[Sequence[OwnQuote]], daily_usd: float, terms: RewardTerms
) -> float:
    """What a maker's quotes at the moments of the samples earn at a daily rate."""
    shares = [_share(sample, quotes, terms) for sample, quotes in zip(samples, own, strict=True)]
    scored = [share for share in shares if share is not None]
    if not scored:
        return 0.0
    return daily_usd * len(samples) / MINUTES_A_DAY * sum(scored) / len(scored)


def _share(sample: RewardSample, quotes: Sequence[OwnQuote], terms: RewardTerms) -> float | None:
    """Our part of one sample; None when nobody scores."""
    book = UnifiedBook()
    market = _market(terms)
    resting = [(_RIVAL, is_bid, price_e4, size_e6) for is_bid, price_e4, size_e6 in sample.levels]
    resting += [(_OWN, side is Side.BUY, price_e4, size_e6) for side, price_e4, size_e6 in quotes]
    for number, (account, is_bid, price_e4, size_e6) in enumerate(resting):
        order = Order(
            id=str(number),
            account=account,
            owner=account.address,
            market=market,
            is_yes=True,
            is_buy=is_bid,
            price_e4=price_e4,
            size_e6=size_e6,
            order_type="GTC",
            created_ns=sample.at_ns,
            remaining_e6=size_e6,
        )
        book.side(is_bid).add(order)
    scores = sample_scores(book, terms, sample.at_ns)
    whole = sum(scores.values())
    return scores.get(_OWN.address, 0) / whole if whole else None


def _market(terms: RewardTerms) -> ListedMarket:
    return ListedMarket(
        condition_id="",
        question_id="",
        slug="",
        question="",
        underlying="",
        yes_token="yes",
        no_token="no",
        tick_e4=100,
        min_size_e6=5 * MICRO,
        fee_rate_e4=0,
        end_ms=0,
        rewards=terms,
    )
