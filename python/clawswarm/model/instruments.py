"""Markets as every room sees them: one unified book in the YES frame.

A NO order at p is a YES order at 1 − p on the other side, so a market has one price axis.
"""

from enum import StrEnum

import msgspec

from clawswarm.model.units import PRICE_ONE_E4


class Side(StrEnum):
    """Side of an order in the YES frame."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for a buy, −1 for a sell."""
        return 1 if self is Side.BUY else -1


SETTLEMENT_FEED = "chainlink"
"""What most markets settle on, itself or its average."""


class PriceSettlement(msgspec.Struct, frozen=True):
    """YES wins when the final price of the underlying is at or above the strike (polymarket.md §11.3).

    Both prices are averages over `window_s` seconds before their instant, 0 is the price itself. `opens_ms` is the
    strike's instant, None when the strike is a listed number; `strike_usd` is None until it is known. `feed` is
    whose price it is (`ReferencePrice.feed`).
    """

    window_s: int
    opens_ms: int | None
    strike_usd: float | None = None
    feed: str = SETTLEMENT_FEED


class RewardTerms(msgspec.Struct, frozen=True):
    """Liquidity rewards of a market and what an order must be to score for them (polymarket.md §8)."""

    daily_usd: float
    min_size_e6: int
    max_spread_e4: int
    min_age_s: int = 0


class Market(msgspec.Struct, frozen=True):
    """One binary market of Polymarket.

    `underlying` groups markets whose outcomes move together (risk is netted per underlying). `settlement` is None
    for an event; `is_rule_known` False means that a price settles it by a rule nobody could read: it is not
    quoted. `rebate_rate` is the taker fee rate times the makers' share of it, per share and p·(1 − p).
    `outcomes` is how many markets of one event exclude each other, all of them listed; 1 where that is not
    known.
    """

    condition_id: str
    slug: str
    underlying: str
    yes_token: str
    no_token: str
    tick_e4: int
    min_size_e6: int
    neg_risk: bool
    is_open: bool
    closes_ms: int | None
    settlement: PriceSettlement | None = None
    is_rule_known: bool = True
    rebate_rate: float = 0.0
    rewards: RewardTerms | None = None
    outcomes: int = 1


def mirror_price_e4(price_e4: int) -> int:
    """Price of the same order seen from the other outcome token."""
    return PRICE_ONE_E4 - price_e4
