//! The work loop: events into the state machine, its actions out, and the supervisor told that it goes on.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use claw_core::engine::{
    AccountSigner, Action, Allocation, Answer, BookState, BucketReport, DeadmanFired, Engine, Event,
    FeedHealth, Fill, HaltSwarm, Intent, Level, PlaceResult, Request, RequestId, ResumeSwarm, Start,
};
use claw_core::limits::{BucketName, LimitSettings, Limits};
use claw_core::order::hmac::Credentials;
use claw_core::order::signing::OrderSigner;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_local;

use crate::account::Account;
use crate::bus::{Bus, Latest, Ordered};
use crate::counters::Counters;
use crate::declared_routes::Routes;
use crate::fault::Fault;
use crate::feed::UserFeed;
use crate::guard_link::{GuardLink, Hello};
use crate::http::Connections;
use crate::journal::Journal;
use crate::login::{Login, log_in};
use crate::netrc::Netrc;
use crate::notify::{Notifier, lifeline_cut};
use crate::pauses::Pauses;
use crate::port::Port;
use crate::settings::{Settings, ns};
use crate::socket::{Host, Trust};
use crate::venue::{Refusal, RegionDesk, Venue};
use crate::wire;
use crate::{clock, log, switches};

const TICK_NS: u64 = 100_000_000;
const BEAT_NS: u64 = 500_000_000;
const WARM_NS: u64 = 1_000_000_000;
/// Six times within the silence after which the guard kills.
const GUARD_NS: u64 = 50_000_000;
/// Markets that a jump may withdraw from in one go.
const MARKETS_AT_ONCE: usize = 24;
/// How long a route may take to answer at the start, when the next one has.
const START_PATIENCE: Duration = Duration::from_secs(1);
/// Events taken before the time is looked at again.
const MOST_AT_ONCE: usize = 256;

/// Serve until asked to stop; the exit code, 0 only when the venue has confirmed that nothing is open.
pub async fn run(
    settings: &Settings,
    signer: &OrderSigner,
    bus: &Bus,
    notifier: &Notifier,
) -> Result<u8, Fault> {
    let (inbox, events) = mpsc::unbounded_channel();
    spawn_local(watch_for_stop(settings.name.clone(), inbox.clone())?);
    let trust = Trust::new(settings.ca_file.as_deref())?;
    let passwords = settings.proxy_passwords.as_deref().map(Netrc::read);
    let passwords = passwords.transpose()?.unwrap_or_default();
    let routes = Routes::declared(&settings.routes, settings.country.as_deref(), &passwords)?;
    let host = Host::of_url(&settings.clob_url, "http", &trust, &routes)?;
    let connections = Rc::new(Connections::new(host, settings.probing()));
    let ask_over = |routes| {
        let host = Host::of_url(&settings.region_url, "http", &trust, routes)?;
        Ok::<_, Fault>(Connections::new(host, settings.probing()))
    };
    let region = RegionDesk {
        own: ask_over(&Routes::direct())?,
        routed: ask_over(&routes)?,
        routes: Rc::clone(&routes),
        target: settings.region_target()?,
    };
    let mut stop = StopWatch { events, notifier };
    let Login { clock, key, markets } = recover(&connections, &routes, signer, &mut stop).await?;
    connections.keep_spare(MARKETS_AT_ONCE);
    let faults = inbox.clone();
    connections.report_to(move |generation, cause| {
        // Without a reader the work loop has ended already.
        let _ = faults.send(Event::RouteFault(generation, cause));
    });
    let venue_ms = clock.venue_ms(clock::now_ns());
    let doubt = Rc::new(Notify::new());
    let credentials = Credentials::new(&key.api_key, &key.secret, &key.passphrase)
        .map_err(|fault| Fault::Crash(fault.to_string()))?;
    let address = signer.address().to_string();
    let guard = settings.watch.guard.clone().map(|path| {
        let hello = Hello::new(address.clone(), &key, clock);
        GuardLink::open(path, hello, inbox.clone())
    });
    if guard.is_none() {
        log::warning("engine.unguarded", &[]);
    }
    let venue = Venue::new(
        Rc::clone(&connections),
        Some(region),
        credentials,
        &address,
        clock,
    )?;
    let feed = UserFeed {
        url: settings.user_ws_url.clone(),
        host: Host::of_url(&settings.user_ws_url, "ws", &trust, &routes)?,
        subscription: wire::user_subscription(&key),
        api_key: key.api_key.clone(),
        settings: settings.feed,
        doubt,
    };
    let mut shell = Shell::open(settings, bus, notifier, (connections, venue), feed, inbox)?;
    shell.guard = guard;
    shell.routes = routes;
    shell.account = Some(Account::new(signer, &key, clock));
    spawn_local(ask_tier(Rc::clone(&shell.venue), shell.inbox.clone()));
    let engine_settings = settings.engine()?;
    let limits = shell.open_counters(engine_settings.limits)?;
    let start = Start {
        signer: AccountSigner {
            signer,
            owner: key.api_key,
        },
        venue_clock: clock,
        seed: seed()?,
        markets,
        switches_ms: switches::read(&settings.switches_file, settings.switches_per_day, venue_ms),
        fills: shell.fills.published()?,
        limits,
    };
    let (engine, actions) = Engine::start(engine_settings, start, clock::now_ns());
    shell.work(engine, actions, stop.events).await
}

