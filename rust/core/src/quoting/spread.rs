//! The quadratic spread function, and the tick of each side that is worth most.
//!
//! **Half-spread**, in logits, for the side whose takers are informed with share μ:
//!
//! ```text
//! r      = x − q·(skew + γσ²T)                                       reservation (Avellaneda–Stoikov)
//! δ₀(q)  = [ ½γσ²T + 2·artanh μ + κ·uncertainty + cost ]·doubt
//!          + a·|q| + b·q²                                            break-even: a fill at r ∓ δ₀ is worth nothing
//! δ(q)   = δ₀(q) + (1/γ)·ln(1 + γ/k)                                 with the maker's markup
//! ```
//!
//! q = position / largest position, σ the belief's volatility per √s, T the holding time in seconds (never beyond the
//! close), 2·artanh μ Glosten and Milgrom's half-spread, constant in logits; doubt ≥ 1 grows as the book is believed
//! less and as the resolution nears. Sources: market-science §1, §3, §6.
//!
//! **Optimum.** An order at price p, a distance d = |S(r) − p| from the reservation, with a shares before it in the
//! queue, is worth per second
//!
//! ```text
//! F(p) = min(A·e^(−4k·d) / (1 + a/queue), size/rest) · [ d − |S(r) − S(r ∓ δ₀)| + rebate·p(1 − p) ]  − L(p) + M(p)
//! L(p) = ρ·size/τ · ( e(d_x) − e(b) )   e(d) = E[(J − d)⁺] = (m − d·atan2(m, d))/π,   m = σ√τ·S(x)(1 − S(x))
//! M(p) = presence·(1 − d_x)                                            d_x = |S(x) − p|
//! U    = F(bid) + F(ask) + reward(Q_min of both) − price of the tokens that a new order costs, per second of rest
//! ```
//!
//! where |S(r) − S(r ∓ δ₀)| holds the markout cost. Fills decay with the distance in price: takers count ticks, near
//! 0 and 1 as well. **L is what it costs to be picked off**: the book changes every τ seconds and until then a quote
//! cannot follow; over that time fair value moves by J, Student's t with three degrees of freedom and deviation m.
//! Its tail is the recorded one (a jump beyond d is on average 1.5·d), so no quote is far enough out to be paid for
//! jumps. No jump ends beyond 0 or 1, which lie b away: an ask at 0.99 has a cent to lose. **M is what it is worth to be in the market**, less the further out. Rewards are convex in the price (`rewards`), so U may have an
//! interior minimum: every pair of admissible ticks (on the grid, not marketable) is tried, "do not quote" and the
//! orders that rest already among them, but for those that are provably worth less than another. Without rewards and costs the optimum is within a tick of r ∓ δ.

use std::f64::consts::{FRAC_PI_2, PI};

use super::expit;
use super::rewards::{RewardTerms, Scores};
use crate::units::{PRICE_ONE_E4, Side};

/// Candidates of a side: the reach of a reward of 4.5 cents on the finest usual grid.
pub const MOST_TICKS: usize = 45;
const SHARE_E6: f64 = 1e6;
const FEARED: f64 = 3.0;
/// ∂logit/∂price at one half.
const STEEPNESS: f64 = 4.0;
/// At least ∂gain/∂(4·price): a quarter for the price, and no rebate adds more than that.
const STEEPEST: f64 = 0.5;
const ONE: f64 = PRICE_ONE_E4 as f64;

/// Parameters of the spread function; logits, seconds, shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpreadModel {
    /// γ, per logit.
    pub risk_aversion: f64,
    /// Longest T in seconds.
    pub holding_s: f64,
    /// k, per logit at one half.
    pub fill_decay: f64,
    /// A, shares per second.
    pub fill_rate: f64,
    /// Shares before an order at which its fills are halved.
    pub queue_shares: f64,
    /// How long an order is expected to rest, in seconds.
    pub rest_s: f64,
    /// Shift of the reservation at the largest position.
    pub skew: f64,
    /// a.
    pub widen_linear: f64,
    /// b.
    pub widen_quadratic: f64,
    /// κ.
    pub uncertainty_weight: f64,
    /// Fixed costs.
    pub cost: f64,
    /// ρ, how much of the expected loss to jumps is counted.
    pub pick_off: f64,
    /// What it is worth to stand on a side, at fair value, in USD per second.
    pub presence: f64,
}

