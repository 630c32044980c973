//! Fail-over: whatever is open on a route that broke is withdrawn over its standby, and quoting goes on.
//!
//! ```text
//! move to the standby → cancel-all, list trades, ask whether the region may trade → go on → reconcile
//! ```
//!
//! It ends when no order that the venue has confirmed is open any more; one whose answer was lost is cancelled by
//! its hash (resolve.rs) and counts as exposure until then. After a page of the CDN, and over another declared route,
//! nothing is placed before the answer about the region (eligibility.rs); else it may come later. The loss of the user
//! feed is the same without the move.
//! Plans that come meanwhile are held, and given back undone: the quoter decides anew on its newest book.

use std::collections::BTreeSet;

use super::breaker::{Cause, Mode};
use super::events::{Action, Answer, Level, Request, RequestId};
use super::machine::{Engine, Feed, Phase, Purpose};
use super::signing::SignOrder;
use super::withdraw::ROUTE;
use crate::order::body::MAX_SALT;

const NS_PER_MS: u64 = 1_000_000;
const FIRST_PAUSE_NS: u64 = 20 * NS_PER_MS;
const LONGEST_PAUSE_NS: u64 = 1_000 * NS_PER_MS;
/// How long a plan is held before it is refused.
const HOLD_NS: u64 = 500 * NS_PER_MS;
/// Bytes of a broken connection may arrive for so long: `TCP_USER_TIMEOUT`.
const LINGER_NS: u64 = 1_000 * NS_PER_MS;
const PAGE: &str = "a page of the CDN";

/// Steps of a fail-over that the venue answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailoverStep {
    Cancel,
    List,
    Trades,
}

#[derive(Debug)]
pub(super) struct Failover {
    causes: Vec<(String, u64)>,
    id: u64,
    cancelled: u64,
    is_cancelling: bool,
    is_cancelled: bool,
    has_trades: bool,
    /// The cancel-all that was answered last: what was known before it was sent, it has reached.
    swept_by: RequestId,
    /// Known orders when the listing was asked for.
    before: BTreeSet<String>,
    is_asking: bool,
    pause_ns: u64,
    pub(super) paused_until_ns: Option<u64>,
}

impl Failover {
    const fn is_answered(&self) -> bool {
        self.is_cancelled && self.has_trades
    }

    /// When each of its causes came.
    pub(super) fn began_ns(&self) -> impl Iterator<Item = u64> {
        self.causes.iter().map(|(_, began_ns)| *began_ns)
    }
}

impl<S: SignOrder> Engine<S> {
    /// A request of the current connections (`generation`) met something.
    pub(super) fn take_route_fault(&mut self, generation: u64, cause: Cause, now_ns: u64) {
        if cause == Cause::Slow && generation != self.generation {
            return;
        }
        let spread = self.salts.next() as f64 / MAX_SALT as f64;
        let before = self.breaker.mode(now_ns);
        self.breaker.meet(&cause, spread, now_ns);
        let after = self.breaker.mode(now_ns);
        if before != after {
            let fields = vec![("mode", after.as_str().to_owned())];
            self.log(Level::Warning, "engine.route.mode", fields);
        }
        match cause {
            // Connections that were given up break; that is no news.
            _ if generation != self.generation => {}
            Cause::Transport(reason) => {
                self.fail_over(&format!("route: {reason}"), now_ns);
                self.ask_region(now_ns);
            }
            Cause::CdnPage => self.leave_flagged_route(now_ns),
            Cause::Unreachable => {
                self.actions.push(Action::LeaveRoute);
                self.fail_over("route: unreachable, and the next one is not", now_ns);
                self.doubt_region("it goes over another route now", now_ns);
            }
            Cause::Slow => {
                let under_way = self.orders.all().filter(|own| own.is_unknown);
                let under_way = under_way.map(|own| own.order_id.clone());
                if self.suspicion.raise(under_way, now_ns) {
                    self.fail_over(
                        "route: no answer to a request, though probes are answered",
                        now_ns,
                    );
                }
            }
            _ => {}
        }
    }

    /// The CDN refuses this address: one of the day's moves, else a halt.
    fn leave_flagged_route(&mut self, now_ns: u64) {
        let venue_ms = self.venue_clock.venue_ms(now_ns);
        if self.halted.is_some() {
            // Nothing is placed; the cancels get connections that the page was not sent on.
            self.move_to_standby(now_ns);
            return self.doubt_region(PAGE, now_ns);
        }
        match self.breaker.switch(self.settings.switches_per_day, venue_ms) {
            Some(switches_ms) => {
                self.actions.push(Action::RecordSwitches(switches_ms));
                let left = self
                    .breaker
                    .switches_left(self.settings.switches_per_day, venue_ms);
                let fields = vec![("left_today", left.to_string())];
                self.log(Level::Error, "engine.route.quarantined", fields);
                self.fail_over("route: page of the CDN", now_ns);
            }
            None => {
                self.move_to_standby(now_ns);
                self.escalate(
                    "the CDN refuses this address, and today's moves are used up",
                    now_ns,
                );
            }
        }
        self.doubt_region(PAGE, now_ns);
    }

