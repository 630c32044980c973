//! Liquidity rewards as the venue scores them, and what our orders earn of them (polymarket.md §8).
//!
//! ```text
//! S(s)  = ((v − s)/v)²                    s: distance from the midpoint of the levels of at least the minimum size
//! Q_one = Σ S·size of bids   Q_two = Σ S·size of asks         (YES frame: a NO ask stands among the bids)
//! Q_min = max(min(Q_one, Q_two), max(Q_one, Q_two)/3)  for a midpoint in [0.10, 0.90], else min(Q_one, Q_two)
//! income = daily rate · Q_min / Σ Q_min of all makers
//! ```
//!
//! A book does not show whose its orders are. As one maker's they have the Q_min of their sums; however they are shared
//! out, the makers' Q_min sum to at most (Q_one + Q_two)/2, and outside [0.10, 0.90] to min(Q_one, Q_two). The middle
//! of the two is taken.

use crate::ladder::Level;

const ONE_SIDED: f64 = 3.0;
const CENTRAL_E4: std::ops::RangeInclusive<f64> = 1_000.0..=9_000.0;
const S_PER_DAY: f64 = 86_400.0;
const SHARE_E6: f64 = 1e6;

/// What a market pays its makers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RewardTerms {
    /// USD a day.
    pub daily_usd: f64,
    /// Smallest order that scores, in 1e-6 shares.
    pub min_size_e6: u64,
    /// v, in 1e-4.
    pub max_spread_e4: f64,
    /// Younger orders do not score.
    pub min_age_s: f64,
}

/// Q_one and Q_two.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scores {
    /// Of bids.
    pub one: f64,
    /// Of asks.
    pub two: f64,
}

impl RewardTerms {
    /// S of an order at this distance (in 1e-4) times its size in shares.
    #[must_use]
    pub fn score(&self, distance_e4: f64, size_e6: u64) -> f64 {
        if size_e6 < self.min_size_e6 || distance_e4 > self.max_spread_e4 || self.max_spread_e4 <= 0.0 {
            return 0.0;
        }
        let inside = (self.max_spread_e4 - distance_e4) / self.max_spread_e4;
        inside * inside * (size_e6 as f64 / SHARE_E6)
    }

    /// The midpoint the scores are measured from; None when a side has no level of the minimum size.
    #[must_use]
    pub fn midpoint_e4(&self, bids: &[Level], asks: &[Level]) -> Option<f64> {
        let first = |levels: &[Level]| {
            let large = levels.iter().find(|level| level.size_e6 >= self.min_size_e6);
            large.map(|level| f64::from(level.price_e4))
        };
        Some(0.5 * (first(bids)? + first(asks)?))
    }

    /// Scores of whole levels, each as one order.
    #[must_use]
    pub fn scores(&self, midpoint_e4: f64, bids: &[Level], asks: &[Level]) -> Scores {
        let of = |levels: &[Level]| {
            let score =
                |level: &Level| self.score((f64::from(level.price_e4) - midpoint_e4).abs(), level.size_e6);
            levels.iter().map(score).sum()
        };
        Scores {
            one: of(bids),
            two: of(asks),
        }
    }

    /// Income in USD per second with these scores beside those of the others.
    #[must_use]
    pub fn income(&self, ours: Scores, others: f64, midpoint_e4: f64) -> f64 {
        let ours = combine(ours, midpoint_e4);
        if ours <= 0.0 {
            return 0.0;
        }
        self.daily_usd / S_PER_DAY * ours / (ours + others)
    }
}

/// What the Q_min of unknown makers, who have these scores together, sum to: the middle of what is possible.
///
/// Each has max(min, max/3) ≤ (min + max)/2.
#[must_use]
pub fn shared_out(scores: Scores, midpoint_e4: f64) -> f64 {
    let most = if CENTRAL_E4.contains(&midpoint_e4) {
        0.5 * (scores.one + scores.two)
    } else {
        scores.one.min(scores.two)
    };
    0.5 * (combine(scores, midpoint_e4) + most)
}

/// Q_min.
#[must_use]
pub fn combine(scores: Scores, midpoint_e4: f64) -> f64 {
    let Scores { one, two } = scores;
    if CENTRAL_E4.contains(&midpoint_e4) {
        one.min(two).max(one.max(two) / ONE_SIDED)
    } else {
        one.min(two)
    }
}