/// What is asked of this process while the venue does not answer yet.
struct StopWatch<'a> {
    events: mpsc::UnboundedReceiver<Event>,
    notifier: &'a Notifier,
}

/// Log in, as often as it takes.
async fn recover(
    connections: &Connections,
    routes: &Routes,
    signer: &OrderSigner,
    stop: &mut StopWatch<'_>,
) -> Result<Login, Fault> {
    // A venue that refuses must not be asked in a hot loop: its limits on logins are low.
    let mut pauses = Pauses::new(Duration::from_nanos(TICK_NS));
    loop {
        let reason = match log_in(connections, signer).await {
            Ok(login) => return Ok(login),
            Err(reason) => reason,
        };
        log::warning("engine.recover.retry", &[("reason", &reason)]);
        if connections.is_dead_alone(START_PATIENCE).await {
            say_left(routes.move_on(), routes);
        }
        let (failed_ns, pause) = (clock::now_ns(), pauses.grow());
        while Duration::from_nanos(clock::now_ns().saturating_sub(failed_ns)) < pause {
            let tick = tokio::time::sleep(Duration::from_nanos(TICK_NS));
            tokio::select! {
                _ = stop.events.recv() => {
                    stop.notifier.stopping();
                    return Err(Fault::User(format!("the venue does not answer: {reason}")));
                }
                () = tick => stop.notifier.alive(),
            }
        }
    }
}

/// Say when this process should end: a signal, or the supervisor's death.
fn watch_for_stop(
    name: String,
    inbox: mpsc::UnboundedSender<Event>,
) -> Result<impl Future<Output = ()> + 'static, Fault> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        let cause = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = lifeline_cut() => "the supervisor is gone",
        };
        log::info("process.stopping", &[("name", &name), ("cause", cause)]);
        // Without a reader the work loop has ended already.
        let _ = inbox.send(Event::StopAsked);
    })
}

fn seed() -> Result<u64, Fault> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|fault| Fault::Crash(format!("no random bytes: {fault}")))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Halt from here on, whoever resumed before.
fn halt_now(cause: String) -> HaltSwarm {
    HaltSwarm {
        cause,
        sent_ns: clock::now_ns(),
    }
}

/// Everything around the state machine.
struct Shell<'a> {
    settings: &'a Settings,
    bus: &'a Bus,
    notifier: &'a Notifier,
    routes: Rc<Routes>,
    connections: Rc<Connections>,
    venue: Rc<Venue>,
    doubt: Rc<Notify>,
    inbox: mpsc::UnboundedSender<Event>,
    intents: Journal,
    has_journal: bool,
    has_counted: bool,
    fills: Ordered<'a>,
    deadman: Ordered<'a>,
    news: Arc<Notify>,
    allocations: Latest,
    halts: Latest,
    resumes: Latest,
    books: Latest,
    pulses: Latest,
    guard: Option<GuardLink>,
    counters: Option<Counters>,
    port: Option<Port>,
    account: Option<Account>,
    feed: Option<UserFeed>,
}

