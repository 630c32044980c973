//! A venue in memory, quoters that send plans, and the engine between them; every request may go wrong.

mod checks;
mod swarm;
mod venue;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use claw_core::engine::{
    Action, Allocation, Answer, CancelReport, Cause, DeadmanFired, Engine, EngineReply, EngineSettings,
    Event, Evidence, Fill, HaltSwarm, Inventory, MakerPart, Mandate, Market, OrderState, Place, PlaceResult,
    Plan, Request, RequestId, ResumeSwarm, SignBatch, SignOrder, SignedOrder, Start, SwarmState, TokenOrder,
    TokenPrice, Trade, VenueClock, WatchSettings,
};
use claw_core::limits::{LimitSettings, Limits};
use claw_core::units::Side;

pub const MS: u64 = 1_000_000;
pub const SHARE: u64 = 1_000_000;
pub const CAPITAL_E6: u64 = 60 * SHARE;
pub const MAX_POSITION_E6: u64 = 70 * SHARE;
pub const QUOTERS: [&str; 2] = ["quoter-1", "quoter-2"];
/// A quote of both sides in whatever market.
pub const NEAR: [(bool, u16, u64); 2] = [(true, 48, 10), (false, 52, 10)];
const MARKETS: [&str; 2] = ["0xa", "0xb"];

/// A size as a change.
pub fn signed(size_e6: u64) -> i64 {
    i64::try_from(size_e6).expect("a size fits")
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives and is answered.
    Answered,
    /// It arrives, and the answer is lost.
    ReplyLost,
    /// It never arrives.
    RequestLost,
    /// Given up by the engine; it arrives later.
    Late,
    /// It arrives, and its answer is on the way until the request ends once more.
    Slow,
}

#[derive(Debug, Default)]
struct Signer(RefCell<BTreeMap<String, TokenOrder>>);

impl SignOrder for &Signer {
    fn sign(&self, order: &TokenOrder) -> Result<SignedOrder, String> {
        let order_id = format!("0x{:x}", order.salt);
        self.0.borrow_mut().insert(order_id.clone(), order.clone());
        Ok(SignedOrder {
            order_id,
            body: Vec::new(),
        })
    }

    fn sign_batch(&self, batch: &SignBatch) -> Result<String, String> {
        Ok(format!("0x{}", batch.nonce))
    }
}

/// Whoever has to speak, and who of them does.
#[derive(Debug, Clone, Copy)]
pub struct Speaking {
    pub guard: bool,
    pub sentinels: bool,
    pub quoters: [bool; 2],
}

/// What the venue holds of one order.
#[derive(Debug, Clone)]
pub struct Resting {
    pub market: String,
    pub token_id: String,
    pub side: Side,
    pub price_e4: u16,
    pub remaining_e6: u64,
}

