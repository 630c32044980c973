//! The machine itself: what it holds, and which part of it an event is for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::breaker::Breaker;
use super::eligibility::Eligibility;
use super::events::{Action, Answer, BucketReport, ConnectionId, Event, Level, Request, RequestId};
use super::failover::{Failover, FailoverStep};
use super::gate::{Gate, Revoked};
use super::heartbeat::Heartbeat;
use super::messages::{Allocation, Fill, FillKey, Inventory, Market, SwarmState};
use super::orders::{Inventories, OwnOrders};
use super::plans::PlanUnderWay;
use super::pulse::Counters;
use super::queue::Queue;
use super::reconcile::{Reconciliation, Step};
use super::resolve::Resolution;
use super::signing::{Salts, SignOrder, VenueClock};
use super::suspicion::Suspicion;
use super::uptime::QuotingUptime;
use super::watch::{Watch, WatchSettings};
use super::withdraw::ROUTE;
use super::withdraw::{Clearance, Withdrawal};
use crate::limits::{self, BucketName, Headers, LimitSettings, Limits};

/// Timing and limits.
#[derive(Debug, Clone, Copy)]
pub struct EngineSettings {
    /// Time between two heartbeats.
    pub heartbeat_ns: u64,
    /// Time between two reconciliations.
    pub reconcile_ns: u64,
    /// How long a withdrawal of everything may take.
    pub withdraw_timeout_ns: u64,
    /// Time between two questions whether this region may trade.
    pub region_ns: u64,
    /// How often in 24 h the connections may move because of a page of the CDN.
    pub switches_per_day: u32,
    /// How long guard, sentinels and quoters may be silent.
    pub watch: WatchSettings,
    /// The venue's limits.
    pub limits: LimitSettings,
    /// Whether what has been counted of them is kept for the next life.
    pub keeps_counters: bool,
}

/// What an engine knows when it starts.
#[derive(Debug)]
pub struct Start<S> {
    /// Signs for the account.
    pub signer: S,
    /// The venue's clock.
    pub venue_clock: VenueClock,
    /// Seeds the salts of orders.
    pub seed: u64,
    /// The venue's markets: fills can only be read with them.
    pub markets: Vec<Market>,
    /// Moves that earlier lives made because of the CDN, in venue ms.
    pub switches_ms: Vec<u64>,
    /// Fills that an earlier life journalled.
    pub fills: Vec<Fill>,
    /// What the venue has counted of its requests.
    pub limits: Limits,
}

/// Where the engine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Withdrawing what an earlier life left, then comparing with the venue.
    Recovering,
    Running,
    /// Asked to stop: places under way first, then everything is withdrawn.
    Leaving,
    Ended,
}

/// The user feed: nothing is placed unless fills can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    Down,
    /// Connected, and not yet compared with the venue since.
    CatchingUp,
    Live,
}

/// Whose question an answer is to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    PlanCancel(u64),
    PlanPlace(u64),
    WithdrawCancel(u64),
    WithdrawList(u64),
    ClearCancel(u64),
    ClearList(u64),
    ResolveCancel(String),
    ResolveLook(String),
    Reconcile(u64, Step),
    Heartbeat,
    Failover(u64, FailoverStep),
    AskRegion,
}

/// Why nothing may be open, and since when: only a later resume lifts it.
#[derive(Debug)]
pub(super) struct Halted {
    pub(super) cause: String,
    pub(super) since_ns: u64,
}

