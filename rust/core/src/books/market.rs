//! One market: its book, what the venue claims of it, what flows through it, and its top as others see it.

use super::Slot;
use crate::book::{Book, Invalidity};
use crate::book_hash::{HashedTerms, book_hash};
use crate::features::{Flow, FlowState, Touch};
use crate::ladder::Level;
use crate::scan::HashText;
use crate::units::{Outcome, Side};
use crate::witness::{Doubts, Witness};

/// How many levels of a side a state shows.
pub const SHOWN_LEVELS: usize = 3;
/// A longest gap between two frames of a market fades by this share with each frame.
const GAP_FADING: f64 = 0.97;
/// A market whose pace is not known yet is silent after this.
const STRANGER_NS: u64 = 500_000_000;
/// Gaps before there is a usual one.
const LEAST_GAPS: u32 = 8;

/// What a book's hash covers and no frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashTerms {
    /// Smallest order in 1e-6 shares.
    pub min_size_e6: u64,
    /// Whether the market belongs to a group of exclusive ones.
    pub is_neg_risk: bool,
}

/// The best levels of one side, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    levels: [Level; SHOWN_LEVELS],
    count: usize,
}

impl Shown {
    pub(crate) fn of(levels: impl Iterator<Item = Level>) -> Self {
        let mut shown = Self::default();
        for level in levels.take(SHOWN_LEVELS) {
            shown.levels[shown.count] = level;
            shown.count += 1;
        }
        shown
    }

    /// The levels, best first.
    #[must_use]
    pub fn levels(&self) -> &[Level] {
        &self.levels[..self.count]
    }
}

/// The top of one book after a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BookTop {
    /// Which market.
    pub slot: Slot,
    /// Number of changed states of this market so far.
    pub sequence: u64,
    /// Number of resets and tick changes so far.
    pub epoch: u64,
    /// When the last frame that changed the state was received.
    pub received_ns: u64,
    /// Newest server time applied in this epoch, 0 before the first.
    pub server_ms: u64,
    /// Tick in 1e-4.
    pub tick_e4: u16,
    /// Best bids.
    pub bids: Shown,
    /// Best asks.
    pub asks: Shown,
    /// Why not to quote, None when the book is valid.
    pub invalidity: Option<Invalidity>,
    /// A number that equal books share and different ones practically never do.
    pub fingerprint: u64,
    /// Since when the venue says otherwise.
    pub doubts: Doubts,
    /// Server time at which the venue's hash last agreed, 0 before the first.
    pub proven_ms: u64,
    /// What flows through the market.
    pub flow: FlowState,
    /// Outcome that pays 1, None while the market is undecided.
    pub winner: Option<Outcome>,
}

impl BookTop {
    /// Best levels.
    #[must_use]
    pub fn touch(&self) -> Touch {
        Touch {
            bid: self.bids.levels().first().copied(),
            ask: self.asks.levels().first().copied(),
        }
    }
}

/// How often a market speaks.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pub(super) heard_ns: Option<u64>,
    longest_gap_ns: f64,
    gaps: u32,
}

impl Pace {
    pub(super) fn hear(&mut self, now_ns: u64) {
        if let Some(heard_ns) = self.heard_ns.replace(now_ns) {
            let gap_ns = now_ns.saturating_sub(heard_ns) as f64;
            self.longest_gap_ns = gap_ns.max(self.longest_gap_ns * GAP_FADING);
            self.gaps = self.gaps.saturating_add(1);
        }
    }

    /// Until when its silence is nothing unusual; None while it has not spoken.
    pub(super) fn usual_until_ns(&self, factor: f64, least_ns: u64) -> Option<u64> {
        let least_ns = if self.gaps < LEAST_GAPS {
            STRANGER_NS
        } else {
            least_ns
        };
        let usual_ns = (self.longest_gap_ns * factor).max(least_ns as f64);
        Some(self.heard_ns?.saturating_add(usual_ns as u64))
    }
}

#[derive(Debug)]
pub(super) struct Market {
    pub(super) condition_id: String,
    pub(super) tokens: [String; 2],
    pub(super) terms: Option<HashTerms>,
    pub(super) book: Book,
    pub(super) witness: Witness,
    pub(super) reported: Doubts,
    pub(super) flow: Flow,
    pub(super) pace: Pace,
    pub(super) sequence: u64,
    pub(super) received_ns: u64,
    pub(super) is_touched: bool,
    pub(super) is_changed: bool,
    pub(super) is_unread: bool,
    /// A book answers a question or repeats a change; only changes and trades show that the stream flows.
    pub(super) speaks: bool,
    pub(super) spoke_ns: Option<u64>,
    pub(super) winner: Option<Outcome>,
}

impl Market {
    pub(super) fn top(&self, slot: Slot) -> BookTop {
        BookTop {
            slot,
            sequence: self.sequence,
            epoch: self.book.epoch(),
            received_ns: self.received_ns,
            server_ms: self.book.server_ms(),
            tick_e4: self.book.tick_e4(),
            bids: Shown::of(self.book.levels(Side::Buy)),
            asks: Shown::of(self.book.levels(Side::Sell)),
            invalidity: self.book.invalidity(),
            fingerprint: self.book.fingerprint(),
            doubts: self.witness.doubts,
            proven_ms: self.witness.proven_ms,
            flow: self.flow.state(self.received_ns),
            winner: self.winner,
        }
    }

    pub(super) fn reset(&mut self) {
        self.book.reset();
        self.witness.reset();
        self.flow.interrupt();
        self.pace = Pace::default();
    }

    pub(super) fn compare(&mut self, text: &mut Vec<u8>) {
        if self.terms.is_none() || self.book.invalidity().is_some() {
            return;
        }
        let Some(claim) = self.witness.due() else { return };
        let Some(last_trade_e4) = self.witness.last_trade_e4 else {
            return;
        };
        let is_own = |last_trade_e4, text: &mut Vec<u8>| {
            self.hash(claim.outcome, claim.server_ms, last_trade_e4, text) == Some(claim.hash)
        };
        let mut is_equal = is_own(last_trade_e4, text);
        if !is_equal && claim.first_price_e4.is_some() && is_own(claim.first_price_e4, text) {
            is_equal = true;
            self.witness.last_trade_e4 = Some(claim.first_price_e4);
        }
        self.witness.compared(&claim, is_equal);
    }

    pub(super) fn hash(
        &self,
        outcome: Outcome,
        server_ms: u64,
        last_trade_e4: Option<u16>,
        text: &mut Vec<u8>,
    ) -> Option<HashText> {
        let terms = self.terms?;
        let hashed = HashedTerms {
            market: &self.condition_id,
            token: &self.tokens[usize::from(outcome == Outcome::No)],
            server_ms,
            min_size_e6: terms.min_size_e6,
            tick_e4: self.book.tick_e4(),
            is_neg_risk: terms.is_neg_risk,
            last_trade_e4,
        };
        let (bids, asks) = (
            self.book.worst_first(outcome.to_yes_frame(Side::Buy, 0).0),
            self.book.worst_first(outcome.to_yes_frame(Side::Sell, 0).0),
        );
        let in_frame = |level: Level| Level {
            price_e4: outcome.to_yes_frame(Side::Buy, level.price_e4).1,
            ..level
        };
        Some(book_hash(&hashed, bids.map(in_frame), asks.map(in_frame), text))
    }
}
