//! Whether this region may trade: nothing is placed without a clear yes, and a clear no halts.

use claw_core::engine::{Answer, Event, PlaceResult, Request, RequestId};

use crate::world::{Fate, MS, NEAR, World};

fn questions(world: &World) -> Vec<RequestId> {
    let asked = world
        .requests
        .iter()
        .filter(|(_, request)| *request == Request::AskRegion);
    asked.map(|(id, _)| *id).collect()
}

/// Take the one question out, so that nothing else answers it.
fn take_question(world: &mut World) -> RequestId {
    let [id] = questions(world)[..] else {
        panic!("one question at a time: {:?}", questions(world));
    };
    world.requests.retain(|(asked, _)| *asked != id);
    id
}

fn answer_everything(world: &mut World) {
    while !world.requests.is_empty() {
        world.end_request(0, Fate::Answered);
    }
}

#[test]
fn it_is_asked_at_the_start_and_every_minute() {
    let mut world = World::starting();
    assert_eq!(questions(&world).len(), 1);
    world.settle(2_000);
    let mut asked = 0;
    for _ in 0..6_000 {
        asked += questions(&world).len();
        answer_everything(&mut world);
        world.pass(50 * MS);
    }
    assert!((4..=5).contains(&asked), "{asked} in 300 s");
}

#[test]
fn without_a_clear_yes_at_the_start_nothing_is_placed_and_cancels_leave() {
    let mut world = World::starting();
    world.region = None;
    world.settle(2_000);
    assert!(world.is_ready);
    world.feed_up();
    for quoter in crate::world::QUOTERS {
        world.connect(quoter);
    }
    world.allocate();
    world.settle(1_000);
    world.plan(0, 0, &NEAR);
    world.settle(1_000);
    assert!(world.live.is_empty());
    assert_eq!(
        world.refusals,
        ["eligibility: it cannot be asked: a page"],
        "no halt: nobody has said no"
    );
    world.region = Some(false);
    world.settle(10_000);
    world.plan(0, 0, &NEAR);
    world.settle(1_000);
    assert_eq!(world.live.len(), 2, "the first yes is enough");
    world.region = None;
    world.settle(61_000);
    world.plan(0, 1, &[(true, 40, 5)]);
    world.settle(1_000);
    assert_eq!(world.live.len(), 1, "the cancel of a plan that is refused leaves");
}

#[test]
fn a_region_that_becomes_blocked_halts_within_a_minute_and_again_after_a_resume() {
    let mut world = World::running();
    world.plan(0, 0, &NEAR);
    world.settle(1_000);
    assert_eq!(world.live.len(), 2);
    world.region = Some(true);
    world.settle(62_000);
    assert!(world.live.is_empty());
    assert_eq!(
        world.deadman[0].cause,
        "halt: eligibility: this region is blocked"
    );
    world.resume();
    world.plan(0, 0, &NEAR);
    world.settle(1_000);
    assert!(world.live.is_empty());
    world.plan(0, 0, &NEAR);
    let refusal = world.refusals.last().unwrap();
    assert_eq!(refusal, "halted: eligibility: this region is blocked");
    world.region = Some(false);
    world.resume();
    world.settle(1_000);
    world.plan(0, 0, &NEAR);
    world.settle(1_000);
    assert_eq!(world.live.len(), 2);
}

#[test]
fn after_a_page_of_the_cdn_nothing_is_placed_until_the_region_is_known_to_be_open() {
    let answers = [
        (
            Answer::Region(true),
            "halted: eligibility: this region is blocked",
        ),
        (
            Answer::Failed("a page".to_owned()),
            "eligibility: it cannot be asked: a page",
        ),
    ];
    for (answer, refusal) in answers {
        let mut world = World::running();
        world.plan(0, 0, &NEAR);
        world.settle(1_000);
        world.region = None;
        world.meet_cdn_page();
        let question = take_question(&mut world);
        answer_everything(&mut world);
        world.plan(0, 0, &NEAR);
        assert!(world.requests.is_empty() && world.refusals.is_empty(), "held");
        world.tell(Event::Answered(question, answer, None));
        world.settle(500);
        world.plan(0, 0, &NEAR);
        assert_eq!(world.refusals.last().unwrap(), refusal);
        assert!(world.live.is_empty());
    }
}

#[test]
fn a_yes_from_before_a_page_of_the_cdn_does_not_count() {
    let mut world = World::running();
    world.break_route();
    let older = take_question(&mut world);
    answer_everything(&mut world);
    world.meet_cdn_page();
    answer_everything(&mut world);
    world.tell(Event::Answered(older, Answer::Region(false), None));
    world.plan(0, 0, &NEAR);
    assert_eq!(questions(&world).len(), 1, "it is asked again");
    assert_eq!(world.requests.len(), 1, "and nothing is placed before the answer");
    answer_everything(&mut world);
    world.plan(0, 0, &NEAR);
    world.settle(1_000);
    assert_eq!(world.live.len(), 2);
}

#[test]
fn a_broken_route_asks_and_does_not_wait() {
    let mut world = World::running();
    world.break_route();
    let question = take_question(&mut world);
    answer_everything(&mut world);
    world.plan(0, 0, &NEAR);
    answer_everything(&mut world);
    assert_eq!(world.live.len(), 2);
    world.tell(Event::Answered(question, Answer::Region(true), None));
    world.settle(3_000);
    assert!(world.live.is_empty(), "another network may be another region");
}

#[test]
fn one_order_that_is_refused_for_the_account_halts_whatever_became_of_the_others() {
    let mut world = World::running();
    world.plan(0, 0, &NEAR);
    let (id, request) = world.requests.pop_front().expect("the place");
    let Request::Place(orders) = request else {
        panic!("{request:?}");
    };
    world.land(&orders[1].order_id);
    let results = vec![
        PlaceResult::Ineligible("'0xa' address in closed only mode".to_owned()),
        PlaceResult::Accepted,
    ];
    world.tell(Event::Answered(id, Answer::Placed(results), None));
    world.settle(1_000);
    assert!(world.live.is_empty());
    world.plan(0, 0, &NEAR);
    let refusal = world.refusals.last().unwrap();
    assert!(refusal.starts_with("halted: eligibility: "), "{refusal}");
}