/// One account's order path.
#[derive(Debug)]
pub struct Engine<S> {
    pub(super) settings: EngineSettings,
    pub(super) signer: S,
    pub(super) venue_clock: VenueClock,
    pub(super) salts: Salts,
    pub(super) markets: HashMap<String, Market>,
    pub(super) gate: Gate,
    pub(super) limits: Limits,
    pub(super) orders: OwnOrders,
    pub(super) inventories: Inventories,
    pub(super) fair_e4: HashMap<String, f64>,
    pub(super) refused_trades: BTreeSet<String>,
    /// Up to when (venue ms) trades were listed in whole; None before the first listing.
    pub(super) trades_listed_ms: Option<u64>,
    /// Unsettled fills that a listing should have shown and did not, and how often.
    pub(super) ghosts: BTreeMap<FillKey, u8>,
    pub(super) quoters: BTreeMap<String, ConnectionId>,
    /// By market under a mandate: what is held, and on which connection its quoter was last told that.
    pub(super) told: BTreeMap<String, (ConnectionId, Inventory)>,
    pub(super) tables_told: u32,
    pub(super) phase: Phase,
    pub(super) feed: Feed,
    pub(super) feed_lost_ns: Option<u64>,
    pub(super) breaker: Breaker,
    pub(super) suspicion: Suspicion,
    pub(super) eligibility: Eligibility,
    pub(super) failover: Option<Failover>,
    /// Of the connections in use.
    pub(super) generation: u64,
    /// When connections were last given up.
    pub(super) broken_ns: Option<u64>,
    pub(super) halted: Option<Halted>,
    /// Of the newest resume: halts that were sent before it are over.
    resumed_ns: u64,
    pub(super) plans: BTreeMap<u64, PlanUnderWay>,
    pub(super) queue: Queue,
    pub(super) withdrawals: BTreeMap<u64, Withdrawal>,
    pub(super) clearance: Option<Clearance>,
    pub(super) resolutions: BTreeMap<String, Resolution>,
    pub(super) reconciliation: Reconciliation,
    pub(super) heartbeat: Heartbeat,
    pub(super) counters: Counters,
    pub(super) actions: Vec<Action>,
    pub(super) uptime: QuotingUptime,
    pub(super) watch: Watch,
    requests: BTreeMap<RequestId, Purpose>,
    /// Cancel-alls under way, each with the number of orders that it was paid for.
    sweeps: BTreeMap<RequestId, u32>,
    /// What requests without an answer were paid for, and when.
    under_way: BTreeMap<RequestId, (limits::Request, u64)>,
    pub(super) last_id: u64,
    /// The request whose answer is being taken in.
    pub(super) answering: RequestId,
}

impl<S: SignOrder> Engine<S> {
    /// Start: the first actions withdraw whatever an earlier life left open.
    pub fn start(settings: EngineSettings, start: Start<S>, now_ns: u64) -> (Self, Vec<Action>) {
        let mut inventories = Inventories::default();
        for fill in start.fills {
            inventories.restore(fill);
        }
        let markets = start.markets.into_iter();
        let mut engine = Self {
            settings,
            signer: start.signer,
            venue_clock: start.venue_clock,
            salts: Salts::new(start.seed),
            markets: markets
                .map(|market| (market.condition_id.clone(), market))
                .collect(),
            gate: Gate::default(),
            limits: start.limits,
            orders: OwnOrders::default(),
            inventories,
            fair_e4: HashMap::new(),
            refused_trades: BTreeSet::new(),
            trades_listed_ms: None,
            ghosts: BTreeMap::new(),
            quoters: BTreeMap::new(),
            told: BTreeMap::new(),
            tables_told: 0,
            phase: Phase::Recovering,
            feed: Feed::Down,
            feed_lost_ns: None,
            breaker: Breaker::new(start.switches_ms),
            suspicion: Suspicion::default(),
            eligibility: Eligibility::unknown(now_ns),
            failover: None,
            generation: 0,
            broken_ns: None,
            halted: None,
            resumed_ns: 0,
            plans: BTreeMap::new(),
            queue: Queue::default(),
            withdrawals: BTreeMap::new(),
            clearance: None,
            resolutions: BTreeMap::new(),
            reconciliation: Reconciliation::default(),
            heartbeat: Heartbeat::default(),
            counters: Counters::default(),
            actions: Vec::new(),
            uptime: QuotingUptime::default(),
            watch: Watch::new(settings.watch, now_ns),
            requests: BTreeMap::new(),
            sweeps: BTreeMap::new(),
            under_way: BTreeMap::new(),
            last_id: 0,
            answering: 0,
        };
        engine.clear(None, now_ns);
        engine.doubt_region("it has not been asked yet", now_ns);
        let actions = engine.take_actions(now_ns);
        (engine, actions)
    }

