//! Which price settles a market, and what the underlying says of it now.
//!
//! In: the path of the underlying and the venue's time. Out: the digital of `digital`.

use super::digital::{AverageTerms, Averages, Digital, NoDigital, average_digital, digital};
use super::reference::ReferencePath;

const MS_PER_S: f64 = 1e3;
/// A reference price older than this says nothing.
const REFERENCE_MS: u64 = 10_000;

/// Which price settles; the final one at or above the strike is YES.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settlement {
    /// Seconds that are averaged before either instant; 0 for the price itself.
    pub window_s: f64,
    /// When the strike is taken, in the venue's ms; None when it is a listed number.
    pub opens_ms: Option<u64>,
    /// The strike, once it is known.
    pub strike_usd: Option<f64>,
}

impl Settlement {
    const fn window_ms(&self) -> u64 {
        (self.window_s * MS_PER_S) as u64
    }

    /// The strike as the path shows it; None before it is complete, or when the path did not see it.
    #[must_use]
    pub fn drawn_strike_usd(&self, path: &ReferencePath, venue_ms: u64) -> Option<f64> {
        let opens_ms = self.opens_ms.filter(|&opens_ms| opens_ms <= venue_ms)?;
        path.average(opens_ms.saturating_sub(self.window_ms()), opens_ms)
    }
}

/// What the underlying says of a market: the digital of its settlement at this instant.
///
/// # Errors
/// [`NoDigital`] when a price, the strike or an average is not known, or the market has ended.
pub fn value_by_reference(
    settlement: &Settlement,
    path: &ReferencePath,
    closes_ms: u64,
    venue_ms: u64,
) -> Result<Digital, NoDigital> {
    let to_close_s = (closes_ms as f64 - venue_ms as f64) / MS_PER_S;
    let (at_ms, spot) = path.last().ok_or(NoDigital::Unusable)?;
    let sigma = path.volatility().ok_or(NoDigital::Unusable)?;
    if venue_ms.saturating_sub(at_ms) > REFERENCE_MS {
        return Err(NoDigital::Unusable);
    }
    let window_ms = settlement.window_ms();
    let opens_ms = settlement.opens_ms.filter(|_| settlement.strike_usd.is_none());
    if window_ms == 0 {
        let strike_usd = match opens_ms {
            // The strike is yet to be drawn, from the price that will be then: even odds.
            Some(opens_ms) if opens_ms > venue_ms => spot * (-0.5 * sigma * sigma * to_close_s).exp(),
            _ => settlement.strike_usd.ok_or(NoDigital::NoStrike)?,
        };
        return digital(spot, strike_usd, sigma, to_close_s);
    }
    let terms = AverageTerms {
        window_s: settlement.window_s,
        span_s: opens_ms.map(|opens_ms| closes_ms.saturating_sub(opens_ms) as f64 / MS_PER_S),
    };
    let forming = opens_ms.filter(|&opens_ms| opens_ms > venue_ms);
    let averages = Averages {
        strike_usd: settlement.strike_usd.or_else(|| {
            forming.and_then(|opens_ms| path.average(opens_ms.saturating_sub(window_ms), venue_ms))
        }),
        final_usd: path.average(closes_ms.saturating_sub(window_ms), venue_ms),
    };
    average_digital(spot, sigma * spot, to_close_s, &terms, &averages)
}
