//! The books of all markets one feed holds: one call a frame, the changed markets out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::book::{Book, Invalidity, Snapshot};
use crate::book_hash::{HashedTerms, book_hash};
use crate::decode::{Event, FrameError, decode_books, decode_frame};
use crate::features::{Flow, FlowState, Touch};
use crate::ladder::Level;
use crate::scan::{Kind, Scanned, ScannedChange, Tokens, scan};
use crate::units::{Outcome, Side, is_tick_e4, mirror_price_e4};
use crate::witness::{Claim, Doubts, Witness};

/// How many levels of a side a state shows.
pub const SHOWN_LEVELS: usize = 3;
/// A longest gap between two frames of a market fades by this share with each frame.
const GAP_FADING: f64 = 0.97;
/// A market whose pace is not known yet is silent after this.
const STRANGER_NS: u64 = 500_000_000;
/// Gaps before there is a usual one.
const LEAST_GAPS: u32 = 8;

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

/// A trade in the YES frame.
#[derive(Clone, Copy)]
struct TradePrint {
    slot: Slot,
    side: Side,
    level: Level,
    server_ms: u64,
    received_ns: u64,
}

/// How often a market speaks.
#[derive(Debug, Default)]
struct Pace {
    heard_ns: Option<u64>,
    longest_gap_ns: f64,
    gaps: u32,
}

impl Pace {
    fn hear(&mut self, now_ns: u64) {
        if let Some(heard_ns) = self.heard_ns.replace(now_ns) {
            let gap_ns = now_ns.saturating_sub(heard_ns) as f64;
            self.longest_gap_ns = gap_ns.max(self.longest_gap_ns * GAP_FADING);
            self.gaps = self.gaps.saturating_add(1);
        }
    }

    fn is_unusual(&self, now_ns: u64, factor: f64, least_ns: u64) -> bool {
        let Some(heard_ns) = self.heard_ns else {
            return false;
        };
        let least_ns = if self.gaps < LEAST_GAPS {
            STRANGER_NS
        } else {
            least_ns
        };
        now_ns.saturating_sub(heard_ns) as f64 > (self.longest_gap_ns * factor).max(least_ns as f64)
    }
}

#[derive(Debug)]
struct Market {
    condition_id: String,
    tokens: [String; 2],
    terms: Option<HashTerms>,
    book: Book,
    witness: Witness,
    reported: Doubts,
    flow: Flow,
    pace: Pace,
    sequence: u64,
    received_ns: u64,
    is_touched: bool,
    is_changed: bool,
    is_unread: bool,
    /// A book answers a question or repeats a change; only changes and trades show that the stream flows.
    speaks: bool,
    spoke_ns: Option<u64>,
    winner: Option<Outcome>,
}

/// Which token is whose; the market of the last token is tried first, because a message speaks of one market.
#[derive(Debug, Default)]
struct Directory {
    places: FxHashMap<Arc<[u8]>, (Slot, Outcome)>,
    texts: Vec<[Arc<[u8]>; 2]>,
    last: AtomicUsize,
}

impl Directory {
    fn add(&mut self, slot: Slot, tokens: [&str; 2]) {
        let texts = tokens.map(|token| Arc::from(token.as_bytes()));
        for (text, outcome) in texts.iter().zip([Outcome::Yes, Outcome::No]) {
            self.places.insert(Arc::clone(text), (slot, outcome));
        }
        if slot == self.texts.len() {
            self.texts.push(texts);
        } else {
            self.texts[slot] = texts;
        }
    }

    fn remove(&mut self, slot: Slot) {
        for text in std::mem::take(&mut self.texts[slot]) {
            self.places.remove(&text);
        }
    }
}

impl Tokens for Directory {
    type Found = (Slot, Outcome);

    #[inline]
    fn find(&self, token: &[u8]) -> Option<(Slot, Outcome)> {
        let found = self.places.get(token).copied();
        if let Some((slot, _)) = found {
            self.last.store(slot, Ordering::Relaxed);
        }
        found
    }

    #[inline]
    fn guess(&self, text: &[u8]) -> Option<((Slot, Outcome), usize)> {
        let slot = self.last.load(Ordering::Relaxed);
        let [yes, no] = self.texts.get(slot)?;
        [(yes, Outcome::Yes), (no, Outcome::No)]
            .into_iter()
            .find(|(token, _)| {
                !token.is_empty() && text.starts_with(token) && text.get(token.len()) == Some(&b'"')
            })
            .map(|(token, outcome)| ((slot, outcome), token.len()))
    }
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
            .filter(|(_, market)| market.pace.is_unusual(now_ns, factor, least_ns))
            .map(|(slot, _)| slot)
            .collect()
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

impl Market {
    fn top(&self, slot: Slot) -> BookTop {
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

    fn reset(&mut self) {
        self.book.reset();
        self.witness.reset();
        self.flow.interrupt();
        self.pace = Pace::default();
    }

    fn compare(&mut self, text: &mut Vec<u8>) {
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

    fn hash(
        &self,
        outcome: Outcome,
        server_ms: u64,
        last_trade_e4: Option<u16>,
        text: &mut Vec<u8>,
    ) -> Option<crate::scan::HashText> {
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