/// What the spread depends on at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpreadState {
    /// x, fair value in logits.
    pub fair: f64,
    /// Its standard error.
    pub uncertainty: f64,
    /// σ, per √s.
    pub volatility: f64,
    /// τ, seconds between the changes of the book, above 0.
    pub interval_s: f64,
    /// q, in [−1, 1].
    pub inventory_ratio: f64,
    /// Seconds to the close; infinite when it is far.
    pub to_close_s: f64,
    /// μ of those who sell to our bid and of those who buy our ask, in [0, 1).
    pub informed: [f64; 2],
    /// At least 1.
    pub doubt: f64,
}

/// r and the break-even and full half-spreads of bid and ask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// S(x).
    pub fair: f64,
    /// m, by how much that moves while a quote cannot follow.
    pub jump: f64,
    /// τ.
    pub interval_s: f64,
    /// r.
    pub reservation: f64,
    /// δ₀ of bid and ask.
    pub break_even: [f64; 2],
    /// δ of bid and ask.
    pub half_spread: [f64; 2],
}

/// The spread function.
#[must_use]
pub fn spread(model: &SpreadModel, state: &SpreadState) -> Spread {
    let q = state.inventory_ratio;
    let horizon_s = model.holding_s.min(state.to_close_s).max(0.0);
    let risk = model.risk_aversion * state.volatility.powi(2) * horizon_s;
    let markup = if model.risk_aversion > 0.0 {
        (model.risk_aversion / model.fill_decay).ln_1p() / model.risk_aversion
    } else {
        1.0 / model.fill_decay
    };
    let widening = model.widen_linear * q.abs() + model.widen_quadratic * q * q;
    let fair = expit(state.fair);
    let shared = 0.5 * risk + model.uncertainty_weight * state.uncertainty + model.cost;
    let break_even = state
        .informed
        .map(|mu| (shared + 2.0 * mu.atanh()) * state.doubt + widening);
    Spread {
        fair,
        jump: state.volatility * state.interval_s.sqrt() * fair * (1.0 - fair),
        interval_s: state.interval_s,
        reservation: state.fair - q * (model.skew + risk),
        break_even,
        half_spread: break_even.map(|half_spread| half_spread + markup),
    }
}

impl Spread {
    /// The same with a jump to be feared within so many seconds: three deviations of that time, at least `least`.
    #[must_use]
    pub fn alarmed(&self, within_s: f64, least: f64) -> Self {
        let deviation = self.jump * (within_s / self.interval_s).sqrt();
        Self {
            jump: (FEARED * deviation).max(least),
            interval_s: within_s,
            ..*self
        }
    }
}

/// The grid and what others show on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Tick in 1e-4.
    pub tick_e4: u16,
    /// Best bid of the book in 1e-4.
    pub bid_e4: u16,
    /// Best ask of the book in 1e-4.
    pub ask_e4: u16,
}

/// One order that may stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Price in 1e-4.
    pub price_e4: u16,
    /// Size in 1e-6 shares.
    pub size_e6: u64,
    /// Value in USD per second, rewards left out.
    pub value: f64,
    /// Reward score.
    pub score: f64,
    /// Whether it rests already.
    pub is_kept: bool,
}

/// What one order is worth, in its parts.
#[derive(Debug, Clone, Copy)]
struct Worth {
    gain: f64,
    /// Shares a second that would trade without a queue.
    rate: f64,
    /// Most that can: the whole order while it rests.
    most: f64,
    /// What it is worth without trading: presence less the loss to jumps, concave in the price.
    idle: f64,
    value: f64,
}

/// Values of orders of one side under one spread.
#[derive(Debug, Clone, Copy)]
pub struct SideValue {
    sign: f64,
    centre: f64,
    cost: f64,
    rebate: f64,
    fair: f64,
    jump: f64,
    /// e(b).
    beyond_end: f64,
    fill_rate: f64,
    fill_decay: f64,
    presence: f64,
    per_queued: f64,
    per_rest: f64,
    /// ρ/πτ.
    exposed: f64,
}

