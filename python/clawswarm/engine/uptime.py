"""How long mandated markets carried quotes on both sides. Pure."""

from collections.abc import Iterable

from clawswarm.engine.orders import OwnOrders
from clawswarm.kernel.clock import NS_PER_S
from clawswarm.model.instruments import Side


class QuotingUptime:
    """Sums market-seconds; sample it on every tick."""

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self.mandated_s = 0.0
        self.two_sided_s = 0.0

    def sample(self, markets: Iterable[str], orders: OwnOrders, now_ns: int) -> None:
        """Add the time since the last sample for every market, as its orders stand now."""
        elapsed_s = 0.0 if self._last_ns is None else (now_ns - self._last_ns) / NS_PER_S
        self._last_ns = now_ns
        for market in markets:
            self.mandated_s += elapsed_s
            sides = {order.side for order in orders.select(market=market) if not order.is_unknown}
            if sides == set(Side):
                self.two_sided_s += elapsed_s
