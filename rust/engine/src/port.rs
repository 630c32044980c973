//! The engine's port, as `kernel/engine_port.py` speaks it: u32 LE length, then a msgpack map with its type.
//!
//! Closing the connection is the dead-man switch of its quoter. The orchestrator asks for its account and for signatures
//! here, on a connection that says no name.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use claw_core::engine::{ConnectionId, EngineReply, EngineRequest, Event};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_local};

use crate::account::Account;
use crate::log;

const MAX_FRAME: usize = 1 << 20;
/// A quoter that has not read so many replies is as good as dead.
const MAX_UNREAD: usize = 4_096;
const RETRY: Duration = Duration::from_millis(100);

struct Connection {
    outbox: mpsc::Sender<Vec<u8>>,
    reading: AbortHandle,
}

type Connections = Rc<RefCell<HashMap<ConnectionId, Connection>>>;

/// Where quoters connect.
pub struct Port {
    connections: Connections,
}

impl Port {
    /// Begin to listen; what quoters say goes to `inbox`.
    pub fn open(path: &Path, account: Account, inbox: mpsc::UnboundedSender<Event>) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        let connections = Connections::default();
        let account = frame_of(&account)?;
        spawn_local(accept(listener, Rc::clone(&connections), account.into(), inbox));
        Ok(Self { connections })
    }

    /// Say something to a quoter; one that reads no more is dropped.
    pub fn reply(&self, id: ConnectionId, reply: &EngineReply) {
        let frame = match frame_of(reply) {
            Ok(frame) => frame,
            Err(fault) => return log::error("engine.port.unwritable", &[("reason", &fault.to_string())]),
        };
        let connections = self.connections.borrow();
        let is_unread = connections
            .get(&id)
            .is_some_and(|connection| connection.outbox.try_send(frame).is_err());
        drop(connections);
        if is_unread {
            self.close(id);
        }
    }

    /// Drop a connection.
    pub fn close(&self, id: ConnectionId) {
        if let Some(connection) = self.connections.borrow_mut().remove(&id) {
            connection.reading.abort();
        }
    }
}

