//! The quoter of one market: what it sees → the quotes that should rest. A state machine without clock or I/O.
//!
//! Fair value (`belief`, with `digital` where a price settles) → spread and optimum (`spread`) → sizes. An order that
//! rests already competes with every new one at its own place in the queue, so replacing it must be worth the place
//! and the tokens; one that would lose by its next fill is never kept on the side that adds to the position.
//!
//! Nothing is quoted, for one [`Reason`], where the book or the rule cannot be relied on, or the end is near. A sweep
//! or a jump of the reference drives the quote of the side it endangers far out for a while.

use super::belief::{Belief, Fair, Sight};
use super::model::QuoterModel;
use super::reference::ReferencePath;
use super::rewards::{RewardTerms, Scores, shared_out};
use super::settlement::value_by_reference;
use super::situation::{Decision, MarketTerms, Reason, Rule, Situation, Target, refusal};
use super::sizes::{floor_size_e6, room_e6, wanted_size_e6};
use super::spread::{
    Candidate, Grid, NewOrder, Pool, SideValue, Spread, SpreadState, candidates, optimum, spread,
};
use super::toxicity::Toxicity;
use super::{expit, logit};
use crate::features::{Touch, touch_without};
use crate::ladder::Level;
use crate::units::{PRICE_ONE_E4, Side};

const SHARE_E6: f64 = 1e6;
const NS_PER_S: f64 = 1e9;
const MS_PER_S: f64 = 1e3;
const JUMP_SPAN_MS: u64 = 1_000;
/// What a sweep or a jump of the reference is feared to move the book by, at least.
const FEARED_TICKS: f64 = 2.0;
/// A model is never surer than this.
const SUREST: f64 = 1e-3;

#[derive(Debug, Clone, Copy)]
struct Place {
    price_e4: u16,
    ahead_e6: u64,
}

/// One market's quoter.
#[derive(Debug)]
pub struct MarketQuoter {
    model: QuoterModel,
    belief: Belief,
    toxicity: Toxicity,
    fair: Option<f64>,
    strike_usd: Option<f64>,
    places: [Option<Place>; 2],
    endangered_until_ns: [u64; 2],
    sweep_ns: u64,
    jump_ms: u64,
    sides: [Vec<Candidate>; 2],
}

impl MarketQuoter {
    /// A quoter that has seen nothing.
    #[must_use]
    pub fn new(model: QuoterModel) -> Self {
        Self {
            model,
            belief: Belief::default(),
            toxicity: Toxicity::new(model.informed_prior),
            fair: None,
            strike_usd: None,
            places: [None; 2],
            endangered_until_ns: [0; 2],
            sweep_ns: 0,
            jump_ms: 0,
            sides: [Vec::new(), Vec::new()],
        }
    }

    /// One of our orders traded.
    pub fn take_fill(&mut self, side: Side, now_ns: u64) {
        if let Some(fair) = self.fair {
            self.toxicity.take_fill(side, fair, now_ns);
        }
    }

    /// μ̂ of those who meet our bids and our asks.
    #[must_use]
    pub fn informed(&self) -> [f64; 2] {
        [Side::Buy, Side::Sell].map(|side| self.toxicity.informed(side))
    }

    /// How far flow and the underlying are believed, in [0, 1].
    #[must_use]
    pub fn weights(&self) -> (f64, f64) {
        self.belief.weights()
    }

    /// What should rest now.
    pub fn decide(&mut self, terms: &MarketTerms, seen: &Situation<'_>) -> Decision {
        let to_close_s = terms.closes_ms.map_or(f64::INFINITY, |closes_ms| {
            (closes_ms as f64 - seen.venue_ms as f64) / MS_PER_S
        });
        if let Some(reason) = refusal(terms, seen, to_close_s) {
            return self.nothing(reason);
        }
        let others = touch_without(seen.bids, seen.asks, seen.own);
        // Behind our own orders may be nobody near: then the whole book is the better guess.
        let touch = if others.bid.is_some() && others.ask.is_some() {
            others
        } else {
            Touch {
                bid: seen.bids.first().copied(),
                ask: seen.asks.first().copied(),
            }
        };
        let (Some(bid), Some(ask), Some(microprice)) = (touch.bid, touch.ask, touch.microprice()) else {
            return self.nothing(Reason::OneSided);
        };
        let width = logit(price(ask.price_e4)) - logit(price(bid.price_e4));
        let depth = (bid.size_e6 + ask.size_e6) as f64 / SHARE_E6;
        let sight = Sight {
            microprice,
            width,
            flow: (seen.flow_shares / depth).tanh(),
        };
        let modelled = self.modelled(terms, seen);
        let mut fair = self.belief.take(&sight, modelled, seen.now_ns);
        fair.logit += seen.shift;
        let value = expit(fair.logit);
        self.fair = Some(value);
        self.toxicity.take_fair(value, seen.now_ns);
        self.watch(terms, seen);
        self.keep_places(seen);
        if to_close_s <= self.model.withdraw_s {
            return self.nothing(Reason::Closing);
        }
        self.quote(terms, seen, fair, to_close_s)
    }

