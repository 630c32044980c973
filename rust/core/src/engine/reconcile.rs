//! Comparing with the venue: missed fills are booked, strangers cancelled, what is gone forgotten.
//!
//! ```text
//! list orders → list trades → strangers, or orders that are missing? list again → cancel both → forget what departed
//! ```
//!
//! After the user feed was away the first two are asked at once and nothing is forgotten, so that quoting can go
//! on a round trip earlier; a whole comparison follows.
//!
//! A stranger is an open order that this engine does not know; two listings must show it, because an order that
//! was cancelled between them is none. An order that two listings leave out is not gone for that: pages shift while
//! they are read, and a listing may be older than an acknowledgement. It is cancelled by id, and the venue's answer
//! to that says what it is.

use std::collections::{BTreeMap, BTreeSet};

use super::events::{Answer, Level, Request};
use super::machine::{Engine, Phase, Purpose};
use super::signing::SignOrder;
use super::trades::TradeListing;

const RETRY_NS: u64 = 250_000_000;
/// After an order was denied: so long the venue may still take it (5 to 40 s are told: Polymarket/py-clob-client, issues
/// 261 and 273), and so often it is looked for.
const WATCH_NS: u64 = 60_000_000_000;
const LOOK_NS: u64 = 2_000_000_000;
/// For so long it counts as exposure all the same.
const DOUBT_NS: u64 = 10_000_000_000;
/// Orders cancelled in one go; the others are found again.
const MOST_AT_ONCE: usize = 50;

#[derive(Debug, Default)]
pub(super) struct Reconciliation {
    next_ns: u64,
    id: u64,
    is_under_way: bool,
    is_quick: bool,
    has_listed: bool,
    has_trades: bool,
    trades: TradeListing,
    /// What happened since it began is not covered by it.
    is_wanted_again: bool,
    before: BTreeSet<String>,
    /// Gone before it began: its listing of trades shows whatever they traded.
    departed: Vec<String>,
    listed: BTreeSet<String>,
    strangers: Vec<String>,
    missing: Vec<String>,
    /// When to try again after a failure that cannot wait for the next time.
    pub(super) paused_until_ns: Option<u64>,
    watch_until_ns: u64,
    /// Orders that the venue has denied, and when.
    denied: BTreeMap<String, u64>,
}

/// Which step of a reconciliation a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    List,
    Trades,
    ListAgain,
    CancelDisputed,
}

impl<S: SignOrder> Engine<S> {
    /// Compare now; if that is under way already, once more after it.
    pub(super) fn reconcile(&mut self, now_ns: u64) {
        if self.reconciliation.is_under_way {
            self.reconciliation.is_wanted_again = true;
            return;
        }
        let known = self.orders.all().filter(|order| !order.is_unknown);
        let before = known.map(|order| order.order_id.clone()).collect();
        let mut denied = std::mem::take(&mut self.reconciliation.denied);
        denied.retain(|_, denied_ns| now_ns < *denied_ns + DOUBT_NS);
        let departed = self.orders.departed().map(|order| &order.order_id);
        let departed = departed.filter(|order_id| !denied.contains_key(*order_id));
        let departed = departed.cloned().collect();
        let (id, is_quick) = (self.fresh_id(), self.is_catching_up());
        let watch_until_ns = self.reconciliation.watch_until_ns;
        let period_ns = if now_ns < watch_until_ns {
            self.settings.reconcile_ns.min(LOOK_NS)
        } else {
            self.settings.reconcile_ns
        };
        self.reconciliation = Reconciliation {
            watch_until_ns,
            denied,
            next_ns: now_ns + period_ns,
            id,
            is_under_way: true,
            is_quick,
            before,
            departed,
            ..Reconciliation::default()
        };
        self.ask(Step::List, Request::ListOrders, now_ns);
        if is_quick {
            self.ask_trades(now_ns);
        }
    }

    /// The venue denies an order; a slow one may take it yet, as no cancel has reached it.
    pub(super) fn note_denied(&mut self, order_id: &str, now_ns: u64) {
        let known = &mut self.reconciliation;
        known.denied.insert(order_id.to_owned(), now_ns);
        known.watch_until_ns = now_ns + WATCH_NS;
        known.next_ns = known.next_ns.min(now_ns + LOOK_NS);
    }

    fn ask_trades(&mut self, now_ns: u64) {
        let after_s = self.trades_after_s();
        self.reconciliation.trades = TradeListing {
            after_ms: after_s.map_or(0, |after_s| after_s * 1_000),
            asked_ms: self.venue_clock.venue_ms(now_ns),
        };
        self.ask(Step::Trades, Request::ListTrades(after_s), now_ns);
    }

