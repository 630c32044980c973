//! The two amounts of a limit order from its price and size, rounded as the official client does.
//!
//! ```text
//! shares   = ⌊size⌋ to 2 decimals
//! notional = shares × price; if finer than the tick's amount decimals: ⌈·⌉ to 4 more, then ⌊·⌋ to them
//! BUY:  maker = notional (pays), taker = shares (gets)      SELL: the other way round
//!
//! tick       0.1  0.01  0.005  0.0025  0.001  0.0001
//! price dp     1     2      3       4      3       4
//! size dp      2     2      2       2      2       2
//! amount dp    3     4      5       6      5       6
//! ```
//!
//! The price must be on the tick, so it has at most `price dp` decimals and the notional at most `price dp + 2`,
//! which is `amount dp` in every column: the second rounding never has anything to round, and the notional is
//! exact. Source: polymarket.md §3.4; `polymarket-client` 0.14 `orders/limit.py`, decimals throughout. The
//! deprecated `py-clob-client-v2` rounds the same way in binary floats and so loses a hundredth of some sizes
//! (1.15 becomes 1.14); that is not imitated.

use thiserror::Error;

use crate::units::{PRICE_ONE_E4, Side};

/// The six ticks a market can have, in 1e-4.
pub const TICKS_E4: [u16; 6] = [1_000, 100, 50, 25, 10, 1];

/// Sizes are hundredths of a share.
pub const SIZE_STEP_E6: u64 = 10_000;

/// What the maker gives and what it wants for it, in 1e-6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    /// Given: money of a BUY, shares of a SELL.
    pub maker_e6: u64,
    /// Wanted: shares of a BUY, money of a SELL.
    pub taker_e6: u64,
}

/// Why no order can be made of a price and a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AmountError {
    /// No market has this tick.
    #[error("tick_e4 {0} is not a tick of the venue")]
    UnknownTick(u16),
    /// The price is not a multiple of the tick in [tick, 1 − tick].
    #[error("price_e4 {price_e4} is not on the grid of tick_e4 {tick_e4}")]
    OffGrid {
        /// The price.
        price_e4: u16,
        /// The tick.
        tick_e4: u16,
    },
    /// Nothing is left after rounding down to hundredths.
    #[error("size_e6 {0} is less than a hundredth of a share")]
    NoSize(u64),
}

/// Round a limit order.
///
/// # Errors
/// When the tick is none, the price is off its grid, or the size rounds to nothing.
pub fn limit_amounts(price_e4: u16, size_e6: u64, side: Side, tick_e4: u16) -> Result<Amounts, AmountError> {
    if !TICKS_E4.contains(&tick_e4) {
        return Err(AmountError::UnknownTick(tick_e4));
    }
    if price_e4 < tick_e4 || price_e4 > PRICE_ONE_E4 - tick_e4 || price_e4 % tick_e4 != 0 {
        return Err(AmountError::OffGrid { price_e4, tick_e4 });
    }
    let hundredths = size_e6 / SIZE_STEP_E6;
    if hundredths == 0 {
        return Err(AmountError::NoSize(size_e6));
    }
    // Hundredths of shares times ten-thousandths of money: millionths, exactly.
    let notional_e6 = hundredths * u64::from(price_e4);
    let shares_e6 = hundredths * SIZE_STEP_E6;
    let (maker_e6, taker_e6) = match side {
        Side::Buy => (notional_e6, shares_e6),
        Side::Sell => (shares_e6, notional_e6),
    };
    Ok(Amounts { maker_e6, taker_e6 })
}
