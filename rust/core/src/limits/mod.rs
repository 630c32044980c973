//! What may still be sent: windows of requests per route and endpoint, buckets of orders and cancels per signer.
//!
//! ```text
//! windows (an address, sliding)   POST /order 3,500 / 10 s, 36,000 / 600 s   DELETE /order 3,000, 30,000   …
//! buckets (a signer, by tier)     orders and cancels, each rate × time up to a burst; Standard 40/60, 80/120
//! cost                            a place or cancel 1 an order; cancel-all 1, and 1 more per cancelled order
//! ```
//!
//! The venue counts when a request arrives, which is up to `jitter_ns` before or after its nominal time; `Window`
//! and `Bucket` leave the headroom for that. One that takes longer (a new connection, a slow disk or line) may arrive
//! at any time until it is answered: tell `depart` and `arrive`. A batch also counts against its single endpoint: a rule that matched
//! by prefix would count it so.
//!
//! **Cancels come first.** The venue admits a cancel by id only while its bucket holds a token for each, a
//! cancel-all for one token; the rest of that one is debited afterwards, into debt up to Gold, floored at zero
//! from Platinum. So that everything open can always be withdrawn:
//!
//! ```text
//! ordinary cancels  leave RESERVE of the bucket and of each window to the withdrawals
//! places            only while  open + new ≤ cancel tokens − reserve + debt,  and the reserve is whole
//!                   debt = what refills in MAX_DEBT_S where the tier has debt, else 0
//! withdrawals       by id while the tokens last, else by cancel-all; never refused while an order is open
//! ```
//!
//! From Platinum everything open can then be cancelled by id; below, a cancel-all leaves the bucket in debt for
//! at most MAX_DEBT_S. Sources: polymarket.md §6.1 (the older set), §6.2, design.md §7.

mod bucket;
mod headers;
mod request;
mod tier;
mod window;

use bucket::Bucket;
pub use headers::Headers;
pub use request::{BucketName, Refusal, Request, Withdrawal};
use request::{Endpoint, RESERVE, reserved};
pub use tier::{Rate, Tier};
use window::Window;
pub use window::WindowLimit;

/// How long a cancel-all may block later cancels.
const MAX_DEBT_S: i64 = 1;
const MAGIC: u64 = u64::from_le_bytes(*b"clawlim1");

/// The venue's limits and how exactly we keep time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Assumed until a header says otherwise.
    pub tier: Tier,
    /// Addresses to send from.
    pub routes: usize,
    /// How much earlier or later than nominal a request can arrive.
    pub jitter_ns: u64,
    /// Requests to `POST /order` in 10 s and in 600 s.
    pub place_requests: [u32; 2],
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            tier: Tier::Standard,
            routes: 1,
            jitter_ns: 50_000_000,
            place_requests: Endpoint::PlaceOne.published(),
        }
    }
}

/// The limits of one signer over its routes; a route is a number below `LimitSettings::routes`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    settings: LimitSettings,
    tier: Tier,
    orders: Bucket,
    cancels: Bucket,
    windows: Vec<Window>,
    /// Of the place windows; the rest belongs to other engines behind the same address.
    window_share: f64,
    most_debt: i64,
    /// Whether anything was counted or corrected that was not saved.
    is_unsaved: bool,
}

impl Limits {
    /// Nothing has been sent yet.
    #[must_use]
    pub fn new(settings: LimitSettings, now_ns: u64) -> Self {
        let jitter_ns = settings.jitter_ns;
        let route = Endpoint::ALL.into_iter().flat_map(|endpoint| {
            let requests = match endpoint {
                Endpoint::PlaceOne => settings.place_requests,
                _ => endpoint.published(),
            };
            // What quoting is limited by is counted finely.
            let slots = match endpoint {
                Endpoint::PlaceOne => window::FINE,
                _ => window::COARSE,
            };
            [(requests[0], 10), (requests[1], 600)]
                .map(|(requests, span_s)| Window::new(WindowLimit { requests, span_s }, jitter_ns, slots))
        });
        let route: Vec<Window> = route.collect();
        Self {
            settings,
            tier: settings.tier,
            orders: Bucket::new(settings.tier.orders(), jitter_ns, now_ns),
            cancels: Bucket::new(settings.tier.cancels(), jitter_ns, now_ns),
            windows: vec![route; settings.routes.max(1)].concat(),
            window_share: 1.0,
            most_debt: 0,
            is_unsaved: false,
        }
    }

