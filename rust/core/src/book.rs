//! The unified book of one market in the YES frame, robust against messages out of server-time order.
//!
//! Time is kept by level: a snapshot sets every level that has no later change, and a change older than the last
//! snapshot, or than the last change of its own level, is ignored. So the book is the same in whatever order its
//! messages arrive: snapshots do come after newer changes (recorded-data fact 8).

use crate::features::Touch;
use crate::ladder::{Ladder, Level};
use crate::units::Side;

/// Why a book must not be quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalidity {
    /// No snapshot since the connection was made.
    NoSnapshot,
    /// No snapshot since the tick size changed.
    TickChange,
    /// The best bid is at or above the best ask.
    Crossed,
}

impl Invalidity {
    /// The reason in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSnapshot => "no snapshot",
            Self::TickChange => "tick change",
            Self::Crossed => "crossed",
        }
    }
}

/// All levels of a book at one server time, in the YES frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot<'a> {
    /// Bids in any order.
    pub bids: &'a [Level],
    /// Asks in any order.
    pub asks: &'a [Level],
    /// Tick in 1e-4 where the venue sent it.
    pub tick_e4: Option<u16>,
    /// Server time.
    pub server_ms: u64,
}

/// One market's bids and asks, their tick, and whether they may be trusted.
#[derive(Debug, Clone)]
pub struct Book {
    bids: Ladder,
    asks: Ladder,
    tick_e4: u16,
    tick_ms: u64,
    epoch: u64,
    snapshot_ms: u64,
    newest_ms: u64,
    waiting: Option<Invalidity>,
}

impl Book {
    /// An empty book that waits for its first snapshot.
    #[must_use]
    pub fn new(tick_e4: u16) -> Self {
        Self {
            bids: Ladder::new(Side::Buy),
            asks: Ladder::new(Side::Sell),
            tick_e4,
            tick_ms: 0,
            epoch: 0,
            snapshot_ms: 0,
            newest_ms: 0,
            waiting: Some(Invalidity::NoSnapshot),
        }
    }

    /// Tick in 1e-4.
    #[must_use]
    pub const fn tick_e4(&self) -> u16 {
        self.tick_e4
    }

    /// Number of resets and tick changes so far.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Server time of the newest message applied in this epoch, 0 before the first.
    #[must_use]
    pub const fn server_ms(&self) -> u64 {
        self.newest_ms
    }

    /// Why the book must not be quoted, None when it may.
    #[must_use]
    pub fn invalidity(&self) -> Option<Invalidity> {
        self.waiting
            .or_else(|| self.touch().is_crossed().then_some(Invalidity::Crossed))
    }

    /// The best levels; both None while the book waits for a snapshot.
    #[must_use]
    pub fn touch(&self) -> Touch {
        if self.waiting.is_some() {
            return Touch { bid: None, ask: None };
        }
        Touch {
            bid: self.bids.best(),
            ask: self.asks.best(),
        }
    }

    /// A number that equal books share and different ones practically never do.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.bids.fingerprint() ^ self.asks.fingerprint()
    }

    /// The levels of one side, best first; none while the book waits for a snapshot.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        let ladder = match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        };
        self.waiting
            .is_none()
            .then(|| ladder.iter())
            .into_iter()
            .flatten()
    }

    /// The levels of one side, worst first.
    pub fn worst_first(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
        .worst_first()
    }

    /// Apply a snapshot; true when a level, the validity or the tick changed.
    ///
    /// A tick that differs from the book's opens a new epoch: its change was missed.
    pub fn apply_snapshot(&mut self, snapshot: &Snapshot<'_>) -> bool {
        if self.waiting.is_none() && snapshot.server_ms < self.snapshot_ms {
            return false;
        }
        let mut is_changed = self.waiting.take().is_some();
        let sent_tick_e4 = snapshot.tick_e4.filter(|_| snapshot.server_ms >= self.tick_ms);
        if let Some(tick_e4) = sent_tick_e4.filter(|&tick_e4| tick_e4 != self.tick_e4) {
            self.tick_e4 = tick_e4;
            self.tick_ms = snapshot.server_ms;
            self.epoch += 1;
            is_changed = true;
        }
        is_changed |= self.bids.replace(snapshot.bids, snapshot.server_ms);
        is_changed |= self.asks.replace(snapshot.asks, snapshot.server_ms);
        self.snapshot_ms = snapshot.server_ms;
        self.newest_ms = self.newest_ms.max(snapshot.server_ms);
        is_changed
    }

    /// Set one level; true when what the book shows changed.
    pub fn apply_change(&mut self, side: Side, level: Level, server_ms: u64) -> bool {
        let ladder = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if server_ms < self.snapshot_ms {
            return false;
        }
        let Some(is_changed) = ladder.set(level, server_ms) else {
            return false;
        };
        self.newest_ms = self.newest_ms.max(server_ms);
        is_changed && self.waiting.is_none()
    }

    /// Change the tick and wait for a snapshot; false when it is known already or older than the last one.
    ///
    /// The venue sends one event per token, so the second must not void the snapshot after the first.
    pub fn apply_tick(&mut self, tick_e4: u16, server_ms: u64) -> bool {
        if tick_e4 == self.tick_e4 || server_ms < self.tick_ms {
            return false;
        }
        self.void(Invalidity::TickChange);
        self.tick_e4 = tick_e4;
        self.tick_ms = server_ms;
        self.newest_ms = server_ms;
        true
    }

    /// The connection is lost: wait for a snapshot.
    pub fn reset(&mut self) {
        self.void(Invalidity::NoSnapshot);
        self.tick_ms = 0;
    }

    fn void(&mut self, reason: Invalidity) {
        self.bids.clear();
        self.asks.clear();
        self.snapshot_ms = 0;
        self.newest_ms = 0;
        self.epoch += 1;
        self.waiting = Some(reason);
    }
}
