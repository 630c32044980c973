//! The guard against a venue in memory, on virtual time.

use claw_core::guard::{Guard, GuardAction, GuardEvent};
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const SILENCE_NS: u64 = 300 * MS;
const STEP_NS: u64 = 50 * MS;
const LANDS_WITHIN_NS: u64 = 1_000 * MS;
const ENGINE: u64 = 1;
const NEXT: u64 = 2;

/// The guard, a venue, and engines that may leave orders under way.
struct World {
    guard: Guard,
    now_ns: u64,
    open: u64,
    /// When orders that were sent before the kill will arrive.
    landing: Vec<u64>,
    /// Requests under way: when their answer comes, and whether it is a cancel.
    requests: Vec<(u64, bool)>,
    round_trip_ns: u64,
    /// How many requests in a row fail from now on.
    failures: usize,
    dies_after_ns: u64,
    dead_at_ns: Option<u64>,
    armed: Vec<u64>,
    echoes: usize,
    kills: Vec<u64>,
    reports: Vec<(&'static str, u64)>,
    exit: Option<u8>,
}

impl World {
    fn new() -> Self {
        Self {
            guard: Guard::new(SILENCE_NS),
            now_ns: 1_000_000 * MS,
            open: 0,
            landing: Vec::new(),
            requests: Vec::new(),
            round_trip_ns: 10 * MS,
            failures: 0,
            dies_after_ns: MS,
            dead_at_ns: None,
            armed: Vec::new(),
            echoes: 0,
            kills: Vec::new(),
            reports: Vec::new(),
            exit: None,
        }
    }

    fn watching() -> Self {
        let mut world = Self::new();
        world.tell(GuardEvent::Hello(ENGINE));
        assert_eq!(world.armed, [ENGINE]);
        world
    }

    fn tell(&mut self, event: GuardEvent) {
        for action in self.guard.handle(event, self.now_ns) {
            assert_eq!(self.exit, None, "nothing follows an exit");
            match action {
                GuardAction::Arm(engine) => self.armed.push(engine),
                GuardAction::Echo(_) => self.echoes += 1,
                GuardAction::Kill(engine) => {
                    self.kills.push(engine);
                    self.dead_at_ns = Some(self.now_ns + self.dies_after_ns);
                }
                GuardAction::CancelAll => {
                    assert!(!self.kills.is_empty(), "the engine is killed first");
                    self.requests.push((self.now_ns + self.round_trip_ns, true));
                }
                GuardAction::List => self.requests.push((self.now_ns + self.round_trip_ns, false)),
                GuardAction::Report { cause, cancelled, .. } => {
                    assert_eq!(self.open, 0, "nothing is open when it says so");
                    assert!(self.landing.is_empty(), "nothing is under way when it says so");
                    self.reports.push((cause, cancelled));
                }
                GuardAction::Warn(_) => {}
                GuardAction::Exit(code) => self.exit = Some(code),
            }
        }
    }

