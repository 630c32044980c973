"""What the engine allows, in the lab: capital, position and the venue's rate budget. Pure.

The worst case counts, as in `rust/core/src/engine/gate.rs`: every cancel fails and every order fills. Orders and
cancels are paid for in the same limits that the engine keeps (`_core.Limits`).
"""

from collections.abc import Collection

import msgspec

from clawswarm._core import Limits
from clawswarm.model.instruments import Side
from clawswarm.model.messages import Mandate, Plan
from clawswarm.model.units import PRICE_ONE_E4, notional_e6

PLACE_REQUESTS = (3_500, 36_000)


class OpenOrder(msgspec.Struct):
    """One order of ours that may still trade."""

    ref: int
    side: Side
    price_e4: int
    remaining_e6: int


class Gate:
    """Refuses what a plan may not do; its cancels go out even when its places may not, as in the engine."""

    def __init__(self, mandate: Mandate, tier: str) -> None:
        self._mandate = mandate
        self._limits = Limits(tier, PLACE_REQUESTS, 0, 0)

    def pay_cancels(self, orders: int, now_ns: int) -> str | None:
        """Pay for cancelling so many orders; why they may not be cancelled now."""
        return None if self._limits.cancel(orders, now_ns) is None else "cancel budget"

    def pay_places(
        self, plan: Plan, open_orders: Collection[OpenOrder], net_e6: int, now_ns: int
    ) -> str | None:
        """Check and pay for the places of a plan; why they may not be sent."""
        adding = [OpenOrder(place.ref, place.side, place.price_e4, place.size_e6) for place in plan.places]
        orders = [*open_orders, *adding]
        if sum(stake_e6(order) for order in orders) > self._mandate.capital_e6:
            return "capital"
        for side in {order.side for order in adding}:
            worst_e6 = side.sign * net_e6 + sum(o.remaining_e6 for o in orders if o.side is side)
            if worst_e6 > self._mandate.max_position_e6:
                return "position"
        if self._limits.place(len(adding), len(open_orders), now_ns) is not None:
            return "order budget"
        return None


def stake_e6(order: OpenOrder) -> int:
    """Money an order puts at stake; a sale counts as buying the complement."""
    price_e4 = order.price_e4 if order.side is Side.BUY else PRICE_ONE_E4 - order.price_e4
    return notional_e6(price_e4, order.remaining_e6)
