//! Matching over recorded flow, true to queue position, and the way of messages around it.
//!
//! `queue` holds one side of a market's book as first-in-first-out queues; `market` is the venue: it follows the
//! recorded book, lets takers and our own orders trade, and holds marketable orders for the taker delay; `messages`
//! are what it is told and reports; `flow` is a recording as the venue meets it; `replay` plays it to a strategy with latency in both directions.
//!
//! The rules are those of the sandbox (`clawswarm/sandbox/exchange`, `participants.py`), written a second time:
//! a test drives both with random flows and compares what they report event by event.

mod flow;
mod market;
mod messages;
mod queue;
mod replay;

pub use flow::{Change, Flow, FlowError, FlowEvent, What};
pub use market::Market;
pub use messages::{Event, MarketRules, OrderId, Placement, Refusal};
pub use replay::{Fill, Latency, Observation, Replay, Report, Top};
