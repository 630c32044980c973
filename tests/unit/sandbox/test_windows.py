"""Request windows: never more than the published number in any span, and each line counts what it names."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawswarm.sandbox.rest.windows import OLDER, SEPTEMBER_2026, WINDOW_SETS, RequestWindows, Rule, Window

S = 1_000_000_000
HERE = "127.0.0.1"

gaps_ns = st.lists(st.integers(0, 3 * S), max_size=300)


@given(gaps=gaps_ns, limit=st.integers(1, 9), span_s=st.integers(1, 10))
def test_no_span_ever_holds_more_than_the_limit(gaps: list[int], limit: int, span_s: int) -> None:
    window, now, admitted = Window(limit, span_s * S), 0, deque[int]()
    for gap in gaps:
        now += gap
        wait = window.wait_ns(now)
        if wait == 0:
            window.add(now)
            admitted.append(now)
        while admitted and admitted[0] <= now - span_s * S:
            admitted.popleft()
        assert len(admitted) <= limit
        assert (wait > 0) <= (len(admitted) == limit)


@given(gaps=gaps_ns, limit=st.integers(1, 9))
def test_whoever_waits_as_told_is_admitted(gaps: list[int], limit: int) -> None:
    windows = RequestWindows([Rule("r", "GET", ("/book",), limit, 3 * limit)])
    now = 0
    for gap in gaps:
        now += gap
        if wait := windows.admit(HERE, "GET", "/book", now):
            assert windows.admit(HERE, "GET", "/book", now + wait - 1) > 0
            now += wait
            assert windows.admit(HERE, "GET", "/book", now) == 0


def test_both_spans_of_a_line_hold() -> None:
    windows = RequestWindows([Rule("r", "GET", ("/book",), 2, 3)])
    assert [windows.admit(HERE, "GET", "/book", now * S) for now in (0, 0, 0)] == [0, 0, 10 * S]
    assert [windows.admit(HERE, "GET", "/book", now * S) for now in (10, 10)] == [0, 590 * S]


def test_addresses_and_lines_are_counted_apart() -> None:
    windows = RequestWindows([Rule("a", "GET", ("/a",), 1), Rule("ids", "GET", ("/data/order/",), 1)])
    assert windows.admit(HERE, "GET", "/a", 0) == 0
    assert windows.admit(HERE, "GET", "/a", 0) > 0
    assert windows.admit("127.0.0.2", "GET", "/a", 0) == 0
    assert windows.admit(HERE, "POST", "/a", 0) == 0
    assert windows.admit(HERE, "GET", "/data/order/0x1", 0) == 0
    assert windows.admit(HERE, "GET", "/data/order/0x2", 0) > 0
    assert windows.admit(HERE, "GET", "/data/orders", 0) == 0


def test_a_refused_request_counts_nowhere() -> None:
    windows = RequestWindows([Rule("narrow", "GET", ("/a",), 1), Rule("wide", None, ("/",), 2)])
    assert windows.admit(HERE, "GET", "/a", 0) == 0
    assert windows.admit(HERE, "GET", "/a", 1) > 0
    assert windows.admit(HERE, "GET", "/b", 1) == 0
    assert windows.admit(HERE, "GET", "/b", 1) > 0


@pytest.mark.parametrize(
    ("rules", "method", "path", "per_10s", "per_600s"),
    [
        (OLDER, "POST", "/order", 3_500, 36_000),
        (OLDER, "DELETE", "/order", 3_000, 30_000),
        (OLDER, "DELETE", "/cancel-market-orders", 1_000, 1_500),
        (OLDER, "DELETE", "/cancel-all", 250, 6_000),
        (SEPTEMBER_2026, "POST", "/order", 5_000, 120_000),
        (SEPTEMBER_2026, "POST", "/orders", 2_000, 21_000),
        (SEPTEMBER_2026, "GET", "/balance-allowance/update", 50, None),
    ],
)
def test_the_published_numbers(
    rules: tuple[Rule, ...], method: str, path: str, per_10s: int, per_600s: int | None
) -> None:
    tightest = min((rule for rule in rules if rule.applies(method, path)), key=lambda rule: rule.per_10s)
    assert (tightest.per_10s, tightest.per_600s) == (per_10s, per_600s)


def test_the_real_sets_admit_exactly_their_number() -> None:
    windows = RequestWindows(WINDOW_SETS["older"])
    admitted = sum(windows.admit(HERE, "POST", "/order", at * 1_000_000) == 0 for at in range(9_000))
    assert admitted == 3_500
    unlimited = RequestWindows(WINDOW_SETS["off"])
    assert all(unlimited.admit(HERE, "POST", "/order", 0) == 0 for _ in range(20_000))
