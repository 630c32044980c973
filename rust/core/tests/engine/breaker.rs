//! The way to the venue: what each cause leads to, and what never follows.

use claw_core::engine::{Answer, Breaker, Cause, Event, HaltSwarm, Mode, PlaceResult, Request};
use proptest::prelude::*;

use crate::world::{Fate, MS, NEAR, World};

const S: u64 = 1_000 * MS;

fn asked(world: &World) -> Vec<String> {
    let requests = world.requests.iter();
    let name = |request: &Request| format!("{request:?}").split('(').next().map(str::to_owned);
    requests.filter_map(|(_, request)| name(request)).collect()
}

fn meet(world: &mut World, cause: Cause) {
    world.tell(Event::RouteFault(world.generation, cause));
}

fn answer_everything(world: &mut World) {
    while !world.requests.is_empty() {
        world.end_request(0, Fate::Answered);
    }
}

#[test]
fn a_broken_route_is_left_its_orders_go_and_quoting_goes_on_at_once() {
    let mut world = World::quoting();
    world.break_route();
    assert_eq!(world.generation, 1);
    assert_eq!(asked(&world), ["CancelAll", "ListTrades", "AskRegion"]);
    world.plan(0, 0, &NEAR);
    assert!(
        world.refusals.is_empty() && world.done == 2,
        "held, for it takes no time"
    );
    world.end_request(0, Fate::Answered);
    world.end_request(0, Fate::Answered);
    assert!(world.live.is_empty());
    assert_eq!((world.refusals.len(), world.done), (0, 3), "given back undone");
    world.plan(0, 0, &NEAR);
    answer_everything(&mut world);
    assert_eq!(world.live.len(), 2, "no time has passed");
    assert_eq!(world.deadman[0].cause, "route: reset");
    assert_eq!(
        (world.deadman[0].victim.as_str(), world.deadman[0].cancelled),
        ("all", 4)
    );
}

#[test]
fn a_route_that_stays_broken_refuses_plans_and_is_asked_ever_more_slowly() {
    let mut world = World::quoting();
    world.break_route();
    world.plan(0, 0, &NEAR);
    let mut asked = 0;
    for _ in 0..100 {
        world.pass(100 * MS);
        while let Some(at) = world
            .requests
            .iter()
            .position(|(_, it)| *it == Request::CancelAll)
        {
            asked += 1;
            world.end_request(at, Fate::RequestLost);
        }
    }
    assert_eq!(
        world.refusals,
        ["route: every order is being withdrawn over the standby"]
    );
    assert!((10..30).contains(&asked), "{asked} in 10 s");
    world.settle(2_000);
    assert!(world.live.is_empty());
}

#[test]
fn news_of_connections_that_were_given_up_changes_nothing() {
    let mut world = World::quoting();
    world.break_route();
    world.tell(Event::RouteFault(0, Cause::Transport("reset".to_owned())));
    assert_eq!(world.generation, 1);
}

#[test]
fn an_order_accepted_after_the_cancel_goes_too() {
    let mut world = World::quoting();
    world.feed_down();
    world.plan(0, 0, &[(true, 40, 5)]);
    assert!(world.refusals.is_empty());
    let mut world = World::quoting();
    world.plan(0, 0, &[(true, 40, 5)]);
    let place = world.requests.pop_front().unwrap();
    world.feed_down();
    answer_everything(&mut world);
    world.requests.push_back(place);
    world.settle(1_000);
    assert!(world.live.is_empty());
}

#[test]
fn the_cdns_page_uses_the_days_move_and_then_halts() {
    let mut world = World::quoting();
    world.meet_cdn_page();
    assert_eq!((world.generation, world.switches_ms.len()), (1, 1));
    assert_eq!(asked(&world), ["CancelAll", "ListTrades", "AskRegion"]);
    world.plan(0, 0, &NEAR);
    answer_everything(&mut world);
    world.plan(0, 0, &NEAR);
    world.settle(1_000);
    assert_eq!(world.live.len(), 2, "the region may trade");
    world.meet_cdn_page();
    world.settle(3_000);
    assert!(world.live.is_empty());
    world.plan(0, 0, &NEAR);
    let refusal = world.refusals.last().unwrap();
    assert!(
        refusal.starts_with("halted: the CDN refuses this address"),
        "{refusal}"
    );
    assert_eq!(world.switches_ms.len(), 1);
}

