"""The simulated venue as one object: exchange, keys, heartbeats, faults and streams behind one set of verbs.

Nothing here awaits. Each verb takes the time, changes the exchange and publishes what happened; `server.py`
and the participants are its only callers.
"""

from collections.abc import Callable, Mapping

import msgspec

from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import Event, LevelChanged, Trade
from clawswarm.sandbox.exchange.matching import Exchange, Placed, SettlementDelay
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.faults import FaultSwitchboard
from clawswarm.sandbox.identity.auth import ApiKey, KeyRing, OrderMessage, check_order
from clawswarm.sandbox.identity.heartbeats import HeartbeatRegister
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.streams.hubs import MarketHub, PriceHub, UserHub

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_HOUSE_GRANT_E6 = 1_000_000_000
_ORDER_ID_LENGTH = 66

_decode_order = msgspec.json.Decoder(OrderMessage).decode


class CancelReport(msgspec.Struct):
    """Answer of every cancel."""

    canceled: list[str]
    not_canceled: dict[str, str]


class Venue:
    """All state of the simulated Polymarket."""

    def __init__(self, settings: SandboxSettings) -> None:
        delay = SettlementDelay(
            mined_ns=settings.mined_after_ms * _NS_PER_MS,
            confirmed_ns=settings.confirmed_after_ms * _NS_PER_MS,
        )
        self.settings = settings
        self.exchange = Exchange(settings.seed, delay)
        self.exchange.ledger.fund_house(_HOUSE_GRANT_E6)
        self.keys = KeyRing(settings.seed)
        self.heartbeats = HeartbeatRegister(
            round(settings.heartbeat_timeout_s * _NS_PER_S),
            round(settings.heartbeat_sweep_s * _NS_PER_S),
            settings.seed,
        )
        self.faults = FaultSwitchboard()
        self.market_hub = MarketHub()
        self.user_hub = UserHub()
        self.price_hub = PriceHub()
        self.on_trade: Callable[[Trade], None] | None = None

    def publish(self, events: list[Event]) -> None:
        """Tell every stream what happened."""
        for event in events:
            self.market_hub.publish(event)
            self.user_hub.publish(event)
            if self.on_trade is not None and isinstance(event, LevelChanged) and event.trade is not None:
                self.on_trade(event.trade)

    def advance(self, now_ns: int) -> None:
        """Settle, expire, and cancel the orders of keys whose heartbeat stopped."""
        self.publish(self.exchange.advance(now_ns))
        for key in self.heartbeats.sweep(now_ns):
            self._cancel_key(key, now_ns)

    def next_due_ns(self) -> int | None:
        """When `advance` has something to do."""
        dues = [
            due for due in (self.exchange.next_due_ns(), self.heartbeats.next_sweep_ns()) if due is not None
        ]
        return min(dues, default=None)

    # --- accounts -------------------------------------------------------------------------------

    def create_key(self, headers: Mapping[str, str], now_ns: int) -> ApiKey:
        """Issue a wallet's API key; the wallet is funded with its first."""
        key = self.keys.create(headers, now_ns // _NS_PER_S)
        self.exchange.ledger.open_account(key.address, self.settings.faucet_e6)
        return key

    # --- orders ---------------------------------------------------------------------------------

    def place(self, key: ApiKey, body: bytes | msgspec.Raw, now_ns: int) -> Placed:
        """Check and enter one signed order."""
        if self.faults.is_geoblocked:
            raise refusals.region_restricted()
        try:
            message = _decode_order(body)
        except (msgspec.MsgspecError, RecursionError) as fault:
            raise refusals.invalid_order_payload() from fault
        market, _ = self.exchange.market_of(message.order.tokenId)
        request = check_order(message, key, market.neg_risk)
        placed = self.exchange.place(self.exchange.ledger.accounts[key.address], request, now_ns)
        self.publish(placed.events)
        return placed

    def cancel_ids(self, key: ApiKey, order_ids: list[str], now_ns: int) -> CancelReport:
        """Cancel orders of this key by id."""
        report = CancelReport([], {})
        for order_id in dict.fromkeys(order_ids):
            order = self.exchange.orders.get(order_id)
            if order is None or order.owner != key.key:
                report.not_canceled[order_id] = "Order not found or already canceled"
            elif order.status == "LIVE":
                self.publish(self.exchange.cancel(order, now_ns))
                report.canceled.append(order_id)
            elif order.status == "MATCHED":
                report.not_canceled[order_id] = "Order already matched"
            else:
                report.not_canceled[order_id] = "Order not found or already canceled"
        return report

    def cancel_where(self, key: ApiKey, now_ns: int, wanted: Callable[[Order], bool]) -> CancelReport:
        """Cancel every open order of this key that `wanted` picks."""
        cancelled = self.exchange.cancel_where(
            key.address, now_ns, lambda order: order.owner == key.key and wanted(order)
        )
        self.publish(cancelled.events)
        return CancelReport(cancelled.order_ids, {})

    def open_customer_orders(self) -> list[Order]:
        """Open orders of everyone who is no participant."""
        accounts = self.exchange.ledger.accounts
        return [
            order
            for address, orders in self.exchange.open_by_account.items()
            if not accounts[address].is_participant
            for order in orders.values()
        ]

    def _cancel_key(self, key: str, now_ns: int) -> None:
        for order in self.open_customer_orders():
            if order.owner == key:
                self.publish(self.exchange.cancel(order, now_ns))


def check_order_id(text: object) -> str:
    """An order id as the venue accepts it in a cancel."""
    if not isinstance(text, str) or len(text) != _ORDER_ID_LENGTH or not text.startswith("0x"):
        raise refusals.invalid_order_id()
    return text.lower()


def refusal_of_leg(refusal: VenueRefusal) -> dict[str, object]:
    """A rejected leg of a batch: `success` true, an error text and no id (§3.2, the live variant)."""
    return {
        "success": True,
        "errorMsg": refusal.text,
        "orderID": "",
        "status": "",
        "makingAmount": "",
        "takingAmount": "",
    }
