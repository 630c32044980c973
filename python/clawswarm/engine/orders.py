"""Own orders and inventory of one account. Pure; idempotent by order id and by (trade id, order id)."""

from collections.abc import Iterable

import msgspec

from clawswarm.model.instruments import Market, Side, mirror_price_e4
from clawswarm.model.messages import Inventory


class OwnOrder(msgspec.Struct):
    """One order of ours that is or may be open. `side` and `price_e4` are in the YES frame.

    `is_unknown` from before it is sent until the venue has answered; such an order counts as open.
    """

    order_id: str
    ref: int
    owner: str
    market: str
    side: Side
    price_e4: int
    remaining_e6: int
    token_id: str
    token_side: Side
    token_price_e4: int
    is_unknown: bool = False


class TokenChoice(msgspec.Struct, frozen=True):
    """The outcome token on which a YES-frame order is best placed."""

    token_id: str
    side: Side
    price_e4: int


class OwnOrders:
    """Every order of the account that is or may be open."""

    def __init__(self) -> None:
        self._orders: dict[str, OwnOrder] = {}

    def add(self, order: OwnOrder) -> None:
        """Remember an order, before it is sent."""
        self._orders[order.order_id] = order

    def get(self, order_id: str) -> OwnOrder | None:
        """One order, None once it is gone."""
        return self._orders.get(order_id)

    def remove(self, order_id: str) -> OwnOrder | None:
        """Forget an order that is certainly gone."""
        return self._orders.pop(order_id, None)

    def select(self, owner: str | None = None, market: str | None = None) -> list[OwnOrder]:
        """Orders of an owner and/or a market."""
        return [
            order
            for order in self._orders.values()
            if (owner is None or order.owner == owner) and (market is None or order.market == market)
        ]

    def __len__(self) -> int:
        return len(self._orders)


class Inventories:
    """Outcome tokens held, by market, with the trades that made them."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, int]] = {}
        self._seen: set[tuple[str, str]] = set()

    def of(self, market: str) -> Inventory:
        """What is held in a market."""
        yes_e6, no_e6 = self._held.get(market, (0, 0))
        return Inventory(market=market, yes_e6=yes_e6, no_e6=no_e6)

    def restore(self, trade_id: str, order_id: str, inventory: Inventory) -> None:
        """Take over what an earlier life of this process had recorded."""
        self._seen.add((trade_id, order_id))
        self._held[inventory.market] = (inventory.yes_e6, inventory.no_e6)

    def apply(
        self, trade_id: str, order_id: str, market: Market, token_id: str, token_side: Side, size_e6: int
    ) -> Inventory | None:
        """Book one fill; None when it was booked before."""
        if (trade_id, order_id) in self._seen:
            return None
        self._seen.add((trade_id, order_id))
        yes_e6, no_e6 = self._held.get(market.condition_id, (0, 0))
        change = token_side.sign * size_e6
        if token_id == market.yes_token:
            yes_e6 += change
        else:
            no_e6 += change
        self._held[market.condition_id] = (yes_e6, no_e6)
        return self.of(market.condition_id)


def choose_token(
    market: Market, side: Side, price_e4: int, size_e6: int, held: Inventory, open_orders: Iterable[OwnOrder]
) -> TokenChoice:
    """Sell a token that is held free of other orders; without one, buy the complement instead."""
    reserved = {market.yes_token: 0, market.no_token: 0}
    for order in open_orders:
        if order.token_side is Side.SELL:
            reserved[order.token_id] += order.remaining_e6
    mirror = mirror_price_e4(price_e4)
    if side is Side.SELL:
        if held.yes_e6 - reserved[market.yes_token] >= size_e6:
            return TokenChoice(market.yes_token, Side.SELL, price_e4)
        return TokenChoice(market.no_token, Side.BUY, mirror)
    if held.no_e6 - reserved[market.no_token] >= size_e6:
        return TokenChoice(market.no_token, Side.SELL, mirror)
    return TokenChoice(market.yes_token, Side.BUY, price_e4)


def yes_frame(market: Market, token_id: str, token_side: Side, token_price_e4: int) -> tuple[Side, int]:
    """Side and price in the YES frame of an order on either token."""
    if token_id == market.yes_token:
        return token_side, token_price_e4
    return token_side.opposite, mirror_price_e4(token_price_e4)
