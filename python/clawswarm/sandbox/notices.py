"""Notifications of accounts: cancelled orders, fills, failed fills, resolved markets (polymarket.md §3.6).

In: exchange events; out: the records of GET /notifications, written when they are asked for.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from clawswarm.model.units import format_e6, format_price
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import Event, MarketResolved, OrderChanged, Trade, TradeUpdated
from clawswarm.sandbox.exchange.markets import ListedMarket

KEPT = 1_000
"""Notifications of one account; the oldest go first."""

CANCELLATION, FILL, RESOLVED, FILL_FAILED = 1, 2, 4, 8

_NS_PER_S = 1_000_000_000


class Notice(msgspec.Struct, frozen=True, eq=False):
    """One notification; what it is about is rendered later."""

    id: int
    kind: int
    owner: str
    at_ns: int
    order: Order | None = None
    trade: Trade | None = None
    matched_e6: int = 0
    price_e4: int = 0
    market: ListedMarket | None = None


class NoticeBoard:
    """Notifications by wallet address."""

    def __init__(self) -> None:
        self._by_account: dict[str, deque[Notice]] = {}
        self._holders: dict[str, dict[str, str]] = {}
        self._serial = 0

    def note(self, event: Event) -> None:
        """Remember what an event means to the accounts in it."""
        if isinstance(event, OrderChanged):
            order = event.order
            if order.account.is_participant:
                return
            self._holders.setdefault(order.market.condition_id, {})[order.account.address] = order.owner
            if event.kind == "CANCELLATION":
                self._add(order, CANCELLATION, event.at_ns, None, event.matched_e6, order.price_e4)
        elif isinstance(event, TradeUpdated) and event.status in ("MATCHED", "FAILED"):
            self._note_trade(event.trade, FILL if event.status == "MATCHED" else FILL_FAILED, event.at_ns)
        elif isinstance(event, MarketResolved):
            holders = self._holders.pop(event.market.condition_id, {})
            for address, owner in holders.items():
                self._serial += 1
                notice = Notice(self._serial, RESOLVED, owner, event.at_ns, market=event.market)
                self._of(address).append(notice)

    def of_account(self, address: str) -> Iterable[Notice]:
        """Notifications of a wallet, newest first."""
        return reversed(self._by_account.get(address, ()))

    def drop(self, address: str, ids: set[int]) -> None:
        """Forget these notifications."""
        kept = [notice for notice in self._by_account.get(address, ()) if notice.id not in ids]
        self._by_account[address] = deque(kept, maxlen=KEPT)

    def _note_trade(self, trade: Trade, kind: int, at_ns: int) -> None:
        self._add(trade.taker, kind, at_ns, trade, trade.size_e6, trade.price_e4)
        for fill in trade.makers:
            self._add(fill.order, kind, at_ns, trade, fill.size_e6, fill.price_e4)

    def _add(
        self, order: Order, kind: int, at_ns: int, trade: Trade | None, matched_e6: int, price_e4: int
    ) -> None:
        if order.account.is_participant:
            return
        self._serial += 1
        self._of(order.account.address).append(
            Notice(self._serial, kind, order.owner, at_ns, order, trade, matched_e6, price_e4)
        )

    def _of(self, address: str) -> deque[Notice]:
        return self._by_account.setdefault(address, deque(maxlen=KEPT))


def order_payload(notice: Notice, order: Order) -> dict[str, object]:
    """Payload of a cancellation, a fill or a failed fill."""
    trade, market = notice.trade, order.market
    return {
        "asset_id": order.token,
        "market": market.condition_id,
        "order_id": order.id,
        "side": order.side,
        "type": order.order_type,
        "price": format_price(notice.price_e4),
        "original_size": format_e6(order.size_e6),
        "matched_size": format_e6(notice.matched_e6),
        "remaining_size": format_e6(order.size_e6 - order.matched_e6),
        "outcome": market.outcome(order.is_yes),
        "outcome_index": 0 if order.is_yes else 1,
        "transaction_hash": trade.tx_hash if trade is not None and trade.status != "MATCHED" else "",
        "trade_id": "" if trade is None else trade.id,
        "question": market.question,
        "market_slug": market.slug,
        "icon": "",
        "image": "",
        "eventSlug": market.slug,
        "seriesSlug": "",
    }


def notice_record(notice: Notice, payload: dict[str, object]) -> dict[str, object]:
    """One entry of GET /notifications."""
    return {
        "id": notice.id,
        "owner": notice.owner,
        "timestamp": notice.at_ns // _NS_PER_S,
        "type": notice.kind,
        "payload": payload,
    }
