//! Whatever happens to an engine and its counters, a venue that counts arrivals finds no window and no bucket exceeded.

use claw_core::engine::{BucketReport, Event, Request};
use claw_core::limits::{BucketName, Tier};
use proptest::prelude::*;

use crate::world::{Fate, MS, QUOTERS, World};

const JITTER_NS: u64 = 50 * MS;
const S: u64 = 1_000 * MS;

#[derive(Debug, Clone)]
enum Step {
    Plan(usize, usize, Vec<(bool, u16, u64)>, f64),
    /// The same quoter asks so often in a row.
    Burst(usize, u8),
    End(usize, Fate),
    Settle(u64),
    Pass(u64),
    Disconnect(usize),
    Halt,
    Resume,
    /// With its counters, or without.
    Restart(bool),
    /// The host's clock begins anew, further back; nobody believes the old counters.
    ClockBack(u64),
    /// The venue says how much is left.
    Header(bool, Option<String>, Option<String>, bool),
}

fn places() -> impl Strategy<Value = Vec<(bool, u16, u64)>> {
    // Inside and never across each other: bids below, asks above.
    let place = (any::<bool>(), 1..20_u16)
        .prop_map(|(is_buy, away)| (is_buy, if is_buy { 49 - away } else { 51 + away }, 5));
    prop::collection::vec(place, 0..4)
}

/// The worst are the earliest and the latest, so many in a row.
fn lag() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(2 * JITTER_NS), 0..=2 * JITTER_NS]
}

fn step() -> impl Strategy<Value = Step> {
    let fate =
        prop_oneof![6 => Just(Fate::Answered), 1 => Just(Fate::ReplyLost), 1 => Just(Fate::RequestLost)];
    let remaining = prop::option::of(prop_oneof![
        (-50..130_i32).prop_map(|left| left.to_string()),
        Just("?".to_owned())
    ]);
    let tier = prop::option::of(prop_oneof![Just("standard".to_owned()), Just("wood".to_owned())]);
    prop_oneof![
        10 => (0..2_usize, 0..4_usize, places(), 0.0..10.0_f64)
            .prop_map(|(market, cancels, places, value)| Step::Plan(market, cancels, places, value)),
        8 => (0..2_usize, 1..40_u8).prop_map(|(market, times)| Step::Burst(market, times)),
        8 => (0..3_usize, fate).prop_map(|(index, fate)| Step::End(index, fate)),
        4 => (1..40_u64).prop_map(|steps| Step::Settle(steps * 50)),
        4 => prop_oneof![1..200_u64, 1..3_000_u64, 1..700_000_u64].prop_map(Step::Pass),
        1 => (0..2_usize).prop_map(Step::Disconnect),
        1 => Just(Step::Halt),
        4 => Just(Step::Resume),
        2 => prop::bool::weighted(0.9).prop_map(Step::Restart),
        1 => (1..10_000_u64).prop_map(Step::ClockBack),
        2 => (any::<bool>(), remaining, tier, any::<bool>())
            .prop_map(|(is_orders, remaining, tier, is_refused)| Step::Header(is_orders, remaining, tier, is_refused)),
    ]
}

fn carry_out(world: &mut World, step: Step) {
    match step {
        Step::Plan(market, cancels, places, value) => {
            be_allowed(world);
            world.value = value;
            world.plan(market, cancels, &places);
        }
        Step::Burst(market, times) => {
            be_allowed(world);
            for time in 0..times {
                world.plan(market, 4, &[(true, 30 + u16::from(time % 8), 5), (false, 60, 5)]);
                while !world.requests.is_empty() {
                    world.end_request(0, Fate::Answered);
                }
                world.deliver_all();
            }
        }
        Step::End(index, fate) => world.end_request(index, fate),
        Step::Settle(ms) => world.settle(ms),
        Step::Pass(ms) => world.pass(ms * MS),
        Step::Disconnect(index) => world.disconnect(QUOTERS[index]),
        Step::Halt => world.halt(),
        Step::Resume => world.resume(),
        Step::Restart(has_counters) => {
            let counters = world.counters.clone().filter(|_| has_counters);
            world.restart(counters.as_deref());
            begin(world);
        }
        Step::ClockBack(ms) => {
            let counters = world.counters.clone();
            world.now_ns -= ms * MS;
            world.behind_ns += ms * MS;
            world.restart(counters.as_deref());
            begin(world);
        }
        Step::Header(is_orders, remaining, tier, is_refused) => {
            let bucket = if is_orders {
                BucketName::Orders
            } else {
                BucketName::Cancels
            };
            let report = BucketReport {
                remaining,
                reset: None,
                tier,
                is_refused,
            };
            world.tell(Event::BucketSeen(None, bucket, report));
        }
    }
}

