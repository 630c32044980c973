//! One example of each rule of the order path that has no file of its own.

use claw_core::engine::{Answer, Cause, Event, HaltSwarm, PlaceResult, Request, ResumeSwarm, VenueClock};
use claw_core::units::Side;

use crate::world::{Fate, MS, NEAR, QUOTERS, Resting, SHARE, World};

fn stranger() -> Resting {
    Resting {
        market: "0xa".to_owned(),
        token_id: "yes0".to_owned(),
        side: Side::Buy,
        price_e4: 4_800,
        remaining_e6: 5 * SHARE,
    }
}

#[test]
fn a_start_withdraws_what_an_earlier_life_left_and_looks_twice() {
    let mut world = World::starting();
    world.live.insert("0xold".to_owned(), stranger());
    assert_eq!(world.requests[1].1, Request::AskRegion, "beside the rest");
    world.end_request(1, Fate::Answered);
    let mut asked = Vec::new();
    while !world.is_ready {
        let kinds = world.requests.iter().map(|(_, request)| format!("{request:?}"));
        asked.extend(kinds);
        world.end_request(0, Fate::Answered);
        world.pass(50 * MS);
    }
    assert_eq!(
        asked,
        [
            "CancelAll",
            "ListOrders",
            "ListOrders",
            "ListOrders",
            "ListTrades(None)"
        ]
    );
    assert!(world.live.is_empty());
}

#[test]
fn a_place_of_unknown_outcome_is_cancelled_by_hash_and_looked_up_until_absent_twice() {
    let mut world = World::running();
    world.plan(0, 0, &NEAR[..1]);
    world.end_request(0, Fate::RequestLost);
    let order_id = world.quotes.keys().next().cloned().unwrap();
    assert!(world.engine().orders().get(&order_id).unwrap().is_unknown);
    let (mut looks, began_ns) = (0, world.now_ns);
    while world.engine().orders().get(&order_id).is_some() {
        let look = Request::LookUp(order_id.clone());
        looks += world
            .requests
            .iter()
            .filter(|(_, request)| *request == look)
            .count();
        world.end_request(0, Fate::Answered);
        world.pass(50 * MS);
    }
    assert_eq!(looks, 2);
    assert!(
        world.now_ns - began_ns >= 1_000 * MS,
        "later than its bytes can arrive"
    );
}

#[test]
fn an_unknown_order_that_its_cancel_found_is_settled() {
    let mut world = World::running();
    world.plan(0, 0, &NEAR[..1]);
    world.end_request(0, Fate::ReplyLost);
    assert_eq!(world.live.len(), 1);
    world.end_request(0, Fate::Answered);
    assert!(world.live.is_empty() && world.engine().orders().is_empty());
    world.settle(2_000);
    assert_eq!(world.cancel_requests.len(), 1, "and cancelled once");
}

#[test]
fn an_unknown_order_counts_as_exposure() {
    let mut world = World::running();
    world.plan(0, 0, &[(true, 50, 60)]);
    world.end_request(0, Fate::Late);
    world.plan(0, 0, &[(true, 50, 20)]);
    assert!(
        world.refusals[0].starts_with("position: 80000000 could be reached"),
        "{:?}",
        world.refusals
    );
}

#[test]
fn nothing_is_placed_and_nothing_stays_while_fills_cannot_be_seen() {
    let mut world = World::quoting();
    world.feed_down();
    world.settle(1_000);
    assert!(world.live.is_empty());
    world.plan(0, 0, &NEAR);
    assert_eq!(world.refusals, ["the user feed is down: fills could not be seen"]);
    world.feed_up();
    world.settle(1_000);
    world.plan(0, 0, &NEAR);
    world.settle(1_000);
    assert_eq!(world.live.len(), 2);
}

#[test]
fn a_withdrawal_does_not_end_while_a_place_is_under_way() {
    let mut world = World::running();
    world.plan(0, 0, &NEAR[..1]);
    let place = world.requests.pop_front().unwrap();
    world.disconnect(QUOTERS[0]);
    world.settle(2_000);
    assert!(world.deadman.is_empty());
    world.requests.push_front(place);
    world.settle(1_000);
    assert!(world.live.is_empty());
    assert_eq!(
        (world.deadman[0].cause.as_str(), world.deadman[0].cancelled),
        ("connection closed", 1)
    );
}

#[test]
fn strangers_are_cancelled_after_two_listings() {
    let mut world = World::quoting();
    world.live.insert("0xstranger".to_owned(), stranger());
    world.settle(11_000);
    assert_eq!(world.live.len(), 4);
    assert!(world.cancel_requests.contains(&vec!["0xstranger".to_owned()]));
}

