"""What the contract suite asks of a trading client, whoever wrote it.

One adapter for each client translates between these words and the client's own; the tests know nothing else.
Prices, sizes and amounts are Decimals in shares and pUSD, exactly as the client handed them out. A refusal by
the venue raises `Refused` with the client's own exception as its cause; what a client refuses before it sends
anything stays the client's own exception, of a type the adapter names.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from venue_thread import DEV_KEY, RunningVenue

Side = str  # BUY or SELL


class Refused(Exception):
    """The venue refused a request; the cause is the client's exception."""

    def __init__(
        self,
        status: int | None,
        text: str,
        *,
        code: str | None = None,
        retry_after_s: float | None = None,
        restriction: str | None = None,
    ) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text
        self.code = code
        self.retry_after_s = retry_after_s
        self.restriction = restriction


class RateLimited(Refused):
    """HTTP 429; the numbers are None where the client hides the headers."""

    def __init__(
        self,
        text: str,
        *,
        retry_after_s: float | None = None,
        remaining: float | None = None,
        tier: str | None = None,
    ) -> None:
        super().__init__(429, text, retry_after_s=retry_after_s)
        self.remaining = remaining
        self.tier = tier


class NoAnswer(Exception):
    """The request may have been acted on or not: no answer came."""


class HeartbeatMismatch(Refused):
    """The heartbeat id was not the expected one."""

    def __init__(self, expected: str) -> None:
        super().__init__(400, "Invalid Heartbeat ID")
        self.expected = expected


@dataclass(frozen=True)
class Credentials:
    """An API key."""

    key: str
    secret: str
    passphrase: str


@dataclass(frozen=True)
class Limit:
    """A limit order to place; GTD when it expires, else GTC."""

    token: str
    side: Side
    price: str
    size: str = "10"
    is_post_only: bool = False
    expires_s: int | None = None


@dataclass(frozen=True)
class Placed:
    """An order the venue took."""

    order_id: str
    status: str
    making: Decimal
    taking: Decimal
    trade_ids: tuple[str, ...]


@dataclass(frozen=True)
class RefusedLeg:
    """A leg of a batch the venue did not take."""

    text: str


@dataclass(frozen=True)
class CancelReport:
    """Answer of every cancel."""

    canceled: tuple[str, ...]
    not_canceled: dict[str, str]


@dataclass(frozen=True)
class OpenOrder:
    """An order as its owner reads it."""

    id: str
    status: str
    market: str
    token: str
    side: Side
    price: Decimal
    original_size: Decimal
    size_matched: Decimal
    order_type: str
    owner: str
    maker_address: str
    outcome: str


@dataclass(frozen=True)
class MakerFill:
    """A maker's part of a trade."""

    order_id: str
    price: Decimal
    size: Decimal
    side: Side


@dataclass(frozen=True)
class Trade:
    """A trade as a party reads it."""

    id: str
    status: str
    taker_order_id: str
    token: str
    side: Side
    price: Decimal
    size: Decimal
    trader_side: str
    transaction_hash: str | None
    makers: tuple[MakerFill, ...]


@dataclass(frozen=True)
class Book:
    """A book with the hash the venue sent and the one the client computes from what it understood."""

    token: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    tick: Decimal
    min_size: Decimal
    is_neg_risk: bool
    last_trade: Decimal | None
    sent_hash: str
    computed_hash: str


@dataclass(frozen=True)
class MarketFacts:
    """What a client must know before it can sign an order."""

    tick: Decimal
    is_neg_risk: bool
    fee_rate: Decimal
    fee_exponent: Decimal


@dataclass(frozen=True)
class RewardProgramme:
    """What a market pays for resting orders: dollars a day, widest distance in cents, smallest size."""

    rate: Decimal
    max_spread: Decimal
    min_size: Decimal


@dataclass(frozen=True)
class StreamEvent:
    """One event of a stream, its fields under the venue's names with numbers as Decimals."""

    kind: str
    fields: dict[str, object] = field(repr=False)


