"""What an API key may do with orders: place, cancel its own, cancel a wallet's, beat (polymarket.md §2.5, §3, §4).

Pure but for `publish`, which is the venue's; time is an argument.
"""

from collections.abc import Callable

import msgspec

from clawswarm.sandbox.exchange.accounts import Account
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import DelayEnded, Event
from clawswarm.sandbox.exchange.matching import Exchange, Placed
from clawswarm.sandbox.identity.access import AccessList
from clawswarm.sandbox.identity.keys import ApiKey, KeyRing
from clawswarm.sandbox.identity.order_proof import OrderMessage, OrderProver

GONE = "Order not found or already canceled"
MATCHED = "Order already matched"
HELD = "order match delayed due to market conditions"
NOT_OF_WALLET = "order not found on the caller's deposit wallet"

_NS_PER_S = 1_000_000_000


class CancelReport(msgspec.Struct):
    """Answer of every cancel."""

    canceled: list[str]
    not_canceled: dict[str, str]


class Trading:
    """Orders of customers, from their signatures to the exchange."""

    def __init__(
        self, exchange: Exchange, keys: KeyRing, access: AccessList, prover: OrderProver, faucet_e6: int
    ) -> None:
        self._exchange = exchange
        self._keys = keys
        self._access = access
        self._prover = prover
        self._faucet_e6 = faucet_e6
        self._waiting: dict[str, Callable[[DelayEnded], None]] = {}

    def account(self, wallet: str) -> Account:
        """The account of a wallet, funded when it is first met."""
        return self._exchange.ledger.open_account(wallet, self._faucet_e6)

    # --- placing --------------------------------------------------------------------------------

    def place(self, key: ApiKey, message: OrderMessage, now_ns: int) -> Placed:
        """Check and enter one signed order."""
        market, _ = self._exchange.market_of(message.order.tokenId)
        proved = self._prover.prove(message, key, market.neg_risk, now_ns // _NS_PER_S)
        self._access.check_order(key, proved.wallet, proved.request.is_buy)
        return self._exchange.place(self.account(proved.wallet), proved.request, now_ns)

    def when_released(self, order_id: str, tell: Callable[[DelayEnded], None]) -> None:
        """Tell once what became of a held order."""
        self._waiting[order_id] = tell

    def release(self) -> None:
        """Tell whoever waits for a held order."""
        for ended in self._exchange.take_ended_holds():
            tell = self._waiting.pop(ended.order.id, None)
            if tell is not None:
                tell(ended)

    # --- cancelling -----------------------------------------------------------------------------

    def cancel_ids(self, key: ApiKey, order_ids: list[str], now_ns: int) -> tuple[CancelReport, list[Event]]:
        """Cancel orders of this key by id."""
        return self._cancel_each(order_ids, now_ns, GONE, lambda order: order.owner == key.key)

    def cancel_wallet_ids(
        self, key: ApiKey, order_ids: list[str], now_ns: int
    ) -> tuple[CancelReport, list[Event]]:
        """Cancel orders of the owner's deposit wallet by id, whatever key placed them."""
        self._access.check_owner(key)
        wallet = self._access.deposit_wallet(key.address)
        return self._cancel_each(
            order_ids, now_ns, NOT_OF_WALLET, lambda order: order.account.address == wallet
        )

    def cancel_where(
        self, key: ApiKey, now_ns: int, wanted: Callable[[Order], bool]
    ) -> tuple[CancelReport, list[Event]]:
        """Cancel every open order of this key that `wanted` picks."""
        report, events = CancelReport([], {}), list[Event]()
        for wallet in self._access.wallets(key):
            swept = self._exchange.cancel_where(
                wallet, now_ns, lambda order: order.owner == key.key and wanted(order)
            )
            report.canceled += swept.order_ids
            events += swept.events
        return report, events

    def cancel_wallet(self, key: ApiKey, now_ns: int) -> tuple[CancelReport, list[Event]]:
        """Cancel every open order of the owner's deposit wallet."""
        self._access.check_owner(key)
        swept = self._exchange.cancel_where(
            self._access.deposit_wallet(key.address), now_ns, lambda _order: True
        )
        return CancelReport(swept.order_ids, {}), swept.events

    def cancel_scope(self, scope: str, now_ns: int) -> list[Event]:
        """Cancel what a heartbeat kept alive."""
        return self._cancel_all(now_ns, lambda order: self._access.heartbeat_scope(order.owner) == scope)

    def cancel_signer(self, address: str, now_ns: int) -> list[Event]:
        """Cancel every open order that a signer placed, with whatever key."""
        return self._cancel_all(now_ns, lambda order: self._keys.address_of(order.owner) == address)

    def open_customer_orders(self) -> list[Order]:
        """Open orders of everyone who is no participant."""
        accounts = self._exchange.ledger.accounts
        return [
            order
            for address, orders in self._exchange.open_by_account.items()
            if not accounts[address].is_participant
            for order in orders.values()
        ]

    def _cancel_each(
        self, order_ids: list[str], now_ns: int, unknown: str, is_reached: Callable[[Order], bool]
    ) -> tuple[CancelReport, list[Event]]:
        report, events = CancelReport([], {}), list[Event]()
        for order_id in dict.fromkeys(order_ids):
            order = self._exchange.orders.get(order_id)
            if order is None or not is_reached(order):
                report.not_canceled[order_id] = unknown
            elif order.status == "LIVE":
                events += self._exchange.cancel(order, now_ns)
                report.canceled.append(order_id)
            else:
                reasons = {"MATCHED": MATCHED, "DELAYED": HELD}
                report.not_canceled[order_id] = reasons.get(order.status, unknown)
        return report, events

    def _cancel_all(self, now_ns: int, wanted: Callable[[Order], bool]) -> list[Event]:
        events: list[Event] = []
        for order in self.open_customer_orders():
            if wanted(order):
                events += self._exchange.cancel(order, now_ns)
        return events
