"""Fills → net exposure per underlying. Pure: the same fills give the same figures, restarts included.

A share pays 1 USD when its outcome comes true, so net shares are the delta in USD between certainty of NO and
certainty of YES. The band is a share of the swarm's capital.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from clawswarm.kernel.clock import NS_PER_S
from clawswarm.model.messages import Exposure, Fill
from clawswarm.model.units import MICRO


class RiskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the strategist tolerates."""

    band: float


def owner_of(underlying: str, managers: Sequence[str]) -> str:
    """Which risk manager answers for an underlying (rendezvous hash)."""
    return max(managers, key=lambda manager: hashlib.sha256(f"{underlying}|{manager}".encode()).digest())


class ExposureBook:
    """Net exposure of the underlyings of one risk manager."""

    def __init__(self, owner: str, managers: Sequence[str], settings: RiskSettings, capital_usd: int) -> None:
        self._owner, self._managers = owner, managers
        self._band, self._capital_e6 = settings.band, capital_usd * MICRO
        self._net_by_market: dict[str, int] = {}
        self._net_e6: dict[str, int] = {}
        self._outside_since_ns: dict[str, int] = {}
        self._outside_ns = 0
        self.max_abs_ratio = 0.0

    def apply(self, fill: Fill) -> Exposure | None:
        """Book one fill; the new exposure of its underlying, None when another manager answers for it."""
        if owner_of(fill.underlying, self._managers) != self._owner:
            return None
        before_e6, net_e6 = self._net_by_market.get(fill.market, 0), fill.yes_e6 - fill.no_e6
        self._net_by_market[fill.market] = net_e6
        self._net_e6[fill.underlying] = self._net_e6.get(fill.underlying, 0) + net_e6 - before_e6
        exposure = self.exposure(fill.underlying, fill.seen_ns)
        self.max_abs_ratio = max(self.max_abs_ratio, exposure.ratio)
        since = self._outside_since_ns.pop(fill.underlying, None)
        if since is not None:
            self._outside_ns += fill.seen_ns - since
        if exposure.ratio > self._band:
            self._outside_since_ns[fill.underlying] = fill.seen_ns
        return exposure

    def exposure(self, underlying: str, now_ns: int) -> Exposure:
        """Net exposure of one underlying."""
        net_e6 = self._net_e6.get(underlying, 0)
        return Exposure(
            underlying=underlying,
            owner=self._owner,
            net_shares_e6=net_e6,
            delta_usd_e6=net_e6,
            ratio=abs(net_e6) / self._capital_e6,
            band=self._band,
            computed_ns=now_ns,
        )

    @property
    def underlyings(self) -> list[str]:
        """Underlyings with fills."""
        return list(self._net_e6)

    def outside_s(self, now_ns: int) -> float:
        """Seconds that any underlying spent outside the band."""
        running = sum(now_ns - since for since in self._outside_since_ns.values())
        return (self._outside_ns + running) / NS_PER_S