    fn pass(&mut self, steps: u64) {
        for _ in 0..steps {
            if self.exit.is_some() {
                return;
            }
            self.now_ns += STEP_NS;
            let now_ns = self.now_ns;
            if self.dead_at_ns.take_if(|at_ns| *at_ns <= now_ns).is_some() {
                self.tell(GuardEvent::Dead);
            }
            let under_way = self.landing.len();
            self.landing.retain(|at_ns| *at_ns > now_ns);
            self.open += (under_way - self.landing.len()) as u64;
            let requests = std::mem::take(&mut self.requests).into_iter();
            let (due, later): (Vec<_>, Vec<_>) = requests.partition(|(at_ns, _)| *at_ns <= now_ns);
            self.requests = later;
            for (_, is_cancel) in due {
                let is_failure = self.failures > 0;
                self.failures = self.failures.saturating_sub(1);
                let failed = || Err("no answer".to_owned());
                let event = match (is_cancel, is_failure) {
                    (true, true) => GuardEvent::Cancelled(failed()),
                    (true, false) => GuardEvent::Cancelled(Ok(std::mem::take(&mut self.open))),
                    (false, true) => GuardEvent::Listed(failed()),
                    (false, false) => GuardEvent::Listed(Ok(self.open)),
                };
                self.tell(event);
            }
            self.tell(GuardEvent::Look);
        }
    }
}

#[test]
fn an_engine_that_ticks_is_left_alone() {
    let mut world = World::watching();
    for _ in 0..100 {
        world.tell(GuardEvent::Ticked(ENGINE));
        world.pass(4);
    }
    assert_eq!((world.echoes, world.kills.len()), (100, 0));
    assert_eq!(world.guard.state(), "watching");
}

#[test]
fn a_silent_engine_is_killed_before_its_orders_are_cancelled() {
    let mut world = World::watching();
    world.open = 7;
    world.pass(5);
    assert!(world.kills.is_empty());
    world.pass(1);
    assert_eq!(world.kills, [ENGINE]);
    world.pass(1);
    assert_eq!(world.open, 0);
    assert!(world.reports.is_empty(), "an order under way could still land");
    world.pass(40);
    assert_eq!(world.reports, [("the engine is silent", 7)]);
    assert_eq!(world.guard.state(), "idle");
}

#[test]
fn an_engine_that_leaves_in_order_leaves_nothing_to_do() {
    let mut world = World::watching();
    world.tell(GuardEvent::Left(ENGINE));
    world.tell(GuardEvent::Closed(ENGINE));
    world.pass(20);
    assert!(world.kills.is_empty() && world.requests.is_empty());
    world.tell(GuardEvent::StopAsked);
    assert_eq!(world.exit, Some(0));
}

#[test]
fn asked_to_stop_it_stays_until_its_engine_is_gone_and_its_work_done() {
    let mut world = World::watching();
    world.tell(GuardEvent::StopAsked);
    assert_eq!(world.exit, None);
    world.open = 1;
    world.tell(GuardEvent::Closed(ENGINE));
    world.pass(40);
    assert_eq!((world.open, world.exit), (0, Some(0)));
}

#[test]
fn asked_to_stop_it_does_not_wait_for_ever_for_a_venue_that_never_answers() {
    let mut world = World::watching();
    world.tell(GuardEvent::Closed(ENGINE));
    world.failures = usize::MAX;
    world.pass(20 * 600);
    assert_eq!(world.exit, None, "unasked it goes on");
    world.tell(GuardEvent::StopAsked);
    world.pass(20 * 61);
    assert_eq!(world.exit, Some(1));
}

#[test]
fn the_next_engine_is_armed_once_the_last_one_s_orders_are_gone() {
    let mut world = World::watching();
    world.tell(GuardEvent::Closed(ENGINE));
    world.tell(GuardEvent::Hello(NEXT));
    world.tell(GuardEvent::Ticked(NEXT));
    assert_eq!((world.armed.len(), world.echoes), (1, 0));
    world.pass(40);
    assert_eq!(world.reports.len(), 1);
    assert_eq!(world.armed, [ENGINE, NEXT]);
}

#[test]
fn of_two_engines_the_first_is_killed() {
    let mut world = World::watching();
    world.tell(GuardEvent::Hello(NEXT));
    assert_eq!(world.kills, [ENGINE]);
    world.pass(40);
    assert_eq!(world.armed, [ENGINE, NEXT]);
}

#[test]
fn an_engine_that_cannot_die_yet_is_waited_for() {
    let mut world = World::watching();
    world.dies_after_ns = 5_000 * MS;
    world.tell(GuardEvent::Closed(ENGINE));
    world.pass(20 * 5);
    assert!(world.reports.is_empty());
    world.pass(20 * 2);
    assert_eq!(world.reports.len(), 1);
}

proptest! {
    #[test]
    fn whatever_was_under_way_is_cancelled_before_it_reports(
        open in 0..50_u64,
        landing in prop::collection::vec(0..=LANDS_WITHIN_NS, 0..5),
        failures in 0..20_usize,
        round_trip_ms in 1..400_u64,
        dies_after_ms in 0..300_u64,
    ) {
        let mut world = World::watching();
        let total = open + landing.len() as u64;
        world.open = open;
        world.failures = failures;
        world.round_trip_ns = round_trip_ms * MS;
        world.dies_after_ns = dies_after_ms * MS;
        world.tell(GuardEvent::Closed(ENGINE));
        // What the kernel still sends for the dead process arrives within its TCP_USER_TIMEOUT.
        let killed_ns = world.now_ns;
        world.landing = landing.into_iter().map(|lag_ns| killed_ns + lag_ns).collect();
        world.pass(20 * 60);
        prop_assert_eq!(&world.reports, &[("the engine is gone", total)]);
    }
}