/// Mandates are renewed, and whoever was lost has come back.
fn be_allowed(world: &mut World) {
    world.allocate();
    for quoter in QUOTERS {
        if world.is_ready && !world.connections.contains_key(quoter) {
            world.connect(quoter);
        }
    }
}

/// A successor recovers, and quoters find it.
fn begin(world: &mut World) {
    world.settle(2_000);
    if world.is_ready {
        world.feed_up();
        for quoter in QUOTERS {
            world.connect(quoter);
        }
        world.allocate();
        world.settle(1_000);
    }
}

/// A venue that counts what arrives: requests in windows, orders and cancels in buckets of parts of 1e-9.
struct Count {
    windows: Vec<(&'static str, u64, usize, Vec<u64>)>,
    buckets: [(i128, u64); 2],
}

impl Count {
    fn new() -> Self {
        let limits = [
            ("place", 3_500, 36_000),
            ("batch", 1_000, 15_000),
            ("cancel", 3_000, 30_000),
            ("batch cancel", 1_000, 15_000),
            ("sweep", 250, 6_000),
        ];
        let windows = limits.into_iter().flat_map(|(name, short, long)| {
            [
                (name, 10 * S, short, Vec::new()),
                (name, 600 * S, long, Vec::new()),
            ]
        });
        let full = |burst: u32| (i128::from(burst) * 1_000_000_000, 0);
        Self {
            windows: windows.collect(),
            buckets: [
                full(Tier::Standard.orders().burst),
                full(Tier::Standard.cancels().burst),
            ],
        }
    }

    /// What this arrival exceeds.
    fn take(&mut self, request: &Request, swept: u32, at_ns: u64) -> Option<String> {
        let rates = [Tier::Standard.orders(), Tier::Standard.cancels()];
        for (bucket, rate) in self.buckets.iter_mut().zip(rates) {
            let earned = i128::from(at_ns - bucket.1) * i128::from(rate.per_s);
            *bucket = (
                (bucket.0 + earned).min(i128::from(rate.burst) * 1_000_000_000),
                at_ns,
            );
        }
        let (counted, bucket, cost): (&[&str], usize, usize) = match request {
            Request::Place(orders) if orders.len() > 1 => (&["place", "batch"], 0, orders.len()),
            Request::Place(_) => (&["place"], 0, 1),
            Request::Cancel(ids) if ids.len() > 1 => (&["cancel", "batch cancel"], 1, ids.len()),
            Request::Cancel(_) => (&["cancel"], 1, 1),
            Request::CancelAll => (&["sweep"], 1, 1),
            _ => return None,
        };
        let cost = cost as i128 * 1_000_000_000;
        if self.buckets[bucket].0 < cost {
            return Some(format!(
                "{counted:?}: the bucket holds {}",
                self.buckets[bucket].0
            ));
        }
        self.buckets[bucket].0 -= cost + i128::from(swept) * 1_000_000_000;
        for (name, span_ns, limit, times) in &mut self.windows {
            if counted.contains(name) {
                times.push(at_ns);
                let before = times.partition_point(|time| at_ns - *time > *span_ns);
                if times.len() - before > *limit {
                    return Some(format!("{name}: {} in {span_ns} ns", times.len() - before));
                }
            }
        }
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_window_and_no_bucket_is_ever_exceeded(
        steps in prop::collection::vec(step(), 1..80),
        lags in prop::collection::vec(lag(), 97),
        // A place may also take until its answer, however long that is.
        is_late in prop::collection::vec(any::<bool>(), 89),
    ) {
        let mut world = World::running();
        for step in steps {
            if world.exit.is_none() {
                carry_out(&mut world, step);
            }
        }
        let mut arrivals: Vec<(u64, &Request, u32)> = world.sent.iter().enumerate().map(|(number, (at_ns, _, request))| {
            let swept = world.swept.get(&number).copied().unwrap_or(0);
            let jittered_ns = at_ns - JITTER_NS + lags[number / 64 % lags.len()];
            let is_late = is_late[number % is_late.len()] && matches!(request, Request::Place(_));
            let arrives_ns = world.ended.get(&number).filter(|_| is_late).map_or(jittered_ns, |ended_ns| *ended_ns);
            (arrives_ns, request, swept)
        }).collect();
        arrivals.sort_by_key(|(at_ns, _, _)| *at_ns);
        let mut count = Count::new();
        for (at_ns, request, swept) in arrivals {
            if let Some(fault) = count.take(request, swept, at_ns) {
                prop_assert!(false, "{fault} at {at_ns}");
            }
        }
    }
}
