//! The lanes: which connections there are, what each is for, and the move to the standbys.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::{Rc, Weak};

use claw_core::engine::Cause;
use futures_util::future::join_all;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::{AbortHandle, spawn_local};

use super::Connections;
use crate::clock;
use crate::socket::Watch;

pub(super) const LANES: usize = 4;
/// Each costs the venue a handshake, too.
const SPARES_A_ROUND: usize = 2;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Cancels,
    Places,
    Standbys,
    Others,
}

impl Lane {
    pub(super) const ORDER_ENTRY: [Self; 3] = [Self::Cancels, Self::Places, Self::Standbys];

    const fn warm(self) -> usize {
        match self {
            Self::Standbys => 5,
            Self::Cancels | Self::Places => 2,
            Self::Others => 1,
        }
    }

    /// More idle connections than this are closed.
    const fn most(self) -> usize {
        match self {
            Self::Standbys => self.warm(),
            Self::Cancels | Self::Places => 32,
            Self::Others => 8,
        }
    }
}

/// One connection, whoever uses it at the moment.
pub(super) struct Link {
    pub(super) watch: Rc<Watch>,
    pub(super) generation: Cell<u64>,
    pub(super) lane: Cell<Lane>,
    /// Whether nothing but a probe is under way.
    pub(super) is_probing: Cell<bool>,
    /// The declared route that it takes.
    pub(super) route: usize,
    /// What was sent at this time has had its answer.
    pub(super) proven_ns: Cell<u64>,
    pub(super) driver: RefCell<Option<AbortHandle>>,
}

impl Link {
    /// Close it, and throw away what waits to be sent.
    pub(super) fn abandon(&self) {
        self.watch.is_abandoned.set(true);
        if let Some(driver) = self.driver.borrow_mut().take() {
            driver.abort();
        }
    }
}

pub(super) struct Connection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) link: Rc<Link>,
}

impl Connections {
    pub(super) fn lane(&self, lane: Lane) -> &RefCell<VecDeque<Connection>> {
        &self.idle[lane as usize]
    }

    /// Give up every connection but the standbys, which take their places.
    pub fn switch(&self, generation: u64) {
        self.generation.set(generation);
        self.opening.iter().for_each(|count| count.set(0));
        // Since something is silent only what was answered meanwhile is known to work.
        let silent_since_ns = self.silent_since_ns.take();
        let is_way_open = self.is_way_open();
        let is_alive = |connection: &Connection| {
            let is_proven = silent_since_ns.map_or(is_way_open, |since_ns| {
                connection.link.proven_ns.get() >= since_ns
            });
            // What went over an address that was left does not come back.
            let is_here = connection.link.route == self.host.route();
            is_here && is_proven && connection.sender.is_ready() && !connection.link.watch.is_broken.get()
        };
        let mut alive = std::mem::take(&mut *self.lane(Lane::Standbys).borrow_mut());
        alive.extend(self.elsewhere.take());
        alive.retain(is_alive);
        for lane in [Lane::Cancels, Lane::Places, Lane::Others] {
            self.lane(lane).borrow_mut().clear();
        }
        self.links.borrow_mut().retain(|link| {
            let Some(link) = link.upgrade() else {
                return false;
            };
            let is_kept = alive.iter().any(|kept| Rc::ptr_eq(&kept.link, &link));
            // A probe carries no order: its late answer would show that the alarm was false.
            if !is_kept && !link.is_probing.get() {
                link.abandon();
            }
            is_kept || link.is_probing.get()
        });
        // Nothing is placed before the cancel and the list of trades are answered.
        let first = [Lane::Cancels, Lane::Others, Lane::Places];
        let lanes = first.into_iter().chain(std::iter::repeat(Lane::Standbys));
        for (connection, lane) in alive.into_iter().zip(lanes) {
            connection.link.generation.set(generation);
            connection.link.lane.set(lane);
            self.lane(lane).borrow_mut().push_back(connection);
        }
    }

    /// Keep so many for cancels and as many for places, opened slowly: a jump moves the quotes of many markets at
    /// once, and no cancel should wait for a handshake, be it another request's.
    pub fn keep_spare(&self, connections: usize) {
        self.spare.set(connections);
    }