    fn move_to_standby(&mut self, now_ns: u64) {
        self.generation += 1;
        self.broken_ns = Some(now_ns);
        self.counters.switches += 1;
        self.actions.push(Action::SwitchRoute(self.generation));
    }

    /// Whether bytes of a connection that broke may still arrive: a listing is no proof before.
    pub(super) fn may_still_land(&self, now_ns: u64) -> bool {
        self.phase == Phase::Recovering
            || self
                .broken_ns
                .is_some_and(|broken_ns| now_ns < broken_ns + LINGER_NS)
    }

    fn fail_over(&mut self, cause: &str, now_ns: u64) {
        self.move_to_standby(now_ns);
        let fields = vec![("cause", cause.to_owned())];
        self.log(Level::Warning, "engine.route.switched", fields);
        // What withdraws everything anyway asks again by itself.
        if self.phase == Phase::Running && self.clearance.is_none() {
            self.pull(cause, now_ns);
        }
    }

    /// Withdraw everything and go on; `cause` joins those of one that is under way.
    pub(super) fn pull(&mut self, cause: &str, now_ns: u64) {
        let running = self.failover.take();
        let mut causes = running.map_or(Vec::new(), |running| running.causes);
        if !causes.iter().any(|(known, _)| known == cause) {
            causes.push((cause.to_owned(), now_ns));
        }
        let id = self.fresh_id();
        self.failover = Some(Failover {
            causes,
            id,
            cancelled: 0,
            is_cancelling: false,
            is_cancelled: self.orders.is_empty(),
            has_trades: false,
            swept_by: 0,
            before: BTreeSet::new(),
            is_asking: false,
            pause_ns: FIRST_PAUSE_NS,
            paused_until_ns: None,
        });
        self.step_failover(now_ns);
    }

    /// Ask for whatever is not answered yet.
    fn step_failover(&mut self, now_ns: u64) {
        let open = self.open_count();
        let Some(failover) = &mut self.failover else {
            return;
        };
        failover.paused_until_ns = None;
        let (id, is_asking) = (failover.id, std::mem::replace(&mut failover.is_asking, true));
        let has_trades = failover.has_trades;
        if !failover.is_cancelled && !failover.is_cancelling {
            match self.limits.withdraw_all(ROUTE, open, now_ns) {
                Ok(()) => {
                    failover.is_cancelling = true;
                    self.send(
                        Purpose::Failover(id, FailoverStep::Cancel),
                        Request::CancelAll,
                        now_ns,
                    );
                }
                Err(refusal) => self.pause_failover(&refusal.to_string(), now_ns),
            }
        }
        if is_asking {
            return;
        }
        if !has_trades {
            let request = Request::ListTrades(self.trades_after_s());
            self.send(Purpose::Failover(id, FailoverStep::Trades), request, now_ns);
        }
    }

    pub(super) fn take_failover(&mut self, id: u64, step: FailoverStep, answer: Answer, now_ns: u64) {
        let Some(failover) = self.failover.as_mut().filter(|failover| failover.id == id) else {
            if let Answer::Cancelled(report) = answer {
                self.apply_cancel(report, Some("withdrawn"));
            }
            return;
        };
        match (step, answer) {
            (FailoverStep::Cancel, Answer::Cancelled(report)) => {
                (failover.is_cancelled, failover.is_cancelling) = (true, false);
                failover.swept_by = self.answering;
                failover.cancelled += report.cancelled.len() as u64;
                self.apply_cancel(report, Some("withdrawn"));
            }
            (FailoverStep::Trades, Answer::Trades(trades)) => {
                failover.has_trades = true;
                for trade in &trades {
                    self.take_trade(trade, now_ns);
                }
            }
            (FailoverStep::List, Answer::Orders(listed)) => {
                let (before, swept_by) = (std::mem::take(&mut failover.before), failover.swept_by);
                // One that is newer than the cancel-all may be newer than the listing, too.
                let is_swept = |order_id: &&String| {
                    let own = self.orders.get(order_id);
                    own.is_some_and(|own| own.known_after < swept_by)
                };
                let gone = before.iter().filter(|order_id| !listed.contains(order_id));
                for order_id in gone.filter(is_swept).cloned().collect::<Vec<_>>() {
                    self.order_gone(&order_id, Some("not in the venue's listing".to_owned()));
                }
                if self.has_known() {
                    return self.cancel_again("an order may still be open", now_ns);
                }
            }
            (step, other) => {
                match step {
                    FailoverStep::Cancel => failover.is_cancelling = false,
                    FailoverStep::List => failover.before.clear(),
                    FailoverStep::Trades => failover.is_asking = false,
                }
                return self.pause_failover(&other.into_failure(), now_ns);
            }
        }
        self.go_on_failing_over(now_ns);
    }

