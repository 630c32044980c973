//! The dead-man: whoever loses the right to its orders loses them, and the venue's own listing is the proof.
//!
//! ```text
//! of a quoter, of its orders in one market   cancel them → list → again until none of them is listed
//! of everybody                               cancel-all  → list → again until two listings in a row are empty
//! ```
//!
//! A place that is under way may land after a cancel: until its answer is there no withdrawal ends.

use std::collections::BTreeSet;

use super::events::{Action, Answer, CancelReport, Level, Request};
use super::failover::Failover;
use super::machine::{Engine, Feed, Phase, Purpose};
use super::messages::{DeadmanFired, Version};
use super::orders::OwnOrder;
use super::signing::SignOrder;
use crate::limits::{self, BucketName};
use crate::order::body::MAX_CANCELS;

/// One engine, one address to send from.
pub(super) const ROUTE: usize = 0;
const PAUSE_NS: u64 = 50_000_000;
const EMPTY_LISTINGS: u8 = 2;
/// After a break an order may still be on its way: the second listing is later than any of them can arrive.
const LISTINGS_APART_NS: u64 = 1_000_000_000;
const NS_PER_MS: f64 = 1e6;

/// Withdrawal of one quoter's orders.
#[derive(Debug)]
pub(super) struct Withdrawal {
    pub(super) quoter: String,
    market: Option<String>,
    cause: String,
    began_ns: u64,
    withdrawn: BTreeSet<String>,
    pub(super) paused_until_ns: Option<u64>,
}

/// Withdrawal of whatever the key has open.
#[derive(Debug)]
pub(super) struct Clearance {
    /// What it is reported as; nothing at start-up and at the end.
    causes: Vec<(String, u64)>,
    cancelled: u64,
    empty_listings: u8,
    /// Whether no place was under way and none unknown when the listing was asked for.
    was_quiet: bool,
    began_ns: u64,
    /// Whether a cancel-all was answered and nothing has been listed since.
    is_cancelled: bool,
    is_overdue: bool,
    generation: u64,
    pub(super) paused_until_ns: Option<u64>,
}

impl<S: SignOrder> Engine<S> {
    /// Withdraw a quoter's orders, in one market or (None) in all.
    pub(super) fn withdraw(&mut self, quoter: &str, market: Option<&str>, cause: &str, now_ns: u64) {
        let mut running = self
            .withdrawals
            .values()
            .filter(|withdrawal| withdrawal.quoter == quoter);
        let is_running = running.any(|it| it.market.is_none() || it.market.as_deref() == market);
        if is_running || self.orders.of_owner(quoter, market).is_empty() {
            return;
        }
        let id = self.fresh_id();
        let withdrawal = Withdrawal {
            quoter: quoter.to_owned(),
            market: market.map(str::to_owned),
            cause: cause.to_owned(),
            began_ns: now_ns,
            withdrawn: BTreeSet::new(),
            paused_until_ns: None,
        };
        self.withdrawals.insert(id, withdrawal);
        self.step_withdrawal(id, now_ns);
    }

    fn step_withdrawal(&mut self, id: u64, now_ns: u64) {
        let Some(withdrawal) = self.withdrawals.get_mut(&id) else {
            return;
        };
        withdrawal.paused_until_ns = None;
        let mut chosen = self
            .orders
            .of_owner(&withdrawal.quoter, withdrawal.market.as_deref());
        // An unknown one is asked for once: its own answer or resolution settles it, and tokens are few.
        let is_known = |order_id: &String| self.orders.get(order_id).is_some_and(|own| !own.is_unknown);
        chosen.retain(|order_id| is_known(order_id) || !withdrawal.withdrawn.contains(order_id));
        chosen.truncate(MAX_CANCELS);
        withdrawal.withdrawn.extend(chosen.iter().cloned());
        if chosen.is_empty() {
            return self.send(Purpose::WithdrawList(id), Request::ListOrders, now_ns);
        }
        match self.pay_withdrawal(chosen, now_ns) {
            Ok(request) => self.send(Purpose::WithdrawCancel(id), request, now_ns),
            Err(refusal) => self.pause_withdrawal(id, Some(refusal.to_string()), now_ns),
        }
    }

