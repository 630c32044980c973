//! Plans: a quoter's cancels, then its places, each through the gate; and what the quoter is told.
//!
//! Cancels and places of a plan are sent together, for the gate counts as if every cancel failed. Only a place that
//! would cross an own open order, or could use the tokens that a cancelled one holds, waits until the cancels are
//! acknowledged; then the gate is asked again: the mandate may have ended meanwhile, or a fill come.

use super::events::{Action, Answer, ConnectionId, Level, PlaceResult, Request};
use super::gate::Exposure;
use super::machine::{Engine, Phase, Purpose};
use super::messages::{EngineReply, Intent, OrderState, Place, Plan, PlanDone, Version};
use super::orders::{OwnOrder, TokenOrder, choose_token};
use super::signing::{SignOrder, SignedOrder};
use super::withdraw::ROUTE;
use crate::limits;
use crate::order::body::MAX_CANCELS;
use crate::units::Side;

/// A plan whose outcome is not there yet.
#[derive(Debug)]
pub(super) struct PlanUnderWay {
    pub(super) quoter: String,
    pub(super) connection: ConnectionId,
    pub(super) plan: Plan,
    pub(super) refused: Option<String>,
    /// What was sent, in the order of the answers.
    placed: Vec<String>,
    is_cancelling: bool,
    is_placing: bool,
    /// Whether its places wait for the answer to its cancels.
    is_waiting: bool,
    /// Whether it waits, undone, for a route that is about to be back.
    pub(super) is_held: bool,
    /// Since when its places wait for tokens.
    pub(super) queued_ns: Option<u64>,
}

impl<S: SignOrder> Engine<S> {
    pub(super) fn connect_quoter(&mut self, connection: ConnectionId, name: String, now_ns: u64) {
        self.watch.meet(&name, now_ns);
        self.queue.forget_said();
        if let Some(old) = self.quoters.insert(name.clone(), connection) {
            if old != connection {
                self.actions.push(Action::CloseQuoter(old));
                self.withdraw(&name, None, "connection replaced", now_ns);
            }
        }
    }

    pub(super) fn close_quoter(&mut self, connection: ConnectionId, now_ns: u64) {
        if let Some(name) = self.name_of(connection) {
            self.quoters.remove(&name);
            self.watch.part(&name);
            if self.phase == Phase::Running {
                self.withdraw(&name, None, "connection closed", now_ns);
            }
        }
    }

    pub(super) fn name_of(&self, connection: ConnectionId) -> Option<String> {
        let mut quoters = self.quoters.iter();
        quoters.find_map(|(name, current)| (*current == connection).then(|| name.clone()))
    }

    pub(super) fn start_plan(&mut self, connection: ConnectionId, plan: Plan, now_ns: u64) {
        let Some(quoter) = self.name_of(connection) else {
            return;
        };
        self.supersede(connection, &plan.market, now_ns);
        let is_own = |order_id: &&String| {
            let own = self.orders.get(order_id);
            own.is_some_and(|own| own.owner == quoter && own.market == plan.market)
        };
        let mut cancels: Vec<String> = plan.cancels.iter().filter(is_own).cloned().collect();
        cancels.truncate(MAX_CANCELS);
        let strange = plan.cancels.iter().filter(|id| self.orders.get(id).is_none());
        for order_id in strange.cloned().collect::<Vec<_>>() {
            self.reply_gone(&quoter, &plan.market, order_id);
        }
        let id = self.fresh_id();
        let is_waiting = !cancels.is_empty() && !self.can_overlap(&plan, &cancels);
        let gone: &[String] = if is_waiting { &cancels } else { &[] };
        let refused = self.refusal_without((&quoter, connection), &plan, gone, now_ns);
        let mut under_way = PlanUnderWay {
            is_waiting,
            quoter,
            connection,
            plan,
            refused,
            placed: Vec::new(),
            is_cancelling: false,
            is_placing: false,
            is_held: false,
            queued_ns: None,
        };
        self.hold_or_refuse(&mut under_way, now_ns);
        if !cancels.is_empty() {
            match self.pay_plan_cancel(&mut under_way, cancels, now_ns) {
                Ok(request) => {
                    under_way.is_cancelling = true;
                    self.send(Purpose::PlanCancel(id), request, now_ns);
                }
                Err(refusal) => {
                    self.counters.refused += u64::from(under_way.plan.places.is_empty());
                    under_way.refused.get_or_insert(refusal.to_string());
                }
            }
        }
        if !(under_way.is_cancelling && under_way.is_waiting) {
            self.place(id, &mut under_way, now_ns);
        }
        self.keep_plan(id, under_way, now_ns);
    }

