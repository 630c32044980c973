"""Shapes of Polymarket's public REST messages, as the agents read them; the private ones are the engine's.

Source: docs.polymarket.com and the official clients, as restated in the project's fact sheet.
"""

import msgspec

ZERO_CURSOR = "MA=="
LAST_CURSOR = "LTE="

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
