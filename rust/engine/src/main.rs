//! `claw-engine SETTINGS`: the order path of one account.
//!
//! The only holder of the account's key, and the part that never waits for Python. Decisions are made by
//! `claw_core::engine`; this crate moves bytes: quoters on a Unix socket, the venue over HTTP and WebSocket, the
//! swarm's bus, journals, and the supervisor's sd_notify. SETTINGS is a JSON file without secrets.
//!
//! Exit codes: 0 stopped as asked and the venue has confirmed that nothing is open, 78 the user must mend
//! something, 1 anything else.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    claw_engine::run_engine()
}
