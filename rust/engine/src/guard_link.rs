//! Between an engine and its guard, on a Unix socket: the engine's end, and the words of both.
//!
//! ```text
//! guard  ▶ '?'                it holds a descriptor of the caller's process now: who answers was alive after that
//! engine ▶ u32 LE ‖ Hello     JSON; the API key, never the key that signs
//! engine ▶ 't' …              from the work loop alone, so that a hang shows
//! guard  ▶ 't' …              echoed once this engine is guarded
//! engine ▶ 'b'                it ends in order: the venue has confirmed that nothing is open
//! ```

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use claw_core::engine::{Event, VenueClock};
use claw_core::order::hmac::Credentials;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use zeroize::Zeroizing;

use crate::wire::ApiKey;

pub const CHALLENGE: u8 = b'?';
pub const TICK: u8 = b't';
pub const LEAVING: u8 = b'b';
pub const MAX_HELLO: usize = 4_096;
const RETRY: Duration = Duration::from_millis(100);

/// What a guard needs to cancel for an engine; erased on drop and never printed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Whose API key it is.
    pub address: String,
    api_key: String,
    secret: Zeroizing<String>,
    passphrase: Zeroizing<String>,
    /// The venue's clock …
    venue_ms: u64,
    /// … when CLOCK_BOOTTIME said this.
    at_ns: u64,
}

impl Hello {
    /// Copy the API key of `address`.
    pub fn new(address: String, key: &ApiKey, clock: VenueClock) -> Self {
        Self {
            address,
            api_key: key.api_key.clone(),
            secret: key.secret.clone(),
            passphrase: key.passphrase.clone(),
            venue_ms: clock.venue_ms,
            at_ns: clock.at_ns,
        }
    }

    /// Read what [`Hello::frame`] wrote, without its length.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|fault| fault.to_string())
    }

    /// The credentials; the reason when they are none.
    pub fn credentials(&self) -> Result<Credentials, String> {
        Credentials::new(&self.api_key, &self.secret, &self.passphrase).map_err(|fault| fault.to_string())
    }

    /// The venue's clock.
    pub const fn clock(&self) -> VenueClock {
        VenueClock {
            venue_ms: self.venue_ms,
            at_ns: self.at_ns,
        }
    }

    fn frame(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let body = Zeroizing::new(serde_json::to_vec(self)?);
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        Ok(Zeroizing::new([&length.to_le_bytes(), &body[..]].concat()))
    }
}

type Stream = Rc<RefCell<Option<Rc<UnixStream>>>>;

/// The engine's connection to its guard, made anew whenever it is lost.
pub struct GuardLink(Stream);

impl GuardLink {
    /// Begin to connect; every word of the guard becomes an event.
    pub fn open(path: PathBuf, hello: Hello, inbox: mpsc::UnboundedSender<Event>) -> Self {
        let stream = Stream::default();
        let held = Rc::clone(&stream);
        spawn_local(async move {
            while !inbox.is_closed() {
                // However it ended, the guard is met again as soon as there is one.
                let _ = meet(&path, &hello, &held, &inbox).await;
                held.borrow_mut().take();
                tokio::time::sleep(RETRY).await;
            }
        });
        Self(stream)
    }

    /// Say that the work loop goes on; call it from there alone.
    pub fn tick(&self) {
        self.say(TICK);
    }

    /// Say that this engine ends in order.
    pub fn leave(&self) {
        self.say(LEAVING);
    }

    /// A guard that does not read is as good as none: its missing echo tells.
    fn say(&self, word: u8) {
        if let Some(stream) = &*self.0.borrow() {
            let _ = stream.try_write(&[word]);
        }
    }
}

async fn meet(
    path: &std::path::Path,
    hello: &Hello,
    held: &Stream,
    inbox: &mpsc::UnboundedSender<Event>,
) -> io::Result<()> {
    let stream = Rc::new(UnixStream::connect(path).await?);
    let mut words = [0; 64];
    let count = read_some(&stream, &mut words).await?;
    if words[..count] != [CHALLENGE] {
        return Err(io::Error::other("no guard"));
    }
    write_all(&stream, &hello.frame()?).await?;
    *held.borrow_mut() = Some(Rc::clone(&stream));
    while read_some(&stream, &mut words).await? > 0 {
        if inbox.send(Event::GuardSeen).is_err() {
            break;
        }
    }
    Ok(())
}

/// Read what there is, at least a byte; 0 when the other end has closed.
pub async fn read_some(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read(buffer) {
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

/// Write all of it.
pub async fn write_all(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
            done => bytes = &bytes[done?..],
        }
    }
    Ok(())
}
