"""A market as the venue lists it."""

from typing import Literal

import msgspec

from clawswarm.model.units import MICRO

Winner = Literal["YES", "NO", "SPLIT"]
"""What a market resolved to; SPLIT pays half a dollar to either token."""


class RewardTerms(msgspec.Struct, frozen=True):
    """What a resting order must be to score for liquidity rewards (polymarket.md §8)."""

    is_on: bool = True
    min_size_e6: int = 50_000_000
    max_spread_e4: int = 450
    min_age_s: int = 0
    daily_rate_e6: int = 0


class RebateTerms(msgspec.Struct, frozen=True):
    """What comes back of a market's taker fees: the makers' share, and the weight of takers' volume (§7)."""

    maker_share_e4: int = 2_000
    taker_weight_e4: int = 23_000


class ListedMarket(msgspec.Struct, eq=False, kw_only=True):
    """Static facts of one binary market, and the few that change while it lives.

    These change: `tick_e4`, `is_open`, `accepts_orders`, `winner`, `last_trade_e4`, `last_trade_side`,
    `updated_ns`, `closed_ns`, `volume_e6`, `end_ms`, `taker_delay_ms`. A market opens when it is listed, pauses
    and goes on (`accepts_orders`), closes for good (`is_open`) and resolves (`winner`).
    `taker_delay_ms` holds marketable orders while the call waits, `seconds_delay` answers `delayed` at once.
    """

    condition_id: str
    question_id: str
    slug: str
    question: str
    underlying: str
    yes_token: str
    no_token: str
    tick_e4: int
    min_size_e6: int
    fee_rate_e4: int
    end_ms: int
    outcomes: tuple[str, str] = ("Yes", "No")
    neg_risk: bool = False
    fee_exponent: int = 1
    taker_delay_ms: int = 0
    seconds_delay: int = 0
    rewards: RewardTerms = RewardTerms()
    rebates: RebateTerms = RebateTerms()
    is_open: bool = True
    accepts_orders: bool = True
    winner: Winner | None = None
    last_trade_e4: int | None = None
    last_trade_side: str = ""
    listed_ns: int = 0
    updated_ns: int = 0
    closed_ns: int | None = None
    volume_e6: int = 0
    """Money of all trades, each counted once at its price."""

    @property
    def hold_ns(self) -> int:
        """How long a marketable order is held."""
        return max(self.taker_delay_ms * 1_000_000, self.seconds_delay * 1_000_000_000)

    def token(self, is_yes: bool) -> str:
        """Token id of an outcome."""
        return self.yes_token if is_yes else self.no_token

    def outcome(self, is_yes: bool) -> str:
        """Name of an outcome."""
        return self.outcomes[0] if is_yes else self.outcomes[1]

    def payout_e6(self, is_yes: bool) -> int | None:
        """What one share of an outcome is redeemed for, None before the market resolved."""
        if self.winner is None:
            return None
        if self.winner == "SPLIT":
            return MICRO // 2
        return MICRO if (self.winner == "YES") == is_yes else 0
