//! One example of each rule of the order path.

use claw_core::engine::{
    Allocation, Answer, Event, Evidence, Exposure, Fill, Gate, HaltSwarm, Inventories, Inventory, MakerPart,
    Mandate, Market, Outcome, Place, Plan, Request, Trade, Version, choose_token, yes_frame,
};
use claw_core::units::Side;
use proptest::prelude::*;

use crate::world::{Fate, MS, QUOTERS, Resting, SHARE, World, market, signed};

const NEAR: [(bool, u16, u64); 2] = [(true, 48, 10), (false, 52, 10)];

fn quoting() -> World {
    let mut world = World::running();
    for index in 0..2 {
        world.plan(index, 0, &NEAR);
    }
    world.settle(1_000);
    assert_eq!(world.live.len(), 4);
    world
}

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
    let mut world = quoting();
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
    let mut world = quoting();
    world.live.insert("0xstranger".to_owned(), stranger());
    world.settle(11_000);
    assert_eq!(world.live.len(), 4);
    assert!(world.cancel_requests.contains(&vec!["0xstranger".to_owned()]));
}

#[test]
fn a_refusal_of_the_region_halts_until_a_person_resumes() {
    let mut world = quoting();
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

/// A trade of 5 shares of the first live order of market 0.
fn trade_of(world: &World, evidence: Evidence) -> Trade {
    let (order_id, order) = world.live.iter().next().expect("an order");
    Trade {
        id: "t".to_owned(),
        market: order.market.clone(),
        bucket_index: 0,
        evidence,
        matched_ms: None,
        parts: vec![MakerPart {
            order_id: order_id.clone(),
            token_id: order.token_id.clone(),
            side: order.side,
            price_e4: order.price_e4,
            size_e6: 5 * SHARE,
        }],
    }
}

fn evidence_of(world: &World) -> Vec<(Evidence, i64)> {
    let told = |fill: &Fill| (fill.evidence, fill.yes_e6 - fill.no_e6);
    world.fills.iter().map(told).collect()
}

#[test]
fn a_settlement_that_fails_is_taken_out_and_told_like_a_fill() {
    use Evidence::{Confirmed, Failed, Matched, Mined, Retrying};
    let mut world = quoting();
    let matched = trade_of(&world, Matched);
    for evidence in [Matched, Retrying, Matched, Failed, Mined, Confirmed, Failed] {
        let trade = Trade {
            evidence,
            ..matched.clone()
        };
        world.tell(Event::TradeSeen(trade));
    }
    let is_yes = matched.parts[0].token_id.starts_with("yes");
    let held = if is_yes { 5 } else { -5 } * signed(SHARE);
    assert_eq!(
        evidence_of(&world),
        [(Matched, held), (Retrying, held), (Failed, 0)]
    );
    assert_eq!(world.inventories.last().unwrap().net_e6(), 0, "the quoter knows");
    assert!(world.deadman.is_empty(), "nobody is halted by it");
}

#[test]
fn a_failure_that_comes_before_its_match_is_never_booked() {
    let mut world = quoting();
    for evidence in [Evidence::Failed, Evidence::Matched] {
        world.tell(Event::TradeSeen(trade_of(&world, evidence)));
    }
    assert_eq!(evidence_of(&world), [(Evidence::Failed, 0)]);
}

#[test]
fn a_fill_that_no_listing_shows_never_happened() {
    let mut world = quoting();
    world.tell(Event::TradeSeen(trade_of(&world, Evidence::Matched)));
    world.settle(60_000);
    assert_eq!(evidence_of(&world).len(), 1, "it may still come");
    world.settle(30_000);
    assert_eq!(evidence_of(&world)[1..], [(Evidence::Failed, 0)]);
}

#[test]
fn trades_are_listed_from_where_the_last_listing_ended_or_the_oldest_open_settlement() {
    let mut world = quoting();
    world.settle(200_000);
    let Some(Request::ListTrades(after_s)) = world.listed.clone().pop() else {
        panic!("{:?}", world.listed);
    };
    let recent = after_s.unwrap();
    assert!(world.listed.contains(&Request::ListTrades(None)));
    world.tell(Event::TradeSeen(trade_of(&world, Evidence::Mined)));
    world.settle(11_000);
    let Some(Request::ListTrades(Some(after_s))) = world.listed.clone().pop() else {
        panic!("{:?}", world.listed);
    };
    assert!(after_s > recent && after_s <= recent + 30, "{after_s} {recent}");
}

#[test]
fn at_no_instant_do_two_quoters_trade_one_market() {
    let mut world = quoting();
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
    let mut world = quoting();
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
    let mut world = quoting();
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
    let mut world = quoting();
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
    let mut world = quoting();
    world.plan(0, 2, &[(true, 52, 10)]);
    world.tell(Event::HaltAsked(HaltSwarm {
        cause: "test".to_owned(),
        sent_ns: world.now_ns,
    }));
    world.settle(2_000);
    assert!(world.live.is_empty());
    assert_eq!(world.refusals, ["halted: test"]);
}

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
    let mut world = quoting();
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
    let mut world = quoting();
    world.plan(0, 2, &[(true, 52, 10), (false, 54, 10)]);
    assert_eq!(kinds(&world), ["cancel"]);
    world.end_request(0, Fate::Answered);
    assert_eq!(kinds(&world), ["place"]);
}

