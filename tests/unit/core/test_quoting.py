"""The first quoter's mathematics behind `clawswarm._core.quote`."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawswarm._core import Quote, quote

ARGUMENTS: dict[str, Any] = {
    "microprice": 0.5,
    "half_spread_base": 0.04,
    "inventory_ratio": 0.0,
    "skew": 0.2,
    "widen_linear": 0.02,
    "widen_quadratic": 0.03,
    "tick_e4": 100,
    "bid_e4": None,
    "ask_e4": None,
}


def quote_with(**changed: Any) -> Quote:
    return quote(**{**ARGUMENTS, **changed})


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_quotes_around_fair_value_rounded_outwards() -> None:
    quoted = quote_with()
    assert (quoted.reservation, quoted.half_spread) == (0.0, 0.04)
    assert sigmoid(-0.04) == pytest.approx(0.49, abs=1e-4)
    assert (quoted.bid_e4, quoted.ask_e4) == (4900, 5100)


def test_formula_of_reservation_and_half_spread() -> None:
    quoted = quote_with(microprice=0.3, inventory_ratio=-0.5, tick_e4=1)
    assert quoted.reservation == pytest.approx(math.log(0.3 / 0.7) + 0.2 * 0.5)
    assert quoted.half_spread == pytest.approx(0.04 + 0.02 * 0.5 + 0.03 * 0.25)
    low, high = quoted.reservation - quoted.half_spread, quoted.reservation + quoted.half_spread
    assert quoted.bid_e4 == math.floor(sigmoid(low) * 10_000)
    assert quoted.ask_e4 == math.ceil(sigmoid(high) * 10_000)


def test_long_inventory_lowers_both_quotes() -> None:
    long, flat = quote_with(inventory_ratio=1.0, tick_e4=1), quote_with(tick_e4=1)
    assert long.bid_e4 is not None
    assert flat.bid_e4 is not None
    assert long.ask_e4 is not None
    assert flat.ask_e4 is not None
    assert long.bid_e4 < flat.bid_e4
    assert long.ask_e4 < flat.ask_e4


@pytest.mark.parametrize("microprice", [0.3, 0.07, 0.57, 0.99 - 0.01])
def test_price_on_the_grid_without_spread_quotes_a_tick_each_side(microprice: float) -> None:
    quoted = quote_with(microprice=microprice, half_spread_base=0.0)
    cents = round(microprice * 100)
    assert (quoted.bid_e4, quoted.ask_e4) == (cents * 100 - 100, cents * 100 + 100)


def test_post_only_clamps_a_tick_off_the_touch() -> None:
    assert quote_with(ask_e4=4800).bid_e4 == 4700
    assert quote_with(bid_e4=5300).ask_e4 == 5400
    assert quote_with(bid_e4=4800, ask_e4=5200).bid_e4 == 4900


def test_touch_off_the_tick_is_cleared_by_a_whole_tick() -> None:
    assert quote_with(ask_e4=4855).bid_e4 == 4700
    assert quote_with(bid_e4=5255).ask_e4 == 5400


def test_price_outside_the_grid_is_no_quote() -> None:
    assert quote_with(microprice=0.005).bid_e4 is None
    assert quote_with(microprice=0.995).ask_e4 is None
    assert quote_with(ask_e4=100).bid_e4 is None
    assert quote_with(bid_e4=9900).ask_e4 is None


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(
            (name, value)
            for name in ARGUMENTS
            if "e4" not in name
            for value in (math.nan, math.inf, -math.inf)
        ),
        ("microprice", 0.0),
        ("microprice", 1.0),
        ("inventory_ratio", 1.001),
        ("inventory_ratio", -1.001),
        ("half_spread_base", -0.01),
        ("skew", -0.01),
        ("widen_linear", -0.01),
        ("widen_quadratic", -0.01),
        ("tick_e4", 0),
        ("tick_e4", 30),
        ("tick_e4", -100),
        ("bid_e4", -1),
        ("ask_e4", 1 << 20),
        ("tick_e4", 10_000),
        ("bid_e4", 0),
        ("ask_e4", 10_000),
    ],
)
def test_argument_out_of_range_is_refused_by_name(argument: str, value: float) -> None:
    with pytest.raises(ValueError, match=argument):
        quote_with(**{argument: value})


def test_overflowing_half_spread_and_crossed_touch_are_refused() -> None:
    with pytest.raises(ValueError, match="half_spread"):
        quote_with(half_spread_base=1.7e308, widen_linear=1.7e308, inventory_ratio=1.0)
    with pytest.raises(ValueError, match="crossed"):
        quote_with(bid_e4=5000, ask_e4=5000)


@given(
    microprice=st.floats(0.0001, 0.9999),
    half_spread_base=st.floats(0, 1),
    inventory_ratio=st.floats(-1, 1),
    skew=st.floats(0, 2),
    tick_e4=st.sampled_from([1000, 100, 50, 25, 10, 1]),
    touch=st.lists(st.integers(1, 9999), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_quotes_are_ordered_on_tick_and_never_cross(
    touch: list[int], tick_e4: int, **arguments: float
) -> None:
    best_bid, best_ask = touch
    quoted = quote_with(tick_e4=tick_e4, bid_e4=best_bid, ask_e4=best_ask, **arguments)
    for price in (quoted.bid_e4, quoted.ask_e4):
        assert price is None or (price % tick_e4 == 0 and tick_e4 <= price <= 10_000 - tick_e4)
    if quoted.bid_e4 is not None:
        assert quoted.bid_e4 <= best_ask - tick_e4
    if quoted.ask_e4 is not None:
        assert quoted.ask_e4 >= best_bid + tick_e4
    if quoted.bid_e4 is not None and quoted.ask_e4 is not None:
        assert quoted.bid_e4 < quoted.ask_e4
