//! HTTP/1.1 kept alive: warm connections in lanes, one request at a time on each, and the watch over them.
//!
//! ```text
//! cancels  places    two warm connections each, more while more requests are under way; for cancels as many more as
//!                    the owner wants, opened one a round
//! standbys           five, for cancels, places and reads when the others are given up; two may be out with a probe
//! others             reads, heartbeats, login
//! ```
//!
//! A read is always pending, so a connection that breaks is noticed at once. One that swallows bytes is found by
//! probes (`GET /time`), of which every `interval` half of the idle connections of each lane of order entry, four at
//! most, carry one; the verdict is [`Probes`]'. Ten of them every 50 ms make 2,000 in 10 s, of 9,000 that the venue
//! allows to all of its CLOB (polymarket.md §6.1). A connection with a request under way cannot be asked: an order or
//! a cancel that takes 200 ms longer than a probe may, and longer than its like of late, is reported itself, and the
//! state machine decides what it means.
//!
//! A request is sent again only when not a byte of it has left this process.

mod elsewhere;
mod pool;
mod probes;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::time::Duration;

use claw_core::engine::{Cause, Patience, Probes};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tokio::time::timeout;

use crate::clock;
use crate::socket::Host;
use pool::{Connection, LANES, Link};

pub use pool::Lane;

const MAX_BODY: usize = 16 << 20;
/// What a request may take at the venue, beyond the way there and back: longer is slow, if probes are answered.
const AT_THE_VENUE_NS: u64 = 200_000_000;
/// How long a place may wait for a connection: two cold handshakes through a proxy at 40 ms (egress.md, "Latency").
const PLACE_PATIENCE: Duration = Duration::from_millis(500);

/// What is sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Incoming {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The venue has not seen it.
    Unsent(String),
    /// It may have had its effect.
    Unknown(String),
}

/// An exchange, and when the last byte of the request was on the socket.
pub type Exchange = (Result<Incoming, Lost>, Option<u64>);

/// How the connections are watched.
#[derive(Debug, Clone, Copy)]
pub struct Probing {
    pub interval: Duration,
    /// Least silence of one connection, while others are answered, that counts as a broken route.
    pub floor: Duration,
    /// Silence of all of them that does.
    pub pause: Duration,
}

type Notice = Box<dyn Fn(u64, Cause)>;

/// The connections to one host.
pub struct Connections {
    host: Host,
    idle: [RefCell<VecDeque<Connection>>; LANES],
    links: RefCell<Vec<Weak<Link>>>,
    generation: Cell<u64>,
    probes: RefCell<Probes>,
    /// With requests, by lane.
    patience: [RefCell<Patience>; LANES],
    probing: Probing,
    /// Since when a connection is silent that has been reported, until the move.
    silent_since_ns: Cell<Option<u64>>,
    spare: Cell<usize>,
    is_scouting: Cell<bool>,
    is_looking: Cell<bool>,
    /// Over the next route, which has answered while this one does not.
    elsewhere: RefCell<Vec<Connection>>,
    /// Handshakes under way, of this generation.
    opening: [Cell<usize>; LANES],
    /// Whether the last round of warming up met no venue.
    has_failed: Cell<bool>,
    /// Where faults go, once somebody listens.
    notice: Rc<RefCell<Option<Notice>>>,
}

