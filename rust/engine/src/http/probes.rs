//! The watch over the lanes: probes, and the verdict over a connection that is silent.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use claw_core::engine::Cause;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::header::HeaderMap;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::pool::{Connection, Lane};
use super::{Connections, Outgoing};
use crate::{clock, wire};

/// A wake-up that comes late finds the answer in the socket: it is read before the verdict.
const GRACE: Duration = Duration::from_millis(5);
/// How often a silent connection is judged anew.
const LOOK: Duration = Duration::from_millis(10);
/// A venue that was away answers one after another: so long after its first answer the silent one's is there, too.
const IN_TURN_NS: u64 = 40_000_000;
/// A timer may be so late on a machine that has time.
const LATE_NS: u64 = 10_000_000;
/// How long a late answer is waited for, to learn that an alarm was false.
const DRAIN: Duration = Duration::from_secs(2);

impl Connections {
    /// This process was woken so late: on a machine so busy an answer may take as long, there and back.
    pub fn note_lateness(&self, late_ns: u64) {
        if late_ns > LATE_NS {
            self.patience.borrow_mut().measure(2 * late_ns, clock::now_ns());
        }
    }

    /// Ask on one idle connection of each lane of order entry whether the way is there.
    pub fn probe(self: &Rc<Self>) {
        for lane in Lane::ORDER_ENTRY {
            if self.is_probing[lane as usize].get() {
                continue;
            }
            let mut idle = self.lane(lane).borrow_mut();
            idle.retain(|connection| connection.sender.is_ready());
            if idle.len() < 2 {
                // Never the only one: a request would wait for a handshake instead.
                continue;
            }
            // The one that was not used for longest.
            if let Some(connection) = idle.pop_front() {
                self.is_probing[lane as usize].set(true);
                spawn_local(Rc::clone(self).ask(lane, connection));
            }
        }
    }

    pub(super) async fn ask(self: Rc<Self>, lane: Lane, mut connection: Connection) {
        let outgoing = Outgoing {
            method: Method::GET,
            target: "/time".to_owned(),
            headers: HeaderMap::new(),
            body: Vec::new(),
        };
        let Ok(request) = self.request(outgoing) else {
            return;
        };
        let link = Rc::clone(&connection.link);
        link.is_probing.set(true);
        let began_ns = clock::now_ns();
        let limit = Duration::from_nanos(self.patience.borrow().limit_ns());
        let answer = {
            let mut answering = pin!(async {
                let response = connection.sender.send_request(request).await?;
                let status = response.status();
                Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
            });
            let mut answer = timeout(limit, &mut answering).await;
            let mut is_late = answer.is_err();
            while is_late && answer.is_err() {
                is_late = !self.is_broken(began_ns);
                answer = timeout(if is_late { LOOK } else { GRACE }, &mut answering).await;
            }
            self.is_probing[lane as usize].set(false);
            if answer.is_err() {
                let silent_ms = clock::now_ns().saturating_sub(began_ns) / 1_000_000;
                let reason = format!("no answer to a probe for {silent_ms} ms");
                self.tell(link.generation.get(), Cause::Transport(reason));
                answer = timeout(DRAIN, &mut answering).await;
            }
            answer
        };
        let Ok(Ok((status, body))) = answer else {
            // A connection that ended says so itself.
            return link.abandon();
        };
        link.is_probing.set(false);
        let now_ns = clock::now_ns();
        let round_trip_ns = now_ns.saturating_sub(began_ns);
        // How long a venue was away says nothing of the way to it.
        if Duration::from_nanos(round_trip_ns) <= limit || self.is_overtaken(began_ns, now_ns) {
            self.patience.borrow_mut().measure(round_trip_ns, now_ns);
        }
        if began_ns >= self.answered.get().0 {
            self.answered.set((began_ns, now_ns));
        }
        let cause = wire::cause_of(status, &HeaderMap::new(), &body);
        // What else reads are told is no matter of order entry.
        if let Some(cause @ (Cause::CdnPage | Cause::Transport(_))) = cause {
            self.tell(link.generation.get(), cause);
        }
        self.give_back(connection);
    }

    /// Whether the silence since a probe was sent is the connection's own, or has become too long for any venue.
    pub(super) fn is_broken(&self, began_ns: u64) -> bool {
        let now_ns = clock::now_ns();
        let silence = Duration::from_nanos(now_ns.saturating_sub(began_ns));
        self.is_overtaken(began_ns, now_ns) || silence >= self.probing.pause
    }

    /// Whether a probe that was sent later, on another connection, has had its answer and time enough has passed.
    pub(super) fn is_overtaken(&self, began_ns: u64, now_ns: u64) -> bool {
        let (sent_ns, answered_ns) = self.answered.get();
        sent_ns >= began_ns && now_ns >= answered_ns + IN_TURN_NS
    }

    /// Whether a probe was answered lately: the way is there, whatever a request waits for.
    pub(super) fn is_way_open(&self) -> bool {
        let limit_ns = self.patience.borrow().limit_ns();
        let interval_ns = u64::try_from(self.probing.interval.as_nanos()).unwrap_or(u64::MAX);
        let (_, answered_ns) = self.answered.get();
        clock::now_ns() <= answered_ns + limit_ns + interval_ns
    }
}
