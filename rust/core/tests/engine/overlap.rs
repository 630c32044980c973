//! Which places of a plan wait for its cancels, and what a cancel says of a place that it overtook.

use claw_core::engine::Request;
use claw_core::units::Side;

use crate::world::{Fate, QUOTERS, World};

fn kinds(world: &World) -> Vec<&'static str> {
    let kind = |(_, request): &(u64, Request)| match request {
        Request::Cancel(_) => "cancel",
        Request::Place(_) => "place",
        _ => "other",
    };
    world.requests.iter().map(kind).collect()
}

#[test]
fn cancels_and_places_of_a_plan_are_sent_together() {
    let mut world = World::quoting();
    world.plan(0, 2, &[(true, 51, 10), (false, 53, 10)]);
    assert_eq!(kinds(&world), ["cancel", "place"]);
    world.end_request(1, Fate::Answered);
    assert_eq!(world.live.len(), 6);
    world.end_request(0, Fate::Answered);
    assert_eq!(world.live.len(), 4);
    assert!(world.refusals.is_empty());
}

#[test]
fn a_place_that_would_cross_an_own_order_waits_for_its_cancel() {
    let mut world = World::quoting();
    world.plan(0, 2, &[(true, 52, 10), (false, 54, 10)]);
    assert_eq!(kinds(&world), ["cancel"]);
    world.end_request(0, Fate::Answered);
    assert_eq!(kinds(&world), ["place"]);
}

#[test]
fn a_place_that_can_use_a_cancelled_orders_tokens_waits_for_them() {
    let mut world = World::quoting();
    let bid = world
        .live
        .iter()
        .position(|(_, order)| order.market == "0xa" && order.price_e4 == 4_800);
    world.fill(bid.unwrap(), 10);
    world.settle(1_000);
    world.plan(0, 1, &[(false, 52, 10)]);
    world.settle(1_000);
    assert_eq!(
        world
            .live
            .values()
            .filter(|order| order.side == Side::Sell)
            .count(),
        1,
        "it sells what it holds"
    );
    world.plan(0, 1, &[(false, 53, 10)]);
    assert_eq!(kinds(&world), ["cancel"]);
    world.settle(1_000);
    assert_eq!(
        world
            .live
            .values()
            .filter(|order| order.side == Side::Sell)
            .count(),
        1
    );
}

#[test]
fn a_cancel_that_overtook_a_place_says_nothing_of_its_order() {
    let mut world = World::quoting();
    world.plan(0, 0, &[(true, 50, 10)]);
    world.disconnect(QUOTERS[0]);
    assert_eq!(kinds(&world), ["place", "cancel"]);
    // The venue has not heard of the order yet, and its answer comes after the order's own.
    world.end_request(1, Fate::Slow);
    world.end_request(0, Fate::Answered);
    world.end_request(0, Fate::Answered);
    assert_eq!(world.live_of(QUOTERS[0]).len(), 1);
    world.check();
    world.settle(1_000);
    assert!(world.live_of(QUOTERS[0]).is_empty(), "it is withdrawn after all");
    world.check_equal();
}
