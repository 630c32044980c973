//! One side of a book: at every price a queue of orders, oldest first.
//!
//! What the recording shows at a price is the public's; neighbouring public quantities are one entry, because
//! nobody can tell them apart. Our own orders stand between them where they joined.

use std::collections::VecDeque;

use crate::ladder::{Ladder, Level};
use crate::matching::messages::OrderId;
use crate::units::{PRICE_ONE_E4, Side};

const GRID: usize = PRICE_ONE_E4 as usize + 1;

/// A quantity in a queue; `order` None is the public's.
#[derive(Debug, Clone, Copy)]
struct Entry {
    order: Option<OrderId>,
    size_e6: u64,
}

/// A part of a level that a taker took from one of our orders.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// Whose.
    pub(super) order: OrderId,
    /// How much of it.
    pub(super) size_e6: u64,
}

/// The queues of one side.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    totals: Ladder,
    public_e6: Vec<u64>,
    entries: Vec<VecDeque<Entry>>,
}

impl Queues {
    pub(super) fn new(side: Side) -> Self {
        Self {
            totals: Ladder::new(side),
            public_e6: vec![0; GRID],
            entries: vec![VecDeque::new(); GRID],
        }
    }

    pub(super) fn best(&self) -> Option<Level> {
        self.totals.best()
    }

    pub(super) fn levels(&self) -> impl Iterator<Item = Level> + '_ {
        self.totals.iter()
    }

    pub(super) fn total_e6(&self, price_e4: u16) -> u64 {
        self.totals.size_e6(price_e4)
    }

    pub(super) fn public_e6(&self, price_e4: u16) -> u64 {
        self.public_e6[usize::from(price_e4)]
    }

    /// Join the back of a queue.
    pub(super) fn add(&mut self, price_e4: u16, order: Option<OrderId>, size_e6: u64) {
        let at = usize::from(price_e4);
        let queue = &mut self.entries[at];
        match queue.back_mut() {
            Some(last) if last.order.is_none() && order.is_none() => last.size_e6 += size_e6,
            _ => queue.push_back(Entry { order, size_e6 }),
        }
        if order.is_none() {
            self.public_e6[at] += size_e6;
        }
        self.write(price_e4, self.total_e6(price_e4) + size_e6);
    }

    /// Take the public's newest quantities away, so that nobody's place improves for free.
    pub(super) fn remove_public(&mut self, price_e4: u16, size_e6: u64) {
        let at = usize::from(price_e4);
        let queue = &mut self.entries[at];
        let (mut left_e6, mut index) = (size_e6, queue.len());
        while left_e6 > 0 && index > 0 {
            index -= 1;
            let entry = &mut queue[index];
            if entry.order.is_none() {
                let part_e6 = left_e6.min(entry.size_e6);
                entry.size_e6 -= part_e6;
                left_e6 -= part_e6;
                if entry.size_e6 == 0 {
                    queue.remove(index);
                }
            }
        }
        let removed_e6 = size_e6 - left_e6;
        self.public_e6[at] -= removed_e6;
        self.write(price_e4, self.total_e6(price_e4) - removed_e6);
    }

    /// Take one of our orders out; what was left of it.
    pub(super) fn remove_order(&mut self, price_e4: u16, order: OrderId) -> u64 {
        let queue = &mut self.entries[usize::from(price_e4)];
        let found = queue.iter().position(|entry| entry.order == Some(order));
        let size_e6 = found
            .and_then(|index| queue.remove(index))
            .map_or(0, |entry| entry.size_e6);
        self.write(price_e4, self.total_e6(price_e4) - size_e6);
        size_e6
    }

    /// Take from the front of a queue; what our orders gave is appended to `taken`, true when the public gave too.
    pub(super) fn take(&mut self, price_e4: u16, size_e6: u64, taken: &mut Vec<Taken>) -> bool {
        let at = usize::from(price_e4);
        let queue = &mut self.entries[at];
        let (mut left_e6, mut public_e6) = (size_e6, 0);
        while left_e6 > 0 {
            let Some(first) = queue.front_mut() else {
                break;
            };
            let size_e6 = left_e6.min(first.size_e6);
            match first.order {
                Some(order) => taken.push(Taken { order, size_e6 }),
                None => public_e6 += size_e6,
            }
            first.size_e6 -= size_e6;
            left_e6 -= size_e6;
            if first.size_e6 == 0 {
                queue.pop_front();
            }
        }
        self.public_e6[at] -= public_e6;
        self.write(price_e4, self.total_e6(price_e4) - (size_e6 - left_e6));
        public_e6 > 0
    }

    /// What stands before one of our orders.
    pub(super) fn ahead_e6(&self, price_e4: u16, order: OrderId) -> u64 {
        self.entries[usize::from(price_e4)]
            .iter()
            .take_while(|entry| entry.order != Some(order))
            .map(|entry| entry.size_e6)
            .sum()
    }

    fn write(&mut self, price_e4: u16, size_e6: u64) {
        self.totals.set(Level { price_e4, size_e6 }, 0);
    }
}
