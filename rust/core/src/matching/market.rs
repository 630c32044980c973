//! The venue's side of one market: the recorded book made public, takers, and our own orders between them.
//!
//! - An added quantity joins the back of its level, behind whoever stands there.
//! - A removed quantity comes off the public's newest, so nobody's place improves for free.
//! - A recorded level that crosses one of our orders trades with it; the public never trades with itself.
//! - What others took from the public comes back with the next recorded event.
//! - A marketable order, ours or a taker's, waits for the taker delay and then meets the book of that moment.
//! - A post-only order that would cross is refused; price, then time decides who trades.

use std::collections::VecDeque;

use crate::ladder::Level;
use crate::matching::flow::Change;
use crate::matching::messages::{Event, MarketRules, OrderId, Placement, Refusal};
use crate::matching::queue::{Queues, Taken};
use crate::units::{PRICE_ONE_E4, Side};

#[derive(Debug, Clone, Copy)]
struct Own {
    placement: Placement,
    remaining_e6: u64,
    is_resting: bool,
}

/// Who comes to the book: the public that rests, a taker that does not, or one of our orders.
#[derive(Debug, Clone, Copy)]
enum Who {
    Public,
    Taker,
    Own(OrderId),
}

#[derive(Debug, Clone, Copy)]
struct Held {
    due_ns: u64,
    who: Who,
    side: Side,
    price_e4: u16,
    size_e6: u64,
}

/// One recorded level, by side and price.
type Key = (Side, u16);

/// The book of one market with everybody in it.
#[derive(Debug, Clone)]
pub struct Market {
    rules: MarketRules,
    bids: Queues,
    asks: Queues,
    recorded_e6: [Vec<u64>; 2],
    // Levels that differ from the recording, in order; the marks say which are in it.
    short: Vec<Key>,
    is_short: [Vec<bool>; 2],
    // Levels already looked at in one event carry its number.
    visited: [Vec<u32>; 2],
    visit: u32,
    keys: Vec<Key>,
    held: VecDeque<Held>,
    orders: Vec<Own>,
    resting: [u32; 2],
    taken: Vec<Taken>,
}

const fn index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

impl Market {
    /// An empty book.
    #[must_use]
    pub fn new(rules: MarketRules) -> Self {
        let grid = usize::from(PRICE_ONE_E4) + 1;
        Self {
            rules,
            bids: Queues::new(Side::Buy),
            asks: Queues::new(Side::Sell),
            recorded_e6: [vec![0; grid], vec![0; grid]],
            short: Vec::new(),
            is_short: [vec![false; grid], vec![false; grid]],
            visited: [vec![0; grid], vec![0; grid]],
            visit: 0,
            keys: Vec::new(),
            held: VecDeque::new(),
            orders: Vec::new(),
            resting: [0, 0],
            taken: Vec::new(),
        }
    }

    /// The rules in force.
    #[must_use]
    pub const fn rules(&self) -> MarketRules {
        self.rules
    }

    /// Trade in other price steps; resting orders keep their prices.
    pub const fn change_tick(&mut self, tick_e4: u16) {
        self.rules.tick_e4 = tick_e4;
    }

