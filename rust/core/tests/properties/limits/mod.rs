//! The limits against a naive venue that counts requests when they arrive.

mod examples;

use std::collections::BTreeMap;

use claw_core::limits::{BucketName, Headers, LimitSettings, Limits, Request, Tier, Withdrawal};
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const JITTER_NS: u64 = 50 * MS;
/// Sends begin here, so that an early arrival is still after time zero.
const START: u64 = 10 * S;

const fn settings(tier: Tier, place_requests: [u32; 2]) -> LimitSettings {
    LimitSettings {
        tier,
        routes: 1,
        jitter_ns: JITTER_NS,
        place_requests,
    }
}

/// A request as the venue sees it.
#[derive(Debug, Clone, Copy)]
enum Arrival {
    Place(u32),
    Cancel(u32),
    /// One token at first, then one for each cancelled order.
    CancelMany(u32),
}

/// The venue: exact windows of places and token buckets in parts of 1e-9.
struct Venue {
    tier: Tier,
    place_requests: [u32; 2],
    places: Vec<u64>,
    orders: (i128, u64),
    cancels: (i128, u64),
}

impl Venue {
    fn new(tier: Tier, place_requests: [u32; 2]) -> Self {
        let full = |burst: u32| (i128::from(burst) * 1_000_000_000, 0);
        Self {
            tier,
            place_requests,
            places: Vec::new(),
            orders: full(tier.orders().burst),
            cancels: full(tier.cancels().burst),
        }
    }

    /// Whether the venue accepts it.
    fn accepts(&mut self, arrival: Arrival, at_ns: u64) -> bool {
        const TOKEN: i128 = 1_000_000_000;
        let (orders, cancels) = (self.tier.orders(), self.tier.cancels());
        for (bucket, rate) in [(&mut self.orders, orders), (&mut self.cancels, cancels)] {
            let earned = i128::from(at_ns - bucket.1) * i128::from(rate.per_s);
            *bucket = ((bucket.0 + earned).min(i128::from(rate.burst) * TOKEN), at_ns);
        }
        let (bucket, cost) = match arrival {
            Arrival::Place(orders) => (&mut self.orders, orders),
            Arrival::Cancel(orders) => (&mut self.cancels, orders),
            Arrival::CancelMany(_) => (&mut self.cancels, 1),
        };
        if bucket.0 < i128::from(cost) * TOKEN {
            return false;
        }
        bucket.0 -= i128::from(cost) * TOKEN;
        match arrival {
            Arrival::Place(_) => {
                self.places.push(at_ns);
                [10, 600]
                    .into_iter()
                    .zip(self.place_requests)
                    .all(|(span_s, limit)| {
                        // In order of arrival, so the old ones are in front.
                        let before = self.places.partition_point(|place| at_ns - *place > span_s * S);
                        self.places.len() - before <= limit as usize
                    })
            }
            Arrival::Cancel(_) => true,
            Arrival::CancelMany(cancelled) => {
                self.cancels.0 -= i128::from(cancelled) * TOKEN;
                if !self.tier.has_debt() {
                    self.cancels.0 = self.cancels.0.max(0);
                }
                true
            }
        }
    }

    /// Which of these the venue refuses, in the order in which they arrive.
    fn refused(mut self, mut arrivals: Vec<(u64, Arrival)>) -> Vec<(u64, Arrival)> {
        arrivals.sort_by_key(|(at_ns, _)| *at_ns);
        arrivals.retain(|(at_ns, arrival)| !self.accepts(*arrival, *at_ns));
        arrivals
    }
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Place(u32),
    Cancel(u32),
    CancelMarket(u32),
    Withdraw(u32),
    WithdrawAll,
}

fn wishes(with_withdrawals: bool) -> impl Strategy<Value = Vec<(u64, u64, Wish, u32)>> {
    let pause_ms = prop_oneof![Just(0_u64), 0..40_u64, 0..2_000_u64, 0..700_000_u64];
    let places = (1..=15_u32).prop_map(Wish::Place);
    let cancels = prop_oneof![
        (1..60_u32).prop_map(Wish::Cancel),
        (0..80_u32).prop_map(Wish::CancelMarket)
    ];
    let wish = if with_withdrawals {
        let withdrawals = prop_oneof![(1..200_u32).prop_map(Wish::Withdraw), Just(Wish::WithdrawAll)];
        prop_oneof![6 => places, 2 => cancels, 1 => withdrawals].boxed()
    } else {
        prop_oneof![3 => places, 2 => cancels].boxed()
    };
    // Pause, arrival within ± the jitter, what, and how often in a row.
    prop::collection::vec((pause_ms, 0..=2 * JITTER_NS, wish, 1..12_u32), 1..120)
}

