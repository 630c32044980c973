//! Fair value in logits: the book filtered, flow, and a model of the underlying, each believed by recent accuracy.
//!
//! **Filter** (local level): the belief x moves by σ_b√Δt, the microprice shows it with the noise of half a spread.
//!
//! ```text
//! P ← P + σ_b²Δt       K = P / (P + R)      x ← x + K·(z − x)      P ← (1 − K)·P
//! ```
//!
//! z = logit(microprice), R = (noise · half the touch's width in logits)². σ_b is √(Σ Δx² / ΣΔt) over steps of a
//! second, forgotten with a half-life, jumps cut off.
//!
//! **Flow** f in [−1, 1] and a model's logit x_m are leads: by how much they say that x will have moved in two
//! seconds. A lead u is believed as far as it was right, by the regression of what then happened, y − x, on u:
//!
//! ```text
//! weight = Σ u·(y − x) / (Σ u² + prior), in [0, 1]
//! fair   = x + weight_f·u_f + weight_m·u_m,   u_f = f·width of the touch,  u_m = x_m − x
//! ```
//!
//! The mean time between changes of the microprice tells for how long a quote cannot follow (`spread`).
//!
//! Sums are forgotten with the forecasts' half-life. The uncertainty is that of a mixture: the filter's own variance
//! and, where two opinions share the belief, weight·(1 − weight) of their distance squared.

use std::collections::VecDeque;

use super::logit;

const NS_PER_S: f64 = 1e9;
const NOISE: f64 = 0.5;
const VOLATILITY_HALF_LIFE_S: f64 = 60.0;
const STEP_NS: u64 = 1_000_000_000;
const JUMP_SIGMAS: f64 = 5.0;
/// Per √s: until steps were seen, about a tick a second at one half.
const FIRST_VOLATILITY: f64 = 0.03;
const LEAST_VOLATILITY: f64 = 0.002;
const LEAST_S: f64 = 5.0;
const HORIZON_NS: u64 = 2_000_000_000;
const FORECAST_NS: u64 = 500_000_000;
const FORECAST_HALF_LIFE: f64 = 60.0;
/// What a lead must have shown before it is believed: so many forecasts of a tick at one half.
const PRIOR: f64 = 10.0 * 0.04 * 0.04;
const CLIP: f64 = 0.5;
const INTERVAL_HALF_LIFE: f64 = 50.0;
const PRIOR_INTERVALS: f64 = 5.0;
const FIRST_INTERVAL_S: f64 = 0.2;
/// However fast the book is, an order needs its way to the venue.
const LEAST_INTERVAL_S: f64 = 0.05;
const MOST_INTERVAL_S: f64 = 10.0;

/// What the book shows at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sight {
    /// Microprice of others' orders, in (0, 1).
    pub microprice: f64,
    /// Width of their touch in logits, above 0.
    pub width: f64,
    /// Signed flow in [−1, 1].
    pub flow: f64,
}

/// Fair value and how far it is to be trusted, in logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fair {
    /// x, blended.
    pub logit: f64,
    /// Standard error of it.
    pub uncertainty: f64,
    /// σ_b, per √s.
    pub volatility: f64,
    /// Mean time between changes of the book, in seconds.
    pub interval_s: f64,
}

#[derive(Debug, Clone, Copy)]
struct Forecast {
    due_ns: u64,
    book: f64,
    flow: f64,
    model: f64,
}

/// Two sums of a regression through the origin.
#[derive(Debug, Clone, Copy, Default)]
struct Regression {
    products: f64,
    squares: f64,
}

impl Regression {
    fn take(&mut self, lead: f64, came: f64, kept: f64) {
        self.products = self.products * kept + lead * came;
        self.squares = self.squares * kept + lead * lead;
    }

    fn weight(&self) -> f64 {
        (self.products / (self.squares + PRIOR)).clamp(0.0, 1.0)
    }
}

/// Times between changes of the book, forgotten by their number.
#[derive(Debug, Default)]
struct Intervals {
    seconds: f64,
    count: f64,
}

impl Intervals {
    fn take(&mut self, seconds: f64) {
        let kept = 0.5_f64.powf(1.0 / INTERVAL_HALF_LIFE);
        self.seconds = self.seconds * kept + seconds;
        self.count = self.count * kept + 1.0;
    }

