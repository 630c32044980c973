//! Places of unknown outcome: cancelled by hash and looked up until the venue has denied them twice.
//!
//! A venue that is slow may take one even then: reconcile.rs looks for it.

use super::events::{Answer, Level, Request};
use super::machine::{Engine, Purpose};
use super::signing::SignOrder;

/// Between two denials: later than any byte of a connection that broke can arrive (`TCP_USER_TIMEOUT`).
const PAUSE_NS: u64 = 1_000_000_000;
const DENIALS: u8 = 2;

#[derive(Debug, Default)]
pub(super) struct Resolution {
    denials: u8,
    /// When to go on, while nothing is under way.
    pub(super) paused_until_ns: Option<u64>,
}

impl<S: SignOrder> Engine<S> {
    /// Begin to find out about an order; it stays unknown until then.
    pub(super) fn resolve(&mut self, order_id: &str, now_ns: u64) {
        self.resolutions
            .insert(order_id.to_owned(), Resolution::default());
        self.cancel_unknown(order_id, now_ns);
    }

    pub(super) fn go_on_resolving(&mut self, now_ns: u64) {
        let is_due =
            |resolution: &Resolution| resolution.paused_until_ns.is_some_and(|until| now_ns >= until);
        let due = self
            .resolutions
            .iter()
            .filter(|(_, resolution)| is_due(resolution));
        let due: Vec<String> = due.map(|(order_id, _)| order_id.clone()).collect();
        for order_id in due {
            if self.orders.get(&order_id).is_none() {
                self.resolutions.remove(&order_id);
                continue;
            }
            if let Some(resolution) = self.resolutions.get_mut(&order_id) {
                resolution.paused_until_ns = None;
            }
            self.cancel_unknown(&order_id, now_ns);
        }
    }

    fn cancel_unknown(&mut self, order_id: &str, now_ns: u64) {
        // What may be open unseen is withdrawn, not traded: it may use what is kept for that.
        match self.pay_withdrawal(vec![order_id.to_owned()], now_ns) {
            Ok(request) => self.send(Purpose::ResolveCancel(order_id.to_owned()), request, now_ns),
            // Looking costs no token; what is found open is cancelled the next time.
            Err(_) => self.send(
                Purpose::ResolveLook(order_id.to_owned()),
                Request::LookUp(order_id.to_owned()),
                now_ns,
            ),
        }
    }

    pub(super) fn take_resolve_cancel(&mut self, order_id: String, answer: Answer, now_ns: u64) {
        match answer {
            Answer::Cancelled(report) => {
                self.apply_cancel(report, Some("withdrawn: its outcome was unknown"));
                if self.orders.get(&order_id).is_none() {
                    self.resolutions.remove(&order_id);
                    return;
                }
                self.send(
                    Purpose::ResolveLook(order_id.clone()),
                    Request::LookUp(order_id),
                    now_ns,
                );
            }
            other => self.pause_resolution(&order_id, Some(other.into_failure()), now_ns),
        }
    }

    pub(super) fn take_resolve_look(&mut self, order_id: &str, answer: Answer, now_ns: u64) {
        let Some(resolution) = self.resolutions.get_mut(order_id) else {
            return;
        };
        let failure = match answer {
            Answer::IsLive(true) => {
                self.suspicion.found(order_id, now_ns);
                resolution.denials = 0;
                None
            }
            Answer::IsLive(false) => {
                resolution.denials += 1;
                None
            }
            other => Some(other.into_failure()),
        };
        if resolution.denials >= DENIALS {
            self.resolutions.remove(order_id);
            if self.suspicion.denied(order_id) {
                self.breaker.clear_slowness();
            }
            self.order_gone(order_id, Some("resolved as not open".to_owned()));
            self.note_denied(order_id, now_ns);
        } else {
            self.pause_resolution(order_id, failure, now_ns);
        }
    }

    fn pause_resolution(&mut self, order_id: &str, failure: Option<String>, now_ns: u64) {
        if let Some(resolution) = self.resolutions.get_mut(order_id) {
            resolution.paused_until_ns = Some(now_ns + PAUSE_NS);
        }
        if let Some(reason) = failure {
            let fields = vec![("order_id", order_id.to_owned()), ("reason", reason)];
            self.log(Level::Warning, "order.resolve.retry", fields);
        }
    }
}
