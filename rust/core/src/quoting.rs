//! The first quoter: one bid and one ask from fair value, inventory and the touch.
//!
//! In logits, x = ln(p / (1 − p)) with p the microprice, S its inverse, q the inventory ratio in [−1, 1]:
//!
//! ```text
//! reservation   r = x − skew · q                                    (Avellaneda–Stoikov, market-science §1)
//! half-spread   d = base + widen_linear · |q| + widen_quadratic · q²   (constant in logits: §3; quadratic: §6)
//! bid = ⌊S(r − d)⌋ to the tick, ask = ⌈S(r + d)⌉ to the tick
//! post-only     bid ≤ best ask − tick, ask ≥ best bid + tick
//! ```
//!
//! A price outside [tick, 1 − tick] is no quote. Where both round to one price, each moves a tick outwards.

use thiserror::Error;

use crate::units::{PRICE_ONE_E4, is_tick_e4};

/// A value this close to the grid, in ticks, is on it: S(logit(p)) misses p by some 1e-16.
const GRID_TOLERANCE_TICKS: f64 = 1e-9;

/// How the spread and the skew depend on inventory, in logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpreadModel {
    /// Half-spread without inventory.
    pub half_spread_base: f64,
    /// Shift of the reservation price at full inventory.
    pub skew: f64,
    /// Widening per |q|.
    pub widen_linear: f64,
    /// Widening per q².
    pub widen_quadratic: f64,
}

/// What the quote is made from at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuoteState {
    /// Fair value as a probability in (0, 1).
    pub microprice: f64,
    /// Inventory over its limit, in [−1, 1], positive when long YES.
    pub inventory_ratio: f64,
    /// Tick in 1e-4.
    pub tick_e4: u16,
    /// Best bid of the book in 1e-4.
    pub bid_e4: Option<u16>,
    /// Best ask of the book in 1e-4.
    pub ask_e4: Option<u16>,
}

/// Target prices; None where the side should not be quoted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quote {
    /// Price to bid in 1e-4.
    pub bid_e4: Option<u16>,
    /// Price to ask in 1e-4.
    pub ask_e4: Option<u16>,
    /// r, in logits.
    pub reservation: f64,
    /// d, in logits.
    pub half_spread: f64,
}

/// Which argument cannot be quoted from.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum QuoteError {
    /// A number is NaN, infinite or out of its range.
    #[error("{name} {value} is not in {range}")]
    OutOfRange {
        /// Which argument.
        name: &'static str,
        /// Its value.
        value: f64,
        /// Where it must be.
        range: &'static str,
    },
    /// No such tick can exist.
    #[error("tick_e4 {0} does not divide 10000")]
    InvalidTick(u16),
    /// The best bid is at or above the best ask.
    #[error("the touch is crossed: bid {bid_e4}, ask {ask_e4} (in 1e-4)")]
    CrossedTouch {
        /// Best bid.
        bid_e4: u16,
        /// Best ask.
        ask_e4: u16,
    },
}

/// Price both sides of one market.
///
/// # Errors
/// When an argument is not finite or out of range, or the touch is crossed.
pub fn quote(model: &SpreadModel, state: &QuoteState) -> Result<Quote, QuoteError> {
    check(model, state)?;
    let (p, q, tick_e4) = (state.microprice, state.inventory_ratio, state.tick_e4);
    let reservation = p.ln() - (-p).ln_1p() - model.skew * q;
    let half_spread = model.half_spread_base + model.widen_linear * q.abs() + model.widen_quadratic * q * q;
    check_range(
        "half_spread",
        half_spread,
        half_spread.is_finite(),
        "the finite numbers",
    )?;

    let tick = i32::from(tick_e4);
    let mut bid = floor_to_tick(sigmoid(reservation - half_spread), tick);
    let mut ask = ceil_to_tick(sigmoid(reservation + half_spread), tick);
    if bid >= ask {
        bid -= tick;
        ask += tick;
    }
    if let Some(best_ask_e4) = state.ask_e4 {
        bid = bid.min((i32::from(best_ask_e4) - tick).div_euclid(tick) * tick);
    }
    if let Some(best_bid_e4) = state.bid_e4 {
        ask = ask.max(-(-i32::from(best_bid_e4) - tick).div_euclid(tick) * tick);
    }
    Ok(Quote {
        bid_e4: admissible(bid, tick),
        ask_e4: admissible(ask, tick),
        reservation,
        half_spread,
    })
}

fn check(model: &SpreadModel, state: &QuoteState) -> Result<(), QuoteError> {
    for (name, value) in [
        ("half_spread_base", model.half_spread_base),
        ("skew", model.skew),
        ("widen_linear", model.widen_linear),
        ("widen_quadratic", model.widen_quadratic),
    ] {
        check_range(name, value, value >= 0.0 && value.is_finite(), "[0, inf)")?;
    }
    let p = state.microprice;
    check_range("microprice", p, p > 0.0 && p < 1.0, "(0, 1)")?;
    let q = state.inventory_ratio;
    check_range("inventory_ratio", q, (-1.0..=1.0).contains(&q), "[-1, 1]")?;
    if !is_tick_e4(state.tick_e4) {
        return Err(QuoteError::InvalidTick(state.tick_e4));
    }
    for (name, price_e4) in [("bid_e4", state.bid_e4), ("ask_e4", state.ask_e4)] {
        let is_price = price_e4.is_none_or(|price_e4| price_e4 > 0 && price_e4 < PRICE_ONE_E4);
        check_range(name, f64::from(price_e4.unwrap_or(0)), is_price, "(0, 10000)")?;
    }
    match (state.bid_e4, state.ask_e4) {
        (Some(bid_e4), Some(ask_e4)) if bid_e4 >= ask_e4 => Err(QuoteError::CrossedTouch { bid_e4, ask_e4 }),
        _ => Ok(()),
    }
}

const fn check_range(
    name: &'static str,
    value: f64,
    is_in_range: bool,
    range: &'static str,
) -> Result<(), QuoteError> {
    if is_in_range {
        Ok(())
    } else {
        Err(QuoteError::OutOfRange { name, value, range })
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn floor_to_tick(probability: f64, tick: i32) -> i32 {
    let ticks = probability * f64::from(PRICE_ONE_E4) / f64::from(tick);
    (ticks + GRID_TOLERANCE_TICKS).floor() as i32 * tick
}

fn ceil_to_tick(probability: f64, tick: i32) -> i32 {
    let ticks = probability * f64::from(PRICE_ONE_E4) / f64::from(tick);
    (ticks - GRID_TOLERANCE_TICKS).ceil() as i32 * tick
}

fn admissible(price: i32, tick: i32) -> Option<u16> {
    let highest = i32::from(PRICE_ONE_E4) - tick;
    u16::try_from(price)
        .ok()
        .filter(|_| (tick..=highest).contains(&price))
}
