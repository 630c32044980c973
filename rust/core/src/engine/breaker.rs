//! The circuit breaker of a route to the venue: what a request met, by cause, and what may follow.
//!
//! ```text
//! reset, time-out, TLS, proxy 407/502   move to the standby connections (failover.rs); the route stays
//! nothing gets through, elsewhere it does  the same over the next declared route, once the region has been asked there
//! HTML page of the CDN                  the same, `switches_per_day` times in any 24 h; then a halt
//! 425                                   wait 1–2 s, doubling to 30 s; one place tries; then post-only for 2 min
//! 503 post-only                         quoting goes on: nothing but post-only orders is ever sent
//! 503 cancel-only, disabled             cancels only; one place tries, 1–2 s doubling to 30 s
//! 429                                   wait as told, else as above; cancels keep their own budget
//! no answer, though probes are answered  as suspicion.rs says: as a reset, or the venue is slow; either way it gets
//!                                       one place request at a time for a while
//! ```
//!
//! A refusal of the region or the account is no matter of routes: it halts (machine.rs), and no route ever moves
//! because of it. Source: egress.md, "A 403 is not one thing"; polymarket.md §6.3.

use std::collections::VecDeque;

const NS_PER_MS: u64 = 1_000_000;
const FIRST_PAUSE_NS: u64 = 1_000 * NS_PER_MS;
const LONGEST_PAUSE_NS: u64 = 30_000 * NS_PER_MS;
const POST_ONLY_NS: u64 = 120_000 * NS_PER_MS;
const SLOW_NS: u64 = 5_000 * NS_PER_MS;
const DAY_MS: u64 = 86_400_000;

/// What a request met on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The connection broke, or fell silent.
    Transport(String),
    /// The matching engine restarts.
    Restarting,
    /// Only post-only orders and cancels are taken, for so long if the venue said.
    PostOnly(Option<u64>),
    /// Only cancels are taken.
    CancelOnly,
    /// Nothing is taken.
    Disabled,
    /// Too many requests; for how many ns to wait, if the venue said.
    Throttled(Option<u64>),
    /// A request waits much longer than the way there and back takes, which others are answered on.
    Slow,
    /// Nothing gets through here, and over the next declared route the venue answers.
    Unreachable,
    /// A page of the CDN instead of the venue's answer: it refuses this address.
    CdnPage,
}

/// What the venue takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Everything.
    #[default]
    Normal,
    /// Nothing, for a minute or two.
    Restarting,
    /// Post-only orders and cancels.
    PostOnly,
    /// Cancels.
    CancelOnly,
    /// Nothing.
    Disabled,
    /// Fewer requests.
    Throttled,
}

impl Mode {
    /// As it is shown to people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Restarting => "restarting",
            Self::PostOnly => "post-only",
            Self::CancelOnly => "cancel-only",
            Self::Disabled => "disabled",
            Self::Throttled => "throttled",
        }
    }
}

/// The breaker of one route.
#[derive(Debug, Default)]
pub struct Breaker {
    mode: Mode,
    /// Places wait until then; afterwards one of them tries.
    until_ns: u64,
    pause_ns: u64,
    is_trying: bool,
    slow_until_ns: u64,
    switches_ms: VecDeque<u64>,
}

impl Breaker {
    /// With the moves that earlier lives made because of the CDN, in ms of the venue's clock.
    #[must_use]
    pub fn new(switches_ms: Vec<u64>) -> Self {
        Self {
            switches_ms: switches_ms.into(),
            ..Self::default()
        }
    }

