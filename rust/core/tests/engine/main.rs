//! The engine's state machine against a venue in memory, on virtual time.

mod batches;
mod brakes;
mod budget;
mod eligibility;
mod probes;
mod properties;
mod routes;
mod rules;
mod watch;
mod world;
