//! Who must speak: the guard, the sentinels, and each quoter from its own loop.

use claw_core::engine::{Event, OrderState};
use proptest::prelude::*;

use crate::world::{Fate, MS, NEAR, QUOTERS, World};

/// Plans of both quoters, and how many orders they left open.
fn try_to_quote(world: &mut World) -> usize {
    for index in 0..2 {
        world.plan(index, 0, &[(true, 40, 10)]);
    }
    world.settle(500);
    world.live.len()
}

#[test]
fn a_quoter_that_does_not_touch_loses_its_orders_until_it_touches_again() {
    let mut world = World::quoting();
    world.speaking.quoters[0] = false;
    world.settle(450);
    assert_eq!(world.live.len(), 4, "it has half a second");
    world.settle(250);
    assert!(world.live_of(QUOTERS[0]).is_empty());
    assert_eq!(world.live_of(QUOTERS[1]).len(), 2, "nobody else's are touched");
    assert_eq!(
        (world.deadman[0].cause.as_str(), world.deadman[0].cancelled),
        ("touch late", 2)
    );
    assert_eq!(try_to_quote(&mut world), 3, "its plans are refused");
    assert!(
        world.refusals[0].starts_with("touch late"),
        "{:?}",
        world.refusals
    );
    world.speaking.quoters[0] = true;
    world.settle(100);
    assert_eq!(try_to_quote(&mut world), 5);
}

#[test]
fn without_a_sentinel_every_quoters_orders_go() {
    let mut world = World::quoting();
    world.speaking.sentinels = false;
    world.settle(700);
    assert!(world.live.is_empty());
    let causes: Vec<&str> = world.deadman.iter().map(|fired| fired.cause.as_str()).collect();
    assert_eq!(causes, ["every sentinel is silent"; 2]);
    assert_eq!(try_to_quote(&mut world), 0);
    assert!(world.refusals[0].starts_with("every sentinel is silent"));
    world.speaking.sentinels = true;
    world.settle(100);
    assert_eq!(try_to_quote(&mut world), 2);
}

#[test]
fn without_a_guard_for_three_seconds_it_only_cancels() {
    let mut world = World::quoting();
    world.speaking.guard = false;
    world.settle(2_900);
    assert_eq!(world.live.len(), 4);
    world.settle(300);
    assert!(world.live.is_empty());
    assert_eq!(world.deadman[0].cause, "no guard watches this engine");
    assert_eq!(
        world.engine().beat("engine", 1, world.now_ns).state,
        "cancel-only"
    );
    assert_eq!(try_to_quote(&mut world), 0);
    assert_eq!(world.refusals[0], "no guard watches this engine: it only cancels");
    world.speaking.guard = true;
    world.settle(100);
    assert_eq!(try_to_quote(&mut world), 2);
}

#[test]
fn nothing_is_placed_before_a_guard_was_heard() {
    let mut world = World::starting();
    world.speaking.guard = false;
    world.settle(1_000);
    world.feed_up();
    world.connect(QUOTERS[0]);
    world.connect(QUOTERS[1]);
    world.settle(500);
    assert_eq!(try_to_quote(&mut world), 0);
    assert!(world.refusals[0].starts_with("no guard"));
    assert!(world.deadman.is_empty(), "there was nothing to withdraw");
}

#[test]
fn a_machine_that_stood_still_is_not_the_silence_of_the_others() {
    let mut world = World::quoting();
    world.speaking.guard = false;
    world.speaking.sentinels = false;
    world.speaking.quoters = [false; 2];
    world.now_ns += 5_000 * MS;
    world.tell(Event::Tick);
    assert!(
        world.deadman.is_empty()
            && world.requests.iter().all(|(_, request)| {
                !matches!(
                    request,
                    claw_core::engine::Request::Cancel(_) | claw_core::engine::Request::CancelAll
                )
            })
    );
}

#[test]
fn an_expired_mandate_ends_in_a_withdrawal_of_its_own_market_alone() {
    let mut world = World::quoting();
    world.move_market(1);
    world.settle(500);
    assert_eq!(world.live_of(QUOTERS[0]).len(), 2);
    assert!(world.live_of(QUOTERS[1]).is_empty());
}

#[test]
fn a_former_lifes_orders_are_never_reported_to_the_next_one() {
    let mut world = World::running();
    world.plan(0, 0, &NEAR[..1]);
    let former = world.connections[QUOTERS[0]];
    // The place is still under way when the quoter comes back and counts its references from one again.
    world.connect(QUOTERS[0]);
    let present = world.connections[QUOTERS[0]];
    world.end_request(0, Fate::Answered);
    world.settle(2_000);
    assert!(world.live.is_empty(), "it is withdrawn all the same");
    assert!(
        world.told.iter().all(|(connection, ..)| *connection != present),
        "{:?}",
        world.told
    );
    world.plan(0, 0, &NEAR[..1]);
    world.settle(500);
    let (connection, _, state) = *world.told.last().unwrap();
    assert_eq!((connection, state), (present, OrderState::Live));
    assert_ne!(former, present);
}

#[test]
fn a_plan_of_a_former_life_places_nothing_once_its_cancels_are_answered() {
    let mut world = World::running();
    world.plan(0, 0, &NEAR);
    world.settle(500);
    // Crosses its own order, so its place waits for the cancel.
    world.plan(0, 2, &[(true, 53, 10)]);
    world.connect(QUOTERS[0]);
    world.settle(2_000);
    assert!(world.live.is_empty());
    assert_eq!(world.placed_bodies.len(), 2);
}

proptest! {
    #[test]
    fn a_quoter_that_falls_silent_loses_its_orders_and_nobody_elses(
        pauses_ms in prop::collection::vec(10..150_u64, 1..30),
    ) {
        let mut world = World::quoting();
        let others = world.live_of(QUOTERS[1]);
        world.speaking.quoters[0] = false;
        let silent_ms: u64 = pauses_ms.iter().map(|pause_ms| (*pause_ms).min(100)).sum();
        for pause_ms in pauses_ms {
            world.pass(pause_ms * MS);
            while !world.requests.is_empty() {
                world.end_request(0, Fate::Answered);
            }
        }
        prop_assert_eq!(world.live_of(QUOTERS[0]).is_empty(), silent_ms >= 500);
        prop_assert_eq!(world.live_of(QUOTERS[1]), others);
    }
}
