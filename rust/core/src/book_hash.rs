//! The venue's hash of one token's book: SHA-1 of its compact JSON (recorded-data.md facts 1 to 3, decision 5).
//!
//! Keys in the order market, asset_id, timestamp, hash (""), bids, asks, min_order_size, tick_size, neg_risk,
//! last_trade_price; levels worst first; the last trade price has at least three decimals.

use sha1::{Digest, Sha1};

use crate::ladder::Level;
use crate::scan::{HASH_LENGTH, HashText};
use crate::units::PRICE_ONE_E4;

/// What a book's hash covers beside its levels.
#[derive(Debug, Clone, Copy)]
pub struct HashedTerms<'a> {
    /// Condition id.
    pub market: &'a str,
    /// Outcome token.
    pub token: &'a str,
    /// Server time.
    pub server_ms: u64,
    /// Smallest order in 1e-6 shares.
    pub min_size_e6: u64,
    /// Tick in 1e-4.
    pub tick_e4: u16,
    /// Whether the market belongs to a group of exclusive ones.
    pub is_neg_risk: bool,
    /// Price of the last trade in the resting order's token, None before the first.
    pub last_trade_e4: Option<u16>,
}

/// Write the text of a book into `text` and hash it; both sides worst first, in the token's own frame.
pub fn book_hash(
    terms: &HashedTerms,
    bids: impl Iterator<Item = Level>,
    asks: impl Iterator<Item = Level>,
    text: &mut Vec<u8>,
) -> HashText {
    text.clear();
    text.extend_from_slice(b"{\"market\":\"");
    text.extend_from_slice(terms.market.as_bytes());
    text.extend_from_slice(b"\",\"asset_id\":\"");
    text.extend_from_slice(terms.token.as_bytes());
    text.extend_from_slice(b"\",\"timestamp\":\"");
    write_scaled(text, terms.server_ms, 0, 0);
    text.extend_from_slice(b"\",\"hash\":\"\",\"bids\":[");
    write_levels(text, bids);
    text.extend_from_slice(b"],\"asks\":[");
    write_levels(text, asks);
    text.extend_from_slice(b"],\"min_order_size\":\"");
    write_scaled(text, terms.min_size_e6, 6, 0);
    text.extend_from_slice(b"\",\"tick_size\":\"");
    write_scaled(text, terms.tick_e4.into(), 4, 0);
    text.extend_from_slice(b"\",\"neg_risk\":");
    text.extend_from_slice(if terms.is_neg_risk { b"true" } else { b"false" });
    text.extend_from_slice(b",\"last_trade_price\":\"");
    if let Some(price_e4) = terms.last_trade_e4 {
        write_scaled(text, price_e4.into(), 4, 3);
    }
    text.extend_from_slice(b"\"}");
    hexadecimal(&Sha1::digest(&text))
}

fn write_levels(text: &mut Vec<u8>, levels: impl Iterator<Item = Level>) {
    let mut is_first = true;
    for level in levels {
        let opening: &[u8] = if is_first {
            b"{\"price\":\""
        } else {
            b",{\"price\":\""
        };
        is_first = false;
        text.extend_from_slice(opening);
        write_price(text, level.price_e4);
        text.extend_from_slice(b"\",\"size\":\"");
        write_scaled(text, level.size_e6, 6, 0);
        text.extend_from_slice(b"\"}");
    }
}

/// A price below 1, the shortest decimal: most are whole cents.
fn write_price(text: &mut Vec<u8>, price_e4: u16) {
    if price_e4 >= PRICE_ONE_E4 {
        return write_scaled(text, price_e4.into(), 4, 0);
    }
    let digit = |power: u16| b'0' + (price_e4 / power % 10) as u8;
    let written = [b'0', b'.', digit(1000), digit(100), digit(10), digit(1)];
    let length = match price_e4 {
        0 => 1,
        price if price % 1000 == 0 => 3,
        price if price % 100 == 0 => 4,
        price if price % 10 == 0 => 5,
        _ => 6,
    };
    text.extend_from_slice(&written[..length]);
}

/// Write `value / 10^digits` as the shortest plain decimal with at least `least` decimals.
fn write_scaled(text: &mut Vec<u8>, value: u64, digits: usize, least: usize) {
    let mut written = [0_u8; 22];
    let (mut at, mut left, mut decimals, mut is_significant) = (written.len(), value, digits, false);
    let mut push = |byte: u8| {
        at -= 1;
        written[at] = byte;
    };
    while decimals > 0 {
        let digit = (left % 10) as u8;
        left /= 10;
        is_significant |= digit != 0 || decimals <= least;
        if is_significant {
            push(b'0' + digit);
        }
        decimals -= 1;
    }
    if is_significant {
        push(b'.');
    }
    loop {
        push(b'0' + (left % 10) as u8);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    text.extend_from_slice(&written[at..]);
}

fn hexadecimal(digest: &[u8]) -> HashText {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hash = [b'0'; HASH_LENGTH];
    for (pair, byte) in hash.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hash
}
