"""Market channel: what to subscribe to and what to ask for. `_core.Books` reads what comes."""

from collections.abc import Sequence
from typing import Literal

import msgspec

BOOKS_PATH = "/books"


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