    /// Take in one event and say what to do about it, in order.
    pub fn handle(&mut self, event: Event, now_ns: u64) -> Vec<Action> {
        if self.phase == Phase::Ended {
            return Vec::new();
        }
        match event {
            Event::Tick => self.tick(now_ns),
            Event::QuoterConnected(connection, name) => self.connect_quoter(connection, name, now_ns),
            Event::QuoterClosed(connection) => self.close_quoter(connection, now_ns),
            Event::PlanSent(connection, plan) => self.start_plan(connection, plan, now_ns),
            Event::Touched(connection, sequence) => self.take_touch(connection, sequence, now_ns),
            Event::BatchAsked(connection, batch) => self.sign_batch(connection, &batch, now_ns),
            Event::GuardSeen => self.hear_guard(now_ns),
            Event::SentinelHeard => self.hear_sentinel(now_ns),
            Event::Allocated(allocation) => self.allocate(allocation, now_ns),
            Event::BookSeen(book) => {
                match book.microprice.filter(|_| book.is_valid) {
                    Some(microprice) => self.fair_e4.insert(book.market, microprice * 10_000.0),
                    None => self.fair_e4.remove(&book.market),
                };
            }
            Event::HaltAsked(halt) if halt.sent_ns >= self.resumed_ns => {
                self.halt(&halt.cause, halt.sent_ns, now_ns);
            }
            Event::HaltAsked(_) => {}
            Event::ResumeAsked(resume) => {
                // A clock that is ahead must lift no halt that comes later.
                let sent_ns = resume.sent_ns.min(now_ns);
                self.resumed_ns = self.resumed_ns.max(sent_ns);
                let is_over = |halted: &mut Halted| halted.since_ns <= sent_ns;
                if self.halted.take_if(is_over).is_some() {
                    self.log(Level::Info, "engine.resumed", vec![("origin", resume.origin)]);
                    self.ask_region(now_ns);
                }
            }
            Event::Answered(request, answer, sent_ns) => self.take_answer(request, answer, sent_ns, now_ns),
            Event::BucketSeen(request, bucket, report) => {
                if let Some(request) = request {
                    self.count_arrival(request, now_ns);
                }
                self.correct_limits(bucket, &report, now_ns);
            }
            Event::RouteFault(generation, cause) => self.take_route_fault(generation, cause, now_ns),
            Event::FeedConnected => {
                self.feed = Feed::CatchingUp;
                self.reconcile(now_ns);
            }
            Event::FeedLost(reason) => self.lose_feed(reason, now_ns),
            Event::OrderCancelled(order_id, status) => {
                self.suspicion.found(&order_id, now_ns);
                self.order_gone(&order_id, Some(status).filter(|status| !status.is_empty()));
                // The channel keeps the order of events: the order's trades came before.
                self.orders.forget(&order_id);
            }
            Event::TradeSeen(trade) => self.take_trade(&trade, now_ns),
            Event::ClockCorrected(clock) => self.correct_clock(clock, now_ns),
            Event::StopAsked => self.leave(now_ns),
        }
        self.serve_queue(now_ns);
        self.take_actions(now_ns)
    }

    /// What is to be done: the counters are kept before what they paid for is sent.
    fn take_actions(&mut self, now_ns: u64) -> Vec<Action> {
        let actions = std::mem::take(&mut self.actions);
        if !self.settings.keeps_counters {
            return actions;
        }
        let counters = self.limits.take_unsaved(now_ns).map(Action::KeepCounters);
        counters.into_iter().chain(actions).collect()
    }

    /// When to send the next [`Event::Tick`] at the latest; None when only the usual ticks are needed.
    #[must_use]
    pub fn next_wake_ns(&self) -> Option<u64> {
        let withdrawals = self
            .withdrawals
            .values()
            .filter_map(|withdrawal| withdrawal.paused_until_ns);
        let resolutions = self
            .resolutions
            .values()
            .filter_map(|resolution| resolution.paused_until_ns);
        let clearance = self
            .clearance
            .as_ref()
            .and_then(|clearance| clearance.paused_until_ns);
        let failover = self
            .failover
            .as_ref()
            .and_then(|failover| failover.paused_until_ns);
        let others = clearance
            .into_iter()
            .chain(failover)
            .chain(self.reconciliation.paused_until_ns)
            .chain(self.queue.wake_ns());
        withdrawals.chain(resolutions).chain(others).min()
    }

    /// Every order that is or may be open.
    #[must_use]
    pub const fn orders(&self) -> &OwnOrders {
        &self.orders
    }

    /// What is held.
    #[must_use]
    pub const fn inventories(&self) -> &Inventories {
        &self.inventories
    }

