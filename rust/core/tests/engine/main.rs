//! The engine's state machine against a venue in memory, on virtual time.

mod batches;
mod brakes;
mod breaker;
mod budget;
mod eligibility;
mod gate;
mod overlap;
mod probes;
mod properties;
mod rules;
mod settlement;
mod suspicion;
mod watch;
mod world;
