"""A running hash over everything the exchange reported: equal seeds and inputs give equal hashes.

Each event is one line of its facts at its own instant; SHA-256 over all lines in order. Pure.
"""

import hashlib

from clawswarm.sandbox.exchange.events import (
    AcceptanceChanged,
    Event,
    LevelChanged,
    OrderChanged,
    TickChanged,
    TradeUpdated,
)


class EventJournal:
    """Count and hash of the events so far."""

    def __init__(self) -> None:
        self.count = 0
        self._sha256 = hashlib.sha256()

    def add(self, event: Event) -> None:
        """Note one event."""
        self.count += 1
        self._sha256.update(event_line(event).encode())

    def digest(self) -> str:
        """Hash of all events so far, hexadecimal."""
        return self._sha256.hexdigest()


def event_line(event: Event) -> str:
    """The facts of an event as one line."""
    if isinstance(event, LevelChanged):
        trade_id = event.trade.id if event.trade is not None else "-"
        return (
            f"level {event.at_ns} {event.market.condition_id} {event.is_bid:d} {event.price_e4} "
            f"{event.size_e6} {event.origin_is_yes:d} {trade_id}\n"
        )
    if isinstance(event, OrderChanged):
        order = event.order
        return (
            f"order {event.at_ns} {event.kind} {order.id} {order.account.address} {order.token} {order.side} "
            f"{order.price_e4} {order.size_e6} {event.matched_e6} {event.status}\n"
        )
    if isinstance(event, TradeUpdated):
        trade = event.trade
        makers = " ".join(f"{fill.order.id}:{fill.size_e6}" for fill in trade.makers)
        return (
            f"trade {event.at_ns} {trade.id} {event.status} {trade.taker.id} {trade.price_e4} "
            f"{trade.size_e6} {trade.fee_e6} {makers}\n"
        )
    if isinstance(event, TickChanged):
        return f"tick {event.at_ns} {event.market.condition_id} {event.old_e4} {event.new_e4}\n"
    if isinstance(event, AcceptanceChanged):
        return f"accepts {event.at_ns} {event.market.condition_id} {event.accepts_orders:d}\n"
    return f"{type(event).__name__} {event.at_ns} {event.market.condition_id} {event.market.winner}\n"
