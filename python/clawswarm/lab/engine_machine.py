"""The execution engine's own state machine in a simulation: typed events in, typed actions out, on given time.

`_core.Engine` is what `claw-engine` runs; here its msgpack has types (rust/python/src/engine.rs, field by field).
Whoever drives it plays the shell's part: carry out every action in order, answer every Send exactly once, and send
Tick at least every 100 ms and when `next_wake_ns` says so.
"""

import msgspec

from clawswarm._core import Engine
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import (
    Allocation,
    Beat,
    BookState,
    DeadmanFired,
    Evidence,
    Fill,
    HaltSwarm,
    Inventory,
    OrderUpdate,
    Plan,
    PlanDone,
    ResumeSwarm,
    TokenPrice,
)

TICK_NS = 100_000_000


class EngineStart(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine knows when it has logged in; the venue's clock says `venue_ms` at its start."""

    chain_id: int
    api_key: str
    signature_type: int = 0
    funder: str | None = None
    venue_ms: int
    seed: int
    markets: tuple[Market, ...]
    fills: tuple[Fill, ...] = ()
    tier: str = "standard"
    heartbeat_ns: int = 5_000_000_000
    reconcile_ns: int = 10_000_000_000
    withdraw_timeout_ns: int = 10_000_000_000
    region_ns: int = 60_000_000_000
    switches_per_day: int = 1
    touch_ns: int | None = None
    """How long a quoter may be silent; None: it is not watched."""
    sentinel_ns: int | None = None
    """How long all sentinels together may be."""
    guard_ns: int | None = None
    """How long the guard may be."""


class OwnPart(msgspec.Struct, frozen=True):
    """Our part of a trade as its maker, on one outcome token."""

    order_id: str
    token_id: str
    side: Side
    price_e4: int
    size_e6: int


class OwnTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade, with those parts of it that are ours."""

    id: str
    market: str
    bucket_index: int = 0
    evidence: Evidence
    matched_ms: int | None
    parts: tuple[OwnPart, ...]


# --- answers of the venue ---------------------------------------------------------------------------


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """The order rests, or traded."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The order does not exist."""

    reason: str


class Unknown(msgspec.Struct, frozen=True, tag=True):
    """The order may exist."""

    reason: str


class Placed(msgspec.Struct, frozen=True, tag=True):
    """To a Place: one result an order."""

    results: tuple[Accepted | Refused | Unknown, ...]


class Cancelled(msgspec.Struct, frozen=True, tag=True):
    """To every cancel."""

    cancelled: tuple[str, ...]
    not_cancelled: dict[str, str]


class Orders(msgspec.Struct, frozen=True, tag=True):
    """To ListOrders."""

    order_ids: tuple[str, ...]


class IsLive(msgspec.Struct, frozen=True, tag=True):
    """To LookUp."""

    is_live: bool


class Trades(msgspec.Struct, frozen=True, tag=True):
    """To ListTrades."""

    trades: tuple[OwnTrade, ...]


class HeartbeatTaken(msgspec.Struct, frozen=True, tag="Heartbeat"):
    """To a Heartbeat."""

    is_accepted: bool
    next_id: str


class Region(msgspec.Struct, frozen=True, tag=True):
    """To AskRegion."""

    is_blocked: bool


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Nothing that can be relied on."""

    reason: str


class Ineligible(msgspec.Struct, frozen=True, tag=True):
    """The venue refuses this region or account."""

    reason: str


Answer = Placed | Cancelled | Orders | IsLive | Trades | HeartbeatTaken | Region | Failed | Ineligible


# --- events -----------------------------------------------------------------------------------------


class Tick(msgspec.Struct, frozen=True, tag=True):
    """Time has passed."""


class QuoterConnected(msgspec.Struct, frozen=True, tag=True):
    """A quoter said who it is; a connection's number is never used twice."""

    connection: int
    name: str


class QuoterClosed(msgspec.Struct, frozen=True, tag=True):
    """A connection is gone."""

    connection: int


class PlanSent(msgspec.Struct, frozen=True, tag=True):
    """A quoter wants something changed."""

    connection: int
    plan: Plan


class Touched(msgspec.Struct, frozen=True, tag=True):
    """A quoter's own loop goes on."""

    connection: int
    book_sequence: int


class SentinelHeard(msgspec.Struct, frozen=True, tag=True):
    """A sentinel has sent a book, or the pulse of a live feed."""


class GuardSeen(msgspec.Struct, frozen=True, tag=True):
    """The guard has echoed a tick."""


class Transport(msgspec.Struct, frozen=True, tag=True):
    """The connection broke, or fell silent."""

    reason: str


class Restarting(msgspec.Struct, frozen=True, tag=True):
    """The matching engine restarts."""


class PostOnly(msgspec.Struct, frozen=True, tag=True):
    """Only post-only orders and cancels are taken."""

    wait_ns: int | None = None


class CancelOnly(msgspec.Struct, frozen=True, tag=True):
    """Only cancels are taken."""


class Disabled(msgspec.Struct, frozen=True, tag=True):
    """Nothing is taken."""


class Throttled(msgspec.Struct, frozen=True, tag=True):
    """Too many requests."""

    wait_ns: int | None = None


class CdnPage(msgspec.Struct, frozen=True, tag=True):
    """A page of the CDN instead of the venue's answer."""


Cause = Transport | Restarting | PostOnly | CancelOnly | Disabled | Throttled | CdnPage


class RouteFault(msgspec.Struct, frozen=True, tag=True):
    """A request met this on a connection of this generation; comes before its answer."""

    generation: int
    cause: Cause


class Allocated(msgspec.Struct, frozen=True, tag=True):
    """A mandate table."""

    allocation: Allocation


class BookSeen(msgspec.Struct, frozen=True, tag=True):
    """Top of a book."""

    book: BookState


class HaltAsked(msgspec.Struct, frozen=True, tag=True):
    """Someone wants everything cancelled."""

    halt: HaltSwarm


class ResumeAsked(msgspec.Struct, frozen=True, tag=True):
    """The operator lifts a halt."""

    resume: ResumeSwarm


class Answered(msgspec.Struct, frozen=True, tag=True):
    """The venue's answer to a Send, or what is known instead."""

    request: int
    answer: Answer


class FeedConnected(msgspec.Struct, frozen=True, tag=True):
    """The user feed is connected and subscribed."""


class FeedLost(msgspec.Struct, frozen=True, tag=True):
    """The user feed is gone."""

    reason: str


class OrderCancelled(msgspec.Struct, frozen=True, tag=True):
    """The user feed says that an order was cancelled."""

    order_id: str
    status: str


class TradeSeen(msgspec.Struct, frozen=True, tag=True):
    """The user feed shows a trade."""

    trade: OwnTrade


class StopAsked(msgspec.Struct, frozen=True, tag=True):
    """The engine should end."""


Event = (
    Tick
    | QuoterConnected
    | QuoterClosed
    | PlanSent
    | Touched
    | SentinelHeard
    | GuardSeen
    | RouteFault
    | Allocated
    | BookSeen
    | HaltAsked
    | ResumeAsked
    | Answered
    | FeedConnected
    | FeedLost
    | OrderCancelled
    | TradeSeen
    | StopAsked
)


# --- requests to the venue --------------------------------------------------------------------------


class SignedOrder(msgspec.Struct, frozen=True):
    """An order's id and the body of its request."""

    order_id: str
    body: str


class Place(msgspec.Struct, frozen=True, tag=True):
    """Place these orders."""

    orders: tuple[SignedOrder, ...]


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Cancel these orders."""

    order_ids: tuple[str, ...]


class CancelAll(msgspec.Struct, frozen=True, tag=True):
    """Cancel whatever the key has open."""


class ListOrders(msgspec.Struct, frozen=True, tag=True):
    """List the key's live orders."""


class LookUp(msgspec.Struct, frozen=True, tag=True):
    """Look at one order."""

    order_id: str


class ListTrades(msgspec.Struct, frozen=True, tag=True):
    """List the account's trades since this venue second, None for all."""

    after_s: int | None


class Heartbeat(msgspec.Struct, frozen=True, tag=True):
    """Keep the orders alive."""

    id: str


class AskRegion(msgspec.Struct, frozen=True, tag=True):
    """Ask whether this region may trade."""


Request = Place | Cancel | CancelAll | ListOrders | LookUp | ListTrades | Heartbeat | AskRegion


# --- actions ----------------------------------------------------------------------------------------


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What is journalled before an order is sent."""

    order_id: str
    market: str
    owner: str
    side: Side
    price_e4: int
    size_e6: int


class JournalIntent(msgspec.Struct, frozen=True, tag=True):
    """Write this through before anything that follows."""

    intent: Intent


class Send(msgspec.Struct, frozen=True, tag=True):
    """Send this to the venue and come back with Answered, whatever happens."""

    request: int
    what: Request


class Reply(msgspec.Struct, frozen=True, tag=True):
    """Say this to a quoter."""

    connection: int
    reply: OrderUpdate | PlanDone | Inventory | TokenPrice


class CloseQuoter(msgspec.Struct, frozen=True, tag=True):
    """Drop a connection."""

    connection: int


class PublishFill(msgspec.Struct, frozen=True, tag=True):
    """Journal and publish a fill."""

    fill: Fill


class PublishInventory(msgspec.Struct, frozen=True, tag=True):
    """Publish a holding."""

    inventory: Inventory


class PublishDeadman(msgspec.Struct, frozen=True, tag=True):
    """Journal and publish a withdrawal."""

    deadman: DeadmanFired


class SwitchRoute(msgspec.Struct, frozen=True, tag=True):
    """Give up every connection of an earlier generation, what waits in it included."""

    generation: int


class BeReady(msgspec.Struct, frozen=True, tag=True):
    """Start-up is complete: quoters may connect, the user feed may be followed."""


class Explain(msgspec.Struct, frozen=True, tag=True):
    """One sentence for a person."""

    sentence: str


class Exit(msgspec.Struct, frozen=True, tag=True):
    """End with this exit code; nothing follows."""

    code: int


class Other(msgspec.Struct, frozen=True, tag=True):
    """What a simulation has no part for, in words: log lines."""

    text: str


Action = (
    JournalIntent
    | Send
    | Reply
    | CloseQuoter
    | PublishFill
    | PublishInventory
    | PublishDeadman
    | SwitchRoute
    | BeReady
    | Explain
    | Exit
    | Other
)


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is, or (`is_unknown`) may be open, in the YES frame."""

    order_id: str
    owner: str
    market: str
    side: Side
    price_e4: int
    remaining_e6: int
    is_unknown: bool


class EngineMachine:
    """One account's engine. `private_key` is a key for tests: it is not kept, and no real money is behind it."""

    def __init__(self, private_key: bytes, start: EngineStart, now_ns: int) -> None:
        self._engine, actions = Engine.start(private_key, _encode(start), now_ns)
        self.first_actions = _actions(actions)

    @property
    def next_wake_ns(self) -> int | None:
        """When the next Tick must come at the latest; None when the usual ones are enough."""
        return self._engine.next_wake_ns

    def handle(self, event: Event, now_ns: int) -> list[Action]:
        """Take in one event; what to do, in order. Raises ValueError when the core cannot read it."""
        return _actions(self._engine.handle(_encode(event), now_ns))

    def beat(self, name: str, pid: int, now_ns: int) -> Beat:
        """Pulse and counters."""
        return _read_beat(self._engine.beat(name, pid, now_ns))

    def open_orders(self) -> list[OpenOrder]:
        """Every order that is or may be open, by id."""
        return _read_orders(self._engine.open_orders())

    def unknown(self, order_ids: list[str]) -> list[str]:
        """Which of these orders it does not know as open, or possibly open."""
        return self._engine.unknown(order_ids)

    def held(self, market: str) -> Inventory:
        """What is held in a market."""
        return _read_inventory(self._engine.held(market))


_encode = msgspec.msgpack.Encoder().encode
_actions = msgspec.msgpack.Decoder(list[Action]).decode
_read_beat = msgspec.msgpack.Decoder(Beat).decode
_read_orders = msgspec.msgpack.Decoder(list[OpenOrder]).decode
_read_inventory = msgspec.msgpack.Decoder(Inventory).decode
