//! What the venue itself says about a book it sends in pieces: its best bid and ask, and the hash of the whole book.
//!
//! Both belong to the newest message of a market. A disagreement is no verdict: messages arrive out of order, the
//! hash covers a trade that is reported later, and 5 to 25 % of the recorded ones cannot be followed. It begins a
//! doubt, with its time; the next agreement ends it. Who reads the doubt decides how old it may become.

use crate::features::Touch;
use crate::scan::HashText;
use crate::units::{Outcome, PRICE_ONE_E4};

const REMEMBERED: usize = 16;

/// Since when the book and what the venue says of it disagree (time of receipt), None while they agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Doubts {
    /// The best bid or ask differs.
    pub touch_ns: Option<u64>,
    /// The hash differs.
    pub hash_ns: Option<u64>,
}

/// The hash that awaits its comparison.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// The hash.
    pub hash: HashText,
    /// Whose book it is of.
    pub outcome: Outcome,
    /// Server time of its message.
    pub server_ms: u64,
    /// Price of its message's first entry: the last trade price, if this change is a trade.
    pub first_price_e4: Option<u16>,
    /// When its message was received.
    pub received_ns: u64,
}

/// The witnesses of one market.
#[derive(Debug, Default)]
pub struct Witness {
    /// Open doubts.
    pub doubts: Doubts,
    /// Server time at which a hash last agreed, 0 before the first.
    pub proven_ms: u64,
    /// Hashes that agreed.
    pub agreed: u64,
    /// Hashes that did not when they were compared.
    pub differed: u64,
    /// Last trade price in the resting order's token; the outer None is a market that has not said yet.
    pub last_trade_e4: Option<Option<u16>>,
    claim: Option<Claim>,
    is_compared: bool,
    touch_e4: Option<(u16, u16)>,
    touch_ms: u64,
    recent: [(u64, u16); REMEMBERED],
    next: usize,
}

impl Witness {
    /// Nothing is known any more; what was counted stays.
    pub fn reset(&mut self) {
        *self = Self {
            agreed: self.agreed,
            differed: self.differed,
            ..Self::default()
        };
    }

    /// Take the venue's touch in the YES frame (0 and 1e4 are empty sides) as of a server time.
    pub const fn claim_touch(&mut self, bid_e4: u16, ask_e4: u16, server_ms: u64) {
        if server_ms >= self.touch_ms {
            self.touch_e4 = Some((bid_e4, ask_e4));
            self.touch_ms = server_ms;
        }
    }

    /// Take a hash, unless a newer one is held.
    pub fn claim_hash(&mut self, claim: Claim) {
        if let Some(price_e4) = claim.first_price_e4 {
            self.recent[self.next] = (beginning(&claim.hash), price_e4);
            self.next = (self.next + 1) % REMEMBERED;
        } else if let Some(price_e4) = self.trade_behind(&claim.hash) {
            self.last_trade_e4 = Some(Some(price_e4));
        }
        if self.claim.is_none_or(|held| claim.server_ms >= held.server_ms) {
            self.claim = Some(claim);
        }
    }

    /// The book changed: what was compared is to be compared again.
    pub fn book_changed(&mut self, touch: Touch, received_ns: u64) {
        self.is_compared = false;
        let Some(claimed) = self.touch_e4 else { return };
        let own = (
            touch.bid.map_or(0, |level| level.price_e4),
            touch.ask.map_or(PRICE_ONE_E4, |level| level.price_e4),
        );
        if own == claimed {
            self.doubts.touch_ns = None;
        } else if self.doubts.touch_ns.is_none() {
            self.doubts.touch_ns = Some(received_ns);
        }
    }

    /// The hash to compare now, None when there is none or it was compared against this very book.
    pub fn due(&mut self) -> Option<Claim> {
        if std::mem::replace(&mut self.is_compared, true) {
            return None;
        }
        self.claim
    }

    /// What the comparison of `claim` gave.
    pub const fn compared(&mut self, claim: &Claim, is_equal: bool) {
        if is_equal {
            self.agreed += 1;
            self.proven_ms = claim.server_ms;
            self.doubts = Doubts {
                touch_ns: None,
                hash_ns: None,
            };
        } else {
            self.differed += 1;
            if self.doubts.hash_ns.is_none() {
                self.doubts.hash_ns = Some(claim.received_ns);
            }
        }
    }

    /// A `book` with the hash of an earlier change shows that this change was a trade, and its price (decision 5).
    fn trade_behind(&self, hash: &HashText) -> Option<u16> {
        let wanted = beginning(hash);
        self.recent
            .iter()
            .find_map(|&(known, price_e4)| (known == wanted && price_e4 != 0).then_some(price_e4))
    }
}

/// Enough of a hash to tell sixteen apart.
fn beginning(hash: &HashText) -> u64 {
    hash.first_chunk::<8>()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
