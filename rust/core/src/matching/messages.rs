//! What a market is told, and what it reports.

use crate::ladder::Level;
use crate::units::Side;

/// One of our orders: its number in order of placement.
pub type OrderId = u32;

/// What the venue asks of orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarketRules {
    /// Prices are multiples of it, in 1e-4.
    pub tick_e4: u16,
    /// Smallest order in 1e-6 shares.
    pub min_size_e6: u64,
    /// How long a marketable order is held.
    pub taker_delay_ns: u64,
}

/// One order of ours as it reaches the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Buy or sell, in the YES frame.
    pub side: Side,
    /// Limit in 1e-4.
    pub price_e4: u16,
    /// Size in 1e-6 shares.
    pub size_e6: u64,
    /// Refused rather than matched at once.
    pub is_post_only: bool,
}

/// Why the venue does not take an order or a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Off the tick or outside [tick, 1 − tick].
    Tick,
    /// Below the smallest size.
    MinSize,
    /// Post-only, and it would trade.
    PostOnly,
    /// Nothing of that number stands on the book.
    NotOpen,
}

impl Refusal {
    /// The reason in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tick => "off the tick",
            Self::MinSize => "below the minimum size",
            Self::PostOnly => "post-only order would cross",
            Self::NotOpen => "not open",
        }
    }
}

/// What the venue reports, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// New aggregate of a level.
    Level {
        /// Bids or asks.
        side: Side,
        /// The level.
        level: Level,
    },
    /// A trade; the side is the aggressor's.
    Traded {
        /// Who came.
        side: Side,
        /// Price and size.
        level: Level,
    },
    /// A part of one of our orders traded.
    Filled {
        /// Which.
        order: OrderId,
        /// Its side.
        side: Side,
        /// Price and size of the fill.
        level: Level,
        /// What is left of the order.
        remaining_e6: u64,
        /// Whether it rested, or came.
        is_maker: bool,
    },
    /// An order of ours rests with so much.
    Rested {
        /// Which.
        order: OrderId,
        /// What rests.
        remaining_e6: u64,
    },
    /// A marketable order of ours waits for the taker delay.
    Held {
        /// Which.
        order: OrderId,
    },
    /// An order of ours was withdrawn with so much left.
    Cancelled {
        /// Which.
        order: OrderId,
        /// What was left.
        remaining_e6: u64,
    },
    /// An order of ours, or the cancel of one, was refused.
    Refused {
        /// Which.
        order: OrderId,
        /// Why.
        reason: Refusal,
    },
}
