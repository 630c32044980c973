//! HTTP/1.1 kept alive: warm connections in lanes, one request at a time on each, and the watch over them.
//!
//! ```text
//! cancels  places    two warm connections each, more while more requests are under way; for cancels as many more as
//!                    the owner wants, opened one a round
//! standbys           four, for cancels, places and reads when the others are given up; one may be out with a probe
//! others             reads, heartbeats, login
//! ```
//!
//! A read is always pending, so a connection that breaks is noticed at once. One that swallows bytes is found by
//! probes: every `interval` each lane of order entry asks `GET /time` on one idle connection. Three lanes and 50 ms
//! make 600 probes in 10 s, of 9,000 that the venue allows to all of its CLOB (polymarket.md §6.1).
//!
//! ```text
//! silent while others are answered   a broken route, after as long as `Patience` allows: a question that was asked
//!                                    later, on another connection, has had its answer
//! all are silent together            the venue pauses, or nothing gets through: a move would lead nowhere sooner,
//!                                    so it is a broken route only after `pause`
//! ```
//!
//! A request is sent again only when not a byte of it has left this process.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::time::Duration;

use claw_core::engine::{Cause, Patience};
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;

use crate::clock;
use crate::socket::{Host, Watch};
use crate::wire;

const LANES: usize = 4;
/// More idle connections of a lane than this are closed.
const MOST_IDLE: usize = 32;
const MAX_BODY: usize = 16 << 20;
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
/// A request that takes so many times what a probe may is slow, if probes are answered meanwhile.
const SLOW_FACTOR: u32 = 3;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Cancels,
    Places,
    Standbys,
    Others,
}

impl Lane {
    const ORDER_ENTRY: [Self; 3] = [Self::Cancels, Self::Places, Self::Standbys];

    const fn warm(self) -> usize {
        match self {
            Self::Standbys => 4,
            Self::Cancels | Self::Places => 2,
            Self::Others => 1,
        }
    }
}

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

/// One connection, whoever uses it at the moment.
struct Link {
    watch: Rc<Watch>,
    generation: Cell<u64>,
    lane: Cell<Lane>,
    /// Whether nothing but a probe is under way.
    is_probing: Cell<bool>,
    driver: RefCell<Option<AbortHandle>>,
}

impl Link {
    /// Close it, and throw away what waits to be sent.
    fn abandon(&self) {
        self.watch.is_abandoned.set(true);
        if let Some(driver) = self.driver.borrow_mut().take() {
            driver.abort();
        }
    }
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    link: Rc<Link>,
}

type Notice = Box<dyn Fn(u64, Cause)>;

/// The connections to one host.
pub struct Connections {
    host: Host,
    idle: [RefCell<VecDeque<Connection>>; LANES],
    links: RefCell<Vec<Weak<Link>>>,
    generation: Cell<u64>,
    patience: RefCell<Patience>,
    probing: Probing,
    /// Of the probe that was sent last of those that are answered: when it was sent, and answered.
    answered: Cell<(u64, u64)>,
    is_probing: [Cell<bool>; LANES],
    is_warming: Cell<bool>,
    spare_cancels: Cell<usize>,
    /// Whether the last round of warming up met no venue.
    has_failed: Cell<bool>,
    /// Where faults go, once somebody listens.
    notice: Rc<RefCell<Option<Notice>>>,
}