/// The engine and all that it talks with.
pub struct World {
    engine: Engine<&'static Signer>,
    signer: &'static Signer,
    pub now_ns: u64,
    pub speaking: Speaking,
    pub live: BTreeMap<String, Resting>,
    /// Orders that the venue's listings leave out: another one was on the same page, or it is too new.
    pub unlisted: BTreeSet<String>,
    pub held: BTreeMap<String, i64>,
    trades: Vec<Trade>,
    late: Vec<String>,
    pub requests: VecDeque<(RequestId, Request)>,
    broken: VecDeque<(RequestId, Request)>,
    /// Answers on the way.
    answers: BTreeMap<RequestId, Answer>,
    /// How a request ends whose connection is given up; None: by turns.
    pub broken_fate: Option<Fate>,
    pub mode: Option<Cause>,
    feed: VecDeque<Event>,
    is_feed_up: bool,
    pub connections: BTreeMap<&'static str, u64>,
    next_connection: u64,
    owners: [usize; 2],
    epochs: [u64; 2],
    allocation_sent: u64,
    /// How far this host's clock is behind that of the orchestrator.
    pub behind_sender_ns: u64,
    /// Pairs that the orchestrator takes out with the next table.
    pub merged_e6: BTreeMap<String, u64>,
    /// Of every mandate.
    pub is_reduce_only: bool,
    /// Of the swarm, as the orchestrator has it.
    pub state: SwarmState,
    /// Of the next plans.
    pub value: f64,
    pub token_prices: Vec<TokenPrice>,
    next_ref: u64,
    pub quotes: BTreeMap<String, (String, OrderState)>,
    /// What each connection was told of its orders: by reference.
    pub told: Vec<(u64, u64, OrderState)>,
    pub deadman: Vec<DeadmanFired>,
    pub fills: Vec<Fill>,
    /// What quoters were told they hold.
    pub inventories: Vec<Inventory>,
    /// Every listing of trades that was asked for.
    pub listed: Vec<Request>,
    pub refusals: Vec<String>,
    pub done: usize,
    pub cancel_requests: Vec<Vec<String>>,
    pub placed_bodies: BTreeSet<String>,
    pub intents: BTreeMap<String, String>,
    pub exit: Option<u8>,
    pub is_ready: bool,
    /// What the venue says of the region; None is no answer that counts.
    pub region: Option<bool>,
    /// Whether the last answer about the region was a clear yes, and no 403 has come since.
    pub is_cleared: bool,
    pub generation: u64,
    pub switches_ms: Vec<u64>,
    /// The counters as they were kept last.
    pub counters: Option<Vec<u64>>,
    /// How far this host's clock is behind that of the venue.
    pub behind_ns: u64,
    /// Every request that was ever sent, and when on the venue's clock.
    pub sent: Vec<(u64, RequestId, Request)>,
    /// When on the venue's clock a request was answered or given up, by its place in `sent`.
    pub ended: BTreeMap<usize, u64>,
    /// Orders that a cancel-all has cancelled at the venue, by its place in `sent`.
    pub swept: BTreeMap<usize, u32>,
}

pub fn market(index: usize) -> Market {
    Market {
        condition_id: MARKETS[index].to_owned(),
        slug: format!("m{index}"),
        underlying: "BTC".to_owned(),
        yes_token: format!("yes{index}"),
        no_token: format!("no{index}"),
        tick_e4: 100,
        min_size_e6: 5 * SHARE,
        neg_risk: false,
        is_open: true,
        closes_ms: None,
    }
}

/// One life of an engine; `seed` makes its orders' ids.
fn started(
    signer: &'static Signer,
    seed: u64,
    limits: Limits,
    now_ns: u64,
) -> (Engine<&'static Signer>, Vec<Action>) {
    let settings = EngineSettings {
        heartbeat_ns: 5_000 * MS,
        reconcile_ns: 10_000 * MS,
        withdraw_timeout_ns: 10_000 * MS,
        region_ns: 60_000 * MS,
        switches_per_day: 1,
        watch: WatchSettings {
            guard_ns: Some(3_000 * MS),
            touch_ns: Some(500 * MS),
            sentinel_ns: Some(500 * MS),
        },
        limits: LimitSettings::default(),
        keeps_counters: true,
    };
    let start = Start {
        signer,
        venue_clock: VenueClock {
            venue_ms: 1_700_000_000_000,
            at_ns: now_ns,
        },
        seed,
        markets: vec![market(0), market(1)],
        switches_ms: Vec::new(),
        fills: Vec::new(),
        limits,
    };
    Engine::start(settings, start, now_ns)
}

impl World {
    /// An engine that has recovered, with a live feed, both quoters connected and both markets mandated.
    pub fn running() -> Self {
        let mut world = Self::starting();
        world.settle(2_000);
        assert!(world.is_ready);
        world.feed_up();
        for quoter in QUOTERS {
            world.connect(quoter);
        }
        world.allocate();
        world.settle(1_000);
        world
    }

