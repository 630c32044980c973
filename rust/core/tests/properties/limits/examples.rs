//! The limits by example: rates, drills, what the venue's headers change.

use claw_core::limits::{BucketName, Headers, LimitSettings, Limits, Refusal, Request, Tier, Withdrawal};

use super::{Arrival, JITTER_NS, MS, S, START, Venue, settings};

/// Send as fast as is allowed; how many got through, and what the venue refused.
fn rush(tier: Tier, request: Request, arrival: Arrival, for_s: u64) -> (usize, usize) {
    let windows = [3_500, 36_000];
    let mut limits = Limits::new(settings(tier, windows), START);
    let mut sent = Vec::new();
    for step in 0..for_s * 1_000 {
        let now = START + step * MS;
        for _ in 0..2 {
            if limits.admit(0, request, now).is_ok() {
                // The worst case: early and late in turn.
                let lag = if step % 2 == 0 { 0 } else { 2 * JITTER_NS };
                sent.push((now - JITTER_NS + lag, arrival));
            }
        }
    }
    (sent.len(), Venue::new(tier, windows).refused(sent).len())
}

#[test]
fn a_window_is_used_to_within_two_percent_and_never_exceeded() {
    let one = Request::Place { orders: 1, open: 0 };
    let (sent, refused) = rush(Tier::Elite, one, Arrival::Place(1), 10);
    assert_eq!((sent, refused), (3_500, 0));
    let (sent, refused) = rush(Tier::Elite, one, Arrival::Place(1), 60);
    assert!(sent > 6 * 3_500 * 98 / 100, "{sent}");
    assert_eq!(refused, 0);
}

#[test]
fn a_bucket_gives_its_rate_and_its_burst_less_the_headroom() {
    let one = Request::Place { orders: 1, open: 0 };
    let (sent, refused) = rush(Tier::Standard, one, Arrival::Place(1), 100);
    assert_eq!(refused, 0);
    // 60 − 40/s × 100 ms at first, then 40 a second.
    assert!((4_055..=4_056).contains(&sent), "{sent}");
}

#[test]
fn batches_have_their_own_window_and_count_as_singles_too() {
    let mut limits = Limits::new(settings(Tier::Elite, [3, 100]), START);
    let two = Request::Place { orders: 2, open: 0 };
    for _ in 0..3 {
        assert_eq!(limits.admit(0, two, START), Ok(()));
    }
    let refusal = limits.admit(0, two, START).unwrap_err();
    assert_eq!(refusal.to_string(), "rate: 3 place requests in 10 s are used up");
    assert_eq!(limits.highest_places(), [3, 3]);
}

#[test]
fn routes_have_their_own_windows_and_share_the_signers_buckets() {
    let settings = LimitSettings {
        routes: 2,
        ..settings(Tier::Standard, [1, 100])
    };
    let mut limits = Limits::new(settings, START);
    let one = Request::Place { orders: 1, open: 0 };
    assert_eq!(limits.admit(0, one, START), Ok(()));
    assert!(matches!(limits.admit(0, one, START), Err(Refusal::Window { .. })));
    assert_eq!(limits.admit(1, one, START), Ok(()));
    assert_eq!(limits.tokens(BucketName::Orders, START), 54);
}

/// The venue's order path full of traffic, then everything must go.
fn drill(tier: Tier) -> (Limits, u32, u64) {
    let mut limits = Limits::new(settings(tier, [3_500, 36_000]), START);
    let (mut open, mut now) = (0, START);
    // Places until no more may be open, then cancels of long dead ids until no more are allowed.
    while now < START + 20 * S {
        if limits.admit(0, Request::Place { orders: 15, open }, now).is_ok() {
            open += 15;
        }
        now += 10 * MS;
    }
    while limits.admit(0, Request::Cancel { orders: 1 }, now).is_ok() {}
    (limits, open, now)
}

