//! The guard as a state machine: it watches one engine and, when that is gone or silent, ends what it left behind.
//!
//! ```text
//! idle ─hello─▶ watching ─left in order─▶ idle
//!                  │ closed · silent for 300 ms · a second engine
//!                  ▼
//!            withdrawing: kill → cancel all → list … until two listings ≥ 1 s apart are empty,
//!                         the last one asked for ≥ 1 s after the engine was dead → report → idle
//! ```
//!
//! It can cancel and never place: it has the API key, not the key that signs. Killing comes first, because a stopped
//! engine that is continued would place again. An engine that says hello while another's orders are being withdrawn
//! is taken on afterwards; until then it may not place (design.md §6).

use crate::engine::ConnectionId;
use crate::silence::Silence;

/// Time between two empty listings, and from the engine's death to the last: TCP_USER_TIMEOUT of its sockets.
const APART_NS: u64 = 1_000_000_000;
/// Between two listings, and before another attempt.
const PAUSE_NS: u64 = 200_000_000;
/// When asked to stop, how long to go on without the venue's word; its own switch has fired four times by then.
const GIVE_UP_NS: u64 = 60_000_000_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardEvent {
    /// An engine has handed over what is needed to cancel for it.
    Hello(ConnectionId),
    /// It says that its work loop goes on.
    Ticked(ConnectionId),
    /// It ends in order: the venue has confirmed that nothing is open.
    Left(ConnectionId),
    /// Its connection is gone.
    Closed(ConnectionId),
    /// Time has passed; comes every 50 ms, after everything that waited was read.
    Look,
    /// The killed engine is dead.
    Dead,
    /// The venue cancelled so many orders, or why it did not.
    Cancelled(Result<u64, String>),
    /// The venue lists so many open orders, or why it did not.
    Listed(Result<u64, String>),
    /// This process should end.
    StopAsked,
}

/// Something to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardAction {
    /// Tell this engine that it is guarded.
    Arm(ConnectionId),
    /// Echo this engine's tick.
    Echo(ConnectionId),
    /// End this engine's process for certain, and come back with [`GuardEvent::Dead`].
    Kill(ConnectionId),
    /// Cancel whatever the watched engine's key has open.
    CancelAll,
    /// List what it has open.
    List,
    /// An attempt failed.
    Warn(String),
    /// It is done.
    Report {
        /// Why.
        cause: &'static str,
        /// How many orders.
        cancelled: u64,
        /// From the cause to the first of the empty listings.
        elapsed_ns: u64,
    },
    /// End with this exit code; nothing follows.
    Exit(u8),
}

#[derive(Debug)]
struct Withdrawal {
    cause: &'static str,
    began_ns: u64,
    dead_ns: Option<u64>,
    cancelled: u64,
    must_cancel: bool,
    /// When the listing under way was asked for, and whether anything is under way.
    asked_ns: u64,
    is_under_way: bool,
    next_ns: u64,
    /// When the first of the empty listings was asked for.
    empty_since_ns: Option<u64>,
}

#[derive(Debug)]
enum State {
    Idle,
    Watching(ConnectionId, Silence),
    Withdrawing(Withdrawal),
}

/// One guard.
#[derive(Debug)]
pub struct Guard {
    silence_ns: u64,
    state: State,
    waiting: Option<ConnectionId>,
    stop_asked_ns: Option<u64>,
    actions: Vec<GuardAction>,
}

impl Guard {
    /// A guard without an engine; one that is silent for `silence_ns` counts as gone.
    #[must_use]
    pub const fn new(silence_ns: u64) -> Self {
        Self {
            silence_ns,
            state: State::Idle,
            waiting: None,
            stop_asked_ns: None,
            actions: Vec::new(),
        }
    }

