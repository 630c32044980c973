//! A flow played to one strategy, with latency in both directions. Virtual time: nothing waits.
//!
//! ```text
//! venue      flow event, arrival of our request, end of a delay      at t
//! strategy   sees it                                                  at t + feed latency
//! strategy   decides at once; its request reaches the venue           at then + order latency
//! ```
//!
//! Each latency is its base plus up to `jitter_ns` drawn from the seed; both ways keep their order, as a
//! connection does, so a late message delays those behind it. What happens at one instant at the venue happens
//! in this order: delays end, the flow, our requests.
//!
//! What a strategy sees of book and flow is what a sentinel shows it: as many levels, the same features.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::books::Shown;
use crate::features::{self, FlowState, Touch};
use crate::ladder::Level;
use crate::matching::flow::{Flow, FlowEvent, What};
use crate::matching::market::Market;
use crate::matching::messages::{Event, MarketRules, OrderId, Placement, Refusal};
use crate::units::Side;

const NS_PER_MS: u64 = 1_000_000;

/// How long messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// From the venue to the strategy.
    pub feed_ns: u64,
    /// From the strategy to the venue.
    pub order_ns: u64,
    /// Up to this much more, each time.
    pub jitter_ns: u64,
    /// Of the jitter.
    pub seed: u64,
}

/// The best levels of each side as the strategy sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Top {
    /// Best bids.
    pub bids: Shown,
    /// Best asks.
    pub asks: Shown,
    /// Tick in 1e-4.
    pub tick_e4: u16,
}

impl Top {
    /// The best level of each side.
    #[must_use]
    pub fn touch(&self) -> Touch {
        Touch {
            bid: self.bids.levels().first().copied(),
            ask: self.asks.levels().first().copied(),
        }
    }
}

/// What the venue says about one of our orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It rests.
    Live {
        /// Which.
        order: OrderId,
        /// What rests.
        remaining_e6: u64,
    },
    /// A part of it traded.
    Filled(Fill),
    /// It was withdrawn.
    Cancelled {
        /// Which.
        order: OrderId,
        /// What was left.
        remaining_e6: u64,
    },
    /// It, or its cancel, was refused.
    Refused {
        /// Which.
        order: OrderId,
        /// Why.
        reason: Refusal,
    },
}

/// One fill at the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Which order.
    pub order: OrderId,
    /// Its side.
    pub side: Side,
    /// Price and size.
    pub level: Level,
    /// What is left of the order.
    pub remaining_e6: u64,
    /// Whether it rested, or came.
    pub is_maker: bool,
    /// When, at the venue.
    pub venue_ns: u64,
}

/// Something the strategy sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// The book changed; `Replay::top` is new.
    Book,
    /// Something about our orders.
    Own(Report),
    /// A trade; the side is the aggressor's.
    Trade {
        /// Who came.
        side: Side,
        /// Price and size.
        level: Level,
    },
    /// The underlying's price in 1e-6 USD.
    Reference(u64),
}

#[derive(Debug, Clone, Copy)]
enum Message {
    Book(Top),
    Other(Observation),
}

#[derive(Debug, Clone, Copy)]
enum Request {
    Place(Placement),
    Cancel(OrderId),
}

/// One way of a connection: what was sent first arrives first.
#[derive(Debug, Clone)]
struct Line<T> {
    latency_ns: u64,
    newest_ns: u64,
    under_way: VecDeque<(u64, T)>,
}

impl<T: Copy> Line<T> {
    const fn new(latency_ns: u64) -> Self {
        Self {
            latency_ns,
            newest_ns: 0,
            under_way: VecDeque::new(),
        }
    }

    fn send(&mut self, at_ns: u64, jitter_ns: u64, message: T) {
        self.newest_ns = self.newest_ns.max(at_ns + self.latency_ns + jitter_ns);
        self.under_way.push_back((self.newest_ns, message));
    }

    fn due_ns(&self) -> Option<u64> {
        self.under_way.front().map(|&(due_ns, _)| due_ns)
    }
}

/// One run of a flow.
#[derive(Debug, Clone)]
pub struct Replay {
    flow: Arc<Flow>,
    cursor: usize,
    market: Market,
    feed: Line<Message>,
    requests: Line<Request>,
    jitter_ns: u64,
    random: u64,
    now_ns: u64,
    venue_ns: u64,
    ends_ns: u64,
    is_closed: bool,
    top: Top,
    seen: features::Flow,
    // What trades have taken from each side of `top` since it was shown.
    taken_e6: [u64; 2],
    events: Vec<Event>,
    fills: Vec<Fill>,
    placed: u32,
    quoted_ns: u64,
}