#[test]
fn a_refusal_of_the_region_halts_until_a_person_resumes() {
    let mut world = World::quoting();
    world.plan(0, 0, &[(true, 40, 5)]);
    let (id, _) = world.requests.pop_front().unwrap();
    world.tell(Event::Answered(
        id,
        Answer::Ineligible("restricted in your region".to_owned()),
        None,
    ));
    world.settle(2_000);
    assert!(world.live.is_empty());
    world.plan(1, 0, &NEAR);
    assert!(
        world
            .refusals
            .last()
            .unwrap()
            .starts_with("halted: eligibility: restricted")
    );
    world.resume();
    world.plan(1, 0, &NEAR);
    world.settle(1_000);
    assert_eq!(world.live.len(), 2);
}

#[test]
fn at_no_instant_do_two_quoters_trade_one_market() {
    let mut world = World::quoting();
    world.move_market(0);
    world.plan(0, 0, &NEAR[..1]);
    assert_eq!(
        world.refusals,
        ["owner: orders of this market's former quoter are still being withdrawn"]
    );
    world.settle(1_000);
    world.plan(0, 0, &NEAR[..1]);
    world.settle(1_000);
    assert_eq!(world.live_of(QUOTERS[0]).len(), 0);
    assert_eq!(world.live_of(QUOTERS[1]).len(), 3);
}

#[test]
fn a_silent_orchestrator_ends_every_mandate() {
    let mut world = World::quoting();
    for _ in 0..30 {
        world.pass(500 * MS);
        while !world.requests.is_empty() {
            world.end_request(0, Fate::Answered);
        }
    }
    assert!(world.live.is_empty());
    assert!(
        world
            .deadman
            .iter()
            .all(|fired| fired.cause == "the mandate ran out")
    );
}

#[test]
fn a_refused_heartbeat_beats_again_with_the_id_it_was_told() {
    let mut world = World::running();
    while !world
        .requests
        .iter()
        .any(|(_, request)| matches!(request, Request::Heartbeat(_)))
    {
        world.pass(100 * MS);
    }
    let at = world
        .requests
        .iter()
        .position(|(_, request)| matches!(request, Request::Heartbeat(_)));
    let (id, _) = world.requests.remove(at.unwrap()).unwrap();
    let refused = Answer::Heartbeat {
        is_accepted: false,
        next_id: "expected".to_owned(),
    };
    world.tell(Event::Answered(id, refused, None));
    assert_eq!(
        world.requests.back().unwrap().1,
        Request::Heartbeat("expected".to_owned())
    );
}

#[test]
fn an_end_that_the_venue_does_not_confirm_is_no_success() {
    let mut world = World::quoting();
    world.tell(Event::StopAsked);
    for _ in 0..150 {
        world.end_request(0, Fate::RequestLost);
        if world.exit.is_none() {
            world.pass(100 * MS);
        }
    }
    assert_eq!(world.exit, Some(1));
}

#[test]
fn a_new_connection_of_a_quoter_ends_its_old_one() {
    let mut world = World::quoting();
    world.connect(QUOTERS[0]);
    world.settle(1_000);
    assert!(world.live_of(QUOTERS[0]).is_empty());
    assert_eq!(world.live_of(QUOTERS[1]).len(), 2);
    world.plan(0, 0, &NEAR);
    world.settle(1_000);
    assert_eq!(world.live_of(QUOTERS[0]).len(), 2);
}

#[test]
fn a_halt_under_way_wins_over_the_places_of_a_plan() {
    let mut world = World::quoting();
    world.plan(0, 2, &[(true, 52, 10)]);
    world.tell(Event::HaltAsked(HaltSwarm {
        cause: "test".to_owned(),
        sent_ns: world.now_ns,
    }));
    world.settle(2_000);
    assert!(world.live.is_empty());
    assert_eq!(world.refusals, ["halted: test"]);
}

#[test]
fn a_cancel_of_an_order_that_the_engine_does_not_have_is_answered() {
    let mut world = World::quoting();
    world.plan_of(QUOTERS[0], 0, vec!["0xgone".to_owned()], &[]);
    assert_eq!(world.quotes["0xgone"].1, claw_core::engine::OrderState::Cancelled);
    assert!(world.requests.is_empty());
}

