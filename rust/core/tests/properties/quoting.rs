use claw_core::quoting::{Quote, QuoteState, SpreadModel, quote};
use proptest::prelude::*;

fn model() -> impl Strategy<Value = SpreadModel> {
    let or_zero = |highest: f64| prop_oneof![3 => 0.0..highest, 1 => Just(0.0)];
    (or_zero(1.0), or_zero(2.0), or_zero(0.5), or_zero(0.5)).prop_map(
        |(half_spread_base, skew, widen_linear, widen_quadratic)| SpreadModel {
            half_spread_base,
            skew,
            widen_linear,
            widen_quadratic,
        },
    )
}

fn state() -> impl Strategy<Value = QuoteState> {
    let tick = prop_oneof![Just(1_000_u16), Just(100), Just(50), Just(25), Just(10), Just(1)];
    let price = || prop::option::of(1..10_000_u16);
    let fair = prop_oneof![
        0.000_1..0.999_9,
        (1..10_000_u16).prop_map(|price_e4| f64::from(price_e4) / 1e4)
    ];
    (fair, -1.0..=1.0, tick, price(), price()).prop_map(
        |(microprice, inventory_ratio, tick_e4, one, other)| {
            let (bid_e4, ask_e4) = match (one, other) {
                (Some(a), Some(b)) if a == b => (Some(a), None),
                (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
                touch => touch,
            };
            QuoteState {
                microprice,
                inventory_ratio,
                tick_e4,
                bid_e4,
                ask_e4,
            }
        },
    )
}

/// Whether `lower` quotes at or below `higher` on the sides that both quote.
fn is_at_or_below(lower: &Quote, higher: &Quote) -> (bool, bool) {
    let ordered = |a: Option<u16>, b: Option<u16>| a.zip(b).is_none_or(|(a, b)| a <= b);
    (
        ordered(lower.bid_e4, higher.bid_e4),
        ordered(lower.ask_e4, higher.ask_e4),
    )
}

proptest! {
    #[test]
    fn quotes_are_ordered_on_tick_and_post_only(model in model(), state in state()) {
        let quoted = quote(&model, &state).unwrap();
        let tick_e4 = state.tick_e4;
        if let (Some(bid), Some(ask)) = (quoted.bid_e4, quoted.ask_e4) {
            prop_assert!(bid < ask);
        }
        for price in [quoted.bid_e4, quoted.ask_e4].into_iter().flatten() {
            prop_assert_eq!(price % tick_e4, 0);
            prop_assert!(tick_e4 <= price && price <= 10_000 - tick_e4);
        }
        if let (Some(bid), Some(best_ask)) = (quoted.bid_e4, state.ask_e4) {
            prop_assert!(bid + tick_e4 <= best_ask);
        }
        if let (Some(ask), Some(best_bid)) = (quoted.ask_e4, state.bid_e4) {
            prop_assert!(ask >= best_bid + tick_e4);
        }
    }

    #[test]
    fn more_inventory_never_raises_a_quote(model in model(), state in state(), q1 in -1.0..=1.0, q2 in -1.0..=1.0) {
        let (low, high) = if q1 <= q2 { (q1, q2) } else { (q2, q1) };
        let at = |inventory_ratio| quote(&model, &QuoteState { inventory_ratio, ..state }).unwrap();
        let (is_bid_lower, is_ask_lower) = is_at_or_below(&at(high), &at(low));
        prop_assert!(at(high).reservation <= at(low).reservation);
        // Widening pulls one quote the other way, so a side is monotone where both effects agree, or where
        // the skew outweighs the widening: skew ≥ linear + 2 · quadratic · |q|.
        let is_skew_stronger = model.skew >= model.widen_linear + 2.0 * model.widen_quadratic;
        if low >= 0.0 || is_skew_stronger {
            prop_assert!(is_bid_lower);
        }
        if high <= 0.0 || is_skew_stronger {
            prop_assert!(is_ask_lower);
        }
    }

    #[test]
    fn quotes_mirror_between_the_tokens(model in model(), state in state()) {
        let mirror = |price: Option<u16>| price.map(|price| 10_000 - price);
        let of_no = QuoteState {
            microprice: 1.0 - state.microprice,
            inventory_ratio: -state.inventory_ratio,
            bid_e4: mirror(state.ask_e4),
            ask_e4: mirror(state.bid_e4),
            ..state
        };
        let (yes, no) = (quote(&model, &state).unwrap(), quote(&model, &of_no).unwrap());
        prop_assert_eq!((yes.bid_e4, yes.ask_e4), (mirror(no.ask_e4), mirror(no.bid_e4)));
    }
}
