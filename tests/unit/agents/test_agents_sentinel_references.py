"""Prices of the feeds → ReferencePrice messages."""

import math

import pytest

from clawswarm.agents.sentinel.references import RETURN_SPAN_MS, References
from clawswarm.venues.polymarket.prices import PriceTick


def tick(usd: int, ms: int, feed: str = "chainlink", underlying: str = "BTC") -> PriceTick:
    return PriceTick(feed, underlying, usd * 1_000_000, ms)


def test_a_price_carries_its_feed_and_its_return_over_five_seconds_of_its_own_clock() -> None:
    prices = References("sentinel-1", is_synthetic=True)
    first = prices.take(tick(100, 1_000), 7)
    assert first is not None
    assert (first.feed, first.underlying, first.source) == ("chainlink", "BTC", "sentinel-1")
    assert (first.value_e6, first.source_ms, first.received_ns, first.is_synthetic) == (
        100_000_000,
        1_000,
        7,
        True,
    )
    assert first.return_5s is None
    later = prices.take(tick(110, 1_000 + RETURN_SPAN_MS), 8)
    assert later is not None
    assert later.return_5s == pytest.approx(math.log(1.1))


def test_what_is_not_newer_than_the_last_of_its_feed_is_not_said_again() -> None:
    prices = References("sentinel-1", is_synthetic=True)
    assert prices.take(tick(100, 2_000), 7) is not None
    assert prices.take(tick(101, 2_000), 8) is None
    assert prices.take(tick(101, 1_000), 8) is None
    assert prices.take(tick(101, 1_000, feed="binance"), 8) is not None
    assert prices.take(tick(101, 1_000, underlying="ETH"), 8) is not None
    assert prices.take(tick(101, 2_001), 9) is not None
