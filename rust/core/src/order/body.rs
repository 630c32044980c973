//! Request bodies of order entry, byte for byte as the official client writes them.
//!
//! Keys in alphabetical order, no spaces, `postOnly` only when true: `polymarket-client` 0.14 `orders/post.py`.
//! Sources: polymarket.md §3.1, §3.3, §3.5.

use thiserror::Error;

use super::signing::{OrderSigner, SignedOrder};
use super::text::{is_plain, push_decimal, push_hex};
use super::typed_data::OrderTerms;

/// Orders of one `POST /orders`.
pub const MAX_BATCH: usize = 15;
/// Ids of one `DELETE /orders`: the smaller of the two published limits.
pub const MAX_CANCELS: usize = 1_000;
/// JSON numbers are exact up to here.
pub const MAX_SALT: u64 = (1 << 53) - 1;

const ZERO_WORD: &[u8] = b"0x0000000000000000000000000000000000000000000000000000000000000000";
const BODY_BYTES: usize = 1_024;

/// How long an order stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderType {
    /// Until cancelled.
    Gtc,
    /// Until a date.
    Gtd,
    /// All at once or not at all.
    Fok,
    /// What can be had at once.
    Fak,
}

impl OrderType {
    /// Read the venue's word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Gtc, Self::Gtd, Self::Fok, Self::Fak]
            .into_iter()
            .find(|order_type| order_type.as_str() == text)
    }

    /// The venue's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gtc => "GTC",
            Self::Gtd => "GTD",
            Self::Fok => "FOK",
            Self::Fak => "FAK",
        }
    }

    const fn can_rest(self) -> bool {
        matches!(self, Self::Gtc | Self::Gtd)
    }
}

/// What is sent with an order but not signed.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// The API key.
    pub owner: &'a str,
    /// How long it stays.
    pub order_type: OrderType,
    /// Unix seconds of a GTD order's end; 0 for every other.
    pub expiration_s: u64,
    /// Refused rather than taken when it would cross.
    pub is_post_only: bool,
}

/// Why there is no body.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BodyError {
    /// Would need escapes in JSON, or is empty.
    #[error("{0} is not plain visible ASCII")]
    NotPlain(&'static str),
    /// Would lose digits in a JSON number.
    #[error("salt {0} is above 2^53 - 1")]
    SaltTooLarge(u64),
    /// A GTD order without an end, or an end on another order.
    #[error("{0} orders and expiration_s {1} do not go together")]
    WrongExpiration(&'static str, u64),
    /// Only an order that can rest can be post-only.
    #[error("{0} orders cannot be post-only")]
    PostOnly(&'static str),
    /// Nothing, or more than the venue takes at once.
    #[error("{count} entries; the venue takes 1 to {max}")]
    WrongCount {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

/// The body of `POST /order`.
///
/// # Errors
/// When the venue would refuse it for its form.
pub fn order_body(
    signer: &OrderSigner,
    terms: &OrderTerms<'_>,
    signed: &SignedOrder,
    submission: &Submission<'_>,
) -> Result<Vec<u8>, BodyError> {
    check(terms, submission)?;
    let mut out = Vec::with_capacity(BODY_BYTES + 2 * signed.signature.len());
    push(
        &mut out,
        &[br#"{"deferExec":false,"order":{"builder":""#, ZERO_WORD],
    );
    out.extend_from_slice(br#"","expiration":""#);
    push_decimal(&mut out, submission.expiration_s);
    push(
        &mut out,
        &[br#"","maker":""#, signer.maker(), br#"","makerAmount":""#],
    );
    push_decimal(&mut out, terms.maker_amount_e6);
    push(&mut out, &[br#"","metadata":""#, ZERO_WORD, br#"","salt":"#]);
    push_decimal(&mut out, terms.salt);
    push(&mut out, &[br#","side":""#, terms.side.as_str().as_bytes()]);
    out.extend_from_slice(br#"","signature":"0x"#);
    push_hex(&mut out, &signed.signature);
    out.extend_from_slice(br#"","signatureType":"#);
    push_decimal(&mut out, signer.signature_type().into());
    push(
        &mut out,
        &[br#","signer":""#, signer.signer(), br#"","takerAmount":""#],
    );
    push_decimal(&mut out, terms.taker_amount_e6);
    out.extend_from_slice(br#"","timestamp":""#);
    push_decimal(&mut out, terms.timestamp_ms);
    push(&mut out, &[br#"","tokenId":""#, terms.token.as_str().as_bytes()]);
    push(
        &mut out,
        &[br#""},"orderType":""#, submission.order_type.as_str().as_bytes()],
    );
    push(&mut out, &[br#"","owner":""#, submission.owner.as_bytes(), b"\""]);
    if submission.is_post_only {
        out.extend_from_slice(br#","postOnly":true"#);
    }
    out.push(b'}');
    Ok(out)
}

/// The body of `POST /orders` from the bodies of its orders.
///
/// # Errors
/// When there are none or too many.
pub fn orders_body<B: AsRef<[u8]>>(bodies: &[B]) -> Result<Vec<u8>, BodyError> {
    check_count(bodies.len(), MAX_BATCH)?;
    let mut out = Vec::with_capacity(bodies.iter().map(|body| body.as_ref().len() + 1).sum::<usize>() + 1);
    for (index, body) in bodies.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        out.extend_from_slice(body.as_ref());
    }
    out.push(b']');
    Ok(out)
}

/// The body of `DELETE /order`.
///
/// # Errors
/// When the id is none.
pub fn cancel_order_body(order_id: &str) -> Result<Vec<u8>, BodyError> {
    check_plain("order id", order_id)?;
    Ok([br#"{"orderID":""#, order_id.as_bytes(), br#""}"#].concat())
}

/// The body of `DELETE /orders`.
///
/// # Errors
/// When there are no ids or too many, or one is none.
pub fn cancel_orders_body<S: AsRef<str>>(order_ids: &[S]) -> Result<Vec<u8>, BodyError> {
    check_count(order_ids.len(), MAX_CANCELS)?;
    let mut out = Vec::with_capacity(order_ids.iter().map(|id| id.as_ref().len() + 3).sum::<usize>() + 1);
    for (index, order_id) in order_ids.iter().map(AsRef::as_ref).enumerate() {
        check_plain("order id", order_id)?;
        out.extend_from_slice(if index == 0 { b"[\"" } else { b",\"" });
        push(&mut out, &[order_id.as_bytes(), b"\""]);
    }
    out.push(b']');
    Ok(out)
}

fn check(terms: &OrderTerms<'_>, submission: &Submission<'_>) -> Result<(), BodyError> {
    let Submission {
        owner,
        order_type,
        expiration_s,
        is_post_only,
    } = *submission;
    check_plain("owner", owner)?;
    if terms.salt > MAX_SALT {
        return Err(BodyError::SaltTooLarge(terms.salt));
    }
    if (order_type == OrderType::Gtd) != (expiration_s > 0) {
        return Err(BodyError::WrongExpiration(order_type.as_str(), expiration_s));
    }
    if is_post_only && !order_type.can_rest() {
        return Err(BodyError::PostOnly(order_type.as_str()));
    }
    Ok(())
}

fn check_plain(what: &'static str, text: &str) -> Result<(), BodyError> {
    if is_plain(text) {
        Ok(())
    } else {
        Err(BodyError::NotPlain(what))
    }
}

const fn check_count(count: usize, max: usize) -> Result<(), BodyError> {
    if count == 0 || count > max {
        return Err(BodyError::WrongCount { count, max });
    }
    Ok(())
}

fn push(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}