#[test]
fn a_dead_route_is_left_for_the_next_and_nothing_is_placed_there_before_the_region_was_asked() {
    let mut world = World::quoting();
    let generation = world.generation;
    let actions = world.ask(Event::RouteFault(generation, Cause::Unreachable));
    let steps: Vec<String> = actions.iter().map(|action| format!("{action:?}")).collect();
    let at = |name: &str| steps.iter().position(|step| step.starts_with(name)).unwrap();
    assert!(at("LeaveRoute") < at("SwitchRoute"));
    assert!(at("SwitchRoute") < at("Send(") && steps.iter().any(|step| step.ends_with("CancelAll)")));
    assert!(
        !steps.iter().any(|step| step.starts_with("RecordSwitches")),
        "it is none of the day's moves"
    );
    let mut world = World::quoting();
    world.region = None;
    world.is_cleared = false;
    meet(&mut world, Cause::Unreachable);
    answer_everything(&mut world);
    assert!(world.live.is_empty(), "cancels go at once");
    world.plan(0, 0, &NEAR);
    world.settle(1_000);
    assert!(world.live.is_empty(), "places do not");
    world.region = Some(false);
    world.settle(61_000);
    world.plan(0, 0, &NEAR);
    answer_everything(&mut world);
    assert_eq!(world.live.len(), 2);
}

#[test]
fn no_move_is_made_because_of_a_refused_region() {
    let mut world = World::quoting();
    world.plan(0, 0, &[(true, 40, 5)]);
    let (id, _) = world.requests.pop_front().unwrap();
    let refused = Answer::Ineligible("restricted in your region".to_owned());
    world.tell(Event::Answered(id, refused, None));
    assert_eq!(world.generation, 0);
    world.meet_cdn_page();
    assert!(
        world.switches_ms.is_empty(),
        "a halt is no reason to use the allowance"
    );
    world.settle(3_000);
    assert!(world.live.is_empty(), "cancels still leave");
    world.plan(0, 0, &NEAR);
    assert!(
        world
            .refusals
            .last()
            .unwrap()
            .starts_with("halted: eligibility: restricted")
    );
}

#[test]
fn a_restart_is_waited_for_without_a_hot_loop_and_post_only_mode_is_quoted_in() {
    let mut world = World::quoting();
    world.mode = Some(Cause::Restarting);
    let mut places = 0;
    for _ in 0..600 {
        world.plan(0, 0, &[(true, 40, 5)]);
        places += world
            .requests
            .iter()
            .filter(|(_, request)| matches!(request, Request::Place(_)))
            .count();
        answer_everything(&mut world);
        world.allocate();
        world.pass(100 * MS);
    }
    assert!(
        (4..9).contains(&places),
        "{places} in 60 s: 1 to 2 s, doubling to 30 s"
    );
    assert_eq!(world.engine().beat("engine", 1, world.now_ns).route, "restarting");
    world.mode = Some(Cause::PostOnly(None));
    world.settle(31_000);
    world.plan(0, 0, &[(true, 40, 5)]);
    answer_everything(&mut world);
    assert_eq!(world.engine().beat("engine", 1, world.now_ns).route, "post-only");
    world.plan(0, 0, &[(true, 41, 5)]);
    answer_everything(&mut world);
    assert_eq!(world.live.len(), 6);
    world.settle(121_000);
    assert_eq!(world.engine().beat("engine", 1, world.now_ns).route, "open");
}

#[test]
fn in_cancel_only_mode_cancels_leave_and_places_do_not() {
    let mut world = World::quoting();
    world.mode = Some(Cause::CancelOnly);
    world.plan(0, 0, &[(true, 40, 5)]);
    answer_everything(&mut world);
    world.plan(0, 2, &[(true, 40, 5)]);
    answer_everything(&mut world);
    assert_eq!(world.live.len(), 2);
    assert_eq!(world.refusals.last().unwrap(), "venue: cancel-only");
    world.mode = None;
    world.settle(3_000);
    world.plan(0, 0, &NEAR);
    answer_everything(&mut world);
    assert_eq!(world.live.len(), 4);
}