impl<'a> Shell<'a> {
    fn open(
        settings: &'a Settings,
        bus: &'a Bus,
        notifier: &'a Notifier,
        (connections, venue): (Rc<Connections>, Venue),
        feed: UserFeed,
        inbox: mpsc::UnboundedSender<Event>,
    ) -> Result<Self, Fault> {
        let news = Arc::new(Notify::new());
        let wake = || Some(Arc::clone(&news));
        Ok(Self {
            settings,
            bus,
            notifier,
            routes: Routes::direct(),
            connections,
            venue: Rc::new(venue),
            doubt: Rc::clone(&feed.doubt),
            inbox,
            intents: Journal::open(&settings.folder.join("intents.journal"))?,
            has_journal: true,
            has_counted: true,
            fills: bus.ordered("fills", &settings.folder.join("fills.journal"))?,
            deadman: bus.ordered("deadman", &settings.folder.join("deadman.journal"))?,
            allocations: bus.latest("allocation", wake())?,
            halts: bus.latest("halt", wake())?,
            resumes: bus.latest("resume", wake())?,
            books: bus.latest("book/*/*", None)?,
            pulses: bus.latest("feed/*", None)?,
            guard: None,
            counters: None,
            news,
            port: None,
            account: None,
            feed: Some(feed),
        })
    }

    async fn work(
        &mut self,
        mut engine: Engine<AccountSigner<'_>>,
        actions: Vec<Action>,
        mut events: mpsc::UnboundedReceiver<Event>,
    ) -> Result<u8, Fault> {
        self.warm();
        spawn_local(probe(
            Rc::clone(&self.connections),
            self.settings.probing().interval,
        ));
        if let Some(code) = self.act(actions)? {
            return Ok(code);
        }
        let (mut next_tick_ns, mut next_beat_ns, mut next_warm_ns, mut next_guard_ns) = (0, 0, 0, 0);
        loop {
            let now_ns = clock::now_ns();
            let wake_ns = engine.next_wake_ns().unwrap_or(u64::MAX).min(next_tick_ns);
            let pause_ns = wake_ns.min(next_guard_ns).saturating_sub(now_ns);
            let pause = tokio::time::sleep(Duration::from_nanos(pause_ns));
            let first = tokio::select! {
                biased;
                event = events.recv() => event,
                () = self.news.notified() => None,
                () = pause => None,
            };
            let rest = std::iter::from_fn(|| events.try_recv().ok()).take(MOST_AT_ONCE);
            for event in first.into_iter().chain(rest).collect::<Vec<_>>() {
                if let Some(code) = self.take(&mut engine, event)? {
                    self.publish_beat(&engine);
                    return Ok(code);
                }
            }
            for event in self.news() {
                self.take(&mut engine, event)?;
            }
            let now_ns = clock::now_ns();
            if now_ns >= next_guard_ns {
                next_guard_ns = now_ns + GUARD_NS;
                if let Some(guard) = &self.guard {
                    guard.tick();
                }
            }
            if now_ns >= wake_ns {
                if self.is_fed() {
                    self.take(&mut engine, Event::SentinelHeard)?;
                }
                if let Some(code) = self.take(&mut engine, Event::Tick)? {
                    self.publish_beat(&engine);
                    return Ok(code);
                }
            }
            if now_ns >= next_tick_ns {
                next_tick_ns = now_ns + TICK_NS;
                self.notifier.alive();
            }
            if now_ns >= next_beat_ns {
                next_beat_ns = now_ns + BEAT_NS;
                self.publish_beat(&engine);
                self.fills.announce();
                self.deadman.announce();
            }
            if now_ns >= next_warm_ns {
                next_warm_ns = now_ns + WARM_NS;
                self.warm();
                spawn_local(keep_time(Rc::clone(&self.venue), self.inbox.clone()));
            }
        }
    }

    /// One event through the state machine; an exit code ends the work.
    fn take(&mut self, engine: &mut Engine<AccountSigner<'_>>, event: Event) -> Result<Option<u8>, Fault> {
        match &event {
            Event::StopAsked => self.notifier.stopping(),
            // A fill is compared with the newest books.
            Event::TradeSeen(_) | Event::Answered(_, Answer::Trades(_), _) => {
                for book in self.books.take::<BookState>() {
                    engine.handle(Event::BookSeen(book), clock::now_ns());
                }
            }
            _ => {}
        }
        let actions = engine.handle(event, clock::now_ns());
        self.act(actions)
    }

