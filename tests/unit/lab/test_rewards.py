"""Rewards in the lab follow the sandbox's formula: size, distance and both sides count, the book is a rival."""

from random import Random

import pytest

from clawswarm.lab.accounting import reward_terms
from clawswarm.lab.backtest import RunTerms
from clawswarm.lab.rewards import OwnQuote, RewardSample, draw_samples, rewards_usd
from clawswarm.model.instruments import Side
from clawswarm.sandbox.recording import LevelsChanged

SHARE = 1_000_000
TERMS = reward_terms(RunTerms())
BOOK = ((True, 4_900, 100 * SHARE), (False, 5_100, 100 * SHARE))
SAMPLES = tuple(RewardSample(minute * 60 * 10**9, BOOK) for minute in range(5))
POOL_USD = 120.0 * 5 / 1_440
"""What five minutes are worth at 120 USD a day."""


def earned(*quotes: OwnQuote) -> float:
    return rewards_usd(SAMPLES, [quotes] * len(SAMPLES), 120.0, TERMS)


def test_nothing_earns_nothing() -> None:
    assert earned() == 0


def test_the_same_quotes_as_the_rivals_earn_half() -> None:
    quotes = ((Side.BUY, 4_900, 100 * SHARE), (Side.SELL, 5_100, 100 * SHARE))
    assert earned(*quotes) == pytest.approx(POOL_USD / 2)


def test_one_side_alone_earns_a_third_of_its_score() -> None:
    # Q_min is a third for one side: 1/3 against the rivals' 1.
    assert earned((Side.BUY, 4_900, 100 * SHARE)) == pytest.approx(POOL_USD / 4)


def test_small_and_distant_orders_earn_nothing() -> None:
    small = ((Side.BUY, 4_900, 20 * SHARE), (Side.SELL, 5_100, 20 * SHARE))
    distant = ((Side.BUY, 4_500, 100 * SHARE), (Side.SELL, 5_500, 100 * SHARE))
    assert earned(*small) == earned(*distant) == 0


def test_a_minute_has_one_sample_of_the_book_as_it_stood() -> None:
    events = [
        LevelsChanged(0, ((0, 4_900, SHARE), (1, 5_100, SHARE))),
        LevelsChanged(60_000, ((0, 4_900, 0), (0, 4_800, 2 * SHARE))),
    ]
    first, second = draw_samples(events, 120_000, Random(1))
    assert 0 <= first.at_ns < 60 * 10**9 <= second.at_ns < 120 * 10**9
    assert first.levels == ((True, 4_900, SHARE), (False, 5_100, SHARE))
    assert second.levels == ((False, 5_100, SHARE), (True, 4_800, 2 * SHARE))
