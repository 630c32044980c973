//! A silent request beside answered probes: a broken connection is left every time, a slow venue ever more rarely.

use claw_core::engine::{Cause, Event, Request};

use crate::world::{Fate, MS, World};

const PATIENCE: u64 = 300 * MS;

/// An order that has no answer within the patience; whether the route was left because of it.
fn is_left_for_silence(world: &mut World) -> bool {
    let before = world.generation;
    world.plan(0, 0, &[(true, 40, 5)]);
    let is_place = |(_, request): &(u64, Request)| matches!(request, Request::Place(_));
    assert!(
        world.requests.iter().any(is_place),
        "it is under way: {:?}",
        world.refusals
    );
    world.pass(PATIENCE);
    world.tell(Event::RouteFault(world.generation, Cause::Slow));
    world.generation > before
}

/// Everything is answered again, and nothing stays open.
fn calm_down(world: &mut World, ms: u64) {
    world.settle(1_000);
    world.plan(0, usize::MAX, &[]);
    world.settle(ms - 1_000);
    assert!(world.live.is_empty());
}

fn moves(fate: Fate, spells: u64, apart_s: u64) -> usize {
    let mut world = World::running();
    world.broken_fate = Some(fate);
    let spell = |_: &u64| {
        let is_left = is_left_for_silence(&mut world);
        calm_down(&mut world, apart_s * 1_000);
        is_left
    };
    (0..spells).filter(spell).count()
}

#[test]
fn a_connection_that_breaks_under_an_order_is_left_every_time() {
    assert_eq!(moves(Fate::RequestLost, 20, 4), 20);
}

#[test]
fn a_venue_that_is_often_slow_is_left_ever_more_rarely() {
    for fate in [Fate::Late, Fate::ReplyLost] {
        let often = moves(fate, 40, 30);
        assert!((2..=5).contains(&often), "{often} in 20 min");
        assert_eq!(moves(fate, 3, 900), 3, "every 15 min is no habit");
    }
}

#[test]
fn what_an_order_under_way_turns_out_to_be_does_not_hold_up_the_move() {
    for fate in [Fate::RequestLost, Fate::ReplyLost, Fate::Late] {
        let mut world = World::running();
        world.broken_fate = Some(fate);
        world.plan(1, 0, &[(true, 48, 10), (false, 52, 10)]);
        world.settle(500);
        assert_eq!(world.live.len(), 2);
        assert!(is_left_for_silence(&mut world));
        let asked_ns = world.now_ns;
        while world.deadman.is_empty() {
            world.end_request(0, Fate::Answered);
        }
        assert_eq!((world.now_ns, world.deadman[0].cancelled >= 2), (asked_ns, true));
    }
}
