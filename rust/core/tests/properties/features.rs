use claw_core::features::{Flow, ReferenceReturn, Touch, depth_imbalance, touch_without};
use claw_core::ladder::Level;
use claw_core::units::Side;
use proptest::prelude::*;

const MS: u64 = 1_000_000;

fn touch() -> impl Strategy<Value = Touch> {
    (
        1..9_000_u16,
        1..900_u16,
        1..1_000_000_000_u64,
        1..1_000_000_000_u64,
    )
        .prop_map(|(bid_e4, spread_e4, bid_size, ask_size)| Touch {
            bid: Some(Level {
                price_e4: bid_e4,
                size_e6: bid_size,
            }),
            ask: Some(Level {
                price_e4: bid_e4 + spread_e4,
                size_e6: ask_size,
            }),
        })
}

fn sides() -> impl Strategy<Value = (Vec<Level>, Vec<Level>)> {
    let sizes = || prop::collection::vec(1..1_000_000_u64, 1..4);
    (100..4_000_u16, sizes(), sizes()).prop_map(|(best_e4, bids, asks)| {
        let level = |price_e4, size_e6| Level { price_e4, size_e6 };
        (
            (0..)
                .zip(bids)
                .map(|(at, size)| level(best_e4 + 50 - at, size))
                .collect(),
            (0..)
                .zip(asks)
                .map(|(at, size)| level(best_e4 + 100 + at, size))
                .collect(),
        )
    })
}

fn mirrored(touch: Touch) -> Touch {
    let mirror = |level: Level| Level {
        price_e4: 10_000 - level.price_e4,
        ..level
    };
    Touch {
        bid: touch.ask.map(mirror),
        ask: touch.bid.map(mirror),
    }
}

proptest! {
    #[test]
    fn own_orders_leave_no_trace((bids, asks) in sides(), own_bid in 1..1_000_u64, own_ask in 1..1_000_u64, inside in any::<bool>()) {
        let step = u16::from(inside);
        let bid = Level { price_e4: bids[0].price_e4 + step, size_e6: own_bid };
        let ask = Level { price_e4: asks[0].price_e4 - step, size_e6: own_ask };
        let with = |levels: &[Level], own: Level| {
            let mut shown = levels.to_vec();
            match shown.first_mut() {
                Some(best) if best.price_e4 == own.price_e4 => best.size_e6 += own.size_e6,
                _ => shown.insert(0, own),
            }
            shown
        };
        let seen = touch_without(&with(&bids, bid), &with(&asks, ask), &[(Side::Buy, bid), (Side::Sell, ask)]);
        prop_assert_eq!(seen, Touch { bid: bids.first().copied(), ask: asks.first().copied() });
        prop_assert_eq!(touch_without(&bids, &asks, &[]), seen);
    }

    #[test]
    fn depth_imbalance_is_a_share_and_changes_sign_with_the_frame((bids, asks) in sides()) {
        let imbalance = depth_imbalance(&bids, &asks).unwrap();
        prop_assert!((-1.0..=1.0).contains(&imbalance));
        prop_assert_eq!(depth_imbalance(&asks, &bids).unwrap(), -imbalance);
        prop_assert_eq!(depth_imbalance(&[], &asks), None);
    }

    #[test]
    fn flows_change_sign_with_the_frame(touches in prop::collection::vec((touch(), 0..500_u64), 2..40)) {
        let (mut yes, mut no) = (Flow::default(), Flow::default());
        let mut now_ns = 0;
        for (touch, later_ms) in touches {
            now_ns += later_ms * MS;
            yes.take_touch(touch, now_ns);
            no.take_touch(mirrored(touch), now_ns);
        }
        let (yes, no) = (yes.state(now_ns), no.state(now_ns));
        prop_assert!((yes.order_flow + no.order_flow).abs() <= 1e-6 * yes.order_flow.abs().max(1.0));
        prop_assert_eq!(yes.volatility.is_some(), no.volatility.is_some());
        if let (Some(of_yes), Some(of_no)) = (yes.volatility, no.volatility) {
            prop_assert!(of_yes >= 0.0 && (of_yes - of_no).abs() <= 1e-6 * of_yes.max(1e-3));
        }
    }

    #[test]
    fn flow_halves_every_second(size_e6 in 1..1_000_000_000_u64, is_buy in any::<bool>()) {
        let mut flow = Flow::default();
        let side = if is_buy { Side::Buy } else { Side::Sell };
        flow.take_trade(side, size_e6, 0, 1, 0);
        let (now, later) = (flow.state(0).trade_flow, flow.state(1_000 * MS).trade_flow);
        prop_assert_eq!(now > 0.0, is_buy);
        prop_assert!((now / 2.0 - later).abs() < 1e-9 * now.abs());
    }

    #[test]
    fn a_still_belief_has_no_volatility(of in touch()) {
        let mut flow = Flow::default();
        for second in 0..10_u64 {
            // Sizes scaled alike leave the microprice where it is.
            let scaled = |level: Level| Level { size_e6: level.size_e6 * (1 + second % 2), ..level };
            flow.take_touch(Touch { bid: of.bid.map(scaled), ask: of.ask.map(scaled) }, second * 1_000 * MS);
        }
        prop_assert!(flow.state(0).volatility.unwrap() < 1e-9);
    }

    #[test]
    fn a_sweep_takes_half_of_what_stood(prints in prop::collection::vec(1..100_u64, 1..6), left in 0..600_u64) {
        let mut flow = Flow::default();
        let mut taken = 0;
        for (at, &size) in prints.iter().enumerate() {
            taken += size;
            flow.take_trade(Side::Sell, size, left, 1_000 + at as u64, 7);
            let is_sweep = taken >= left;
            if is_sweep {
                let sweep = flow.state(7).sweep.unwrap();
                prop_assert_eq!((sweep.side, sweep.size_e6), (Side::Sell, taken));
            }
        }
        prop_assert_eq!(flow.state(7).sweep.is_some(), taken >= left);
    }

    #[test]
    fn reference_returns_add_up(steps in prop::collection::vec(1..1_000_000_u64, 3..30)) {
        let mut by_one = ReferenceReturn::new(1_000);
        let mut sum = 0.0;
        for (second, &value) in (1..).zip(&steps) {
            match by_one.take(value, second * 1_000) {
                Some(step) => sum += step,
                None => prop_assert_eq!(second, 1),
            }
        }
        let whole = (*steps.last().unwrap() as f64 / steps[0] as f64).ln();
        prop_assert!((sum - whole).abs() < 1e-9);
        prop_assert_eq!(by_one.take(5, 1_000), None);
        prop_assert_eq!(by_one.take(0, 1_000_000), None);
    }
}