impl Connections {
    /// None yet.
    pub fn new(host: Host, probing: Probing) -> Self {
        let [floor_ns, pause_ns] =
            [probing.floor, probing.pause].map(|span| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        let now_ns = clock::now_ns();
        Self {
            host,
            idle: Default::default(),
            links: RefCell::default(),
            generation: Cell::new(0),
            probes: RefCell::new(Probes::new(floor_ns, pause_ns, now_ns)),
            patience: std::array::from_fn(|_| RefCell::new(Patience::new(floor_ns, now_ns))),
            probing,
            silent_since_ns: Cell::new(None),
            spare: Cell::new(0),
            is_scouting: Cell::new(false),
            is_looking: Cell::new(false),
            elsewhere: RefCell::default(),
            opening: Default::default(),
            has_failed: Cell::new(false),
            notice: Rc::default(),
        }
    }

    /// Say from now on what breaks, with the generation of its connection.
    pub fn report_to(&self, notice: impl Fn(u64, Cause) + 'static) {
        *self.notice.borrow_mut() = Some(Box::new(notice));
    }

    /// Of the connections in use.
    pub fn generation(&self) -> u64 {
        self.generation.get()
    }

    fn tell(&self, generation: u64, cause: Cause) {
        if let Some(notice) = &*self.notice.borrow() {
            notice(generation, cause);
        }
    }

    /// A connection has not answered what was sent at `since_ns`.
    fn tell_silence(&self, link: &Link, since_ns: u64, cause: Cause) {
        if link.generation.get() == self.generation() && !link.watch.is_abandoned.get() {
            self.silent_since_ns.set(Some(since_ns));
            self.tell(link.generation.get(), cause);
        }
    }

    /// Send one request and read its whole answer.
    pub async fn exchange(&self, lane: Lane, outgoing: Outgoing, limit: Duration) -> Exchange {
        let (used, began_ns) = (RefCell::default(), clock::now_ns());
        let mut answering = pin!(timeout(limit, self.attempt(lane, outgoing, &used)));
        let slow = self.slow_after(lane);
        let answer = match timeout(slow, &mut answering).await {
            Ok(answer) => answer,
            Err(_) => {
                let link: Option<Rc<Link>> = used.borrow().clone();
                if let (Some(link), true) = (link, lane != Lane::Others && self.is_way_open()) {
                    self.tell_silence(&link, began_ns, Cause::Slow);
                }
                answering.await
            }
        };
        let is_silent = answer.is_err();
        let link: Option<Rc<Link>> = used.take();
        let sent_ns = link.as_ref().and_then(|link| link.watch.written_ns.get());
        if let (Ok(Ok(_)), Some(sent_ns)) = (&answer, sent_ns) {
            // The handshake of a new connection is no part of it.
            let (now_ns, mut patience) = (clock::now_ns(), self.patience[lane as usize].borrow_mut());
            patience.measure(now_ns.saturating_sub(sent_ns), now_ns);
        }
        let answer = answer.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", limit.as_secs_f64());
            // Once a connection has it, its bytes may leave even now.
            Err(if link.is_some() {
                Lost::Unknown(reason)
            } else {
                Lost::Unsent(reason)
            })
        });
        if let (Err(Lost::Unknown(reason)), Some(link), true) = (&answer, &link, lane != Lane::Others) {
            let cause = Cause::Transport(reason.clone());
            if is_silent {
                self.tell_silence(link, began_ns, cause);
            } else if !link.watch.is_abandoned.get() {
                self.tell(link.generation.get(), cause);
            }
        }
        (answer, sent_ns)
    }

    /// How long a request may take: longer than a probe by the venue's own time, and than its like of late.
    fn slow_after(&self, lane: Lane) -> Duration {
        let usual_ns = self.probes.borrow().limit_ns() + AT_THE_VENUE_NS;
        let learnt_ns = self.patience[lane as usize].borrow().learnt_ns();
        Duration::from_nanos(learnt_ns.map_or(usual_ns, |learnt_ns| learnt_ns.max(usual_ns)))
    }

    async fn attempt(
        &self,
        lane: Lane,
        outgoing: Outgoing,
        used: &RefCell<Option<Rc<Link>>>,
    ) -> Result<Incoming, Lost> {
        let mut request = self.request(outgoing)?;
        let generation = self.generation();
        loop {
            let idle = self.take_idle(lane);
            let is_fresh = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self.open_for(lane).await?,
            };
            // Looked at last: what the handshake took is time in which the route may have been left.
            if lane == Lane::Places && generation != self.generation() {
                return Err(Lost::Unsent("the route was left".to_owned()));
            }
            connection.link.watch.written_ns.set(None);
            *used.borrow_mut() = Some(Rc::clone(&connection.link));
            match connection.sender.try_send_request(request).await {
                Ok(response) => return self.read(connection, response).await,
                Err(mut fault) => match fault.take_message() {
                    Some(unsent) if !is_fresh => request = unsent,
                    Some(_) => return Err(Lost::Unsent(fault.error().to_string())),
                    None => return Err(Lost::Unknown(fault.error().to_string())),
                },
            }
        }
    }

    /// A connection for a request that found none; a place is given up before its price is an old one.
    async fn open_for(&self, lane: Lane) -> Result<Connection, Lost> {
        let opening = self.connect(lane);
        let opened = if lane == Lane::Places {
            let reason = || Lost::Unsent("there was no connection in time".to_owned());
            timeout(PLACE_PATIENCE, opening).await.map_err(|_| reason())?
        } else {
            opening.await
        };
        opened.map_err(|fault| Lost::Unsent(fault.to_string()))
    }

    async fn read(
        &self,
        connection: Connection,
        response: hyper::Response<hyper::body::Incoming>,
    ) -> Result<Incoming, Lost> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|fault| Lost::Unknown(fault.to_string()))?.to_bytes();
        self.give_back(connection);
        Ok(Incoming {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    fn request(&self, outgoing: Outgoing) -> Result<Request<Full<Bytes>>, Lost> {
        let mut headers = outgoing.headers;
        headers.insert(HOST, self.host.header().clone());
        if !outgoing.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let mut request = Request::new(Full::new(Bytes::from(outgoing.body)));
        *request.method_mut() = outgoing.method;
        *request.uri_mut() = outgoing
            .target
            .parse()
            .map_err(|_| Lost::Unsent("not a target".to_owned()))?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}