impl SideValue {
    /// Prepare; `rebate` is fee rate times the makers' share, per share and p(1 − p).
    #[must_use]
    pub fn new(model: &SpreadModel, spread: &Spread, side: Side, rebate: f64) -> Self {
        let (sign, half) = match side {
            Side::Buy => (1.0, spread.break_even[0]),
            Side::Sell => (-1.0, spread.break_even[1]),
        };
        let centre = expit(spread.reservation);
        let limit = expit(spread.reservation - sign * half);
        let jump = spread.jump.max(f64::MIN_POSITIVE);
        let to_end = match side {
            Side::Buy => spread.fair,
            Side::Sell => 1.0 - spread.fair,
        };
        Self {
            sign,
            centre,
            cost: (centre - limit).abs(),
            rebate,
            fair: spread.fair,
            jump,
            beyond_end: excess(jump, to_end),
            fill_rate: model.fill_rate,
            fill_decay: model.fill_decay,
            presence: model.presence,
            per_queued: 1.0 / model.queue_shares,
            per_rest: 1.0 / model.rest_s,
            exposed: model.pick_off / (spread.interval_s * PI),
        }
    }

    /// The price at which a fill just breaks even, rebate included, in 1e-4; more generous ones lose by themselves.
    #[must_use]
    pub fn limit_e4(&self) -> f64 {
        let rebate = self.rebate * self.centre * (1.0 - self.centre);
        (self.centre - self.sign * (self.cost - rebate)) * ONE
    }

    /// F of an order with so many shares before it, in USD per second.
    #[must_use]
    pub fn value(&self, price_e4: u16, size_e6: u64, ahead_shares: f64) -> f64 {
        self.worth(price_e4, size_e6, ahead_shares, self.rate(price_e4))
            .value
    }

    /// What a share that trades at this price brings.
    #[must_use]
    pub fn gain(&self, price_e4: u16) -> f64 {
        let p = f64::from(price_e4) / ONE;
        self.sign * (self.centre - p) - self.cost + self.rebate * p * (1.0 - p)
    }

    fn rate(&self, price_e4: u16) -> f64 {
        let distance = self.sign * (self.centre - f64::from(price_e4) / ONE);
        self.fill_rate * (-STEEPNESS * self.fill_decay * distance).exp()
    }

    /// What a step away from fair value leaves of `rate`.
    fn decay(&self, step_e4: u16) -> f64 {
        (-STEEPNESS * self.fill_decay * f64::from(step_e4) / ONE).exp()
    }

    fn worth(&self, price_e4: u16, size_e6: u64, ahead_shares: f64, rate: f64) -> Worth {
        let (gain, size) = (self.gain(price_e4), size_e6 as f64 / SHARE_E6);
        let beyond = self.sign * (self.fair - f64::from(price_e4) / ONE);
        let most = size * self.per_rest;
        let filled = (rate / (1.0 + ahead_shares * self.per_queued)).min(most);
        let idle = self.presence * (1.0 - beyond.abs())
            - self.exposed * size * (excess(self.jump, beyond) - self.beyond_end);
        Worth {
            gain,
            rate,
            most,
            idle,
            value: filled * gain + idle,
        }
    }

    /// Whether no order further out can be worth more than `best`, whatever stands before it; `nearer` is the idle
    /// worth one step nearer.
    ///
    /// Without a queue an order trades for rate·gain, which falls once k·gain exceeds the slope of the price and of its
    /// rebate; what is concave goes on falling once it fell.
    fn ends(&self, worth: &Worth, nearer: f64, best: f64) -> bool {
        worth.rate < worth.most
            && self.fill_decay * worth.gain > STEEPEST
            && worth.idle <= nearer
            && worth.rate * worth.gain + worth.idle < best
    }
}

/// π·e(d).
fn excess(jump: f64, distance: f64) -> f64 {
    // atan2(m, d) of m > 0, for half its time.
    jump - distance * (FRAC_PI_2 - (distance / jump).atan())
}

/// What a new order of one side would be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewOrder {
    /// Its size in 1e-6 shares.
    pub size_e6: u64,
    /// What changing costs, in USD per second of rest.
    pub cost: f64,
    /// Share of its rest in which it is old enough for rewards.
    pub scoring_share: f64,
}

