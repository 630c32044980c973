//! The books of all markets one feed holds: one call a frame, the changed markets out.

mod apply;
mod directory;
mod market;

use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::book::Book;
use crate::decode::{FrameError, decode_books, decode_frame};
use crate::features::Flow;
use crate::ladder::Level;
use crate::scan::{Kind, Scanned, scan};
use crate::units::{Outcome, Side, is_tick_e4};
use crate::witness::{Doubts, Witness};
use directory::Directory;
use market::{Market, Pace};

pub use market::{BookTop, HashTerms, SHOWN_LEVELS, Shown};

/// Why a market cannot be added or found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MarketError {
    /// The condition id is held already.
    #[error("market {0:?} is held already")]
    AlreadyHeld(String),
    /// The condition id is not held.
    #[error("market {0:?} is not held")]
    NotHeld(String),
    /// A token is already another outcome's.
    #[error("token {0:?} already belongs to an outcome")]
    TokenTaken(String),
    /// A token is empty or has other characters than letters and digits.
    #[error("token {0:?} is not made of letters and digits")]
    InvalidToken(String),
    /// No such tick can exist.
    #[error("tick {0} (in 1e-4) does not divide 1")]
    InvalidTick(u16),
}

/// Place of a market in its [`Books`]; free again after removal.
pub type Slot = usize;

/// Books by market, fed by the frames of one connection.
#[derive(Debug, Default)]
pub struct Books {
    markets: Vec<Option<Market>>,
    slots: FxHashMap<String, Slot>,
    directory: Directory,
    scanned: Scanned<(Slot, Outcome)>,
    touched: Vec<Slot>,
    changed: Vec<Slot>,
    unread: Vec<Slot>,
    hash_text: Vec<u8>,
    ignored_events: u64,
}

