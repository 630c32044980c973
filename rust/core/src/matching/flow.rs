//! A recording as the venue meets it: events in the order of time.

use thiserror::Error;

use crate::units::{PRICE_ONE_E4, Side, is_tick_e4};

/// New aggregate of one recorded level; size 0 removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Bids (`Buy`) or asks.
    pub side: Side,
    /// Price in 1e-4.
    pub price_e4: u16,
    /// Aggregate size in 1e-6 shares.
    pub size_e6: u64,
}

/// Something that happens at the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The recorded book changed: a range of the flow's changes.
    Levels {
        /// First change.
        first: usize,
        /// One past the last.
        end: usize,
    },
    /// Someone wants to trade at once, up to a limit.
    Taker {
        /// The aggressor's side.
        side: Side,
        /// Size in 1e-6 shares.
        size_e6: u64,
        /// Limit in 1e-4.
        limit_e4: u16,
    },
    /// The price of the underlying, in 1e-6 USD.
    Reference(u64),
    /// From now on prices are multiples of this.
    Tick(u16),
}

/// One event and its time at the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowEvent {
    /// Nanoseconds from the start of the recording.
    pub at_ns: u64,
    /// What happens.
    pub what: What,
}

/// Why an event cannot join a flow.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FlowError {
    /// It is older than the one before it.
    #[error("an event at {at_ns} ns follows one at {newest_ns} ns")]
    Disorder {
        /// Its time.
        at_ns: u64,
        /// The time of the one before it.
        newest_ns: u64,
    },
    /// A price outside (0, 1).
    #[error("price_e4 {0} is not in (0, 10000)")]
    Price(u16),
    /// No such tick can exist.
    #[error("tick_e4 {0} does not divide 10000")]
    Tick(u16),
    /// A taker of nothing.
    #[error("a taker's size must be above 0")]
    NoSize,
}

/// All events of one recording.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    events: Vec<FlowEvent>,
    changes: Vec<Change>,
}

impl Flow {
    /// Append one event of the book.
    ///
    /// # Errors
    /// When it is older than the last event, or a price is none.
    pub fn levels(&mut self, at_ns: u64, changes: &[Change]) -> Result<(), FlowError> {
        for change in changes {
            check_price(change.price_e4)?;
        }
        let first = self.changes.len();
        let end = first + changes.len();
        self.push(at_ns, What::Levels { first, end })?;
        self.changes.extend_from_slice(changes);
        Ok(())
    }

    /// Append any other event.
    ///
    /// # Errors
    /// When it is older than the last event, or a price, size or tick is none.
    pub fn push(&mut self, at_ns: u64, what: What) -> Result<(), FlowError> {
        match what {
            What::Taker { size_e6: 0, .. } => return Err(FlowError::NoSize),
            What::Taker { limit_e4, .. } => check_price(limit_e4)?,
            What::Tick(tick_e4) if !is_tick_e4(tick_e4) => return Err(FlowError::Tick(tick_e4)),
            _ => {}
        }
        let newest_ns = self.events.last().map_or(0, |event| event.at_ns);
        if at_ns < newest_ns {
            return Err(FlowError::Disorder { at_ns, newest_ns });
        }
        self.events.push(FlowEvent { at_ns, what });
        Ok(())
    }

    /// The event at an index, None past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<FlowEvent> {
        self.events.get(index).copied()
    }

    /// The changes of an event of the book.
    #[must_use]
    pub fn changes(&self, first: usize, end: usize) -> &[Change] {
        &self.changes[first..end]
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

const fn check_price(price_e4: u16) -> Result<(), FlowError> {
    if price_e4 > 0 && price_e4 < PRICE_ONE_E4 {
        Ok(())
    } else {
        Err(FlowError::Price(price_e4))
    }
}