fn tiers() -> impl Strategy<Value = Tier> {
    prop::sample::select(vec![Tier::Standard, Tier::Gold, Tier::Platinum, Tier::Elite])
}

/// How a life of the engine ends after a request was paid for.
#[derive(Debug, Clone, Copy)]
enum End {
    None,
    Restart,
    /// Its counters are kept, and the request never leaves.
    BeforeSending,
    Lost,
}

proptest! {
    #[test]
    fn the_venue_refuses_nothing_that_was_admitted(
        tier in tiers(),
        windows in prop::sample::select(vec![[3_500, 36_000], [12, 30], [40, 41]]),
        wishes in wishes(false),
    ) {
        let mut limits = Limits::new(settings(tier, windows), START);
        let (mut now, mut open, mut sent) = (START, 0_u32, Vec::new());
        for (pause_ms, lag_ns, wish, times) in wishes {
            now += pause_ms * MS;
            for _ in 0..times {
                let arrives = now - JITTER_NS + lag_ns;
                let (request, arrival) = match wish {
                    Wish::Place(orders) => (Request::Place { orders, open }, Arrival::Place(orders)),
                    Wish::CancelMarket(of) => {
                        let of = of.min(open);
                        (Request::CancelMarket { open: of }, Arrival::CancelMany(of))
                    }
                    Wish::Cancel(orders) => {
                        let orders = orders.min(open).max(1);
                        (Request::Cancel { orders }, Arrival::Cancel(orders))
                    }
                    Wish::Withdraw(_) | Wish::WithdrawAll => unreachable!("not among these wishes"),
                };
                if limits.admit(0, request, now).is_ok() {
                    sent.push((arrives, arrival));
                    open = match arrival {
                        Arrival::Place(orders) => open + orders,
                        Arrival::Cancel(orders) | Arrival::CancelMany(orders) => open.saturating_sub(orders),
                    };
                }
            }
        }
        prop_assert_eq!(Venue::new(tier, windows).refused(sent).len(), 0);
    }

    #[test]
    fn a_request_may_arrive_whenever_it_likes_until_it_is_answered(
        tier in tiers(),
        windows in prop::sample::select(vec![[3_500, 36_000], [12, 30], [40, 41]]),
        wishes in prop::collection::vec((0..1_500_u64, 1..8_u32, 0..4_000_u64, 0.0..=1.0_f64, 1..12_u32), 1..80),
        // Of a billion nanoseconds the venue's clock counts so many more or fewer.
        drift in -1_000_000..1_000_000_i64,
        has_headers in any::<bool>(),
    ) {
        let drift = if has_headers { drift } else { 0 };
        let venue_ns = |at_ns: u64| at_ns.saturating_add_signed((at_ns as i64 / S as i64) * drift);
        let mut limits = Limits::new(settings(tier, windows), START);
        let mut venue = Venue::new(tier, windows);
        // By time: arrivals with the answer that they will have, and answers with what they say is left.
        let mut arrivals = BTreeMap::<(u64, usize), (u32, u64, u64)>::new();
        let mut answers = BTreeMap::<(u64, usize), (u32, u64, i128)>::new();
        let (mut now, mut count) = (START, 0);
        for (pause_ms, orders, takes_ms, share, times) in wishes.into_iter().chain([(60_000, 1, 0, 0.0, 0)]) {
            now += pause_ms * MS;
            // What happens until then, in its order.
            loop {
                let arrives = arrivals.first_key_value().map(|(key, _)| *key).filter(|key| key.0 <= now);
                let answered = answers.first_key_value().map(|(key, _)| *key).filter(|key| key.0 <= now);
                match (arrives, answered) {
                    (Some(key), other) if other.is_none_or(|other| key <= other) => {
                        let (orders, paid_ns, ends_ns) = arrivals.remove(&key).unwrap();
                        let at_ns = venue_ns(key.0);
                        prop_assert!(venue.accepts(Arrival::Place(orders), at_ns), "{orders} at {at_ns}");
                        answers.insert((ends_ns, key.1), (orders, paid_ns, venue.orders.0.div_euclid(S.into())));
                    }
                    (_, Some(key)) => {
                        let (orders, paid_ns, left) = answers.remove(&key).unwrap();
                        limits.arrive(0, Request::Place { orders, open: 0 }, paid_ns, key.0);
                        if has_headers {
                            let left = left.to_string();
                            let headers = Headers { remaining: Some(&left), ..Headers::default() };
                            limits.correct(BucketName::Orders, &headers, 0, key.0);
                        }
                    }
                    _ => break,
                }
            }
            for _ in 0..times {
                let request = Request::Place { orders, open: 0 };
                if limits.admit(0, request, now).is_ok() {
                    limits.depart(request, now);
                    let way_ns = (takes_ms as f64 * share) as u64 * MS;
                    count += 1;
                    arrivals.insert((now + way_ns, count), (orders, now, now + takes_ms * MS));
                }
            }
        }
    }

    #[test]
    fn whatever_is_open_can_always_be_withdrawn(tier in tiers(), wishes in wishes(true)) {
        let windows = [3_500, 36_000];
        let mut limits = Limits::new(settings(tier, windows), START);
        let (mut now, mut open, mut sent, mut has_overtaken) = (START, 0_u32, Vec::new(), false);
        for (pause_ms, lag_ns, wish, times) in wishes {
            now += pause_ms * MS;
            let arrives = now - JITTER_NS + lag_ns;
            for _ in 0..times {
                match wish {
                    Wish::Place(orders) => {
                        if limits.admit(0, Request::Place { orders, open }, now).is_ok() {
                            sent.push((arrives, Arrival::Place(orders)));
                            open += orders;
                        }
                    }
                    Wish::Cancel(orders) | Wish::CancelMarket(orders) => {
                        let orders = orders.min(open);
                        if orders > 0 && limits.admit(0, Request::Cancel { orders }, now).is_ok() {
                            sent.push((arrives, Arrival::Cancel(orders)));
                            open -= orders;
                        }
                    }
                    Wish::Withdraw(_) | Wish::WithdrawAll if open == 0 => {}
                    Wish::Withdraw(orders) => {
                        let orders = orders.min(open);
                        match limits.withdraw(0, orders, open, now) {
                            Ok(Withdrawal::ByIds) => {
                                sent.push((arrives, Arrival::Cancel(orders)));
                                open -= orders;
                            }
                            Ok(Withdrawal::All) => {
                                sent.push((arrives, Arrival::CancelMany(open)));
                                (open, has_overtaken) = (0, true);
                            }
                            Err(refusal) => prop_assert!(false, "{open} open: {refusal}"),
                        }
                    }
                    Wish::WithdrawAll => {
                        let paid = limits.withdraw_all(0, open, now);
                        prop_assert!(paid.is_ok(), "{open} open: {paid:?}");
                        sent.push((arrives, Arrival::CancelMany(open)));
                        (open, has_overtaken) = (0, true);
                    }
                }
            }
            // What one second pays back, or the headroom where the venue floors the bucket at zero.
            let rate = i64::from(tier.cancels().per_s);
            let debt = if tier.has_debt() { rate } else { rate / 10 };
            prop_assert!(limits.tokens(BucketName::Cancels, now) >= -debt);
        }
        // A cancel-all that overtakes earlier cancels makes them moot; a place is never refused.
        let refused = Venue::new(tier, windows).refused(sent);
        let places = refused.iter().filter(|(_, arrival)| matches!(arrival, Arrival::Place(_)));
        prop_assert_eq!(places.count(), 0);
        if !has_overtaken {
            prop_assert_eq!(refused.len(), 0);
        }
    }

    #[test]
    fn saved_counters_go_on_where_they_were(wishes in wishes(false), cut in 0..4_000_usize, bit in 0..64_u32) {
        let settings = settings(Tier::Gold, [12, 30]);
        let (mut limits, mut now) = (Limits::new(settings, START), START);
        for (pause_ms, _, wish, _) in wishes {
            now += pause_ms * MS;
            if let Wish::Place(orders) = wish {
                // A refusal changes nothing that is saved.
                let _ = limits.admit(0, Request::Place { orders, open: 0 }, now);
            }
        }
        let words = limits.save(now);
        let mut restored = Limits::restore(settings, &words, now);
        prop_assert_eq!(&restored.save(now), &words);
        for _ in 0..3 {
            let request = Request::Place { orders: 1, open: 0 };
            prop_assert_eq!(restored.admit(0, request, now), limits.admit(0, request, now));
        }
        let full = Limits::after_loss(settings, now);
        let mut damaged = words.clone();
        damaged[cut % words.len()] ^= 1 << bit;
        prop_assert_eq!(&Limits::restore(settings, &damaged, now), &full);
        prop_assert_eq!(&Limits::restore(settings, &words[..cut % words.len()], now), &full);
        prop_assert_eq!(&Limits::restore(settings, &words, now - 1), &Limits::after_loss(settings, now - 1));
    }

    #[test]
    fn no_sequence_of_restarts_and_lost_files_exceeds_anything(
        tier in tiers(),
        windows in prop::sample::select(vec![[3_500, 36_000], [12, 30], [40, 41]]),
        wishes in wishes(true),
        ends in prop::collection::vec(prop::sample::select(vec![End::None, End::Restart, End::BeforeSending, End::Lost]), 120),
    ) {
        let settings = settings(tier, windows);
        let mut limits = Limits::new(settings, START);
        let (mut now, mut open, mut sent, mut is_poor_until_ns) = (START, 0_u32, Vec::new(), 0);
        let mut has_overtaken = false;
        for ((pause_ms, lag_ns, wish, times), end) in wishes.into_iter().zip(ends) {
            now += pause_ms * MS;
            for time in 0..times {
                let orders = match wish {
                    Wish::Place(orders) => orders,
                    Wish::Cancel(orders) | Wish::CancelMarket(orders) | Wish::Withdraw(orders) => orders.min(open),
                    Wish::WithdrawAll => open,
                };
                if orders == 0 {
                    continue;
                }
                let paid = match wish {
                    Wish::Place(_) => {
                        limits.admit(0, Request::Place { orders, open }, now).ok().map(|()| Arrival::Place(orders))
                    }
                    Wish::Cancel(_) | Wish::CancelMarket(_) => {
                        limits.admit(0, Request::Cancel { orders }, now).ok().map(|()| Arrival::Cancel(orders))
                    }
                    Wish::Withdraw(_) | Wish::WithdrawAll => {
                        let paid = limits.withdraw(0, orders, open, now);
                        // It waits for tokens only after a loss, when the bucket counts as empty, and until a
                        // withdrawal that was paid for and never sent is paid off.
                        prop_assert!(paid.is_ok() || now < is_poor_until_ns, "{open} open: {paid:?}");
                        paid.ok().map(|how| match how {
                            Withdrawal::ByIds => Arrival::Cancel(orders),
                            Withdrawal::All => Arrival::CancelMany(open),
                        })
                    }
                };
                let Some(arrival) = paid else {
                    continue;
                };
                // Kept before it is sent.
                let kept = limits.take_unsaved(now).expect("it was counted");
                let is_last = time + 1 == times;
                if !(is_last && matches!(end, End::BeforeSending)) {
                    sent.push((now - JITTER_NS + lag_ns, arrival));
                    has_overtaken |= matches!(arrival, Arrival::CancelMany(_));
                    open = match arrival {
                        Arrival::Place(orders) => open + orders,
                        Arrival::Cancel(orders) | Arrival::CancelMany(orders) => open - orders,
                    };
                }
                if is_last {
                    limits = match end {
                        End::None => limits,
                        End::Restart | End::BeforeSending => Limits::restore(settings, &kept, now),
                        End::Lost => Limits::restore(settings, &[], now),
                    };
                    is_poor_until_ns = match (end, arrival) {
                        (End::Lost, _) => now + 500 * MS,
                        (End::BeforeSending, Arrival::Cancel(_) | Arrival::CancelMany(_)) => {
                            now + (u64::from(open) + 1) * S / u64::from(tier.cancels().per_s) + MS
                        }
                        _ => is_poor_until_ns,
                    };
                }
            }
        }
        // A cancel-all that overtakes earlier cancels makes them moot; a place is never refused.
        let refused = Venue::new(tier, windows).refused(sent);
        let places = refused.iter().filter(|(_, arrival)| matches!(arrival, Arrival::Place(_)));
        prop_assert_eq!(places.count(), 0);
        prop_assert!(has_overtaken || refused.is_empty());
    }

    #[test]
    fn headers_never_panic_and_never_give_tokens(
        remaining in ".{0,12}", reset in ".{0,12}", tier in ".{0,12}", number in any::<f64>(),
    ) {
        let mut limits = Limits::new(LimitSettings::default(), START);
        let full = limits.tokens(BucketName::Orders, START);
        let number = number.to_string();
        for (remaining, reset) in [(&remaining, &reset), (&number, &number)] {
            let headers = Headers {
                remaining: Some(remaining), reset: Some(reset), tier: Some(&tier), is_refused: true,
            };
            limits.correct(BucketName::Orders, &headers, 1_700_000_000_000, START);
            prop_assert!(limits.tokens(BucketName::Orders, START) <= full);
            limits.correct(BucketName::Cancels, &headers, 1_700_000_000_000, START);
        }
        prop_assert_eq!(limits.withdraw(0, 1, 1, START + 17 * S), Ok(Withdrawal::ByIds));
    }
}