#[test]
fn a_place_that_can_use_a_cancelled_orders_tokens_waits_for_them() {
    let mut world = quoting();
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

// --- the gate ---------------------------------------------------------------------------------------

fn mandate() -> Mandate {
    Mandate {
        market: market(0),
        quoter: "q".to_owned(),
        epoch: 3,
        capital_e6: 60 * SHARE,
        max_position_e6: 100 * SHARE,
        order_size_e6: 20 * SHARE,
        is_reduce_only: false,
        weight: 1.0,
    }
}

fn allocation(term: u64, sent_ns: u64, mandates: Vec<Mandate>) -> Allocation {
    Allocation {
        term,
        sent_ns,
        life_ns: 100,
        mandates,
        ..Allocation::default()
    }
}

fn plan(places: &[(Side, u16, u64)]) -> Plan {
    let places = places.iter().map(|(side, price_e4, size_e6)| Place {
        reference: 1,
        side: *side,
        price_e4: *price_e4,
        size_e6: *size_e6,
    });
    Plan {
        market: "0xa".to_owned(),
        term: 1,
        epoch: 3,
        cancels: Vec::new(),
        places: places.collect(),
        value: 0.0,
        book_sequence: 1,
        book_received_ns: None,
        decided_ns: 0,
        tick_e4: None,
    }
}

fn refusal(plan: &Plan, quoter: &str, net_shares: i64) -> Option<String> {
    let mut gate = Gate::default();
    gate.install(allocation(1, 1_000, vec![mandate()]));
    let exposure = Exposure {
        open: Vec::new(),
        departed: Vec::new(),
        held: held(net_shares, 0),
        paid_e6: u64::try_from(net_shares).unwrap_or(0) * SHARE / 2,
    };
    gate.refusal(plan, quoter, &exposure, 1_050)
}

fn held(yes_shares: i64, no_shares: i64) -> Inventory {
    Inventory {
        market: "0xa".to_owned(),
        yes_e6: yes_shares * signed(SHARE),
        no_e6: no_shares * signed(SHARE),
        v: Version,
    }
}

/// A confirmed fill of one of our orders.
fn own_fill(
    trade_id: &str,
    market: &Market,
    (token, side, price_e4): (&str, Side, u16),
    shares: u64,
) -> Fill {
    let (side, price_e4) = yes_frame(market, token, side, price_e4);
    Fill {
        trade_id: trade_id.to_owned(),
        order_id: "0x1".to_owned(),
        bucket_index: 0,
        evidence: Evidence::Confirmed,
        matched_ms: 0,
        outcome: if token == market.yes_token {
            Outcome::Yes
        } else {
            Outcome::No
        },
        market: market.condition_id.clone(),
        underlying: market.underlying.clone(),
        owner: "q".to_owned(),
        side,
        price_e4,
        size_e6: shares * SHARE,
        fee_e6: 0,
        fair_e4: None,
        yes_e6: 0,
        no_e6: 0,
        seen_ns: 0,
        v: Version,
    }
}

#[test]
fn what_was_paid_for_a_position_is_at_work_until_it_is_left() {
    let buy = plan(&[(Side::Buy, 4_800, 50 * SHARE)]);
    let capital = "capital: 64000000 would be at work, 60000000 is allowed";
    assert_eq!(refusal(&buy, "q", 80).as_deref(), Some(capital));
    let sell = plan(&[(Side::Sell, 5_200, 50 * SHARE)]);
    assert_eq!(refusal(&sell, "q", 110), None, "it gives back what is held");
    let mut inventories = Inventories::default();
    let market = market(0);
    let mut fill = |id: &str, (token, side, price_e4), shares: u64| {
        inventories.apply(own_fill(id, &market, (token, side, price_e4), shares));
        inventories.paid_e6("0xa")
    };
    assert_eq!(fill("1", ("yes0", Side::Buy, 4_000), 10), 4 * SHARE);
    assert_eq!(fill("2", ("yes0", Side::Buy, 6_000), 10), 10 * SHARE);
    assert_eq!(
        fill("3", ("yes0", Side::Sell, 9_000), 5),
        7_500_000,
        "at what it cost, not at what it fetched"
    );
    assert_eq!(
        fill("4", ("no0", Side::Buy, 4_000), 15),
        0,
        "pairs can lose nothing"
    );
    assert_eq!(fill("5", ("no0", Side::Buy, 4_000), 10), 4 * SHARE);
}

#[test]
fn a_cancel_of_an_order_that_the_engine_does_not_have_is_answered() {
    let mut world = quoting();
    world.plan_of(QUOTERS[0], 0, vec!["0xgone".to_owned()], &[]);
    assert_eq!(world.quotes["0xgone"].1, claw_core::engine::OrderState::Cancelled);
    assert!(world.requests.is_empty());
}

#[test]
fn a_refusal_names_the_limit() {
    let buy = |price_e4, size_e6| plan(&[(Side::Buy, price_e4, size_e6)]);
    assert_eq!(refusal(&buy(4_800, 10 * SHARE), "q", 0), None);
    let finer = Plan {
        tick_e4: Some(10),
        ..buy(4_850, 10 * SHARE)
    };
    assert_eq!(refusal(&finer, "q", 0), None, "the feed says of a new tick first");
    let table = [
        (
            refusal(&buy(4_800, 10 * SHARE), "other", 0),
            "mandate: this market is not yours",
        ),
        (
            refusal(
                &Plan {
                    epoch: 2,
                    ..buy(4_800, 10 * SHARE)
                },
                "q",
                0,
            ),
            "epoch: the mandate is of epoch 3",
        ),
        (
            refusal(&buy(4_850, 10 * SHARE), "q", 0),
            "price: 4850 is outside the tick grid",
        ),
        (
            refusal(
                &Plan {
                    tick_e4: Some(3),
                    ..buy(4_800, 10 * SHARE)
                },
                "q",
                0,
            ),
            "price: 4800 is outside the tick grid",
        ),
        (
            refusal(
                &Plan {
                    tick_e4: Some(500),
                    ..buy(4_800, 10 * SHARE)
                },
                "q",
                0,
            ),
            "price: 4800 is outside the tick grid",
        ),
        (
            refusal(&buy(0, 10 * SHARE), "q", 0),
            "price: 0 is outside the tick grid",
        ),
        (
            refusal(&buy(10_000, 10 * SHARE), "q", 0),
            "price: 10000 is outside the tick grid",
        ),
        (
            refusal(&buy(4_800, 4 * SHARE), "q", 0),
            "size: 4000000 is below the market's minimum",
        ),
        (
            refusal(&buy(4_800, 10 * SHARE + 1), "q", 0),
            "size: 10000001 is not in hundredths of a share",
        ),
        (
            refusal(&buy(9_900, 61 * SHARE), "q", 0),
            "capital: 60390000 would be at work, 60000000 is allowed",
        ),
        (
            refusal(&buy(100, 100 * SHARE), "q", 1),
            "position: 101000000 could be reached, 100000000 is allowed",
        ),
    ];
    for (answer, expected) in table {
        assert_eq!(answer.as_deref(), Some(expected));
    }
    assert_eq!(
        refusal(&plan(&[(Side::Buy, 100, 5 * SHARE); 16]), "q", 0).as_deref(),
        Some("batch: 16 places in one plan, 15 are allowed")
    );
    assert_eq!(
        refusal(&plan(&[(Side::Sell, 9_900, 100 * SHARE)]), "q", 1),
        None,
        "towards flat is allowed"
    );
}

proptest! {
    #[test]
    fn the_newest_table_of_the_highest_term_is_in_force(stamps in prop::collection::vec((0..4_u64, 0..20_u64), 0..20)) {
        let (mut gate, mut newest) = (Gate::default(), (0, 0));
        for (epoch, (term, sent_ns)) in (0..).zip(stamps) {
            let taken = gate.install(allocation(term, sent_ns, vec![Mandate { epoch, ..mandate() }]));
            prop_assert_eq!(taken.is_some(), (term, sent_ns) > newest);
            if taken.is_some() {
                newest = (term, sent_ns);
                prop_assert_eq!(gate.mandate("0xa").map(|mandate| mandate.epoch), Some(epoch));
            }
        }
    }
}

#[test]
fn a_mandate_ends_at_its_time_and_comes_back_with_a_newer_table() {
    let mut gate = Gate::default();
    gate.install(allocation(1, 1_000, vec![mandate()]));
    assert!(gate.expire(1_099).is_empty());
    assert_eq!(gate.expire(1_100)[0].cause, "the mandate ran out");
    assert!(gate.expire(1_200).is_empty());
    assert_eq!(
        gate.install(allocation(1, 2_000, vec![mandate()])),
        Some(Vec::new())
    );
    let moved = gate.install(allocation(2, 10, Vec::new())).unwrap();
    assert_eq!(
        (moved[0].quoter.as_str(), moved[0].cause),
        ("q", "the mandate moved or was withdrawn")
    );
}

// --- tokens -----------------------------------------------------------------------------------------

#[test]
fn a_held_token_is_sold_and_else_its_complement_bought() {
    let market: Market = market(0);
    let choice = |side, yes, no| {
        let chosen = choose_token(
            &market,
            (side, 4_800),
            10 * SHARE,
            &held(yes, no),
            std::iter::empty(),
        );
        (chosen.token_id, chosen.side, chosen.price_e4)
    };
    assert_eq!(choice(Side::Sell, 10, 0), ("yes0".to_owned(), Side::Sell, 4_800));
    assert_eq!(choice(Side::Sell, 9, 0), ("no0".to_owned(), Side::Buy, 5_200));
    assert_eq!(choice(Side::Buy, 0, 10), ("no0".to_owned(), Side::Sell, 5_200));
    assert_eq!(choice(Side::Buy, 0, 9), ("yes0".to_owned(), Side::Buy, 4_800));
    assert_eq!(yes_frame(&market, "no0", Side::Sell, 5_200), (Side::Buy, 4_800));
}

#[test]
fn what_was_bought_can_be_sold_once_its_trade_is_on_the_chain() {
    let (market, mut inventories) = (market(0), Inventories::default());
    let bought = own_fill("t", &market, ("yes0", Side::Buy, 4_800), 10);
    let matched = Fill {
        evidence: Evidence::Matched,
        ..bought.clone()
    };
    assert!(inventories.apply(matched.clone()).is_some());
    assert!(inventories.apply(matched).is_none());
    assert_eq!(inventories.of("0xa"), held(10, 0));
    assert_eq!(inventories.settled("0xa"), held(0, 0));
    inventories.apply(bought);
    assert_eq!(inventories.settled("0xa"), held(10, 0));
}

#[test]
fn pairs_that_were_taken_out_to_be_merged_are_not_for_sale() {
    let (market, mut inventories) = (market(0), Inventories::default());
    for (trade, token) in [("t", "yes0"), ("u", "no0")] {
        inventories.apply(own_fill(trade, &market, (token, Side::Buy, 5_000), 10));
    }
    inventories.set_merged([("0xa".to_owned(), 4 * SHARE)].into());
    assert_eq!(inventories.settled("0xa"), held(6, 6));
    assert_eq!(inventories.of("0xa"), held(10, 10));
    inventories.set_merged([("0xa".to_owned(), 3 * SHARE)].into());
    assert_eq!(inventories.settled("0xa"), held(7, 7));
}
