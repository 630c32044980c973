//! The books of all markets one feed holds: one call a frame, the changed states out.

use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::book::{Book, Invalidity, Snapshot};
use crate::decode::{Event, FrameError, decode_frame};
use crate::features::Touch;
use crate::ladder::Level;
use crate::units::{Outcome, Side, is_tick_e4, mirror_price_e4};

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
    /// No such tick can exist.
    #[error("tick {0} (in 1e-4) does not divide 1")]
    InvalidTick(u16),
}

/// Place of a market in its [`Books`]; free again after removal.
pub type Slot = usize;

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
    /// Best levels.
    pub touch: Touch,
    /// Why not to quote, None when the book is valid.
    pub invalidity: Option<Invalidity>,
}

/// A trade in the YES frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradePrint {
    /// Which market.
    pub slot: Slot,
    /// The aggressor's side.
    pub side: Side,
    /// Price and size.
    pub level: Level,
    /// Server time.
    pub server_ms: u64,
    /// When its frame was received.
    pub received_ns: u64,
}

/// A decided market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarketResolved {
    /// Which market.
    pub slot: Slot,
    /// Outcome that pays 1.
    pub winner: Outcome,
    /// Server time.
    pub server_ms: u64,
}

/// What a frame led to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Update {
    /// A book changed.
    Top(BookTop),
    /// A trade happened.
    Print(TradePrint),
    /// A market was decided.
    Resolved(MarketResolved),
}

#[derive(Debug)]
struct Market {
    condition_id: String,
    tokens: [String; 2],
    book: Book,
    sequence: u64,
    received_ns: u64,
}

/// Books by market, fed by the frames of one connection.
#[derive(Debug, Default)]
pub struct Books {
    markets: Vec<Option<Market>>,
    slots: FxHashMap<String, Slot>,
    tokens: FxHashMap<String, (Slot, Outcome)>,
    ignored_events: u64,
}

