//! What a frame does to the books it speaks of.

use super::market::{Market, SHOWN_LEVELS};
use super::{Books, Slot};
use crate::book::Snapshot;
use crate::decode::{Event, FrameError};
use crate::ladder::Level;
use crate::scan::{ScannedChange, Tokens};
use crate::units::{Outcome, Side, mirror_price_e4};
use crate::witness::Claim;

/// A trade in the YES frame.
#[derive(Clone, Copy)]
struct TradePrint {
    slot: Slot,
    side: Side,
    level: Level,
    server_ms: u64,
    received_ns: u64,
}

impl Books {
    pub(super) fn apply_events(&mut self, events: Vec<Event>, received_ns: u64) -> Result<(), FrameError> {
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
    pub(super) fn apply_changes(&mut self, received_ns: u64) {
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
    pub(super) fn apply_book(&mut self, received_ns: u64) {
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
    pub(super) fn finish(&mut self, received_ns: u64) -> &[Slot] {
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