    fn ask(&mut self, step: Step, request: Request, now_ns: u64) {
        self.send(Purpose::Reconcile(self.reconciliation.id, step), request, now_ns);
    }

    pub(super) fn reconcile_when_due(&mut self, now_ns: u64) {
        let retry = self.reconciliation.paused_until_ns;
        let is_due = now_ns >= self.reconciliation.next_ns || retry.is_some_and(|until| now_ns >= until);
        if is_due && !self.reconciliation.is_under_way {
            self.reconcile(now_ns);
        }
    }

    pub(super) fn take_reconcile(&mut self, id: u64, step: Step, answer: Answer, now_ns: u64) {
        if id != self.reconciliation.id || !self.reconciliation.is_under_way {
            return;
        }
        match (step, answer) {
            (Step::List, Answer::Orders(listed)) => {
                self.reconciliation.listed = listed.into_iter().collect();
                self.reconciliation.has_listed = true;
                if !self.reconciliation.is_quick {
                    self.ask_trades(now_ns);
                } else if self.reconciliation.has_trades {
                    self.compare(now_ns);
                }
            }
            (Step::Trades, Answer::Trades(trades)) => {
                for trade in &trades {
                    self.take_trade(trade, now_ns);
                }
                self.note_listed(self.reconciliation.trades, &trades, now_ns);
                self.reconciliation.has_trades = true;
                if self.reconciliation.has_listed {
                    self.compare(now_ns);
                }
            }
            (Step::ListAgain, Answer::Orders(listed)) => self.cancel_disputed(&listed, now_ns),
            (Step::CancelDisputed, Answer::Cancelled(report)) => {
                self.apply_cancel(report, None);
                self.settle(now_ns);
            }
            (_, other) => self.fail_reconcile(other.into_failure(), now_ns),
        }
    }

    fn compare(&mut self, now_ns: u64) {
        let before = std::mem::take(&mut self.reconciliation.before);
        let listed = std::mem::take(&mut self.reconciliation.listed);
        let is_own = |order_id: &&String| self.orders.get(order_id).is_some();
        let strangers = listed
            .iter()
            .filter(|order_id| !is_own(order_id))
            .cloned()
            .collect();
        let missing = before.difference(&listed).filter(is_own).cloned().collect();
        (self.reconciliation.strangers, self.reconciliation.missing) = (strangers, missing);
        if self.reconciliation.strangers.is_empty() && self.reconciliation.missing.is_empty() {
            self.settle(now_ns);
        } else {
            self.ask(Step::ListAgain, Request::ListOrders, now_ns);
        }
    }

    fn cancel_disputed(&mut self, listed: &[String], now_ns: u64) {
        let mut strangers = std::mem::take(&mut self.reconciliation.strangers);
        strangers.retain(|order_id| listed.contains(order_id) && self.orders.get(order_id).is_none());
        let mut disputed = std::mem::take(&mut self.reconciliation.missing);
        disputed.retain(|order_id| !listed.contains(order_id) && self.orders.get(order_id).is_some());
        for (event, ids) in [("orders.strangers", &strangers), ("orders.unlisted", &disputed)] {
            if !ids.is_empty() {
                self.log(Level::Warning, event, vec![("count", ids.len().to_string())]);
            }
        }
        disputed.extend(strangers);
        if disputed.is_empty() {
            return self.settle(now_ns);
        }
        disputed.truncate(MOST_AT_ONCE);
        match self.pay_withdrawal(disputed, now_ns) {
            Ok(request) => self.ask(Step::CancelDisputed, request, now_ns),
            Err(refusal) => self.fail_reconcile(refusal.to_string(), now_ns),
        }
    }

    fn settle(&mut self, now_ns: u64) {
        for order_id in std::mem::take(&mut self.reconciliation.departed) {
            self.orders.forget(&order_id);
        }
        self.reconciliation.is_under_way = false;
        if self.reconciliation.is_wanted_again {
            return self.reconcile(now_ns);
        }
        let is_quick = self.reconciliation.is_quick;
        self.be_reconciled(now_ns);
        if is_quick {
            self.reconcile(now_ns);
        }
    }

    fn fail_reconcile(&mut self, reason: String, now_ns: u64) {
        self.reconciliation.is_under_way = false;
        self.log(
            Level::Warning,
            "engine.reconcile.failed",
            vec![("reason", reason)],
        );
        if self.reconciliation.is_wanted_again || self.phase == Phase::Recovering || self.is_catching_up() {
            self.reconciliation.paused_until_ns = Some(now_ns + RETRY_NS);
        }
    }
}
