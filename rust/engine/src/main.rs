//! `claw-engine SETTINGS`: the order path of one account.
//!
//! The only holder of the account's key, and the part that never waits for Python. Decisions are made by
//! `claw_core::engine`; this crate moves bytes: quoters on a Unix socket, the venue over HTTP and WebSocket, the
//! swarm's bus, journals, and the supervisor's sd_notify. SETTINGS is a JSON file without secrets.
//!
//! Exit codes: 0 stopped as asked and the venue has confirmed that nothing is open, 78 the user must mend
//! something, 1 anything else.
#![forbid(unsafe_code)]

mod bus;
mod clock;
mod fault;
mod feed;
mod http;
mod journal;
mod key;
mod log;
mod login;
mod notify;
mod port;
mod settings;
mod shell;
mod socket;
mod switches;
mod venue;
mod wire;

use std::process::ExitCode;

use crate::fault::Fault;
use crate::notify::Notifier;
use crate::settings::Settings;

fn main() -> ExitCode {
    let notifier = Notifier::from_environment();
    let ended = read_settings().and_then(|settings| {
        let name = settings.name.clone();
        run(settings, &notifier).map_err(|fault| fault.said_by(&name))
    });
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            notifier.status(&fault.to_string());
            log::error("process.failed", &[("reason", &fault.to_string())]);
            ExitCode::from(fault.exit_code())
        }
    }
}

fn read_settings() -> Result<Settings, Fault> {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(path), None) => Settings::read(path.as_ref()),
        _ => Err(Fault::User("usage: claw-engine SETTINGS.json".to_owned())),
    }
}

fn run(settings: Settings, notifier: &Notifier) -> Result<u8, Fault> {
    // The bus has threads of its own, and is opened and closed outside of the work loop's runtime.
    let bus = bus::Bus::open(&settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    let ended = local.block_on(&runtime, shell::run(&settings, &bus, notifier));
    bus.close();
    ended
}
