//! The gate alone: which plans pass, and which token an order is in.

use claw_core::engine::{
    Allocation, Evidence, Exposure, Fill, Gate, Inventories, Inventory, Mandate, Market, Outcome, Place,
    Plan, Version, choose_token, yes_frame,
};
use claw_core::units::Side;
use proptest::prelude::*;

use crate::world::{SHARE, market, signed};

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
    gate.install(allocation(1, 1_000, vec![mandate()]), 1_000);
    let exposure = Exposure {
        open: Vec::new(),
        departed: Vec::new(),
        held: held(net_shares, 0),
        paid_e6: u64::try_from(net_shares).unwrap_or(0) * SHARE / 2,
    };
    gate.refusal(plan, quoter, &exposure, 1_050)
}

pub fn held(yes_shares: i64, no_shares: i64) -> Inventory {
    Inventory {
        market: "0xa".to_owned(),
        yes_e6: yes_shares * signed(SHARE),
        no_e6: no_shares * signed(SHARE),
        v: Version,
    }
}

/// A confirmed fill of one of our orders.
pub fn own_fill(
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
            let taken = gate.install(allocation(term, sent_ns, vec![Mandate { epoch, ..mandate() }]), sent_ns);
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
    gate.install(allocation(1, 1_000, vec![mandate()]), 1_000);
    assert!(gate.expire(1_099).is_empty());
    assert_eq!(gate.expire(1_100)[0].cause, "the mandate ran out");
    assert!(gate.expire(1_200).is_empty());
    assert_eq!(
        gate.install(allocation(1, 2_000, vec![mandate()]), 2_000),
        Some(Vec::new())
    );
    let moved = gate.install(allocation(2, 10, Vec::new()), 2_000).unwrap();
    assert_eq!(
        (moved[0].quoter.as_str(), moved[0].cause),
        ("q", "the mandate moved or was withdrawn")
    );
}

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