    /// What was sent is not known: every counter is full, and only the withdrawals' reserve of requests is left.
    #[must_use]
    pub fn after_loss(settings: LimitSettings, now_ns: u64) -> Self {
        let mut limits = Self::new(settings, now_ns);
        for bucket in [&mut limits.orders, &mut limits.cancels] {
            bucket.lower_to(0.0, now_ns);
        }
        for route in 0..settings.routes.max(1) {
            for endpoint in Endpoint::ALL {
                for window in limits.windows_of(route, endpoint) {
                    let used = window.limit.requests - reserved(endpoint, window.limit);
                    window.add(used, now_ns);
                    window.highest = 0;
                }
            }
        }
        limits
    }

    /// Pay for a request that is about to be sent on a route; a refused one costs nothing.
    ///
    /// # Errors
    /// When the venue could refuse it, or it would cost what a withdrawal may need.
    pub fn admit(&mut self, route: usize, request: Request, now_ns: u64) -> Result<(), Refusal> {
        let cancel_tokens = self.cancels.tokens(now_ns);
        let reserve = self.reserve();
        let (endpoint, asked) = request.cost();
        if self.bucket_of(request).is_blocked(now_ns) {
            return Err(Refusal::Blocked);
        }
        let (what, left) = match request {
            Request::Place { .. } => ("orders", self.orders.tokens(now_ns)),
            Request::Cancel { .. } | Request::CancelMarket { .. } => ("cancels", cancel_tokens - reserve),
        };
        if left < i64::from(asked) {
            return Err(Refusal::Tokens { what, asked, left });
        }
        if let Request::Place { orders, open } = request {
            let debt = if self.tier.has_debt() {
                MAX_DEBT_S * i64::from(self.tier.cancels().per_s)
            } else {
                0
            };
            let would_be_open = i64::from(open) + i64::from(orders);
            let allowed = if cancel_tokens > reserve {
                cancel_tokens - reserve + debt
            } else {
                0
            };
            if would_be_open > allowed {
                return Err(Refusal::TooManyOpen {
                    open: would_be_open,
                    allowed,
                });
            }
        }
        self.pay_window(route, endpoint, true, now_ns)?;
        self.bucket_of(request).take(asked.into(), now_ns);
        Ok(())
    }

    /// Pay for withdrawing `orders` of the `open` ones; by id if the tokens last, else everything.
    ///
    /// # Errors
    /// Only with nothing open, in the debt of an earlier withdrawal, or when a window is full to the brim.
    pub fn withdraw(
        &mut self,
        route: usize,
        orders: u32,
        open: u32,
        now_ns: u64,
    ) -> Result<Withdrawal, Refusal> {
        let left = self.cancels.tokens(now_ns);
        let endpoint = if orders > 1 {
            Endpoint::CancelMany
        } else {
            Endpoint::CancelOne
        };
        // By id only if a token is left for those that stay open.
        let needed = i64::from(orders) + i64::from(open > orders);
        if orders == 0 || left < needed || self.pay_window(route, endpoint, false, now_ns).is_err() {
            return self.withdraw_all(route, open, now_ns).map(|()| Withdrawal::All);
        }
        self.cancels.take(orders.into(), now_ns);
        Ok(Withdrawal::ByIds)
    }

    /// Pay for one cancel-all with `open` orders open or under way; tell `settle` what it cancelled.
    ///
    /// # Errors
    /// In the debt of an earlier withdrawal, or when its window is full to the brim.
    pub fn withdraw_all(&mut self, route: usize, open: u32, now_ns: u64) -> Result<(), Refusal> {
        let left = self.cancels.tokens(now_ns);
        if left < 1 {
            return Err(Refusal::Tokens {
                what: "cancels",
                asked: 1,
                left,
            });
        }
        self.pay_window(route, Endpoint::CancelAll, false, now_ns)?;
        self.debit(i64::from(open) + 1, now_ns);
        Ok(())
    }

    /// A cancel-all or cancel-market that paid for `expected` orders has cancelled so many.
    pub fn settle(&mut self, expected: u32, cancelled: u32, now_ns: u64) {
        self.debit(i64::from(cancelled) - i64::from(expected), now_ns);
    }

    /// A request that was paid for sets out; `arrive` is due for it once, with the same time.
    pub fn depart(&mut self, request: Request, now_ns: u64) {
        let (_, tokens) = request.cost();
        self.bucket_of(request).carry(tokens.into(), now_ns);
    }

