//! The guard's shell: engines on a Unix socket, their processes by descriptor, the venue over HTTP.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use claw_core::engine::{Answer, ConnectionId, DeadmanFired, Request, Version};
use claw_core::guard::{Guard, GuardAction, GuardEvent};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, getuid, pidfd_open, pidfd_send_signal};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use zeroize::Zeroizing;

use crate::declared_routes::Routes;
use crate::fault::Fault;
use crate::guard_link::{CHALLENGE, Hello, LEAVING, MAX_HELLO, TICK, read_some, write_all};
use crate::http::{Connections, Probing};
use crate::journal::Journal;
use crate::notify::{Notifier, lifeline_cut};
use crate::settings::{GuardSettings, ns};
use crate::socket::{Host, Trust};
use crate::venue::Venue;
use crate::{clock, log};

const LOOK_NS: u64 = 50_000_000;
const WARM_NS: u64 = 1_000_000_000;
const HELLO_TIMEOUT: Duration = Duration::from_secs(1);
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
const NS_PER_MS: f64 = 1e6;
/// It never probes: its connections are used when it acts, and a silent one is left at the time-out.
const PROBING: Probing = Probing {
    interval: Duration::from_secs(1),
    floor: Duration::from_secs(1),
    pause: Duration::from_secs(1),
};

/// One engine: its process, its connection, and how to cancel for it.
struct Guarded {
    /// Names the process for ever: its number may be another's one day.
    process: Rc<OwnedFd>,
    stream: Rc<UnixStream>,
    connections: Rc<Connections>,
    venue: Rc<Venue>,
}

type Engines = Rc<RefCell<HashMap<ConnectionId, Guarded>>>;
type Inbox = mpsc::UnboundedSender<GuardEvent>;

/// Guard until asked to stop, and until there is nothing left to guard.
pub async fn run(settings: &GuardSettings, notifier: &Notifier) -> Result<u8, Fault> {
    let (inbox, mut events) = mpsc::unbounded_channel();
    let engines = Engines::default();
    let trust = Trust::new(settings.ca_file.as_deref())?;
    let host = Host::of_url(&settings.clob_url, "http", &trust, &Routes::direct())?;
    let _ = std::fs::remove_file(&settings.socket);
    let listener = UnixListener::bind(&settings.socket)?;
    spawn_local(accept(listener, host, Rc::clone(&engines), inbox.clone()));
    spawn_local(watch_for_stop(inbox.clone())?);
    let mut shell = Shell {
        journal: Journal::open(&settings.folder.join("deadman.journal"))?,
        engines,
        watched: None,
        dying: None,
        inbox,
    };
    let mut guard = Guard::new(ns(settings.silence_s));
    notifier.ready();
    let (mut next_look_ns, mut next_warm_ns) = (0_u64, 0_u64);
    loop {
        let pause = Duration::from_nanos(next_look_ns.saturating_sub(clock::now_ns()));
        let first = tokio::time::timeout(pause, events.recv()).await.ok().flatten();
        // What has arrived meanwhile is read before anybody counts as silent.
        tokio::task::yield_now().await;
        let rest: Vec<GuardEvent> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        let now_ns = clock::now_ns();
        let is_look_due = now_ns >= next_look_ns;
        if is_look_due {
            next_look_ns = now_ns + LOOK_NS;
            notifier.alive();
        }
        let look = is_look_due.then_some(GuardEvent::Look);
        let dead = shell.is_dead()?.then_some(GuardEvent::Dead);
        for event in first.into_iter().chain(rest).chain(dead).chain(look) {
            if event == GuardEvent::StopAsked {
                notifier.stopping();
            }
            let actions = guard.handle(event, now_ns);
            if let Some(code) = shell.act(actions, now_ns)? {
                return Ok(code);
            }
        }
        if now_ns >= next_warm_ns {
            next_warm_ns = now_ns + WARM_NS;
            shell.keep_warm();
        }
    }
}