    fn nothing(&mut self, reason: Reason) -> Decision {
        self.places = [None; 2];
        Decision {
            bid: None,
            ask: None,
            reason: Some(reason),
            fair: None,
            spread: None,
            value: 0.0,
            reward: 0.0,
            keeps_orders: false,
        }
    }

    /// Logit of the underlying's opinion, where there is one.
    fn modelled(&mut self, terms: &MarketTerms, seen: &Situation<'_>) -> Option<f64> {
        let (Rule::Price(mut settlement), Some(path)) = (terms.rule, seen.reference) else {
            return None;
        };
        if settlement.strike_usd.is_none() {
            // Kept, because a long window outlives the path.
            self.strike_usd = self
                .strike_usd
                .or_else(|| settlement.drawn_strike_usd(path, seen.venue_ms));
            settlement.strike_usd = self.strike_usd;
        }
        let valued = value_by_reference(&settlement, path, terms.closes_ms?, seen.venue_ms).ok()?;
        Some(logit(valued.probability.clamp(SUREST, 1.0 - SUREST)))
    }

    /// Note the side that a sweep or a jump of the reference endangers.
    fn watch(&mut self, terms: &MarketTerms, seen: &Situation<'_>) {
        let until_ns = seen.now_ns + (self.model.pull_s * NS_PER_S) as u64;
        if let Some((aggressor, at_ns)) = seen.sweep.filter(|&(_, at_ns)| at_ns > self.sweep_ns) {
            self.sweep_ns = at_ns;
            let is_recent = (seen.now_ns.saturating_sub(at_ns) as f64) < self.model.pull_s * NS_PER_S;
            if is_recent {
                // Whoever buys what stands lifts asks: the next one would be ours.
                self.endangered_until_ns[index(aggressor.opposite())] = until_ns;
            }
        }
        // Where YES does not win by a higher price, the reference endangers no side.
        let path = seen.reference.filter(|_| matches!(terms.rule, Rule::Price(_)));
        let Some((at_ms, _)) = path.and_then(ReferencePath::last) else {
            return;
        };
        if at_ms <= self.jump_ms {
            return;
        }
        let Some((moved, sigma)) =
            path.and_then(|path| Some((path.log_return(JUMP_SPAN_MS)?, path.volatility()?)))
        else {
            return;
        };
        if moved.abs() > self.model.jump_sigmas * sigma {
            self.jump_ms = at_ms;
            let endangered = if moved > 0.0 { Side::Sell } else { Side::Buy };
            self.endangered_until_ns[index(endangered)] = until_ns;
        }
    }

    /// Follow how many shares stand before our orders: what left a level may have stood before them.
    fn keep_places(&mut self, seen: &Situation<'_>) {
        for side in [Side::Buy, Side::Sell] {
            let levels = if side == Side::Buy { seen.bids } else { seen.asks };
            let own = seen.own.iter().find(|(of, _)| *of == side);
            self.places[index(side)] = own.map(|(_, order)| {
                let shown = levels.iter().find(|level| level.price_e4 == order.price_e4);
                let others_e6 = shown.map(|level| level.size_e6.saturating_sub(order.size_e6));
                let before = self.places[index(side)]
                    .filter(|place| place.price_e4 == order.price_e4)
                    .map(|place| place.ahead_e6);
                let ahead_e6 = match (before, others_e6) {
                    (Some(before), Some(others)) => before.min(others),
                    (known, shown) => known.or(shown).unwrap_or(0),
                };
                Place {
                    price_e4: order.price_e4,
                    ahead_e6,
                }
            });
        }
    }

