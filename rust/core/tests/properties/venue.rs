//! A naive venue: one YES-frame book in two BTreeMaps that is never crossed, and the frames it sends.

use std::borrow::Cow;
use std::collections::BTreeMap;

use claw_core::books::Books;
use claw_core::decode::{Event, LevelChange, Text};
use claw_core::ladder::Level;
use claw_core::units::{Outcome, Side, mirror_price_e4};
use proptest::prelude::*;

pub const MARKET: &str = "0xabc";

#[derive(Debug, Clone, Copy)]
pub enum Action {
    Set {
        side: Side,
        price_e4: u16,
        size_e6: u64,
        via: Outcome,
    },
    SendBook {
        of: Outcome,
    },
}

/// Set a level most of the time, send a snapshot sometimes; prices are few, so that levels meet.
pub fn action() -> impl Strategy<Value = Action> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let size = prop_oneof![Just(0), 1..5_u64, Just(12_345_678)];
    prop_oneof![
        8 => (side, 1..40_u16, size, outcome()).prop_map(|(side, step, size_e6, via)| {
            Action::Set { side, price_e4: step * 250, size_e6, via }
        }),
        1 => outcome().prop_map(|of| Action::SendBook { of }),
    ]
}

pub fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Yes), Just(Outcome::No)]
}

#[derive(Debug, Default)]
pub struct Venue {
    pub bids: BTreeMap<u16, u64>,
    pub asks: BTreeMap<u16, u64>,
}

impl Venue {
    /// Act at a server time; None when the action would cross the book.
    pub fn act(&mut self, action: Action, server_ms: u64) -> Option<Event<'static>> {
        match action {
            Action::Set {
                side,
                price_e4,
                size_e6,
                via,
            } => {
                self.set(side, Level { price_e4, size_e6 })?;
                let mirror = if via == Outcome::Yes {
                    Outcome::No
                } else {
                    Outcome::Yes
                };
                let changes = [via, mirror].map(|outcome| change(outcome, side, price_e4, size_e6));
                Some(Event::PriceChange {
                    changes: changes.into(),
                    server_ms,
                })
            }
            Action::SendBook { of } => Some(self.book(of, server_ms)),
        }
    }

    pub fn book(&self, of: Outcome, server_ms: u64) -> Event<'static> {
        let in_frame = |levels: &BTreeMap<u16, u64>| -> Vec<Level> {
            let to_level = |(&price, &size_e6)| Level {
                price_e4: of.to_yes_frame(Side::Buy, price).1,
                size_e6,
            };
            levels.iter().map(to_level).collect()
        };
        let (bids, asks) = match of {
            Outcome::Yes => (in_frame(&self.bids), in_frame(&self.asks)),
            Outcome::No => (in_frame(&self.asks), in_frame(&self.bids)),
        };
        Event::Book {
            token: token(of),
            bids,
            asks,
            tick_e4: None,
            last_trade_e4: None,
            hash: None,
            server_ms,
        }
    }

    /// Bids and asks, best first.
    pub fn levels(&self) -> (Vec<Level>, Vec<Level>) {
        let to_level = |(&price_e4, &size_e6): (&u16, &u64)| Level { price_e4, size_e6 };
        (
            self.bids.iter().rev().map(to_level).collect(),
            self.asks.iter().map(to_level).collect(),
        )
    }

    fn set(&mut self, side: Side, Level { price_e4, size_e6 }: Level) -> Option<()> {
        let is_crossing = match side {
            Side::Buy => self.asks.keys().next().is_some_and(|&ask| price_e4 >= ask),
            Side::Sell => self.bids.keys().next_back().is_some_and(|&bid| price_e4 <= bid),
        };
        let levels = if side == Side::Buy {
            &mut self.bids
        } else {
            &mut self.asks
        };
        match (size_e6, is_crossing) {
            (0, _) => levels.remove(&price_e4).map(|_| ()),
            (_, true) => None,
            (_, false) => {
                levels.insert(price_e4, size_e6);
                Some(())
            }
        }
    }
}

pub fn token(outcome: Outcome) -> Text<'static> {
    Text(Cow::Borrowed(outcome.as_str()))
}

/// The entry that says, in one token's frame, that a YES-frame level changed.
pub fn change(outcome: Outcome, side: Side, price_e4: u16, size_e6: u64) -> LevelChange<'static> {
    let (side, price_e4) = match outcome {
        Outcome::Yes => (side, price_e4),
        Outcome::No => (side.opposite(), mirror_price_e4(price_e4)),
    };
    LevelChange {
        token: token(outcome),
        side,
        level: Level { price_e4, size_e6 },
        touch_e4: (None, None),
        hash: None,
    }
}

/// A client that holds the venue's market.
pub fn client() -> Books {
    let mut books = Books::new();
    let added = books.add_market(MARKET, [Outcome::Yes.as_str(), Outcome::No.as_str()], 250, None);
    assert_eq!(added, Ok(0));
    books
}
