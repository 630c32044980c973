"""The rate budget, under any pattern of requests."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.engine.budget import Budget, SlidingWindow
from clawswarm.engine.settings import EngineLimits
from clawswarm.kernel.clock import NS_PER_S, ns

steady = settings(deadline=None, derandomize=True)
TIGHT = EngineLimits(place_requests_10s=5, place_requests_600s=12, orders_per_s=2.0, orders_burst=6)

# (pause before the request in ms, orders in it); pauses from bursts to beyond the long window.
requests = st.lists(
    st.tuples(st.one_of(st.integers(0, 3_000), st.integers(0, 700_000)), st.integers(1, 8)), max_size=60
)


def spent(limits: EngineLimits, wanted: list[tuple[int, int]], start_ns: int = 0) -> list[tuple[int, int]]:
    """(time, orders) of every request the budget let pass."""
    budget, now, passed = Budget(limits, start_ns), start_ns, []
    for pause_ms, orders in wanted:
        now += pause_ms * 1_000_000
        if budget.refusal(orders, now) is None:
            budget.spend(orders, now)
            passed.append((now, orders))
    return passed


@steady
@given(requests)
def test_no_window_ever_holds_more_than_its_limit(wanted: list[tuple[int, int]]) -> None:
    passed = spent(TIGHT, wanted)
    for span_s, limit in ((10, TIGHT.place_requests_10s), (600, TIGHT.place_requests_600s)):
        for ends_ns, _ in passed:
            inside = [at for at, _ in passed if ends_ns - span_s * NS_PER_S < at <= ends_ns]
            assert len(inside) <= limit


@steady
@given(requests)
def test_between_any_two_requests_no_more_orders_go_than_rate_and_burst_allow(
    wanted: list[tuple[int, int]],
) -> None:
    passed = spent(TIGHT, wanted)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            orders = sum(count for _, count in passed[first : last + 1])
            elapsed_s = (passed[last][0] - passed[first][0]) / NS_PER_S
            assert orders <= TIGHT.orders_per_s * elapsed_s + TIGHT.orders_burst + 1e-6


@steady
@given(requests)
def test_the_highest_count_is_what_was_really_reached(wanted: list[tuple[int, int]]) -> None:
    budget, now, times = Budget(TIGHT, 0), 0, []
    for pause_ms, orders in wanted:
        now += pause_ms * 1_000_000
        if budget.refusal(orders, now) is None:
            budget.spend(orders, now)
            times.append(now)
    reached = [sum(end - 10 * NS_PER_S < at <= end for at in times) for end in times]
    assert budget.window_10s.highest == max(reached, default=0)


def test_what_the_venue_allows_is_not_refused() -> None:
    limits = EngineLimits()
    budget = Budget(limits, 0)
    for number in range(limits.orders_burst):
        assert budget.refusal(1, 0) is None, number
        budget.spend(1, 0)
    assert budget.refusal(1, ns(1 / limits.orders_per_s)) is None


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (EngineLimits(place_requests_10s=2), "rate: 2 place requests in 10 s are used up"),
        (EngineLimits(place_requests_600s=2), "rate: 2 place requests in 600 s are used up"),
        (EngineLimits(orders_burst=2, orders_per_s=1.0), "rate: 1 orders asked, 0.0 tokens left"),
    ],
)
def test_a_refusal_names_its_limit(limits: EngineLimits, named: str) -> None:
    budget = Budget(limits, 0)
    for _ in range(2):
        assert budget.refusal(1, 0) is None
        budget.spend(1, 0)
    assert budget.refusal(1, 0) == named


def test_a_refusal_costs_nothing() -> None:
    budget = Budget(EngineLimits(orders_burst=2, orders_per_s=1.0), 0)
    for _ in range(100):
        assert budget.refusal(3, 0) is not None
    assert budget.refusal(2, 0) is None


def test_tokens_fill_up_to_the_burst_and_no_further() -> None:
    budget = Budget(EngineLimits(orders_burst=4, orders_per_s=2.0), 0)
    budget.spend(4, 0)
    assert budget.refusal(1, ns(0.49)) is not None
    assert budget.refusal(1, ns(0.5)) is None
    assert budget.refusal(5, ns(1_000)) is not None
    assert budget.refusal(4, ns(1_000)) is None


def test_a_request_leaves_its_window_exactly_after_the_span() -> None:
    window = SlidingWindow(10, 1)
    window.add(0)
    assert window.count(10 * NS_PER_S - 1) == 1
    assert window.count(10 * NS_PER_S) == 0
    assert window.highest == 1
