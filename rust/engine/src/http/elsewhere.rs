//! Where a route leads nowhere the next declared one is asked: if the venue answers there, it is the route that is dead.
//!
//! A venue that pauses is silent on every route. What was opened elsewhere is what a move to that route starts with.
//! It carries the question for the time alone: nothing is placed there before the venue has said yes to the region.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use claw_core::engine::Cause;
use futures_util::future::{Either, join_all, select};
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::Connections;
use super::pool::{Connection, Lane};
use super::probes::SCOUTS;
use crate::clock;

/// Of the way there, and of its answer.
const LIMIT: Duration = Duration::from_secs(1);
/// What was asked here before gets so long after the answer from there.
const IN_TURN: Duration = Duration::from_millis(40);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

impl Connections {
    /// Nothing is answered here, or nothing can be opened: say that this route is dead, if another one is not.
    pub(super) fn look_elsewhere(self: &Rc<Self>) {
        if self.is_way_open() || self.host.next_route().is_none() || self.is_looking.replace(true) {
            return;
        }
        let looking = Rc::clone(self);
        spawn_local(async move {
            let generation = looking.generation();
            if looking.is_dead_alone(IN_TURN).await && generation == looking.generation() {
                looking.tell(generation, Cause::Unreachable);
            }
            sleep(PAUSE).await;
            looking.is_looking.set(false);
        });
    }

    /// Whether the venue answers over the next declared route, and over this one not even so much later.
    pub async fn is_dead_alone(&self, patience: Duration) -> bool {
        let Some(route) = self.host.next_route() else {
            return false;
        };
        let began_ns = clock::now_ns();
        let there = async {
            let asked = (0..SCOUTS).map(|_| self.open_over(route));
            let found = join_all(asked).await.into_iter().flatten();
            found.collect::<Vec<Connection>>()
        };
        let here = self.open_over(self.host.route());
        let (found, has_answered) = match select(pin!(there), pin!(here)).await {
            Either::Left((found, here)) if !found.is_empty() => {
                let here = timeout(patience, here).await;
                (found, here.is_ok_and(|here| here.is_some()))
            }
            Either::Left((found, _)) => (found, false),
            Either::Right((Some(_), _)) => (Vec::new(), true),
            Either::Right((None, there)) => (there.await, false),
        };
        let is_dead = !found.is_empty() && !has_answered && !self.probes.borrow().has_answer_since(began_ns);
        if is_dead {
            *self.elsewhere.borrow_mut() = found;
        }
        is_dead
    }

    /// A connection over a route that has carried a question and its answer in time.
    async fn open_over(&self, route: usize) -> Option<Connection> {
        timeout(LIMIT, self.ask_over(route)).await.ok().flatten()
    }

    async fn ask_over(&self, route: usize) -> Option<Connection> {
        let mut connection = self.connect_over(Lane::Standbys, route).await.ok()?;
        let request = self.request(Self::probe_of_time()).ok()?;
        let response = connection.sender.send_request(request).await.ok()?;
        let status = response.status();
        response.into_body().collect().await.ok()?;
        (status == StatusCode::OK).then_some(connection)
    }
}
