//! A request without an answer, beside probes that have theirs: its connection's fault, or the venue's?
//!
//! Probes that are answered show that the way is there, not that this connection is, so they are no reason to wait:
//! nothing tells the two apart in time. The first such silence is taken for the connection, for a quote that cannot
//! be cancelled may cost more than a move; what follows within 5 s is taken for the venue. Afterwards the orders that
//! were under way tell which it was:
//!
//! ```text
//! denied   the venue never saw one of them: the connection was broken, and the next silence is believed at once
//! found    the venue had them: it is slow, and is believed to be for twice as long as the last time, 10 s to 10 min
//! ```
//!
//! So a broken connection is left every time, and a venue that is often slow at most six times an hour.

use std::collections::BTreeSet;

const NS_PER_S: u64 = 1_000_000_000;
const FIRST_NS: u64 = 5 * NS_PER_S;
const LONGEST_NS: u64 = 600 * NS_PER_S;

/// What the silences so far have turned out to be.
#[derive(Debug)]
pub struct Suspicion {
    /// Until then a silence is the venue's.
    excused_until_ns: u64,
    excuse_ns: u64,
    /// Orders that were under way when a connection was given up, and of which nothing is known since.
    suspects: BTreeSet<String>,
    was_found: bool,
}

impl Default for Suspicion {
    fn default() -> Self {
        Self {
            excused_until_ns: 0,
            excuse_ns: FIRST_NS,
            suspects: BTreeSet::new(),
            was_found: false,
        }
    }
}

impl Suspicion {
    /// A request is silent, while these orders are under way: whether its connection is to be given up.
    pub fn raise(&mut self, under_way: impl Iterator<Item = String>, now_ns: u64) -> bool {
        let is_believed = now_ns >= self.excused_until_ns;
        if is_believed {
            if now_ns >= self.excused_until_ns + LONGEST_NS {
                self.excuse_ns = FIRST_NS;
            }
            self.suspects = under_way.collect();
            self.was_found = false;
        }
        self.excused_until_ns = self.excused_until_ns.max(now_ns + self.excuse_ns);
        is_believed
    }

    /// The venue has had this order.
    pub fn found(&mut self, order_id: &str, now_ns: u64) {
        if self.suspects.remove(order_id) && !std::mem::replace(&mut self.was_found, true) {
            self.excuse_ns = (2 * self.excuse_ns).min(LONGEST_NS);
            self.excused_until_ns = self.excused_until_ns.max(now_ns + self.excuse_ns);
        }
    }

    /// The venue has never had this order; whether that clears the venue.
    pub fn denied(&mut self, order_id: &str) -> bool {
        let is_cleared = self.suspects.remove(order_id);
        if is_cleared {
            *self = Self::default();
        }
        is_cleared
    }
}
