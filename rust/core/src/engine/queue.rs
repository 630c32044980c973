//! Places that wait for tokens: those worth most per token go first, cancels never wait.
//!
//! ```text
//! worth      value of the plan × weight of its mandate ÷ orders it places
//! waiting    places that the limits refuse, for WAIT_NS at most: a price is not good for longer
//! served     best first; while the best one cannot be paid for nobody else is, so that no small plan starves a dear one
//! shadow     price of a token: the most that a place was worth that got none in the last PRICE_NS
//! ```
//!
//! A newer plan for the same market takes the place of one that waits.

use std::collections::VecDeque;

use super::events::ConnectionId;
use super::machine::Engine;
use super::messages::{BudgetState, EngineReply, Plan, RatePolicy, TokenPrice, Version};
use super::plans::PlanUnderWay;
use super::signing::SignOrder;
use crate::limits::{BucketName, Refusal};

const WAIT_NS: u64 = 100_000_000;
const PRICE_NS: u64 = 1_000_000_000;
/// Between two words to the quoters about the price.
const SAY_NS: u64 = 100_000_000;
/// Until a window is looked at again.
const RETRY_NS: u64 = 10_000_000;

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) policy: RatePolicy,
    waiting: u32,
    retry_ns: u64,
    /// When, and what it was worth per token.
    outbid: VecDeque<(u64, f64)>,
    served: [u64; 2],
    value: [f64; 2],
    said: Option<f64>,
    said_ns: u64,
}

impl Queue {
    /// Whether anybody waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// The quoters are to be told the price again, whether or not it changes.
    pub(super) const fn forget_said(&mut self) {
        self.said = None;
    }

    pub(super) fn wake_ns(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.retry_ns)
    }

    fn shadow_price(&mut self, now_ns: u64) -> f64 {
        while self
            .outbid
            .front()
            .is_some_and(|(at_ns, _)| at_ns + PRICE_NS < now_ns)
        {
            self.outbid.pop_front();
        }
        self.outbid.iter().map(|(_, worth)| *worth).fold(0.0, f64::max)
    }
}

impl<S: SignOrder> Engine<S> {
    /// What a plan's places are worth, for each token that they cost.
    pub(super) fn worth(&self, plan: &Plan) -> f64 {
        let weight = self
            .gate
            .mandate(&plan.market)
            .map_or(1.0, |mandate| mandate.weight);
        let worth = plan.value * weight / plan.places.len().max(1) as f64;
        // What is no number is worth nothing.
        if worth.is_finite() { worth } else { 0.0 }
    }

    /// Let a plan's places wait for tokens.
    pub(super) fn queue_places(&mut self, under_way: &mut PlanUnderWay, now_ns: u64) {
        under_way.queued_ns = Some(now_ns);
        self.queue.waiting += 1;
        self.queue.retry_ns = self.queue.retry_ns.min(now_ns + WAIT_NS).max(now_ns);
    }

    /// A queued plan whose places have been paid for, or will not be.
    pub(super) fn leave_queue(&mut self, under_way: &mut PlanUnderWay) -> Option<u64> {
        let since_ns = under_way.queued_ns.take();
        self.queue.waiting -= u32::from(since_ns.is_some());
        since_ns
    }

    /// A plan's places were paid for.
    pub(super) fn count_served(&mut self, plan: &Plan) {
        self.queue.served[0] += 1;
        self.queue.value[0] += self.worth(plan) * plan.places.len() as f64;
    }

    /// A newer plan for a market ends the wait of its quoter's older one.
    pub(super) fn supersede(&mut self, connection: ConnectionId, market: &str, now_ns: u64) {
        if self.queue.is_empty() {
            return;
        }
        let older = self.plans.iter().find(|(_, plan)| {
            plan.queued_ns.is_some() && plan.connection == connection && plan.plan.market == market
        });
        if let Some(id) = older.map(|(id, _)| *id) {
            self.end_wait(id, "rate: a newer plan took its place".to_owned(), now_ns);
        }
    }

