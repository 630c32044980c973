//! How long someone has been silent, in time that we were awake ourselves.
//!
//! A process that was stopped, or a machine that stood still, finds old deadlines behind it and the words of the
//! others still unread. So each look counts at most [`MOST_AT_ONCE_NS`]: silence is what was listened to.

/// The longest pause between two looks of a healthy process.
const MOST_AT_ONCE_NS: u64 = 100_000_000;

/// Somebody who has to speak at least every `limit_ns`.
#[derive(Debug, Clone)]
pub struct Silence {
    limit_ns: u64,
    silent_ns: u64,
    looked_ns: u64,
}

impl Silence {
    /// Begin to listen.
    #[must_use]
    pub const fn new(limit_ns: u64, now_ns: u64) -> Self {
        Self {
            limit_ns,
            silent_ns: 0,
            looked_ns: now_ns,
        }
    }

    /// They have spoken.
    pub fn hear(&mut self, now_ns: u64) {
        self.silent_ns = 0;
        self.looked_ns = self.looked_ns.max(now_ns);
    }

    /// Whether the silence has lasted for the limit; look often, and after everything that waited was read.
    pub fn look(&mut self, now_ns: u64) -> bool {
        let passed_ns = now_ns.saturating_sub(self.looked_ns).min(MOST_AT_ONCE_NS);
        self.silent_ns = self.silent_ns.saturating_add(passed_ns);
        self.looked_ns = self.looked_ns.max(now_ns);
        self.silent_ns >= self.limit_ns
    }
}

#[cfg(test)]
mod tests {
    use super::Silence;

    const MS: u64 = 1_000_000;

    #[test]
    fn silence_is_over_the_limit_at_the_limit_and_ends_with_a_word() {
        let mut silence = Silence::new(300 * MS, 0);
        assert!((1..6).all(|step| !silence.look(step * 50 * MS)));
        assert!(silence.look(300 * MS));
        silence.hear(310 * MS);
        assert!(!silence.look(400 * MS));
    }

    #[test]
    fn the_time_in_which_nobody_looked_counts_little() {
        let mut silence = Silence::new(500 * MS, 0);
        assert!(!silence.look(3_600_000 * MS));
        assert!(!silence.look(3_600_100 * MS));
        silence.hear(3_600_101 * MS);
        assert!(!silence.look(3_600_500 * MS));
        assert!(!silence.look(0), "a clock that steps back adds nothing");
    }
}
