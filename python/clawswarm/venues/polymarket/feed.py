"""Market channel and reference prices: what to subscribe to, to ask for, and how to read the reference stream."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from clawswarm.model.errors import WireFault
from clawswarm.model.units import MICRO
from clawswarm.venues.polymarket.wire import UNREADABLE

BOOKS_PATH = "/books"
REFERENCE_TOPIC = "crypto_prices_chainlink"
HIGHEST_PRICE = 1e12
"""No underlying costs this much in USD; a stream that says so is not believed."""


def market_subscription(token_ids: Sequence[str]) -> bytes:
    """First frame on the market channel."""
    return msgspec.json.encode(
        {"type": "market", "assets_ids": list(token_ids), "custom_feature_enabled": True}
    )


def market_change(operation: Literal["subscribe", "unsubscribe"], token_ids: Sequence[str]) -> bytes:
    """Frame that changes what an open market channel sends."""
    return msgspec.json.encode(
        {"operation": operation, "assets_ids": list(token_ids), "custom_feature_enabled": True}
    )


def books_question(token_ids: Sequence[str]) -> bytes:
    """Body of `POST /books`: the venue's own books of some tokens."""
    return msgspec.json.encode([{"token_id": token} for token in token_ids])


def reference_subscription() -> bytes:
    """First frame on the price stream: every symbol of the settlement topic."""
    return msgspec.json.encode(
        {
            "action": "subscribe",
            "subscriptions": [{"topic": REFERENCE_TOPIC, "type": "update", "filters": ""}],
        }
    )


class _ReferencePayload(msgspec.Struct, frozen=True):
    symbol: str = ""
    timestamp: int = 0
    value: float | None = None


class _ReferenceFrame(msgspec.Struct, frozen=True):
    topic: str = ""
    type: str = ""
    payload: _ReferencePayload = _ReferencePayload()


_decode_reference = msgspec.json.Decoder(_ReferenceFrame).decode


class ReferenceTick(msgspec.Struct, frozen=True):
    """One price of an underlying; `source_ms` is the stream's own clock."""

    underlying: str
    value_e6: int
    source_ms: int


def read_reference(frame: bytes) -> ReferenceTick | None:
    """Read one frame; None for anything but an update. Raises WireFault when it is not JSON of that shape."""
    try:
        message = _decode_reference(frame)
    except UNREADABLE as fault:
        raise WireFault(f"price stream: {fault}") from fault
    payload = message.payload
    if message.topic != REFERENCE_TOPIC or message.type != "update" or payload.value is None:
        return None
    if not 0 <= payload.value < HIGHEST_PRICE:
        raise WireFault(f"price stream: {payload.symbol} at {payload.value}")
    return ReferenceTick(
        underlying=payload.symbol.partition("/")[0].upper(),
        value_e6=round(payload.value * MICRO),
        source_ms=payload.timestamp,
    )