fn frame_of(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    rmp_serde::encode::write_named(&mut frame, message).map_err(io::Error::other)?;
    let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

async fn accept(
    listener: UnixListener,
    connections: Connections,
    account: Rc<[u8]>,
    inbox: mpsc::UnboundedSender<Event>,
) {
    for id in 1.. {
        match listener.accept().await {
            Ok((stream, _)) => serve(id, stream, &connections, &account, &inbox),
            // No descriptor is left, or the caller is gone: the next one may have more luck.
            Err(fault) => {
                log::error("engine.port.refused", &[("reason", &fault.to_string())]);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

fn serve(
    id: ConnectionId,
    stream: UnixStream,
    connections: &Connections,
    account: &Rc<[u8]>,
    inbox: &mpsc::UnboundedSender<Event>,
) {
    let (reader, writer) = stream.into_split();
    let (outbox, frames) = mpsc::channel(MAX_UNREAD);
    spawn_local(write_frames(writer, frames));
    let (inbox, closing) = (inbox.clone(), inbox.clone());
    let desk = Desk {
        id,
        account: Rc::clone(account),
        outbox: outbox.clone(),
        inbox,
    };
    let reading = spawn_local(async move { desk.read_requests(reader).await });
    let abort = reading.abort_handle();
    let connection = Connection {
        outbox,
        reading: abort,
    };
    connections.borrow_mut().insert(id, connection);
    let connections = Rc::clone(connections);
    spawn_local(async move {
        if let Ok(Err(fault)) = reading.await {
            log::warning("engine.port.bad_frame", &[("reason", &fault.to_string())]);
        }
        connections.borrow_mut().remove(&id);
        let _ = closing.send(Event::QuoterClosed(id));
    });
}

async fn write_frames(mut writer: OwnedWriteHalf, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if writer.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// Takes in what one peer says.
struct Desk {
    id: ConnectionId,
    account: Rc<[u8]>,
    outbox: mpsc::Sender<Vec<u8>>,
    inbox: mpsc::UnboundedSender<Event>,
}

impl Desk {
    async fn read_requests(self, mut reader: OwnedReadHalf) -> io::Result<()> {
        let mut head = [0; 4];
        loop {
            if reader.read_exact(&mut head).await.is_err() {
                return Ok(());
            }
            let length = u32::from_le_bytes(head) as usize;
            if length > MAX_FRAME {
                return Err(io::Error::other(format!("a frame of {length} bytes")));
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).await.is_err() {
                return Ok(());
            }
            let is_served = match rmp_serde::from_slice(&body).map_err(io::Error::other)? {
                EngineRequest::Hello(hello) => self.tell(Event::QuoterConnected(self.id, hello.name)),
                EngineRequest::Plan(plan) => self.tell(Event::PlanSent(self.id, plan)),
                EngineRequest::Touch(touch) => self.tell(Event::Touched(self.id, touch.book_sequence)),
                EngineRequest::SignBatch(batch) => self.tell(Event::BatchAsked(self.id, batch)),
                EngineRequest::OpenAccount => self.outbox.try_send(self.account.to_vec()).is_ok(),
            };
            if !is_served {
                return Ok(());
            }
        }
    }

    fn tell(&self, event: Event) -> bool {
        self.inbox.send(event).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::process::Command;
    use std::time::Duration;

    use claw_core::engine::{EngineRequest, Event, Hello, VenueClock};
    use claw_core::order::signing::{Account as Kind, OrderSigner, SigningKey};
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
    use rustix::process::{Resource, Rlimit, setrlimit};
    use tokio::sync::mpsc;
    use tokio::task::LocalSet;

    use super::{Port, frame_of};
    use crate::account::Account;
    use crate::wire::{ApiKey, read};

    const VICTIM: &str = "CLAW_TEST_VICTIM";
    const NAME: &str = "port::tests::a_caller_that_found_no_descriptor_left_is_let_in_later";
    const FEW: u64 = 64;

    fn account() -> Account {
        let key: ApiKey = read(br#"{"apiKey":"id","secret":"s","passphrase":"p"}"#, "").unwrap();
        let signer = OrderSigner::new(SigningKey::new(&[7; 32]).unwrap(), 137, Kind::Eoa).unwrap();
        Account::new(
            &signer,
            &key,
            VenueClock {
                venue_ms: 0,
                at_ns: 0,
            },
        )
    }

    async fn call_without_descriptors(folder: &std::path::Path) {
        let path = folder.join("port");
        let (inbox, mut events) = mpsc::unbounded_channel();
        let _port = Port::open(&path, account(), inbox).unwrap();
        let caller = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let mut taken = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        connect(&caller, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        let hello = EngineRequest::Hello(Hello {
            name: "quoter-1".to_owned(),
        });
        let mut caller = UnixStream::from(caller);
        caller.write_all(&frame_of(&hello).unwrap()).unwrap();
        // The port has tried by now, and found none.
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(taken);
        let heard = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
        assert!(matches!(heard, Ok(Some(Event::QuoterConnected(_, name))) if name == "quoter-1"));
    }

    #[test]
    fn a_caller_that_found_no_descriptor_left_is_let_in_later() {
        let folder = std::env::temp_dir().join(format!("claw-port-{}", std::process::id()));
        if let Some(folder) = std::env::var_os(VICTIM) {
            let few = Rlimit {
                current: Some(FEW),
                maximum: Some(FEW),
            };
            setrlimit(Resource::Nofile, few).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let folder = std::path::PathBuf::from(folder);
            return LocalSet::new().block_on(&runtime, call_without_descriptors(&folder));
        }
        std::fs::create_dir_all(&folder).unwrap();
        let mut again = Command::new(std::env::current_exe().unwrap());
        let ended = again
            .args(["--exact", NAME])
            .env(VICTIM, &folder)
            .output()
            .unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(
            ended.status.success(),
            "{}",
            String::from_utf8_lossy(&ended.stdout)
        );
    }
}
