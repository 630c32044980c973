//! The execution engine as a state machine: what happened and the time in, what to do out.
//!
//! One [`Engine`] owns one account. It holds the mandate table, every order that is or may be open with its
//! owner, and the inventory; it decides what may be sent, and withdraws the orders of whoever loses the right
//! to them. It never reads a clock, never waits and does no I/O: a shell moves bytes for it, and a simulation
//! can drive the same code on virtual time.
//!
//! An order is *unknown* from before it is sent until the venue has answered. Unknown orders count as exposure,
//! are never resent, and are withdrawn by their hash, which is known before sending.

mod batches;
mod breaker;
mod eligibility;
mod events;
mod failover;
mod gate;
mod heartbeat;
mod histogram;
mod machine;
mod messages;
mod orders;
mod plans;
mod probes;
mod pulse;
mod queue;
mod reconcile;
mod replies;
mod resolve;

mod signing;
mod suspicion;
mod trades;
mod uptime;
mod watch;
mod withdraw;

pub use batches::{BatchSigned, SignBatch};
pub use breaker::{Breaker, Cause, Mode};
pub use events::{
    Action, Answer, BucketReport, CancelReport, ConnectionId, Event, Level, PlaceResult, Request, RequestId,
};
pub use gate::{Exposure, Gate, Revoked};
pub use histogram::{Histogram, bucket_of};
pub use machine::{Engine, EngineSettings, Start};
pub use messages::{
    Allocation, Beat, BookState, BudgetState, DeadmanFired, EngineReply, EngineRequest, Evidence, FeedHealth,
    Fill, FillKey, HaltSwarm, Hello, Intent, Inventory, Mandate, Market, OrderState, OrderUpdate, Outcome,
    Place, Plan, PlanDone, RatePolicy, ResumeSwarm, SwarmState, TokenPrice, Touch, Version,
};
pub use orders::{Inventories, OwnOrder, OwnOrders, TokenChoice, TokenOrder, choose_token, yes_frame};
pub use probes::{Patience, Probes};
pub use signing::{AccountSigner, SignOrder, SignedOrder, VenueClock};
pub use trades::{MakerPart, Trade};
pub use uptime::QuotingUptime;
pub use watch::WatchSettings;