    /// What the bus has brought, mandates first.
    fn news(&self) -> Vec<Event> {
        let allocations = self
            .allocations
            .take::<Allocation>()
            .into_iter()
            .map(Event::Allocated);
        let halts = self.halts.take::<HaltSwarm>().into_iter().map(Event::HaltAsked);
        let resumes = self
            .resumes
            .take::<ResumeSwarm>()
            .into_iter()
            .map(Event::ResumeAsked);
        allocations.chain(halts).chain(resumes).collect()
    }

    /// Whether a sentinel has sent a book or the pulse of a live feed.
    fn is_fed(&self) -> bool {
        let pulses = self.pulses.take::<FeedHealth>();
        self.books.has_news() | pulses.iter().any(|pulse| pulse.is_live)
    }

    fn act(&mut self, actions: Vec<Action>) -> Result<Option<u8>, Fault> {
        for action in actions {
            match action {
                Action::KeepCounters(words) => self.keep_counters(&words),
                Action::JournalIntent(intent) => self.journal(&intent),
                Action::Send(id, request) => self.send(id, request),
                Action::SwitchRoute(generation) => {
                    self.connections.switch(generation);
                    self.doubt.notify_one();
                    self.warm();
                }
                Action::RecordSwitches(switches_ms) => {
                    self.record_switches(&switches_ms);
                    // A move of the allowance is one away from this address, if another was declared.
                    say_left(self.routes.leave(), &self.routes);
                }
                Action::LeaveRoute => say_left(self.routes.move_on(), &self.routes),
                Action::Reply(connection, reply) => {
                    if let Some(port) = &self.port {
                        port.reply(connection, &reply);
                    }
                }
                Action::CloseQuoter(connection) => {
                    if let Some(port) = &self.port {
                        port.close(connection);
                    }
                }
                Action::PublishFill(fill) => self.publish_fill(&fill)?,
                Action::PublishInventory(held) => {
                    self.bus
                        .publish_latest(format!("inventory/{}", held.market), &held);
                }
                Action::PublishDeadman(fired) => self.publish_deadman(&fired)?,
                Action::BeReady => self.be_ready()?,
                Action::Explain(sentence) => self.notifier.status(&sentence),
                Action::Log(level, event, fields) => write_log(level, event, &fields),
                Action::Exit(code) => {
                    if let (Some(guard), 0) = (&self.guard, code) {
                        guard.leave();
                    }
                    return Ok(Some(code));
                }
            }
        }
        Ok(None)
    }

    fn warm(&self) {
        let connections = Rc::clone(&self.connections);
        spawn_local(async move { connections.keep_warm().await });
    }

    /// A move that cannot be written down would be forgotten by the next life: the swarm halts.
    fn record_switches(&self, switches_ms: &[u64]) {
        if let Err(fault) = switches::write(&self.settings.switches_file, switches_ms) {
            let cause = format!("the moves of the route cannot be written down: {fault}");
            let _ = self.inbox.send(Event::HaltAsked(halt_now(cause)));
        }
    }

    fn publish_fill(&self, fill: &Fill) -> Result<(), Fault> {
        self.fills.publish(fill)
    }

    fn publish_deadman(&self, fired: &DeadmanFired) -> Result<(), Fault> {
        self.deadman.publish(fired)
    }

    /// The limits as an earlier life has left them.
    fn open_counters(&mut self, settings: LimitSettings) -> Result<Limits, Fault> {
        let now_ns = clock::now_ns();
        let Some(path) = &self.settings.counters else {
            return Ok(Limits::new(settings, now_ns));
        };
        let (counters, limits) = Counters::open(path, settings, now_ns)?;
        self.counters = Some(counters);
        Ok(limits)
    }

    /// An order that is not counted for certain is not sent, and the swarm halts; a cancel is.
    fn keep_counters(&mut self, words: &[u64]) {
        let kept = self.counters.as_mut().map(|counters| counters.keep(words));
        self.has_counted = !matches!(kept, Some(Err(_)));
        if let Some(Err(fault)) = kept {
            let cause = format!("the limits' counters cannot be written: {fault}");
            let _ = self.inbox.send(Event::HaltAsked(halt_now(cause)));
        }
    }

