//! Integer units, the YES frame, and the only conversion from the decimals of a wire.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The price of certainty in 1e-4.
pub const PRICE_ONE_E4: u16 = 10_000;

const PRICE_DIGITS: u32 = 4;
const SIZE_DIGITS: u32 = 6;

/// Why a text is not a value of the unit it should be in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnitError {
    /// Empty, signed, in exponent form, or with a foreign character.
    #[error("{what} {text:?} is not a plain decimal number")]
    NotDecimal {
        /// Which quantity.
        what: &'static str,
        /// The text as received.
        text: String,
    },
    /// Has a digit below the unit.
    #[error("{what} {text:?} is finer than 1e-{digits}")]
    TooFine {
        /// Which quantity.
        what: &'static str,
        /// The text as received.
        text: String,
        /// Decimal digits of the unit.
        digits: u32,
    },
    /// A number the quantity cannot have.
    #[error("{what} {text:?} is out of range")]
    OutOfRange {
        /// Which quantity.
        what: &'static str,
        /// The text as received.
        text: String,
    },
    /// No side of an order.
    #[error("side {0:?} is neither BUY nor SELL")]
    NotSide(String),
}

/// Side of an order or of an aggressor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Side {
    /// Pays to own shares.
    Buy,
    /// Gives shares away.
    Sell,
}

impl Side {
    /// Read the venue's word for it.
    ///
    /// # Errors
    /// When it is another word.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        match text {
            "BUY" => Ok(Self::Buy),
            "SELL" => Ok(Self::Sell),
            _ => Err(UnitError::NotSide(text.to_owned())),
        }
    }

    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// The venue's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "BUY",
            Self::Sell => "SELL",
        }
    }
}

/// One of the two outcome tokens of a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The token whose price is the book's price.
    Yes,
    /// Its complement.
    No,
}

impl Outcome {
    /// "YES" or "NO".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "YES",
            Self::No => "NO",
        }
    }

    /// Side and price, in the YES frame, of an order in this token.
    #[must_use]
    pub const fn to_yes_frame(self, side: Side, price_e4: u16) -> (Side, u16) {
        match self {
            Self::Yes => (side, price_e4),
            Self::No => (side.opposite(), mirror_price_e4(price_e4)),
        }
    }
}

/// Price of the same order seen from the other outcome token, exactly; `price_e4` is at most 1e4.
#[must_use]
pub const fn mirror_price_e4(price_e4: u16) -> u16 {
    PRICE_ONE_E4 - price_e4
}

/// Whether a tick is positive, at most one half, and divides the price of certainty.
#[must_use]
pub const fn is_tick_e4(tick_e4: u16) -> bool {
    tick_e4 >= 1 && tick_e4 <= PRICE_ONE_E4 / 2 && PRICE_ONE_E4 % tick_e4 == 0
}

/// Read the price of an order or trade: strictly between 0 and 1, at the finest 1e-4.
///
/// # Errors
/// When the text is no plain decimal, finer than the unit, or no price.
pub fn parse_price_e4(text: &str) -> Result<u16, UnitError> {
    match u16::try_from(parse_scaled(text, PRICE_DIGITS, "price")?) {
        Ok(price_e4) if price_e4 > 0 && price_e4 < PRICE_ONE_E4 => Ok(price_e4),
        _ => Err(UnitError::OutOfRange {
            what: "price",
            text: text.to_owned(),
        }),
    }
}

/// Read a tick size such as "0.001".
///
/// # Errors
/// When the text is no plain decimal, finer than 1e-4, or does not divide 1.
pub fn parse_tick_e4(text: &str) -> Result<u16, UnitError> {
    match u16::try_from(parse_scaled(text, PRICE_DIGITS, "tick size")?) {
        Ok(tick_e4) if is_tick_e4(tick_e4) => Ok(tick_e4),
        _ => Err(UnitError::OutOfRange {
            what: "tick size",
            text: text.to_owned(),
        }),
    }
}

/// Read a size in shares: not negative, at the finest 1e-6.
///
/// # Errors
/// When the text is no plain decimal, finer than the unit, or beyond 64 bits.
pub fn parse_size_e6(text: &str) -> Result<u64, UnitError> {
    parse_scaled(text, SIZE_DIGITS, "size")
}

/// Read whole digits, an optional point and a fraction as an integer of 10^-digits, without rounding.
fn parse_scaled(text: &str, digits: u32, what: &'static str) -> Result<u64, UnitError> {
    let not_decimal = || UnitError::NotDecimal {
        what,
        text: text.to_owned(),
    };
    let out_of_range = || UnitError::OutOfRange {
        what,
        text: text.to_owned(),
    };
    let mut value: u64 = 0;
    let mut fraction_digits: Option<u32> = None;
    let mut has_digit = false;
    for byte in text.bytes() {
        match (byte, fraction_digits) {
            (b'0'..=b'9', _) => {
                has_digit = true;
                let digit = u64::from(byte - b'0');
                if let Some(count) = fraction_digits {
                    if count == digits {
                        if digit == 0 {
                            continue;
                        }
                        return Err(UnitError::TooFine {
                            what,
                            text: text.to_owned(),
                            digits,
                        });
                    }
                    fraction_digits = Some(count + 1);
                }
                value = value
                    .checked_mul(10)
                    .and_then(|shifted| shifted.checked_add(digit))
                    .ok_or_else(out_of_range)?;
            }
            (b'.', None) => fraction_digits = Some(0),
            _ => return Err(not_decimal()),
        }
    }
    if !has_digit {
        return Err(not_decimal());
    }
    let missing = digits - fraction_digits.unwrap_or(0);
    value.checked_mul(10_u64.pow(missing)).ok_or_else(out_of_range)
}
