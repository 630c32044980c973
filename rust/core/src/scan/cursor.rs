//! A place in a frame, and what can be read from there: marks, keys, plain strings, numbers.
//!
//! Each reads what the venue really writes, or nothing (None).

use crate::units::PRICE_ONE_E4;

pub(super) const PRICE_DIGITS: u32 = 4;
pub(super) const SIZE_DIGITS: u32 = 6;
const LARGEST_INTEGER_DIGITS: u32 = 13;
const POWERS_OF_TEN: [u64; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// Where a frame is read.
pub(super) struct Scanner<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// True after a comma, false after `end`.
    #[inline]
    pub(super) fn comma_or(&mut self, end: u8) -> Option<bool> {
        self.skip_space();
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            byte if byte == end => Some(false),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.string()?;
        self.take(b':')?;
        Some(key)
    }

    /// A string without escapes and beyond-ASCII text.
    #[inline]
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let start = self.at;
        while let Some(chunk) = self.rest().first_chunk::<8>() {
            let stops = stops_in(u64::from_le_bytes(*chunk));
            if stops != 0 {
                self.at += stops.trailing_zeros() as usize / 8;
                return self.close(start);
            }
            self.at += 8;
        }
        while let Some(byte) = self.peek() {
            if matches!(byte, b'"' | b'\\' | ..0x20 | 0x80..) {
                return self.close(start);
            }
            self.at += 1;
        }
        None
    }

    #[inline]
    pub(super) fn close(&mut self, start: usize) -> Option<&'a [u8]> {
        let text = &self.text[start..self.at];
        (self.peek()? == b'"').then(|| {
            self.at += 1;
            text
        })
    }

    /// Whole digits, an optional point and a fraction, in quotation marks, as an integer of 10^-digits.
    #[inline]
    pub(super) fn decimal(&mut self, digits: u32) -> Option<u64> {
        self.take(b'"')?;
        let (mut value, mut whole, mut fraction) = (0_u64, 0_u32, 0_u32);
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            value = value * 10 + u64::from(byte - b'0');
            whole += 1;
            self.at += 1;
            if whole > LARGEST_INTEGER_DIGITS {
                return None;
            }
        }
        if digits > 0 && self.peek()? == b'.' {
            self.at += 1;
            while let Some(byte @ b'0'..=b'9') = self.peek() {
                if fraction == digits {
                    return None;
                }
                value = value * 10 + u64::from(byte - b'0');
                fraction += 1;
                self.at += 1;
            }
        }
        if whole + fraction == 0 || self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        Some(value * POWERS_OF_TEN[(digits - fraction) as usize])
    }

    /// A price of two to four decimals below 1, as nearly all are.
    #[inline]
    pub(super) fn usual_price(&mut self) -> Option<u16> {
        let &[b'"', b'0', b'.', tenths, hundredths, third, fourth, last] = self.rest().first_chunk::<8>()?
        else {
            return None;
        };
        let digit = |byte: u8| Some(u16::from(byte.wrapping_sub(b'0'))).filter(|&digit| digit < 10);
        let mut price_e4 = digit(tenths)? * 1_000 + digit(hundredths)? * 100;
        let mut length = 6;
        if third != b'"' {
            price_e4 += digit(third)? * 10;
            length = 7;
            if fourth != b'"' {
                price_e4 += digit(fourth)?;
                length = 8;
                if last != b'"' {
                    return None;
                }
            }
        }
        (price_e4 > 0).then(|| {
            self.at += length;
            price_e4
        })
    }

    #[inline]
    pub(super) fn price(&mut self) -> Option<u16> {
        if let Some(price_e4) = self.usual_price() {
            return Some(price_e4);
        }
        let price_e4 = u16::try_from(self.decimal(PRICE_DIGITS)?).ok()?;
        (price_e4 > 0 && price_e4 < PRICE_ONE_E4).then_some(price_e4)
    }

    /// A price, or "" for none.
    #[inline]
    pub(super) fn optional_price(&mut self) -> Option<Option<u16>> {
        self.skip_space();
        if self.literal(b"\"\"").is_some() {
            return Some(None);
        }
        self.price().map(Some)
    }

    /// A best price as the venue writes it: 0 to 1, "" for what it does not say.
    #[inline]
    pub(super) fn best(&mut self) -> Option<Option<u16>> {
        if let Some(price_e4) = self.usual_price() {
            return Some(Some(price_e4));
        }
        self.skip_space();
        if self.literal(b"\"\"").is_some() {
            return Some(None);
        }
        if self.literal(b"\"0\"").is_some() {
            return Some(Some(0));
        }
        if self.literal(b"\"1\"").is_some() {
            return Some(Some(PRICE_ONE_E4));
        }
        self.price().map(Some)
    }

    #[inline]
    pub(super) fn millis(&mut self) -> Option<u64> {
        self.decimal(0)
    }

    #[inline]
    pub(super) fn literal<const N: usize>(&mut self, literal: &[u8; N]) -> Option<()> {
        (self.rest().first_chunk::<N>()? == literal).then(|| self.at += N)
    }

    #[inline]
    pub(super) fn next_key<const N: usize>(&mut self, key: &[u8; N]) -> Option<()> {
        self.literal(b",")?;
        if self.peek() == Some(b' ') {
            self.at += 1;
        }
        self.literal(key)
    }

    pub(super) fn end(&mut self) -> Option<()> {
        self.skip_space();
        (self.at == self.text.len()).then_some(())
    }
}

/// The high bit of each byte that ends a plain string: a quotation mark, an escape, a control, beyond ASCII.
/// A byte above such a byte may be marked too; the lowest mark is always right.
#[inline]
pub(super) const fn stops_in(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let quote = word ^ (ONES * b'"' as u64);
    let escape = word ^ (ONES * b'\\' as u64);
    let zeros = (quote.wrapping_sub(ONES) & !quote) | (escape.wrapping_sub(ONES) & !escape);
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (zeros | controls | word) & HIGH
}