    /// A request that set out at `paid_ns` is answered or given up: if ever, it has reached the venue.
    pub fn arrive(&mut self, route: usize, request: Request, paid_ns: u64, now_ns: u64) {
        let (endpoint, tokens) = request.cost();
        self.bucket_of(request).carry(-i64::from(tokens), now_ns);
        let at_ns = now_ns.saturating_sub(self.settings.jitter_ns.saturating_mul(2));
        if at_ns > paid_ns {
            self.is_unsaved = true;
            for counted in endpoint.counted_at() {
                for window in self.windows_of(route, *counted) {
                    window.postpone(paid_ns, at_ns);
                }
            }
        }
    }

    /// Take in what the venue says of a bucket; `venue_ms` is its clock, `now_ns` ours.
    pub fn correct(&mut self, name: BucketName, headers: &Headers<'_>, venue_ms: u64, now_ns: u64) {
        let report = headers.report(venue_ms);
        self.is_unsaved = true;
        if let Some(tier) = report.tier {
            self.set_tier(tier, now_ns);
        }
        let bucket = match name {
            BucketName::Orders => &mut self.orders,
            BucketName::Cancels => &mut self.cancels,
        };
        if let Some(remaining) = report.remaining {
            // What is under way is still to be taken from that, which also heals what two clocks make of a second.
            // Of cancels only what the venue says: some of them have arrived, and withdrawals must not wait for that.
            let to_come = match name {
                BucketName::Orders => bucket.under_way() as f64,
                BucketName::Cancels => 0.0,
            };
            bucket.lower_to(remaining - to_come, now_ns);
        }
        if let Some(wait_ns) = report.wait_ns {
            bucket.block_until(now_ns.saturating_add(wait_ns));
        }
    }

    /// What an order token is worth, in units of its worth when half of it all is left.
    ///
    /// size / tokens − 1, the marginal price of a logarithmic barrier, of whichever is scarcest: the order bucket
    /// or a window of places on any route. 0 when full, 1 at half, finite when empty.
    pub fn shadow_price(&mut self, now_ns: u64) -> f64 {
        let mut fill = self.orders.fill(now_ns);
        for route in 0..self.settings.routes.max(1) {
            for window in self.windows_of(route, Endpoint::PlaceOne) {
                let size = f64::from(window.limit.requests.max(1));
                fill = fill.min(f64::from(window.free(now_ns).max(1)) / size);
            }
        }
        (1.0 / fill - 1.0).max(0.0)
    }

    /// The most place requests any route has had in its 10 s and 600 s windows, as this side counts.
    #[must_use]
    pub fn highest_places(&self) -> [u32; 2] {
        let per_route = 2 * Endpoint::ALL.len();
        let highest = |index: usize| {
            let routes = self.windows.chunks(per_route);
            routes.map(|windows| windows[index].highest).max().unwrap_or(0)
        };
        [highest(0), highest(1)]
    }

    /// Whole tokens of a bucket, less the headroom; negative in debt.
    #[must_use]
    pub fn tokens(&self, name: BucketName, now_ns: u64) -> i64 {
        match name {
            BucketName::Orders => self.orders.tokens(now_ns),
            BucketName::Cancels => self.cancels.tokens(now_ns),
        }
    }

    /// Use so much of the place windows, above 0 and at most 1; anything else changes nothing.
    pub fn set_window_share(&mut self, share: f64) {
        if share > 0.0 && share <= 1.0 {
            self.window_share = share;
        }
    }

    /// How long until the order bucket holds tokens for so many orders; 0 when it does.
    #[must_use]
    pub fn place_wait_ns(&self, orders: usize, now_ns: u64) -> u64 {
        self.orders
            .wait_ns(i64::try_from(orders).unwrap_or(i64::MAX), now_ns)
    }

    /// Whole tokens of a full bucket, less the headroom.
    #[must_use]
    pub fn burst(&self, name: BucketName) -> i64 {
        match name {
            BucketName::Orders => self.orders.size(),
            BucketName::Cancels => self.cancels.size(),
        }
    }

    /// Requests with places in the 10 s and 600 s windows of the busiest route, now.
    pub fn places_now(&mut self, now_ns: u64) -> [u32; 2] {
        let mut most = [0, 0];
        for route in 0..self.settings.routes.max(1) {
            for (most, window) in most.iter_mut().zip(self.windows_of(route, Endpoint::PlaceOne)) {
                *most = (*most).max(window.limit.requests - window.free(now_ns));
            }
        }
        most
    }

    /// How many of those there may be.
    #[must_use]
    pub const fn place_limits(&self) -> [u32; 2] {
        self.settings.place_requests
    }

    /// The most cancel tokens that were ever owed in this life.
    #[must_use]
    pub const fn most_debt(&self) -> i64 {
        self.most_debt
    }