impl Replay {
    /// A run that has not begun; trading ends at `ends_ns`.
    #[must_use]
    pub fn new(flow: Arc<Flow>, rules: MarketRules, latency: Latency, ends_ns: u64) -> Self {
        Self {
            flow,
            cursor: 0,
            market: Market::new(rules),
            feed: Line::new(latency.feed_ns),
            requests: Line::new(latency.order_ns),
            jitter_ns: latency.jitter_ns,
            random: latency.seed,
            now_ns: 0,
            venue_ns: 0,
            ends_ns,
            is_closed: false,
            top: Top {
                tick_e4: rules.tick_e4,
                ..Top::default()
            },
            seen: features::Flow::default(),
            taken_e6: [0, 0],
            events: Vec::new(),
            fills: Vec::new(),
            placed: 0,
            quoted_ns: 0,
        }
    }

    /// The strategy's time.
    #[must_use]
    pub const fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// The book as the strategy sees it.
    #[must_use]
    pub const fn top(&self) -> Top {
        self.top
    }

    /// What has flowed through the market, as the strategy sees it.
    #[must_use]
    pub fn flow(&self) -> FlowState {
        self.seen.state(self.now_ns)
    }

    /// The venue's own state, which no strategy sees.
    #[must_use]
    pub const fn market(&self) -> &Market {
        &self.market
    }

    /// Every fill so far, by the venue's time.
    #[must_use]
    pub fn fills(&self) -> &[Fill] {
        &self.fills
    }

    /// How long orders of ours have rested on both sides.
    #[must_use]
    pub const fn quoted_ns(&self) -> u64 {
        self.quoted_ns
    }

    /// Send an order; the number it will have.
    pub fn place(&mut self, placement: Placement) -> OrderId {
        let order = self.placed;
        self.placed += 1;
        self.send(Request::Place(placement));
        order
    }

    /// Send the cancel of an order.
    pub fn cancel(&mut self, order: OrderId) {
        self.send(Request::Cancel(order));
    }

    /// Let time pass until the strategy sees something; None when there is nothing more to see.
    pub fn step(&mut self) -> Option<Observation> {
        loop {
            let venue_due_ns = self.venue_due_ns();
            if let Some(due_ns) = self.feed.due_ns() {
                if venue_due_ns.is_none_or(|at_ns| due_ns <= at_ns) {
                    return self.see();
                }
            }
            self.happen(venue_due_ns?);
        }
    }

    fn see(&mut self) -> Option<Observation> {
        let (due_ns, message) = self.feed.under_way.pop_front()?;
        self.now_ns = due_ns;
        Some(match message {
            Message::Book(top) => {
                if top.tick_e4 != self.top.tick_e4 {
                    self.seen.interrupt();
                }
                (self.top, self.taken_e6) = (top, [0, 0]);
                self.seen.take_touch(top.touch(), due_ns);
                Observation::Book
            }
            Message::Other(observation) => {
                if let Observation::Trade { side, level } = observation {
                    self.see_trade(side, level.size_e6);
                }
                observation
            }
        })
    }

    /// A buyer takes asks: what is left of them is what was shown less what is taken.
    fn see_trade(&mut self, side: Side, size_e6: u64) {
        let (shown, taken_e6) = match side {
            Side::Buy => (self.top.asks, &mut self.taken_e6[1]),
            Side::Sell => (self.top.bids, &mut self.taken_e6[0]),
        };
        *taken_e6 += size_e6;
        let stood_e6: u64 = shown.levels().iter().map(|level| level.size_e6).sum();
        let near_e6 = stood_e6.saturating_sub(*taken_e6);
        self.seen
            .take_trade(side, size_e6, near_e6, self.now_ns / NS_PER_MS, self.now_ns);
    }

    fn venue_due_ns(&self) -> Option<u64> {
        if self.is_closed {
            // A closed market still refuses what arrives.
            return self.requests.due_ns();
        }
        let flow_ns = self.flow.get(self.cursor).map(|event| event.at_ns);
        let dues = [
            self.market.next_due_ns(),
            flow_ns,
            self.requests.due_ns(),
            Some(self.ends_ns),
        ];
        dues.into_iter()
            .flatten()
            .min()
            .map(|at_ns| at_ns.min(self.ends_ns))
    }

