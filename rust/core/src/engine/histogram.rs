//! Log-linear histogram of durations, bucket for bucket as `kernel/histogram.py`: 1/16 relative error.

use std::collections::BTreeMap;

const SUB_BITS: u32 = 4;
const SUB: u64 = 1 << SUB_BITS;

/// Bucket of a value: the 4 bits after the leading one are kept.
#[must_use]
pub const fn bucket_of(value: u64) -> u32 {
    if value < SUB {
        return value as u32;
    }
    let shift = u64::BITS - 1 - value.leading_zeros() - SUB_BITS;
    (shift << SUB_BITS) + (value >> shift) as u32
}

/// Counts by bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: BTreeMap<u32, u64>,
}

impl Histogram {
    /// Count one value.
    pub fn add(&mut self, value: u64) {
        *self.counts.entry(bucket_of(value)).or_default() += 1;
    }

    /// Bucket → count.
    #[must_use]
    pub const fn counts(&self) -> &BTreeMap<u32, u64> {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::bucket_of;

    /// Values and buckets as kernel/histogram.py answers them.
    #[test]
    fn buckets_are_those_of_the_python_reader() {
        let known = [
            (0, 0),
            (15, 15),
            (16, 16),
            (31, 31),
            (32, 32),
            (33, 32),
            (100, 57),
            (1_000, 111),
            (123_456, 222),
        ];
        for (value, bucket) in known {
            assert_eq!(bucket_of(value), bucket, "{value}");
        }
    }
}