impl Books {
    /// No markets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hold a market from now on; without `terms` its hashes cannot be compared.
    ///
    /// # Errors
    /// When the market or a token is held already, the tick cannot exist, or a token is no plain text.
    pub fn add_market(
        &mut self,
        condition_id: &str,
        [yes_token, no_token]: [&str; 2],
        tick_e4: u16,
        terms: Option<HashTerms>,
    ) -> Result<Slot, MarketError> {
        if self.slots.contains_key(condition_id) {
            return Err(MarketError::AlreadyHeld(condition_id.to_owned()));
        }
        for token in [yes_token, no_token] {
            if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(MarketError::InvalidToken(token.to_owned()));
            }
            if self.directory.places.contains_key(token.as_bytes()) {
                return Err(MarketError::TokenTaken(token.to_owned()));
            }
        }
        if yes_token == no_token {
            return Err(MarketError::TokenTaken(no_token.to_owned()));
        }
        if !is_tick_e4(tick_e4) {
            return Err(MarketError::InvalidTick(tick_e4));
        }
        let slot = self.markets.iter().position(Option::is_none).unwrap_or_else(|| {
            self.markets.push(None);
            self.markets.len() - 1
        });
        self.markets[slot] = Some(Market {
            condition_id: condition_id.to_owned(),
            tokens: [yes_token.to_owned(), no_token.to_owned()],
            terms,
            book: Book::new(tick_e4),
            witness: Witness::default(),
            reported: Doubts::default(),
            flow: Flow::default(),
            pace: Pace::default(),
            sequence: 0,
            received_ns: 0,
            is_touched: false,
            is_changed: false,
            is_unread: false,
            speaks: false,
            spoke_ns: None,
            winner: None,
        });
        self.slots.insert(condition_id.to_owned(), slot);
        self.directory.add(slot, [yes_token, no_token]);
        Ok(slot)
    }

    /// Stop holding a market.
    ///
    /// # Errors
    /// When it is not held.
    pub fn remove_market(&mut self, condition_id: &str) -> Result<Slot, MarketError> {
        let slot = self.slot(condition_id)?;
        if let Some(market) = self.markets[slot].take() {
            self.slots.remove(&market.condition_id);
            self.directory.remove(slot);
            self.unread.retain(|&unread| unread != slot);
        }
        Ok(slot)
    }

    /// The connection is lost: every book is invalid until its next snapshot, in a new epoch.
    pub fn reset(&mut self) {
        for market in self.markets.iter_mut().flatten() {
            market.reset();
        }
    }

    /// One market's connection is lost.
    ///
    /// # Errors
    /// When it is not held.
    pub fn reset_market(&mut self, condition_id: &str) -> Result<(), MarketError> {
        let slot = self.slot(condition_id)?;
        if let Some(market) = &mut self.markets[slot] {
            market.reset();
        }
        Ok(())
    }

    /// Events so far of an unknown type or about a market or token that is not held.
    #[must_use]
    pub const fn ignored_events(&self) -> u64 {
        self.ignored_events
    }

    /// How many hashes agreed and differed when they were compared, over the markets held now.
    #[must_use]
    pub fn hashes_compared(&self) -> (u64, u64) {
        let held = self.markets.iter().flatten();
        held.fold((0, 0), |(agreed, differed), market| {
            (agreed + market.witness.agreed, differed + market.witness.differed)
        })
    }

    /// The current top of one book.
    ///
    /// # Errors
    /// When the market is not held.
    pub fn top(&self, condition_id: &str) -> Result<BookTop, MarketError> {
        let (slot, market) = self.market(condition_id)?;
        Ok(market.top(slot))
    }

    /// The best `depth` bids and asks of one book, best first.
    ///
    /// # Errors
    /// When the market is not held.
    pub fn levels(&self, condition_id: &str, depth: usize) -> Result<(Vec<Level>, Vec<Level>), MarketError> {
        let (_, market) = self.market(condition_id)?;
        let side = |side| market.book.levels(side).take(depth).collect();
        Ok((side(Side::Buy), side(Side::Sell)))
    }

    /// Markets that have been silent for longer than `factor` times their longest usual gap and than `least_ns`.
    #[must_use]
    pub fn silent(&self, now_ns: u64, factor: f64, least_ns: u64) -> Vec<Slot> {
        let held = self.markets.iter().enumerate();
        held.filter_map(|(slot, market)| Some((slot, market.as_ref()?)))
            .filter(|(_, market)| {
                let usual_until_ns = market.pace.usual_until_ns(factor, least_ns);
                usual_until_ns.is_some_and(|until_ns| now_ns > until_ns)
            })
            .map(|(slot, _)| slot)
            .collect()
    }

    /// Until when no other market will be [`Self::silent`]; None when only those can be that are.
    #[must_use]
    pub fn next_silence_ns(&self, now_ns: u64, factor: f64, least_ns: u64) -> Option<u64> {
        let held = self.markets.iter().flatten();
        held.filter_map(|market| market.pace.usual_until_ns(factor, least_ns))
            .filter(|&until_ns| until_ns >= now_ns)
            .min()
    }

    /// Decode a frame and apply all of it, or none of it.
    ///
    /// Returns the markets whose state it changed, in the order they were first touched. What the states are,
    /// [`Books::changed`] says: under load many frames go by before anyone asks.
    ///
    /// # Errors
    /// When the frame cannot be decoded or decides a market for a foreign token.
    pub fn apply(&mut self, frame: &[u8], received_ns: u64) -> Result<&[Slot], FrameError> {
        match scan(frame, &self.directory, &mut self.scanned) {
            Some(Kind::PriceChange) => self.apply_changes(received_ns),
            Some(Kind::Book) => self.apply_book(received_ns),
            None => {
                let events = decode_frame(frame)?;
                self.apply_events(events, received_ns)?;
            }
        }
        Ok(self.finish(received_ns))
    }

    /// The state of every market that changed since the last call.
    pub fn changed(&mut self) -> impl Iterator<Item = BookTop> + '_ {
        let markets = &mut self.markets;
        self.unread.drain(..).filter_map(|slot| {
            let market = markets[slot].as_mut()?;
            market.is_unread = false;
            Some(market.top(slot))
        })
    }

    /// Apply books that were asked for, as REST lists them; returns the markets that were not as the books say.
    ///
    /// A book that is older than what its market heard since changes nothing: only the levels without a later
    /// change are compared.
    ///
    /// # Errors
    /// When the text is no list of books.
    pub fn apply_listing(&mut self, body: &[u8], received_ns: u64) -> Result<&[Slot], FrameError> {
        let events = decode_books(body)?;
        self.apply_events(events, received_ns)?;
        for &slot in &self.touched {
            if let Some(market) = &mut self.markets[slot] {
                // The venue has nothing newer: the market is quiet. What differs, the stream has missed.
                if !market.is_changed {
                    market.pace.hear(received_ns);
                }
            }
        }
        Ok(self.finish(received_ns))
    }

    /// When the stream last brought a change or a trade of a market, None before.
    ///
    /// # Errors
    /// When the market is not held.
    pub fn spoke_ns(&self, condition_id: &str) -> Result<Option<u64>, MarketError> {
        Ok(self.market(condition_id)?.1.spoke_ns)
    }

    /// Compare the newest hash of every market that changed since its last comparison.
    ///
    /// Returns the markets whose doubts are others than at the last call.
    pub fn compare(&mut self) -> &[Slot] {
        self.changed.clear();
        for (slot, market) in self.markets.iter_mut().enumerate() {
            let Some(market) = market else { continue };
            market.compare(&mut self.hash_text);
            if market.reported != market.witness.doubts {
                market.reported = market.witness.doubts;
                self.changed.push(slot);
            }
        }
        &self.changed
    }

    /// The hash of one token's book as it is now; None while the book waits or its terms are unknown.
    ///
    /// # Errors
    /// When the market is not held.
    pub fn hash(
        &mut self,
        condition_id: &str,
        outcome: Outcome,
        server_ms: u64,
        last_trade_e4: Option<u16>,
    ) -> Result<Option<crate::scan::HashText>, MarketError> {
        let slot = self.slot(condition_id)?;
        let text = &mut self.hash_text;
        Ok(self.markets[slot]
            .as_ref()
            .and_then(|market| market.hash(outcome, server_ms, last_trade_e4, text)))
    }

    fn slot(&self, condition_id: &str) -> Result<Slot, MarketError> {
        let not_held = || MarketError::NotHeld(condition_id.to_owned());
        self.slots.get(condition_id).copied().ok_or_else(not_held)
    }

    fn market(&self, condition_id: &str) -> Result<(Slot, &Market), MarketError> {
        let slot = self.slot(condition_id)?;
        let not_held = || MarketError::NotHeld(condition_id.to_owned());
        self.markets[slot]
            .as_ref()
            .map(|market| (slot, market))
            .ok_or_else(not_held)
    }
}