#[test]
fn a_throttled_account_waits_as_long_as_it_is_told() {
    let mut world = World::quoting();
    world.plan(0, 0, &[(true, 40, 5)]);
    let (id, _) = world.requests.pop_front().unwrap();
    meet(&mut world, Cause::Throttled(Some(7 * S)));
    let refused = PlaceResult::Refused("429".to_owned());
    world.tell(Event::Answered(id, Answer::Placed(vec![refused]), None));
    for (passed_ms, is_placed) in [(6_900, false), (200, true)] {
        world.settle(passed_ms);
        world.plan(0, 0, &[(true, 40, 5)]);
        answer_everything(&mut world);
        assert_eq!(world.live.len() == 5, is_placed);
    }
}

#[test]
fn a_slow_venue_gets_one_place_request_at_a_time() {
    let mut world = World::quoting();
    let before = world.live.len();
    meet(&mut world, Cause::Slow);
    answer_everything(&mut world);
    assert!(
        before > 0 && world.live.is_empty(),
        "the first may be a broken connection"
    );
    let moves = world.generation;
    meet(&mut world, Cause::Slow);
    assert_eq!(world.generation, moves, "the second is no news");
    world.plan(0, 0, &[(true, 40, 5)]);
    world.plan(1, 0, &[(true, 40, 5)]);
    assert_eq!(world.requests.len(), 1);
    assert_eq!(world.refusals, ["venue: throttled"]);
    world.settle(6_000);
    world.plan(1, 0, &[(true, 40, 5)]);
    world.plan(0, 0, &[(true, 40, 5)]);
    assert_eq!(world.requests.len(), 2);
}

#[test]
fn after_a_break_two_empty_listings_are_a_second_apart() {
    let mut world = World::quoting();
    world.break_route();
    world.tell(Event::HaltAsked(HaltSwarm {
        cause: "test".to_owned(),
        sent_ns: world.now_ns,
    }));
    let began_ns = world.now_ns;
    while world.deadman.is_empty() {
        answer_everything(&mut world);
        world.pass(50 * MS);
    }
    assert!(world.now_ns - began_ns >= S);
    let causes: Vec<_> = world.deadman.iter().map(|fired| fired.cause.as_str()).collect();
    assert_eq!(causes, ["route: reset", "halt: test"]);
}

#[test]
fn a_day_after_a_move_there_is_one_again() {
    let day_ms = 86_400_000;
    let mut breaker = Breaker::new(vec![1_000]);
    assert_eq!(breaker.switch(1, 2_000), None);
    assert_eq!(breaker.switch(2, 2_000), Some(vec![1_000, 2_000]));
    assert_eq!(breaker.switch(2, day_ms), None);
    assert_eq!(
        breaker.switch(2, day_ms + 1_000),
        Some(vec![2_000, day_ms + 1_000])
    );
    assert_eq!(Breaker::default().switch(0, 1), None);
}

proptest! {
    #[test]
    fn waits_double_from_a_second_to_half_a_minute(spread in 0.0..1.0_f64) {
        let (mut breaker, mut now_ns, mut waits_s) = (Breaker::default(), S, Vec::new());
        for _ in 0..8 {
            breaker.meet(&Cause::Restarting, spread, now_ns);
            let began_ns = now_ns;
            while breaker.refusal(0, now_ns).is_some() {
                now_ns += 10 * MS;
            }
            breaker.place_sent(now_ns);
            prop_assert!(breaker.refusal(1, now_ns).is_some(), "one tries");
            waits_s.push((now_ns - began_ns) as f64 / S as f64);
        }
        prop_assert!((1.0..=2.01).contains(&waits_s[0]));
        prop_assert!(waits_s.windows(2).all(|pair| pair[1] >= pair[0]));
        prop_assert_eq!(waits_s[7], 30.0);
        breaker.place_answered(true, now_ns);
        prop_assert_eq!(breaker.mode(now_ns), Mode::PostOnly);
    }
}