    /// The tier in force.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// All counters as plain numbers, for a file that outlives the process.
    #[must_use]
    pub fn save(&self, now_ns: u64) -> Vec<u64> {
        let tier = Tier::ALL.iter().position(|tier| *tier == self.tier);
        let mut words = vec![MAGIC, now_ns, tier.unwrap_or(0) as u64];
        words.extend(self.orders.words());
        words.extend(self.cancels.words());
        // Each in one piece: through one iterator over all of them it would take eight times as long.
        for window in &self.windows {
            words.extend(window.words());
        }
        words.push(checksum(&words));
        words
    }

    /// [`Limits::save`], if anything has changed since the last call.
    pub fn take_unsaved(&mut self, now_ns: u64) -> Option<Vec<u64>> {
        std::mem::take(&mut self.is_unsaved).then(|| self.save(now_ns))
    }

    /// Go on with saved counters; where they are not whole, or from the future, they count as full.
    #[must_use]
    pub fn restore(settings: LimitSettings, words: &[u64], now_ns: u64) -> Self {
        Self::read(settings, words, now_ns).unwrap_or_else(|| Self::after_loss(settings, now_ns))
    }

    fn read(settings: LimitSettings, words: &[u64], now_ns: u64) -> Option<Self> {
        let (sum, words) = words.split_last()?;
        let (&[magic, saved_ns, tier], rest) = words.split_first_chunk()?;
        let (orders, rest) = rest.split_first_chunk()?;
        let (cancels, mut rest) = rest.split_first_chunk()?;
        if *sum != checksum(words) || magic != MAGIC || saved_ns > now_ns {
            return None;
        }
        let mut limits = Self::new(settings, now_ns);
        limits.set_tier(*Tier::ALL.get(usize::try_from(tier).ok()?)?, now_ns);
        limits.orders.restore(*orders);
        limits.cancels.restore(*cancels);
        for window in &mut limits.windows {
            let (own, others) = rest.split_at_checked(window.words_len())?;
            if !window.restore(own) {
                return None;
            }
            rest = others;
        }
        rest.is_empty().then_some(limits)
    }

    fn set_tier(&mut self, tier: Tier, now_ns: u64) {
        // Earned until now at the old rate.
        self.orders.take(0, now_ns);
        self.cancels.take(0, now_ns);
        self.tier = tier;
        self.orders.set_rate(tier.orders(), self.settings.jitter_ns);
        self.cancels.set_rate(tier.cancels(), self.settings.jitter_ns);
    }

    /// Cancel tokens that only withdrawals may use.
    #[must_use]
    pub fn reserve(&self) -> i64 {
        (self.cancels.size() / i64::from(RESERVE)).max(1)
    }

    fn debit(&mut self, tokens: i64, now_ns: u64) {
        self.is_unsaved = true;
        self.cancels.take(tokens, now_ns);
        if !self.tier.has_debt() {
            self.cancels.forgive_debt();
        }
        self.most_debt = self.most_debt.max(-self.cancels.tokens(now_ns));
    }

    fn pay_window(
        &mut self,
        route: usize,
        endpoint: Endpoint,
        is_ordinary: bool,
        now_ns: u64,
    ) -> Result<(), Refusal> {
        let window_share = self.window_share;
        for counted in endpoint.counted_at() {
            for window in self.windows_of(route, *counted) {
                let kept = if counted.is_place() {
                    let own = f64::from(window.limit.requests) * window_share;
                    window.limit.requests.saturating_sub(own as u32)
                } else if is_ordinary {
                    reserved(*counted, window.limit)
                } else {
                    0
                };
                if window.free(now_ns) <= kept {
                    let (name, limit) = (counted.as_str(), window.limit);
                    return Err(Refusal::Window { name, limit });
                }
            }
        }
        self.is_unsaved = true;
        for counted in endpoint.counted_at() {
            for window in self.windows_of(route, *counted) {
                window.add(1, now_ns);
            }
        }
        Ok(())
    }

    const fn bucket_of(&mut self, request: Request) -> &mut Bucket {
        match request {
            Request::Place { .. } => &mut self.orders,
            Request::Cancel { .. } | Request::CancelMarket { .. } => &mut self.cancels,
        }
    }

    fn windows_of(&mut self, route: usize, endpoint: Endpoint) -> &mut [Window] {
        let first = 2 * (route * Endpoint::ALL.len() + endpoint as usize);
        &mut self.windows[first..first + 2]
    }
}

fn checksum(words: &[u64]) -> u64 {
    words.iter().fold(MAGIC, |sum, word| {
        (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
    })
}
