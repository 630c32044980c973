//! The watch over the lanes: probes, and scouts where nothing is answered.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use claw_core::engine::{Cause, Probes};
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::header::HeaderMap;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::pool::{Connection, Lane};
use super::{Connections, Outgoing};
use crate::settings::ns;
use crate::{clock, refusal};

/// A wake-up that comes late finds the answer in the socket: it is read before the verdict.
const GRACE: Duration = Duration::from_millis(5);
/// How often a silent connection is judged anew.
const LOOK: Duration = Duration::from_millis(10);
/// How long a late answer is waited for, to learn that an alarm was false.
const DRAIN: Duration = Duration::from_secs(2);
/// What a move needs at once: a connection for cancels, one for reads, one for places; and one is out with a probe.
pub(super) const SCOUTS: usize = 4;

/// Of one lane in one round, however many are idle: probes count in a window of the venue.
const MOST_PROBES: usize = 4;

impl Connections {
    /// This process was woken so late.
    pub fn note_lateness(&self, late_ns: u64) {
        self.probes.borrow_mut().note_lateness(late_ns, clock::now_ns());
    }

    /// Open what is missing, and ask on idle connections of each lane of order entry whether the way is there.
    pub fn probe(self: &Rc<Self>) {
        // What has failed is tried again more slowly, by whoever calls `keep_warm`.
        if !self.has_failed.get() && !self.missing().is_empty() {
            let warming = Rc::clone(self);
            spawn_local(async move { warming.keep_warm().await });
        }
        for lane in Lane::ORDER_ENTRY {
            let mut idle = self.lane(lane).borrow_mut();
            idle.retain(|connection| connection.sender.is_ready());
            let due = Probes::due(idle.len()).min(MOST_PROBES);
            for connection in idle.drain(..due) {
                spawn_local(Rc::clone(self).ask(connection));
            }
        }
    }

    /// The question that a probe asks.
    pub(super) fn probe_of_time() -> Outgoing {
        Outgoing {
            method: Method::GET,
            target: "/time".to_owned(),
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    async fn ask(self: Rc<Self>, mut connection: Connection) {
        let Ok(request) = self.request(Self::probe_of_time()) else {
            return;
        };
        let link = Rc::clone(&connection.link);
        link.is_probing.set(true);
        let began_ns = clock::now_ns();
        let limit = Duration::from_nanos(self.probes.borrow().limit_ns());
        let answer = {
            let mut answering = pin!(async {
                let response = connection.sender.send_request(request).await?;
                let status = response.status();
                Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
            });
            let mut answer = timeout(limit, &mut answering).await;
            let mut is_late = answer.is_err();
            while is_late && answer.is_err() {
                is_late = !self.probes.borrow().is_broken(began_ns, clock::now_ns());
                if is_late {
                    self.send_scouts();
                    self.look_elsewhere();
                }
                answer = timeout(if is_late { LOOK } else { GRACE }, &mut answering).await;
            }
            if answer.is_err() {
                let silent_ms = clock::now_ns().saturating_sub(began_ns) / 1_000_000;
                let reason = format!("no answer to a probe for {silent_ms} ms");
                self.tell_silence(&link, began_ns, Cause::Transport(reason));
                answer = timeout(DRAIN, &mut answering).await;
            }
            answer
        };
        let Ok(Ok((status, body))) = answer else {
            // A connection that ended says so itself.
            return link.abandon();
        };
        link.is_probing.set(false);
        link.proven_ns.set(began_ns);
        self.probes.borrow_mut().answered(began_ns, clock::now_ns());
        let cause = refusal::cause_of(status, &HeaderMap::new(), &body);
        // What else reads are told is no matter of order entry.
        if let Some(cause @ (Cause::CdnPage | Cause::Transport(_))) = cause {
            self.tell(link.generation.get(), cause);
        }
        self.give_back(connection);
    }

    /// All are silent: either the venue pauses, or nothing comes through on what was open before. New connections
    /// tell which, and are what a move then goes to.
    fn send_scouts(self: &Rc<Self>) {
        if self.is_scouting.replace(true) {
            return;
        }
        let scouts = Rc::clone(self);
        spawn_local(async move {
            let all = (0..SCOUTS).map(|_| async {
                if let Ok(connection) = scouts.connect(Lane::Standbys).await {
                    Rc::clone(&scouts).ask(connection).await;
                }
            });
            join_all(all).await;
            scouts.is_scouting.set(false);
        });
    }

    /// Whether a probe was answered lately: the way is there, whatever a request waits for.
    pub(super) fn is_way_open(&self) -> bool {
        let interval_ns = ns(self.probing.interval.as_secs_f64());
        self.probes.borrow().is_way_open(interval_ns, clock::now_ns())
    }
}