#[test]
fn an_order_that_the_venue_calls_by_another_name_halts_and_is_withdrawn() {
    let mut world = World::running();
    world.plan(0, 0, &NEAR[..1]);
    let (id, request) = world.requests.pop_front().expect("the place");
    let Request::Place(orders) = request else {
        panic!("{request:?}");
    };
    world.live.insert("0xother".to_owned(), stranger());
    let results = vec![PlaceResult::Misnamed("0xother".to_owned())];
    world.tell(Event::Answered(id, Answer::Placed(results), None));
    let own = world
        .engine()
        .orders()
        .get(&orders[0].order_id)
        .expect("it is exposure");
    assert!(own.is_unknown);
    world.plan(0, 0, &NEAR);
    let refusal = world.refusals.last().unwrap();
    assert!(refusal.starts_with("halted: the venue calls order"), "{refusal}");
    world.settle(4_000);
    assert!(world.live.is_empty() && world.engine().orders().is_empty());
    let is_told = |cause: &str| cause.starts_with("halt: the venue calls order");
    assert!(world.deadman.iter().any(|fired| is_told(&fired.cause)));
}

#[test]
fn an_order_that_a_listing_leaves_out_is_known_until_the_venue_says_that_it_is_gone() {
    let mut world = World::quoting();
    world.leave_out(0);
    for _ in 0..25_000 / 50 {
        world.settle(50);
        world.check();
    }
    world.check_equal();
}

#[test]
fn a_withdrawal_that_the_venue_does_not_confirm_is_left_to_the_venues_own_switch() {
    let beats = |world: &World| {
        let sent = world.sent.iter();
        sent.filter(|(_, _, request)| matches!(request, Request::Heartbeat(_)))
            .count()
    };
    let mut world = World::quoting();
    world.mode = Some(Cause::Disabled);
    world.disconnect(QUOTERS[0]);
    world.settle(11_000);
    let before = beats(&world);
    assert!(before > 0);
    world.settle(16_000);
    assert_eq!(
        beats(&world),
        before,
        "no beat keeps alive what cannot be cancelled"
    );
    world.mode = None;
    world.settle(7_000);
    assert!(world.live_of(QUOTERS[0]).is_empty());
    assert!(beats(&world) > before);
}

#[test]
fn a_beat_that_is_lost_is_followed_by_another_before_the_venues_deadline() {
    let mut world = World::quoting();
    let beat = |world: &World| {
        let mut requests = world.requests.iter();
        requests.position(|(_, request)| matches!(request, Request::Heartbeat(_)))
    };
    while beat(&world).is_none() {
        world.pass(50 * MS);
    }
    let lost_ns = world.now_ns;
    world.end_request(beat(&world).expect("a beat"), Fate::ReplyLost);
    while beat(&world).is_none() {
        world.pass(50 * MS);
    }
    assert!(world.now_ns - lost_ns <= 2_000 * MS);
}

#[test]
fn a_resume_from_the_future_lifts_no_later_halt() {
    let mut world = World::quoting();
    let resume = ResumeSwarm {
        origin: "a wrong clock".to_owned(),
        sent_ns: world.now_ns + 3_600_000 * MS,
    };
    world.tell(Event::ResumeAsked(resume));
    world.settle(1_000);
    world.halt();
    world.settle(1_000);
    assert!(world.live.is_empty());
}

#[test]
fn a_mandate_lives_no_longer_than_from_when_it_came() {
    let mut world = World::quoting();
    world.behind_sender_ns = 3_600_000 * MS;
    world.allocate();
    for _ in 0..220 {
        world.pass(50 * MS);
        for _ in 0..world.requests.len() {
            world.end_request(0, Fate::Answered);
        }
    }
    assert!(world.live.is_empty());
}

#[test]
fn a_clock_that_was_ahead_leaves_no_trade_unlisted() {
    let mut world = World::quoting();
    let right = VenueClock {
        venue_ms: 1_700_000_000_000 - 3_600_000,
        at_ns: world.now_ns,
    };
    world.tell(Event::ClockCorrected(right));
    world.listed.clear();
    world.settle(11_000);
    let Some(Request::ListTrades(Some(after_s))) = world.listed.first() else {
        panic!("{:?}", world.listed);
    };
    assert!(*after_s <= right.venue_ms / 1_000);
}

#[test]
fn an_order_that_lands_after_it_was_denied_is_found_within_seconds() {
    for late_ms in [500, 4_000, 21_000] {
        let mut world = World::running();
        world.plan(0, 0, &NEAR[..1]);
        world.end_request(0, Fate::RequestLost);
        let order_id = world.quotes.keys().next().cloned().unwrap();
        while world.engine().orders().get(&order_id).is_some() {
            world.settle(50);
        }
        world.settle(late_ms);
        world.land(&order_id);
        world.settle(2_500);
        assert!(world.live.is_empty(), "{late_ms} ms");
    }
}
