//! The verdict over silent connections: found in time, whatever the line; a venue that pauses breaks nothing.

use std::collections::VecDeque;

use claw_core::engine::{Patience, Probes};
use proptest::prelude::*;

use crate::world::MS;

const S: u64 = 1_000 * MS;
const INTERVAL_MS: u64 = 50;
const FLOOR_MS: u64 = 100;
const PAUSE_MS: u64 = 1_000;

/// A question that is out: on which connection, since when, until when.
struct Asked {
    connection: usize,
    sent_ms: u64,
    answer_ms: Option<u64>,
}

/// Connections of some lanes on virtual time, asked as the shell asks them.
struct Lanes {
    probes: Probes,
    idle: Vec<VecDeque<usize>>,
    out: Vec<Vec<Asked>>,
}

impl Lanes {
    fn new(sizes: &[usize]) -> Self {
        let lanes = || sizes.iter().enumerate();
        Self {
            probes: Probes::new(FLOOR_MS * MS, PAUSE_MS * MS, 0),
            idle: lanes()
                .map(|(lane, size)| (0..*size).map(|n| 100 * lane + n).collect())
                .collect(),
            out: lanes().map(|_| Vec::new()).collect(),
        }
    }

    /// One millisecond: answers come in, then what is due is asked. `answer_ms` says when, None never.
    fn pass(&mut self, now_ms: u64, mut answer_ms: impl FnMut(usize) -> Option<u64>) {
        for (idle, out) in self.idle.iter_mut().zip(&mut self.out) {
            out.retain(|asked| {
                let is_answered = asked.answer_ms.is_some_and(|at_ms| at_ms <= now_ms);
                if is_answered {
                    self.probes.answered(asked.sent_ms * MS, now_ms * MS);
                    idle.push_back(asked.connection);
                }
                !is_answered
            });
            if now_ms % INTERVAL_MS == 0 {
                for connection in idle.drain(..Probes::due(idle.len())) {
                    out.push(Asked {
                        connection,
                        sent_ms: now_ms,
                        answer_ms: answer_ms(connection),
                    });
                }
            }
        }
    }

    fn broken(&self, now_ms: u64) -> Vec<usize> {
        let out = self.out.iter().flatten();
        let is_broken = |asked: &&Asked| self.probes.is_broken(asked.sent_ms * MS, now_ms * MS);
        out.filter(is_broken).map(|asked| asked.connection).collect()
    }
}

proptest! {
    #[test]
    fn one_silent_connection_is_found_within_300_ms_and_no_other(
        used in 2..8_usize,
        hole in 0..8_usize,
        rtt_ms in 0..=40_u64,
        jitter_ms in prop::collection::vec(0..10_u64, 64),
        fault_ms in 500..1_500_u64,
    ) {
        let hole = hole % used;
        let mut lanes = Lanes::new(&[used, 2, 5]);
        let mut jitter_ms = jitter_ms.into_iter().cycle();
        for now_ms in 0..=fault_ms + 300 {
            lanes.pass(now_ms, |connection| {
                let answer_ms = now_ms + rtt_ms + jitter_ms.next()?;
                (connection != hole || answer_ms < fault_ms).then_some(answer_ms)
            });
            let broken = lanes.broken(now_ms);
            prop_assert!(broken.iter().all(|found| *found == hole && now_ms >= fault_ms));
            if !broken.is_empty() {
                return Ok(());
            }
        }
        prop_assert!(false, "not found");
    }

    #[test]
    fn a_venue_that_pauses_breaks_no_connection(
        pause_ms in 0..900_u64,
        in_turn_ms in prop::collection::vec(0..35_u64, 64),
        began_ms in 500..700_u64,
    ) {
        let mut lanes = Lanes::new(&[2, 2, 5]);
        let mut in_turn_ms = in_turn_ms.into_iter().cycle();
        for now_ms in 0..began_ms + 3_000 {
            lanes.pass(now_ms, |_| {
                let is_away = (began_ms..began_ms + pause_ms).contains(&(now_ms + 5));
                let back_ms = if is_away { began_ms + pause_ms } else { now_ms };
                Some(back_ms + 5 + if is_away { in_turn_ms.next()? } else { 0 })
            });
            prop_assert!(lanes.broken(now_ms).is_empty());
        }
    }

    #[test]
    fn where_nothing_is_answered_it_is_a_broken_route_after_the_pause(began_ms in 500..700_u64) {
        let mut lanes = Lanes::new(&[2, 2, 5]);
        let mut found_ms = None;
        for now_ms in 0..began_ms + 1_200 {
            lanes.pass(now_ms, |_| (now_ms + 10 < began_ms).then_some(now_ms + 10));
            if !lanes.broken(now_ms).is_empty() {
                found_ms = found_ms.or(Some(now_ms));
            }
        }
        prop_assert!(found_ms.is_some_and(|found_ms| found_ms + INTERVAL_MS >= began_ms + PAUSE_MS - 10));
        prop_assert!(found_ms.is_some_and(|found_ms| found_ms <= began_ms + PAUSE_MS + INTERVAL_MS));
    }

    #[test]
    fn a_round_trip_with_jitter_is_no_black_hole(
        rtt_ms in 0..60_u64,
        jitter_ms in prop::collection::vec(0..20_u64, 20..200),
    ) {
        let mut patience = Patience::new(100 * MS, 0);
        prop_assert_eq!(patience.learnt_ns(), None);
        for (step, jitter) in (0_u64..).zip(jitter_ms) {
            let round_trip_ns = (rtt_ms + jitter) * MS;
            prop_assert!(round_trip_ns <= patience.limit_ns());
            patience.measure(round_trip_ns, step * 50 * MS);
            prop_assert!(patience.limit_ns() <= 150 * MS + rtt_ms * MS);
        }
        patience.measure(400 * MS, S);
        prop_assert!(patience.limit_ns() > 400 * MS, "a false alarm is learnt from");
        patience.measure(MS, 40 * S);
        patience.measure(MS, 80 * S);
        prop_assert_eq!(patience.limit_ns(), 100 * MS, "and forgotten");
    }
}
