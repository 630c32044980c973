//! Features of a book and of its flow. Formulas: market-science.md §1 and §5.
//!
//! With bid b, ask a and their sizes B, A: microprice = (b·A + a·B) / (A + B), the mid weighted towards the
//! side that is likelier to be consumed (Gatheral & Oomen 2010); imbalance = (B − A) / (B + A) in [−1, 1], over
//! several levels a depth imbalance. Order-flow imbalance (Cont, Kukanov & Stoikov 2014), for each new touch:
//! e = B·1{b ≥ b′} − B′·1{b ≤ b′} − A·1{a ≤ a′} + A′·1{a ≥ a′}, primes for the touch before; signed flow is the
//! venue's own aggressor side times size. Both are sums that halve every second. The volatility of the belief is
//! √(Σ Δx² / Σ Δt) of x = logit(microprice) with the same kind of forgetting, jumps cut off.

use crate::ladder::Level;
use crate::units::{PRICE_ONE_E4, Side};

const NS_PER_S: f64 = 1e9;
const FLOW_HALF_LIFE_S: f64 = 1.0;
const VOLATILITY_HALF_LIFE_S: f64 = 60.0;
/// Touches closer together than this are one step of the belief: the bounce between them is none.
const BELIEF_STEP_NS: u64 = 100_000_000;
/// Without so many seconds of steps there is no volatility.
const BELIEF_LEAST_S: f64 = 5.0;
const JUMP_SIGMAS: f64 = 5.0;
/// A trade that takes this share of what stood near the touch is a sweep.
const SWEEP_SHARE: f64 = 0.5;
/// Prints within this of each other, on one side, are one aggressor's.
const SWEEP_WINDOW_MS: u64 = 50;

/// The best level of each side; an empty side is None.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// Best bid.
    pub bid: Option<Level>,
    /// Best ask.
    pub ask: Option<Level>,
}

impl Touch {
    /// Whether the best bid is at or above the best ask.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        self.both().is_some_and(|(bid, ask)| bid.price_e4 >= ask.price_e4)
    }

    /// Size-weighted mid as a probability in (0, 1); None when a side is missing.
    #[must_use]
    pub fn microprice(&self) -> Option<f64> {
        self.both().map(|(bid, ask)| {
            let (bid_size, ask_size) = (bid.size_e6 as f64, ask.size_e6 as f64);
            let weighted = f64::from(bid.price_e4) * ask_size + f64::from(ask.price_e4) * bid_size;
            weighted / (bid_size + ask_size) / f64::from(PRICE_ONE_E4)
        })
    }

    /// Surplus of the bid's size over the ask's, in [-1, 1]; None when a side is missing.
    #[must_use]
    pub fn imbalance(&self) -> Option<f64> {
        self.both()
            .map(|(bid, ask)| surplus(bid.size_e6 as f64, ask.size_e6 as f64))
    }

    fn both(&self) -> Option<(Level, Level)> {
        self.bid.zip(self.ask)
    }
}

fn surplus(bid_size: f64, ask_size: f64) -> f64 {
    (bid_size - ask_size) / (bid_size + ask_size)
}

/// Surplus of the bids' size over the asks' within the given levels; None when a side is empty.
#[must_use]
pub fn depth_imbalance(bids: &[Level], asks: &[Level]) -> Option<f64> {
    let depth = |levels: &[Level]| levels.iter().map(|level| level.size_e6 as f64).sum::<f64>();
    let (bid_size, ask_size) = (depth(bids), depth(asks));
    (bid_size > 0.0 && ask_size > 0.0).then(|| surplus(bid_size, ask_size))
}

/// The touch without one's own orders: what others show. `bids` and `asks` best first, `own` by side.
#[must_use]
pub fn touch_without(bids: &[Level], asks: &[Level], own: &[(Side, Level)]) -> Touch {
    let best_of = |side: Side, levels: &[Level]| {
        levels.iter().find_map(|level| {
            let ours_e6: u64 = own
                .iter()
                .filter(|(of, order)| *of == side && order.price_e4 == level.price_e4)
                .fold(0, |sum: u64, (_, order)| sum.saturating_add(order.size_e6));
            let size_e6 = level.size_e6.saturating_sub(ours_e6);
            (size_e6 > 0).then_some(Level { size_e6, ..*level })
        })
    };
    Touch {
        bid: best_of(Side::Buy, bids),
        ask: best_of(Side::Sell, asks),
    }
}

/// A trade that took much of what stood near the touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// The aggressor's side.
    pub side: Side,
    /// What it took so far in 1e-6 shares.
    pub size_e6: u64,
    /// When its last print was received.
    pub received_ns: u64,
}

/// What flows through one market.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FlowState {
    /// Order-flow imbalance in shares, halving every second.
    pub order_flow: f64,
    /// Bought less sold shares by the venue's own side, halving every second.
    pub trade_flow: f64,
    /// Volatility of the belief in logits per √s; None before it is known.
    pub volatility: Option<f64>,
    /// The last sweep.
    pub sweep: Option<Sweep>,
}

/// Follows the touches and trades of one market.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    touch: Option<Touch>,
    order_flow: Fading,
    trade_flow: Fading,
    belief: Option<(f64, u64)>,
    squares: f64,
    seconds: f64,
    run: Option<(Side, u64, u64)>,
    sweep: Option<Sweep>,
}

impl Flow {
    /// The book was lost: what comes next is not a step from what was.
    pub const fn interrupt(&mut self) {
        (self.touch, self.belief, self.run) = (None, None, None);
    }

