"""What the venue remembers of orders and trades for reads and for the duplicate check; old ones are forgotten."""

from collections import deque

from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import Trade

REMEMBERED = 200_000
"""Finished orders, and settled trades, kept."""


class Records:
    """Orders and trades of customers by id and by wallet; participants leave no record."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.orders: dict[str, Order] = {}
        self.orders_by_account: dict[str, dict[str, Order]] = {}
        self.trades: dict[str, Trade] = {}
        self.trades_by_account: dict[str, dict[str, Trade]] = {}
        self._remembered = remembered
        self._finished: deque[str] = deque()
        self._settled: deque[str] = deque()

    def keep_order(self, order: Order) -> None:
        """Remember an accepted order."""
        if not order.account.is_participant:
            self.orders[order.id] = order
            self.orders_by_account.setdefault(order.account.address, {})[order.id] = order

    def retire_order(self, order: Order) -> None:
        """An order is over: it may be forgotten after many others."""
        if order.account.is_participant:
            return
        self._finished.append(order.id)
        if len(self._finished) > self._remembered:
            old = self.orders.pop(self._finished.popleft())
            del self.orders_by_account[old.account.address][old.id]

    def keep_trade(self, trade: Trade) -> None:
        """Remember a trade, unless only participants took part."""
        for address in customers(trade):
            self.trades[trade.id] = trade
            self.trades_by_account.setdefault(address, {})[trade.id] = trade

    def retire_trade(self, trade: Trade) -> None:
        """A trade is settled: it may be forgotten after many others."""
        if trade.id not in self.trades:
            return
        self._settled.append(trade.id)
        if len(self._settled) > self._remembered:
            old = self.trades.pop(self._settled.popleft())
            for address in customers(old):
                del self.trades_by_account[address][old.id]


def customers(trade: Trade) -> list[str]:
    """Addresses of everyone in a trade who is no participant, the taker first."""
    accounts = [trade.taker.account] + [fill.order.account for fill in trade.makers]
    return list(dict.fromkeys(a.address for a in accounts if not a.is_participant))