    fn has_known(&self) -> bool {
        self.orders.all().any(|own| !own.is_unknown)
    }

    fn cancel_again(&mut self, reason: &str, now_ns: u64) {
        if let Some(failover) = &mut self.failover {
            failover.is_cancelled = false;
        }
        self.pause_failover(reason, now_ns);
    }

    fn pause_failover(&mut self, reason: &str, now_ns: u64) {
        let Some(failover) = &mut self.failover else {
            return;
        };
        let pause_ns = self.breaker.cancel_pause_ns(failover.pause_ns);
        failover.paused_until_ns = Some(now_ns + pause_ns);
        failover.pause_ns = (failover.pause_ns * 2).min(LONGEST_PAUSE_NS);
        let fields = vec![("reason", reason.to_owned())];
        self.log(Level::Warning, "engine.route.retry", fields);
    }

    /// Go on with what was paused, end what is done, and let go of plans that were held.
    pub(super) fn go_on_failing_over(&mut self, now_ns: u64) {
        let has_known = self.has_known();
        let is_placing = self.places_under_way() > 0;
        if let Some(failover) = &mut self.failover {
            if failover
                .paused_until_ns
                .is_some_and(|until_ns| now_ns >= until_ns)
            {
                self.step_failover(now_ns);
            } else if failover.is_cancelled && failover.before.is_empty() && !is_placing && has_known {
                // Filled, cancelled by the venue, or accepted after the cancel: the venue knows.
                let known = self.orders.all().filter(|own| !own.is_unknown);
                failover.before = known.map(|own| own.order_id.clone()).collect();
                let purpose = Purpose::Failover(failover.id, FailoverStep::List);
                self.send(purpose, Request::ListOrders, now_ns);
            } else if failover.is_answered() && !has_known && !is_placing {
                self.end_failover(now_ns);
            }
        }
        self.release_plans(now_ns);
    }

    fn end_failover(&mut self, now_ns: u64) {
        let Some(done) = self.failover.take() else {
            return;
        };
        for (cause, began_ns) in &done.causes {
            self.counters
                .failover_us
                .add(now_ns.saturating_sub(*began_ns) / 1_000);
            self.report_deadman(cause, "all", done.cancelled, *began_ns, now_ns);
        }
        self.reconcile(now_ns);
    }

    /// A withdrawal of everything takes over; what it reports besides its own cause.
    pub(super) fn give_up_failover(&mut self) -> Vec<(String, u64)> {
        self.failover
            .take()
            .map_or(Vec::new(), |given_up| given_up.causes)
    }

    /// Why nothing is placed for now, though everybody keeps its right to what is open.
    pub(super) fn blocked_reason(&self, now_ns: u64) -> Option<String> {
        if self.feed != Feed::Live {
            return Some("the user feed is down: fills could not be seen".to_owned());
        }
        if self.failover.is_some() {
            return Some("route: every order is being withdrawn over the standby".to_owned());
        }
        let breaker = || self.breaker.refusal(self.places_under_way(), now_ns);
        self.eligibility.refusal().or_else(breaker)
    }

    /// Whether what blocks is about to end, so that a plan had better wait.
    pub(super) fn is_short(&self, now_ns: u64) -> bool {
        let is_feed_new = self
            .feed_lost_ns
            .is_some_and(|lost_ns| now_ns < lost_ns + HOLD_NS);
        let is_failing_over = self.failover.as_ref().is_some_and(|failover| {
            let began = failover.causes.first();
            began.is_some_and(|(_, began_ns)| now_ns < began_ns + HOLD_NS)
        });
        let is_asking = self.eligibility.is_about_to_be_known(HOLD_NS, now_ns);
        is_failing_over || is_asking || (self.feed != Feed::Live && is_feed_new)
    }

    fn release_plans(&mut self, now_ns: u64) {
        if self.plans.values().all(|plan| !plan.is_held) {
            return;
        }
        let reason = self.blocked_reason(now_ns);
        if self.phase == Phase::Running && reason.is_some() && self.is_short(now_ns) {
            return;
        }
        for id in self.plans.keys().copied().collect::<Vec<_>>() {
            self.release_plan(id, reason.clone(), now_ns);
        }
    }

    /// What the breaker and the connections are, for people.
    pub(super) fn route_state(&self, now_ns: u64) -> &'static str {
        if self.failover.is_some() {
            return "switching";
        }
        if self.eligibility.refusal().is_some() {
            return "ineligible";
        }
        match self.breaker.mode(now_ns) {
            Mode::Normal => "open",
            mode => mode.as_str(),
        }
    }
}
