//! No sequence of answers, fills, time-outs and reconnects leads the engine astray.

use claw_core::engine::Cause;
use proptest::prelude::*;

use crate::world::{Fate, MS, QUOTERS, World};

#[derive(Debug, Clone)]
enum Step {
    Plan(usize, usize, Vec<(bool, u16, u64)>),
    End(usize, Fate),
    Land,
    Fill(usize, u64),
    VenueCancels(usize),
    LeaveOut(usize),
    Feed,
    FeedUp,
    FeedDown,
    Connect(usize),
    Disconnect(usize),
    Renew,
    Move(usize),
    Halt,
    Resume,
    Break,
    CdnPage,
    Region(Option<bool>),
    Refused,
    Mode(Option<Cause>),
    Guard(bool),
    Sentinels(bool),
    Touching(usize, bool),
    Pass(u64),
}

fn places() -> impl Strategy<Value = Vec<(bool, u16, u64)>> {
    prop::collection::vec((any::<bool>(), 1..99_u16, 1..40_u64), 0..4)
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Answered),
        1 => Just(Fate::ReplyLost),
        1 => Just(Fate::RequestLost),
        1 => Just(Fate::Late),
        2 => Just(Fate::Slow),
    ]
}

fn mode() -> impl Strategy<Value = Cause> {
    prop_oneof![
        Just(Cause::Restarting),
        Just(Cause::PostOnly(None)),
        Just(Cause::CancelOnly),
        Just(Cause::Disabled),
        Just(Cause::Throttled(None)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..2_usize, 0..4_usize, places()).prop_map(|(market, cancels, places)| Step::Plan(market, cancels, places)),
        16 => (0..3_usize, fate()).prop_map(|(index, fate)| Step::End(index, fate)),
        1 => Just(Step::Land),
        4 => (0..6_usize, 1..30_u64).prop_map(|(index, shares)| Step::Fill(index, shares)),
        1 => (0..6_usize).prop_map(Step::VenueCancels),
        1 => (0..6_usize).prop_map(Step::LeaveOut),
        6 => Just(Step::Feed),
        2 => Just(Step::FeedUp),
        1 => Just(Step::FeedDown),
        2 => (0..2_usize).prop_map(Step::Connect),
        1 => (0..2_usize).prop_map(Step::Disconnect),
        2 => Just(Step::Renew),
        1 => (0..2_usize).prop_map(Step::Move),
        1 => Just(Step::Halt),
        1 => Just(Step::Resume),
        2 => Just(Step::Break),
        1 => Just(Step::CdnPage),
        2 => prop::option::weighted(0.8, prop::bool::weighted(0.2)).prop_map(Step::Region),
        1 => Just(Step::Refused),
        2 => prop::option::weighted(0.5, mode()).prop_map(Step::Mode),
        1 => any::<bool>().prop_map(Step::Guard),
        1 => any::<bool>().prop_map(Step::Sentinels),
        1 => (0..2_usize, any::<bool>()).prop_map(|(index, is_touching)| Step::Touching(index, is_touching)),
        6 => (1..3_000_u64).prop_map(Step::Pass),
    ]
}

fn carry_out(world: &mut World, step: Step) {
    match step {
        Step::Plan(market, cancels, places) => world.plan(market, cancels, &places),
        Step::End(index, fate) => world.end_request(index, fate),
        Step::Land => world.land_late(None),
        Step::Fill(index, shares) => world.fill(index, shares),
        Step::VenueCancels(index) => world.cancel_at_venue(index),
        Step::LeaveOut(index) => world.leave_out(index),
        Step::Feed => world.deliver_feed(),
        Step::FeedUp => world.feed_up(),
        Step::FeedDown => world.feed_down(),
        Step::Connect(index) if !world.connections.contains_key(QUOTERS[index]) => {
            world.connect(QUOTERS[index])
        }
        Step::Connect(_) => {}
        Step::Disconnect(index) => world.disconnect(QUOTERS[index]),
        Step::Renew => world.allocate(),
        Step::Move(index) => world.move_market(index),
        Step::Halt => world.halt(),
        Step::Resume => world.resume(),
        Step::Break => world.break_route(),
        Step::CdnPage => world.meet_cdn_page(),
        Step::Region(region) => world.region = region,
        Step::Refused => world.refuse_region(),
        Step::Mode(mode) => world.mode = mode,
        Step::Guard(is_up) => world.speaking.guard = is_up,
        Step::Sentinels(are_up) => world.speaking.sentinels = are_up,
        Step::Touching(index, is_touching) => world.speaking.quoters[index] = is_touching,
        Step::Pass(ms) => world.pass(ms * MS),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_view_is_the_venues_after_reconciliation(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::running();
        for step in steps {
            carry_out(&mut world, step);
            world.check();
        }
        (world.mode, world.region) = (None, Some(false));
        world.feed_up();
        world.land_late(None);
        world.settle(25_000);
        world.check();
        world.check_equal();
    }

    #[test]
    fn an_end_leaves_nothing_open(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::running();
        for step in steps {
            carry_out(&mut world, step);
        }
        world.mode = None;
        world.tell(claw_core::engine::Event::StopAsked);
        world.settle(10_000);
        prop_assert_eq!(world.exit, Some(0));
        prop_assert!(world.live.is_empty());
    }

    #[test]
    fn a_dead_quoters_orders_go_and_nobody_elses(
        before in prop::collection::vec((0..2_usize, places()), 1..12),
        fates in prop::collection::vec(fate(), 0..12),
    ) {
        let mut world = World::running();
        for (market, places) in before {
            world.plan(market, 0, &places);
            world.settle(1_000);
        }
        world.plan(0, 1, &[(true, 40, 5)]);
        let others = world.live_of(QUOTERS[1]);
        world.disconnect(QUOTERS[0]);
        for fate in fates {
            world.end_request(0, fate);
            world.pass(60 * MS);
        }
        world.settle(5_000);
        prop_assert!(world.live_of(QUOTERS[0]).is_empty());
        prop_assert_eq!(world.live_of(QUOTERS[1]), others);
    }
}
