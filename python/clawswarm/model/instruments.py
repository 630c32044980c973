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


class Market(msgspec.Struct, frozen=True):
    """One binary market of Polymarket.

    `underlying` groups markets whose outcomes move together (risk is netted per underlying).
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


def mirror_price_e4(price_e4: int) -> int:
    """Price of the same order seen from the other outcome token."""
    return PRICE_ONE_E4 - price_e4
