//! Binding of `claw_core::engine`: msgpack in, msgpack out, so that a simulation drives the machine of `claw-engine`.
//!
//! The messages are those of `lab/engine_machine.py`, field by field; those that also cross the bus or the engine's
//! port (plans, allocations, replies, fills, beats) keep the form that they have there.

use std::collections::BTreeMap;

use claw_core::engine::{
    self, AccountSigner, Action, Allocation, Answer, BookState, CancelReport, Cause, DeadmanFired,
    EngineReply, EngineSettings, Event, Evidence, Fill, HaltSwarm, Intent, Inventory, MakerPart, Market,
    OwnOrder, PlaceResult, Plan, Request, ResumeSwarm, SignBatch, SignOrder, SignedOrder, Start, TokenOrder,
    Trade, VenueClock, WatchSettings,
};
use claw_core::limits::{LimitSettings, Limits, Tier};
use claw_core::order::address::Address;
use claw_core::order::signing::{Account, OrderSigner, SigningKey};
use claw_core::units::Side;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyBytes;
use serde::{Deserialize, Serialize};

use crate::order::value_error;

/// The order path of one account, without its sockets.
#[pyclass(module = "clawswarm._core")]
pub struct Engine(engine::Engine<Signer>);

#[pymethods]
impl Engine {
    /// Start with a key: the machine, and its first actions.
    #[staticmethod]
    fn start<'py>(
        py: Python<'py>,
        private_key: &[u8],
        start: &[u8],
        now_ns: u64,
    ) -> PyResult<(Self, Bound<'py, PyBytes>)> {
        let start: StartMessage = read(start)?;
        let key = SigningKey::new(private_key).map_err(value_error)?;
        let funder = start.funder.as_deref().map(Address::parse).transpose();
        let account = Account::new(start.signature_type, funder.map_err(value_error)?, false);
        let signer =
            OrderSigner::new(key, start.chain_id, account.map_err(value_error)?).map_err(value_error)?;
        let tier = Tier::parse(&start.tier)
            .ok_or_else(|| PyValueError::new_err(format!("tier {:?} is unknown", start.tier)))?;
        let settings = EngineSettings {
            heartbeat_ns: start.heartbeat_ns,
            reconcile_ns: start.reconcile_ns,
            withdraw_timeout_ns: start.withdraw_timeout_ns,
            region_ns: start.region_ns,
            switches_per_day: start.switches_per_day,
            watch: WatchSettings {
                guard_ns: start.guard_ns,
                touch_ns: start.touch_ns,
                sentinel_ns: start.sentinel_ns,
            },
            limits: LimitSettings {
                tier,
                ..LimitSettings::default()
            },
            // On virtual time no file outlives a process.
            keeps_counters: false,
        };
        let started = Start {
            signer: Signer {
                signer,
                owner: start.api_key,
            },
            venue_clock: VenueClock {
                venue_ms: start.venue_ms,
                at_ns: now_ns,
            },
            seed: start.seed,
            markets: start.markets,
            switches_ms: Vec::new(),
            fills: start.fills,
            limits: Limits::new(settings.limits, now_ns),
        };
        let (machine, actions) = engine::Engine::start(settings, started, now_ns);
        Ok((Self(machine), written(py, actions)?))
    }

    /// Take in one event and say what to do about it.
    fn handle<'py>(&mut self, py: Python<'py>, event: &[u8], now_ns: u64) -> PyResult<Bound<'py, PyBytes>> {
        let event: EventMessage = read(event)?;
        written(py, self.0.handle(event.into(), now_ns))
    }

    /// When to send the next tick at the latest.
    #[getter]
    fn next_wake_ns(&self) -> Option<u64> {
        self.0.next_wake_ns()
    }

    /// Pulse and counters.
    fn beat<'py>(&self, py: Python<'py>, name: &str, pid: u32, now_ns: u64) -> PyResult<Bound<'py, PyBytes>> {
        write(py, &self.0.beat(name, pid, now_ns))
    }

    /// Every order that is or may be open.
    fn open_orders<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let orders: Vec<OwnOrderMessage<'_>> = self.0.orders().all().map(OwnOrderMessage::from).collect();
        write(py, &orders)
    }

    /// Which of these orders the engine does not know as open, or possibly open.
    fn unknown(&self, order_ids: Vec<PyBackedStr>) -> Vec<PyBackedStr> {
        let orders = self.0.orders();
        let is_unknown = |id: &PyBackedStr| orders.get(id).is_none();
        order_ids.into_iter().filter(is_unknown).collect()
    }

    /// What is held in a market.
    fn held<'py>(&self, py: Python<'py>, market: &str) -> PyResult<Bound<'py, PyBytes>> {
        write(py, &self.0.inventories().of(market))
    }
}

