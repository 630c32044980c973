"""Which windows are quoted when."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from clawswarm.agents.orchestrator.rollover import RolloverSettings, is_due, next_change_ms, tradable
from clawswarm.model.instruments import Market
from clawswarm.venues.polymarket.discovery import Listing

SETTINGS = RolloverSettings(lead_s=60.0, leave_s=3.0)
SPAN_MS = 300_000


def window(number: int, is_open: bool = True) -> Listing:
    starts_ms = number * SPAN_MS
    market = Market(
        f"0x{number}", f"btc-updown-5m-{number}", "BTC", f"y{number}", f"n{number}", 100, 5_000_000, False,
        is_open, starts_ms + SPAN_MS,
    )  # fmt: skip
    return Listing(market, starts_ms, "btc-up-or-down-5m", "", "")


SERIES = [window(number) for number in range(5)]


def quoted(now_ms: int, listings: list[Listing] = SERIES) -> list[str]:
    return [market.slug[-1] for market in tradable(listings, now_ms, SETTINGS) if market.is_open]


def test_the_next_window_is_joined_before_this_one_is_left() -> None:
    assert quoted(300_000) == ["1"]
    assert quoted(539_999) == ["1"]
    assert quoted(540_000) == ["1", "2"]
    assert quoted(596_999) == ["1", "2"]
    assert quoted(597_000) == ["2"]


@given(st.integers(0, 4 * SPAN_MS - 1))
def test_there_is_always_one_and_never_one_past_its_end(now_ms: int) -> None:
    chosen = [market for market in tradable(SERIES, now_ms, SETTINGS) if market.is_open]
    assert 1 <= len(chosen) <= 2
    for market in chosen:
        assert market.closes_ms is not None
        assert now_ms < market.closes_ms - 3_000


@given(st.integers(0, 5 * SPAN_MS))
def test_the_next_change_is_the_next_change(now_ms: int) -> None:
    change = next_change_ms(SERIES, now_ms, SETTINGS)
    if change is None:
        assert quoted(now_ms) == []
        return
    assert change > now_ms
    assert quoted(change - 1) == quoted(now_ms)
    assert quoted(change) != quoted(now_ms)


def test_unknown_times_neither_wait_nor_leave() -> None:
    listing = window(3)
    unknown = msgspec.structs.replace(
        listing, starts_ms=None, market=msgspec.structs.replace(listing.market, closes_ms=None)
    )
    assert is_due(unknown, 0, SETTINGS)
    assert not is_due(window(0, is_open=False), 0, SETTINGS)
    assert next_change_ms([unknown], 0, SETTINGS) is None
