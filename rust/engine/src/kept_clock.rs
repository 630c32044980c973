//! The venue's clock, kept by ours since the login, and put right when the two have come apart.
//!
//! They do where a machine was paused without its clock noticing, or its clock runs fast for days: every request would
//! be refused for its time, cancels too.

use std::cell::Cell;
use std::rc::Rc;

use claw_core::engine::VenueClock;

/// The venue tells whole seconds, and ours was read from them: so much apart is no news.
const LEEWAY_MS: u64 = 5_000;
const NS_PER_MS: u64 = 1_000_000;

/// One clock of everybody who signs for an account.
#[derive(Clone)]
pub struct KeptClock(Rc<Cell<VenueClock>>);

impl KeptClock {
    /// As the login read it.
    pub fn new(clock: VenueClock) -> Self {
        Self(Rc::new(Cell::new(clock)))
    }

    /// The venue's Unix time in ms.
    pub fn venue_ms(&self, now_ns: u64) -> u64 {
        self.0.get().venue_ms(now_ns)
    }

    /// The venue was asked and said this second: the clock that holds from here on, if it is another one.
    pub fn compare(&self, venue_s: u64, asked_ns: u64, answered_ns: u64) -> Option<VenueClock> {
        let (ours_ms, told_ms) = (self.venue_ms(answered_ns), venue_s.saturating_mul(1_000));
        let way_ms = answered_ns.saturating_sub(asked_ns) / NS_PER_MS;
        let is_behind = ours_ms.saturating_add(LEEWAY_MS) < told_ms;
        let is_ahead = ours_ms > told_ms.saturating_add(LEEWAY_MS).saturating_add(way_ms);
        (is_behind || is_ahead).then(|| {
            let clock = VenueClock {
                venue_ms: told_ms,
                at_ns: answered_ns,
            };
            self.0.set(clock);
            clock
        })
    }
}

#[cfg(test)]
mod tests {
    use claw_core::engine::VenueClock;
    use proptest::prelude::*;

    use super::KeptClock;

    const S: u64 = 1_000_000_000;

    proptest! {
        #[test]
        fn it_is_put_right_exactly_where_it_is_wrong(
            ahead_s in -4_000_i64..4_000,
            passed_ns in 0..100_000 * S,
            way_ns in 0..2 * S,
            part_ms in 0..1_000_u64,
        ) {
            let kept = KeptClock::new(VenueClock { venue_ms: 1_790_000_000_000, at_ns: 7 * S });
            let (asked_ns, answered_ns) = (7 * S + passed_ns, 7 * S + passed_ns + way_ns);
            let venue_ms = kept.venue_ms(asked_ns).checked_add_signed(ahead_s * 1_000).unwrap() + part_ms;
            let other = kept.clone();
            let corrected = kept.compare(venue_ms / 1_000, asked_ns, answered_ns);
            let off_ms = kept.venue_ms(answered_ns).abs_diff(venue_ms);
            prop_assert!(off_ms < 8_000, "{} ms", off_ms);
            prop_assert_eq!(other.venue_ms(answered_ns), kept.venue_ms(answered_ns));
            if ahead_s.abs() <= 2 {
                prop_assert!(corrected.is_none());
            }
            if ahead_s.abs() >= 9 {
                prop_assert!(corrected.is_some());
            }
        }
    }

    #[test]
    fn no_number_of_the_venue_panics() {
        let kept = KeptClock::new(VenueClock {
            venue_ms: 5,
            at_ns: 0,
        });
        assert!(kept.compare(u64::MAX, 3, 2).is_some());
        assert!(kept.compare(0, u64::MAX, u64::MAX).is_some());
    }
}
