//! What the venue says of a signer's bucket in the headers of an answer.
//!
//! `Poly-RateLimit-Remaining` tokens left, negative in debt; `Poly-RateLimit-Reset` Unix second at which the
//! wait of a refused request ends (of an accepted one it may be any time, so it is heeded only where there is a
//! wait); `Poly-RateLimit-Tier`. A field that cannot be read is as good as absent. Source: polymarket.md §6.2.

use super::tier::Tier;

/// A wait longer than this is a misread clock.
const MAX_WAIT_NS: u64 = 60_000_000_000;

/// The headers of one answer, as texts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `Poly-RateLimit-Remaining`.
    pub remaining: Option<&'a str>,
    /// `Poly-RateLimit-Reset`.
    pub reset: Option<&'a str>,
    /// `Poly-RateLimit-Tier`.
    pub tier: Option<&'a str>,
    /// Whether the answer was 429.
    pub is_refused: bool,
}

/// What the headers come to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Report {
    pub remaining: Option<f64>,
    pub wait_ns: Option<u64>,
    pub tier: Option<Tier>,
}

impl Headers<'_> {
    /// Read them; `venue_ms` is the venue's clock.
    pub(super) fn report(&self, venue_ms: u64) -> Report {
        let remaining = self.remaining.and_then(number);
        let must_wait = self.is_refused || remaining.is_some_and(|tokens| tokens < 1.0);
        let wait_ns = self.reset.filter(|_| must_wait).and_then(number).map(|reset_s| {
            let wait_ms = (reset_s * 1_000.0 - venue_ms as f64).max(0.0);
            ((wait_ms * 1e6) as u64).min(MAX_WAIT_NS)
        });
        Report {
            remaining,
            wait_ns,
            tier: self.tier.and_then(Tier::parse),
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}
