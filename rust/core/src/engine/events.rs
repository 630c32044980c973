//! What happens to the engine and what it wants done.

use super::batches::SignBatch;
use super::breaker::Cause;
use super::messages::{
    Allocation, BookState, DeadmanFired, EngineReply, Fill, HaltSwarm, Intent, Inventory, Plan, ResumeSwarm,
};
use super::signing::{SignedOrder, VenueClock};
use super::trades::Trade;
use crate::limits::BucketName;

/// Names one quoter's connection; never used twice.
pub type ConnectionId = u64;
/// Names one request to the venue; never used twice.
pub type RequestId = u64;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Time has passed; comes at least every 100 ms, and when [`super::Engine::next_wake_ns`] says so.
    Tick,
    /// A quoter said who it is.
    QuoterConnected(ConnectionId, String),
    /// A connection is gone.
    QuoterClosed(ConnectionId),
    /// A quoter wants something changed.
    PlanSent(ConnectionId, Plan),
    /// A quoter's own loop goes on; the sequence of the last book it processed.
    Touched(ConnectionId, u64),
    /// The orchestrator wants a batch of the wallet signed.
    BatchAsked(ConnectionId, SignBatch),
    /// The guard has echoed a tick.
    GuardSeen,
    /// A sentinel has sent a book, or the pulse of a live feed.
    SentinelHeard,
    /// A mandate table.
    Allocated(Allocation),
    /// Top of a book.
    BookSeen(BookState),
    /// Someone wants everything cancelled.
    HaltAsked(HaltSwarm),
    /// The operator lifts a halt.
    ResumeAsked(ResumeSwarm),
    /// The venue's answer to a request, or what the shell knows instead; when its bytes were on the socket.
    Answered(RequestId, Answer, Option<u64>),
    /// The answer to a request said how full one of the venue's buckets is; comes before the answer. None: of itself.
    BucketSeen(Option<RequestId>, BucketName, BucketReport),
    /// A request met this on a connection of this generation; comes before its answer.
    RouteFault(u64, Cause),
    /// The user feed is connected and subscribed.
    FeedConnected,
    /// The user feed is gone, and why.
    FeedLost(String),
    /// The user feed says that an order was cancelled, with its status.
    OrderCancelled(String, String),
    /// The user feed shows a trade.
    TradeSeen(Trade),
    /// The venue's clock has come apart from ours; this one holds from here on.
    ClockCorrected(VenueClock),
    /// This process should end.
    StopAsked,
}

/// What the venue said.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To a place: one result an order, in their order.
    Placed(Vec<PlaceResult>),
    /// To a cancel.
    Cancelled(CancelReport),
    /// To a listing: ids of the live orders.
    Orders(Vec<String>),
    /// To a look at one order: whether it is live.
    IsLive(bool),
    /// To a listing of trades.
    Trades(Vec<Trade>),
    /// To a heartbeat: whether it counts, and the id to use next.
    Heartbeat {
        /// Whether the deadline moved.
        is_accepted: bool,
        /// The id that the venue expects next.
        next_id: String,
    },
    /// To a question about the region: whether it is blocked.
    Region(bool),
    /// Nothing that can be relied on: the request may have had its effect or not.
    Failed(String),
    /// The venue refuses this region or account.
    Ineligible(String),
}

impl Answer {
    /// Why it is not the answer that was hoped for.
    #[must_use]
    pub fn into_failure(self) -> String {
        match self {
            Self::Failed(reason) | Self::Ineligible(reason) => reason,
            _ => "an answer to another question".to_owned(),
        }
    }
}

/// The `Poly-RateLimit-*` headers of one answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketReport {
    /// Tokens left.
    pub remaining: Option<String>,
    /// Unix second at which a wait ends.
    pub reset: Option<String>,
    /// The signer's tier.
    pub tier: Option<String>,
    /// Whether the answer was 429.
    pub is_refused: bool,
}

/// What is known of one order after its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceResult {
    /// It rests, or traded.
    Accepted,
    /// It does not exist.
    Refused(String),
    /// It does not exist, for the venue refuses this region or account.
    Ineligible(String),
    /// It may exist.
    Unknown(String),
    /// The venue took it and calls it this, which is not its hash: no cancel by id would reach it.
    Misnamed(String),
}

/// Answer to every form of cancel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CancelReport {
    /// Gone now.
    pub cancelled: Vec<String>,
    /// Not cancelled, and why: gone before, or never there.
    pub not_cancelled: Vec<(String, String)>,
}

/// A request to the venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Place these orders, at most [`crate::order::body::MAX_BATCH`].
    Place(Vec<SignedOrder>),
    /// Cancel these orders.
    Cancel(Vec<String>),
    /// Cancel whatever the key has open.
    CancelAll,
    /// List the key's live orders, all pages.
    ListOrders,
    /// Look at one order.
    LookUp(String),
    /// List the account's trades since this venue second (None: ever), all pages.
    ListTrades(Option<u64>),
    /// Keep the orders alive, on the id chain.
    Heartbeat(String),
    /// Ask over the host's own address whether its region may trade.
    AskRegion,
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// State changed.
    Info,
    /// Degraded.
    Warning,
    /// A person must act.
    Error,
}

/// Something to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write the limits' counters through before anything that follows: requests that they have paid for.
    KeepCounters(Vec<u64>),
    /// Write this through before anything that follows.
    JournalIntent(Intent),
    /// Send this, and come back with [`Event::Answered`], whatever happens.
    Send(RequestId, Request),
    /// Give up every connection of an earlier generation, what waits in it included, and use the standbys.
    SwitchRoute(u64),
    /// Write the day's moves down before anything that follows: venue ms.
    RecordSwitches(Vec<u64>),
    /// Of the declared ways to the venue, use the next one from here on.
    LeaveRoute,
    /// Say this to a quoter.
    Reply(ConnectionId, EngineReply),
    /// Drop a connection.
    CloseQuoter(ConnectionId),
    /// Journal and publish a fill.
    PublishFill(Fill),
    /// Publish a holding.
    PublishInventory(Inventory),
    /// Journal and publish a withdrawal.
    PublishDeadman(DeadmanFired),
    /// Start-up is complete: open the port and the user feed.
    BeReady,
    /// One sentence for a person.
    Explain(String),
    /// One line of log.
    Log(Level, &'static str, Vec<(&'static str, String)>),
    /// End with this exit code; nothing follows.
    Exit(u8),
}
