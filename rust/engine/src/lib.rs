//! What `claw-engine` and `claw-guard` are made of: sockets, HTTP, bus, journals and keys around the state machines
//! of `claw_core`. Each binary is a few lines that start one of them.
#![forbid(unsafe_code)]

mod account;
pub mod bus;
mod clock;
mod counters;
mod declared_routes;
pub mod fault;
mod feed;
mod guard;
mod guard_link;
mod http;
mod journal;
mod kept_clock;
mod key;
mod keystore;
pub mod log;
mod login;
mod netrc;
pub mod notify;
mod pauses;
mod places;
mod port;
mod refusal;
mod secrecy;
pub mod settings;
pub mod shell;
mod socket;
mod start;
mod switches;
mod venue;
mod wire;

pub use start::{run_engine, run_guard};