    /// Whether the places of a plan are as good before its cancels are acknowledged as after.
    ///
    /// Where a position may only be made smaller, no two orders may do the same work.
    fn can_overlap(&self, plan: &Plan, cancels: &[String]) -> bool {
        let mandate = self.gate.mandate(&plan.market);
        if mandate.is_some_and(|mandate| mandate.is_reduce_only) && !plan.places.is_empty() {
            return false;
        }
        let is_in_the_way = |own: &OwnOrder, place: &Place| match (own.side, place.side) {
            (Side::Sell, Side::Buy) => place.price_e4 >= own.price_e4,
            (Side::Buy, Side::Sell) => place.price_e4 <= own.price_e4,
            _ => own.token_side == Side::Sell && cancels.contains(&own.order_id),
        };
        let mut open = self.orders.of_market(&plan.market);
        !open.any(|own| plan.places.iter().any(|place| is_in_the_way(own, place)))
    }

    /// Remember a plan until all of it is answered.
    pub(super) fn keep_plan(&mut self, id: u64, under_way: PlanUnderWay, now_ns: u64) {
        let is_queued = under_way.queued_ns.is_some();
        if under_way.is_cancelling || under_way.is_placing || under_way.is_held || is_queued {
            self.plans.insert(id, under_way);
        } else {
            self.finish_plan(&under_way, now_ns);
        }
    }

    /// Pay for a plan's cancels. One that only cancels is a brake: it may use what is kept for withdrawals. So may one
    /// that finds nothing else, but then it places nothing: a quote that is to go is no less stale for want of tokens.
    fn pay_plan_cancel(
        &mut self,
        under_way: &mut PlanUnderWay,
        cancels: Vec<String>,
        now_ns: u64,
    ) -> Result<Request, limits::Refusal> {
        if !under_way.plan.places.is_empty() {
            let orders = u32::try_from(cancels.len()).unwrap_or(u32::MAX);
            let ordinary = limits::Request::Cancel { orders };
            match self.limits.admit(ROUTE, ordinary, now_ns) {
                Ok(()) => return Ok(Request::Cancel(cancels)),
                Err(refusal) => {
                    self.counters.refused += 1;
                    under_way.refused.get_or_insert(refusal.to_string());
                }
            }
        }
        self.pay_withdrawal(cancels, now_ns)
    }

    pub(super) fn take_plan_cancel(&mut self, id: u64, answer: Answer, now_ns: u64) {
        let Some(mut under_way) = self.plans.remove(&id) else {
            return;
        };
        under_way.is_cancelling = false;
        match answer {
            Answer::Cancelled(report) => {
                self.apply_cancel(report, None);
                if under_way.is_waiting {
                    if under_way.refused.is_none() {
                        let caller = (under_way.quoter.as_str(), under_way.connection);
                        under_way.refused = self.refusal(caller, &under_way.plan, now_ns);
                    }
                    self.place(id, &mut under_way, now_ns);
                }
            }
            other => {
                under_way.refused = Some(format!("the venue did not answer: {}", other.into_failure()));
            }
        }
        self.keep_plan(id, under_way, now_ns);
    }

    /// A plan that would place while nothing may be waits if that is about to end, else it is refused.
    fn hold_or_refuse(&self, under_way: &mut PlanUnderWay, now_ns: u64) {
        if under_way.refused.is_some() || under_way.is_held || under_way.plan.places.is_empty() {
            return;
        }
        if let Some(reason) = self.blocked_reason(now_ns) {
            under_way.is_held = self.is_short(now_ns);
            under_way.refused = (!under_way.is_held).then_some(reason);
        }
    }

    /// A held plan goes back undone: with a reason it is refused, without one its quoter decides anew.
    pub(super) fn release_plan(&mut self, id: u64, reason: Option<String>, now_ns: u64) {
        let Some(mut under_way) = self.plans.remove(&id) else {
            return;
        };
        if std::mem::take(&mut under_way.is_held) {
            under_way.refused = under_way.refused.or(reason);
            under_way.plan.places.clear();
        }
        self.keep_plan(id, under_way, now_ns);
    }

    /// Requests with places that are not answered.
    pub(super) fn places_under_way(&self) -> usize {
        self.plans.values().filter(|plan| plan.is_placing).count()
    }

    /// Send the places of a plan that the gate let pass, if it has any; they wait where tokens are short.
    fn place(&mut self, id: u64, under_way: &mut PlanUnderWay, now_ns: u64) {
        if under_way.refused.is_some() || under_way.plan.places.is_empty() {
            return;
        }
        let (worth, least) = (self.worth(&under_way.plan), self.queue.policy.least_value);
        if worth < least {
            self.counters.refused += 1;
            under_way.refused = Some(format!("rate: a token fetches {worth:.6}, {least:.6} is asked"));
        } else if !self.queue.is_empty() {
            // Those that wait may be worth more: serve_queue decides.
            self.queue_places(under_way, now_ns);
        } else if self.pay_and_send(id, under_way, now_ns).is_some() {
            self.queue_places(under_way, now_ns);
        }
    }