class Stream(Protocol):
    """An open subscription."""

    def next(self, kind: str) -> StreamEvent:
        """The next event of a kind; others before it are skipped. Fails after ten seconds."""
        ...

    @property
    def lost(self) -> int:
        """Events the client threw away, because it could not parse them or was too slow."""
        ...


class VenueClient(Protocol):
    """One wallet's connection to the venue."""

    name: str
    address: str  # the wallet that holds the money
    signature_type: int
    credentials: Credentials
    has_streams: bool
    sees_headers: bool  # Retry-After and Poly-RateLimit-* reach the caller
    local_refusal: type[Exception]  # raised for what the client never sends
    rejection: type[Exception]  # the client's own class for a refused request
    rate_limit_rejection: type[Exception]
    heartbeat_rejection: type[Exception]

    def api_keys(self) -> list[str]: ...
    def delete_key(self) -> None: ...
    def is_closed_only(self) -> bool: ...
    def collateral(self) -> Decimal: ...
    def shares(self, token: str) -> Decimal: ...
    def place(self, order: Limit) -> Placed: ...
    def place_market(
        self, token: str, side: Side, amount: str, order_type: str, worst_price: str | None = None
    ) -> Placed: ...
    def place_batch(self, orders: list[Limit]) -> list[Placed | RefusedLeg]: ...
    def place_twice(self, order: Limit) -> Placed: ...
    def cancel(self, order_id: str) -> CancelReport: ...
    def cancel_many(self, order_ids: list[str]) -> CancelReport: ...
    def cancel_market(self, market: str | None = None, token: str | None = None) -> CancelReport: ...
    def cancel_all(self) -> CancelReport: ...
    def open_orders(self, market: str | None = None, token: str | None = None) -> list[OpenOrder]: ...
    def order(self, order_id: str) -> OpenOrder: ...
    def trades(self, trade_id: str | None = None) -> list[Trade]: ...
    def is_scoring(self, order_ids: list[str]) -> dict[str, bool]: ...
    def reward_programmes(self) -> dict[str, RewardProgramme]: ...
    def reward_programme(self, market: str) -> RewardProgramme: ...
    def earnings(self, date: str) -> dict[str, Decimal]: ...
    def total_earnings(self, date: str) -> Decimal: ...
    def reward_percentages(self) -> dict[str, float]: ...
    def earnings_in_markets(self, date: str) -> dict[str, tuple[Decimal, float]]: ...
    def book(self, token: str) -> Book: ...
    def books(self, tokens: list[str]) -> list[Book]: ...
    def midpoint(self, token: str) -> Decimal: ...
    def midpoints(self, tokens: list[str]) -> dict[str, Decimal]: ...
    def price(self, token: str, side: Side) -> Decimal: ...
    def prices(self, token: str) -> dict[str, Decimal]: ...
    def spread(self, token: str) -> Decimal: ...
    def spreads(self, tokens: list[str]) -> dict[str, Decimal]: ...
    def last_trade(self, token: str) -> tuple[Decimal, Side] | None: ...
    def last_trades(self, tokens: list[str]) -> dict[str, tuple[Decimal, Side]]: ...
    def facts(self, market: str, token: str) -> MarketFacts: ...
    def heartbeat(self, heartbeat_id: str = "") -> str: ...
    def market_stream(self, tokens: list[str], *, has_custom_features: bool = False) -> Stream: ...
    def user_stream(self, markets: list[str] | None = None) -> Stream: ...
    def close(self) -> None: ...


class Connect(Protocol):
    """How a client is made: key created, or derived when it exists."""

    def __call__(
        self,
        venue: RunningVenue,
        private_key: str,
        *,
        wallet: str | None = None,
        nonce: int = 0,
        credentials: Credentials | None = None,
    ) -> VenueClient:
        """Connect a signer; `wallet` is the deposit wallet it acts for, None for its own address."""
        ...


class Connector(Protocol):
    """Connects clients of one kind; the fixture closes them."""

    def __call__(
        self,
        private_key: str = DEV_KEY,
        *,
        venue: RunningVenue = ...,
        wallet: str | None = None,
        nonce: int = 0,
        credentials: Credentials | None = None,
    ) -> VenueClient:
        """Connect a signer to the test's venue, or to another."""
        ...