#[test]
fn debt_drill_at_standard() {
    let (mut limits, open, now) = drill(Tier::Standard);
    // 112 tokens less 11 in reserve, and 80 that a second pays back.
    assert_eq!(open, 180);
    assert_eq!(limits.tokens(BucketName::Cancels, now), 11);
    assert!(matches!(
        limits.admit(0, Request::Cancel { orders: 1 }, now),
        Err(Refusal::Tokens { .. })
    ));
    assert_eq!(limits.withdraw(0, open, open, now), Ok(Withdrawal::All));
    limits.settle(open, open, now);
    assert_eq!(limits.tokens(BucketName::Cancels, now), 11 - 181);
    // In debt no order is placed that could not be withdrawn, and nothing is open that had to be.
    let one = Request::Place { orders: 1, open: 0 };
    assert!(matches!(
        limits.admit(0, one, now + S),
        Err(Refusal::TooManyOpen { .. })
    ));
    assert_eq!(limits.admit(0, one, now + 3 * S), Ok(()));
}

#[test]
fn debt_drill_at_platinum() {
    let (mut limits, open, now) = drill(Tier::Platinum);
    // 1,260 tokens less 126 in reserve; there is no debt to go into.
    assert_eq!(open, 1_125);
    assert_eq!(limits.withdraw(0, open, open, now), Ok(Withdrawal::All));
    limits.settle(open, open, now);
    // Floored: the venue's zero, less our headroom of 100 ms.
    assert_eq!(limits.tokens(BucketName::Cancels, now), -90);
    assert_eq!(limits.withdraw(0, 5, 5, now + 110 * MS), Ok(Withdrawal::ByIds));
}

#[test]
fn at_platinum_everything_open_can_be_cancelled_by_id() {
    let mut limits = Limits::new(settings(Tier::Platinum, [3_500, 36_000]), START);
    let (mut open, mut now) = (0, START);
    while limits.admit(0, Request::Place { orders: 15, open }, now).is_ok() {
        open += 15;
        now += 50 * MS;
    }
    assert!(i64::from(open) <= limits.tokens(BucketName::Cancels, now));
    assert_eq!(limits.withdraw(0, open, open, now), Ok(Withdrawal::ByIds));
}

#[test]
fn a_market_withdrawn_in_part_leaves_a_token_for_the_rest() {
    let mut limits = Limits::new(LimitSettings::default(), START);
    assert_eq!(limits.withdraw(0, 112, 150, START), Ok(Withdrawal::All));
    let mut limits = Limits::new(LimitSettings::default(), START);
    assert_eq!(limits.withdraw(0, 111, 150, START), Ok(Withdrawal::ByIds));
    assert_eq!(limits.withdraw(0, 39, 39, START), Ok(Withdrawal::All));
}

#[test]
fn what_a_cancel_all_did_not_cancel_is_paid_back() {
    let mut limits = Limits::new(LimitSettings::default(), START);
    assert_eq!(limits.withdraw_all(0, 40, START), Ok(()));
    assert_eq!(limits.tokens(BucketName::Cancels, START), 112 - 41);
    limits.settle(40, 25, START);
    assert_eq!(limits.tokens(BucketName::Cancels, START), 112 - 26);
    limits.settle(0, 10, START);
    assert_eq!(limits.tokens(BucketName::Cancels, START), 112 - 36);
}

#[test]
fn after_a_loss_only_withdrawals_are_left() {
    let mut limits = Limits::after_loss(LimitSettings::default(), START);
    let one = Request::Place { orders: 1, open: 0 };
    let now = START + 2 * S;
    assert!(matches!(limits.admit(0, one, now), Err(Refusal::Window { .. })));
    assert!(matches!(
        limits.admit(0, Request::Cancel { orders: 1 }, now),
        Err(Refusal::Window { .. })
    ));
    assert_eq!(limits.withdraw(0, 3, 3, now), Ok(Withdrawal::ByIds));
    assert_eq!(limits.withdraw_all(0, 3, now), Ok(()));
    assert!(limits.admit(0, one, START + 599 * S).is_err());
    assert_eq!(limits.admit(0, one, START + 606 * S), Ok(()));
    assert_eq!(limits.highest_places(), [1, 1]);
}

