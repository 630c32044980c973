"""What the venue leaves open or may change: rules of the exchange as values, with the live reading as default."""

from typing import Literal

import msgspec

SelfTrade = Literal["allow", "cancel-newest", "cancel-oldest"]
ProceedsAt = Literal["mined", "matched"]
Fate = Literal["confirm", "retry", "fail"]


class SettlementDelay(msgspec.Struct, frozen=True):
    """How long after MATCHED a trade is MINED and CONFIRMED, and how often it is retried or fails on the way.

    A retried trade goes MATCHED, RETRYING, MINED, CONFIRMED; a failing one MATCHED, RETRYING, FAILED.
    """

    mined_ns: int
    confirmed_ns: int
    retried_ns: int = 1_000_000_000
    retry_share: float = 0.0
    fail_share: float = 0.0


class ExchangeRules(msgspec.Struct, frozen=True, kw_only=True):
    """Matching and balance rules.

    `self_trade`: the venue documents none, so own orders trade with each other by default.
    `proceeds_at`: what a match brings can be used once it is mined (live: a sale right after a purchase is
    refused), or at once. With `matched` a failed trade may leave an account owing until it is refilled.
    `market_buy_share_decimals`: None goes by the tick, as the official clients round; 4 whatever the tick is what
    the live venue was seen to insist on in July 2026.
    """

    self_trade: SelfTrade = "allow"
    proceeds_at: ProceedsAt = "mined"
    market_buy_share_decimals: int | None = None
