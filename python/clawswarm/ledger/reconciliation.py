"""The interval rule (design.md §10): when the venue's balance is worth acting on. Pure.

The venue lags: what is pending may be in its balance or not. So a balance is questioned only when it lies outside
[low, high], and acted on only when two looks in a row, further apart than the settlement delay, both saw that.
"""

from collections.abc import Mapping

import msgspec

from clawswarm.ledger.entries import CASH
from clawswarm.ledger.projection import NOTHING, Balance


class Difference(msgspec.Struct, frozen=True):
    """How far the venue's balance of an asset is away from what the ledger allows."""

    asset: str
    amount_e6: int

    @property
    def is_income(self) -> bool:
        """More collateral than known: a deposit, a reward, a rebate; nothing to stop for."""
        return self.asset == CASH and self.amount_e6 > 0

    def __str__(self) -> str:
        return f"the venue holds {self.amount_e6:+d}e-6 of {self.asset} against what is known"


class Doubt(msgspec.Struct, frozen=True):
    """Since when an asset lies outside, how often that was seen, and how far it lay away at the last look."""

    since_ns: int
    looks: int
    amount_e6: int


class Reconciler:
    """Looks in, differences to act on out."""

    def __init__(self, settlement_ns: int) -> None:
        self._settlement_ns = settlement_ns
        self.doubts: dict[str, Doubt] = {}

    def look(
        self, known: Mapping[str, tuple[Balance, Balance]], venue_e6: Mapping[str, int], now_ns: int
    ) -> list[Difference]:
        """One look at the venue's balances; `known` are the ledger's before and after the venue was asked."""
        found = []
        for asset, seen_e6 in venue_e6.items():
            before, after = known.get(asset, (NOTHING, NOTHING))
            low_e6, high_e6 = min(before.low_e6, after.low_e6), max(before.high_e6, after.high_e6)
            if low_e6 <= seen_e6 <= high_e6:
                self.doubts.pop(asset, None)
                continue
            amount_e6 = seen_e6 - (high_e6 if seen_e6 > high_e6 else low_e6)
            doubt = self.doubts.get(asset)
            if doubt is None or (doubt.amount_e6 > 0) != (amount_e6 > 0):
                self.doubts[asset] = Doubt(now_ns, 1, amount_e6)
                continue
            if now_ns - doubt.since_ns > self._settlement_ns:
                del self.doubts[asset]
                found.append(Difference(asset, amount_e6))
            else:
                self.doubts[asset] = Doubt(doubt.since_ns, doubt.looks + 1, amount_e6)
        return found