/// Append every admissible tick of a side, most generous first; `ahead` tells the shares that stand at a price.
///
/// Ticks that lose by their fills are left out unless they are nearer to the midpoint of the rewards.
pub fn candidates(
    side: &SideValue,
    grid: &Grid,
    order: &NewOrder,
    rewards: Option<(&RewardTerms, f64)>,
    ahead: impl Fn(u16) -> f64,
    found: &mut Vec<Candidate>,
) {
    let tick = i32::from(grid.tick_e4);
    let highest = i32::from(PRICE_ONE_E4) - tick;
    let (limit_e4, middle_e4) = (side.limit_e4(), rewards.map(|(_, midpoint_e4)| midpoint_e4));
    let (mut price, step) = if side.sign > 0.0 {
        let passive = ((i32::from(grid.ask_e4) - 1) / tick * tick).min(highest);
        let useful = middle_e4.map_or(limit_e4, |middle_e4| limit_e4.max(middle_e4));
        let first = passive.min((useful / f64::from(tick)).ceil() as i32 * tick);
        (first, -tick)
    } else {
        let passive = ((i32::from(grid.bid_e4) / tick + 1) * tick).max(tick);
        let useful = middle_e4.map_or(limit_e4, |middle_e4| limit_e4.min(middle_e4));
        let first = passive.max((useful / f64::from(tick)).floor() as i32 * tick);
        (first, tick)
    };
    let decay = side.decay(grid.tick_e4);
    let (mut best, mut nearer) = (0.0_f64, None::<Worth>);
    for _ in 0..MOST_TICKS {
        let Some(price_e4) = u16::try_from(price)
            .ok()
            .filter(|_| (tick..=highest).contains(&price))
        else {
            return;
        };
        let rate = nearer.map_or_else(|| side.rate(price_e4), |nearer| nearer.rate * decay);
        let score = rewards.map_or(0.0, |(terms, midpoint_e4)| {
            terms.score((f64::from(price_e4) - midpoint_e4).abs(), order.size_e6)
        });
        let worth = side.worth(price_e4, order.size_e6, ahead(price_e4), rate);
        if score <= 0.0 && nearer.is_some_and(|nearer| side.ends(&worth, nearer.idle, best)) {
            return;
        }
        nearer = Some(worth);
        best = best.max(worth.value);
        found.push(Candidate {
            price_e4,
            size_e6: order.size_e6,
            value: worth.value - order.cost,
            score: score * order.scoring_share,
            is_kept: false,
        });
        price += step;
    }
}

/// What a market's rewards would pay for a pair of scores, in USD per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool<'a> {
    /// Its terms.
    pub terms: &'a RewardTerms,
    /// Q_min of the others.
    pub others: f64,
    /// Midpoint in 1e-4.
    pub midpoint_e4: f64,
}

impl Pool<'_> {
    fn income(&self, one: f64, two: f64) -> f64 {
        self.terms
            .income(Scores { one, two }, self.others, self.midpoint_e4)
    }
}

/// The pair that is worth most: indices into bids and asks, None for a side that is better not quoted, and U.
#[must_use]
pub fn optimum(
    bids: &[Candidate],
    asks: &[Candidate],
    pool: Option<&Pool<'_>>,
) -> (Option<usize>, Option<usize>, f64) {
    let best = |side: &[Candidate]| {
        let mut found: (Option<usize>, f64) = (None, 0.0);
        for (place, candidate) in side.iter().enumerate() {
            if candidate.value > found.1 {
                found = (Some(place), candidate.value);
            }
        }
        found
    };
    let Some(pool) = pool else {
        let ((bid, bid_value), (ask, ask_value)) = (best(bids), best(asks));
        return (bid, ask, bid_value + ask_value);
    };
    let most_of = |side: &[Candidate]| {
        let most = |(value, score): (f64, f64), c: &Candidate| (value.max(c.value), score.max(c.score));
        side.iter().fold((0.0, 0.0), most)
    };
    let ((most_value, most_score), asks) = (most_of(asks), tried(asks));
    let mut found = (None, None, 0.0);
    for (bid, bid_value, one) in tried(bids) {
        if bid_value + most_value + pool.income(one, most_score) <= found.2 {
            continue;
        }
        for (ask, ask_value, two) in asks.clone() {
            let value = bid_value + ask_value + pool.income(one, two);
            if value > found.2 {
                found = (bid, ask, value);
            }
        }
    }
    found
}

/// (place, value, score) of "do not quote" and of what may be part of the best pair.
///
/// What scores nothing differs by its value alone: the best of it stands for all.
fn tried(side: &[Candidate]) -> impl Iterator<Item = (Option<usize>, f64, f64)> + Clone {
    let mut plain: Option<usize> = None;
    for (place, candidate) in side.iter().enumerate() {
        let is_better = plain.is_none_or(|at| candidate.value > side[at].value);
        if candidate.score <= 0.0 && candidate.value > 0.0 && is_better {
            plain = Some(place);
        }
    }
    let each = side.iter().enumerate();
    let scoring = each.filter(move |&(place, c)| c.score > 0.0 || Some(place) == plain);
    std::iter::once((None, 0.0, 0.0)).chain(scoring.map(|(place, c)| (Some(place), c.value, c.score)))
}