    /// Pay for cancelling these orders by id, as many of them as the venue's bucket holds tokens for.
    ///
    /// A cancel-all would need one token, and take everybody's orders with it.
    pub(super) fn pay_withdrawal(
        &mut self,
        mut order_ids: Vec<String>,
        now_ns: u64,
    ) -> Result<Request, limits::Refusal> {
        let asked = count(&order_ids);
        let left = self.limits.tokens(BucketName::Cancels, now_ns);
        let open = self.open_count();
        // One is kept for the orders that stay open, if any do.
        let is_all = open <= asked && i64::from(asked) <= left;
        order_ids.truncate(usize::try_from(left - i64::from(!is_all)).unwrap_or(0));
        if order_ids.is_empty() {
            let what = "cancels";
            return Err(limits::Refusal::Tokens { what, asked, left });
        }
        Ok(
            match self.limits.withdraw(ROUTE, count(&order_ids), open, now_ns)? {
                limits::Withdrawal::ByIds => Request::Cancel(order_ids),
                limits::Withdrawal::All => Request::CancelAll,
            },
        )
    }

    /// Orders that are or may be open.
    pub(super) fn open_count(&self) -> u32 {
        u32::try_from(self.orders.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn take_withdraw_cancel(&mut self, id: u64, answer: Answer, now_ns: u64) {
        let Some(withdrawal) = self.withdrawals.get(&id) else {
            return;
        };
        let cause = withdrawal.cause.clone();
        match answer {
            Answer::Cancelled(report) => {
                self.apply_cancel(report, Some(&cause));
                self.send(Purpose::WithdrawList(id), Request::ListOrders, now_ns);
            }
            other => self.pause_withdrawal(id, Some(other.into_failure()), now_ns),
        }
    }

    pub(super) fn take_withdraw_list(&mut self, id: u64, answer: Answer, now_ns: u64) {
        let Some(withdrawal) = self.withdrawals.get(&id) else {
            return;
        };
        let listed = match answer {
            Answer::Orders(listed) => listed,
            other => return self.pause_withdrawal(id, Some(other.into_failure()), now_ns),
        };
        let is_left = listed
            .iter()
            .any(|order_id| withdrawal.withdrawn.contains(order_id))
            || !self
                .orders
                .of_owner(&withdrawal.quoter, withdrawal.market.as_deref())
                .is_empty();
        if is_left {
            return self.pause_withdrawal(id, None, now_ns);
        }
        if let Some(done) = self.withdrawals.remove(&id) {
            let count = done.withdrawn.len() as u64;
            self.report_deadman(&done.cause, &done.quoter, count, done.began_ns, now_ns);
        }
    }

    fn pause_withdrawal(&mut self, id: u64, failure: Option<String>, now_ns: u64) {
        let Some(withdrawal) = self.withdrawals.get_mut(&id) else {
            return;
        };
        withdrawal.paused_until_ns = Some(now_ns + self.breaker.cancel_pause_ns(PAUSE_NS));
        if let Some(reason) = failure {
            let fields = vec![("cause", withdrawal.cause.clone()), ("reason", reason)];
            self.log(Level::Warning, "orders.withdraw.retry", fields);
        }
    }

    /// Withdraw everything the key has open. A cause is reported when it is done, none is not.
    pub(super) fn clear(&mut self, cause: Option<&str>, now_ns: u64) {
        let mut causes = Vec::new();
        if let (Some(running), true) = (self.clearance.take(), cause.is_some()) {
            causes = running.causes;
        }
        causes.extend(self.give_up_failover());
        causes.extend(cause.map(|cause| (cause.to_owned(), now_ns)));
        self.clearance = Some(Clearance {
            causes,
            cancelled: 0,
            empty_listings: 0,
            was_quiet: false,
            began_ns: now_ns,
            is_cancelled: false,
            is_overdue: false,
            generation: self.fresh_id(),
            paused_until_ns: None,
        });
        self.step_clearance(now_ns);
    }

    fn step_clearance(&mut self, now_ns: u64) {
        let (was_quiet, open) = (self.is_quiet(), self.open_count());
        let has_known = self.orders.all().any(|order| !order.is_unknown);
        let Some(clearance) = &mut self.clearance else {
            return;
        };
        clearance.paused_until_ns = None;
        clearance.was_quiet = was_quiet;
        if clearance.is_cancelled && !has_known {
            let purpose = Purpose::ClearList(clearance.generation);
            return self.send(purpose, Request::ListOrders, now_ns);
        }
        let purpose = Purpose::ClearCancel(clearance.generation);
        match self.limits.withdraw_all(ROUTE, open, now_ns) {
            Ok(()) => self.send(purpose, Request::CancelAll, now_ns),
            Err(refusal) => self.pause_clearance(false, Some(refusal.to_string()), now_ns),
        }
    }

    /// Whether no place can land any more: each has its answer, or was denied by the venue.
    fn is_quiet(&self) -> bool {
        self.orders.all().all(|order| !order.is_unknown)
    }

    fn is_current(&self, generation: u64) -> bool {
        self.clearance
            .as_ref()
            .is_some_and(|clearance| clearance.generation == generation)
    }

    pub(super) fn take_clear_cancel(&mut self, generation: u64, answer: Answer, now_ns: u64) {
        if !self.is_current(generation) {
            return;
        }
        match answer {
            Answer::Cancelled(report) => {
                if let Some(clearance) = &mut self.clearance {
                    clearance.is_cancelled = true;
                    clearance.cancelled += report.cancelled.len() as u64;
                }
                self.apply_cancel(report, Some("withdrawn"));
                self.send(Purpose::ClearList(generation), Request::ListOrders, now_ns);
            }
            other => self.pause_clearance(false, Some(other.into_failure()), now_ns),
        }
    }

    pub(super) fn take_clear_list(&mut self, generation: u64, answer: Answer, now_ns: u64) {
        if !self.is_current(generation) {
            return;
        }
        match answer {
            Answer::Orders(listed) => self.pause_clearance(listed.is_empty(), None, now_ns),
            other => self.pause_clearance(false, Some(other.into_failure()), now_ns),
        }
    }

    fn pause_clearance(&mut self, is_empty: bool, failure: Option<String>, now_ns: u64) {
        let may_still_land = self.may_still_land(now_ns);
        let Some(clearance) = &mut self.clearance else {
            return;
        };
        clearance.is_cancelled &= is_empty || failure.is_some();
        clearance.empty_listings = if is_empty && clearance.was_quiet {
            clearance.empty_listings + 1
        } else {
            0
        };
        if clearance.empty_listings >= EMPTY_LISTINGS {
            return self.be_clear(now_ns);
        }
        let pause_ns = if clearance.empty_listings == 1 && may_still_land {
            LISTINGS_APART_NS
        } else {
            self.breaker.cancel_pause_ns(PAUSE_NS)
        };
        clearance.paused_until_ns = Some(now_ns + pause_ns);
        if let Some(reason) = failure {
            let fields = vec![("cause", "all".to_owned()), ("reason", reason)];
            self.log(Level::Warning, "orders.withdraw.retry", fields);
        }
    }

    fn be_clear(&mut self, now_ns: u64) {
        let Some(done) = self.clearance.take() else {
            return;
        };
        let left: Vec<String> = self.orders.all().map(|order| order.order_id.clone()).collect();
        for order_id in left {
            self.order_gone(&order_id, Some("withdrawn".to_owned()));
        }
        for (cause, began_ns) in &done.causes {
            self.report_deadman(cause, "all", done.cancelled, *began_ns, now_ns);
        }
        match self.phase {
            Phase::Recovering => self.reconcile(now_ns),
            Phase::Leaving => self.exit(0),
            Phase::Running | Phase::Ended => {}
        }
    }

    /// Go on with what was paused, and judge a clearance that takes too long.
    pub(super) fn go_on_withdrawing(&mut self, now_ns: u64) {
        let is_due = |until: Option<u64>| until.is_some_and(|until| now_ns >= until);
        let due = self
            .withdrawals
            .iter()
            .filter(|(_, withdrawal)| is_due(withdrawal.paused_until_ns));
        let due: Vec<u64> = due.map(|(id, _)| *id).collect();
        for id in due {
            self.step_withdrawal(id, now_ns);
        }
        let Some(clearance) = &mut self.clearance else {
            return;
        };
        let timeout_ns = self.settings.withdraw_timeout_ns;
        let is_late = now_ns.saturating_sub(clearance.began_ns) > timeout_ns && !clearance.is_overdue;
        if is_due(clearance.paused_until_ns) {
            self.step_clearance(now_ns);
        }
        if is_late {
            self.be_overdue(now_ns);
        }
    }

    /// Whether anything was to be withdrawn so long ago that the venue should have confirmed it.
    pub(super) fn is_withdrawal_overdue(&self, now_ns: u64) -> bool {
        let clearance = self.clearance.iter().flat_map(|clearance| {
            let causes = clearance.causes.iter().map(|(_, began_ns)| *began_ns);
            causes.chain([clearance.began_ns])
        });
        let withdrawals = self.withdrawals.values().map(|withdrawal| withdrawal.began_ns);
        let failover = self.failover.iter().flat_map(Failover::began_ns);
        let mut began = clearance.chain(withdrawals).chain(failover);
        began.any(|began_ns| now_ns.saturating_sub(began_ns) > self.settings.withdraw_timeout_ns)
    }

    /// While running the attempt goes on; at the start and at the end the process gives up and says so.
    fn be_overdue(&mut self, now_ns: u64) {
        let timeout_s = self.settings.withdraw_timeout_ns as f64 / 1e9;
        let sentence = format!("the venue did not confirm within {timeout_s} s that every order is gone");
        if let Some(clearance) = &mut self.clearance {
            clearance.is_overdue = true;
        }
        self.escalate(&sentence, now_ns);
        if self.phase != Phase::Running {
            self.exit(1);
        }
    }

    /// Take in the answer to a cancel: what the venue has cancelled or does not have is gone.
    ///
    /// A place still under way, or answered after the cancel was sent, may have landed after a cancel that did not
    /// find it: its own answer, its resolution or the next cancel settles it. One that was cancelled had landed, and
    /// lands no second time. An order that the venue did not cancel for any other reason stays open until a later
    /// answer says otherwise.
    pub(super) fn apply_cancel(&mut self, report: CancelReport, cause: Option<&str>) {
        let cancelled = report.cancelled.into_iter();
        let cancelled = cancelled.map(|order_id| (order_id, cause.map(str::to_owned)));
        let not_there = report
            .not_cancelled
            .into_iter()
            .filter(|(_, reason)| is_not_there(reason));
        let not_there = not_there.map(|(order_id, reason)| (order_id, Some(reason)));
        for (order_id, reason) in not_there {
            let had_landed = |own: &OwnOrder| !own.is_unknown && own.known_after < self.answering;
            if self.orders.get(&order_id).is_some_and(had_landed) {
                self.order_gone(&order_id, reason);
            }
        }
        for (order_id, reason) in cancelled {
            self.order_gone(&order_id, reason);
        }
    }

    pub(super) fn report_deadman(
        &mut self,
        cause: &str,
        victim: &str,
        cancelled: u64,
        began_ns: u64,
        now_ns: u64,
    ) {
        let elapsed_ms = now_ns.saturating_sub(began_ns) as f64 / NS_PER_MS;
        let fields = vec![
            ("cause", cause.to_owned()),
            ("victim", victim.to_owned()),
            ("cancelled", cancelled.to_string()),
            ("ms", format!("{elapsed_ms:.1}")),
        ];
        self.log(Level::Warning, "engine.deadman", fields);
        self.actions.push(Action::PublishDeadman(DeadmanFired {
            cause: cause.to_owned(),
            victim: victim.to_owned(),
            cancelled,
            elapsed_ms,
            fired_ns: now_ns,
            v: Version,
        }));
    }

    /// The user feed is gone: fills could not be seen, so nothing may stay open.
    pub(super) fn lose_feed(&mut self, reason: String, now_ns: u64) {
        self.log(Level::Warning, "engine.user_feed.lost", vec![("reason", reason)]);
        let was_live = self.feed == Feed::Live;

        if self.feed != Feed::Down {
            self.feed_lost_ns = Some(now_ns);
        }
        self.feed = Feed::Down;
        if was_live && self.phase == Phase::Running && self.clearance.is_none() {
            self.pull("user feed lost", now_ns);
        }
    }
}

fn count(order_ids: &[String]) -> u32 {
    u32::try_from(order_ids.len()).unwrap_or(u32::MAX)
}

/// "Order not found or already canceled", "Order already matched", "already canceled or matched".
fn is_not_there(reason: &str) -> bool {
    reason.contains("not found") || reason.contains("already")
}
