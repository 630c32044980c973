//! The supervisor's two lines to its child: sd_notify out, the lifeline in.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

const LIFELINE_VARIABLE: &str = "CLAW_LIFELINE_FD";

/// Tells the supervisor about this process; a no-op without one. Source: sd_notify(3).
#[derive(Debug)]
pub struct Notifier(Option<(UnixDatagram, PathBuf)>);

impl Notifier {
    /// Speak to `$NOTIFY_SOCKET`.
    pub fn from_environment() -> Self {
        let address = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty());
        let socket = UnixDatagram::unbound().and_then(|socket| {
            // A supervisor that reads no more must not stop its children: their pulses are dropped instead.
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        Self(socket.ok().zip(address.map(PathBuf::from)))
    }

    /// Start-up is complete.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The work loop goes on.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// Orderly shutdown has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// One sentence for a person.
    pub fn status(&self, sentence: &str) {
        self.send(&format!("STATUS={}", sentence.replace('\n', " ")));
    }

    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.0 {
            // The supervisor is gone or hangs; the lifeline tells so, and a pulse must never kill its sender.
            let _ = socket.send_to(text.as_bytes(), address);
        }
    }
}

/// Where a descriptor can be opened whose number is in a variable.
pub fn descriptor_path(variable: &str) -> Option<PathBuf> {
    let descriptor = std::env::var(variable).ok()?;
    let is_number = !descriptor.is_empty() && descriptor.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("/proc/self/fd/{descriptor}").into())
}

/// Return once the supervisor is gone: it alone holds the other end of this pipe and never writes.
pub async fn lifeline_cut() {
    let Some(path) = descriptor_path(LIFELINE_VARIABLE) else {
        return std::future::pending().await;
    };
    let Ok(mut pipe) = pipe::OpenOptions::new().open_receiver(path) else {
        return;
    };
    let mut unread = [0; 16];
    while pipe.read(&mut unread).await.is_ok_and(|count| count > 0) {}
}
