//! Trades from match to chain: what is booked, taken back, and for sale.

use claw_core::engine::{Event, Evidence, Fill, Inventories, MakerPart, OrderState, Request, Trade};
use claw_core::units::Side;

use crate::gate::{held, own_fill};
use crate::world::{QUOTERS, SHARE, World, market, signed};

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
    let mut world = World::quoting();
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
    let mut world = World::quoting();
    for evidence in [Evidence::Failed, Evidence::Matched] {
        world.tell(Event::TradeSeen(trade_of(&world, evidence)));
    }
    assert_eq!(evidence_of(&world), [(Evidence::Failed, 0)]);
}

#[test]
fn a_fill_that_no_listing_shows_never_happened() {
    let mut world = World::quoting();
    world.tell(Event::TradeSeen(trade_of(&world, Evidence::Matched)));
    world.settle(60_000);
    assert_eq!(evidence_of(&world).len(), 1, "it may still come");
    world.settle(30_000);
    assert_eq!(evidence_of(&world)[1..], [(Evidence::Failed, 0)]);
}

#[test]
fn trades_are_listed_from_where_the_last_listing_ended_or_the_oldest_open_settlement() {
    let mut world = World::quoting();
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

#[test]
fn what_is_held_is_said_once_on_each_connection_to_each_holder_and_within_ten_tables_again() {
    let mut world = World::running();
    assert_eq!(world.inventories.len(), 2);
    world.allocate();
    assert_eq!(
        world.inventories.len(),
        2,
        "a table that only renews says nothing new"
    );
    world.connect(QUOTERS[0]);
    world.allocate();
    assert_eq!(world.inventories.len(), 3, "who connects anew knows nothing");
    world.move_market(1);
    assert_eq!(world.inventories.len(), 4, "nor does a new holder");
    for _ in 0..10 {
        world.allocate();
    }
    assert_eq!(world.inventories.len(), 6);
}

#[test]
fn an_order_of_which_less_than_can_trade_is_left_is_filled() {
    let mut world = World::quoting();
    let order_id = world.live.keys().next().cloned().expect("an order");
    let whole_e6 = world.live[&order_id].remaining_e6;
    let mut trade = trade_of(&world, Evidence::Matched);
    trade.parts[0].size_e6 = whole_e6 - 10_000;
    world.tell(Event::TradeSeen(trade.clone()));
    assert_eq!(
        world.quotes[&order_id].1,
        OrderState::Live,
        "a hundredth of a share can trade"
    );
    trade.id = "t2".to_owned();
    trade.parts[0].size_e6 = 7_714;
    world.tell(Event::TradeSeen(trade));
    assert_eq!(world.quotes[&order_id].1, OrderState::Filled);
    assert!(world.engine().orders().get(&order_id).is_none());
}

#[test]
fn no_size_that_the_venue_makes_up_overflows() {
    let mut world = World::quoting();
    for (index, token) in ["yes0", "no0", "yes0", "no0"].into_iter().enumerate() {
        let mut trade = trade_of(&world, Evidence::Matched);
        trade.id = format!("huge{index}");
        trade.market = "0xa".to_owned();
        trade.matched_ms = Some(u64::MAX);
        trade.parts[0].token_id = token.to_owned();
        trade.parts[0].side = if index % 2 == 0 { Side::Buy } else { Side::Sell };
        trade.parts[0].size_e6 = u64::MAX;
        world.tell(Event::TradeSeen(trade));
        world.plan(0, 0, &crate::world::NEAR);
        world.settle(1_000);
    }
    assert_eq!(
        world.refusals.len(),
        4,
        "nothing is placed on such a holding: {:?}",
        world.refusals
    );
}
