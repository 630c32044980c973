"""The rate limits behind `clawswarm._core.Limits`, under any pattern of requests."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm._core import Limits
from clawswarm.kernel.clock import NS_PER_S, ns

steady = settings(deadline=None, derandomize=True)
TIGHT = (5, 12)
ROOMY = (3_500, 36_000)
ORDERS_PER_S, ORDERS_BURST = 40, 60  # tier Standard

# (pause before the request in ms, orders in it); pauses from bursts to beyond the long window.
requests = st.lists(
    st.tuples(st.one_of(st.integers(0, 3_000), st.integers(0, 700_000)), st.integers(1, 15)), max_size=60
)


def passed(windows: tuple[int, int], wanted: list[tuple[int, int]]) -> tuple[Limits, list[tuple[int, int]]]:
    """(time, orders) of every request that was let pass by a clock without jitter."""
    limits, now, through = Limits("standard", windows, 0, 0), 0, []
    for pause_ms, orders in wanted:
        now += pause_ms * 1_000_000
        if limits.place(orders, 0, now) is None:
            through.append((now, orders))
    return limits, through


@steady
@given(requests)
def test_no_window_ever_holds_more_than_its_limit(wanted: list[tuple[int, int]]) -> None:
    _, through = passed(TIGHT, wanted)
    for span_s, limit in zip((10, 600), TIGHT, strict=True):
        for ends_ns, _ in through:
            assert sum(ends_ns - span_s * NS_PER_S <= at <= ends_ns for at, _ in through) <= limit


@steady
@given(requests)
def test_between_any_two_requests_no_more_orders_go_than_rate_and_burst_allow(
    wanted: list[tuple[int, int]],
) -> None:
    _, through = passed(ROOMY, wanted)
    for first in range(len(through)):
        for last in range(first, len(through)):
            orders = sum(count for _, count in through[first : last + 1])
            elapsed_ns = through[last][0] - through[first][0]
            assert orders * NS_PER_S <= ORDERS_PER_S * elapsed_ns + ORDERS_BURST * NS_PER_S


@steady
@given(requests)
def test_the_highest_count_is_what_was_reached_to_within_two_slots(wanted: list[tuple[int, int]]) -> None:
    limits, through = passed(TIGHT, wanted)
    for span_s, highest in zip((10, 600), limits.highest_places, strict=True):
        slots_ns = 2 * span_s * NS_PER_S // 200

        def reached(span_ns: int) -> int:
            return max((sum(end - span_ns < at <= end for at, _ in through) for end, _ in through), default=0)

        assert reached(span_s * NS_PER_S) <= highest <= reached(span_s * NS_PER_S + slots_ns)


def test_what_the_venue_allows_is_not_refused() -> None:
    limits = Limits("standard", ROOMY, 0, 0)
    for number in range(ORDERS_BURST):
        assert limits.place(1, 0, 0) is None, number
    assert limits.place(1, 0, 0) is not None
    assert limits.place(1, 0, ns(1 / ORDERS_PER_S)) is None


def test_the_jitter_is_kept_back_as_headroom() -> None:
    assert Limits("standard", ROOMY, 50_000_000, 0).tokens(0) == (56, 112)
    limits = Limits("standard", (1, 100), 50_000_000, 0)
    assert limits.place(1, 0, 0) is None
    assert limits.place(1, 0, ns(10.09)) is not None
    assert limits.place(1, 0, ns(10.15)) is None


@pytest.mark.parametrize(
    ("windows", "orders", "open_orders", "named"),
    [
        ((2, 100), 1, 0, "rate: 2 place requests in 10 s are used up"),
        ((100, 2), 1, 0, "rate: 2 place requests in 600 s are used up"),
        (ROOMY, 59, 0, "rate: 59 orders asked, 58 tokens left"),
        (ROOMY, 1, 190, "rate: 191 orders would be open, 188 could be cancelled"),
    ],
)
def test_a_refusal_names_its_limit_and_costs_nothing(
    windows: tuple[int, int], orders: int, open_orders: int, named: str
) -> None:
    limits = Limits("standard", windows, 0, 0)
    for _ in range(2):
        assert limits.place(1, 0, 0) is None
    for _ in range(3):
        assert limits.place(orders, open_orders, 0) == named
    assert limits.tokens(0) == (58, 120)
    assert limits.highest_places == (2, 2)


def test_cancels_leave_a_reserve_that_only_withdrawals_use() -> None:
    limits = Limits("standard", ROOMY, 0, 0)
    assert limits.cancel(108, 0) is None
    assert limits.cancel(1, 0) == "rate: 1 cancels asked, 0 tokens left"
    assert limits.withdraw(2, 2, 0) == "ids"
    assert limits.withdraw(30, 30, 0) == "all"
    assert limits.tokens(0)[1] == 12 - 2 - 31
    limits.settle(30, 25, 0)
    assert limits.tokens(0)[1] == 12 - 2 - 26
    assert not limits.withdraw_all(0, 0)
    assert limits.withdraw(1, 1, 0) is None
    assert limits.place(1, 0, 0) is not None
    assert limits.withdraw(1, 1, ns(1)) == "ids"
    assert limits.withdraw_all(0, ns(1))


def test_the_venues_headers_correct_it() -> None:
    limits = Limits("standard", ROOMY, 0, 0)
    limits.correct(False, "7", None, "copper", False, 0, 0)
    assert (limits.tier, limits.tokens(0)) == ("copper", (7, 120))
    limits.correct(True, "-3", "1700000001", None, True, 1_700_000_000_000, 0)
    assert limits.cancel(1, ns(0.9)) == "rate: the venue asked to wait"
    assert limits.cancel(1, ns(1.0)) is None
    limits.correct(False, "many", "soon", "wood", True, 0, ns(1.0))
    assert limits.tier == "copper"


def test_a_token_costs_more_the_fewer_there_are() -> None:
    limits = Limits("standard", ROOMY, 0, 0)
    prices = [limits.shadow_price(0)]
    while limits.place(10, 0, 0) is None:
        prices.append(limits.shadow_price(0))
    assert prices[0] == 0.0
    assert prices == sorted(set(prices))
    assert prices[3] == pytest.approx(1.0)
    assert limits.shadow_price(ns(700)) == 0.0


def test_an_unknown_tier_is_refused() -> None:
    with pytest.raises(ValueError, match="wood"):
        Limits("wood", ROOMY, 0, 0)
