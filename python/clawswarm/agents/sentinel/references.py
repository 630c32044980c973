"""Prices of the feeds → ReferencePrice messages. Pure.

Two streams may carry one feed, and history comes with each subscription: only what is newer than the last of its
feed and underlying is said, with its return.
"""

from clawswarm._core import ReferenceReturn
from clawswarm.model.messages import ReferencePrice
from clawswarm.venues.polymarket.prices import PriceTick

RETURN_SPAN_MS = 5_000


class References:
    """The newest price of every feed and underlying."""

    def __init__(self, source: str, *, is_synthetic: bool) -> None:
        self._source, self._is_synthetic = source, is_synthetic
        self._returns: dict[tuple[str, str], ReferenceReturn] = {}
        self._newest_ms: dict[tuple[str, str], int] = {}

    def take(self, tick: PriceTick, received_ns: int) -> ReferencePrice | None:
        """What a price says; None when something as new has been said."""
        key = (tick.feed, tick.underlying)
        if tick.source_ms <= self._newest_ms.get(key, -1):
            return None
        self._newest_ms[key] = tick.source_ms
        returns = self._returns.setdefault(key, ReferenceReturn(RETURN_SPAN_MS))
        return ReferencePrice(
            underlying=tick.underlying,
            feed=tick.feed,
            source=self._source,
            value_e6=tick.value_e6,
            source_ms=tick.source_ms,
            received_ns=received_ns,
            is_synthetic=self._is_synthetic,
            return_5s=returns.take(tick.value_e6, tick.source_ms),
        )
