"""The books with the orders that stand on them: who rests, what that reserves, and how they leave."""

from clawswarm.model.errors import InvariantBroken
from clawswarm.sandbox.exchange.accounts import Account, Ledger, lock_e6
from clawswarm.sandbox.exchange.book import Order, UnifiedBook
from clawswarm.sandbox.exchange.events import Event, LevelChanged, OrderChanged
from clawswarm.sandbox.exchange.records import Records


class Desk:
    """Resting orders of all markets. Reservations are exact: what the remainder of each order needs."""

    def __init__(self, ledger: Ledger, records: Records) -> None:
        self.ledger = ledger
        self.records = records
        self.books: dict[str, UnifiedBook] = {}
        self.open_by_account: dict[str, dict[str, Order]] = {}

    def book(self, order: Order) -> UnifiedBook:
        """The book an order belongs to."""
        return self.books[order.market.condition_id]

    def open_book(self, condition_id: str) -> None:
        """Start an empty book."""
        self.books[condition_id] = UnifiedBook()

    def rest(self, order: Order, now_ns: int) -> LevelChanged:
        """Put the remainder on the book."""
        level = self.book(order).side(order.is_bid).add(order)
        self.lock(order)
        self.open_by_account.setdefault(order.account.address, {})[order.id] = order
        return level_changed(order, level.total_e6, now_ns)

    def cancel(self, order: Order, now_ns: int, status: str = "CANCELED") -> list[Event]:
        """Withdraw an open order."""
        size = self.book(order).side(order.is_bid).reduce(order, order.remaining_e6)
        self.lock(order)
        if order.locked_e6:
            raise InvariantBroken(f"order {order.id} is gone and still reserves {order.locked_e6}")
        self.finish(order, status)
        order.market.updated_ns = now_ns
        changed = OrderChanged("CANCELLATION", order, order.matched_e6, status, now_ns)
        return [level_changed(order, size, now_ns), changed]

    def reduce(self, order: Order, size_e6: int, now_ns: int) -> list[Event]:
        """Shrink a resting order in place: it keeps its queue position."""
        if size_e6 >= order.remaining_e6:
            return self.cancel(order, now_ns)
        size = self.book(order).side(order.is_bid).reduce(order, size_e6)
        order.size_e6 -= size_e6
        self.lock(order)
        order.market.updated_ns = now_ns
        return [level_changed(order, size, now_ns)]

    def finish(self, order: Order, status: str) -> None:
        """The order is over."""
        order.status = status
        self.open_by_account.get(order.account.address, {}).pop(order.id, None)
        self.records.retire_order(order)

    def lock(self, order: Order) -> None:
        """Make the reservation of an order what its remainder needs on the book."""
        need = lock_e6(order.price_e4, order.remaining_e6) if order.is_buy else order.remaining_e6
        self.claim(order, need)

    def claim(self, order: Order, need_e6: int) -> None:
        """Make the reservation of an order this much."""
        if need_e6 != order.locked_e6:
            order.account.reserve(order.spends, need_e6 - order.locked_e6)
            order.locked_e6 = need_e6

    def cancel_unfunded(self, account: Account, now_ns: int) -> list[Event]:
        """Cancel newest orders first until what is left is covered (CANCELED_NOT_ENOUGH_BALANCE)."""
        events: list[Event] = []
        if account.is_participant:
            return events
        for order in reversed(list(self.open_by_account.get(account.address, {}).values())):
            free = account.free_e6 if order.is_buy else account.free_tokens_e6(order.token)
            if free < 0:
                events += self.cancel(order, now_ns, "CANCELED_NOT_ENOUGH_BALANCE")
        return events


def level_changed(order: Order, size_e6: int, now_ns: int) -> LevelChanged:
    """The new aggregate of an order's level."""
    return LevelChanged(
        market=order.market,
        is_bid=order.is_bid,
        price_e4=order.yes_price_e4,
        size_e6=size_e6,
        origin_is_yes=order.is_yes,
        at_ns=now_ns,
    )
