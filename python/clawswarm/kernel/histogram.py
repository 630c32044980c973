"""Log-linear histogram of durations: 1/16 relative error, mergeable, small enough for a Beat.

bucket(v) keeps the 4 bits after the leading one of v; percentiles answer a bucket's middle.
"""

from collections.abc import Mapping

_SUB_BITS = 4
_SUB = 1 << _SUB_BITS


def bucket_of(value: int) -> int:
    """Bucket of a non-negative integer."""
    if value < _SUB:
        return max(value, 0)
    shift = value.bit_length() - 1 - _SUB_BITS
    return (shift << _SUB_BITS) + (value >> shift)


def bucket_middle(bucket: int) -> float:
    """Middle of the values that fall into `bucket`."""
    if bucket < 2 * _SUB:
        return float(bucket)
    shift = (bucket >> _SUB_BITS) - 1
    low = (bucket - (shift << _SUB_BITS)) << shift
    return low + ((1 << shift) - 1) / 2


class Histogram:
    """Counts of non-negative integers by bucket."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts or {})

    def add(self, value: int) -> None:
        """Count one value."""
        bucket = bucket_of(value)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def merge(self, counts: Mapping[int, int]) -> None:
        """Add the counts of another histogram."""
        for bucket, count in counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    @property
    def n(self) -> int:
        """How many values were counted."""
        return sum(self.counts.values())

    def percentile(self, share: float) -> float | None:
        """Value below which `share` (0..1) of the counted values lie; None when empty."""
        n = self.n
        if n == 0:
            return None
        wanted, seen = share * n, 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return bucket_middle(bucket)
        return bucket_middle(max(self.counts))