    /// The same, each quoter with a quote of two orders that rests.
    pub fn quoting() -> Self {
        let mut world = Self::running();
        for index in 0..2 {
            world.plan(index, 0, &NEAR);
        }
        world.settle(1_000);
        assert_eq!(world.live.len(), 4);
        world
    }

    pub fn starting() -> Self {
        let signer: &'static Signer = Box::leak(Box::default());
        let now_ns = 1_000_000 * MS;
        let limits = Limits::new(LimitSettings::default(), now_ns);
        let (engine, actions) = started(signer, 1, limits, now_ns);
        let mut world = Self {
            engine,
            signer,
            now_ns,
            speaking: Speaking {
                guard: true,
                sentinels: true,
                quoters: [true; 2],
            },
            live: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            held: BTreeMap::new(),
            trades: Vec::new(),
            late: Vec::new(),
            requests: VecDeque::new(),
            broken: VecDeque::new(),
            answers: BTreeMap::new(),
            broken_fate: None,
            mode: None,
            feed: VecDeque::new(),
            is_feed_up: false,
            connections: BTreeMap::new(),
            next_connection: 1,
            owners: [0, 1],
            epochs: [1, 1],
            allocation_sent: 0,
            behind_sender_ns: 0,
            merged_e6: BTreeMap::new(),
            is_reduce_only: false,
            state: SwarmState::Normal,
            value: 0.0,
            token_prices: Vec::new(),
            next_ref: 1,
            quotes: BTreeMap::new(),
            told: Vec::new(),
            deadman: Vec::new(),
            fills: Vec::new(),
            inventories: Vec::new(),
            listed: Vec::new(),
            refusals: Vec::new(),
            done: 0,
            cancel_requests: Vec::new(),
            placed_bodies: BTreeSet::new(),
            intents: BTreeMap::new(),
            exit: None,
            is_ready: false,
            region: Some(false),
            is_cleared: false,
            generation: 0,
            switches_ms: Vec::new(),
            counters: None,
            behind_ns: 0,
            sent: Vec::new(),
            ended: BTreeMap::new(),
            swept: BTreeMap::new(),
        };
        world.act(actions);
        world
    }

    /// The engine dies with whatever it had not heard of, and its successor starts with the counters of its file.
    pub fn restart(&mut self, counters: Option<&[u64]>) {
        let settings = LimitSettings::default();
        let limits = match counters {
            Some(words) => Limits::restore(settings, words, self.now_ns),
            None => Limits::after_loss(settings, self.now_ns),
        };
        self.requests.clear();
        self.broken.clear();
        self.answers.clear();
        self.feed.clear();
        self.late.clear();
        self.connections.clear();
        (self.is_feed_up, self.is_ready, self.generation) = (false, false, 0);
        let seed = 1_000 + self.sent.len() as u64;
        let (engine, actions) = started(self.signer, seed, limits, self.now_ns);
        self.engine = engine;
        self.act(actions);
    }

    pub fn engine(&self) -> &Engine<impl SignOrder> {
        &self.engine
    }

    /// Ask something that changes nothing: what the engine wants done.
    pub fn ask(&mut self, event: Event) -> Vec<Action> {
        self.engine.handle(event, self.now_ns)
    }