    fn tick(&mut self, now_ns: u64) {
        self.watch_all(now_ns);
        self.ask_region_when_due(now_ns);
        if self.phase == Phase::Running {
            let revoked = self.gate.expire(now_ns);
            self.revoke(revoked, now_ns);
            let markets = self
                .gate
                .mandates()
                .map(|mandate| mandate.market.condition_id.as_str());
            self.uptime.sample(markets, &self.orders, now_ns);
            self.beat_when_due(now_ns);
        }
        if self.phase == Phase::Running || (self.phase == Phase::Recovering && self.clearance.is_none()) {
            self.reconcile_when_due(now_ns);
        }
        self.go_on_resolving(now_ns);
        self.go_on_withdrawing(now_ns);
        self.go_on_failing_over(now_ns);
        self.say_token_price(now_ns);
    }

    fn correct_clock(&mut self, clock: VenueClock, now_ns: u64) {
        let before_ms = self.venue_clock.venue_ms(now_ns);
        self.venue_clock = clock;
        let after_ms = clock.venue_ms(now_ns);
        // Up to when trades were listed was read off the old one.
        let ahead_ms = before_ms.saturating_sub(after_ms);
        self.trades_listed_ms = self.trades_listed_ms.map(|at_ms| at_ms.saturating_sub(ahead_ms));
        let fields = vec![
            ("before_ms", before_ms.to_string()),
            ("after_ms", after_ms.to_string()),
        ];
        self.log(Level::Warning, "engine.clock.corrected", fields);
    }

    fn allocate(&mut self, allocation: Allocation, now_ns: u64) {
        for mandate in &allocation.mandates {
            let market = &mandate.market;
            self.markets.insert(market.condition_id.clone(), market.clone());
        }
        let merged = allocation.merged_e6.clone();
        let (state, causes, sent_ns) = (allocation.state, allocation.causes.join("; "), allocation.sent_ns);
        let rate = allocation.rate;
        let Some(revoked) = self.gate.install(allocation, now_ns) else {
            return;
        };
        self.inventories.set_merged(merged);
        self.queue.policy = rate;
        self.limits.set_window_share(rate.window_share);
        if state == SwarmState::Halted {
            self.halt(&causes, sent_ns, now_ns);
        }
        self.tell_holders();
        self.revoke(revoked, now_ns);
    }

    fn revoke(&mut self, revoked: Vec<Revoked>, now_ns: u64) {
        for ended in revoked {
            self.withdraw(&ended.quoter, Some(&ended.market), ended.cause, now_ns);
        }
    }

    fn take_answer(&mut self, request: RequestId, answer: Answer, sent_ns: Option<u64>, now_ns: u64) {
        let Some(purpose) = self.requests.remove(&request) else {
            return;
        };
        self.answering = request;
        self.count_arrival(request, now_ns);
        if let Answer::Ineligible(reason) = &answer {
            self.be_refused(reason, now_ns);
        }
        let paid_for = self.sweeps.remove(&request);
        if let Answer::Cancelled(report) = &answer {
            self.breaker.cancel_answered(now_ns);
            for order_id in &report.cancelled {
                self.suspicion.found(order_id, now_ns);
            }
            if let Some(paid_for) = paid_for {
                let cancelled = u32::try_from(report.cancelled.len()).unwrap_or(u32::MAX);
                self.limits.settle(paid_for, cancelled, now_ns);
            }
        }
        match purpose {
            Purpose::PlanCancel(id) => self.take_plan_cancel(id, answer, now_ns),
            Purpose::PlanPlace(id) => self.take_plan_place(id, answer, sent_ns, now_ns),
            Purpose::WithdrawCancel(id) => self.take_withdraw_cancel(id, answer, now_ns),
            Purpose::WithdrawList(id) => self.take_withdraw_list(id, answer, now_ns),
            Purpose::ClearCancel(generation) => self.take_clear_cancel(generation, answer, now_ns),
            Purpose::ClearList(generation) => self.take_clear_list(generation, answer, now_ns),
            Purpose::ResolveCancel(order_id) => self.take_resolve_cancel(order_id, answer, now_ns),
            Purpose::ResolveLook(order_id) => self.take_resolve_look(&order_id, answer, now_ns),
            Purpose::Reconcile(id, step) => self.take_reconcile(id, step, answer, now_ns),
            Purpose::Heartbeat => self.take_heartbeat(answer, now_ns),
            Purpose::Failover(id, step) => self.take_failover(id, step, answer, now_ns),
            Purpose::AskRegion => self.take_region(answer, now_ns),
        }
    }

