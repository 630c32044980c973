//! What is sent, where it counts and what it costs there, and why it may not be sent.

use thiserror::Error;

use super::window::WindowLimit;

/// Share of the cancel bucket and windows, one in so many, that only withdrawals may use.
pub(super) const RESERVE: u32 = 10;

/// A route's endpoint that has windows of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /order`; counts `POST /orders` too.
    PlaceOne,
    /// `POST /orders`.
    PlaceMany,
    /// `DELETE /order`; counts `DELETE /orders` too.
    CancelOne,
    /// `DELETE /orders`.
    CancelMany,
    /// `DELETE /cancel-market-orders`.
    CancelMarket,
    /// `DELETE /cancel-all`.
    CancelAll,
}

impl Endpoint {
    pub(super) const ALL: [Self; 6] = [
        Self::PlaceOne,
        Self::PlaceMany,
        Self::CancelOne,
        Self::CancelMany,
        Self::CancelMarket,
        Self::CancelAll,
    ];

    /// Requests in 10 s and in 600 s: the older and lower of the published sets.
    pub(super) const fn published(self) -> [u32; 2] {
        match self {
            Self::PlaceOne => [3_500, 36_000],
            Self::PlaceMany | Self::CancelMany => [1_000, 15_000],
            Self::CancelOne => [3_000, 30_000],
            Self::CancelMarket => [1_000, 1_500],
            Self::CancelAll => [250, 6_000],
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::PlaceOne => "place",
            Self::PlaceMany => "batch place",
            Self::CancelOne => "cancel",
            Self::CancelMany => "batch cancel",
            Self::CancelMarket => "cancel-market",
            Self::CancelAll => "cancel-all",
        }
    }

    pub(super) const fn is_place(self) -> bool {
        matches!(self, Self::PlaceOne | Self::PlaceMany)
    }

    /// The endpoints a request to this one counts at.
    pub(super) const fn counted_at(self) -> &'static [Self] {
        match self {
            Self::PlaceOne => &[Self::PlaceOne],
            Self::PlaceMany => &[Self::PlaceMany, Self::PlaceOne],
            Self::CancelOne => &[Self::CancelOne],
            Self::CancelMany => &[Self::CancelMany, Self::CancelOne],
            Self::CancelMarket => &[Self::CancelMarket],
            Self::CancelAll => &[Self::CancelAll],
        }
    }
}

/// Which of the signer's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketName {
    /// Places.
    Orders,
    /// Cancels.
    Cancels,
}

/// A request to the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Place orders; `open` counts the orders open or under way without them.
    Place {
        /// How many.
        orders: u32,
        /// How many there are already.
        open: u32,
    },
    /// Cancel by id, in the course of trading.
    Cancel {
        /// How many.
        orders: u32,
    },
    /// Cancel one market, in the course of trading.
    CancelMarket {
        /// How many are open in it.
        open: u32,
    },
}

impl Request {
    /// Where it counts, and tokens.
    pub(super) const fn cost(self) -> (Endpoint, u32) {
        match self {
            Self::Place { orders, .. } if orders > 1 => (Endpoint::PlaceMany, orders),
            Self::Place { orders, .. } => (Endpoint::PlaceOne, orders),
            Self::Cancel { orders } if orders > 1 => (Endpoint::CancelMany, orders),
            Self::Cancel { orders } => (Endpoint::CancelOne, orders),
            Self::CancelMarket { open } => (Endpoint::CancelMarket, open.saturating_add(1)),
        }
    }
}

/// How a withdrawal is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// By id: the bucket holds a token for each.
    ByIds,
    /// By `DELETE /cancel-all`; tell `settle` what it cancelled.
    All,
}

/// Which limit a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum Refusal {
    /// A window is full.
    #[error("rate: {} {name} requests in {} s are used up", limit.requests, limit.span_s)]
    Window {
        /// Of which endpoint.
        name: &'static str,
        /// Which window.
        limit: WindowLimit,
    },
    /// Too few tokens.
    #[error("rate: {asked} {what} asked, {left} tokens left")]
    Tokens {
        /// What they are for.
        what: &'static str,
        /// How many.
        asked: u32,
        /// How many there are.
        left: i64,
    },
    /// With these orders not everything open could be withdrawn.
    #[error("rate: {open} orders would be open, {allowed} could be cancelled")]
    TooManyOpen {
        /// Orders open or under way, these included.
        open: i64,
        /// How many there may be.
        allowed: i64,
    },
    /// The venue has named a time to wait until.
    #[error("rate: the venue asked to wait")]
    Blocked,
}

/// Requests of a window that only withdrawals may use.
pub(super) const fn reserved(endpoint: Endpoint, limit: WindowLimit) -> u32 {
    if endpoint.is_place() {
        0
    } else {
        limit.requests.div_ceil(RESERVE)
    }
}