    fn quote(&mut self, terms: &MarketTerms, seen: &Situation<'_>, fair: Fair, to_close_s: f64) -> Decision {
        let model = self.model;
        let ratio = (seen.net_e6 as f64 / seen.max_position_e6 as f64).clamp(-1.0, 1.0);
        let nearness = if to_close_s < model.widen_s {
            1.0 - to_close_s / model.widen_s
        } else {
            0.0
        };
        let state = SpreadState {
            fair: fair.logit,
            uncertainty: fair.uncertainty,
            volatility: fair.volatility,
            interval_s: fair.interval_s,
            inventory_ratio: ratio,
            to_close_s,
            informed: self.informed(),
            doubt: seen.doubt * (1.0 + nearness),
        };
        let spread = spread(&model.spread, &state);
        let rewards = terms.rewards.as_ref().and_then(|rewards| {
            let midpoint_e4 = rewards.midpoint_e4(seen.bids, seen.asks)?;
            Some((rewards, midpoint_e4))
        });
        let grid = Grid {
            tick_e4: seen.tick_e4,
            bid_e4: seen.bids.first().map_or(0, |level| level.price_e4),
            ask_e4: seen.asks.first().map_or(PRICE_ONE_E4, |level| level.price_e4),
        };
        for side in [Side::Buy, Side::Sell] {
            self.fill_side(side, terms, seen, &spread, &grid, rewards);
        }
        let pool = rewards.map(|(terms, midpoint_e4)| Pool {
            terms,
            others: others_score(terms, midpoint_e4, seen),
            midpoint_e4,
        });
        let [bids, asks] = &self.sides;
        let (bid, ask, value) = optimum(bids, asks, pool.as_ref());
        // An order that rests is the first candidate of its side.
        let resting = |side: &[Candidate]| usize::from(side.first().is_some_and(|first| first.is_kept));
        let (_, _, before) = optimum(&bids[..resting(bids)], &asks[..resting(asks)], pool.as_ref());
        let (bid, ask) = uncrossed(bid.map(|place| bids[place]), ask.map(|place| asks[place]));
        let reward = terms
            .rewards
            .as_ref()
            .map_or(0.0, |terms| self.expected_reward(terms, seen, bid, ask));
        let places = [bid, ask]
            .into_iter()
            .flatten()
            .filter(|side| !side.is_kept)
            .count();
        let gain_usd = (value - before) * model.spread.rest_s / places.max(1) as f64;
        let kept = usize::from(bid.is_some()) + usize::from(ask.is_some()) - places;
        Decision {
            bid: bid.map(|candidate| target(candidate, gain_usd)),
            ask: ask.map(|candidate| target(candidate, gain_usd)),
            reason: None,
            fair: Some(fair),
            spread: Some(spread),
            value,
            reward,
            keeps_orders: places == 0 && kept > 0 && kept == seen.own.len(),
        }
    }

    /// What the targets earn once they stand, in USD per second: they move the midpoint themselves.
    fn expected_reward(
        &self,
        terms: &RewardTerms,
        seen: &Situation<'_>,
        bid: Option<Candidate>,
        ask: Option<Candidate>,
    ) -> f64 {
        let best = |side: Side, target: Option<Candidate>| {
            let levels = if side == Side::Buy { seen.bids } else { seen.asks };
            let ours_e6 = |price_e4: u16| {
                let own = seen
                    .own
                    .iter()
                    .filter(|(of, order)| *of == side && order.price_e4 == price_e4);
                own.map(|(_, order)| order.size_e6).sum::<u64>()
            };
            let target_e6 = |price_e4: u16| {
                let there = target.filter(|target| target.price_e4 == price_e4);
                there.map_or(0, |target| target.size_e6)
            };
            let shown = levels.iter().find(|level| {
                let others_e6 = level.size_e6.saturating_sub(ours_e6(level.price_e4));
                others_e6 + target_e6(level.price_e4) >= terms.min_size_e6
            });
            let target = target.filter(|target| target.size_e6 >= terms.min_size_e6);
            let prices = [
                shown.map(|level| level.price_e4),
                target.map(|target| target.price_e4),
            ];
            let prices = prices.into_iter().flatten();
            if side == Side::Buy {
                prices.max()
            } else {
                prices.min()
            }
        };
        let (Some(best_bid), Some(best_ask)) = (best(Side::Buy, bid), best(Side::Sell, ask)) else {
            return 0.0;
        };
        let midpoint_e4 = 0.5 * (f64::from(best_bid) + f64::from(best_ask));
        let fresh_share = (1.0 - terms.min_age_s / self.model.spread.rest_s).max(0.0);
        let score = |target: Option<Candidate>| {
            target.map_or(0.0, |target| {
                let distance_e4 = (f64::from(target.price_e4) - midpoint_e4).abs();
                let share = if target.is_kept { 1.0 } else { fresh_share };
                terms.score(distance_e4, target.size_e6) * share
            })
        };
        let ours = Scores {
            one: score(bid),
            two: score(ask),
        };
        terms.income(ours, others_score(terms, midpoint_e4, seen), midpoint_e4)
    }