    /// Serve those that wait, as far as the tokens go, and send off those that have waited too long.
    pub(super) fn serve_queue(&mut self, now_ns: u64) {
        while let Some(id) = self.best_waiting() {
            let Some(mut under_way) = self.plans.remove(&id) else {
                return;
            };
            let since_ns = self.leave_queue(&mut under_way);
            if under_way.refused.is_none() {
                let caller = (under_way.quoter.as_str(), under_way.connection);
                under_way.refused = self.refusal(caller, &under_way.plan, now_ns);
            }
            let unpaid = self.pay_and_send(id, &mut under_way, now_ns);
            let orders = under_way.plan.places.len();
            if unpaid.is_some() {
                under_way.queued_ns = since_ns;
                self.queue.waiting += 1;
            }
            self.keep_plan(id, under_way, now_ns);
            if let Some(refusal) = unpaid {
                self.send_off(&refusal, now_ns);
                let wait_ns = match refusal {
                    Refusal::Tokens { .. } => self.limits.place_wait_ns(orders, now_ns),
                    _ => RETRY_NS,
                };
                let next = self.plans.values().filter_map(|plan| plan.queued_ns).min();
                let due_ns = next.map_or(u64::MAX, |since_ns| since_ns + WAIT_NS);
                self.queue.retry_ns = due_ns.min(now_ns + wait_ns.max(1_000_000));
                return;
            }
        }
    }

    fn best_waiting(&self) -> Option<u64> {
        if self.queue.is_empty() {
            return None;
        }
        let waiting = self.plans.iter().filter(|(_, plan)| plan.queued_ns.is_some());
        let worths = waiting.map(|(id, plan)| (self.worth(&plan.plan), *id));
        let best = worths.max_by(|(worth, id), (other, other_id)| {
            // Of equals the one that came first.
            worth.total_cmp(other).then(other_id.cmp(id))
        });
        best.map(|(_, id)| id)
    }

    fn send_off(&mut self, refusal: &Refusal, now_ns: u64) {
        let is_late = |plan: &PlanUnderWay| plan.queued_ns.is_some_and(|ns| ns + WAIT_NS <= now_ns);
        let late = self.plans.iter().filter(|(_, plan)| is_late(plan));
        for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            if let Some(plan) = self.plans.get(&id).map(|under_way| &under_way.plan) {
                let (worth, orders) = (self.worth(plan), plan.places.len());
                self.queue.outbid.push_back((now_ns, worth));
                self.queue.served[1] += 1;
                self.queue.value[1] += worth * orders as f64;
                self.counters.refused += 1;
            }
            self.end_wait(id, refusal.to_string(), now_ns);
        }
    }

    fn end_wait(&mut self, id: u64, reason: String, now_ns: u64) {
        if let Some(mut under_way) = self.plans.remove(&id) {
            self.leave_queue(&mut under_way);
            under_way.refused = under_way.refused.or(Some(reason));
            self.keep_plan(id, under_way, now_ns);
        }
    }

    /// Tell every quoter what a token costs, when that has changed.
    pub(super) fn say_token_price(&mut self, now_ns: u64) {
        if now_ns < self.queue.said_ns + SAY_NS {
            return;
        }
        self.queue.said_ns = now_ns;
        let price = self.queue.shadow_price(now_ns);
        let is_news = |said: f64| (price - said).abs() > 0.05 * said.max(price);
        if self.queue.said.is_some_and(|said| !is_news(said)) {
            return;
        }
        self.queue.said = Some(price);
        let reply = TokenPrice {
            shadow_price: price,
            v: Version,
        };
        for quoter in self.quoters.keys().cloned().collect::<Vec<_>>() {
            self.reply(&quoter, EngineReply::TokenPrice(reply));
        }
    }

    /// How much of the venue's limits is used.
    pub(super) fn budget_state(&self, now_ns: u64) -> BudgetState {
        let mut limits = self.limits.clone();
        let [tokens, burst]: [[i64; 2]; 2] = [
            [BucketName::Orders, BucketName::Cancels].map(|name| limits.tokens(name, now_ns)),
            [BucketName::Orders, BucketName::Cancels].map(|name| limits.burst(name)),
        ];
        let last_s = self
            .queue
            .outbid
            .iter()
            .filter(|(at_ns, _)| at_ns + PRICE_NS >= now_ns);
        BudgetState {
            tier: limits.tier().as_str(),
            places: [
                limits.places_now(now_ns),
                limits.highest_places(),
                limits.place_limits(),
            ],
            order_tokens: tokens[0],
            order_burst: burst[0],
            cancel_tokens: tokens[1],
            cancel_burst: burst[1],
            cancel_reserve: limits.reserve(),
            most_debt: limits.most_debt(),
            shadow_price: last_s.map(|(_, worth)| *worth).fold(0.0, f64::max),
            scarcity: limits.shadow_price(now_ns),
            queued: self.queue.waiting,
            served: self.queue.served,
            value: self.queue.value,
        }
    }
}