    /// Open connections until enough are warm in every lane.
    pub async fn keep_warm(self: &Rc<Self>) {
        let is_trial = self.has_failed.get();
        let mut missing = self.missing();
        if missing.is_empty() && !is_trial {
            // A few a round, and only while all else is well.
            for lane in [Lane::Cancels, Lane::Places] {
                let there = self.lane(lane).borrow().len() + self.out_with_probes(lane);
                let wanted = (lane.warm() + self.spare.get()).saturating_sub(there);
                missing.extend(std::iter::repeat_n(lane, wanted.min(SPARES_A_ROUND)));
            }
        }
        let opened = missing.into_iter().map(|lane| self.warm(lane, is_trial));
        join_all(opened).await;
    }

    /// What is neither idle, nor out with a probe, nor being opened.
    pub(super) fn missing(&self) -> Vec<Lane> {
        self.links.borrow_mut().retain(|link| link.strong_count() > 0);
        let mut missing = Vec::new();
        for lane in [Lane::Cancels, Lane::Places, Lane::Standbys, Lane::Others] {
            let mut idle = self.lane(lane).borrow_mut();
            idle.retain(|connection| !connection.sender.is_closed());
            let there = idle.len() + self.out_with_probes(lane) + self.opening[lane as usize].get();
            missing.extend(std::iter::repeat_n(lane, lane.warm().saturating_sub(there)));
        }
        if self.has_failed.get() {
            // One tries: handshakes by the dozen would keep a venue that is short of time from any of them.
            let is_tried = self.opening.iter().any(|count| count.get() > 0);
            missing.truncate(usize::from(!is_tried));
        }
        missing
    }

    fn out_with_probes(&self, lane: Lane) -> usize {
        let links = self.links.borrow();
        let links = links.iter().filter_map(Weak::upgrade);
        let is_out = |link: &Rc<Link>| {
            link.is_probing.get() && link.lane.get() == lane && link.generation.get() == self.generation()
        };
        links.filter(is_out).count()
    }

    async fn warm(self: &Rc<Self>, lane: Lane, is_trial: bool) {
        let (generation, opening) = (self.generation(), &self.opening[lane as usize]);
        opening.set(opening.get() + 1);
        let opened = self.connect(lane).await;
        if generation == self.generation() {
            opening.set(opening.get() - 1);
        }
        match opened {
            Ok(connection) => {
                if is_trial {
                    self.has_failed.set(false);
                }
                self.give_back(connection);
            }
            // The venue may be away: the next round asks again.
            Err(_) => {
                self.has_failed.set(true);
                self.look_elsewhere();
            }
        }
    }

    /// The connection used last is the warmest.
    pub(super) fn take_idle(&self, lane: Lane) -> Option<Connection> {
        let mut idle = self.lane(lane).borrow_mut();
        idle.retain(|connection| connection.sender.is_ready() && connection.link.route == self.host.route());
        idle.pop_back()
    }

    /// Keep a connection for the next request, unless it was given up meanwhile.
    pub(super) fn give_back(&self, connection: Connection) {
        let link = &connection.link;
        if link.generation.get() != self.generation() {
            if link.lane.get() != Lane::Standbys || link.route != self.host.route() {
                return link.abandon();
            }
            link.generation.set(self.generation());
        }
        let mut idle = self.lane(link.lane.get()).borrow_mut();
        if idle.len() < link.lane.get().most() {
            idle.push_back(connection);
        }
    }

    pub(super) async fn connect(&self, lane: Lane) -> io::Result<Connection> {
        self.connect_over(lane, self.host.route()).await
    }

    pub(super) async fn connect_over(&self, lane: Lane, route: usize) -> io::Result<Connection> {
        let watch: Rc<Watch> = Rc::default();
        let (generation, began_ns) = (self.generation(), clock::now_ns());
        let stream = self.host.connect_over(route, Rc::clone(&watch)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let link = Rc::new(Link {
            watch,
            generation: Cell::new(generation),
            lane: Cell::new(lane),
            is_probing: Cell::new(false),
            route,
            proven_ns: Cell::new(began_ns),
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