    /// The best level of a side.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<Level> {
        self.queues(side).best()
    }

    /// The levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.queues(side).levels()
    }

    /// How many of our orders rest on a side.
    #[must_use]
    pub const fn resting(&self, side: Side) -> u32 {
        self.resting[index(side)]
    }

    /// Shares that stand before one of our orders; None when it does not rest.
    #[must_use]
    pub fn ahead_e6(&self, order: OrderId) -> Option<u64> {
        let own = self.orders.get(order as usize).filter(|own| own.is_resting)?;
        let Placement { side, price_e4, .. } = own.placement;
        Some(self.queues(side).ahead_e6(price_e4, order))
    }

    /// When the next held order meets the book.
    #[must_use]
    pub fn next_due_ns(&self) -> Option<u64> {
        self.held.front().map(|held| held.due_ns)
    }

    /// Make the public book equal to the recorded one.
    pub fn follow(&mut self, changes: &[Change], events: &mut Vec<Event>) {
        let mut keys = std::mem::take(&mut self.keys);
        self.collect(changes, &mut keys);
        // Removed before added: the public never meets itself on the way.
        for &(side, price_e4) in &keys {
            let surplus_e6 = self
                .queues(side)
                .public_e6(price_e4)
                .saturating_sub(self.recorded_e6[index(side)][usize::from(price_e4)]);
            if surplus_e6 > 0 {
                let queues = self.queues_mut(side);
                queues.remove_public(price_e4, surplus_e6);
                let size_e6 = queues.total_e6(price_e4);
                events.push(Event::Level {
                    side,
                    level: Level { price_e4, size_e6 },
                });
            }
        }
        for &(side, price_e4) in &keys {
            let missing_e6 = self.recorded_e6[index(side)][usize::from(price_e4)]
                .saturating_sub(self.queues(side).public_e6(price_e4));
            if missing_e6 > 0 {
                self.add_public(side, price_e4, missing_e6, events);
            }
        }
        keys.clear();
        self.keys = keys;
    }

    /// Someone trades at once, up to a limit; what is left of it dies.
    pub fn take(&mut self, side: Side, size_e6: u64, limit_e4: u16, now_ns: u64, events: &mut Vec<Event>) {
        if self.rules.taker_delay_ns > 0 && self.crosses(side, limit_e4) {
            self.hold(Who::Taker, side, limit_e4, size_e6, now_ns);
        } else {
            self.enter(Who::Taker, side, limit_e4, size_e6, events);
        }
    }

    /// Admit one order of ours: refuse, hold, match or rest it. Its number is the count of those before it.
    pub fn place(&mut self, placement: Placement, now_ns: u64, events: &mut Vec<Event>) -> OrderId {
        let order = self.orders.len() as OrderId;
        let Placement {
            side,
            price_e4,
            size_e6,
            ..
        } = placement;
        let refusal = self.refusal(placement);
        self.orders.push(Own {
            placement,
            remaining_e6: if refusal.is_some() { 0 } else { size_e6 },
            is_resting: false,
        });
        if let Some(reason) = refusal {
            events.push(Event::Refused { order, reason });
        } else if self.rules.taker_delay_ns > 0 && self.crosses(side, price_e4) {
            events.push(Event::Held { order });
            self.hold(Who::Own(order), side, price_e4, size_e6, now_ns);
        } else {
            self.enter(Who::Own(order), side, price_e4, size_e6, events);
        }
        order
    }

    /// Withdraw one order of ours.
    pub fn cancel(&mut self, order: OrderId, events: &mut Vec<Event>) {
        let open = self.orders.get_mut(order as usize).filter(|own| own.is_resting);
        let Some(own) = open else {
            events.push(Event::Refused {
                order,
                reason: Refusal::NotOpen,
            });
            return;
        };
        let Placement { side, price_e4, .. } = own.placement;
        own.is_resting = false;
        own.remaining_e6 = 0;
        self.resting[index(side)] -= 1;
        let queues = self.queues_mut(side);
        let remaining_e6 = queues.remove_order(price_e4, order);
        let size_e6 = queues.total_e6(price_e4);
        events.push(Event::Level {
            side,
            level: Level { price_e4, size_e6 },
        });
        events.push(Event::Cancelled { order, remaining_e6 });
    }

    /// Let everything held until `now_ns` meet the book.
    pub fn advance(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        while self.next_due_ns().is_some_and(|due_ns| due_ns <= now_ns) {
            let Some(held) = self.held.pop_front() else {
                break;
            };
            let Held {
                who,
                side,
                price_e4,
                size_e6,
                ..
            } = held;
            match who {
                Who::Own(order) if !self.is_on_tick(price_e4) => {
                    self.orders[order as usize].remaining_e6 = 0;
                    events.push(Event::Refused {
                        order,
                        reason: Refusal::Tick,
                    });
                }
                _ => self.enter(who, side, price_e4, size_e6, events),
            }
        }
    }

    /// Stop trading: every order of ours is withdrawn.
    pub fn close(&mut self, events: &mut Vec<Event>) {
        self.held.clear();
        for order in 0..self.orders.len() {
            if self.orders[order].is_resting {
                self.cancel(order as OrderId, events);
            }
        }
    }

    fn queues(&self, side: Side) -> &Queues {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn queues_mut(&mut self, side: Side) -> &mut Queues {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn crosses(&self, side: Side, limit_e4: u16) -> bool {
        self.best(side.opposite())
            .is_some_and(|level| is_within(side, level.price_e4, limit_e4))
    }

    const fn is_on_tick(&self, price_e4: u16) -> bool {
        let tick_e4 = self.rules.tick_e4;
        price_e4 % tick_e4 == 0 && price_e4 >= tick_e4 && price_e4 <= PRICE_ONE_E4 - tick_e4
    }

    fn refusal(&self, placement: Placement) -> Option<Refusal> {
        if !self.is_on_tick(placement.price_e4) {
            Some(Refusal::Tick)
        } else if placement.is_post_only && self.crosses(placement.side, placement.price_e4) {
            Some(Refusal::PostOnly)
        } else if placement.size_e6 < self.rules.min_size_e6 {
            Some(Refusal::MinSize)
        } else {
            None
        }
    }

    fn hold(&mut self, who: Who, side: Side, price_e4: u16, size_e6: u64, now_ns: u64) {
        self.held.push_back(Held {
            due_ns: now_ns + self.rules.taker_delay_ns,
            who,
            side,
            price_e4,
            size_e6,
        });
    }

    /// The levels that are short, then those that changed, each once; the recording is taken note of.
    fn collect(&mut self, changes: &[Change], keys: &mut Vec<Key>) {
        self.visit = self.visit.wrapping_add(1);
        keys.append(&mut self.short);
        for &(side, price_e4) in keys.iter() {
            self.is_short[index(side)][usize::from(price_e4)] = false;
            self.visited[index(side)][usize::from(price_e4)] = self.visit;
        }
        for change in changes {
            let at = usize::from(change.price_e4);
            self.recorded_e6[index(change.side)][at] = change.size_e6;
            let visited = &mut self.visited[index(change.side)][at];
            if *visited != self.visit {
                *visited = self.visit;
                keys.push((change.side, change.price_e4));
            }
        }
    }

    fn note_short(&mut self, side: Side, price_e4: u16) {
        let mark = &mut self.is_short[index(side)][usize::from(price_e4)];
        if !*mark {
            *mark = true;
            self.short.push((side, price_e4));
        }
    }

    fn add_public(&mut self, side: Side, price_e4: u16, size_e6: u64, events: &mut Vec<Event>) {
        if self.would_meet_itself(side, price_e4) {
            self.note_short(side, price_e4);
            return;
        }
        self.enter(Who::Public, side, price_e4, size_e6, events);
    }

    fn would_meet_itself(&self, side: Side, price_e4: u16) -> bool {
        let opposite = self.queues(side.opposite());
        opposite
            .levels()
            .take_while(|level| is_within(side, level.price_e4, price_e4))
            .any(|level| opposite.public_e6(level.price_e4) > 0)
    }

    /// Trade with whatever the limit reaches, then rest or die.
    fn enter(&mut self, who: Who, side: Side, price_e4: u16, size_e6: u64, events: &mut Vec<Event>) {
        let left_e6 = self.cross(who, side, price_e4, size_e6, events);
        match who {
            Who::Taker => {}
            Who::Public => {
                if left_e6 < size_e6 {
                    self.note_short(side, price_e4);
                }
                if left_e6 > 0 {
                    self.rest(None, side, price_e4, left_e6, events);
                }
            }
            Who::Own(order) => {
                self.orders[order as usize].remaining_e6 = left_e6;
                if left_e6 > 0 {
                    self.orders[order as usize].is_resting = true;
                    self.resting[index(side)] += 1;
                    events.push(Event::Rested {
                        order,
                        remaining_e6: left_e6,
                    });
                    self.rest(Some(order), side, price_e4, left_e6, events);
                }
            }
        }
    }

    fn rest(
        &mut self,
        order: Option<OrderId>,
        side: Side,
        price_e4: u16,
        size_e6: u64,
        events: &mut Vec<Event>,
    ) {
        let queues = self.queues_mut(side);
        queues.add(price_e4, order, size_e6);
        let size_e6 = queues.total_e6(price_e4);
        events.push(Event::Level {
            side,
            level: Level { price_e4, size_e6 },
        });
    }

    /// One trade for each level within the limit, the oldest first; what is left of the size.
    fn cross(&mut self, who: Who, side: Side, limit_e4: u16, size_e6: u64, events: &mut Vec<Event>) -> u64 {
        let (opposite, mut left_e6) = (side.opposite(), size_e6);
        while left_e6 > 0 {
            let reached = self
                .best(opposite)
                .filter(|level| is_within(side, level.price_e4, limit_e4));
            let Some(level) = reached else {
                break;
            };
            let traded = Level {
                price_e4: level.price_e4,
                size_e6: left_e6.min(level.size_e6),
            };
            left_e6 -= traded.size_e6;
            self.trade_level(who, side, traded, left_e6, events);
        }
        left_e6
    }

    fn trade_level(&mut self, who: Who, side: Side, traded: Level, left_e6: u64, events: &mut Vec<Event>) {
        let (maker_side, price_e4) = (side.opposite(), traded.price_e4);
        let mut taken = std::mem::take(&mut self.taken);
        let queues = self.queues_mut(maker_side);
        let has_public = queues.take(price_e4, traded.size_e6, &mut taken);
        let size_e6 = queues.total_e6(price_e4);
        for Taken { order, size_e6 } in taken.drain(..) {
            self.fill_maker(order, maker_side, Level { price_e4, size_e6 }, events);
        }
        self.taken = taken;
        if let Who::Own(order) = who {
            events.push(Event::Filled {
                order,
                side,
                level: traded,
                remaining_e6: left_e6,
                is_maker: false,
            });
        }
        if has_public {
            self.note_short(maker_side, price_e4);
        }
        events.push(Event::Traded { side, level: traded });
        events.push(Event::Level {
            side: maker_side,
            level: Level { price_e4, size_e6 },
        });
    }

    fn fill_maker(&mut self, order: OrderId, side: Side, level: Level, events: &mut Vec<Event>) {
        let own = &mut self.orders[order as usize];
        own.remaining_e6 -= level.size_e6;
        if own.remaining_e6 == 0 {
            own.is_resting = false;
            self.resting[index(side)] -= 1;
        }
        let remaining_e6 = own.remaining_e6;
        events.push(Event::Filled {
            order,
            side,
            level,
            remaining_e6,
            is_maker: true,
        });
    }
}

/// Whether an order on `side` with this limit reaches an opposite price.
const fn is_within(side: Side, price_e4: u16, limit_e4: u16) -> bool {
    match side {
        Side::Buy => price_e4 <= limit_e4,
        Side::Sell => price_e4 >= limit_e4,
    }
}