    /// List what may stand on one side: the order that rests, and every tick for a new one.
    fn fill_side(
        &mut self,
        side: Side,
        terms: &MarketTerms,
        seen: &Situation<'_>,
        spread: &Spread,
        grid: &Grid,
        rewards: Option<(&RewardTerms, f64)>,
    ) {
        let found = &mut self.sides[index(side)];
        found.clear();
        let is_adding = seen.net_e6 == 0 || (seen.net_e6 > 0) == (side == Side::Buy);
        let ratio = seen.net_e6.unsigned_abs() as f64 / seen.max_position_e6 as f64;
        let is_endangered = seen.now_ns < self.endangered_until_ns[index(side)];
        let is_reduce_only = seen.is_reduce_only || ratio >= self.model.reduce_only;
        if is_adding && is_reduce_only {
            return;
        }
        let alarmed = spread.alarmed(self.model.pull_s, FEARED_TICKS * price(seen.tick_e4));
        let spread = if is_endangered { &alarmed } else { spread };
        let value = SideValue::new(&self.model.spread, spread, side, terms.rebate);
        let levels = if side == Side::Buy { seen.bids } else { seen.asks };
        let wanted_e6 = wanted_size_e6(seen.order_size_e6, if is_adding { ratio } else { 0.0 });
        let own = seen.own.iter().find(|(of, _)| *of == side);
        if let (Some(&(_, order)), Some(place)) = (own, self.places[index(side)]) {
            let ahead = place.ahead_e6 as f64 / SHARE_E6;
            let worth = value.value(order.price_e4, order.size_e6, ahead);
            let next_gain = value.gain(order.price_e4);
            let is_fit = order.size_e6 <= room_e6(side, seen, 0)
                && order.size_e6 <= (wanted_e6 + wanted_e6 / 2).max(terms.min_size_e6)
                && order.price_e4 % seen.tick_e4 == 0;
            if is_fit && !(is_adding && next_gain < 0.0) {
                let distance = |midpoint_e4: f64| (f64::from(order.price_e4) - midpoint_e4).abs();
                found.push(Candidate {
                    price_e4: order.price_e4,
                    size_e6: order.size_e6,
                    value: worth,
                    score: rewards.map_or(0.0, |(terms, midpoint_e4)| {
                        terms.score(distance(midpoint_e4), order.size_e6)
                    }),
                    is_kept: true,
                });
            }
        }
        // Every cancel may fail and every place fill: what rests still counts.
        let standing = seen.own.iter().filter(|(of, _)| *of == side);
        let standing_e6 = standing.map(|(_, order)| order.size_e6).sum();
        let size_e6 = floor_size_e6(
            wanted_e6
                .max(terms.min_size_e6)
                .min(room_e6(side, seen, standing_e6)),
        );
        if size_e6 < terms.min_size_e6 {
            return;
        }
        // One that goes anyway costs nothing more to replace.
        let change_usd = if found.is_empty() {
            0.0
        } else {
            seen.token_usd.1 + self.model.change_usd
        };
        let rest_s = self.model.spread.rest_s;
        let order = NewOrder {
            size_e6,
            cost: (seen.token_usd.0 + change_usd) / rest_s,
            scoring_share: rewards.map_or(0.0, |(terms, _)| (1.0 - terms.min_age_s / rest_s).max(0.0)),
        };
        let deepest = levels.last().map_or(0, |level| level.size_e6);
        let ahead = |price_e4: u16| {
            let shown = levels.iter().find(|level| level.price_e4 == price_e4);
            let is_beyond = levels.last().is_some_and(|last| match side {
                Side::Buy => price_e4 < last.price_e4,
                Side::Sell => price_e4 > last.price_e4,
            });
            let unseen = if is_beyond { deepest } else { 0 };
            shown.map_or(unseen, |level| level.size_e6) as f64 / SHARE_E6
        };
        candidates(&value, grid, &order, rewards, ahead, found);
    }
}

/// What everybody else's Q_min sum to, from the levels that are shown.
fn others_score(terms: &RewardTerms, midpoint_e4: f64, seen: &Situation<'_>) -> f64 {
    let mut scores = terms.scores(midpoint_e4, seen.bids, seen.asks);
    for (side, order) in seen.own {
        let ours = terms.score((f64::from(order.price_e4) - midpoint_e4).abs(), order.size_e6);
        match side {
            Side::Buy => scores.one = (scores.one - ours).max(0.0),
            Side::Sell => scores.two = (scores.two - ours).max(0.0),
        }
    }
    shared_out(scores, midpoint_e4)
}

/// Our own quotes never meet: where they would, the one that is worth less waits.
fn uncrossed(bid: Option<Candidate>, ask: Option<Candidate>) -> (Option<Candidate>, Option<Candidate>) {
    match (bid, ask) {
        (Some(bid), Some(ask)) if bid.price_e4 >= ask.price_e4 => {
            if bid.value >= ask.value {
                (Some(bid), None)
            } else {
                (None, Some(ask))
            }
        }
        pair => pair,
    }
}

const fn target(candidate: Candidate, gain_usd: f64) -> Target {
    Target {
        level: Level {
            price_e4: candidate.price_e4,
            size_e6: candidate.size_e6,
        },
        is_kept: candidate.is_kept,
        gain_usd: if candidate.is_kept { 0.0 } else { gain_usd },
    }
}

const fn index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}

fn price(price_e4: u16) -> f64 {
    f64::from(price_e4) / f64::from(PRICE_ONE_E4)
}