    /// An order whose intent cannot be written is not sent, and the swarm halts.
    fn journal(&mut self, intent: &Intent) {
        let written = rmp_serde::to_vec_named(intent)
            .map_err(std::io::Error::other)
            .and_then(|record| self.intents.append(&record));
        if let Err(fault) = written {
            self.has_journal = false;
            let cause = format!("the journal of intents cannot be written: {fault}");
            let _ = self.inbox.send(Event::HaltAsked(halt_now(cause)));
        }
    }

    fn send(&mut self, id: RequestId, request: Request) {
        let is_unwritten = !std::mem::replace(&mut self.has_journal, true) || !self.has_counted;
        if let (Request::Place(orders), true) = (&request, is_unwritten) {
            let refused = PlaceResult::Refused("it could not be recorded before it was sent".to_owned());
            let answer = Answer::Placed(vec![refused; orders.len()]);
            let _ = self.inbox.send(Event::Answered(id, answer, None));
            return;
        }
        let (venue, inbox) = (Rc::clone(&self.venue), self.inbox.clone());
        spawn_local(async move {
            let outcome = venue.carry_out(request).await;
            // Without a reader the work loop has ended already.
            if let Some((generation, cause)) = outcome.fault {
                let _ = inbox.send(Event::RouteFault(generation, cause));
            }
            if let Some((bucket, report)) = outcome.bucket {
                let _ = inbox.send(Event::BucketSeen(Some(id), bucket, report));
            }
            let _ = inbox.send(Event::Answered(id, outcome.answer, outcome.sent_ns));
        });
    }

    fn be_ready(&mut self) -> Result<(), Fault> {
        if let Some(account) = self.account.take() {
            self.port = Some(Port::open(&self.settings.port, account, self.inbox.clone())?);
        }
        if let Some(feed) = self.feed.take() {
            spawn_local(feed.follow(self.inbox.clone()));
        }
        self.notifier.ready();
        Ok(())
    }

    fn publish_beat(&self, engine: &Engine<AccountSigner<'_>>) {
        let beat = engine.beat(&self.settings.name, std::process::id(), clock::now_ns());
        self.bus
            .publish_latest(format!("beat/{}", self.settings.name), &beat);
    }
}

fn say_left(is_left: bool, routes: &Routes) {
    if is_left {
        log::warning("engine.route.left", &[("to", routes.name())]);
    }
}

/// Have the limits count by the venue's word; while it says nothing that is known, the configured tier stands.
async fn ask_tier(venue: Rc<Venue>, inbox: mpsc::UnboundedSender<Event>) {
    match venue.tier().await {
        Ok(tier) => {
            let report = BucketReport {
                tier: Some(tier.as_str().to_owned()),
                ..BucketReport::default()
            };
            // Without a reader the work loop has ended already.
            let _ = inbox.send(Event::BucketSeen(None, BucketName::Orders, report));
        }
        Err(Refusal::Failed(reason)) => log::warning("engine.tier.unknown", &[("reason", &reason)]),
        Err(Refusal::Ineligible(reason)) => {
            let _ = inbox.send(Event::HaltAsked(halt_now(format!("eligibility: {reason}"))));
        }
    }
}

/// Put the venue's clock right where ours has come apart from it, for whoever signs and for the state machine.
async fn keep_time(venue: Rc<Venue>, inbox: mpsc::UnboundedSender<Event>) {
    if let Some(clock) = venue.keep_time().await {
        // Without a reader the work loop has ended already.
        let _ = inbox.send(Event::ClockCorrected(clock));
    }
}

/// Ask for ever whether the way to the venue is there.
async fn probe(connections: Rc<Connections>, interval: Duration) {
    loop {
        let began_ns = clock::now_ns();
        tokio::time::sleep(interval).await;
        let late_ns = clock::now_ns().saturating_sub(began_ns + ns(interval.as_secs_f64()));
        connections.note_lateness(late_ns);
        connections.probe();
    }
}

fn write_log(level: Level, event: &str, fields: &[(&str, String)]) {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (*key, value.as_str())).collect();
    match level {
        Level::Info => log::info(event, &fields),
        Level::Warning => log::warning(event, &fields),
        Level::Error => log::error(event, &fields),
    }
}