    fn mean_s(&self) -> f64 {
        let mean_s = (self.seconds + PRIOR_INTERVALS * FIRST_INTERVAL_S) / (self.count + PRIOR_INTERVALS);
        mean_s.clamp(LEAST_INTERVAL_S, MOST_INTERVAL_S)
    }
}

/// Follows the belief of one market.
#[derive(Debug, Default)]
pub struct Belief {
    state: Option<(f64, f64, u64)>,
    changed: Option<(f64, u64)>,
    intervals: Intervals,
    step: Option<(f64, u64)>,
    squares: f64,
    seconds: f64,
    waiting: VecDeque<Forecast>,
    flow: Regression,
    model: Regression,
}

impl Belief {
    /// Take the book; `model` is the logit of a fair value from elsewhere. Times must not step back.
    pub fn take(&mut self, sight: &Sight, model: Option<f64>, now_ns: u64) -> Fair {
        let seen = logit(sight.microprice);
        let noise = (NOISE * 0.5 * sight.width).powi(2);
        let (level, variance) = match self.state {
            None => (seen, noise),
            Some((level, variance, at_ns)) => {
                let elapsed_s = now_ns.saturating_sub(at_ns) as f64 / NS_PER_S;
                let predicted = variance + self.volatility().powi(2) * elapsed_s;
                let gain = predicted / (predicted + noise);
                (level + gain * (seen - level), (1.0 - gain) * predicted)
            }
        };
        self.state = Some((level, variance, now_ns));
        self.take_change(sight.microprice, now_ns);
        self.take_step(level, now_ns);
        self.judge(level, now_ns);
        let (flow, model) = (sight.flow * sight.width, model.map_or(0.0, |model| model - level));
        let (flow_weight, model_weight) = self.weights();
        let fair = level + flow_weight * flow + model_weight * model;
        let spread = |weight: f64, lead: f64| weight * (1.0 - weight) * lead * lead;
        if self
            .waiting
            .back()
            .is_none_or(|last| now_ns + HORIZON_NS - last.due_ns >= FORECAST_NS)
        {
            self.waiting.push_back(Forecast {
                due_ns: now_ns + HORIZON_NS,
                book: level,
                flow,
                model,
            });
        }
        Fair {
            logit: fair,
            uncertainty: (variance + spread(flow_weight, flow) + spread(model_weight, model)).sqrt(),
            volatility: self.volatility(),
            interval_s: self.intervals.mean_s(),
        }
    }

    fn take_change(&mut self, microprice: f64, now_ns: u64) {
        let Some((before, at_ns)) = self.changed else {
            self.changed = Some((microprice, now_ns));
            return;
        };
        if microprice == before {
            return;
        }
        self.intervals
            .take(now_ns.saturating_sub(at_ns) as f64 / NS_PER_S);
        self.changed = Some((microprice, now_ns));
    }

    /// How far flow and the model are believed, in [0, 1].
    #[must_use]
    pub fn weights(&self) -> (f64, f64) {
        (self.flow.weight(), self.model.weight())
    }

    fn volatility(&self) -> f64 {
        if self.seconds < LEAST_S {
            return FIRST_VOLATILITY;
        }
        (self.squares / self.seconds).sqrt().max(LEAST_VOLATILITY)
    }

    fn take_step(&mut self, level: f64, now_ns: u64) {
        let Some((before, at_ns)) = self.step else {
            self.step = Some((level, now_ns));
            return;
        };
        let elapsed_ns = now_ns.saturating_sub(at_ns);
        if elapsed_ns < STEP_NS {
            return;
        }
        let elapsed_s = elapsed_ns as f64 / NS_PER_S;
        let jump = JUMP_SIGMAS * self.volatility() * elapsed_s.sqrt();
        let step = (level - before).clamp(-jump, jump);
        let kept = 0.5_f64.powf(elapsed_s / VOLATILITY_HALF_LIFE_S);
        self.squares = self.squares * kept + step * step;
        self.seconds = self.seconds * kept + elapsed_s;
        self.step = Some((level, now_ns));
    }

    fn judge(&mut self, level: f64, now_ns: u64) {
        while let Some(forecast) = self.waiting.front().filter(|forecast| forecast.due_ns <= now_ns) {
            let kept = 0.5_f64.powf(1.0 / FORECAST_HALF_LIFE);
            let came = (level - forecast.book).clamp(-CLIP, CLIP);
            self.flow.take(forecast.flow, came, kept);
            self.model.take(forecast.model.clamp(-CLIP, CLIP), came, kept);
            self.waiting.pop_front();
        }
    }
}
