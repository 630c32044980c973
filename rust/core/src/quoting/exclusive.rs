//! Outcomes of one event that exclude each other: their prices sum to one.
//!
//! Each outcome has an opinion x_i (logit) with variance v_i. The most likely opinions under Gaussian errors that
//! sum to one are, to first order, x_i + λ·v_i·p_i(1 − p_i); here the shift is λ·v_i in logits with the one λ for
//! which Σ S(x_i + λ·v_i) = 1: monotone in λ, so it is unique, and whoever is surer moves less.

use super::expit;

const ROUNDS: usize = 100;
const TOLERANCE: f64 = 1e-12;

/// The logits moved so that their probabilities sum to one; None when an opinion is unusable or there is no second.
#[must_use]
pub fn consistent(logits: &[f64], variances: &[f64]) -> Option<Vec<f64>> {
    let is_usable = logits.len() == variances.len()
        && logits.len() > 1
        && logits.iter().all(|x| x.is_finite())
        && variances.iter().all(|v| v.is_finite() && *v > 0.0);
    if !is_usable {
        return None;
    }
    let largest = variances.iter().copied().fold(0.0, f64::max);
    let excess = |shift: f64| {
        let of = |(x, v): (&f64, &f64)| expit(x + shift * v / largest);
        logits.iter().zip(variances).map(of).sum::<f64>() - 1.0
    };
    let (mut low, mut high) = (-1.0, 1.0);
    while excess(low) > 0.0 && low > -1e12 {
        low *= 2.0;
    }
    while excess(high) < 0.0 && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..ROUNDS {
        let middle = 0.5 * (low + high);
        let over = excess(middle);
        if over.abs() < TOLERANCE {
            (low, high) = (middle, middle);
            break;
        }
        if over > 0.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
    let shift = 0.5 * (low + high);
    let moved = logits.iter().zip(variances).map(|(x, v)| x + shift * v / largest);
    Some(moved.collect())
}
