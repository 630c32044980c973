//! What fills cost afterwards, by side: markouts → the share of informed takers.
//!
//! For a fill of side s (+1 bought, −1 sold) with fair value f at the fill and f_h a time h later, the adverse move
//! is a_h = −s·(f_h − f), at h = 0.5, 1, 5, 30, 300 s. Glosten and Milgrom: a fill moves fair value by about
//! 2μ·p(1 − p), so μ_h = E[a_h] / (2p(1 − p)) (market-science §3), averaged over fills, forgotten by fills and by
//! time, and drawn towards a prior that counts as a few fills: a side that is quoted too far out to trade comes back
//! by itself. μ̂ is the weighted mean over the horizons, never below zero.

use std::collections::VecDeque;

use crate::units::Side;

/// Seconds after a fill at which it is judged.
pub const HORIZONS_S: [f64; 5] = [0.5, 1.0, 5.0, 30.0, 300.0];
/// How much each horizon says about the taker; the longest is mostly luck.
const WEIGHTS: [f64; 5] = [0.15, 0.25, 0.35, 0.2, 0.05];
const NS_PER_S: f64 = 1e9;
/// A fill counts half after so many more.
const HALF_LIFE_FILLS: f64 = 20.0;
const FADE_EVERY_S: f64 = 1.0;
/// And half after so long.
const HALF_LIFE_S: f64 = 120.0;
const PRIOR_FILLS: f64 = 8.0;
const MOST_INFORMED: f64 = 0.6;
/// Fills that wait for their judgement; beyond it the oldest is forgotten.
const WAITING: usize = 512;

#[derive(Debug, Clone, Copy, Default)]
struct Average {
    sum: f64,
    weight: f64,
}

impl Average {
    const fn fade(&mut self, kept: f64) {
        self.sum *= kept;
        self.weight *= kept;
    }
}

#[derive(Debug)]
struct Pending {
    side: Side,
    fair: f64,
    at_ns: u64,
    next: usize,
}

/// Fills of one market under observation.
#[derive(Debug)]
pub struct Toxicity {
    prior: f64,
    waiting: VecDeque<Pending>,
    faded_ns: u64,
    averages: [[Average; HORIZONS_S.len()]; 2],
}

impl Toxicity {
    /// Believe `prior` in [0, 1) of informed takers until fills say otherwise.
    #[must_use]
    pub const fn new(prior: f64) -> Self {
        Self {
            prior,
            waiting: VecDeque::new(),
            faded_ns: 0,
            averages: [[Average {
                sum: 0.0,
                weight: 0.0,
            }; HORIZONS_S.len()]; 2],
        }
    }

    /// One of our orders traded; `fair` is fair value then, in (0, 1).
    pub fn take_fill(&mut self, side: Side, fair: f64, now_ns: u64) {
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Pending {
            side,
            fair,
            at_ns: now_ns,
            next: 0,
        });
    }

    /// Judge the fills that are old enough by today's fair value.
    pub fn take_fair(&mut self, fair: f64, now_ns: u64) {
        let elapsed_s = now_ns.saturating_sub(self.faded_ns) as f64 / NS_PER_S;
        if elapsed_s >= FADE_EVERY_S {
            let kept = 0.5_f64.powf(elapsed_s / HALF_LIFE_S);
            self.averages
                .iter_mut()
                .flatten()
                .for_each(|average| average.fade(kept));
            self.faded_ns = now_ns;
        }
        for fill in &mut self.waiting {
            let age_s = now_ns.saturating_sub(fill.at_ns) as f64 / NS_PER_S;
            while fill.next < HORIZONS_S.len() && age_s >= HORIZONS_S[fill.next] {
                let sign = if fill.side == Side::Buy { 1.0 } else { -1.0 };
                let informed = -sign * (fair - fill.fair) / (2.0 * fill.fair * (1.0 - fill.fair));
                let average = &mut self.averages[side_index(fill.side)][fill.next];
                average.fade(0.5_f64.powf(1.0 / HALF_LIFE_FILLS));
                average.sum += informed;
                average.weight += 1.0;
                fill.next += 1;
            }
        }
        while self
            .waiting
            .front()
            .is_some_and(|fill| fill.next == HORIZONS_S.len())
        {
            self.waiting.pop_front();
        }
    }

    /// μ̂ of the takers who meet our orders of this side, in [0, 0.6].
    #[must_use]
    pub fn informed(&self, side: Side) -> f64 {
        let averages = &self.averages[side_index(side)];
        let of = |(average, weight): (&Average, &f64)| {
            weight * (average.sum + PRIOR_FILLS * self.prior) / (average.weight + PRIOR_FILLS)
        };
        averages
            .iter()
            .zip(&WEIGHTS)
            .map(of)
            .sum::<f64>()
            .clamp(0.0, MOST_INFORMED)
    }
}

const fn side_index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}
