use claw_core::ladder::Level;
use claw_core::quoting::model::QuoterModel;
use claw_core::quoting::quoter::MarketQuoter;
use claw_core::quoting::reference::ReferencePath;
use claw_core::quoting::rewards::RewardTerms;
use claw_core::quoting::settlement::{Settlement, value_by_reference};
use claw_core::quoting::situation::{Decision, MarketTerms, Rule, Situation, Target};
use claw_core::quoting::spread::{Candidate, Pool, SpreadModel, optimum};
use claw_core::units::Side;
use proptest::prelude::*;

const SHARE: u64 = 1_000_000;

const MODEL: QuoterModel = QuoterModel {
    spread: SpreadModel {
        risk_aversion: 0.5,
        holding_s: 30.0,
        fill_decay: 25.0,
        fill_rate: 2.0,
        queue_shares: 100.0,
        rest_s: 5.0,
        skew: 0.25,
        widen_linear: 0.02,
        widen_quadratic: 0.06,
        uncertainty_weight: 0.5,
        cost: 0.0,
        pick_off: 0.0,
        presence: 0.0,
    },
    informed_prior: 0.02,
    reduce_only: 0.9,
    change_usd: 0.002,
    widen_s: 60.0,
    withdraw_s: 10.0,
    pull_s: 1.0,
    jump_sigmas: 5.0,
};

const TERMS: MarketTerms = MarketTerms {
    rule: Rule::Event,
    closes_ms: None,
    min_size_e6: 5 * SHARE,
    rebate: 0.014,
    rewards: None,
};

const fn level(price_e4: u16, size_e6: u64) -> Level {
    Level { price_e4, size_e6 }
}

/// What a venue could fill of the quotes that rest.
#[derive(Debug, Clone, Copy)]
struct Turn {
    bid: u16,
    width: u16,
    elapsed_ms: u64,
    filled: [u8; 2],
    cancel_fails: bool,
}

fn turn() -> impl Strategy<Value = Turn> {
    (1..98_u16, 1..6_u16, 1..5_000_u64, any::<[u8; 2]>(), any::<bool>()).prop_map(
        |(bid, width, elapsed_ms, filled, cancel_fails)| Turn {
            bid,
            width: width.min(99 - bid),
            elapsed_ms,
            filled,
            cancel_fails,
        },
    )
}

fn decide(
    quoter: &mut MarketQuoter,
    turn: &Turn,
    now_ns: u64,
    net_e6: i64,
    own: &[(Side, Level)],
) -> Decision {
    let (bid, ask) = (turn.bid * 100, (turn.bid + turn.width) * 100);
    quoter.decide(
        &TERMS,
        &Situation {
            now_ns,
            venue_ms: now_ns / 1_000_000,
            bids: &[level(bid, 50 * SHARE)],
            asks: &[level(ask, 50 * SHARE)],
            tick_e4: 100,
            flow_shares: 0.0,
            sweep: None,
            doubt: 1.0,
            net_e6,
            max_position_e6: 100 * SHARE,
            order_size_e6: 30 * SHARE,
            capital_e6: 120 * SHARE,
            own,
            reference: None,
            shift: 0.0,
            token_usd: (0.0, 0.0),
            is_reduce_only: false,
        },
    )
}