#[test]
fn headers_lower_the_bucket_hold_it_and_change_the_tier() {
    let mut limits = Limits::new(LimitSettings::default(), START);
    let one = Request::Place { orders: 1, open: 0 };
    let say = |limits: &mut Limits, remaining, reset, tier| {
        let headers = Headers {
            remaining,
            reset,
            tier,
            is_refused: false,
        };
        limits.correct(BucketName::Orders, &headers, 1_700_000_000_000, START);
    };
    say(&mut limits, Some("100"), Some("1700000009"), Some("standard"));
    assert_eq!(limits.tokens(BucketName::Orders, START), 56);
    say(&mut limits, Some(" 12.7 "), None, None);
    assert_eq!(limits.tokens(BucketName::Orders, START), 12);
    say(&mut limits, Some("-2"), Some("1700000003"), None);
    assert_eq!(limits.admit(0, one, START + 2_999 * MS), Err(Refusal::Blocked));
    assert_eq!(limits.admit(0, one, START + 3 * S), Ok(()));
    say(&mut limits, None, None, Some("Gold"));
    assert_eq!(limits.tier(), Tier::Gold);
    assert_eq!(limits.tokens(BucketName::Orders, START + 20 * S), 560);
    say(&mut limits, Some("none"), Some("?"), Some("wood"));
    assert_eq!(limits.tier(), Tier::Gold);
}

#[test]
fn a_hold_on_cancels_does_not_hold_withdrawals() {
    let mut limits = Limits::new(LimitSettings::default(), START);
    let headers = Headers {
        reset: Some("1700000030"),
        is_refused: true,
        ..Headers::default()
    };
    limits.correct(BucketName::Cancels, &headers, 1_700_000_000_000, START);
    assert_eq!(
        limits.admit(0, Request::Cancel { orders: 1 }, START),
        Err(Refusal::Blocked)
    );
    assert_eq!(limits.withdraw(0, 1, 1, START), Ok(Withdrawal::ByIds));
}

#[test]
fn a_token_costs_nothing_when_full_and_more_the_fewer_there_are() {
    let mut limits = Limits::new(LimitSettings::default(), START);
    assert_eq!(limits.shadow_price(START), 0.0);
    let mut dearer = vec![0.0];
    while limits
        .admit(0, Request::Place { orders: 4, open: 0 }, START)
        .is_ok()
    {
        dearer.push(limits.shadow_price(START));
    }
    assert!(dearer.windows(2).all(|pair| pair[0] < pair[1]), "{dearer:?}");
    assert_eq!((dearer[7], dearer.len()), (1.0, 15));
    assert!(dearer[14].is_finite());
    assert!(limits.shadow_price(START + S) < 1.0);
    assert_eq!(limits.shadow_price(START + 700 * S), 0.0);
}

#[test]
fn the_published_tiers() {
    let published = [
        ("standard", 40, 60, 80, 120, true),
        ("copper", 60, 90, 120, 180, true),
        ("bronze", 80, 120, 160, 240, true),
        ("silver", 200, 300, 400, 600, true),
        ("gold", 400, 600, 800, 1_200, true),
        ("platinum", 450, 675, 900, 1_350, false),
        ("diamond", 525, 787, 1_050, 1_575, false),
        ("elite", 600, 900, 1_200, 1_800, false),
    ];
    for (tier, row) in Tier::ALL.into_iter().zip(published) {
        let (orders, cancels) = (tier.orders(), tier.cancels());
        let own = (
            tier.as_str(),
            orders.per_s,
            orders.burst,
            cancels.per_s,
            cancels.burst,
            tier.has_debt(),
        );
        assert_eq!(own, row);
        assert_eq!(Tier::parse(row.0), Some(tier));
    }
    assert_eq!(Tier::parse("wood"), None);
}