async fn accept(listener: UnixListener, host: Host, engines: Engines, inbox: Inbox) {
    for id in 1.. {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (host, engines, inbox) = (host.clone(), Rc::clone(&engines), inbox.clone());
                spawn_local(async move {
                    if let Err(reason) = serve(id, stream, &host, &engines, &inbox).await {
                        log::warning("guard.connection.lost", &[("reason", &reason.to_string())]);
                    }
                    // Without a reader the work loop has ended already.
                    let _ = inbox.send(GuardEvent::Closed(id));
                });
            }
            // No descriptor is left: whoever calls waits, and this process does not spin.
            Err(fault) => {
                log::error("guard.port.refused", &[("reason", &fault.to_string())]);
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Meet one engine, then read its words until it is gone.
async fn serve(
    id: ConnectionId,
    stream: UnixStream,
    host: &Host,
    engines: &Engines,
    inbox: &Inbox,
) -> io::Result<()> {
    let stream = Rc::new(stream);
    let process = process_of(&stream)?;
    write_all(&stream, &[CHALLENGE]).await?;
    let meeting = tokio::time::timeout(HELLO_TIMEOUT, read_hello(&stream));
    let hello = meeting.await??;
    let connections = Rc::new(Connections::new(host.clone(), PROBING));
    let session = hello.credentials().and_then(|credentials| {
        let venue = Venue::new(
            Rc::clone(&connections),
            None,
            credentials,
            &hello.address,
            hello.clock(),
        );
        venue.map_err(|fault| fault.to_string())
    });
    let guarded = Guarded {
        process: Rc::new(process),
        stream: Rc::clone(&stream),
        connections,
        venue: Rc::new(session.map_err(io::Error::other)?),
    };
    drop(hello);
    engines.borrow_mut().insert(id, guarded);
    let _ = inbox.send(GuardEvent::Hello(id));
    let mut words = [0; 64];
    loop {
        let count = read_some(&stream, &mut words).await?;
        for word in &words[..count] {
            let event = match *word {
                TICK => GuardEvent::Ticked(id),
                LEAVING => GuardEvent::Left(id),
                other => return Err(io::Error::other(format!("an engine said {other}"))),
            };
            let _ = inbox.send(event);
        }
        if count == 0 {
            return Ok(());
        }
    }
}

/// A descriptor of the caller's process. What it says after the challenge proves that it was the caller's.
fn process_of(stream: &UnixStream) -> io::Result<OwnedFd> {
    let caller = stream.peer_cred()?;
    if caller.uid() != getuid().as_raw() {
        return Err(io::Error::other("a caller of another user"));
    }
    let pid = caller
        .pid()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("a caller without a process"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

async fn read_hello(stream: &UnixStream) -> io::Result<Hello> {
    let mut head = Zeroizing::new(vec![0; 4]);
    read_exact(stream, &mut head).await?;
    let length = head
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    if length > MAX_HELLO {
        return Err(io::Error::other(format!("a hello of {length} bytes")));
    }
    let mut body = Zeroizing::new(vec![0; length]);
    read_exact(stream, &mut body).await?;
    Hello::read(&body).map_err(io::Error::other)
}

async fn read_exact(stream: &UnixStream, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        let count = read_some(stream, buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[count..];
    }
    Ok(())
}

/// Say when this process should end: a signal, or the supervisor's death.
fn watch_for_stop(inbox: Inbox) -> Result<impl Future<Output = ()> + 'static, Fault> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        let cause = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = lifeline_cut() => "the supervisor is gone",
        };
        log::info("process.stopping", &[("cause", cause)]);
        let _ = inbox.send(GuardEvent::StopAsked);
    })
}

/// Everything around the state machine.
struct Shell {
    journal: Journal,
    engines: Engines,
    /// The engine that is watched, or was until it was killed: the one to cancel for.
    watched: Option<ConnectionId>,
    /// The process that was killed, until it has ended.
    dying: Option<Rc<OwnedFd>>,
    inbox: Inbox,
}