    /// Pay for the places of a plan and send them; what the limits said instead, None also when it has none to send.
    pub(super) fn pay_and_send(
        &mut self,
        id: u64,
        under_way: &mut PlanUnderWay,
        now_ns: u64,
    ) -> Option<limits::Refusal> {
        self.hold_or_refuse(under_way, now_ns);
        if under_way.refused.is_some() || under_way.is_held || under_way.plan.places.is_empty() {
            return None;
        }
        let orders = u32::try_from(under_way.plan.places.len()).unwrap_or(u32::MAX);
        let request = limits::Request::Place {
            orders,
            open: self.open_count(),
        };
        if let Err(refusal) = self.limits.admit(ROUTE, request, now_ns) {
            return Some(refusal);
        }
        self.count_served(&under_way.plan);
        let mut signed: Vec<SignedOrder> = Vec::with_capacity(under_way.plan.places.len());
        for place in under_way.plan.places.clone() {
            match self.prepare(under_way, place, now_ns) {
                Ok(order) => signed.push(order),
                Err(reason) => {
                    for order in &signed {
                        self.orders.remove(&order.order_id);
                    }
                    under_way.refused = Some(format!("order: {reason}"));
                    return None;
                }
            }
        }
        under_way.placed = signed.iter().map(|order| order.order_id.clone()).collect();
        under_way.is_placing = true;
        self.breaker.place_sent(now_ns);
        self.send(Purpose::PlanPlace(id), Request::Place(signed), now_ns);
        None
    }

    fn prepare(
        &mut self,
        under_way: &PlanUnderWay,
        place: Place,
        now_ns: u64,
    ) -> Result<SignedOrder, String> {
        let mandate = self.gate.mandate(&under_way.plan.market);
        let market = &mandate.ok_or("the mandate is gone")?.market;
        let held = self.inventories.settled(&market.condition_id);
        let resting = self.orders.of_market(&market.condition_id);
        let choice = choose_token(
            market,
            (place.side, place.price_e4),
            place.size_e6,
            &held,
            resting,
        );
        let order = TokenOrder {
            token_id: choice.token_id,
            side: choice.side,
            price_e4: choice.price_e4,
            size_e6: place.size_e6,
            tick_e4: under_way.plan.tick_e4.unwrap_or(market.tick_e4),
            neg_risk: market.neg_risk,
            salt: self.salts.next(),
            timestamp_ms: self.venue_clock.venue_ms(now_ns),
        };
        let signed = self.signer.sign(&order)?;
        let intent = Intent {
            order_id: signed.order_id.clone(),
            market: market.condition_id.clone(),
            owner: under_way.quoter.clone(),
            side: place.side,
            price_e4: place.price_e4,
            size_e6: place.size_e6,
        };
        self.orders.add(OwnOrder {
            order_id: signed.order_id.clone(),
            reference: place.reference,
            owner: under_way.quoter.clone(),
            connection: under_way.connection,
            market: intent.market.clone(),
            side: place.side,
            price_e4: place.price_e4,
            remaining_e6: place.size_e6,
            token_id: order.token_id,
            token_side: order.side,
            token_price_e4: order.price_e4,
            is_unknown: true,
            known_after: 0,
        });
        self.actions.push(Action::JournalIntent(intent));
        Ok(signed)
    }

    pub(super) fn take_plan_place(&mut self, id: u64, answer: Answer, sent_ns: Option<u64>, now_ns: u64) {
        let Some(mut under_way) = self.plans.remove(&id) else {
            return;
        };
        under_way.is_placing = false;
        if let (Some(sent_ns), Some(received_ns)) = (sent_ns, under_way.plan.book_received_ns) {
            self.counters
                .tick_to_wire_us
                .add(sent_ns.saturating_sub(received_ns) / 1_000);
        }
        self.breaker
            .place_answered(matches!(answer, Answer::Placed(_)), now_ns);
        let count = under_way.placed.len();
        let results = match answer {
            Answer::Placed(results) if results.len() == count => results,
            Answer::Placed(results) => {
                vec![PlaceResult::Unknown(format!("{} answers", results.len())); count]
            }
            Answer::Ineligible(reason) => {
                under_way.refused = Some(reason.clone());
                vec![PlaceResult::Refused(reason); count]
            }
            other => vec![PlaceResult::Unknown(other.into_failure()); count],
        };
        // One order of many is enough.
        let is_ineligible = |result: &&PlaceResult| matches!(result, PlaceResult::Ineligible(_));
        if let Some(PlaceResult::Ineligible(reason)) = results.iter().find(is_ineligible) {
            under_way.refused = Some(reason.clone());
            self.be_refused(&reason.clone(), now_ns);
        }
        for (order_id, result) in under_way.placed.iter().zip(results) {
            self.take_place(order_id, result, now_ns);
        }
        self.keep_plan(id, under_way, now_ns);
    }

