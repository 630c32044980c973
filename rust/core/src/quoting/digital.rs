//! Fair value of markets that a price of an underlying settles: digital and Asian digital options.
//!
//! In: spot S in USD, its volatility, the time R to the close in seconds. Out: the probability of YES (the final
//! price is at or above the strike K) and its sensitivities. Source: market-science.md §2.
//!
//! **Digital** (the price of one instant settles; log-normal, without drift), σ relative per √s:
//!
//! ```text
//! P = Φ(d₂)   d₂ = [ln(S/K) − ½σ²R] / (σ√R)   d₁ = d₂ + σ√R
//! Δ = φ(d₂)/(Sσ√R)   Γ = −φ(d₂)·d₁/(S²σ²R)   ∂P/∂σ = −φ(d₂)·d₁/σ
//! ```
//!
//! **Asian digital** (the average over the last w seconds settles against the average over the w seconds before
//! the window opened; Bachelier, σ in USD per √s, D the window's length):
//!
//! ```text
//! P = Φ(d)   d = (m − K)/s   Δ = φ(d)·m′/s   Γ = −d·φ(d)·(m′/s)²   ∂P/∂σ = −d·φ(d)/σ
//!
//! phase                        m − K                   m′ = ∂(m − K)/∂S   s²/σ²
//! R ≥ D + w    before both     0                       0                  D − w/3
//! D < R < D+w  strike forming  (w−v)/w·(S − K₀)        (w−v)/w            R − w + w/3 + v³/(3w²) − v²/w   (v = R − D)
//! w ≤ R ≤ D    before the end  S − K                   1                  R − w + w/3
//! R < w        final forming   [(w−R)A + R·S]/w − K    R/w                R³/(3w²)
//! ```
//!
//! K₀ is the average of the strike's window so far, A that of the final one. In the second phase the still open
//! part of the strike moves with the same price as the final average: their covariance is v²/(2w).

use libm::erfc;
use thiserror::Error;

/// A probability and how it moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Digital {
    /// Of YES, in [0, 1].
    pub probability: f64,
    /// ∂P/∂S per USD.
    pub delta: f64,
    /// ∂²P/∂S² per USD².
    pub gamma: f64,
    /// ∂P/∂σ per unit of the volatility that was given.
    pub vega: f64,
}

/// When and how an average settles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AverageTerms {
    /// Length w of the averaging window in seconds, above 0.
    pub window_s: f64,
    /// D: from the strike's instant to the close in seconds; None when the strike is a listed number.
    pub span_s: Option<f64>,
}

/// What is known of the prices that were already averaged, in USD.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Averages {
    /// The strike K, or K₀ while it forms.
    pub strike_usd: Option<f64>,
    /// A, the average of the final window so far.
    pub final_usd: Option<f64>,
}

/// Why there is no fair value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoDigital {
    /// A number is not finite or not positive.
    #[error("the price, its volatility or a time is no positive number")]
    Unusable,
    /// The market is over.
    #[error("the window has ended")]
    Ended,
    /// The strike is not known.
    #[error("the strike is not known")]
    NoStrike,
    /// The final average is forming and nobody saw its beginning.
    #[error("the average so far is not known")]
    NoAverage,
}

/// Value when the price at the close settles; `volatility` is relative, per √s.
///
/// # Errors
/// [`NoDigital`] when a number is unusable or the market has ended.
pub fn digital(
    spot_usd: f64,
    strike_usd: f64,
    volatility: f64,
    to_close_s: f64,
) -> Result<Digital, NoDigital> {
    check([spot_usd, strike_usd, volatility], to_close_s)?;
    let deviation = volatility * to_close_s.sqrt();
    let d2 = (spot_usd / strike_usd).ln() / deviation - 0.5 * deviation;
    let d1 = d2 + deviation;
    let density = density(d2);
    Ok(Digital {
        probability: cumulative(d2),
        delta: density / (spot_usd * deviation),
        gamma: -density * d1 / (spot_usd * deviation).powi(2),
        vega: -density * d1 / volatility,
    })
}

/// Value when an average settles; `volatility_usd` is in USD per √s.
///
/// # Errors
/// [`NoDigital`] when a number is unusable, the market has ended or a needed average is not known.
pub fn average_digital(
    spot_usd: f64,
    volatility_usd: f64,
    to_close_s: f64,
    terms: &AverageTerms,
    averages: &Averages,
) -> Result<Digital, NoDigital> {
    check([spot_usd, volatility_usd, terms.window_s], to_close_s)?;
    let (r, w) = (to_close_s, terms.window_s);
    let forms_for_s = terms.span_s.map_or(0.0, |span_s| r - span_s);
    let (mean, slope, variance) = match terms.span_s {
        Some(d) if forms_for_s >= w => (0.0, 0.0, d - w / 3.0),
        Some(_) if forms_for_s > 0.0 => {
            let (so_far, v) = (averages.strike_usd.ok_or(NoDigital::NoStrike)?, forms_for_s);
            let fixed = (w - v) / w;
            let variance = r - w + w / 3.0 + v.powi(3) / (3.0 * w * w) - v * v / w;
            (fixed * (spot_usd - so_far), fixed, variance)
        }
        _ => {
            let strike = averages.strike_usd.ok_or(NoDigital::NoStrike)?;
            if r >= w {
                (spot_usd - strike, 1.0, r - w + w / 3.0)
            } else {
                let so_far = averages.final_usd.ok_or(NoDigital::NoAverage)?;
                let mean = ((w - r) * so_far + r * spot_usd) / w - strike;
                (mean, r / w, r.powi(3) / (3.0 * w * w))
            }
        }
    };
    let deviation_usd = volatility_usd * variance.sqrt();
    if !(deviation_usd > 0.0 && mean.is_finite()) {
        return Err(NoDigital::Unusable);
    }
    let d = mean / deviation_usd;
    let (density, per_usd) = (density(d), slope / deviation_usd);
    Ok(Digital {
        probability: cumulative(d),
        delta: density * per_usd,
        gamma: -d * density * per_usd * per_usd,
        vega: -d * density / volatility_usd,
    })
}

fn check(positive: [f64; 3], to_close_s: f64) -> Result<(), NoDigital> {
    let is_usable = |value: f64| value.is_finite() && value > 0.0;
    if !to_close_s.is_finite() || !positive.into_iter().all(is_usable) {
        return Err(NoDigital::Unusable);
    }
    if to_close_s <= 0.0 {
        return Err(NoDigital::Ended);
    }
    Ok(())
}

/// Φ, the standard normal distribution.
#[must_use]
pub fn cumulative(d: f64) -> f64 {
    0.5 * erfc(-d * std::f64::consts::FRAC_1_SQRT_2)
}

/// φ, its density.
#[must_use]
pub fn density(d: f64) -> f64 {
    (-0.5 * d * d).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