impl Books {
    /// No markets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hold a market from now on.
    ///
    /// # Errors
    /// When the market or a token is held already or the tick cannot exist.
    pub fn add_market(
        &mut self,
        condition_id: &str,
        yes_token: &str,
        no_token: &str,
        tick_e4: u16,
    ) -> Result<Slot, MarketError> {
        if self.slots.contains_key(condition_id) {
            return Err(MarketError::AlreadyHeld(condition_id.to_owned()));
        }
        if let Some(taken) = [yes_token, no_token]
            .into_iter()
            .find(|&token| self.tokens.contains_key(token))
        {
            return Err(MarketError::TokenTaken(taken.to_owned()));
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
            book: Book::new(tick_e4),
            sequence: 0,
            received_ns: 0,
        });
        self.slots.insert(condition_id.to_owned(), slot);
        self.tokens.insert(yes_token.to_owned(), (slot, Outcome::Yes));
        self.tokens.insert(no_token.to_owned(), (slot, Outcome::No));
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
            for token in &market.tokens {
                self.tokens.remove(token);
            }
        }
        Ok(slot)
    }

    /// The connection is lost: every book is invalid until its next snapshot, in a new epoch.
    pub fn reset(&mut self) {
        for market in self.markets.iter_mut().flatten() {
            market.book.reset();
        }
    }

    /// Events so far of an unknown type or about a market or token that is not held.
    #[must_use]
    pub const fn ignored_events(&self) -> u64 {
        self.ignored_events
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

    /// Decode a frame and apply all of it, or none of it.
    ///
    /// Returns the state after the frame of each market it changed, in the order they were first touched,
    /// then its trades and resolutions in the order of the frame.
    ///
    /// # Errors
    /// When the frame cannot be decoded or decides a market for a foreign token.
    pub fn apply(&mut self, frame: &[u8], received_ns: u64) -> Result<Vec<Update>, FrameError> {
        let events = decode_frame(frame)?;
        for event in &events {
            self.check_winner(event)?;
        }
        let mut changed_slots: Vec<Slot> = Vec::new();
        let mut reports: Vec<Update> = Vec::new();
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
                    reports.push(Update::Print(TradePrint {
                        slot,
                        side,
                        level,
                        server_ms,
                        received_ns,
                    }));
                }
                Event::MarketResolved {
                    market,
                    winning_token,
                    server_ms,
                } => {
                    if !self.slots.contains_key(&*market) {
                        self.ignored_events += 1;
                    } else if let Some((slot, winner)) = self.find_token(&winning_token) {
                        reports.push(Update::Resolved(MarketResolved {
                            slot,
                            winner,
                            server_ms,
                        }));
                    }
                }
                event => self.apply_to_books(event, &mut changed_slots),
            }
        }
        let mut updates = Vec::with_capacity(changed_slots.len() + reports.len());
        for slot in changed_slots {
            if let Some(market) = &mut self.markets[slot] {
                market.sequence += 1;
                market.received_ns = received_ns;
                updates.push(Update::Top(market.top(slot)));
            }
        }
        updates.append(&mut reports);
        Ok(updates)
    }

    fn apply_to_books(&mut self, event: Event, changed_slots: &mut Vec<Slot>) {
        match event {
            Event::Book {
                token,
                mut bids,
                mut asks,
                tick_e4,
                server_ms,
            } => {
                let Some((slot, outcome)) = self.find_token(&token) else {
                    return;
                };
                if outcome == Outcome::No {
                    std::mem::swap(&mut bids, &mut asks);
                    for level in bids.iter_mut().chain(&mut asks) {
                        level.price_e4 = mirror_price_e4(level.price_e4);
                    }
                }
                let snapshot = Snapshot {
                    bids,
                    asks,
                    tick_e4,
                    server_ms,
                };
                self.change(slot, changed_slots, |book| book.apply_snapshot(&snapshot));
            }
            Event::PriceChange { changes, server_ms } => {
                let mut is_foreign = false;
                for change in changes {
                    let Some(&(slot, outcome)) = self.tokens.get(&*change.token) else {
                        is_foreign = true;
                        continue;
                    };
                    let (side, price_e4) = outcome.to_yes_frame(change.side, change.level.price_e4);
                    let level = Level {
                        price_e4,
                        ..change.level
                    };
                    self.change(slot, changed_slots, |book| {
                        book.apply_change(side, level, server_ms)
                    });
                }
                self.ignored_events += u64::from(is_foreign);
            }
            Event::TickSizeChange {
                token,
                tick_e4,
                server_ms,
            } => {
                let Some((slot, _)) = self.find_token(&token) else {
                    return;
                };
                self.change(slot, changed_slots, |book| book.apply_tick(tick_e4, server_ms));
            }
            Event::Unknown => self.ignored_events += 1,
            Event::Notice | Event::LastTradePrice { .. } | Event::MarketResolved { .. } => {}
        }
    }

    fn change(&mut self, slot: Slot, changed_slots: &mut Vec<Slot>, apply: impl FnOnce(&mut Book) -> bool) {
        let Some(market) = &mut self.markets[slot] else {
            return;
        };
        if apply(&mut market.book) && !changed_slots.contains(&slot) {
            changed_slots.push(slot);
        }
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
            .tokens
            .get(&**winning_token)
            .is_some_and(|(of, _)| of == slot)
        {
            return Ok(());
        }
        let (market, token) = (market.to_string(), winning_token.to_string());
        Err(FrameError::ForeignWinner { market, token })
    }

    /// Look a token up, counting the event as ignored when it is nobody's.
    fn find_token(&mut self, token: &str) -> Option<(Slot, Outcome)> {
        let found = self.tokens.get(token).copied();
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

impl Market {
    fn top(&self, slot: Slot) -> BookTop {
        BookTop {
            slot,
            sequence: self.sequence,
            epoch: self.book.epoch(),
            received_ns: self.received_ns,
            server_ms: self.book.server_ms(),
            tick_e4: self.book.tick_e4(),
            touch: self.book.touch(),
            invalidity: self.book.invalidity(),
        }
    }
}
