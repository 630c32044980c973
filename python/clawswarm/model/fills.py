"""What somebody says of one fill: the engine's journal, or the venue's listing of trades."""

import msgspec

from clawswarm.model.instruments import Side, mirror_price_e4
from clawswarm.model.messages import Evidence, Fill, FillKey, Outcome
from clawswarm.model.units import PRICE_ONE_E4


class FillReport(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """One fill with what is known of its settlement; side and price in the YES frame.

    `owner` is "" and `fair_e4` None where the reporter does not know them (the venue).
    """

    trade_id: str
    order_id: str
    bucket_index: int
    evidence: Evidence
    matched_ms: int
    market: str
    outcome: Outcome
    side: Side
    price_e4: int
    size_e6: int
    fee_e6: int
    owner: str = ""
    fair_e4: float | None = None

    @property
    def key(self) -> FillKey:
        """What makes it the same fill."""
        return self.trade_id, self.order_id, self.bucket_index

    @property
    def token_sign(self) -> int:
        """+1 when the token was bought, -1 when it was sold."""
        return self.side.sign if self.outcome is Outcome.YES else -self.side.sign

    @property
    def cash_e6(self) -> int:
        """What it brings (or costs, negative) in collateral.

        The token's price times the size, rounded down whoever pays it, less the fee (polymarket.md §3.8).
        """
        price_e4 = self.price_e4 if self.outcome is Outcome.YES else mirror_price_e4(self.price_e4)
        return -self.token_sign * (price_e4 * self.size_e6 // PRICE_ONE_E4) - self.fee_e6


def token_asset(market: str, outcome: Outcome) -> str:
    """Name of an outcome token as an asset."""
    return f"{market}:{outcome.value}"


def report_of(fill: Fill) -> FillReport:
    """The engine's word as a report."""
    return FillReport(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        bucket_index=fill.bucket_index,
        evidence=fill.evidence,
        matched_ms=fill.matched_ms,
        market=fill.market,
        outcome=fill.outcome,
        side=fill.side,
        price_e4=fill.price_e4,
        size_e6=fill.size_e6,
        fee_e6=fill.fee_e6,
        owner=fill.owner,
        fair_e4=fill.fair_e4,
    )
