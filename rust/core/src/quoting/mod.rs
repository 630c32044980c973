//! Quoting: what a market is worth, how far from that to quote, and whether a change is worth its cost.
//!
//! ```text
//! reference price ─▶ reference ─▶ digital ─┐
//! book, flow ─────▶ belief ────────────────┴▶ fair value ─▶ spread, rewards ─▶ quoter ─▶ targets
//! fills ──────────▶ toxicity ────────────────────────────────▶┘
//! ```
//!
//! Model values are floats; prices become integers in 1e-4 where they leave. Logit x = ln(p / (1 − p)), S its
//! inverse. Nothing here reads a clock: times are arguments.

pub mod belief;
pub mod digital;
pub mod exclusive;
pub mod model;
pub mod quoter;
pub mod reference;
pub mod rewards;
pub mod settlement;
pub mod situation;
mod sizes;
pub mod spread;
pub mod toxicity;

/// S(x) = 1 / (1 + e^−x), the probability of a logit.
#[must_use]
pub fn expit(x: f64) -> f64 {
    // The half-angle form: no logit overflows.
    0.5 + 0.5 * (0.5 * x).tanh()
}

/// ln(p / (1 − p)), the logit of a probability in (0, 1).
#[must_use]
pub fn logit(p: f64) -> f64 {
    p.ln() - (-p).ln_1p()
}
