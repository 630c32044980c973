//! Orders as the venue takes them: rounded, hashed, signed and written, in that order.
//!
//! ```text
//! (price, size, side, tick) → amounts → typed data → signature → body → HMAC → headers
//! ```
//!
//! CLOB V2 orders of all four signature types and of session signers. Salt and timestamps are arguments: the same
//! arguments give the same bytes. Sources: polymarket.md §1.2–§1.3, §2, §3.1, §3.4, §3.5, and the venue's two
//! official Python clients, which the tests compare with.

pub mod address;
pub mod amounts;
pub mod batch;
pub mod body;
pub mod headers;
pub mod hmac;
pub mod signing;
mod text;
pub mod typed_data;
pub mod wallet;

pub use text::prefixed_hex;