proptest! {
    /// Whatever fills, and whichever cancels fail, position and money stay within the mandate.
    #[test]
    fn neither_position_nor_money_exceeds_the_mandate(turns in prop::collection::vec(turn(), 1..60)) {
        let mut quoter = MarketQuoter::new(MODEL);
        let mut own: Vec<(Side, Level)> = Vec::new();
        let (mut net_e6, mut now_ns) = (0_i64, 0_u64);
        for turn in turns {
            now_ns += turn.elapsed_ms * 1_000_000;
            let decision = decide(&mut quoter, &turn, now_ns, net_e6, &own);
            let mut next: Vec<(Side, Level)> = if turn.cancel_fails { own.clone() } else { Vec::new() };
            for (side, target) in [(Side::Buy, decision.bid), (Side::Sell, decision.ask)] {
                let Some(target) = target else { continue };
                if target.is_kept {
                    if !turn.cancel_fails {
                        next.push((side, target.level));
                    }
                } else {
                    next.push((side, target.level));
                }
            }
            own = next;
            for (side, sign) in [(Side::Buy, 1), (Side::Sell, -1)] {
                let standing: u64 = own.iter().filter(|(of, _)| *of == side).map(|(_, l)| l.size_e6).sum();
                let worst = sign * net_e6 + i64::try_from(standing).unwrap();
                prop_assert!(worst <= 100_000_000, "{worst} of {side:?}");
            }
            for (index, side) in [Side::Buy, Side::Sell].into_iter().enumerate() {
                if let Some(at) = own.iter().position(|(of, _)| *of == side) {
                    let part_e6 = own[at].1.size_e6 * u64::from(turn.filled[index]) / 255;
                    own[at].1.size_e6 -= part_e6;
                    net_e6 += if side == Side::Buy { 1 } else { -1 } * i64::try_from(part_e6).unwrap();
                    if part_e6 > 0 {
                        quoter.take_fill(side, now_ns);
                    }
                }
            }
            own.retain(|(_, order)| order.size_e6 > 0);
            prop_assert!(net_e6.unsigned_abs() <= 100 * SHARE);
        }
    }

    /// A market seen from the other token is quoted the same.
    #[test]
    fn quotes_mirror_between_the_tokens(turns in prop::collection::vec(turn(), 1..8), net in -90_i64..90) {
        let (mut yes, mut no) = (MarketQuoter::new(MODEL), MarketQuoter::new(MODEL));
        let mut now_ns = 0;
        for turn in turns {
            now_ns += turn.elapsed_ms * 1_000_000;
            let mirrored = Turn { bid: 100 - turn.bid - turn.width, ..turn };
            let net_e6 = net * 1_000_000;
            let one = decide(&mut yes, &turn, now_ns, net_e6, &[]);
            let other = decide(&mut no, &mirrored, now_ns, -net_e6, &[]);
            let price = |target: Option<Target>| {
                target.map(|target| target.level.price_e4)
            };
            prop_assert_eq!(price(one.bid), price(other.ask).map(|price_e4| 10_000 - price_e4));
            prop_assert_eq!(price(one.ask), price(other.bid).map(|price_e4| 10_000 - price_e4));
        }
    }

    /// The pair that is found is worth at least as much as every other pair, "do not quote" among them.
    #[test]
    fn no_other_pair_is_worth_more(
        bids in prop::collection::vec((-1.0..1.0, 0.0..100.0), 0..45),
        asks in prop::collection::vec((-1.0..1.0, 0.0..100.0), 0..45),
        others in 0.0..500.0,
        daily_usd in 0.0..1e5,
        midpoint_e4 in 100.0..9_900.0,
        has_rewards in any::<bool>(),
    ) {
        let list = |values: Vec<(f64, f64)>| -> Vec<Candidate> {
            let candidate = |(value, score)| Candidate { price_e4: 1, size_e6: 1, value, score, is_kept: false };
            values.into_iter().map(candidate).collect()
        };
        let (bids, asks) = (list(bids), list(asks));
        let terms = RewardTerms { daily_usd, min_size_e6: 0, max_spread_e4: 450.0, min_age_s: 0.0 };
        let pool = Pool { terms: &terms, others, midpoint_e4 };
        let pool = has_rewards.then_some(&pool);
        let worth = |bid: Option<&Candidate>, ask: Option<&Candidate>| {
            let of = |side: Option<&Candidate>| side.map_or((0.0, 0.0), |c| (c.value, c.score));
            let ((bid, one), (ask, two)) = (of(bid), of(ask));
            let paid = pool.map_or(0.0, |pool| {
                let ours = claw_core::quoting::rewards::Scores { one, two };
                pool.terms.income(ours, pool.others, pool.midpoint_e4)
            });
            bid + ask + paid
        };
        let (bid, ask, value) = optimum(&bids, &asks, pool);
        prop_assert!((worth(bid.map(|at| &bids[at]), ask.map(|at| &asks[at])) - value).abs() < 1e-9);
        for bid in std::iter::once(None).chain(bids.iter().map(Some)) {
            for ask in std::iter::once(None).chain(asks.iter().map(Some)) {
                prop_assert!(worth(bid, ask) <= value + 1e-9);
            }
        }
    }

    /// No price, time or hole in the stream makes a value that is none.
    #[test]
    fn a_reference_gives_a_probability_or_nothing(
        told in prop::collection::vec((0.0..1e6_f64, 1..30_000_u64), 0..80),
        window_s in prop_oneof![Just(0.0), Just(30.0), Just(60.0)],
        opens_ms in prop::option::of(0..600_000_u64),
        strike_usd in prop::option::of(1.0..1e6_f64),
        closes_ms in 0..900_000_u64,
        venue_ms in 0..900_000_u64,
    ) {
        let mut path = ReferencePath::default();
        let mut at_ms = 0;
        for (usd, elapsed_ms) in told {
            at_ms += elapsed_ms;
            path.take(usd, at_ms);
        }
        let settlement = Settlement { window_s, opens_ms, strike_usd };
        if let Ok(value) = value_by_reference(&settlement, &path, closes_ms, venue_ms) {
            prop_assert!((0.0..=1.0).contains(&value.probability));
            prop_assert!(venue_ms < closes_ms);
        }
    }
}
