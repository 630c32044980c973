"""Every message that crosses a room or a process, as frozen, versioned structs (design.md §4).

Times: `_ns` is CLOCK_BOOTTIME of this host (comparable between its processes, not between hosts),
`_ms` is the venue's wall clock. Units are those of model/units.py.
"""

from enum import StrEnum

import msgspec

from clawswarm.model.instruments import Market, Side

WIRE_VERSION = 1


class Message(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Base of all messages: the tag is the class name, `v` the version of the wire."""

    v: int = WIRE_VERSION


# --- sentinel -----------------------------------------------------------------------------------


class BookState(Message, frozen=True):
    """Top of one market's book in the YES frame, as one sentinel sees it (channel: Latest).

    `sequence` counts this sentinel's states of this market; `epoch` changes with the tick size and with a lost
    connection; a side that is empty is None. `is_valid` False means: do not quote, `reason` why. `bids` and `asks`
    are the best three as (price_e4, size_e6), best first.

    `integrity` in [0, 1] says how far a valid book may be believed (`reason`, where not wholly). Equal books share
    a `fingerprint`; `proven_ms` is the server time at which the venue's own hash last agreed, 0 before the first.
    `order_flow` and `trade_flow` are in shares and halve every second; `volatility` is the belief's in logits per
    √s; `sweep` is the last trade that took much of what stood: (aggressor's side, size_e6, received_ns).
    """

    market: str
    source: str
    sequence: int
    epoch: int
    received_ns: int
    server_ms: int
    tick_e4: int
    bid_e4: int | None
    bid_size_e6: int | None
    ask_e4: int | None
    ask_size_e6: int | None
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    microprice: float | None
    imbalance: float | None
    depth_imbalance: float | None
    order_flow: float
    trade_flow: float
    volatility: float | None
    sweep: tuple[str, int, int] | None
    fingerprint: int
    proven_ms: int
    integrity: float
    is_valid: bool
    reason: str | None


class ReferencePrice(Message, frozen=True):
    """Last price of an underlying (channel: Latest). `is_synthetic` when no recording carries it.

    `return_5s` is its log return over five seconds of its own clock.
    """

    underlying: str
    source: str
    value_e6: int
    source_ms: int
    received_ns: int
    is_synthetic: bool
    return_5s: float | None = None


class SnapshotWanted(Message, frozen=True):
    """A quoter's two sentinels disagree about a market: this one shall ask the venue (channel: Latest)."""

    market: str
    source: str
    sent_ns: int


class FeedHealth(Message, frozen=True):
    """Pulse of one sentinel's connections (channel: Latest), sent even when every market is quiet.

    `is_live` once every connection has spoken; a connection that is lost later makes its own books invalid.
    `doubtful` is how many markets are not wholly believed.
    """

    source: str
    sent_ns: int
    is_live: bool
    last_frame_ns: int
    markets: int
    reason: str | None
    doubtful: int = 0


# --- orchestrator -------------------------------------------------------------------------------


class Mandate(Message, frozen=True):
    """Permission of one quoter to trade one market, until `sent_ns + life_ns` of the allocation."""

    market: Market
    quoter: str
    epoch: int
    capital_e6: int
    max_position_e6: int
    order_size_e6: int


class Allocation(Message, frozen=True):
    """The whole mandate table of one orchestrator term (channel: Latest); absent markets are withdrawn.

    `merged_e6` are pairs of both tokens, by market, that were ever taken out of the account to be merged: the
    engine offers none of them.
    """

    term: int
    sent_ns: int
    life_ns: int
    mandates: tuple[Mandate, ...]
    merged_e6: dict[str, int] = {}


# --- quoter and engine (Unix socket, never the bus) ---------------------------------------------


class Hello(Message, frozen=True):
    """First message of a quoter on its engine connection."""

    name: str


class Place(Message, frozen=True):
    """One new post-only order, in the YES frame. `ref` is unique within the quoter's connection."""

    ref: int
    side: Side
    price_e4: int
    size_e6: int


class Plan(Message, frozen=True):
    """What a quoter wants changed in one market: cancels first, then places.

    `book_received_ns` is when the book that caused this plan was read; None when something else caused it.
    """

    market: str
    term: int
    epoch: int
    cancels: tuple[str, ...]
    places: tuple[Place, ...]
    value: float
    book_sequence: int
    book_received_ns: int | None
    decided_ns: int


class Touch(Message, frozen=True):
    """The quoter's own loop has handled a book or a pulse of the sentinels; without one it loses its orders."""

    book_sequence: int


class OrderState(StrEnum):
    """Where an order stands; UNKNOWN counts as exposure until the venue has answered."""

    LIVE = "live"
    CANCELLED = "cancelled"
    FILLED = "filled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class OrderUpdate(Message, frozen=True):
    """What became of one order of the receiving quoter."""

    market: str
    ref: int
    order_id: str
    state: OrderState
    side: Side
    price_e4: int
    remaining_e6: int
    reason: str | None


class PlanDone(Message, frozen=True):
    """Every cancel and place of a plan has its outcome; `refused` names the limit if the gate said no."""

    market: str
    decided_ns: int
    refused: str | None


class Inventory(Message, frozen=True):
    """What the account holds in one market, free of reservations; to its quoter and on the bus (Latest)."""

    market: str
    yes_e6: int
    no_e6: int

    @property
    def net_e6(self) -> int:
        """Shares of YES net of NO: the directional position."""
        return self.yes_e6 - self.no_e6


class Outcome(StrEnum):
    """An outcome token; the book's price is that of YES."""

    YES = "YES"
    NO = "NO"


class Evidence(StrEnum):
    """How far a trade's settlement is known to be; of two reports the one with the higher `rank` holds."""

    MATCHED = "MATCHED"
    RETRYING = "RETRYING"
    MINED = "MINED"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"

    @property
    def rank(self) -> int:
        """Place in the order of the members."""
        return _RANKS[self]

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self in (Evidence.CONFIRMED, Evidence.FAILED)


_RANKS = {evidence: rank for rank, evidence in enumerate(Evidence)}
FillKey = tuple[str, str, int]
"""(trade id, order id, bucket index)."""


class Fill(Message, frozen=True):
    """One of our orders traded, or its settlement went on (channel: Ordered). Price and side in the YES frame.

    The same `key` comes again with each new evidence; FAILED takes it out. `outcome` is the token that changed
    hands, `matched_ms` the venue's time of the match. `fair_e4` is the microprice when the fill was first seen,
    None when no valid book was at hand; `yes_e6` and `no_e6` are held after it.
    """

    trade_id: str
    order_id: str
    bucket_index: int
    evidence: Evidence
    matched_ms: int
    outcome: Outcome
    market: str
    underlying: str
    owner: str
    side: Side
    price_e4: int
    size_e6: int
    fee_e6: int
    fair_e4: float | None
    yes_e6: int
    no_e6: int
    seen_ns: int

    @property
    def key(self) -> FillKey:
        """What makes it the same fill."""
        return self.trade_id, self.order_id, self.bucket_index


# --- risk ---------------------------------------------------------------------------------------


class Exposure(Message, frozen=True):
    """Net position of one underlying (channel: Latest).

    `delta_usd_e6` is what the position gains between certainty of NO and certainty of YES, `ratio` its size over
    the swarm's capital, `band` the share that is tolerated.
    """

    underlying: str
    owner: str
    net_shares_e6: int
    delta_usd_e6: int
    ratio: float
    band: float
    computed_ns: int


# --- all ----------------------------------------------------------------------------------------


class HaltSwarm(Message, frozen=True):
    """Cancel everything and place nothing until `ResumeSwarm`; anyone may send it, until it is acknowledged."""

    cause: str
    origin: str
    sent_ns: int


class ResumeSwarm(Message, frozen=True):
    """The operator lifts a halt."""

    origin: str
    sent_ns: int


class DeadmanFired(Message, frozen=True):
    """The engine withdrew a quoter's orders without being asked (channel: Ordered)."""

    cause: str
    victim: str
    cancelled: int
    elapsed_ms: float
    fired_ns: int


class Beat(Message, frozen=True):
    """Pulse and counters of one process (channel: Latest).

    `route` is how the engine's way to the venue stands: open, switching, or the venue's mode.
    `counters` are running totals, `histograms` map a latency name to {bucket: count} of kernel/histogram.py.
    """

    name: str
    kind: str
    pid: int
    state: str
    sent_ns: int
    route: str | None = None
    counters: dict[str, float] = {}
    histograms: dict[str, dict[int, int]] = {}


BusMessage = (
    BookState
    | ReferencePrice
    | FeedHealth
    | SnapshotWanted
    | Allocation
    | Inventory
    | Fill
    | Exposure
    | HaltSwarm
    | ResumeSwarm
    | DeadmanFired
    | Beat
)
EngineRequest = Hello | Plan | Touch
EngineReply = OrderUpdate | PlanDone | Inventory