    /// One word on what it does.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        match self.state {
            State::Idle => "idle",
            State::Watching(..) => "watching",
            State::Withdrawing(_) => "withdrawing",
        }
    }

    /// Take in one event and say what to do about it, in order.
    pub fn handle(&mut self, event: GuardEvent, now_ns: u64) -> Vec<GuardAction> {
        match event {
            GuardEvent::Hello(engine) => self.take_on(engine, now_ns),
            GuardEvent::Ticked(engine) => {
                if let State::Watching(watched, silence) = &mut self.state {
                    if *watched == engine {
                        silence.hear(now_ns);
                        self.actions.push(GuardAction::Echo(engine));
                    }
                }
            }
            GuardEvent::Left(engine) => self.let_go(engine),
            GuardEvent::Closed(engine) => {
                self.waiting = self.waiting.filter(|waiting| *waiting != engine);
                if self.watched() == Some(engine) {
                    self.withdraw(engine, "the engine is gone", now_ns);
                }
            }
            GuardEvent::Look => self.look(now_ns),
            GuardEvent::Dead => {
                if let State::Withdrawing(withdrawal) = &mut self.state {
                    withdrawal.dead_ns.get_or_insert(now_ns);
                }
            }
            GuardEvent::Cancelled(outcome) => self.take_cancelled(outcome, now_ns),
            GuardEvent::Listed(outcome) => self.take_listed(outcome, now_ns),
            GuardEvent::StopAsked => {
                self.stop_asked_ns.get_or_insert(now_ns);
                self.end_if_asked();
            }
        }
        std::mem::take(&mut self.actions)
    }

    const fn watched(&self) -> Option<ConnectionId> {
        match self.state {
            State::Watching(watched, _) => Some(watched),
            _ => None,
        }
    }

    fn take_on(&mut self, engine: ConnectionId, now_ns: u64) {
        match self.state {
            State::Idle => {
                self.state = State::Watching(engine, Silence::new(self.silence_ns, now_ns));
                self.actions.push(GuardAction::Arm(engine));
            }
            State::Watching(watched, _) => {
                self.waiting = Some(engine);
                self.withdraw(watched, "a second engine came", now_ns);
            }
            State::Withdrawing(_) => self.waiting = Some(engine),
        }
    }

    fn let_go(&mut self, engine: ConnectionId) {
        self.waiting = self.waiting.filter(|waiting| *waiting != engine);
        if self.watched() == Some(engine) {
            self.state = State::Idle;
            self.end_if_asked();
        }
    }

    fn end_if_asked(&mut self) {
        if self.stop_asked_ns.is_some() && matches!(self.state, State::Idle) {
            self.actions.push(GuardAction::Exit(0));
        }
    }

    fn withdraw(&mut self, engine: ConnectionId, cause: &'static str, now_ns: u64) {
        self.state = State::Withdrawing(Withdrawal {
            cause,
            began_ns: now_ns,
            dead_ns: None,
            cancelled: 0,
            must_cancel: true,
            asked_ns: now_ns,
            is_under_way: false,
            next_ns: now_ns,
            empty_since_ns: None,
        });
        self.actions.push(GuardAction::Kill(engine));
        self.step(now_ns);
    }

    fn look(&mut self, now_ns: u64) {
        match &mut self.state {
            State::Idle => {}
            State::Watching(watched, silence) => {
                if silence.look(now_ns) {
                    let watched = *watched;
                    self.withdraw(watched, "the engine is silent", now_ns);
                }
            }
            State::Withdrawing(_) => {
                let stop_asked_ns = self.stop_asked_ns;
                if stop_asked_ns.is_some_and(|asked| now_ns.saturating_sub(asked) > GIVE_UP_NS) {
                    self.actions.push(GuardAction::Exit(1));
                } else {
                    self.step(now_ns);
                }
            }
        }
    }

    /// The next request, when none is under way and it is time.
    fn step(&mut self, now_ns: u64) {
        let State::Withdrawing(withdrawal) = &mut self.state else {
            return;
        };
        if withdrawal.is_under_way || now_ns < withdrawal.next_ns {
            return;
        }
        withdrawal.is_under_way = true;
        withdrawal.asked_ns = now_ns;
        self.actions.push(if withdrawal.must_cancel {
            GuardAction::CancelAll
        } else {
            GuardAction::List
        });
    }

    fn take_cancelled(&mut self, outcome: Result<u64, String>, now_ns: u64) {
        let State::Withdrawing(withdrawal) = &mut self.state else {
            return;
        };
        withdrawal.is_under_way = false;
        match outcome {
            Ok(cancelled) => {
                withdrawal.cancelled += cancelled;
                withdrawal.must_cancel = false;
                self.step(now_ns);
            }
            Err(reason) => {
                withdrawal.next_ns = now_ns + PAUSE_NS;
                self.actions.push(GuardAction::Warn(reason));
            }
        }
    }

    fn take_listed(&mut self, outcome: Result<u64, String>, now_ns: u64) {
        let State::Withdrawing(withdrawal) = &mut self.state else {
            return;
        };
        withdrawal.is_under_way = false;
        withdrawal.next_ns = now_ns + PAUSE_NS;
        match outcome {
            Ok(0) => {
                let asked_ns = withdrawal.asked_ns;
                let first_ns = *withdrawal.empty_since_ns.get_or_insert(asked_ns);
                let is_late_enough = |since_ns: u64| asked_ns >= since_ns + APART_NS;
                if is_late_enough(first_ns) && withdrawal.dead_ns.is_some_and(is_late_enough) {
                    let report = GuardAction::Report {
                        cause: withdrawal.cause,
                        cancelled: withdrawal.cancelled,
                        elapsed_ns: first_ns - withdrawal.began_ns,
                    };
                    self.finish(report, now_ns);
                }
            }
            Ok(_) => {
                withdrawal.empty_since_ns = None;
                withdrawal.must_cancel = true;
                withdrawal.next_ns = now_ns + PAUSE_NS / 4;
            }
            Err(reason) => self.actions.push(GuardAction::Warn(reason)),
        }
    }

    fn finish(&mut self, report: GuardAction, now_ns: u64) {
        self.actions.push(report);
        self.state = State::Idle;
        match self.waiting.take() {
            Some(engine) => self.take_on(engine, now_ns),
            None => self.end_if_asked(),
        }
    }
}