    /// A request met this; `spread` in [0, 1) keeps several from trying in step.
    pub fn meet(&mut self, cause: &Cause, spread: f64, now_ns: u64) {
        let mode = match cause {
            Cause::Transport(_) | Cause::CdnPage | Cause::Unreachable => return,
            Cause::Slow => {
                self.slow_until_ns = now_ns + SLOW_NS;
                return;
            }
            Cause::PostOnly(wait_ns) => {
                self.mode = Mode::PostOnly;
                self.until_ns = now_ns.saturating_add(wait_ns.unwrap_or(POST_ONLY_NS).min(POST_ONLY_NS));
                self.pause_ns = 0;
                return;
            }
            Cause::Restarting => Mode::Restarting,
            Cause::CancelOnly => Mode::CancelOnly,
            Cause::Disabled => Mode::Disabled,
            Cause::Throttled(_) => Mode::Throttled,
        };
        let is_news = mode != self.mode || self.is_trying || now_ns >= self.until_ns;
        self.mode = mode;
        if !is_news {
            // Requests that were under way together are one refusal.
            return;
        }
        self.is_trying = false;
        self.pause_ns = if self.pause_ns == 0 {
            FIRST_PAUSE_NS
        } else {
            (self.pause_ns * 2).min(LONGEST_PAUSE_NS)
        };
        let spread_ns = (FIRST_PAUSE_NS as f64 * spread.clamp(0.0, 1.0)) as u64;
        let mut wait_ns = (self.pause_ns + spread_ns).min(LONGEST_PAUSE_NS);
        if let Cause::Throttled(Some(told_ns)) = cause {
            wait_ns = (*told_ns).clamp(FIRST_PAUSE_NS / 10, LONGEST_PAUSE_NS);
        }
        self.until_ns = now_ns + wait_ns;
    }

    /// What the venue takes now.
    #[must_use]
    pub const fn mode(&self, now_ns: u64) -> Mode {
        match self.mode {
            Mode::PostOnly if now_ns >= self.until_ns => Mode::Normal,
            Mode::Normal if now_ns < self.slow_until_ns => Mode::Throttled,
            mode => mode,
        }
    }

    /// What looked like a slow venue was a broken connection.
    pub const fn clear_slowness(&mut self) {
        self.slow_until_ns = 0;
    }

    /// Why no place may be sent while `under_way` requests with places are; None when one may.
    #[must_use]
    pub fn refusal(&self, under_way: usize, now_ns: u64) -> Option<String> {
        let mode = self.mode(now_ns);
        let is_held = match mode {
            Mode::Normal | Mode::PostOnly => return None,
            Mode::Throttled if self.mode == Mode::Normal => under_way > 0,
            _ => now_ns < self.until_ns || self.is_trying,
        };
        is_held.then(|| format!("venue: {}", mode.as_str()))
    }

    /// A place leaves: where places had to wait, it is the one that tries.
    pub fn place_sent(&mut self, now_ns: u64) {
        self.is_trying =
            !matches!(self.mode(now_ns), Mode::Normal | Mode::PostOnly) && self.mode != Mode::Normal;
    }

    /// A place was answered by the matching engine, or (`is_taken` false) nobody knows.
    pub fn place_answered(&mut self, is_taken: bool, now_ns: u64) {
        let has_tried = std::mem::take(&mut self.is_trying);
        // Refused once more, the wait is a new one.
        if has_tried && is_taken && now_ns >= self.until_ns {
            self.recover(now_ns);
        }
    }

    /// A cancel was carried out: the engine works; whether it takes places is not known from that.
    pub fn cancel_answered(&mut self, now_ns: u64) {
        match self.mode {
            Mode::Restarting => self.recover(now_ns),
            Mode::Disabled => self.mode = Mode::CancelOnly,
            _ => {}
        }
    }

    /// How long to wait before a cancel that failed is sent again: never a hot loop, never long.
    #[must_use]
    pub const fn cancel_pause_ns(&self, usual_ns: u64) -> u64 {
        match self.mode {
            Mode::Restarting | Mode::Disabled => FIRST_PAUSE_NS,
            _ => usual_ns,
        }
    }

    fn recover(&mut self, now_ns: u64) {
        self.pause_ns = 0;
        (self.mode, self.until_ns) = if self.mode == Mode::Restarting {
            (Mode::PostOnly, now_ns + POST_ONLY_NS)
        } else {
            (Mode::Normal, 0)
        };
    }

    /// Use one of the day's moves, if there is one left; what is to be written down then.
    pub fn switch(&mut self, per_day: u32, venue_ms: u64) -> Option<Vec<u64>> {
        if self.switches_left(per_day, venue_ms) == 0 {
            return None;
        }
        self.switches_ms.push_back(venue_ms);
        Some(self.switches_ms.iter().copied().collect())
    }

    /// Moves left of the last 24 h. One that is noted for the future counts: clocks err.
    pub fn switches_left(&mut self, per_day: u32, venue_ms: u64) -> u32 {
        self.switches_ms.retain(|at_ms| at_ms + DAY_MS > venue_ms);
        per_day.saturating_sub(u32::try_from(self.switches_ms.len()).unwrap_or(u32::MAX))
    }
}
