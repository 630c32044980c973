//! Whether this region may trade: without a clear yes nothing is placed, and a clear no halts.
//!
//! ```text
//! asked    at the start, every 60 s, when a route breaks (the network may be another one), after each 403
//! blocked  a halt, which a person lifts; it comes back while the answer is the same
//! unclear  (an error, a time-out, a field that is missing) nothing is placed until an answer says yes;
//!          asked again after 1 s, doubling to 30 s
//! ```
//!
//! Always over the host's own address. Cancels go on, and so does what reduces on the chain: merges and
//! redemptions. Source: egress.md, "Eligibility comes first".

use super::events::{Answer, Level, Request};
use super::machine::{Engine, Phase, Purpose};
use super::signing::SignOrder;

const NS_PER_S: u64 = 1_000_000_000;
const FIRST_PAUSE_NS: u64 = NS_PER_S;
const LONGEST_PAUSE_NS: u64 = 30 * NS_PER_S;

#[derive(Debug)]
pub(super) struct Eligibility {
    /// Why nothing may be placed; None after a clear yes.
    doubt: Option<String>,
    doubted_ns: u64,
    is_asking: bool,
    /// Whether the question under way is older than the doubt.
    is_stale: bool,
    next_ns: u64,
    pause_ns: u64,
}

impl Eligibility {
    pub const fn unknown(now_ns: u64) -> Self {
        Self {
            doubt: None,
            doubted_ns: now_ns,
            is_asking: false,
            is_stale: false,
            next_ns: now_ns,
            pause_ns: FIRST_PAUSE_NS,
        }
    }

    /// Why nothing may be placed.
    pub fn refusal(&self) -> Option<String> {
        let doubt = self.doubt.as_ref()?;
        Some(format!("eligibility: {doubt}"))
    }

    /// Whether an answer that may lift a doubt of the last `within_ns` is awaited.
    pub const fn is_about_to_be_known(&self, within_ns: u64, now_ns: u64) -> bool {
        self.doubt.is_some() && self.is_asking && now_ns < self.doubted_ns + within_ns
    }
}

impl<S: SignOrder> Engine<S> {
    /// The venue refuses this region or account: a halt, whatever else it said.
    pub(super) fn be_refused(&mut self, reason: &str, now_ns: u64) {
        self.escalate(&format!("eligibility: {reason}"), now_ns);
        self.doubt_region(&format!("refused: {reason}"), now_ns);
    }

    /// Nothing is placed until the venue says anew that this region may trade.
    pub(super) fn doubt_region(&mut self, doubt: &str, now_ns: u64) {
        self.eligibility.doubt = Some(doubt.to_owned());
        self.eligibility.doubted_ns = now_ns;
        self.ask_region(now_ns);
    }

    /// Ask now; what is placed meanwhile rests on the last answer.
    pub(super) fn ask_region(&mut self, now_ns: u64) {
        let known = &mut self.eligibility;
        known.is_stale = known.is_asking;
        if std::mem::replace(&mut known.is_asking, true) {
            return;
        }
        known.next_ns = now_ns + self.settings.region_ns;
        self.send(Purpose::AskRegion, Request::AskRegion, now_ns);
    }

    pub(super) fn ask_region_when_due(&mut self, now_ns: u64) {
        let is_wanted = matches!(self.phase, Phase::Recovering | Phase::Running);
        if is_wanted && now_ns >= self.eligibility.next_ns && !self.eligibility.is_asking {
            self.ask_region(now_ns);
        }
    }

    /// What the venue says of this region; whatever is no clear yes is a no.
    pub(super) fn take_region(&mut self, answer: Answer, now_ns: u64) {
        let known = &mut self.eligibility;
        known.is_asking = false;
        let is_stale = std::mem::take(&mut known.is_stale);
        match answer {
            // An answer from before the doubt lifts none.
            Answer::Region(false) if is_stale => {}
            Answer::Region(false) => {
                known.pause_ns = FIRST_PAUSE_NS;
                if known.doubt.take().is_some() {
                    self.log(Level::Info, "engine.region.open", Vec::new());
                }
            }
            Answer::Region(true) => {
                let blocked = "this region is blocked";
                known.doubt = Some(blocked.to_owned());
                if self.halted.is_none() {
                    self.escalate(&format!("eligibility: {blocked}"), now_ns);
                }
            }
            other => {
                known.next_ns = now_ns + known.pause_ns;
                known.pause_ns = (known.pause_ns * 2).min(LONGEST_PAUSE_NS);
                let reason = other.into_failure();
                known.doubt = Some(format!("it cannot be asked: {reason}"));
                self.log(Level::Error, "engine.region.unclear", vec![("reason", reason)]);
            }
        }
        if is_stale {
            self.ask_region(now_ns);
        }
        self.go_on_failing_over(now_ns);
    }
}
