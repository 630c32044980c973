"""Every message that crosses a room or a process, as frozen, versioned structs (design.md §4).

Times: `_ns` is CLOCK_BOOTTIME of this host (comparable between its processes, not between hosts),
`_ms` is the venue's wall clock. Units are those of model/units.py.
"""

from enum import StrEnum

import msgspec

from clawswarm.model.instruments import Market, Side
from clawswarm.model.positions import Unwinding

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
    """Last price of an underlying from one feed (channel: Latest). `is_synthetic` when no recording carries it.

    `feed` is binance, chainlink, twap30, twap60 (Chainlink's means over so many seconds) or pyth: up/down markets
    settle on Chainlink's. `return_5s` is its log return over five seconds of its own clock.
    """

    underlying: str
    feed: str
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


class SwarmState(StrEnum):
    """What the swarm may do; a later one is stricter.

    NORMAL trade · CAUTIOUS smaller and further out · REDUCE_ONLY only make positions smaller · HALTED nothing
    open.
    """

    NORMAL = "normal"
    CAUTIOUS = "cautious"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"


class RatePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How the orchestrator wants the venue's limits used; the engine enforces it.

    `window_share`, in (0, 1], is this engine's share of the address's windows; a place that is worth less than
    `least_value` for each token that it costs is refused (in the unit of `Plan.value` times the mandate's weight).
    """

    window_share: float = 1.0
    least_value: float = 0.0


class Mandate(Message, frozen=True):
    """Permission of one quoter to trade one market, until `sent_ns + life_ns` of the allocation.

    `is_reduce_only`: the engine lets nothing through that could make the position larger. `weight` multiplies the
    value of plans where tokens are short, `spread_factor` the quoter's half-spread.
    """

    market: Market
    quoter: str
    epoch: int
    capital_e6: int
    max_position_e6: int
    order_size_e6: int
    is_reduce_only: bool = False
    weight: float = 1.0
    spread_factor: float = 1.0


class Allocation(Message, frozen=True):
    """The whole mandate table of one orchestrator term (channel: Latest); absent markets are withdrawn.

    `merged_e6` are pairs of both tokens, of these markets and of a batch to come, that were ever taken out of the
    account to be merged: the engine offers none of them. `state` and its `causes` are what the swarm may do:
    HALTED by itself halts an engine.
    """

    term: int
    sent_ns: int
    life_ns: int
    mandates: tuple[Mandate, ...]
    merged_e6: dict[str, int] = {}
    state: SwarmState = SwarmState.NORMAL
    causes: tuple[str, ...] = ()
    rate: RatePolicy = RatePolicy()


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
    `tick_e4` is the tick of the book that the places are rounded to: the feed says of a new one seconds before
    the mandate does. None when there is no book.
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
    tick_e4: int | None = None


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


class TokenPrice(Message, frozen=True):
    """What a place costs now, said when it changes.

    `shadow_price` is the most that a place was worth per token (plan's value times weight) that got none within
    the last second: one that is worth less would wait in vain. 0 when nobody went without.
    """

    shadow_price: float


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


# --- orchestrator and engine (Unix socket, never the bus) ----------------------------------------


class OpenAccount(Message, frozen=True):
    """The orchestrator asks whose account it is."""


class AccountOpened(Message, frozen=True):
    """The account: its owner, where its money is, and the API key, which cancels and reads but never places.

    `venue_ms` is the venue's Unix time at `venue_at_ns` of this host's clock.
    """

    address: str
    wallet: str
    signature_type: int
    api_key: str
    secret: str
    passphrase: str
    venue_ms: int
    venue_at_ns: int

    def __repr__(self) -> str:
        return f"AccountOpened(address={self.address!r}, wallet={self.wallet!r})"


class SignBatch(Message, frozen=True):
    """A batch of the wallet that the engine shall sign; `deadline_s` is the Unix second after which it is void."""

    term: int
    nonce: int
    deadline_s: int
    calls: tuple[Unwinding, ...]


class BatchSigned(Message, frozen=True):
    """The owner's signature, 0x and 65 bytes, or why there is none."""

    signature: str | None
    refused: str | None


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
    """Cancel everything and place nothing until a later `ResumeSwarm`.

    Anyone may send it, until it is acknowledged: the orchestrator keeps it, the engine obeys it at once.
    """

    cause: str
    origin: str
    sent_ns: int


class ResumeSwarm(Message, frozen=True):
    """Lifts the halts of before: from the operator to the orchestrator, from that to the engines."""

    origin: str
    sent_ns: int


class DeadmanFired(Message, frozen=True):
    """The engine withdrew a quoter's orders without being asked (channel: Ordered)."""

    cause: str
    victim: str
    cancelled: int
    elapsed_ms: float
    fired_ns: int


class BudgetState(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the venue's limits an engine uses, and what its scarce tokens went to.

    `places` are requests with places in the windows of 10 s and 600 s: now, the most ever, the limit. Tokens are
    whole ones less the headroom, below zero in debt. `served` counts plans whose places were paid for and those
    for which no token came in time, `value` is what both were worth.
    """

    tier: str
    places: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    order_tokens: int
    order_burst: int
    cancel_tokens: int
    cancel_burst: int
    cancel_reserve: int
    most_debt: int
    shadow_price: float
    scarcity: float
    queued: int
    served: tuple[int, int]
    value: tuple[float, float]


class Beat(Message, frozen=True):
    """Pulse and counters of one process (channel: Latest).

    `route` is how the engine's way to the venue stands: open, switching, or the venue's mode; `reason` why it is
    in its state; `budget` its use of the venue's limits.
    `counters` are running totals, `histograms` map a latency name to {bucket: count} of kernel/histogram.py.
    """

    name: str
    kind: str
    pid: int
    state: str
    sent_ns: int
    route: str | None = None
    reason: str | None = None
    budget: BudgetState | None = None
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
EngineReply = OrderUpdate | PlanDone | Inventory | TokenPrice
