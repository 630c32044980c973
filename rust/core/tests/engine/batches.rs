//! Which batches of the wallet the engine signs, and for whom.

use claw_core::engine::{Action, BatchSigned, EngineReply, Event, SignBatch};
use claw_core::order::batch::{PositionCall, PositionKind};

use crate::world::{MS, SHARE, World};

const ASKER: u64 = 77;
const BEGAN_S: u64 = 1_700_000_000 - 1_000;

fn call(kind: PositionKind, market: &str, shares: u64) -> PositionCall {
    PositionCall {
        kind,
        market: market.to_owned(),
        neg_risk: false,
        amount_e6: shares * SHARE,
    }
}

/// The engine's answer to a batch whose signature lives for so many seconds.
fn ask(world: &mut World, term: u64, life_s: u64, calls: Vec<PositionCall>) -> BatchSigned {
    let batch = SignBatch {
        term,
        nonce: 9,
        deadline_s: BEGAN_S + world.now_ns / (1_000 * MS) + life_s,
        calls,
    };
    let replies: Vec<_> = world
        .ask(Event::BatchAsked(ASKER, batch))
        .into_iter()
        .filter_map(|action| match action {
            Action::Reply(ASKER, EngineReply::BatchSigned(signed)) => Some(signed),
            _ => None,
        })
        .collect();
    let [reply] = replies.as_slice() else {
        panic!("one answer, not {replies:?}");
    };
    reply.clone()
}

fn refusal(world: &mut World, term: u64, life_s: u64, calls: Vec<PositionCall>) -> String {
    let signed = ask(world, term, life_s, calls);
    assert_eq!(signed.signature, None);
    signed.refused.expect("a reason")
}

#[test]
fn pairs_are_merged_only_after_they_were_taken_off_sale() {
    let mut world = World::running();
    let merge = |shares| vec![call(PositionKind::Merge, "0xa", shares)];
    let term = 1;
    assert!(refusal(&mut world, term, 600, merge(1)).contains("off sale"));
    world.merged_e6.insert("0xa".to_owned(), 10 * SHARE);
    world.allocate();
    assert_eq!(
        ask(&mut world, term, 600, merge(10)).signature.as_deref(),
        Some("0x9")
    );
    assert!(refusal(&mut world, term, 600, merge(11)).contains("0xa"));
    let twice = [merge(6), merge(6)].concat();
    assert!(refusal(&mut world, term, 600, twice).contains("off sale"));
    let other = vec![call(PositionKind::Merge, "0xb", 1)];
    assert!(refusal(&mut world, term, 600, other).contains("0xb"));
}

#[test]
fn a_redemption_needs_no_more_than_the_term_in_force_and_a_short_life() {
    let mut world = World::running();
    let term = 1;
    let redeem = || vec![call(PositionKind::Redeem, "0xa", 0)];
    assert_eq!(
        ask(&mut world, term, 3_600, redeem()).signature.as_deref(),
        Some("0x9")
    );
    assert!(refusal(&mut world, term, 3_601, redeem()).contains("3600 s"));
    assert!(refusal(&mut world, term - 1, 600, redeem()).contains(&format!("term {term}")));
    assert!(refusal(&mut world, term + 1, 600, redeem()).contains(&format!("term {term}")));
}
