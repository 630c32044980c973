"""The gate: which quoter may trade which market, until when, and how much. Pure.

The table is written by the orchestrator's Allocations alone; a lower term is refused, so an old orchestrator
that wakes up is powerless. A mandate lives `life_ns` from the allocation's own send time.
"""

import msgspec

from clawswarm.engine.orders import OwnOrder
from clawswarm.model.instruments import Side
from clawswarm.model.messages import Allocation, Inventory, Mandate, Plan
from clawswarm.model.units import notional_e6


class Revoked(msgspec.Struct, frozen=True):
    """A mandate that ended: the quoter's orders in this market must go."""

    market: str
    quoter: str
    cause: str


class Gate:
    """The mandate table of one engine."""

    def __init__(self) -> None:
        self._term = 0
        self._sent_ns = 0
        self._expires_ns = 0
        self._table: dict[str, Mandate] = {}

    def install(self, allocation: Allocation) -> list[Revoked]:
        """Take a newer table; return the mandates it ends. An older table changes nothing."""
        if (allocation.term, allocation.sent_ns) <= (self._term, self._sent_ns):
            return []
        self._term, self._sent_ns = allocation.term, allocation.sent_ns
        self._expires_ns = allocation.sent_ns + allocation.life_ns
        new = {mandate.market.condition_id: mandate for mandate in allocation.mandates}
        revoked = [
            Revoked(market, old.quoter, "the mandate moved or was withdrawn")
            for market, old in self._table.items()
            if (now := new.get(market)) is None or (now.quoter, now.epoch) != (old.quoter, old.epoch)
        ]
        self._table = new
        return revoked

    def expire(self, now_ns: int) -> list[Revoked]:
        """End every mandate once the orchestrator has been silent too long."""
        if now_ns < self._expires_ns or not self._table:
            return []
        revoked = [Revoked(market, old.quoter, "the mandate ran out") for market, old in self._table.items()]
        self._table = {}
        return revoked

    def mandate(self, market: str) -> Mandate | None:
        """The mandate in force in a market."""
        return self._table.get(market)

    @property
    def mandates(self) -> list[Mandate]:
        """Every mandate in force."""
        return list(self._table.values())

    def refusal(
        self, plan: Plan, quoter: str, open_orders: list[OwnOrder], inventory: Inventory
    ) -> str | None:
        """Why a plan may not pass, naming the limit; None when it may.

        The worst case counts: every cancel of the plan fails and every order fills. While an order of a former
        owner may still be open nothing is placed: at no instant do two quoters trade one market.
        """
        mandate = self._table.get(plan.market)
        if mandate is None or mandate.quoter != quoter:
            return "mandate: this market is not yours"
        if (plan.term, plan.epoch) != (self._term, mandate.epoch):
            return f"epoch: the mandate is of term {self._term}, epoch {mandate.epoch}"
        if plan.places and any(order.owner != quoter for order in open_orders):
            return "owner: orders of this market's former quoter are still being withdrawn"
        tick = mandate.market.tick_e4
        for place in plan.places:
            if not tick <= place.price_e4 <= 10_000 - tick or place.price_e4 % tick:
                return f"price: {place.price_e4} is outside the tick grid"
            if place.size_e6 < mandate.market.min_size_e6:
                return f"size: {place.size_e6} is below the market's minimum"
        capital_e6 = sum(notional_e6(order.token_price_e4, order.remaining_e6) for order in open_orders)
        capital_e6 += sum(
            notional_e6(place.price_e4 if place.side is Side.BUY else 10_000 - place.price_e4, place.size_e6)
            for place in plan.places
        )
        if plan.places and capital_e6 > mandate.capital_e6:
            return f"capital: {capital_e6} would be at work, {mandate.capital_e6} is allowed"
        for side in Side:
            adding = [place.size_e6 for place in plan.places if place.side is side]
            if not adding:
                continue
            resting = sum(order.remaining_e6 for order in open_orders if order.side is side)
            worst = side.sign * inventory.net_e6 + resting + sum(adding)
            if worst > mandate.max_position_e6:
                return f"position: {worst} could be reached, {mandate.max_position_e6} is allowed"
        return None
