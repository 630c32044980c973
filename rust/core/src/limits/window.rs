//! A sliding window of requests, counted in slots of its span.
//!
//! A request stays counted for the span plus twice the send jitter (two requests can arrive that much closer
//! than they were sent) and until its slot is over: at most two slots longer than the venue counts it, never shorter.
//! A request that is answered later than that is counted anew, as of its answer less twice the jitter.
//! At the window's own rate the jitter costs rate × 2J requests: the headroom. Slots make the counters a few
//! kilobytes of plain numbers whatever the limit is.

/// Slots of a span: the more, the less of a window is lost, and the larger the counters are.
pub(super) const FINE: u64 = 600;
pub(super) const COARSE: u64 = 200;
const MOST_SPANS: u64 = 64;

/// So many requests in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLimit {
    /// Requests.
    pub requests: u32,
    /// Span in seconds.
    pub span_s: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    pub limit: WindowLimit,
    slot_ns: u64,
    slots: Vec<u32>,
    newest: u64,
    count: u32,
    pub highest: u32,
}

impl Window {
    pub fn new(limit: WindowLimit, jitter_ns: u64, slots_per_span: u64) -> Self {
        let span_ns = u64::from(limit.span_s.max(1)) * 1_000_000_000;
        let slot_ns = span_ns / slots_per_span;
        let held_ns = span_ns.saturating_add(jitter_ns.saturating_mul(2));
        // The jitter is a fraction of a second; a wild one must not ask for all memory.
        let held_slots = held_ns.div_ceil(slot_ns).min(MOST_SPANS * slots_per_span);
        Self {
            limit,
            slot_ns,
            slots: vec![0; usize::try_from(held_slots).unwrap_or(usize::MAX) + 1],
            newest: 0,
            count: 0,
            highest: 0,
        }
    }

    /// Requests that may still be sent now.
    pub fn free(&mut self, now_ns: u64) -> u32 {
        self.advance(now_ns);
        self.limit.requests.saturating_sub(self.count)
    }

    pub fn add(&mut self, requests: u32, now_ns: u64) {
        self.advance(now_ns);
        let slot = self.slot(self.newest);
        self.slots[slot] = self.slots[slot].saturating_add(requests);
        self.count = self.count.saturating_add(requests);
        self.highest = self.highest.max(self.count);
    }

    /// A request that was counted at `paid_ns` arrived later, at `at_ns`.
    pub fn postpone(&mut self, paid_ns: u64, at_ns: u64) {
        self.advance(at_ns);
        let (paid, at) = (paid_ns / self.slot_ns, at_ns / self.slot_ns);
        let oldest = (self.newest + 1).saturating_sub(self.slots.len() as u64);
        let (from, to) = (self.slot(paid), self.slot(at));
        // Counters that were restored may not know it.
        if oldest <= paid && paid < at && at <= self.newest && self.slots[from] > 0 {
            self.slots[from] -= 1;
            self.slots[to] = self.slots[to].saturating_add(1);
        }
    }

    pub fn words(&self) -> impl Iterator<Item = u64> {
        let counts = self.slots.iter().map(|count| u64::from(*count));
        [self.newest, self.highest.into()].into_iter().chain(counts)
    }

    /// How many words there are.
    pub fn words_len(&self) -> usize {
        2 + self.slots.len()
    }

    /// Take back words of a window of the same form; false when they are not.
    pub fn restore(&mut self, words: &[u64]) -> bool {
        let (Some((&[newest, highest], counts)), true) =
            (words.split_first_chunk::<2>(), words.len() == self.words_len())
        else {
            return false;
        };
        for (slot, count) in self.slots.iter_mut().zip(counts) {
            let Ok(count) = u32::try_from(*count) else {
                return false;
            };
            *slot = count;
        }
        self.newest = newest;
        self.count = self.slots.iter().fold(0, |sum, count| sum.saturating_add(*count));
        self.highest = u32::try_from(highest).unwrap_or(u32::MAX);
        true
    }

    /// Forget the slots that have left; a clock that steps back changes nothing.
    fn advance(&mut self, now_ns: u64) {
        let current = now_ns / self.slot_ns;
        if current <= self.newest {
            return;
        }
        let gone = (current - self.newest).min(self.slots.len() as u64);
        for step in 1..=gone {
            let slot = self.slot(current - gone + step);
            self.count -= std::mem::take(&mut self.slots[slot]);
        }
        self.newest = current;
    }

    fn slot(&self, index: u64) -> usize {
        usize::try_from(index % self.slots.len() as u64).unwrap_or(0)
    }
}
