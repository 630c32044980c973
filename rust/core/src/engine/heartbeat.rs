//! The venue's heartbeat: one id chain, one beat at a time; a refusal names the id to beat with at once.
//!
//! It keeps orders alive, so none is sent while a withdrawal is overdue: what this engine cannot cancel the venue's
//! own switch then does. A beat that is lost is made up for at once, long before that switch.

use super::events::{Answer, Level, Request};
use super::machine::{Engine, Purpose};
use super::signing::SignOrder;

/// After a beat without an answer that counts.
const RETRY_NS: u64 = 1_000_000_000;

#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    id: String,
    next_ns: u64,
    is_under_way: bool,
    is_second: bool,
    is_withheld: bool,
}

impl<S: SignOrder> Engine<S> {
    /// Beat when it is time; called from the work loop alone, so that a hang stops the beats.
    pub(super) fn beat_when_due(&mut self, now_ns: u64) {
        if now_ns < self.heartbeat.next_ns || self.heartbeat.is_under_way {
            return;
        }
        let is_withheld = self.is_withdrawal_overdue(now_ns);
        if std::mem::replace(&mut self.heartbeat.is_withheld, is_withheld) != is_withheld {
            let fields = vec![("is_withheld", is_withheld.to_string())];
            self.log(Level::Error, "engine.heartbeat", fields);
        }
        if is_withheld {
            return;
        }
        self.heartbeat.next_ns = now_ns + self.settings.heartbeat_ns;
        self.heartbeat.is_second = false;
        self.send_heartbeat(now_ns);
    }

    fn send_heartbeat(&mut self, now_ns: u64) {
        self.heartbeat.is_under_way = true;
        self.send(
            Purpose::Heartbeat,
            Request::Heartbeat(self.heartbeat.id.clone()),
            now_ns,
        );
    }

    pub(super) fn take_heartbeat(&mut self, answer: Answer, now_ns: u64) {
        self.heartbeat.is_under_way = false;
        let reason = match answer {
            Answer::Heartbeat { is_accepted, next_id } => {
                self.heartbeat.id = next_id;
                if is_accepted {
                    return;
                }
                if !self.heartbeat.is_second {
                    self.heartbeat.is_second = true;
                    return self.send_heartbeat(now_ns);
                }
                "the venue refuses the id that it named itself".to_owned()
            }
            other => other.into_failure(),
        };
        self.heartbeat.next_ns = self.heartbeat.next_ns.min(now_ns + RETRY_NS);
        self.log(
            Level::Warning,
            "engine.heartbeat.failed",
            vec![("reason", reason)],
        );
    }
}