    pub fn tell(&mut self, event: Event) {
        match &event {
            Event::Answered(_, Answer::Region(is_blocked), _) => self.is_cleared = !is_blocked,
            Event::Answered(_, Answer::Ineligible(_), _) => self.is_cleared = false,
            Event::Answered(_, Answer::Placed(results), _) => {
                let is_refused = |result: &PlaceResult| matches!(result, PlaceResult::Ineligible(_));
                self.is_cleared &= !results.iter().any(is_refused);
            }
            Event::RouteFault(generation, Cause::CdnPage) if *generation == self.generation => {
                self.is_cleared = false;
            }
            _ => {}
        }
        let actions = self.engine.handle(event, self.now_ns);
        self.act(actions);
        while let Some((id, request)) = self.broken.pop_front() {
            let fates = [Fate::ReplyLost, Fate::RequestLost, Fate::Late];
            let fate = self.broken_fate.unwrap_or(fates[id as usize % fates.len()]);
            let answer = self.answer(id, &request, fate);
            let actions = self.engine.handle(Event::Answered(id, answer, None), self.now_ns);
            self.act(actions);
        }
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            assert_eq!(self.exit, None, "nothing follows an exit");
            match action {
                Action::JournalIntent(intent) => {
                    self.intents.insert(intent.order_id, intent.owner);
                }
                Action::KeepCounters(words) => self.counters = Some(words),
                Action::Send(id, request) => self.send(id, request),
                Action::Reply(connection, EngineReply::OrderUpdate(update)) => {
                    self.told.push((connection, update.reference, update.state));
                    self.quotes.insert(update.order_id, (update.market, update.state));
                }
                Action::Reply(_, EngineReply::PlanDone(done)) => {
                    self.done += 1;
                    self.refusals.extend(done.refused);
                }
                Action::Reply(_, EngineReply::Inventory(held)) => self.inventories.push(held),
                Action::PublishFill(fill) => self.fills.push(fill),
                Action::Reply(_, EngineReply::TokenPrice(price)) => self.token_prices.push(price),
                Action::PublishDeadman(fired) => self.deadman.push(fired),
                Action::BeReady => self.is_ready = true,
                Action::SwitchRoute(generation) => self.switch(generation),
                Action::RecordSwitches(switches_ms) => self.switches_ms = switches_ms,
                Action::Exit(code) => self.exit = Some(code),
                _ => {}
            }
        }
    }

    fn send(&mut self, id: RequestId, request: Request) {
        match &request {
            Request::Place(orders) => {
                assert!(self.is_cleared, "nothing is placed without a clear yes");
                for order in orders {
                    assert!(
                        self.intents.contains_key(&order.order_id),
                        "an intent before its order"
                    );
                    assert!(
                        self.placed_bodies.insert(order.order_id.clone()),
                        "no order is sent twice"
                    );
                }
            }
            Request::Cancel(order_ids) => self.cancel_requests.push(order_ids.clone()),
            Request::ListTrades(_) => self.listed.push(request.clone()),
            _ => {}
        }
        self.sent
            .push((self.now_ns + self.behind_ns, id, request.clone()));
        self.requests.push_back((id, request));
    }

    /// What the shell does: everything under way is answered as lost.
    fn switch(&mut self, generation: u64) {
        assert!(generation > self.generation, "generations grow");
        self.generation = generation;
        // The question about the region goes another way.
        let requests = std::mem::take(&mut self.requests);
        let is_region = |(_, request): &(RequestId, Request)| *request == Request::AskRegion;
        let (kept, broken): (VecDeque<_>, VecDeque<_>) = requests.into_iter().partition(is_region);
        self.requests = kept;
        self.broken.extend(broken);
    }

    /// The route breaks: whatever is under way is answered as lost, done or not.
    pub fn break_route(&mut self) {
        let cause = Cause::Transport("reset".to_owned());
        self.tell(Event::RouteFault(self.generation, cause));
    }

    /// The CDN answers with a page.
    pub fn meet_cdn_page(&mut self) {
        self.tell(Event::RouteFault(self.generation, Cause::CdnPage));
    }

    /// The venue refuses the next place that is under way because of the region.
    pub fn refuse_region(&mut self) {
        let may_refuse = |(id, request): &(RequestId, Request)| {
            matches!(request, Request::Place(_)) && !self.answers.contains_key(id)
        };
        if let Some(at) = self.requests.iter().position(may_refuse) {
            let (id, _) = self.requests.remove(at).expect("it was found");
            let refused = Answer::Ineligible("restricted in your region".to_owned());
            self.tell(Event::Answered(id, refused, None));
        }
    }
}
