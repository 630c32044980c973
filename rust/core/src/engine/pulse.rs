//! What the engine says of itself: counters and latencies, as the bus carries them.

use super::histogram::Histogram;
use super::machine::{Engine, Phase};
use super::messages::{Beat, Version};
use super::signing::SignOrder;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) placed: u64,
    pub(super) cancelled: u64,
    pub(super) filled: u64,
    pub(super) rejected: u64,
    pub(super) refused: u64,
    pub(super) switches: u64,
    /// From the book's frame to the order's last byte on the socket.
    pub(super) tick_to_wire_us: Histogram,
    /// From the decision until every cancel and place is acknowledged.
    pub(super) cycle_us: Histogram,
    /// From the fault of a route until its orders were gone.
    pub(super) failover_us: Histogram,
}

impl<S: SignOrder> Engine<S> {
    /// Pulse and counters, as the bus carries them.
    #[must_use]
    pub fn beat(&self, name: &str, pid: u32, now_ns: u64) -> Beat {
        let state = match (self.phase, &self.halted) {
            (Phase::Ended, _) => "stopped",
            (_, Some(_)) => "halted",
            _ if self.watch.is_unguarded() => "cancel-only",
            _ => "running",
        };
        let [max_10s, max_600s] = self.limits.highest_places();
        let counters = [
            ("placed", self.counters.placed as f64),
            ("cancelled", self.counters.cancelled as f64),
            ("filled", self.counters.filled as f64),
            ("rejected", self.counters.rejected as f64),
            ("refused", self.counters.refused as f64),
            ("open", self.orders.len() as f64),
            ("switches", self.counters.switches as f64),
            // Exact for the first 104 days since the host was started.
            (
                "halted_ns",
                self.halted.as_ref().map_or(0.0, |halted| halted.since_ns as f64),
            ),
            ("max_10s", f64::from(max_10s)),
            ("max_600s", f64::from(max_600s)),
            ("mandated_s", self.uptime.mandated_s()),
            ("two_sided_s", self.uptime.two_sided_s()),
        ];
        let histograms = [
            ("tick_to_wire_us", self.counters.tick_to_wire_us.counts().clone()),
            ("cycle_us", self.counters.cycle_us.counts().clone()),
            ("failover_us", self.counters.failover_us.counts().clone()),
        ];
        Beat {
            name: name.to_owned(),
            kind: "engine",
            pid,
            state,
            route: self.route_state(now_ns),
            reason: self.halted.as_ref().map(|halted| halted.cause.clone()),
            budget: self.budget_state(now_ns),
            sent_ns: now_ns,
            counters: counters.into(),
            histograms: histograms.into(),
            v: Version,
        }
    }
}
