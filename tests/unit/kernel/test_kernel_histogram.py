"""Histogram: bounded relative error, merging is counting together."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.kernel.histogram import Histogram, bucket_middle, bucket_of

steady = settings(deadline=None, derandomize=True)
durations = st.one_of(st.integers(0, 100), st.integers(0, 10**6), st.integers(0, 2**63))
samples = st.lists(durations, min_size=1, max_size=60)


def counted(values: Sequence[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@steady
@given(durations)
def test_a_bucket_tells_its_values_within_a_sixteenth(value: int) -> None:
    assert abs(bucket_middle(bucket_of(value)) - value) <= value / 16


@steady
@given(durations, durations)
def test_buckets_are_ordered_as_their_values(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert bucket_of(low) <= bucket_of(high)
    assert bucket_middle(bucket_of(low)) <= bucket_middle(bucket_of(high))


def test_small_values_are_exact_and_no_bucket_is_left_out() -> None:
    assert [bucket_middle(bucket_of(value)) for value in range(32)] == list(range(32))
    buckets = [bucket_of(value) for value in range(5_000)]
    assert sorted(set(buckets)) == list(range(max(buckets) + 1))


@steady
@given(samples, samples)
def test_merging_is_counting_together(one: list[int], other: list[int]) -> None:
    merged = counted(one)
    merged.merge(counted(other).counts)
    together = counted(one + other)
    assert merged.counts == together.counts
    assert merged.n == len(one) + len(other)


@steady
@given(samples, st.floats(0.001, 1.0))
def test_a_percentile_is_the_sorted_lists_own_within_a_sixteenth(values: list[int], share: float) -> None:
    rank = next(n for n in range(1, len(values) + 1) if n >= share * len(values))
    wanted = sorted(values)[rank - 1]
    measured = counted(values).percentile(share)
    assert measured == pytest.approx(wanted, rel=1 / 16)


def test_without_values_there_is_no_percentile() -> None:
    assert Histogram().percentile(0.5) is None
    assert Histogram().n == 0


def test_the_ends_of_the_scale() -> None:
    histogram = counted([3, 5, 9])
    assert (histogram.percentile(0.0), histogram.percentile(1.0)) == (3.0, 9.0)


def test_a_negative_duration_counts_as_none() -> None:
    assert counted([-5]).percentile(0.5) == 0.0


@given(samples)
@steady
def test_counts_survive_a_beat(values: list[int]) -> None:
    counts = counted(values).counts
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(counts), type=dict[int, int]) == counts