    /// One thing at the venue: what is first at this instant.
    fn happen(&mut self, at_ns: u64) {
        if self.market.resting(Side::Buy) > 0 && self.market.resting(Side::Sell) > 0 {
            self.quoted_ns += at_ns - self.venue_ns;
        }
        self.venue_ns = at_ns;
        let mut events = std::mem::take(&mut self.events);
        if !self.is_closed && self.market.next_due_ns().is_some_and(|due_ns| due_ns <= at_ns) {
            self.market.advance(at_ns, &mut events);
        } else if !self.is_closed && at_ns == self.ends_ns {
            self.is_closed = true;
            self.market.close(&mut events);
        } else if let Some(event) = self.due_flow(at_ns) {
            self.cursor += 1;
            self.flow_event(event.what, &mut events);
        } else if let Some((_, request)) = self.requests.under_way.pop_front() {
            self.request(request, &mut events);
        }
        self.publish(&events);
        events.clear();
        self.events = events;
    }

    fn due_flow(&self, at_ns: u64) -> Option<FlowEvent> {
        let event = self.flow.get(self.cursor)?;
        (!self.is_closed && event.at_ns <= at_ns).then_some(event)
    }

    fn flow_event(&mut self, what: What, events: &mut Vec<Event>) {
        match what {
            What::Levels { first, end } => {
                let flow = Arc::clone(&self.flow);
                self.market.follow(flow.changes(first, end), events);
            }
            What::Taker {
                side,
                size_e6,
                limit_e4,
            } => self.market.take(side, size_e6, limit_e4, self.venue_ns, events),
            What::Reference(value_e6) => {
                self.tell(Message::Other(Observation::Reference(value_e6)));
            }
            What::Tick(tick_e4) => {
                self.market.change_tick(tick_e4);
                self.tell(Message::Book(self.top_now()));
            }
        }
    }

    fn request(&mut self, request: Request, events: &mut Vec<Event>) {
        match request {
            Request::Place(placement) if self.is_closed => {
                // It keeps its number: orders are counted by what was sent.
                let too_small = Placement {
                    size_e6: 0,
                    ..placement
                };
                let mut refused = Vec::new();
                let order = self.market.place(too_small, self.venue_ns, &mut refused);
                events.push(Event::Refused {
                    order,
                    reason: Refusal::NotOpen,
                });
            }
            Request::Place(placement) => {
                self.market.place(placement, self.venue_ns, events);
            }
            Request::Cancel(order) => self.market.cancel(order, events),
        }
    }

    fn publish(&mut self, events: &[Event]) {
        let mut is_changed = false;
        for &event in events {
            let observation = match event {
                Event::Level { .. } => {
                    is_changed = true;
                    continue;
                }
                Event::Held { .. } => continue,
                Event::Traded { side, level } => Observation::Trade { side, level },
                Event::Filled {
                    order,
                    side,
                    level,
                    remaining_e6,
                    is_maker,
                } => {
                    let fill = Fill {
                        order,
                        side,
                        level,
                        remaining_e6,
                        is_maker,
                        venue_ns: self.venue_ns,
                    };
                    self.fills.push(fill);
                    Observation::Own(Report::Filled(fill))
                }
                Event::Rested { order, remaining_e6 } => {
                    Observation::Own(Report::Live { order, remaining_e6 })
                }
                Event::Cancelled { order, remaining_e6 } => {
                    Observation::Own(Report::Cancelled { order, remaining_e6 })
                }
                Event::Refused { order, reason } => Observation::Own(Report::Refused { order, reason }),
            };
            self.tell(Message::Other(observation));
        }
        if is_changed {
            self.tell(Message::Book(self.top_now()));
        }
    }

    fn top_now(&self) -> Top {
        Top {
            bids: Shown::of(self.market.levels(Side::Buy)),
            asks: Shown::of(self.market.levels(Side::Sell)),
            tick_e4: self.market.rules().tick_e4,
        }
    }

    fn tell(&mut self, message: Message) {
        let jitter_ns = self.draw_jitter_ns();
        self.feed.send(self.venue_ns, jitter_ns, message);
    }

    fn send(&mut self, request: Request) {
        let jitter_ns = self.draw_jitter_ns();
        self.requests.send(self.now_ns, jitter_ns, request);
    }

    /// Uniform in [0, jitter], by splitmix64 (Steele, Lea and Flood 2014).
    const fn draw_jitter_ns(&mut self) -> u64 {
        if self.jitter_ns == 0 {
            return 0;
        }
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % (self.jitter_ns + 1)
    }
}
