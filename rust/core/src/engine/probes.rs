//! Which connection is broken, told from what its neighbours are answered.
//!
//! Of each lane half of the idle connections (rounded down, so never the only one) are asked at a time, the one that
//! waited for longest first. A question that is silent for longer than [`Patience`] allows is
//!
//! ```text
//! overtaken   a question that was asked later, on another connection, had its answer 40 ms ago: the connection is
//!             broken, and nothing else is
//! as others   nobody is answered: the venue pauses, or nothing gets through. A move to connections that are as
//!             silent would lead nowhere; after `pause` they are given up all the same
//! ```
//!
//! So one silent connection among others is found within three turns, the patience and the time of one look.

use std::collections::VecDeque;

const NS_PER_MS: u64 = 1_000_000;
const SPAN_NS: u64 = 15_000 * NS_PER_MS;
const MARGIN_NS: u64 = 25 * NS_PER_MS;
const LONGEST_PATIENCE_NS: u64 = 1_000 * NS_PER_MS;
/// A venue that was away answers one after another: so long after its first answer the silent one's is there, too.
const IN_TURN_NS: u64 = 40 * NS_PER_MS;
/// A timer may be so late on a machine that has time.
const LATE_NS: u64 = 10 * NS_PER_MS;

#[derive(Debug, Clone, Copy)]
struct Answered {
    sent_ns: u64,
    answered_ns: u64,
}

/// What the probes of one host's connections have shown.
#[derive(Debug)]
pub struct Probes {
    patience: Patience,
    pause_ns: u64,
    /// Of the last `pause`, oldest answer first.
    answers: VecDeque<Answered>,
}

impl Probes {
    /// Nothing is known. `floor_ns`: least silence of one connection that counts; `pause_ns`: that of all of them.
    #[must_use]
    pub const fn new(floor_ns: u64, pause_ns: u64, now_ns: u64) -> Self {
        Self {
            patience: Patience::new(floor_ns, now_ns),
            pause_ns,
            answers: VecDeque::new(),
        }
    }

    /// How many of a lane's idle connections are asked at a time.
    #[must_use]
    pub const fn due(idle: usize) -> usize {
        idle / 2
    }

    /// How long to wait for an answer.
    #[must_use]
    pub fn limit_ns(&self) -> u64 {
        self.patience.limit_ns()
    }

    /// This process was woken so late: on a machine so busy an answer may take as long, there and back.
    pub fn note_lateness(&mut self, late_ns: u64, now_ns: u64) {
        if late_ns > LATE_NS {
            self.patience.measure(2 * late_ns, now_ns);
        }
    }

    /// What was asked at `sent_ns` is answered.
    pub fn answered(&mut self, sent_ns: u64, now_ns: u64) {
        let round_trip_ns = now_ns.saturating_sub(sent_ns);
        // How long a venue was away says nothing of the way to it.
        if round_trip_ns <= self.limit_ns() || self.is_overtaken(sent_ns, now_ns) {
            self.patience.measure(round_trip_ns, now_ns);
        }
        let pause_ns = self.pause_ns;
        let is_old = |answer: &Answered| answer.answered_ns + pause_ns < now_ns;
        while self.answers.front().is_some_and(is_old) {
            self.answers.pop_front();
        }
        self.answers.push_back(Answered {
            sent_ns,
            answered_ns: now_ns,
        });
    }

    /// Whether the silence since `sent_ns` is the connection's own, or has become too long for any venue.
    #[must_use]
    pub fn is_broken(&self, sent_ns: u64, now_ns: u64) -> bool {
        let silent_ns = now_ns.saturating_sub(sent_ns);
        silent_ns >= self.pause_ns || (silent_ns >= self.limit_ns() && self.is_overtaken(sent_ns, now_ns))
    }

    /// Whether anything was answered since then.
    #[must_use]
    pub fn has_answer_since(&self, began_ns: u64) -> bool {
        let last = self.answers.back();
        last.is_some_and(|last| last.answered_ns >= began_ns)
    }

    /// Whether something was answered lately: the way is there, whatever one connection waits for.
    #[must_use]
    pub fn is_way_open(&self, interval_ns: u64, now_ns: u64) -> bool {
        let last = self.answers.back();
        last.is_some_and(|last| now_ns <= last.answered_ns + self.limit_ns() + interval_ns)
    }

    fn is_overtaken(&self, sent_ns: u64, now_ns: u64) -> bool {
        let mut later = self.answers.iter().filter(|answer| answer.sent_ns >= sent_ns);
        later.any(|answer| answer.answered_ns + IN_TURN_NS <= now_ns)
    }
}

/// Round trips of one kind of request: how long to wait for the next before the way counts as gone.
///
/// ```text
/// patience = max(floor, 1.5 × the longest of the last 15 to 30 s + 25 ms), at most 1 s
/// ```
///
/// The longest, not a mean: jitter and a busy venue must not look like a black hole. A late answer counts, too: it
/// proves that the alarm was false, and the next one waits longer.
#[derive(Debug)]
pub struct Patience {
    floor_ns: u64,
    longest_ns: [u64; 2],
    turn_ns: u64,
}

impl Patience {
    /// Nothing has been measured: what is not known gets all the time there is.
    #[must_use]
    pub const fn new(floor_ns: u64, now_ns: u64) -> Self {
        Self {
            floor_ns,
            longest_ns: [0, 0],
            turn_ns: now_ns + SPAN_NS,
        }
    }

    /// One answer took so long.
    pub fn measure(&mut self, round_trip_ns: u64, now_ns: u64) {
        if now_ns >= self.turn_ns {
            self.longest_ns = [0, self.longest_ns[0]];
            self.turn_ns = now_ns + SPAN_NS;
        }
        self.longest_ns[0] = self.longest_ns[0].max(round_trip_ns).max(1);
    }

    /// How long to wait for an answer.
    #[must_use]
    pub fn limit_ns(&self) -> u64 {
        self.learnt_ns().unwrap_or(LONGEST_PATIENCE_NS)
    }

    /// The same, once something has been measured.
    #[must_use]
    pub fn learnt_ns(&self) -> Option<u64> {
        let longest_ns = self.longest_ns[0].max(self.longest_ns[1]);
        (longest_ns > 0).then(|| {
            let wanted_ns = longest_ns + longest_ns / 2 + MARGIN_NS;
            wanted_ns.clamp(self.floor_ns, LONGEST_PATIENCE_NS.max(self.floor_ns))
        })
    }
}