impl Connections {
    /// None yet.
    pub fn new(host: Host, probing: Probing) -> Self {
        let floor_ns = u64::try_from(probing.floor.as_nanos()).unwrap_or(u64::MAX);
        Self {
            host,
            idle: Default::default(),
            links: RefCell::default(),
            generation: Cell::new(0),
            patience: RefCell::new(Patience::new(floor_ns, clock::now_ns())),
            probing,
            answered: Cell::new((0, 0)),
            is_probing: Default::default(),
            is_warming: Cell::new(false),
            spare_cancels: Cell::new(0),
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

    fn lane(&self, lane: Lane) -> &RefCell<VecDeque<Connection>> {
        &self.idle[lane as usize]
    }

    /// Give up every connection but the standbys, which take their places.
    pub fn switch(&self, generation: u64) {
        self.generation.set(generation);
        let standbys = std::mem::take(&mut *self.lane(Lane::Standbys).borrow_mut());
        // Where nothing is answered the standbys are as silent as the rest.
        let is_way_open = self.is_way_open();
        let (alive, dead): (Vec<_>, Vec<_>) = standbys.into_iter().partition(|connection| {
            is_way_open && connection.sender.is_ready() && !connection.link.watch.is_broken.get()
        });
        drop(dead);
        let kept: Vec<_> = alive
            .iter()
            .map(|connection| Rc::clone(&connection.link))
            .collect();
        for lane in [Lane::Cancels, Lane::Places, Lane::Others] {
            self.lane(lane).borrow_mut().clear();
        }
        self.links.borrow_mut().retain(|link| {
            let Some(link) = link.upgrade() else {
                return false;
            };
            let is_kept = kept.iter().any(|kept| Rc::ptr_eq(kept, &link));
            // A probe carries no order: its late answer would show that the alarm was false.
            if !is_kept && !link.is_probing.get() {
                link.abandon();
            }
            is_kept || link.is_probing.get()
        });
        let lanes = [Lane::Cancels, Lane::Places, Lane::Others, Lane::Standbys];
        for (connection, lane) in alive.into_iter().zip(lanes) {
            connection.link.generation.set(generation);
            connection.link.lane.set(lane);
            self.lane(lane).borrow_mut().push_back(connection);
        }
    }

    /// Keep so many for cancels, slowly: a jump withdraws quotes of many markets at once, and none of these cancels
    /// should wait for a handshake.
    pub fn keep_for_cancels(&self, connections: usize) {
        self.spare_cancels.set(connections);
    }

    /// Open connections until enough are warm in every lane.
    pub async fn keep_warm(self: &Rc<Self>) {
        if self.is_warming.replace(true) {
            return;
        }
        let mut wanted = Vec::new();
        for lane in [Lane::Cancels, Lane::Places, Lane::Standbys, Lane::Others] {
            let mut idle = self.lane(lane).borrow_mut();
            idle.retain(|connection| !connection.sender.is_closed());
            wanted.extend(std::iter::repeat_n(lane, lane.warm().saturating_sub(idle.len())));
        }
        if wanted.is_empty() && self.lane(Lane::Cancels).borrow().len() < self.spare_cancels.get() {
            // One a round, and only while all else is well.
            wanted.push(Lane::Cancels);
        }
        if self.has_failed.replace(false) {
            // One tries: handshakes by the dozen would keep a venue that is short of time from any of them.
            wanted.truncate(1);
        }
        let opened = wanted.into_iter().map(|lane| async move {
            match self.connect(lane).await {
                Ok(connection) => self.give_back(connection),
                // The venue may be away: the next round asks again.
                Err(_) => self.has_failed.set(true),
            }
        });
        join_all(opened).await;
        self.is_warming.set(false);
    }

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

    async fn ask(self: Rc<Self>, lane: Lane, mut connection: Connection) {
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
    fn is_broken(&self, began_ns: u64) -> bool {
        let now_ns = clock::now_ns();
        let silence = Duration::from_nanos(now_ns.saturating_sub(began_ns));
        self.is_overtaken(began_ns, now_ns) || silence >= self.probing.pause
    }

    /// Whether a probe that was sent later, on another connection, has had its answer and time enough has passed.
    fn is_overtaken(&self, began_ns: u64, now_ns: u64) -> bool {
        let (sent_ns, answered_ns) = self.answered.get();
        sent_ns >= began_ns && now_ns >= answered_ns + IN_TURN_NS
    }

    /// Whether a probe was answered lately: the way is there, whatever a request waits for.
    fn is_way_open(&self) -> bool {
        let limit_ns = self.patience.borrow().limit_ns();
        let interval_ns = u64::try_from(self.probing.interval.as_nanos()).unwrap_or(u64::MAX);
        let (_, answered_ns) = self.answered.get();
        clock::now_ns() <= answered_ns + limit_ns + interval_ns
    }

    /// Send one request and read its whole answer.
    pub async fn exchange(&self, lane: Lane, outgoing: Outgoing, limit: Duration) -> Exchange {
        let used = RefCell::default();
        let mut answering = pin!(timeout(limit, self.attempt(lane, outgoing, &used)));
        let slow = Duration::from_nanos(self.patience.borrow().limit_ns()) * SLOW_FACTOR;
        let answer = match timeout(slow, &mut answering).await {
            Ok(answer) => answer,
            Err(_) => {
                if lane == Lane::Places && self.is_way_open() {
                    self.tell(self.generation(), Cause::Slow);
                }
                answering.await
            }
        };
        let link: Option<Rc<Link>> = used.take();
        let sent_ns = link.as_ref().and_then(|link| link.watch.written_ns.get());
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
            if !link.watch.is_abandoned.get() {
                self.tell(link.generation.get(), Cause::Transport(reason.clone()));
            }
        }
        (answer, sent_ns)
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
            if lane == Lane::Places && generation != self.generation() {
                return Err(Lost::Unsent("the route was left".to_owned()));
            }
            let idle = self.take_idle(lane);
            let is_fresh = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self
                    .connect(lane)
                    .await
                    .map_err(|fault| Lost::Unsent(fault.to_string()))?,
            };
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

    /// The connection used last is the warmest.
    fn take_idle(&self, lane: Lane) -> Option<Connection> {
        let mut idle = self.lane(lane).borrow_mut();
        idle.retain(|connection| connection.sender.is_ready());
        idle.pop_back()
    }

    /// Keep a connection for the next request, unless it was given up meanwhile.
    fn give_back(&self, connection: Connection) {
        let link = &connection.link;
        if link.generation.get() != self.generation() {
            if link.lane.get() != Lane::Standbys {
                return link.abandon();
            }
            link.generation.set(self.generation());
        }
        let mut idle = self.lane(link.lane.get()).borrow_mut();
        if idle.len() < MOST_IDLE {
            idle.push_back(connection);
        }
    }

    async fn connect(&self, lane: Lane) -> io::Result<Connection> {
        let watch: Rc<Watch> = Rc::default();
        let generation = self.generation();
        let stream = self.host.connect(Rc::clone(&watch)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let link = Rc::new(Link {
            watch,
            generation: Cell::new(generation),
            lane: Cell::new(lane),
            is_probing: Cell::new(false),
            driver: RefCell::new(None),
        });
        let ended = Rc::downgrade(&link);
        let notice = Rc::clone(&self.notice);
        // It ends when the venue closes or the sender is dropped; either way the sender knows.
        let driver = spawn_local(async move {
            let _ = connection.await;
            let Some(link) = ended.upgrade() else {
                return;
            };
            let is_ours = matches!(link.lane.get(), Lane::Cancels | Lane::Places);
            if is_ours && link.watch.is_broken.get() && !link.watch.is_abandoned.get() {
                if let Some(notice) = &*notice.borrow() {
                    notice(
                        link.generation.get(),
                        Cause::Transport("connection reset".to_owned()),
                    );
                }
            }
        });
        *link.driver.borrow_mut() = Some(driver.abort_handle());
        self.links.borrow_mut().push(Rc::downgrade(&link));
        sender.ready().await.map_err(io::Error::other)?;
        Ok(Connection { sender, link })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;
    use std::time::Duration;

    use claw_core::engine::Cause;
    use hyper::header::HeaderMap;
    use hyper::{Method, StatusCode};
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::{LocalSet, spawn_local};
    use tokio::time::timeout;

    use super::{Connections, Exchange, Lane, Lost, Outgoing, Probing};
    use crate::clock;
    use crate::socket::{Host, Trust};

    const FLOOR: Duration = Duration::from_millis(100);
    const PAUSE: Duration = Duration::from_millis(400);
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

    /// What a venue does with each request of its connections, by turns.
    #[derive(Debug, Clone)]
    enum Turn {
        Say(Vec<u8>),
        Slowly(Vec<u8>),
        Silence,
        Late(Duration),
        Reset,
        Close,
    }

    async fn serve(mut stream: TcpStream, turns: Rc<RefCell<Vec<Turn>>>) {
        let mut seen = [0; 4_096];
        while stream.read(&mut seen).await.is_ok_and(|count| count > 0) {
            let turn = turns.borrow_mut().pop().unwrap_or(Turn::Say(OK.to_vec()));
            match turn {
                Turn::Say(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Turn::Slowly(bytes) => {
                    for part in bytes.chunks(7) {
                        tokio::task::yield_now().await;
                        if stream.write_all(part).await.is_err() {
                            return;
                        }
                    }
                    return;
                }
                Turn::Silence => {}
                Turn::Late(pause) => {
                    tokio::time::sleep(pause).await;
                    if stream.write_all(OK).await.is_err() {
                        return;
                    }
                }
                Turn::Reset => {
                    let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
                    return;
                }
                Turn::Close => return,
            }
        }
    }

    async fn venue(turns: Vec<Turn>) -> (Rc<Connections>, Rc<RefCell<Vec<(u64, Cause)>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let turns = Rc::new(RefCell::new(turns));
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn_local(serve(stream, Rc::clone(&turns)));
            }
        });
        let trust = Trust::new(None).unwrap_or_else(|fault| panic!("{fault}"));
        let host = Host::of_url(&url, "http", &trust).unwrap_or_else(|fault| panic!("{fault}"));
        let probing = Probing {
            interval: Duration::from_millis(50),
            floor: FLOOR,
            pause: PAUSE,
        };
        let connections = Rc::new(Connections::new(host, probing));
        let faults = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&faults);
        connections.report_to(move |generation, cause| seen.borrow_mut().push((generation, cause)));
        (connections, faults)
    }

    async fn ask(connections: &Connections, lane: Lane) -> Exchange {
        let outgoing = Outgoing {
            method: Method::POST,
            target: "/order".to_owned(),
            headers: HeaderMap::new(),
            body: b"[]".to_vec(),
        };
        connections
            .exchange(lane, outgoing, Duration::from_millis(300))
            .await
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    async fn until(condition: impl Fn() -> bool) {
        let waiting = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(20), waiting).await.unwrap();
    }

    #[test]
    fn a_reset_under_a_request_is_reported_and_the_request_not_sent_again() {
        run(async {
            let (connections, faults) = venue(vec![Turn::Reset]).await;
            connections.keep_warm().await;
            assert!(matches!(
                ask(&connections, Lane::Places).await.0,
                Err(Lost::Unknown(_))
            ));
            until(|| !faults.borrow().is_empty()).await;
            assert!(matches!(faults.borrow()[0], (0, Cause::Transport(_))));
            assert_eq!(
                ask(&connections, Lane::Places).await.0.unwrap().status,
                StatusCode::OK
            );
        });
    }

    /// The first probe of each lane is answered: the way is known. Turns are taken from the end.
    fn known_way() -> Vec<Turn> {
        vec![Turn::Say(OK.to_vec()); Lane::ORDER_ENTRY.len()]
    }

    /// The silence of these turns, found by probes as the work loop sends them.
    fn silence(turns: Vec<Turn>) -> Duration {
        let found = Rc::new(Cell::new(Duration::ZERO));
        let silent = Rc::clone(&found);
        run(async move {
            let (connections, faults) = venue([turns, known_way()].concat()).await;
            connections.keep_warm().await;
            let began_ns = clock::now_ns();
            let probing = Rc::clone(&connections);
            spawn_local(async move {
                loop {
                    probing.probe();
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
            until(|| !faults.borrow().is_empty()).await;
            silent.set(Duration::from_nanos(clock::now_ns() - began_ns));
            let (generation, cause) = faults.borrow()[0].clone();
            assert_eq!(generation, 0);
            assert!(matches!(cause, Cause::Transport(reason) if reason.starts_with("no answer to a probe")));
            connections.switch(1);
            assert_eq!(
                ask(&connections, Lane::Cancels).await.0.unwrap().status,
                StatusCode::OK
            );
        });
        found.get()
    }

    #[test]
    fn silence_is_found_by_probes_and_the_standbys_go_on() {
        assert!(silence(vec![Turn::Silence]) >= FLOOR);
    }

    #[test]
    fn where_nothing_is_answered_the_venue_gets_longer() {
        assert!(silence(vec![Turn::Silence; 3]) >= PAUSE);
    }

    #[test]
    fn a_venue_that_pauses_is_no_broken_route_and_teaches_no_patience() {
        run(async {
            let pause = 2 * FLOOR;
            let (connections, faults) = venue([vec![Turn::Late(pause); 3], known_way()].concat()).await;
            connections.keep_warm().await;
            let began_ns = clock::now_ns();
            while connections.answered.get().0 < began_ns + 2 * u64::try_from(pause.as_nanos()).unwrap() {
                connections.probe();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(faults.borrow().is_empty());
            assert!(connections.patience.borrow().limit_ns() < 200_000_000);
        });
    }

    #[test]
    fn a_request_under_way_on_a_route_that_is_left_is_unknown_at_once() {
        run(async {
            let (connections, _) = venue(vec![Turn::Silence]).await;
            connections.keep_warm().await;
            let asking = Rc::clone(&connections);
            let waiting = spawn_local(async move { ask(&asking, Lane::Places).await });
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            connections.switch(1);
            assert!(matches!(waiting.await.unwrap().0, Err(Lost::Unknown(_))));
        });
    }

    #[test]
    fn an_orderly_end_of_an_idle_connection_is_no_fault() {
        run(async {
            let (connections, faults) = venue(vec![Turn::Close]).await;
            let outgoing = ask(&connections, Lane::Others).await;
            assert!(outgoing.0.is_err());
            connections.keep_warm().await;
            assert!(ask(&connections, Lane::Cancels).await.0.is_ok());
            assert!(faults.borrow().is_empty());
        });
    }

    fn turn() -> impl Strategy<Value = Turn> {
        let head = prop_oneof![
            Just("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"),
            Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"),
            Just("HTTP/1.1 99999 ?\r\n\r\n"),
            Just("HTTP/1.1 503 X\r\nContent-Length: 99999999999\r\n\r\n"),
            Just(""),
        ];
        let noise = prop::collection::vec(any::<u8>(), 0..200);
        let bytes = (head, noise).prop_map(|(head, noise)| [head.as_bytes(), &noise].concat());
        prop_oneof![
            bytes.clone().prop_map(Turn::Slowly),
            bytes.prop_map(|bytes| Turn::Slowly(bytes.repeat(50))),
            Just(Turn::Reset),
            Just(Turn::Close),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn no_answer_on_a_real_socket_panics(turns in prop::collection::vec(turn(), 1..6)) {
            run(async move {
                let count = turns.len();
                let (connections, _) = venue(turns).await;
                for lane in [Lane::Places, Lane::Cancels, Lane::Others].into_iter().cycle().take(count) {
                    let _ = ask(&connections, lane).await;
                }
                connections.switch(1);
                assert_eq!(ask(&connections, Lane::Cancels).await.0.unwrap().status, StatusCode::OK);
            });
        }
    }
}
