//! Pauses that double while somebody refuses.

use std::time::Duration;

const LONGEST: Duration = Duration::from_secs(2);

/// How long to wait before the next try.
pub struct Pauses {
    first: Duration,
    next: Duration,
}

impl Pauses {
    /// Beginning with this one.
    pub const fn new(first: Duration) -> Self {
        Self { first, next: first }
    }

    /// After another failure.
    pub fn grow(&mut self) -> Duration {
        let pause = self.next;
        self.next = (2 * pause).min(LONGEST);
        pause
    }

    /// After a success: the next failure is a first one.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LONGEST, Pauses};

    #[test]
    fn who_refuses_is_asked_less_and_less() {
        let first = Duration::from_millis(100);
        let mut pauses = Pauses::new(first);
        let waited: Vec<Duration> = (0..20).map(|_| pauses.grow()).collect();
        assert_eq!(waited[..3], [first, 2 * first, 4 * first]);
        assert_eq!(waited[19], LONGEST);
        pauses.reset();
        assert_eq!(pauses.grow(), first, "after a good one it begins anew");
    }
}