    /// Take the touch after a frame.
    pub fn take_touch(&mut self, touch: Touch, received_ns: u64) {
        let Some(before) = self.touch.replace(touch) else {
            self.belief = None;
            return;
        };
        if before == touch {
            return;
        }
        let step_e6 =
            side_flow(before.bid, touch.bid, Side::Buy) - side_flow(before.ask, touch.ask, Side::Sell);
        self.order_flow.add(step_e6 / 1e6, received_ns);
        if touch.is_crossed() {
            return;
        }
        if let Some(microprice) = touch.microprice() {
            self.take_belief(microprice, received_ns);
        }
    }

    /// Take a trade; `near_e6` is what stood on the side it took from, near the touch, before it.
    pub fn take_trade(&mut self, side: Side, size_e6: u64, near_e6: u64, server_ms: u64, received_ns: u64) {
        let sign = if side == Side::Buy { 1.0 } else { -1.0 };
        self.trade_flow.add(sign * size_e6 as f64 / 1e6, received_ns);
        let taken_e6 = match self.run {
            Some((of, taken_e6, last_ms)) if of == side && server_ms.abs_diff(last_ms) <= SWEEP_WINDOW_MS => {
                taken_e6.saturating_add(size_e6)
            }
            _ => size_e6,
        };
        self.run = Some((side, taken_e6, server_ms));
        // What it took is gone from the book, or about to be.
        let stood_e6 = near_e6.saturating_add(taken_e6);
        if taken_e6 as f64 >= SWEEP_SHARE * stood_e6 as f64 {
            self.sweep = Some(Sweep {
                side,
                size_e6: taken_e6,
                received_ns,
            });
        }
    }

    /// What is known at a time.
    #[must_use]
    pub fn state(&self, now_ns: u64) -> FlowState {
        FlowState {
            order_flow: self.order_flow.at(now_ns),
            trade_flow: self.trade_flow.at(now_ns),
            volatility: self.volatility(),
            sweep: self.sweep,
        }
    }

    fn volatility(&self) -> Option<f64> {
        (self.seconds >= BELIEF_LEAST_S).then(|| (self.squares / self.seconds).sqrt())
    }

    fn take_belief(&mut self, microprice: f64, received_ns: u64) {
        let elapsed_ns = self.belief.map(|(_, at_ns)| received_ns.saturating_sub(at_ns));
        if elapsed_ns.is_some_and(|elapsed_ns| elapsed_ns < BELIEF_STEP_NS) {
            return;
        }
        let belief = (microprice / (1.0 - microprice)).ln();
        let (Some((before, _)), Some(elapsed_ns)) = (self.belief, elapsed_ns) else {
            self.belief = Some((belief, received_ns));
            return;
        };
        let elapsed_s = elapsed_ns as f64 / NS_PER_S;
        let mut step = belief - before;
        if let Some(sigma) = self.volatility().filter(|&sigma| sigma > 0.0) {
            let jump = JUMP_SIGMAS * sigma * elapsed_s.sqrt();
            step = step.clamp(-jump, jump);
        }
        let kept = 0.5_f64.powf(elapsed_s / VOLATILITY_HALF_LIFE_S);
        self.squares = self.squares * kept + step * step;
        self.seconds = self.seconds * kept + elapsed_s;
        self.belief = Some((belief, received_ns));
    }
}

/// One side's share of the order flow: what was added, less what was taken away, at the better of two prices.
fn side_flow(before: Option<Level>, after: Option<Level>, side: Side) -> f64 {
    let size = |level: Level| level.size_e6 as f64;
    match (before, after) {
        (None, None) => 0.0,
        (None, Some(after)) => size(after),
        (Some(before), None) => -size(before),
        (Some(before), Some(after)) if before.price_e4 == after.price_e4 => size(after) - size(before),
        (Some(before), Some(after)) => {
            let is_better = (after.price_e4 > before.price_e4) == (side == Side::Buy);
            if is_better { size(after) } else { -size(before) }
        }
    }
}

/// A sum that halves every [`FLOW_HALF_LIFE_S`].
#[derive(Debug, Clone, Default)]
struct Fading {
    sum: f64,
    at_ns: u64,
}

impl Fading {
    fn add(&mut self, value: f64, now_ns: u64) {
        self.sum = self.at(now_ns) + value;
        self.at_ns = self.at_ns.max(now_ns);
    }

    fn at(&self, now_ns: u64) -> f64 {
        let elapsed_s = now_ns.saturating_sub(self.at_ns) as f64 / NS_PER_S;
        if elapsed_s == 0.0 || self.sum == 0.0 {
            return self.sum;
        }
        self.sum * 0.5_f64.powf(elapsed_s / FLOW_HALF_LIFE_S)
    }
}

/// Log returns of a reference price over a span of its own clock.
#[derive(Debug)]
pub struct ReferenceReturn {
    span_ms: u64,
    prices: std::collections::VecDeque<(u64, u64)>,
}

impl ReferenceReturn {
    /// Returns over `span_ms`.
    #[must_use]
    pub const fn new(span_ms: u64) -> Self {
        Self {
            span_ms,
            prices: std::collections::VecDeque::new(),
        }
    }

    /// Take a price; the log return from the last price that is at least the span older, None without one.
    ///
    /// A price that is not newer than the last, or not positive, is no step: None.
    pub fn take(&mut self, value_e6: u64, source_ms: u64) -> Option<f64> {
        if value_e6 == 0
            || self
                .prices
                .back()
                .is_some_and(|&(last_ms, _)| source_ms <= last_ms)
        {
            return None;
        }
        self.prices.push_back((source_ms, value_e6));
        let is_old = |&(at_ms, _): &(u64, u64)| source_ms - at_ms >= self.span_ms;
        while self.prices.get(1).is_some_and(is_old) {
            self.prices.pop_front();
        }
        let &(_, base_e6) = self.prices.front().filter(|price| is_old(price))?;
        Some((value_e6 as f64 / base_e6 as f64).ln())
    }
}
