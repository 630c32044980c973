//! A venue in memory, quoters that send plans, and the engine between them; every request may go wrong.

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
    pub held: BTreeMap<String, i64>,
    trades: Vec<Trade>,
    late: Vec<String>,
    pub requests: VecDeque<(RequestId, Request)>,
    broken: VecDeque<(RequestId, Request)>,
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
            held: BTreeMap::new(),
            trades: Vec::new(),
            late: Vec::new(),
            requests: VecDeque::new(),
            broken: VecDeque::new(),
            broken_fate: None,
            mode: None,
            feed: VecDeque::new(),
            is_feed_up: false,
            connections: BTreeMap::new(),
            next_connection: 1,
            owners: [0, 1],
            epochs: [1, 1],
            allocation_sent: 0,
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
            let answer = self.answer(&request, fate);
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
        let is_place = |(_, request): &(RequestId, Request)| matches!(request, Request::Place(_));
        if let Some(at) = self.requests.iter().position(is_place) {
            let (id, _) = self.requests.remove(at).expect("it was found");
            let refused = Answer::Ineligible("restricted in your region".to_owned());
            self.tell(Event::Answered(id, refused, None));
        }
    }

    // --- the swarm ------------------------------------------------------------------------------

    pub fn connect(&mut self, quoter: &'static str) {
        let connection = self.next_connection;
        self.next_connection += 1;
        self.connections.insert(quoter, connection);
        self.tell(Event::QuoterConnected(connection, quoter.to_owned()));
    }

    pub fn disconnect(&mut self, quoter: &'static str) {
        if let Some(connection) = self.connections.remove(quoter) {
            self.tell(Event::QuoterClosed(connection));
        }
    }

    /// Publish the table as it stands.
    pub fn allocate(&mut self) {
        self.allocation_sent += 1;
        let mandates = (0..2).map(|index| Mandate {
            market: market(index),
            quoter: QUOTERS[self.owners[index]].to_owned(),
            epoch: self.epochs[index],
            capital_e6: CAPITAL_E6,
            max_position_e6: MAX_POSITION_E6,
            order_size_e6: 20 * SHARE,
            is_reduce_only: self.is_reduce_only,
            weight: 1.0,
        });
        let allocation = Allocation {
            term: 1,
            sent_ns: self.now_ns + self.allocation_sent,
            life_ns: 10_000 * MS,
            mandates: mandates.collect(),
            merged_e6: self.merged_e6.clone(),
            state: self.state,
            ..Allocation::default()
        };
        self.tell(Event::Allocated(allocation));
    }

    /// Give a market to the other quoter.
    pub fn move_market(&mut self, index: usize) {
        self.owners[index] = 1 - self.owners[index];
        self.epochs[index] += 1;
        self.allocate();
    }

    /// A plan of whoever owns a market: `places` are (buys, price in ticks, shares).
    pub fn plan(&mut self, index: usize, cancels: usize, places: &[(bool, u16, u64)]) {
        let quoter = QUOTERS[self.owners[index]];
        let mine = self.engine.orders().of_owner(quoter, Some(MARKETS[index]));
        self.plan_of(quoter, index, mine.into_iter().take(cancels).collect(), places);
    }

    pub fn plan_of(&mut self, quoter: &str, index: usize, cancels: Vec<String>, places: &[(bool, u16, u64)]) {
        let places = places.iter().map(|(is_buy, ticks, shares)| {
            self.next_ref += 1;
            Place {
                reference: self.next_ref,
                side: if *is_buy { Side::Buy } else { Side::Sell },
                price_e4: ticks * 100,
                size_e6: shares * SHARE,
            }
        });
        let plan = Plan {
            market: MARKETS[index].to_owned(),
            term: 1,
            epoch: self.epochs[index],
            cancels,
            places: places.collect(),
            value: self.value,
            book_sequence: 1,
            book_received_ns: Some(self.now_ns),
            decided_ns: self.now_ns,
            tick_e4: None,
        };
        let Some(connection) = self.connections.get(quoter) else {
            return;
        };
        self.tell(Event::PlanSent(*connection, plan));
    }

    pub fn halt(&mut self) {
        self.tell(Event::HaltAsked(HaltSwarm {
            cause: "test".to_owned(),
            sent_ns: self.now_ns,
        }));
    }

    pub fn resume(&mut self) {
        self.tell(Event::ResumeAsked(ResumeSwarm {
            origin: "test".to_owned(),
            sent_ns: self.now_ns,
        }));
    }

    pub fn feed_up(&mut self) {
        if !self.is_feed_up {
            self.is_feed_up = true;
            self.tell(Event::FeedConnected);
        }
    }

    pub fn feed_down(&mut self) {
        if self.is_feed_up {
            self.is_feed_up = false;
            self.feed.clear();
            self.tell(Event::FeedLost("test".to_owned()));
        }
    }

    pub fn deliver_feed(&mut self) {
        if let Some(event) = self.feed.pop_front() {
            self.tell(event);
        }
    }

    /// All that the user feed has to say.
    pub fn deliver_all(&mut self) {
        while !self.feed.is_empty() {
            self.deliver_feed();
        }
    }

    /// Let time pass, in which whoever speaks does.
    pub fn pass(&mut self, ns: u64) {
        self.now_ns += ns;
        if self.speaking.guard {
            self.tell(Event::GuardSeen);
        }
        if self.speaking.sentinels {
            self.tell(Event::SentinelHeard);
        }
        for (index, quoter) in QUOTERS.into_iter().enumerate() {
            if let (true, Some(connection)) = (self.speaking.quoters[index], self.connections.get(quoter)) {
                self.tell(Event::Touched(*connection, 1));
            }
        }
        self.tell(Event::Tick);
    }

    // --- the venue ------------------------------------------------------------------------------

    /// End the request at `index` in this way.
    pub fn end_request(&mut self, index: usize, fate: Fate) {
        let Some((id, request)) = self.requests.remove(index) else {
            return;
        };
        if let (Fate::Answered, Some(cause)) = (fate, self.refusal(&request)) {
            self.tell(Event::RouteFault(self.generation, cause));
        }
        let open = self.live.len();
        let answer = self.answer(&request, fate);
        // Ids begin anew with every life.
        let number = self.sent.iter().rposition(|(_, sent, _)| *sent == id);
        let number = number.expect("it was sent");
        self.ended.insert(number, self.now_ns + self.behind_ns);
        if request == Request::CancelAll {
            let swept = open.saturating_sub(self.live.len());
            self.swept.insert(number, u32::try_from(swept).expect("few"));
        }
        if request == Request::AskRegion && !matches!(answer, Answer::Region(_)) {
            self.is_cleared = false;
        }
        let sent_ns = Some(self.now_ns);
        self.tell(Event::Answered(id, answer, sent_ns));
    }

    fn answer(&mut self, request: &Request, fate: Fate) -> Answer {
        match (fate, request) {
            (Fate::Answered, Request::Place(orders)) if self.refusal(request).is_some() => {
                Answer::Placed(vec![PlaceResult::Refused("mode".to_owned()); orders.len()])
            }
            (Fate::Answered, _) if self.refusal(request).is_some() => Answer::Failed("mode".to_owned()),
            (_, _) if self.refusal(request).is_some() => Answer::Failed("lost".to_owned()),
            (Fate::Answered, _) => self.carry_out(request),
            (Fate::ReplyLost, _) => {
                self.carry_out(request);
                Answer::Failed("reply lost".to_owned())
            }
            (Fate::Late, Request::Place(orders)) => {
                let ids = orders.iter().map(|order| order.order_id.clone());
                self.late.extend(ids);
                Answer::Failed("no answer in time".to_owned())
            }
            (Fate::RequestLost | Fate::Late, _) => Answer::Failed("request lost".to_owned()),
        }
    }

    /// What the engine's mode says to a request.
    fn refusal(&self, request: &Request) -> Option<Cause> {
        let mode = self.mode.clone()?;
        let is_taken = match request {
            Request::Place(_) => matches!(mode, Cause::PostOnly(_)),
            Request::Cancel(_) | Request::CancelAll => !matches!(mode, Cause::Restarting | Cause::Disabled),
            _ => true,
        };
        (!is_taken).then_some(mode)
    }

    fn carry_out(&mut self, request: &Request) -> Answer {
        match request {
            Request::Place(orders) => {
                let results = orders.iter().map(|order| self.land(&order.order_id));
                Answer::Placed(results.collect())
            }
            Request::Cancel(order_ids) => {
                let mut report = CancelReport::default();
                for order_id in order_ids {
                    if self.live.remove(order_id).is_some() {
                        self.say_cancelled(order_id);
                        report.cancelled.push(order_id.clone());
                    } else {
                        let reason = "Order not found or already canceled".to_owned();
                        report.not_cancelled.push((order_id.clone(), reason));
                    }
                }
                Answer::Cancelled(report)
            }
            Request::CancelAll => {
                let cancelled: Vec<String> = std::mem::take(&mut self.live).into_keys().collect();
                for order_id in &cancelled {
                    self.say_cancelled(order_id);
                }
                Answer::Cancelled(CancelReport {
                    cancelled,
                    not_cancelled: Vec::new(),
                })
            }
            Request::ListOrders => Answer::Orders(self.live.keys().cloned().collect()),
            Request::LookUp(order_id) => {
                self.land_late(Some(order_id));
                Answer::IsLive(self.live.contains_key(order_id))
            }
            Request::ListTrades(_) => Answer::Trades(self.trades.clone()),
            Request::AskRegion => match self.region {
                Some(is_blocked) => Answer::Region(is_blocked),
                None => Answer::Failed("a page".to_owned()),
            },
            Request::Heartbeat(_) => Answer::Heartbeat {
                is_accepted: true,
                next_id: "next".to_owned(),
            },
        }
    }

    fn land(&mut self, order_id: &str) -> PlaceResult {
        let order = self.signer.0.borrow()[order_id].clone();
        let digit = order.token_id.chars().last().expect("a token");
        let resting = Resting {
            market: MARKETS[digit.to_digit(10).expect("its number") as usize].to_owned(),
            token_id: order.token_id,
            side: order.side,
            price_e4: order.price_e4,
            remaining_e6: order.size_e6,
        };
        if resting.side == Side::Sell && self.free(&resting.token_id) < signed(resting.remaining_e6) {
            return PlaceResult::Refused("not enough balance / allowance".to_owned());
        }
        self.live.insert(order_id.to_owned(), resting);
        PlaceResult::Accepted
    }

    /// Let orders that were under way for long arrive: one, or all.
    pub fn land_late(&mut self, only: Option<&str>) {
        let (landing, waiting) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|order_id| only.is_none_or(|only| only == order_id));
        self.late = waiting;
        let landing: Vec<String> = landing;
        for order_id in landing {
            self.land(&order_id);
        }
    }

    fn free(&self, token_id: &str) -> i64 {
        let selling = self
            .live
            .values()
            .filter(|order| order.token_id == token_id && order.side == Side::Sell);
        let reserved: u64 = selling.map(|order| order.remaining_e6).sum();
        self.held.get(token_id).copied().unwrap_or_default() - signed(reserved)
    }

    /// Somebody trades with one of our orders.
    pub fn fill(&mut self, index: usize, shares: u64) {
        let Some(order_id) = self.live.keys().nth(index).cloned() else {
            return;
        };
        let order = self.live.get_mut(&order_id).expect("it is live");
        let size_e6 = order.remaining_e6.min(shares * SHARE);
        order.remaining_e6 -= size_e6;
        let order = order.clone();
        if order.remaining_e6 == 0 {
            self.live.remove(&order_id);
        }
        let change = if order.side == Side::Buy {
            signed(size_e6)
        } else {
            -signed(size_e6)
        };
        *self.held.entry(order.token_id.clone()).or_default() += change;
        let trade = Trade {
            id: format!("t{}", self.trades.len()),
            market: order.market.clone(),
            bucket_index: 0,
            evidence: Evidence::Confirmed,
            matched_ms: None,
            parts: vec![MakerPart {
                order_id,
                token_id: order.token_id,
                side: order.side,
                price_e4: order.price_e4,
                size_e6,
            }],
        };
        self.trades.push(trade.clone());
        if self.is_feed_up {
            self.feed.push_back(Event::TradeSeen(trade));
        }
    }

    /// The venue cancels one of our orders by itself.
    pub fn cancel_at_venue(&mut self, index: usize) {
        if let Some(order_id) = self.live.keys().nth(index).cloned() {
            self.live.remove(&order_id);
            self.say_cancelled(&order_id);
        }
    }

    fn say_cancelled(&mut self, order_id: &str) {
        if self.is_feed_up {
            let event = Event::OrderCancelled(order_id.to_owned(), "CANCELED".to_owned());
            self.feed.push_back(event);
        }
    }

    /// Everything goes well for so many ms, and mandates are renewed.
    pub fn settle(&mut self, ms: u64) {
        for step in 0..ms / 50 {
            self.deliver_all();
            for _ in 0..self.requests.len() {
                self.end_request(0, Fate::Answered);
            }
            if self.exit.is_some() {
                return;
            }
            if step % 20 == 0 {
                self.allocate();
            }
            self.pass(50 * MS);
        }
    }

    // --- what must hold -------------------------------------------------------------------------

    /// Whatever is open at the venue is in the engine's view, and inside its mandate in the worst case.
    pub fn check(&self) {
        for (order_id, order) in &self.live {
            let own = self.engine.orders().get(order_id);
            let own = own.unwrap_or_else(|| panic!("{order_id} is open and the engine does not know"));
            assert!(
                own.remaining_e6 >= order.remaining_e6,
                "the engine never sees less than there is"
            );
        }
        for (index, market) in MARKETS.into_iter().enumerate() {
            self.check_market(index, market);
        }
    }

    fn check_market(&self, index: usize, market: &str) {
        let orders = || self.live.values().filter(|order| order.market == market);
        let stake = |order: &Resting| {
            let is_buy = order.side == Side::Buy;
            let price_e4 = if is_buy {
                order.price_e4
            } else {
                10_000 - order.price_e4
            };
            (u128::from(price_e4) * u128::from(order.remaining_e6)).div_ceil(10_000)
        };
        assert!(
            orders().map(stake).sum::<u128>() <= u128::from(CAPITAL_E6),
            "capital"
        );
        let held = |token: String| self.held.get(&token).copied().unwrap_or_default();
        let net = held(format!("yes{index}")) - held(format!("no{index}"));
        let is_long = |order: &&Resting| (order.side == Side::Buy) == order.token_id.starts_with("yes");
        let longs: u64 = orders().filter(is_long).map(|order| order.remaining_e6).sum();
        let shorts: u64 = orders()
            .filter(|order| !is_long(order))
            .map(|order| order.remaining_e6)
            .sum();
        assert!(net + signed(longs) <= signed(MAX_POSITION_E6), "position");
        assert!(-net + signed(shorts) <= signed(MAX_POSITION_E6), "position");
    }

    /// The engine's view is the venue's.
    pub fn check_equal(&self) {
        let ours: Vec<_> = self
            .engine
            .orders()
            .all()
            .map(|own| (own.order_id.clone(), own.remaining_e6))
            .collect();
        let theirs: Vec<_> = self
            .live
            .iter()
            .map(|(id, order)| (id.clone(), order.remaining_e6))
            .collect();
        assert_eq!(ours, theirs);
        assert!(self.engine.orders().all().all(|own| !own.is_unknown));
        for (index, market) in MARKETS.into_iter().enumerate() {
            let held = self.engine.inventories().of(market);
            let of = |token: String| self.held.get(&token).copied().unwrap_or_default();
            assert_eq!(
                (held.yes_e6, held.no_e6),
                (of(format!("yes{index}")), of(format!("no{index}")))
            );
        }
    }

    /// Orders of an owner that are open at the venue.
    pub fn live_of(&self, owner: &str) -> BTreeSet<String> {
        let ids = self
            .live
            .keys()
            .filter(|order_id| self.intents[*order_id] == owner);
        ids.cloned().collect()
    }
}
