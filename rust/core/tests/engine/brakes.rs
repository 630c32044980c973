//! What the orchestrator's states do at the gate, and who gets the tokens when they are scarce.

use claw_core::engine::{BucketReport, BudgetState, Event, HaltSwarm, Request, ResumeSwarm, SwarmState};
use claw_core::limits::BucketName;

use crate::world::{Fate, MS, QUOTERS, World};

const PAIR: [(bool, u16, u64); 2] = [(true, 48, 5), (false, 52, 5)];

/// Both quoters quote their market.
fn quoting() -> World {
    let mut world = World::running();
    world.plan(0, 0, &PAIR);
    world.plan(1, 0, &PAIR);
    world.settle(1_000);
    assert_eq!(world.live.len(), 4);
    world
}

fn halted_table(world: &mut World, state: SwarmState) {
    world.state = state;
    world.allocate();
}

#[test]
fn a_table_that_says_halted_halts_an_engine_that_heard_nothing_else() {
    let mut world = quoting();
    halted_table(&mut world, SwarmState::Halted);
    world.settle(2_000);
    assert!(world.live.is_empty());
    halted_table(&mut world, SwarmState::Normal);
    world.plan(0, 0, &PAIR);
    assert_eq!(world.refusals.len(), 1, "only a resume lifts it");
    world.pass(MS);
    world.resume();
    world.plan(0, 0, &PAIR);
    world.settle(1_000);
    assert_eq!(world.live.len(), 2);
}

#[test]
fn a_resume_lifts_what_came_before_it_and_no_more() {
    let mut world = quoting();
    let early_ns = world.now_ns;
    world.pass(100 * MS);
    world.halt();
    let early = |sent_ns| ResumeSwarm {
        origin: "late on its way".to_owned(),
        sent_ns,
    };
    world.tell(Event::ResumeAsked(early(early_ns)));
    world.plan(0, 0, &PAIR);
    assert_eq!(world.refusals.pop().as_deref(), Some("halted: test"));
    world.settle(2_000);
    world.pass(100 * MS);
    world.resume();
    // The halt was repeated, and one copy of it comes late.
    let cause = "test".to_owned();
    world.tell(Event::HaltAsked(HaltSwarm {
        cause,
        sent_ns: early_ns,
    }));
    world.plan(0, 0, &PAIR);
    world.settle(1_000);
    assert_eq!(world.live.len(), 2);
}

#[test]
fn where_positions_may_only_be_made_smaller_everything_goes_and_only_exits_come_back() {
    let mut world = quoting();
    let bid = world.live.values().position(|order| order.token_id == "yes0");
    world.fill(bid.expect("a bid rests"), 5);
    world.settle(1_000);
    world.is_reduce_only = true;
    world.allocate();
    world.settle(2_000);
    assert!(
        world.live.is_empty(),
        "what was placed before may add to a position"
    );
    world.plan(0, 0, &[(true, 48, 5)]);
    world.plan(0, 0, &[(false, 52, 10)]);
    world.plan(1, 0, &[(false, 52, 5)]);
    assert_eq!(world.refusals.len(), 3);
    assert!(
        world
            .refusals
            .iter()
            .all(|refusal| refusal.starts_with("positions may only be made smaller")),
        "{:?}",
        world.refusals
    );
    world.plan(0, 0, &[(false, 52, 5)]);
    world.settle(1_000);
    assert_eq!(world.live.len(), 1);
    // The exit at a better price waits until the old one is gone: both together could turn the position round.
    // And its last trades have been seen.
    world.plan(0, 1, &[(false, 51, 5)]);
    assert_eq!(world.refusals.len(), 3, "it is not refused at once");
    world.settle(1_000);
    world.plan(0, 0, &[(false, 51, 5)]);
    world.settle(1_000);
    assert_eq!(world.live.len(), 1);
    world.is_reduce_only = false;
    world.allocate();
    world.plan(0, 0, &[(true, 48, 5)]);
    world.settle(1_000);
    assert_eq!(world.live.len(), 2);
}

fn budget(world: &World) -> BudgetState {
    world.engine().beat("engine", 1, world.now_ns).budget
}

/// Everything under way arrives and is answered at this instant.
fn answer_all(world: &mut World) {
    while !world.requests.is_empty() {
        world.end_request(0, Fate::Answered);
    }
    world.deliver_all();
}