/// A key together with the API key its orders are sent under.
struct Signer {
    signer: OrderSigner,
    owner: String,
}

impl SignOrder for Signer {
    fn sign(&self, order: &TokenOrder) -> Result<SignedOrder, String> {
        let account = AccountSigner {
            signer: &self.signer,
            owner: self.owner.clone(),
        };
        account.sign(order)
    }

    fn sign_batch(&self, batch: &SignBatch) -> Result<String, String> {
        let account = AccountSigner {
            signer: &self.signer,
            owner: self.owner.clone(),
        };
        account.sign_batch(batch)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartMessage {
    chain_id: u64,
    signature_type: u8,
    funder: Option<String>,
    api_key: String,
    tier: String,
    heartbeat_ns: u64,
    reconcile_ns: u64,
    withdraw_timeout_ns: u64,
    region_ns: u64,
    switches_per_day: u32,
    touch_ns: Option<u64>,
    sentinel_ns: Option<u64>,
    guard_ns: Option<u64>,
    venue_ms: u64,
    seed: u64,
    markets: Vec<Market>,
    fills: Vec<Fill>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum EventMessage {
    Tick,
    QuoterConnected { connection: u64, name: String },
    QuoterClosed { connection: u64 },
    PlanSent { connection: u64, plan: Plan },
    Touched { connection: u64, book_sequence: u64 },
    SentinelHeard,
    GuardSeen,
    RouteFault { generation: u64, cause: CauseMessage },
    Allocated { allocation: Allocation },
    BookSeen { book: BookState },
    HaltAsked { halt: HaltSwarm },
    ResumeAsked { resume: ResumeSwarm },
    Answered { request: u64, answer: AnswerMessage },
    FeedConnected,
    FeedLost { reason: String },
    OrderCancelled { order_id: String, status: String },
    TradeSeen { trade: TradeMessage },
    StopAsked,
}

impl From<EventMessage> for Event {
    fn from(message: EventMessage) -> Self {
        match message {
            EventMessage::Tick => Self::Tick,
            EventMessage::QuoterConnected { connection, name } => Self::QuoterConnected(connection, name),
            EventMessage::QuoterClosed { connection } => Self::QuoterClosed(connection),
            EventMessage::PlanSent { connection, plan } => Self::PlanSent(connection, plan),
            EventMessage::Touched {
                connection,
                book_sequence,
            } => Self::Touched(connection, book_sequence),
            EventMessage::SentinelHeard => Self::SentinelHeard,
            EventMessage::GuardSeen => Self::GuardSeen,
            EventMessage::RouteFault { generation, cause } => Self::RouteFault(generation, cause.into()),
            EventMessage::Allocated { allocation } => Self::Allocated(allocation),
            EventMessage::BookSeen { book } => Self::BookSeen(book),
            EventMessage::HaltAsked { halt } => Self::HaltAsked(halt),
            EventMessage::ResumeAsked { resume } => Self::ResumeAsked(resume),
            EventMessage::Answered { request, answer } => Self::Answered(request, answer.into(), None),
            EventMessage::FeedConnected => Self::FeedConnected,
            EventMessage::FeedLost { reason } => Self::FeedLost(reason),
            EventMessage::OrderCancelled { order_id, status } => Self::OrderCancelled(order_id, status),
            EventMessage::TradeSeen { trade } => Self::TradeSeen(trade.into()),
            EventMessage::StopAsked => Self::StopAsked,
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum CauseMessage {
    Transport { reason: String },
    Restarting,
    PostOnly { wait_ns: Option<u64> },
    CancelOnly,
    Disabled,
    Throttled { wait_ns: Option<u64> },
    CdnPage,
}

impl From<CauseMessage> for Cause {
    fn from(message: CauseMessage) -> Self {
        match message {
            CauseMessage::Transport { reason } => Self::Transport(reason),
            CauseMessage::Restarting => Self::Restarting,
            CauseMessage::PostOnly { wait_ns } => Self::PostOnly(wait_ns),
            CauseMessage::CancelOnly => Self::CancelOnly,
            CauseMessage::Disabled => Self::Disabled,
            CauseMessage::Throttled { wait_ns } => Self::Throttled(wait_ns),
            CauseMessage::CdnPage => Self::CdnPage,
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum AnswerMessage {
    Placed {
        results: Vec<PlaceResultMessage>,
    },
    Cancelled {
        cancelled: Vec<String>,
        not_cancelled: BTreeMap<String, String>,
    },
    Orders {
        order_ids: Vec<String>,
    },
    IsLive {
        is_live: bool,
    },
    Trades {
        trades: Vec<TradeMessage>,
    },
    Heartbeat {
        is_accepted: bool,
        next_id: String,
    },
    Region {
        is_blocked: bool,
    },
    Failed {
        reason: String,
    },
    Ineligible {
        reason: String,
    },
}

impl From<AnswerMessage> for Answer {
    fn from(message: AnswerMessage) -> Self {
        match message {
            AnswerMessage::Placed { results } => {
                Self::Placed(results.into_iter().map(PlaceResult::from).collect())
            }
            AnswerMessage::Cancelled {
                cancelled,
                not_cancelled,
            } => Self::Cancelled(CancelReport {
                cancelled,
                not_cancelled: not_cancelled.into_iter().collect(),
            }),
            AnswerMessage::Orders { order_ids } => Self::Orders(order_ids),
            AnswerMessage::IsLive { is_live } => Self::IsLive(is_live),
            AnswerMessage::Trades { trades } => Self::Trades(trades.into_iter().map(Trade::from).collect()),
            AnswerMessage::Heartbeat { is_accepted, next_id } => Self::Heartbeat { is_accepted, next_id },
            AnswerMessage::Region { is_blocked } => Self::Region(is_blocked),
            AnswerMessage::Failed { reason } => Self::Failed(reason),
            AnswerMessage::Ineligible { reason } => Self::Ineligible(reason),
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum PlaceResultMessage {
    Accepted,
    Refused { reason: String },
    Unknown { reason: String },
}

impl From<PlaceResultMessage> for PlaceResult {
    fn from(message: PlaceResultMessage) -> Self {
        match message {
            PlaceResultMessage::Accepted => Self::Accepted,
            PlaceResultMessage::Refused { reason } => Self::Refused(reason),
            PlaceResultMessage::Unknown { reason } => Self::Unknown(reason),
        }
    }
}

#[derive(Deserialize)]
struct TradeMessage {
    id: String,
    market: String,
    bucket_index: u32,
    evidence: Evidence,
    matched_ms: Option<u64>,
    parts: Vec<PartMessage>,
}

#[derive(Deserialize)]
struct PartMessage {
    order_id: String,
    token_id: String,
    side: Side,
    price_e4: u16,
    size_e6: u64,
}

impl From<TradeMessage> for Trade {
    fn from(message: TradeMessage) -> Self {
        let parts = message.parts.into_iter().map(|part| MakerPart {
            order_id: part.order_id,
            token_id: part.token_id,
            side: part.side,
            price_e4: part.price_e4,
            size_e6: part.size_e6,
        });
        Self {
            id: message.id,
            market: message.market,
            bucket_index: message.bucket_index,
            evidence: message.evidence,
            matched_ms: message.matched_ms,
            parts: parts.collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum ActionMessage {
    JournalIntent {
        intent: Intent,
    },
    Send {
        request: u64,
        what: RequestMessage,
    },
    Reply {
        connection: u64,
        reply: EngineReply,
    },
    CloseQuoter {
        connection: u64,
    },
    PublishFill {
        fill: Fill,
    },
    PublishInventory {
        inventory: Inventory,
    },
    PublishDeadman {
        deadman: DeadmanFired,
    },
    SwitchRoute {
        generation: u64,
    },
    BeReady,
    Explain {
        sentence: String,
    },
    Exit {
        code: u8,
    },
    /// What a simulation has no part for, in words: log lines.
    Other {
        text: String,
    },
}

impl From<Action> for ActionMessage {
    fn from(action: Action) -> Self {
        match action {
            Action::JournalIntent(intent) => Self::JournalIntent { intent },
            Action::Send(request, what) => Self::Send {
                request,
                what: what.into(),
            },
            Action::Reply(connection, reply) => Self::Reply { connection, reply },
            Action::CloseQuoter(connection) => Self::CloseQuoter { connection },
            Action::PublishFill(fill) => Self::PublishFill { fill },
            Action::PublishInventory(inventory) => Self::PublishInventory { inventory },
            Action::PublishDeadman(deadman) => Self::PublishDeadman { deadman },
            Action::SwitchRoute(generation) => Self::SwitchRoute { generation },
            Action::BeReady => Self::BeReady,
            Action::Explain(sentence) => Self::Explain { sentence },
            Action::Exit(code) => Self::Exit { code },
            other => Self::Other {
                text: format!("{other:?}"),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum RequestMessage {
    Place { orders: Vec<SignedOrderMessage> },
    Cancel { order_ids: Vec<String> },
    CancelAll,
    ListOrders,
    LookUp { order_id: String },
    ListTrades { after_s: Option<u64> },
    Heartbeat { id: String },
    AskRegion,
}

impl From<Request> for RequestMessage {
    fn from(request: Request) -> Self {
        match request {
            Request::Place(orders) => Self::Place {
                orders: orders.into_iter().map(SignedOrderMessage::from).collect(),
            },
            Request::Cancel(order_ids) => Self::Cancel { order_ids },
            Request::CancelAll => Self::CancelAll,
            Request::ListOrders => Self::ListOrders,
            Request::LookUp(order_id) => Self::LookUp { order_id },
            Request::ListTrades(after_s) => Self::ListTrades { after_s },
            Request::Heartbeat(id) => Self::Heartbeat { id },
            Request::AskRegion => Self::AskRegion,
        }
    }
}

#[derive(Serialize)]
struct SignedOrderMessage {
    order_id: String,
    /// JSON, so always text.
    body: String,
}

impl From<SignedOrder> for SignedOrderMessage {
    fn from(order: SignedOrder) -> Self {
        Self {
            order_id: order.order_id,
            body: String::from_utf8_lossy(&order.body).into_owned(),
        }
    }
}

#[derive(Serialize)]
struct OwnOrderMessage<'a> {
    order_id: &'a str,
    owner: &'a str,
    market: &'a str,
    side: Side,
    price_e4: u16,
    remaining_e6: u64,
    is_unknown: bool,
}

impl<'a> From<&'a OwnOrder> for OwnOrderMessage<'a> {
    fn from(order: &'a OwnOrder) -> Self {
        Self {
            order_id: &order.order_id,
            owner: &order.owner,
            market: &order.market,
            side: order.side,
            price_e4: order.price_e4,
            remaining_e6: order.remaining_e6,
            is_unknown: order.is_unknown,
        }
    }
}

fn read<'de, T: Deserialize<'de>>(message: &'de [u8]) -> PyResult<T> {
    rmp_serde::from_slice(message).map_err(value_error)
}

fn write<'py>(py: Python<'py>, message: &impl Serialize) -> PyResult<Bound<'py, PyBytes>> {
    let message = rmp_serde::to_vec_named(message).map_err(value_error)?;
    Ok(PyBytes::new(py, &message))
}

fn written(py: Python<'_>, actions: Vec<Action>) -> PyResult<Bound<'_, PyBytes>> {
    let actions: Vec<ActionMessage> = actions.into_iter().map(ActionMessage::from).collect();
    write(py, &actions)
}
