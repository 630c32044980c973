//! A token bucket that never promises more than the venue's own bucket holds when the request arrives.
//!
//! Requests sent within L arrive within L + 2J, J being the largest send jitter, so a bucket of
//! burst − rate × 2J on this side keeps one of `burst` on the venue's side. That is the headroom.
//!
//! A request that takes longer than that may find the venue's bucket full, and so earn nothing for the tokens that
//! it was to take. Therefore the bucket fills up to `burst − headroom − under way` only: whatever is under way can
//! then arrive at any time until it is answered, and this side never holds more than the venue's less what is to come.

use super::tier::Rate;

/// Parts of a token: a rate per second is then the same number of parts per nanosecond.
pub(super) const TOKEN: i64 = 1_000_000_000;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bucket {
    rate: Rate,
    headroom: i64,
    tokens: i64,
    filled_ns: u64,
    blocked_until_ns: u64,
    /// Tokens of requests that are not answered.
    under_way: i64,
}

impl Bucket {
    pub fn new(rate: Rate, jitter_ns: u64, now_ns: u64) -> Self {
        let mut bucket = Self {
            rate,
            headroom: 0,
            tokens: 0,
            filled_ns: now_ns,
            blocked_until_ns: 0,
            under_way: 0,
        };
        bucket.set_rate(rate, jitter_ns);
        bucket.tokens = bucket.most();
        bucket
    }

    /// Take another tier's rate; what is in the bucket stays, up to its new size.
    pub fn set_rate(&mut self, rate: Rate, jitter_ns: u64) {
        let twice_jitter = i64::try_from(jitter_ns.saturating_mul(2)).unwrap_or(i64::MAX);
        self.rate = rate;
        // At least a token is left of the burst, however large the jitter.
        let most = (i64::from(rate.burst) - 1) * TOKEN;
        self.headroom = twice_jitter.saturating_mul(rate.per_s.into()).min(most);
        self.tokens = self.tokens.min(self.most());
    }

    /// Whole tokens at `now_ns`; negative in debt.
    pub fn tokens(&self, now_ns: u64) -> i64 {
        self.parts(now_ns).div_euclid(TOKEN)
    }

    /// Share of the bucket that is full at `now_ns`, never below one token.
    pub fn fill(&self, now_ns: u64) -> f64 {
        self.parts(now_ns).max(TOKEN) as f64 / self.capacity() as f64
    }

    /// Whole tokens when it is full.
    pub fn size(&self) -> i64 {
        self.capacity() / TOKEN
    }

    /// Take tokens out, or put them back where negative; into debt if need be.
    pub fn take(&mut self, tokens: i64, now_ns: u64) {
        self.tokens = self
            .parts(now_ns)
            .saturating_sub(tokens.saturating_mul(TOKEN))
            .min(self.most());
        self.filled_ns = self.filled_ns.max(now_ns);
    }

    /// Tokens that were taken are on their way to the venue, or arrived there if negative.
    pub fn carry(&mut self, tokens: i64, now_ns: u64) {
        self.take(0, now_ns);
        self.under_way = self.under_way.saturating_add(tokens.saturating_mul(TOKEN)).max(0);
        self.tokens = self.tokens.min(self.most());
    }

    /// Whole tokens of requests that are not answered.
    pub const fn under_way(&self) -> i64 {
        self.under_way / TOKEN
    }

    /// The venue says less is left than we thought.
    pub fn lower_to(&mut self, tokens: f64, now_ns: u64) {
        // A cast saturates. No header may forbid cancels for longer than it takes to refill ten bursts.
        let parts = (tokens * TOKEN as f64) as i64;
        let parts = parts.max(-10 * i64::from(self.rate.burst) * TOKEN);
        self.tokens = self.parts(now_ns).min(parts);
        self.filled_ns = self.filled_ns.max(now_ns);
    }

    /// The venue floors its bucket at zero, so ours lies at most the headroom below.
    pub fn forgive_debt(&mut self) {
        self.tokens = self.tokens.max(-self.headroom);
    }

    /// How long until so many whole tokens are there, at most the time to a full bucket.
    pub fn wait_ns(&self, tokens: i64, now_ns: u64) -> u64 {
        let wanted = tokens.saturating_mul(TOKEN).min(self.capacity());
        let missing = wanted.saturating_sub(self.parts(now_ns)).max(0);
        missing.unsigned_abs().div_ceil(u64::from(self.rate.per_s.max(1)))
    }

    pub fn block_until(&mut self, until_ns: u64) {
        self.blocked_until_ns = self.blocked_until_ns.max(until_ns);
    }

    pub fn is_blocked(&self, now_ns: u64) -> bool {
        now_ns < self.blocked_until_ns
    }

    pub fn words(&self) -> [u64; 3] {
        [self.tokens as u64, self.filled_ns, self.blocked_until_ns]
    }

    pub fn restore(&mut self, words: [u64; 3]) {
        self.tokens = (words[0] as i64).min(self.most());
        [_, self.filled_ns, self.blocked_until_ns] = words;
    }

    fn parts(&self, now_ns: u64) -> i64 {
        let elapsed = i64::try_from(now_ns.saturating_sub(self.filled_ns)).unwrap_or(i64::MAX);
        let earned = elapsed.saturating_mul(self.rate.per_s.into());
        self.tokens.saturating_add(earned).min(self.most())
    }

    /// What it may hold now.
    fn most(&self) -> i64 {
        self.capacity() - self.under_way
    }

    fn capacity(&self) -> i64 {
        i64::from(self.rate.burst) * TOKEN - self.headroom
    }
}
