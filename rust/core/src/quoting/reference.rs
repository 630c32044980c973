//! The price of an underlying as its stream tells it: last value, realised volatility, averages, jumps.
//!
//! In: prices in USD with the stream's own time. Out: what `digital` needs. The volatility is √(Σr² / ΣΔt) of log
//! returns over steps of a second or more, forgotten with a half-life. A step of more than five deviations is a jump:
//! alone it counts as a step of one deviation, else often jumps would hide the next ones (truncated variance, Mancini
//! 2009); after another one it counts as five, so that a market that has become wilder is believed. A step
//! over a hole in the stream (it loses seconds and sometimes minutes) counts with its real length. An average is
//! that of a step function: each value holds until the next.

use std::collections::VecDeque;

const MS_PER_S: f64 = 1e3;
/// Steps shorter than this are noise of the stream rather than of the price.
const STEP_MS: u64 = 1_000;
const HALF_LIFE_S: f64 = 120.0;
/// Without so many seconds of steps there is no volatility.
const LEAST_S: f64 = 10.0;
const JUMP_SIGMAS: f64 = 5.0;
/// The longest averaging window with room for the strike's to be read after the fact.
const KEPT_MS: u64 = 1_200_000;
/// A window whose beginning was not seen may lack this share of itself.
const UNSEEN_SHARE: f64 = 0.1;

/// Follows one underlying.
#[derive(Debug, Default)]
pub struct ReferencePath {
    prices: VecDeque<(u64, f64)>,
    step: Option<(u64, f64)>,
    has_jumped: bool,
    squares: f64,
    seconds: f64,
}

impl ReferencePath {
    /// Take a price; false when it is unusable or not newer than the last.
    pub fn take(&mut self, usd: f64, source_ms: u64) -> bool {
        let is_newer = self.prices.back().is_none_or(|&(last_ms, _)| source_ms > last_ms);
        if !(usd.is_finite() && usd > 0.0 && is_newer) {
            return false;
        }
        self.prices.push_back((source_ms, usd));
        while self
            .prices
            .get(1)
            .is_some_and(|&(at_ms, _)| source_ms - at_ms > KEPT_MS)
        {
            self.prices.pop_front();
        }
        let Some((step_ms, before)) = self.step else {
            self.step = Some((source_ms, usd));
            return true;
        };
        if source_ms - step_ms >= STEP_MS {
            self.take_step((usd / before).ln(), (source_ms - step_ms) as f64 / MS_PER_S);
            self.step = Some((source_ms, usd));
        }
        true
    }

    fn take_step(&mut self, log_return: f64, elapsed_s: f64) {
        let mut step = log_return;
        if let Some(sigma) = self.volatility().filter(|&sigma| sigma > 0.0) {
            let usual = sigma * elapsed_s.sqrt();
            let is_jump = step.abs() > JUMP_SIGMAS * usual;
            if is_jump {
                step = if self.has_jumped {
                    JUMP_SIGMAS * usual
                } else {
                    usual
                };
            }
            self.has_jumped = is_jump;
        }
        let kept = 0.5_f64.powf(elapsed_s / HALF_LIFE_S);
        self.squares = self.squares * kept + step * step;
        self.seconds = self.seconds * kept + elapsed_s;
    }

    /// The last price and its time.
    #[must_use]
    pub fn last(&self) -> Option<(u64, f64)> {
        self.prices.back().copied()
    }

    /// Relative volatility per √s; None before it is known.
    #[must_use]
    pub fn volatility(&self) -> Option<f64> {
        (self.seconds >= LEAST_S).then(|| (self.squares / self.seconds).sqrt())
    }

    /// The price in force at a time; None before the first.
    #[must_use]
    pub fn at(&self, at_ms: u64) -> Option<f64> {
        let after = self.prices.partition_point(|&(time_ms, _)| time_ms <= at_ms);
        after.checked_sub(1).map(|place| self.prices[place].1)
    }

    /// The average over (from, to]; at their meeting point the price itself. None when most of it was not seen.
    #[must_use]
    pub fn average(&self, from_ms: u64, to_ms: u64) -> Option<f64> {
        if to_ms <= from_ms {
            return self.at(to_ms);
        }
        let first = self
            .prices
            .partition_point(|&(time_ms, _)| time_ms <= from_ms)
            .saturating_sub(1);
        let &(first_ms, _) = self.prices.get(first)?;
        let begin_ms = from_ms.max(first_ms);
        let whole_ms = (to_ms - from_ms) as f64;
        if begin_ms >= to_ms || (begin_ms - from_ms) as f64 > UNSEEN_SHARE * whole_ms {
            return None;
        }
        let mut sum = 0.0;
        let mut at_ms = begin_ms;
        for (place, &(_, usd)) in self.prices.iter().enumerate().skip(first) {
            let next_ms = self
                .prices
                .get(place + 1)
                .map_or(to_ms, |&(time_ms, _)| time_ms.min(to_ms));
            if next_ms > at_ms {
                sum += usd * (next_ms - at_ms) as f64;
                at_ms = next_ms;
            }
            if at_ms >= to_ms {
                break;
            }
        }
        Some(sum / (to_ms - begin_ms) as f64)
    }

    /// Log return over the last `span_ms` of the stream.
    #[must_use]
    pub fn log_return(&self, span_ms: u64) -> Option<f64> {
        let (last_ms, usd) = self.last()?;
        let before = self.at(last_ms.checked_sub(span_ms)?)?;
        Some((usd / before).ln())
    }
}
