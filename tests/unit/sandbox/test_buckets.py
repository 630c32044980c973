"""Signer buckets: never more than burst + rate · time, debt where the tier allows it, headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawswarm.sandbox.rest.buckets import TIERS, SignerBuckets, TokenBucket

S = 1_000_000_000
ME = "0xabc"
START = 1_700_000_000 * S

requests = st.lists(st.tuples(st.integers(0, 2 * S), st.integers(1, 20)), max_size=200)


@given(requests=requests, rate=st.integers(1, 40), burst=st.integers(1, 60))
def test_no_span_ever_passes_more_than_burst_plus_rate(
    requests: list[tuple[int, int]], rate: int, burst: int
) -> None:
    bucket, now, taken = TokenBucket(rate, burst, False, 0), 0, list[tuple[int, int]]()
    for gap, cost in requests:
        now += gap
        if bucket.take(cost, now):
            taken.append((now, cost))
    for first, (began, _) in enumerate(taken):
        passed = 0
        for at, cost in taken[first:]:
            passed += cost
            assert passed * S <= burst * S + rate * (at - began)


@given(requests=requests, debits=st.lists(st.integers(0, 50), min_size=1), may_owe=st.booleans())
def test_a_debt_only_makes_later_requests_wait(
    requests: list[tuple[int, int]], debits: list[int], may_owe: bool
) -> None:
    bucket, free, now = TokenBucket(10, 20, may_owe, 0), TokenBucket(10, 20, may_owe, 0), 0
    for index, (gap, cost) in enumerate(requests):
        now += gap
        bucket.debit(debits[index % len(debits)], now)
        if bucket.take(cost, now):
            assert free.take(cost, now)
        if not may_owe:
            assert bucket.remaining(now) >= 0
        assert bucket.remaining(now) <= free.remaining(now) <= 20


@given(cost=st.integers(1, 20), drained=st.integers(0, 20), rate=st.integers(1, 97))
def test_waiting_as_told_is_enough_and_no_longer_than_needed(cost: int, drained: int, rate: int) -> None:
    bucket = TokenBucket(rate, 20, False, 0)
    assert bucket.take(drained, 0)
    wait = bucket.wait_ns(cost, 0)
    if wait:
        assert not bucket.take(cost, wait - 1)
    assert bucket.take(cost, wait)


def test_a_cost_above_the_burst_never_passes() -> None:
    bucket = TokenBucket(40, 60, False, 0)
    assert not bucket.take(61, 0)
    assert not bucket.take(61, 10**6 * S)
    assert bucket.take(60, 10**6 * S)


def test_the_published_tiers() -> None:
    assert list(TIERS) == [
        "standard", "copper", "bronze", "silver", "gold", "platinum", "diamond", "elite",
    ]  # fmt: skip
    standard, elite = TIERS["standard"], TIERS["elite"]
    assert (standard.orders_per_s, standard.order_burst) == (40, 60)
    assert (standard.cancels_per_s, standard.cancel_burst, standard.may_owe) == (80, 120, True)
    assert (elite.orders_per_s, elite.order_burst) == (600, 900)
    assert (elite.cancels_per_s, elite.cancel_burst, elite.may_owe) == (1200, 1800, False)
    assert [tier.name for tier in TIERS.values() if tier.may_owe][-1] == "gold"


def test_a_refusal_says_when_the_wait_ends() -> None:
    buckets = SignerBuckets("standard", "enforce")
    passed = buckets.charge(ME, "order", 60, START)
    assert not passed.is_refused
    assert passed.headers(START) == {
        "Poly-RateLimit-Remaining": "0",
        "Poly-RateLimit-Reset": str(START // S),
        "Poly-RateLimit-Tier": "standard",
    }
    refused = buckets.charge(ME, "order", 40, START)
    assert (refused.is_refused, refused.wait_ns) == (True, S)
    assert refused.headers(START)["Poly-RateLimit-Reset"] == str(START // S + 1)
    assert not buckets.charge(ME, "cancel", 120, START).is_refused
    assert not buckets.charge("0xdef", "order", 60, START).is_refused


def test_warning_mode_lets_through_and_says_so() -> None:
    buckets = SignerBuckets("standard", "warn")
    buckets.charge(ME, "order", 60, START)
    over = buckets.charge(ME, "order", 1, START)
    assert (over.is_refused, over.is_warning) == (False, True)
    assert over.headers(START)["Poly-RateLimit-Warning"] == "true"


@pytest.mark.parametrize(("tier", "left"), [("standard", -80), ("platinum", 0)])
def test_a_sweeping_cancel_is_debited_after_the_fact(tier: str, left: int) -> None:
    buckets = SignerBuckets(tier, "enforce")
    burst = TIERS[tier].cancel_burst
    assert not buckets.charge(ME, "cancel", 1, START).is_refused
    assert buckets.debit_cancels(ME, burst + 79, START) == left
    assert buckets.charge(ME, "cancel", 1, START).is_refused
    assert not buckets.charge(ME, "cancel", 1, START + 2 * S).is_refused


def test_a_request_that_proves_nobody_costs_nothing_and_leaves_no_trace() -> None:
    buckets = SignerBuckets("standard", "enforce")
    for number in range(100):
        signer = f"0x{number}"
        buckets.charge(signer, "order", 7, START)
        buckets.give_back(signer, "order", 7, START)
    assert buckets._signers == {}


def test_a_tier_is_set_by_signer() -> None:
    buckets = SignerBuckets("standard", "enforce")
    buckets.charge(ME, "order", 60, START)
    buckets.set_tier(ME, "elite", START)
    assert not buckets.charge(ME, "order", 900, START).is_refused
    assert buckets.state(ME, START) == {
        "tier": "elite",
        "order_rate": 600,
        "order_burst": 900,
        "order_remaining": 0,
        "cancel_rate": 1200,
        "cancel_burst": 1800,
        "cancel_remaining": 1800,
    }
