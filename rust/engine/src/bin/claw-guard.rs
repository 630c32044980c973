//! `claw-guard SETTINGS`: cancels what an engine leaves open when it dies or hangs.
//!
//! A process of its own with a connection of its own; engines hand it their API key over a Unix socket, never the
//! key that signs. Decisions are made by `claw_core::guard`. SETTINGS is a JSON file without secrets.
//!
//! Exit codes: 0 stopped as asked with nothing left to guard, 78 the user must mend something, 1 anything else.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    claw_engine::run_guard()
}
