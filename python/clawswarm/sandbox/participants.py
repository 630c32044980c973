"""Participants that make a recording happen on the exchange; pure, they call it in-process.

`ReplayMaker` keeps one market's public book equal to the recorded one:
- an added quantity is a new order at the back of its level, behind whoever stands there;
- a removed quantity comes off its newest orders first, so nobody's queue position improves for free;
- within one event it removes before it adds, and never trades with itself;
- an aggressive recorded level simply trades with other people's resting orders;
- what others took from it comes back with the next recorded event;
- while the market is paused nothing moves, the first event after it catches up.
With no other trader the book's aggregates equal the recording's after every event.

`Taker` sends one FAK order for each recorded or synthetic arrival.
"""

import hashlib
from collections.abc import Iterable
from uuid import UUID

from clawswarm.model.units import PRICE_ONE_E4
from clawswarm.sandbox.exchange.accounts import Account
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import Event, LevelChanged, Trade
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.matching import Exchange

FUNDS_E6 = 10**18

LevelKey = tuple[bool, int]
"""(is_bid, YES-frame price in 1e-4)."""


def participant_account(exchange: Exchange, name: str) -> Account:
    """The well-funded account of a kind of participant; the same address in every run."""
    address = "0x" + hashlib.sha256(f"participant:{name}".encode()).hexdigest()[:40]
    return exchange.ledger.open_account(address, FUNDS_E6, is_participant=True)


class _OrderMint:
    """Makes a participant's orders; ids are a hash of a serial number."""

    def __init__(self, market: ListedMarket, account: Account, name: str) -> None:
        self._market = market
        self._account = account
        self._name = f"{name}:{market.condition_id}"
        self._owner = str(UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))
        self._serial = 0

    def order(self, key: LevelKey, size_e6: int, order_type: str, now_ns: int, is_closing: bool) -> Order:
        """A YES-frame order: it buys the outcome it wants, or sells the other when it closes a position."""
        is_bid, price = key
        is_yes = is_bid != is_closing
        self._serial += 1
        digest = hashlib.sha256(f"{self._name}:{self._serial}".encode()).hexdigest()
        return Order(
            id=f"0x{digest}",
            account=self._account,
            owner=self._owner,
            market=self._market,
            is_yes=is_yes,
            is_buy=not is_closing,
            price_e4=price if is_yes else PRICE_ONE_E4 - price,
            size_e6=size_e6,
            order_type=order_type,
            created_ns=now_ns,
        )


class ReplayMaker:
    """Follows the recorded book of one market."""

    def __init__(self, exchange: Exchange, market: ListedMarket, account: Account) -> None:
        self._exchange = exchange
        self._market = market
        self._account = account
        self._mint = _OrderMint(market, account, "replay")
        self._recorded: dict[LevelKey, int] = {}
        self._own: dict[LevelKey, list[Order]] = {}
        # In order of appearance: the order of a set would decide who trades first.
        self._short: dict[LevelKey, None] = {}

    def follow(self, changes: Iterable[tuple[int, int, int]], now_ns: int) -> list[Event]:
        """Apply recorded aggregates (side 0 bid / 1 ask, price, size)."""
        if not self._market.is_open:
            return []
        keys = list(self._short)
        for side, price, size in changes:
            key = (side == 0, price)
            self._recorded[key] = size
            keys.append(key)
        if not self._market.accepts_orders:
            self._short.update(dict.fromkeys(keys))
            return []
        self._short.clear()
        events: list[Event] = []
        missing: dict[LevelKey, int] = {}
        for key in dict.fromkeys(keys):
            surplus = self._own_e6(key) - self._recorded.get(key, 0)
            if surplus > 0:
                events += self._remove(key, surplus, now_ns)
            elif surplus < 0:
                missing[key] = -surplus
        for key, size in missing.items():
            events += self._add(key, size, now_ns)
        return events

    def note_trade(self, trade: Trade) -> None:
        """Remember levels that someone took from; the next event restores them."""
        for fill in trade.makers:
            if fill.order.account is self._account:
                self._short[fill.order.is_bid, fill.order.yes_price_e4] = None

    def _own_e6(self, key: LevelKey) -> int:
        orders = self._own.get(key)
        if not orders:
            return 0
        if any(order.remaining_e6 == 0 for order in orders):
            orders[:] = [order for order in orders if order.remaining_e6]
        return sum(order.remaining_e6 for order in orders)

    def _remove(self, key: LevelKey, size_e6: int, now_ns: int) -> list[Event]:
        """One recorded change is one public change, however many orders it comes off."""
        orders = self._own[key]
        changed: list[Event] = []
        while size_e6:
            newest = orders[-1]
            part = min(size_e6, newest.remaining_e6)
            events = self._exchange.reduce_participant(newest, part, now_ns)
            changed = [event for event in events if isinstance(event, LevelChanged)]
            size_e6 -= part
            if newest.remaining_e6 == 0:
                orders.pop()
        return changed

    def _add(self, key: LevelKey, size_e6: int, now_ns: int) -> list[Event]:
        if self._would_meet_itself(key):
            self._short[key] = None
            return []
        order = self._mint.order(key, size_e6, "GTC", now_ns, is_closing=False)
        events = self._exchange.enter_participant(order, now_ns)
        if order.remaining_e6:
            self._own.setdefault(key, []).append(order)
        if order.remaining_e6 < size_e6:
            self._short[key] = None
        return events

    def _would_meet_itself(self, key: LevelKey) -> bool:
        is_bid, price = key
        opposite = self._exchange.books[self._market.condition_id].side(not is_bid)
        for level in opposite.best_first():
            if not opposite.crosses(level, price):
                return False
            if any(order.account is self._account for order in level.orders.values()):
                return True
        return False


class Taker:
    """Sends recorded or synthetic arrivals as FAK orders; no two takers of a market share a name."""

    def __init__(
        self, exchange: Exchange, market: ListedMarket, account: Account, name: str = "taker"
    ) -> None:
        self._exchange = exchange
        self._market = market
        self._account = account
        self._mint = _OrderMint(market, account, name)

    def take(self, side: str, size_e6: int, limit_e4: int, now_ns: int) -> list[Event]:
        """Trade up to a YES-frame limit at once, out of inventory where there is enough."""
        if not self._market.is_open or not self._market.accepts_orders:
            return []
        is_bid = side == "BUY"
        sold_token = self._market.no_token if is_bid else self._market.yes_token
        is_closing = self._account.free_tokens_e6(sold_token) >= size_e6
        order = self._mint.order((is_bid, limit_e4), size_e6, "FAK", now_ns, is_closing)
        return self._exchange.enter_participant(order, now_ns)
