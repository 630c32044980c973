"""Shapes of Polymarket's REST and WebSocket messages, as the client reads them.

Every variant of the reference is accepted: prefixed and plain states, empty decimals, missing optional keys.
Source: docs.polymarket.com and the official clients, as restated in the project's fact sheet.
"""

import msgspec

ZERO_CURSOR = "MA=="
LAST_CURSOR = "LTE="
LIVE_STATES = frozenset({"LIVE", "DELAYED", "UNMATCHED"})

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)
"""What decoding a peer's bytes may raise: msgspec lets bad UTF-8 through as Python's own error."""


class Token(msgspec.Struct, frozen=True):
    """One outcome of a market record."""

    token_id: str
    outcome: str


class MarketRecord(msgspec.Struct, frozen=True):
    """One entry of GET /markets."""

    condition_id: str
    market_slug: str
    tokens: tuple[Token, ...]
    minimum_order_size: float
    minimum_tick_size: float
    neg_risk: bool
    active: bool
    closed: bool
    accepting_orders: bool
    end_date_iso: str | None = None


class MarketPage(msgspec.Struct, frozen=True):
    """Answer of GET /markets."""

    data: tuple[MarketRecord, ...]
    next_cursor: str


class ApiKey(msgspec.Struct, frozen=True, rename="camel"):
    """Answer of the key endpoints; never printed."""

    api_key: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return "ApiKey(…)"


class OrderAnswer(msgspec.Struct, frozen=True):
    """Answer to one placed order; a rejected batch leg may say success with an error text."""

    success: bool = False
    errorMsg: str = ""  # noqa: N815 - the venue's own word
    orderID: str = ""  # noqa: N815
    status: str = ""
    error: str = ""

    @property
    def is_accepted(self) -> bool:
        """Accepted only if every field says so."""
        return (
            self.success
            and not self.errorMsg
            and not self.error
            and bool(self.orderID)
            and self.status in {"live", "matched", "delayed", "unmatched"}
        )

    @property
    def reason(self) -> str:
        """Why it was refused."""
        return self.errorMsg or self.error or f"status {self.status!r}"


class CancelAnswer(msgspec.Struct, frozen=True):
    """Answer to every form of cancel."""

    canceled: tuple[str, ...] = ()
    not_canceled: dict[str, str] = {}


class OpenOrder(msgspec.Struct, frozen=True):
    """One entry of GET /data/orders."""

    id: str
    status: str
    market: str
    asset_id: str
    side: str
    original_size: str
    size_matched: str
    price: str

    @property
    def is_live(self) -> bool:
        """Whether it can still trade."""
        return self.status.removeprefix("ORDER_STATUS_") in LIVE_STATES


class OpenOrderPage(msgspec.Struct, frozen=True):
    """Answer of GET /data/orders."""

    data: tuple[OpenOrder, ...]
    next_cursor: str


class MakerOrder(msgspec.Struct, frozen=True):
    """Our part of a trade in which we were the maker."""

    order_id: str
    matched_amount: str
    price: str
    asset_id: str
    side: str
    owner: str = ""


class Trade(msgspec.Struct, frozen=True):
    """One trade, from GET /data/trades or the user channel; top-level fields are the taker's."""

    id: str
    taker_order_id: str
    market: str
    asset_id: str
    side: str
    size: str
    price: str
    status: str
    maker_orders: tuple[MakerOrder, ...] = ()
    trader_side: str = ""

    @property
    def is_failed(self) -> bool:
        """Whether settlement failed for good."""
        return self.status.removeprefix("TRADE_STATUS_") == "FAILED"


class TradePage(msgspec.Struct, frozen=True):
    """Answer of GET /data/trades."""

    data: tuple[Trade, ...]
    next_cursor: str


class UserOrder(msgspec.Struct, frozen=True):
    """Order event of the user channel: type PLACEMENT, UPDATE or CANCELLATION."""

    id: str
    type: str
    status: str = ""
    size_matched: str = ""


class HeartbeatAnswer(msgspec.Struct, frozen=True):
    """Answer of POST /v1/heartbeats, accepted or refused."""

    heartbeat_id: str = ""
    error_msg: str = ""
    error: str = ""


class ErrorAnswer(msgspec.Struct, frozen=True):
    """Body of most refusals."""

    error: str = ""
    code: str = ""