    /// Its answer is there, or the first word of it: the venue has counted it by now.
    fn count_arrival(&mut self, request: RequestId, now_ns: u64) {
        if let Some((cost, paid_ns)) = self.under_way.remove(&request) {
            self.limits.arrive(ROUTE, cost, paid_ns, now_ns);
        }
    }

    fn correct_limits(&mut self, bucket: BucketName, report: &BucketReport, now_ns: u64) {
        let headers = Headers {
            remaining: report.remaining.as_deref(),
            reset: report.reset.as_deref(),
            tier: report.tier.as_deref(),
            is_refused: report.is_refused,
        };
        let venue_ms = self.venue_clock.venue_ms(now_ns);
        self.limits.correct(bucket, &headers, venue_ms, now_ns);
    }

    /// State is unknown, or the venue refuses us: say so and cancel everything.
    pub(super) fn escalate(&mut self, cause: &str, now_ns: u64) {
        self.log(Level::Error, "engine.halt", vec![("cause", cause.to_owned())]);
        self.actions.push(Action::Explain(cause.to_owned()));
        self.halt(cause, now_ns, now_ns);
    }

    fn halt(&mut self, cause: &str, since_ns: u64, now_ns: u64) {
        if let Some(halted) = &mut self.halted {
            halted.since_ns = halted.since_ns.max(since_ns);
            return;
        }
        let cause = cause.to_owned();
        self.halted = Some(Halted {
            cause: cause.clone(),
            since_ns,
        });
        self.log(Level::Warning, "engine.halted", vec![("cause", cause.clone())]);
        if self.phase == Phase::Running {
            self.clear(Some(&format!("halt: {cause}")), now_ns);
        }
    }

    /// A reconciliation is complete: what waited for it may go on.
    pub(super) fn be_reconciled(&mut self, now_ns: u64) {
        if self.feed == Feed::CatchingUp {
            self.feed = Feed::Live;
        }
        if self.phase == Phase::Recovering {
            self.phase = Phase::Running;
            self.actions.push(Action::BeReady);
        }
        self.go_on_failing_over(now_ns);
    }

    /// Whether a reconciliation is needed before fills can be trusted.
    pub(super) fn is_catching_up(&self) -> bool {
        self.feed == Feed::CatchingUp
    }

    fn leave(&mut self, now_ns: u64) {
        if self.phase == Phase::Leaving {
            return;
        }
        self.phase = Phase::Leaving;
        self.withdrawals.clear();
        (self.clearance, self.failover) = (None, None);
        self.go_on_failing_over(now_ns);
        self.leave_when_idle(now_ns);
    }

    /// A place under way would land after the last listing: each has its answer (or time-out) first.
    pub(super) fn leave_when_idle(&mut self, now_ns: u64) {
        if self.phase == Phase::Leaving && self.plans.is_empty() && self.clearance.is_none() {
            self.clear(None, now_ns);
        }
    }

    pub(super) fn exit(&mut self, code: u8) {
        self.phase = Phase::Ended;
        self.actions.push(Action::Exit(code));
    }

    pub(super) fn send(&mut self, purpose: Purpose, request: Request, now_ns: u64) {
        let id = self.fresh_id();
        if let Some(cost) = cost(&request) {
            self.limits.depart(cost, now_ns);
            self.under_way.insert(id, (cost, now_ns));
        }
        if request == Request::CancelAll {
            self.sweeps.insert(id, self.open_count());
        }
        self.requests.insert(id, purpose);
        self.actions.push(Action::Send(id, request));
    }

    pub(super) fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn log(&mut self, level: Level, event: &'static str, fields: Vec<(&'static str, String)>) {
        self.actions.push(Action::Log(level, event, fields));
    }
}

/// What the limits count of a request; a cancel-all is counted when it is paid for and when it is answered.
fn cost(request: &Request) -> Option<limits::Request> {
    let orders = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    match request {
        Request::Place(placed) => Some(limits::Request::Place {
            orders: orders(placed.len()),
            open: 0,
        }),
        Request::Cancel(order_ids) => Some(limits::Request::Cancel {
            orders: orders(order_ids.len()),
        }),
        _ => None,
    }
}