/// Whose places are on their way, in order.
fn placing(world: &World) -> Vec<String> {
    let requests = world.requests.iter();
    let orders = requests.filter_map(|(_, request)| match request {
        Request::Place(orders) => Some(orders),
        _ => None,
    });
    orders
        .flatten()
        .map(|order| world.intents[&order.order_id].clone())
        .collect()
}

/// One quoter uses up the bucket of places, with orders that are cancelled again.
fn without_tokens() -> World {
    let mut world = World::running();
    while budget(&world).order_tokens >= 4 {
        world.plan(
            0,
            usize::MAX,
            &[(true, 40, 5), (false, 60, 5), (true, 39, 5), (false, 61, 5)],
        );
        answer_all(&mut world);
        assert!(world.refusals.is_empty(), "{:?}", world.refusals);
    }
    assert_eq!(budget(&world).order_tokens, 0);
    world
}

#[test]
fn the_dearest_of_those_that_wait_gets_the_first_token() {
    let mut world = without_tokens();
    world.value = 1.0;
    world.plan(0, 0, &[(true, 48, 5)]);
    world.value = 3.0;
    world.plan(1, 0, &[(true, 48, 5)]);
    assert!(world.requests.is_empty(), "there is no token yet");
    world.pass(26 * MS);
    assert_eq!(placing(&world), [QUOTERS[1]]);
    world.pass(25 * MS);
    assert_eq!(placing(&world), [QUOTERS[1], QUOTERS[0]]);
    assert!(world.refusals.is_empty());
}

#[test]
fn a_place_that_is_outbid_for_a_tenth_of_a_second_goes_back_and_makes_the_price() {
    let mut world = without_tokens();
    for turn in 0..8 {
        world.value = 3.0;
        world.plan(1, usize::MAX, &[(true, 48 - turn % 2, 5)]);
        world.value = 1.0;
        if turn == 0 {
            world.plan(0, 0, &[(true, 48, 5)]);
        }
        world.pass(26 * MS);
        answer_all(&mut world);
    }
    assert_eq!(world.refusals.len(), 1, "{:?}", world.refusals);
    assert!(world.refusals[0].starts_with("rate: "));
    world.pass(100 * MS);
    let price = world.token_prices.last().expect("the quoters are told");
    assert_eq!(price.shadow_price, 1.0);
    for _ in 0..11 {
        world.pass(100 * MS);
    }
    assert_eq!(
        world.token_prices.last().unwrap().shadow_price,
        0.0,
        "nobody goes without any more"
    );
}

#[test]
fn a_newer_plan_takes_the_place_of_one_that_waits() {
    let mut world = without_tokens();
    world.plan(0, 0, &[(true, 48, 5)]);
    world.plan(0, 0, &[(true, 47, 5)]);
    assert_eq!(world.refusals, ["rate: a newer plan took its place"]);
    world.pass(30 * MS);
    assert_eq!(world.requests.len(), 1);
}

#[test]
fn cancels_never_wait_for_the_places_of_their_plan() {
    let mut world = without_tokens();
    let resting = world.live_of(QUOTERS[0]).len();
    assert_eq!(resting, 4);
    world.plan(0, usize::MAX, &[(true, 41, 5)]);
    assert_eq!(world.requests.len(), 1, "the cancel is on its way");
    world.end_request(0, Fate::Answered);
    assert!(world.live.is_empty());
    world.pass(26 * MS);
    world.settle(100);
    assert_eq!(world.live.len(), 1);
}

#[test]
fn who_waits_when_the_swarm_halts_is_sent_back() {
    let mut world = without_tokens();
    world.plan(0, 0, &[(true, 48, 5)]);
    world.halt();
    assert_eq!(world.refusals, ["halted: test"]);
    world.settle(3_000);
    assert!(world.live.is_empty());
}

#[test]
fn a_plan_whose_places_find_no_tokens_still_cancels() {
    let refusals = [
        BucketReport {
            remaining: Some("5".to_owned()),
            ..BucketReport::default()
        },
        BucketReport {
            reset: Some("1700000060".to_owned()),
            is_refused: true,
            ..BucketReport::default()
        },
    ];
    for report in refusals {
        let mut world = World::quoting();
        world.tell(Event::BucketSeen(None, BucketName::Cancels, report.clone()));
        world.plan(0, 2, &[(true, 40, 5)]);
        world.settle(200);
        assert_eq!(world.live.len(), 2, "{report:?}: what was to go is gone");
        let refusal = world.refusals.last().expect("the places wait for better times");
        assert!(refusal.starts_with("rate: "), "{refusal}");
    }
}