impl Shell {
    fn act(&mut self, actions: Vec<GuardAction>, now_ns: u64) -> Result<Option<u8>, Fault> {
        for action in actions {
            match action {
                GuardAction::Arm(engine) => {
                    self.watched = Some(engine);
                    self.engines.borrow_mut().retain(|id, _| *id >= engine);
                    log::info("guard.armed", &[]);
                    self.echo(engine);
                }
                GuardAction::Echo(engine) => self.echo(engine),
                GuardAction::Kill(engine) => self.kill(engine),
                GuardAction::CancelAll => self.ask(Request::CancelAll),
                GuardAction::List => self.ask(Request::ListOrders),
                GuardAction::Warn(reason) => log::warning("guard.withdraw.retry", &[("reason", &reason)]),
                GuardAction::Report {
                    cause,
                    cancelled,
                    elapsed_ns,
                } => self.report(cause, cancelled, elapsed_ns, now_ns)?,
                GuardAction::Exit(code) => return Ok(Some(code)),
            }
        }
        Ok(None)
    }

    fn echo(&self, engine: ConnectionId) {
        if let Some(guarded) = self.engines.borrow().get(&engine) {
            // An engine that does not read its echoes places nothing.
            let _ = guarded.stream.try_write(&[TICK]);
        }
    }

    fn kill(&mut self, engine: ConnectionId) {
        let process = self
            .engines
            .borrow()
            .get(&engine)
            .map(|it| Rc::clone(&it.process));
        if let Some(process) = &process {
            log::warning("guard.kill", &[]);
            // An engine that is dead already cannot be killed.
            let _ = pidfd_send_signal(&**process, Signal::KILL);
        }
        self.dying = process;
    }

    /// Whether the killed engine's process has ended, once.
    fn is_dead(&mut self) -> Result<bool, Fault> {
        let Some(process) = &self.dying else {
            return Ok(false);
        };
        // The descriptor of a process can be read from when that has ended.
        let at_once = Timespec::default();
        // A signal that comes meanwhile must not end a guard at its work.
        let polled = retry_on_intr(|| poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&at_once)));
        let is_dead = polled.map_err(|fault| Fault::Crash(fault.to_string()))? > 0;
        if is_dead {
            self.dying = None;
        }
        Ok(is_dead)
    }

    fn venue(&self) -> Option<Rc<Venue>> {
        let engines = self.engines.borrow();
        let guarded = engines.get(&self.watched?)?;
        Some(Rc::clone(&guarded.venue))
    }

    fn ask(&self, request: Request) {
        let Some(venue) = self.venue() else {
            return;
        };
        let inbox = self.inbox.clone();
        spawn_local(async move {
            let is_cancel = request == Request::CancelAll;
            let outcome = match venue.carry_out(request).await.answer {
                Answer::Cancelled(report) => Ok(report.cancelled.len() as u64),
                Answer::Orders(listed) => Ok(listed.len() as u64),
                other => Err(other.into_failure()),
            };
            let event = if is_cancel {
                GuardEvent::Cancelled(outcome)
            } else {
                GuardEvent::Listed(outcome)
            };
            let _ = inbox.send(event);
        });
    }

    fn report(&mut self, cause: &str, cancelled: u64, elapsed_ns: u64, now_ns: u64) -> Result<(), Fault> {
        let elapsed_ms = elapsed_ns as f64 / NS_PER_MS;
        let fields = [
            ("cause", cause),
            ("cancelled", &cancelled.to_string()),
            ("ms", &format!("{elapsed_ms:.1}")),
        ];
        log::warning("guard.deadman", &fields);
        let fired = DeadmanFired {
            cause: cause.to_owned(),
            victim: "all".to_owned(),
            cancelled,
            elapsed_ms,
            fired_ns: now_ns,
            v: Version,
        };
        let record = rmp_serde::to_vec_named(&fired).map_err(|fault| Fault::Crash(fault.to_string()))?;
        self.journal.append(&record)?;
        Ok(())
    }

    fn keep_warm(&self) {
        let engines = self.engines.borrow();
        if let Some(guarded) = self.watched.and_then(|id| engines.get(&id)) {
            let connections = Rc::clone(&guarded.connections);
            let venue = Rc::clone(&guarded.venue);
            spawn_local(async move {
                connections.keep_warm().await;
                if venue.keep_time().await.is_some() {
                    log::warning("guard.clock.corrected", &[]);
                }
            });
        }
    }
}
