//! The books of all markets one feed holds: one call a frame, the changed markets out.

mod directory;
mod market;

use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::book::{Book, Snapshot};
use crate::decode::{Event, FrameError, decode_books, decode_frame};
use crate::features::Flow;
use crate::ladder::Level;
use crate::scan::{Kind, Scanned, ScannedChange, Tokens, scan};
use crate::units::{Outcome, Side, is_tick_e4, mirror_price_e4};
use crate::witness::{Claim, Doubts, Witness};
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

/// A trade in the YES frame.
#[derive(Clone, Copy)]
struct TradePrint {
    slot: Slot,
    side: Side,
    level: Level,
    server_ms: u64,
    received_ns: u64,
}

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

    fn apply_events(&mut self, events: Vec<Event>, received_ns: u64) -> Result<(), FrameError> {
        for event in &events {
            self.check_winner(event)?;
        }
        for event in events {
            match event {
                Event::LastTradePrice {
                    token,
                    side,
                    price_e4,
                    size_e6,
                    server_ms,
                } => {
                    let Some((slot, outcome)) = self.find_token(&token) else {
                        continue;
                    };
                    let (side, price_e4) = outcome.to_yes_frame(side, price_e4);
                    let level = Level { price_e4, size_e6 };
                    self.take_print(&TradePrint {
                        slot,
                        side,
                        level,
                        server_ms,
                        received_ns,
                    });
                }
                Event::MarketResolved {
                    market,
                    winning_token,
                    ..
                } => {
                    if !self.slots.contains_key(&*market) {
                        self.ignored_events += 1;
                    } else if let Some((slot, winner)) = self.find_token(&winning_token) {
                        if let Some(market) = touch_market(&mut self.markets, &mut self.touched, slot) {
                            market.is_changed |= market.winner.replace(winner) != Some(winner);
                        }
                    }
                }
                Event::Book {
                    token,
                    bids,
                    asks,
                    tick_e4,
                    last_trade_e4,
                    hash,
                    server_ms,
                } => {
                    let scanned = &mut self.scanned;
                    (scanned.bids, scanned.asks) = (bids, asks);
                    scanned.token = Some(self.directory.find(token.as_bytes()));
                    (scanned.tick_e4, scanned.last_trade_e4) = (tick_e4, last_trade_e4);
                    (scanned.hash, scanned.server_ms) = (hash, server_ms);
                    self.apply_book(received_ns);
                }
                Event::PriceChange { changes, server_ms } => {
                    self.scanned.changes.clear();
                    for change in changes {
                        self.scanned.changes.push(ScannedChange {
                            token: self.directory.find(change.token.as_bytes()),
                            side: change.side,
                            level: change.level,
                            touch_e4: change.touch_e4,
                            hash: change.hash,
                        });
                    }
                    self.scanned.server_ms = server_ms;
                    self.apply_changes(received_ns);
                }
                Event::TickSizeChange {
                    token,
                    tick_e4,
                    server_ms,
                } => {
                    let Some((slot, _)) = self.find_token(&token) else {
                        continue;
                    };
                    if let Some(market) = touch_market(&mut self.markets, &mut self.touched, slot) {
                        if market.book.apply_tick(tick_e4, server_ms) {
                            market.is_changed = true;
                            market.witness.reset();
                            market.flow.interrupt();
                        }
                    }
                }
                Event::Unknown => self.ignored_events += 1,
                Event::Notice => {}
            }
        }
        Ok(())
    }

    /// Apply the scanned `price_change`.
    #[inline]
    fn apply_changes(&mut self, received_ns: u64) {
        let (server_ms, mut is_foreign) = (self.scanned.server_ms, false);
        for at in 0..self.scanned.changes.len() {
            let change = &self.scanned.changes[at];
            let Some((slot, outcome)) = change.token else {
                is_foreign = true;
                continue;
            };
            let Some(market) = touch_market(&mut self.markets, &mut self.touched, slot) else {
                continue;
            };
            let (side, price_e4) = outcome.to_yes_frame(change.side, change.level.price_e4);
            let size_e6 = change.level.size_e6;
            market.is_changed |= market
                .book
                .apply_change(side, Level { price_e4, size_e6 }, server_ms);
            market.speaks = true;
            if let (Some(bid_e4), Some(ask_e4)) = change.touch_e4 {
                let (bid_e4, ask_e4) = match outcome {
                    Outcome::Yes => (bid_e4, ask_e4),
                    Outcome::No => (mirror_price_e4(ask_e4), mirror_price_e4(bid_e4)),
                };
                market.witness.claim_touch(bid_e4, ask_e4, server_ms);
            }
            if let Some(hash) = change.hash {
                // The resting order's token leads, so the first entry has the last trade price's terms.
                let first = self
                    .scanned
                    .changes
                    .iter()
                    .find(|first| first.token.is_some_and(|(first_slot, _)| first_slot == slot));
                market.witness.claim_hash(Claim {
                    hash,
                    outcome,
                    server_ms,
                    first_price_e4: first.map(|first| first.level.price_e4),
                    received_ns,
                });
            }
        }
        self.ignored_events += u64::from(is_foreign);
    }

    /// Apply the scanned `book`.
    fn apply_book(&mut self, received_ns: u64) {
        let scanned = &mut self.scanned;
        let Some((slot, outcome)) = scanned.token.flatten() else {
            self.ignored_events += 1;
            return;
        };
        let Some(market) = touch_market(&mut self.markets, &mut self.touched, slot) else {
            return;
        };
        if outcome == Outcome::No {
            std::mem::swap(&mut scanned.bids, &mut scanned.asks);
            for level in scanned.bids.iter_mut().chain(&mut scanned.asks) {
                level.price_e4 = mirror_price_e4(level.price_e4);
            }
        }
        let snapshot = Snapshot {
            bids: &scanned.bids,
            asks: &scanned.asks,
            tick_e4: scanned.tick_e4,
            server_ms: scanned.server_ms,
        };
        // The first book begins the wait for the stream's first word.
        market.pace.heard_ns.get_or_insert(received_ns);
        let epoch = market.book.epoch();
        market.is_changed |= market.book.apply_snapshot(&snapshot);
        if market.book.epoch() != epoch {
            market.flow.interrupt();
        }
        let best = |levels: &[Level], is_better: fn(u16, u16) -> bool| {
            levels
                .iter()
                .filter(|level| level.size_e6 > 0)
                .map(|level| level.price_e4)
                .reduce(|best, price| if is_better(price, best) { price } else { best })
        };
        let bid_e4 = best(snapshot.bids, |price, best| price > best).unwrap_or(0);
        let ask_e4 = best(snapshot.asks, |price, best| price < best);
        let ask_e4 = ask_e4.unwrap_or(crate::units::PRICE_ONE_E4);
        market.witness.claim_touch(bid_e4, ask_e4, snapshot.server_ms);
        if let Some(hash) = scanned.hash {
            market.witness.claim_hash(Claim {
                hash,
                outcome,
                server_ms: snapshot.server_ms,
                first_price_e4: None,
                received_ns,
            });
        }
        // What a book says itself counts for more than what its hash seems to say: a listing of a quiet market has
        // the hash of the last change, trade or not.
        if let Some(last_trade_e4) = scanned.last_trade_e4 {
            market.witness.last_trade_e4 = Some(last_trade_e4);
        }
    }

    fn take_print(&mut self, print: &TradePrint) {
        if let Some(market) = &mut self.markets[print.slot] {
            // A buyer takes asks: what is left of them near the touch stands beside what was taken.
            let near_e6 = market
                .book
                .levels(print.side.opposite())
                .take(SHOWN_LEVELS)
                .fold(0, |sum: u64, level| sum.saturating_add(level.size_e6));
            market.flow.take_trade(
                print.side,
                print.level.size_e6,
                near_e6,
                print.server_ms,
                print.received_ns,
            );
            market.pace.hear(print.received_ns);
            market.spoke_ns = Some(print.received_ns);
        }
    }

    /// Bring what a frame touched to its end; what of it changed.
    #[inline]
    fn finish(&mut self, received_ns: u64) -> &[Slot] {
        self.changed.clear();
        for slot in self.touched.drain(..) {
            let Some(market) = &mut self.markets[slot] else {
                continue;
            };
            market.is_touched = false;
            if std::mem::take(&mut market.speaks) {
                market.pace.hear(received_ns);
                market.spoke_ns = Some(received_ns);
            }
            let touch = market.book.touch();
            market.witness.book_changed(touch, received_ns);
            if !std::mem::take(&mut market.is_changed) {
                continue;
            }
            market.flow.take_touch(touch, received_ns);
            market.sequence += 1;
            market.received_ns = received_ns;
            if !std::mem::replace(&mut market.is_unread, true) {
                self.unread.push(slot);
            }
            self.changed.push(slot);
        }
        &self.changed
    }

    fn check_winner(&self, event: &Event) -> Result<(), FrameError> {
        let Event::MarketResolved {
            market,
            winning_token,
            ..
        } = event
        else {
            return Ok(());
        };
        let Some(slot) = self.slots.get(&**market) else {
            return Ok(());
        };
        if self
            .directory
            .find(winning_token.as_bytes())
            .is_some_and(|(of, _)| of == *slot)
        {
            return Ok(());
        }
        let (market, token) = (market.to_string(), winning_token.to_string());
        Err(FrameError::ForeignWinner { market, token })
    }

    /// Look a token up, counting the event as ignored when it is nobody's.
    fn find_token(&mut self, token: &str) -> Option<(Slot, Outcome)> {
        let found = self.directory.find(token.as_bytes());
        self.ignored_events += u64::from(found.is_none());
        found
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

/// One market a frame speaks of, noted once a frame.
#[inline]
fn touch_market<'a>(
    markets: &'a mut [Option<Market>],
    touched: &mut Vec<Slot>,
    slot: Slot,
) -> Option<&'a mut Market> {
    let market = markets[slot].as_mut()?;
    if !std::mem::replace(&mut market.is_touched, true) {
        touched.push(slot);
    }
    Some(market)
}