    fn take_place(&mut self, order_id: &str, result: PlaceResult, now_ns: u64) {
        match result {
            PlaceResult::Accepted => {
                self.counters.placed += 1;
                // A fill or a cancellation may have been faster than this answer.
                let known_after = self.last_id;
                if let Some(own) = self.orders.get_mut(order_id) {
                    (own.is_unknown, own.known_after) = (false, known_after);
                    let own = own.clone();
                    self.reply_update(&own, OrderState::Live, None);
                }
            }
            PlaceResult::Misnamed(venue_id) => {
                // By id neither is reached; what withdraws everything reaches both.
                let cause =
                    format!("the venue calls order {order_id} {venue_id}: ids are not what was signed");
                self.take_place(order_id, PlaceResult::Unknown(cause.clone()), now_ns);
                self.escalate(&cause, now_ns);
            }
            PlaceResult::Refused(reason) | PlaceResult::Ineligible(reason) => {
                self.counters.rejected += 1;
                let fields = vec![("order_id", order_id.to_owned()), ("reason", reason.clone())];
                self.log(Level::Info, "order.place.refused", fields);
                if let Some(own) = self.orders.remove(order_id) {
                    self.reply_update(&own, OrderState::Rejected, Some(reason));
                }
            }
            PlaceResult::Unknown(reason) => {
                let fields = vec![("order_id", order_id.to_owned()), ("reason", reason.clone())];
                self.log(Level::Warning, "order.place.unknown", fields);
                if let Some(own) = self.orders.get(order_id).cloned() {
                    self.reply_update(&own, OrderState::Unknown, Some(reason));
                    self.resolve(order_id, now_ns);
                }
            }
        }
    }

    fn finish_plan(&mut self, under_way: &PlanUnderWay, now_ns: u64) {
        let quoter = &under_way.quoter;
        if under_way.refused.is_none() && !under_way.placed.is_empty() {
            // From the new state that asked for it to everything acknowledged.
            let began_ns = under_way
                .plan
                .book_received_ns
                .unwrap_or(under_way.plan.decided_ns);
            self.counters
                .cycle_us
                .add(now_ns.saturating_sub(began_ns) / 1_000);
        }
        let caller = (quoter.as_str(), under_way.connection);
        if self.phase == Phase::Running && self.closed_reason(caller).is_some() {
            self.withdraw(quoter, None, "lost its right while a plan was under way", now_ns);
        }
        let done = PlanDone {
            market: under_way.plan.market.clone(),
            decided_ns: under_way.plan.decided_ns,
            refused: under_way.refused.clone(),
            v: Version,
        };
        if self.quoters.get(quoter) == Some(&under_way.connection) {
            self.reply(quoter, EngineReply::PlanDone(done));
        }
        self.go_on_failing_over(now_ns);
        self.leave_when_idle(now_ns);
    }

    pub(super) fn refusal(&self, caller: (&str, ConnectionId), plan: &Plan, now_ns: u64) -> Option<String> {
        self.refusal_without(caller, plan, &[], now_ns)
    }

    /// Why a plan may not pass once the orders `gone` are gone; it is asked again when they are.
    fn refusal_without(
        &self,
        caller: (&str, ConnectionId),
        plan: &Plan,
        gone: &[String],
        now_ns: u64,
    ) -> Option<String> {
        let (quoter, _) = caller;
        if let Some(reason) = self.closed_reason(caller) {
            return Some(reason);
        }
        let departed = self.orders.departed().filter(|order| order.market == plan.market);
        let exposure = Exposure {
            open: self
                .orders
                .of_market(&plan.market)
                .filter(|order| !gone.contains(&order.order_id))
                .collect(),
            departed: departed.collect(),
            held: self.inventories.of(&plan.market),
            paid_e6: self.inventories.paid_e6(&plan.market),
        };
        self.gate.refusal(plan, quoter, &exposure, now_ns)
    }

    /// Why this life of a quoter may place nothing.
    fn closed_reason(&self, (quoter, connection): (&str, ConnectionId)) -> Option<String> {
        if self.phase != Phase::Running {
            return Some("stopping".to_owned());
        }
        if let Some(halted) = &self.halted {
            return Some(format!("halted: {}", halted.cause));
        }
        if self.clearance.is_some() {
            return Some("every order is being withdrawn".to_owned());
        }
        if self
            .withdrawals
            .values()
            .any(|withdrawal| withdrawal.quoter == quoter)
        {
            return Some("orders of this quoter are being withdrawn".to_owned());
        }
        if self.quoters.get(quoter) != Some(&connection) {
            return Some("the quoter is gone".to_owned());
        }
        self.watch.refusal(quoter)
    }
}
