"""Integer units: exact both ways, and what is no number is refused."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.model.errors import WireFault
from clawswarm.model.instruments import Side, mirror_price_e4
from clawswarm.model.units import (
    MICRO,
    PRICE_ONE_E4,
    format_e6,
    format_price,
    format_scaled,
    notional_e6,
    parse_e6,
    parse_price_e4,
    parse_scaled,
)

steady = settings(deadline=None, derandomize=True)
amounts = st.integers(-(10**24), 10**24)


@steady
@given(amounts)
def test_what_is_written_reads_back(value: int) -> None:
    assert parse_e6(format_e6(value)) == value
    assert parse_price_e4(format_price(value)) == value


@steady
@given(amounts, st.sampled_from([1, 10, PRICE_ONE_E4, MICRO]))
def test_written_text_is_a_plain_decimal_of_the_same_value(value: int, scale: int) -> None:
    text = format_scaled(value, scale)
    assert Fraction(Decimal(text)) == Fraction(value, scale)
    assert set(text) <= set("-0123456789.")
    assert not text.endswith((".", "0")) or "." not in text


@pytest.mark.parametrize(
    ("text", "price_e4"),
    [("0.455", 4550), (".48", 4800), ("1", 10_000), ("0.4500", 4500), ("0.4500000000", 4500), ("0", 0)],
)
def test_prices_as_the_venue_writes_them(text: str, price_e4: int) -> None:
    assert parse_price_e4(text) == price_e4


@pytest.mark.parametrize(
    "text",
    ["0.45001", "0.4500000000000000000000000000000000000000001", "0.99999999999999999999999999999999999"],
)
def test_a_price_finer_than_the_unit_is_refused(text: str) -> None:
    with pytest.raises(WireFault, match=f"price '{text}'"):
        parse_price_e4(text)


@steady
@given(st.integers(1, 10**12), st.integers(7, 60))
def test_an_amount_finer_than_the_unit_is_refused_however_fine(whole: int, digits: int) -> None:
    with pytest.raises(WireFault):
        parse_e6(f"{whole}.{'0' * (digits - 1)}1")


@steady
@given(st.integers(10**20, 10**35))
def test_a_large_amount_is_exact_or_refused(value: int) -> None:
    try:
        parsed = parse_e6(str(value))
    except WireFault:
        return
    assert parsed == value * MICRO


@pytest.mark.parametrize(
    "text",
    ["", " ", "NaN", "sNaN", "-nan", "inf", "Infinity", "-inf", "abc", "0.4.5", "1,5", "0x10", "--1", "½"],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(WireFault, match="amount"):
        parse_e6(text)


@pytest.mark.parametrize("text", ["1e999999", "9e999999999", "1e-999999", "1e-9999999999999"])
def test_absurd_exponents_are_refused(text: str) -> None:
    with pytest.raises(WireFault):
        parse_e6(text)


@steady
@given(st.text(max_size=12))
def test_any_text_is_a_number_or_a_wire_fault(text: str) -> None:
    try:
        value = parse_e6(text)
    except WireFault:
        return
    assert Fraction(Decimal(text)) * MICRO == value


@steady
@given(st.integers(0, PRICE_ONE_E4), st.integers(0, 10**15))
def test_notional_is_never_too_little_and_less_than_one_unit_too_much(price_e4: int, size_e6: int) -> None:
    exact = Fraction(price_e4 * size_e6, PRICE_ONE_E4)
    assert exact <= notional_e6(price_e4, size_e6) < exact + 1


def test_notional_rounds_up() -> None:
    assert notional_e6(1, 1) == 1
    assert notional_e6(5200, 10 * MICRO) == 5_200_000
    assert notional_e6(0, 10 * MICRO) == 0


def test_the_scale_is_named_in_the_refusal() -> None:
    with pytest.raises(WireFault, match=r"tick '0\.00001' is finer than 1/10000"):
        parse_scaled("0.00001", PRICE_ONE_E4, "tick")


@given(st.integers(0, PRICE_ONE_E4))
def test_mirroring_twice_is_the_same_price(price_e4: int) -> None:
    assert mirror_price_e4(mirror_price_e4(price_e4)) == price_e4


def test_sides() -> None:
    assert [side.sign for side in Side] == [1, -1]
    assert [side.opposite for side in Side] == [Side.SELL, Side.BUY]
