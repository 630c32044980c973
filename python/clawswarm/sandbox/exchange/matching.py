"""The matching exchange: a pure state machine. Time is an argument, identities come from a seed.

Every command takes `now_ns` (venue time, unix nanoseconds), either raises VenueRefusal and changes nothing or
returns what happened as events in order. `advance` moves settlement and expiry up to a time.
"""

import hashlib
import heapq
from collections import deque
from collections.abc import Callable, Iterable
from uuid import UUID

import msgspec

from clawswarm.model.errors import InvariantBroken
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.accounts import Account, Ledger, lock_e6, taker_fee_e6
from clawswarm.sandbox.exchange.admission import (
    GTD_EARLY_S,
    OrderRequest,
    check_funds,
    check_market_rules,
    check_type,
    price_and_size,
    takeable,
    wanted_e6,
)
from clawswarm.sandbox.exchange.book import Order, UnifiedBook
from clawswarm.sandbox.exchange.events import (
    Event,
    LevelChanged,
    MakerFill,
    MarketClosed,
    MarketListed,
    OrderChanged,
    TickChanged,
    Trade,
    TradeUpdated,
)
from clawswarm.sandbox.exchange.markets import ListedMarket

_NS_PER_S = 1_000_000_000
# Finished orders and trades that reads and the duplicate check still know.
_REMEMBERED = 200_000


class SettlementDelay(msgspec.Struct, frozen=True):
    """How long after MATCHED a trade is MINED and CONFIRMED."""

    mined_ns: int
    confirmed_ns: int


class Placed(msgspec.Struct, frozen=True, eq=False):
    """An accepted order, its trades and the events; money in the order's own terms, fee not included."""

    order: Order
    trades: tuple[Trade, ...]
    money_e6: int
    events: list[Event]

    @property
    def status(self) -> str:
        """The venue's word in the answer to POST /order."""
        return "matched" if self.trades else "live"


class Cancelled(msgspec.Struct, frozen=True, eq=False):
    """Ids of the orders that a sweeping cancel withdrew, and the events."""

    order_ids: list[str]
    events: list[Event]


class Exchange:
    """Markets, books, orders and trades of the simulated venue."""

    def __init__(self, seed: int, delay: SettlementDelay) -> None:
        self.ledger = Ledger()
        self.markets: dict[str, ListedMarket] = {}
        self.books: dict[str, UnifiedBook] = {}
        self.tokens: dict[str, tuple[ListedMarket, bool]] = {}
        self.orders: dict[str, Order] = {}
        self.trades: dict[str, Trade] = {}
        self.trades_by_account: dict[str, dict[str, Trade]] = {}
        self.open_by_account: dict[str, dict[str, Order]] = {}
        self._delay = delay
        self._seed = seed
        self._serial = 0
        self._settling: list[tuple[int, int, Trade, str]] = []
        self._expiring: list[tuple[int, int, Order]] = []
        self._finished: deque[str] = deque()
        self._confirmed: deque[str] = deque()

    # --- markets --------------------------------------------------------------------------------

    def list_market(self, market: ListedMarket, now_ns: int) -> list[Event]:
        """Open a market."""
        market.updated_ns = now_ns
        self.markets[market.condition_id] = market
        self.books[market.condition_id] = UnifiedBook()
        self.tokens[market.yes_token] = (market, True)
        self.tokens[market.no_token] = (market, False)
        return [MarketListed(market=market, at_ns=now_ns)]

    def change_tick(self, market: ListedMarket, tick_e4: int, now_ns: int) -> list[Event]:
        """Trade in other price steps; resting orders keep their prices."""
        old, market.tick_e4 = market.tick_e4, tick_e4
        if old == tick_e4:
            return []
        return [TickChanged(market=market, old_e4=old, new_e4=tick_e4, at_ns=now_ns)]

    def close_market(self, market: ListedMarket, winner: str | None, now_ns: int) -> list[Event]:
        """Stop trading: every order is cancelled, new ones are refused."""
        if not market.is_open:
            return []
        market.is_open, market.winner = False, winner
        events: list[Event] = []
        for side in (self.books[market.condition_id].bids, self.books[market.condition_id].asks):
            for level in list(side.best_first()):
                for order in list(level.orders.values()):
                    events += self.cancel(order, now_ns, "CANCELED_MARKET_RESOLVED")
        events.append(MarketClosed(market=market, at_ns=now_ns))
        return events

    def market_of(self, token: str) -> tuple[ListedMarket, bool]:
        """Open market and outcome of a token; raises the venue's 404 otherwise."""
        found = self.tokens.get(token)
        if found is None or not found[0].is_open:
            raise refusals.no_orderbook()
        return found

    # --- orders ---------------------------------------------------------------------------------

    def place(self, account: Account, request: OrderRequest, now_ns: int) -> Placed:
        """Admit, match and rest one order, or refuse it with the venue's text."""
        market, is_yes = self.market_of(request.token)
        if request.order_id in self.orders:
            raise refusals.duplicated(request.order_id)
        check_type(request, now_ns // _NS_PER_S)
        price, size = price_and_size(request, market)
        is_market_buy = request.is_buy and request.order_type in ("FOK", "FAK")
        order = Order(
            id=request.order_id,
            account=account,
            owner=request.owner,
            market=market,
            is_yes=is_yes,
            is_buy=request.is_buy,
            price_e4=price,
            size_e6=size,
            order_type=request.order_type,
            created_ns=now_ns,
            expires_s=request.expires_s,
            budget_e6=request.maker_amount_e6 if is_market_buy else None,
        )
        taking, is_all = takeable(order, self.books[market.condition_id])
        if request.is_post_only and taking:
            raise refusals.crosses_book()
        check_market_rules(order, market, taking)
        check_funds(order, account, taking)
        if request.order_type == "FOK" and not (taking and is_all):
            raise refusals.fok_killed()
        if request.order_type == "FAK" and not taking:
            raise refusals.fak_killed()
        return self._enter(order, now_ns)

    def enter_participant(self, order: Order, now_ns: int) -> list[Event]:
        """Enter an order of a simulated participant: no tick, size or fund rule, it is the recorded truth."""
        if not order.account.is_participant:
            raise InvariantBroken("only participants bypass admission")
        return self._enter(order, now_ns).events

    def cancel(self, order: Order, now_ns: int, status: str = "CANCELED") -> list[Event]:
        """Withdraw an open order."""
        market = order.market
        size = self.books[market.condition_id].side(order.is_bid).reduce(order, order.remaining_e6)
        self._release(order)
        self._finish(order, status)
        market.updated_ns = now_ns
        changed = OrderChanged("CANCELLATION", order, order.matched_e6, status, now_ns)
        return [self._level(order, size, now_ns), changed]

    def reduce_participant(self, order: Order, size_e6: int, now_ns: int) -> list[Event]:
        """Shrink a participant's resting order in place: it keeps its queue position."""
        if size_e6 >= order.remaining_e6:
            return self.cancel(order, now_ns)
        size = self.books[order.market.condition_id].side(order.is_bid).reduce(order, size_e6)
        order.size_e6 -= size_e6
        self._lock(order)
        order.market.updated_ns = now_ns
        return [self._level(order, size, now_ns)]

    def cancel_where(self, address: str, now_ns: int, wanted: Callable[[Order], bool]) -> Cancelled:
        """Cancel every open order of an account that `wanted` picks."""
        orders = [order for order in self.open_by_account.get(address, {}).values() if wanted(order)]
        events: list[Event] = []
        for order in orders:
            events += self.cancel(order, now_ns)
        return Cancelled([order.id for order in orders], events)

    def open_orders(self, address: str) -> Iterable[Order]:
        """Open orders of one account, oldest first."""
        return self.open_by_account.get(address, {}).values()

    # --- time -----------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> list[Event]:
        """Settle and expire whatever is due."""
        events: list[Event] = []
        while self._settling and self._settling[0][0] <= now_ns:
            due, _, trade, status = heapq.heappop(self._settling)
            trade.status, trade.updated_ns = status, due
            events.append(TradeUpdated(trade=trade, status=status, at_ns=due))
            if status == "MINED":
                self._schedule(due + self._delay.confirmed_ns - self._delay.mined_ns, trade, "CONFIRMED")
            else:
                self._retire(trade)
        while self._expiring and self._expiring[0][0] <= now_ns:
            _, _, order = heapq.heappop(self._expiring)
            if order.status == "LIVE":
                events += self.cancel(order, now_ns, "CANCELED_EXPIRED_ORDER")
        return events

    def next_due_ns(self) -> int | None:
        """When `advance` has something to do, None for never."""
        heads = [heap[0][0] for heap in (self._settling, self._expiring) if heap]
        return min(heads, default=None)

    # --- inside ---------------------------------------------------------------------------------

    def _enter(self, order: Order, now_ns: int) -> Placed:
        order.remaining_e6 = order.size_e6
        order.market.updated_ns = now_ns
        if not order.account.is_participant:
            self.orders[order.id] = order
        events: list[Event] = [OrderChanged("PLACEMENT", order, 0, "LIVE", now_ns)]
        trades, money = self._match(order, now_ns, events)
        self._rest_or_finish(order, now_ns, events)
        return Placed(order=order, trades=tuple(trades), money_e6=money, events=events)

    def _rest_or_finish(self, order: Order, now_ns: int, events: list[Event]) -> None:
        is_done = order.remaining_e6 <= 0 or (order.budget_e6 is not None and order.matched_e6 > 0)
        if is_done:
            order.remaining_e6 = 0
            self._finish(order, "MATCHED")
            events.append(OrderChanged("UPDATE", order, order.matched_e6, "MATCHED", now_ns))
        elif order.order_type in ("FOK", "FAK"):
            order.remaining_e6 = 0
            self._finish(order, "CANCELED")
            events.append(OrderChanged("CANCELLATION", order, order.matched_e6, "CANCELED", now_ns))
        else:
            if order.matched_e6:
                events.append(OrderChanged("UPDATE", order, order.matched_e6, "LIVE", now_ns))
            level = self.books[order.market.condition_id].side(order.is_bid).add(order)
            self._lock(order)
            self.open_by_account.setdefault(order.account.address, {})[order.id] = order
            if order.order_type == "GTD":
                due = (order.expires_s - GTD_EARLY_S) * _NS_PER_S
                heapq.heappush(self._expiring, (due, self._next_serial(), order))
            events.append(self._level(order, level.total_e6, now_ns))

    def _match(self, taker: Order, now_ns: int, events: list[Event]) -> tuple[list[Trade], int]:
        side = self.books[taker.market.condition_id].side(not taker.is_bid)
        trades: list[Trade] = []
        spent = 0
        while (level := side.best()) is not None and side.crosses(level, taker.yes_price_e4):
            price = taker.leg(level.price_e4).price_e4
            size = min(level.total_e6, wanted_e6(taker, spent, price))
            if size <= 0:
                break
            trade, money = self._trade_level(taker, level.price_e4, size, now_ns, events)
            spent += money
            trades.append(trade)
        return trades, spent

    def _trade_level(
        self, taker: Order, yes_price_e4: int, size_e6: int, now_ns: int, events: list[Event]
    ) -> tuple[Trade, int]:
        """Fill `size_e6` of one level, oldest order first, as one trade."""
        market = taker.market
        side = self.books[market.condition_id].side(not taker.is_bid)
        level = side.levels[yes_price_e4]
        own = taker.leg(yes_price_e4)
        fills: list[MakerFill] = []
        left, money, total = size_e6, 0, level.total_e6
        while left:
            maker = next(iter(level.orders.values()))
            fill = min(left, maker.remaining_e6)
            total = side.reduce(maker, fill)
            maker.matched_e6 += fill
            self._lock(maker)
            money += self.ledger.settle(own, maker.leg(yes_price_e4), fill)
            fills.append(MakerFill(maker, fill, maker.price_e4))
            left -= fill
        taker.matched_e6 += size_e6
        taker.remaining_e6 -= size_e6
        fee = taker_fee_e6(own.price_e4, size_e6, market.fee_rate_e4)
        trade = self._new_trade(
            taker, own.price_e4, size_e6, self.ledger.collect_fee(taker.account, fee), now_ns
        )
        trade.makers = tuple(fills)
        self._remember(trade)
        market.last_trade_e4 = own.price_e4
        self._report_trade(trade, yes_price_e4, total, events)
        return trade, money

    def _report_trade(self, trade: Trade, yes_price_e4: int, total_e6: int, events: list[Event]) -> None:
        for fill in trade.makers:
            maker = fill.order
            maker.trade_ids.append(trade.id)
            if maker.remaining_e6 == 0:
                self._finish(maker, "MATCHED")
            events.append(OrderChanged("UPDATE", maker, maker.matched_e6, maker.status, trade.matched_ns))
        trade.taker.trade_ids.append(trade.id)
        first = trade.makers[0].order
        events.append(
            LevelChanged(
                market=trade.market,
                is_bid=first.is_bid,
                price_e4=yes_price_e4,
                size_e6=total_e6,
                origin_is_yes=first.is_yes,
                at_ns=trade.matched_ns,
                trade=trade,
            )
        )
        events.append(TradeUpdated(trade=trade, status="MATCHED", at_ns=trade.matched_ns))

    def _new_trade(self, taker: Order, price_e4: int, size_e6: int, fee_e6: int, now_ns: int) -> Trade:
        digest = hashlib.sha256(f"trade:{self._seed}:{self._next_serial()}".encode()).digest()
        trade = Trade(
            id=str(UUID(bytes=digest[:16], version=4)),
            taker=taker,
            market=taker.market,
            price_e4=price_e4,
            size_e6=size_e6,
            fee_e6=fee_e6,
            makers=(),
            matched_ns=now_ns,
            tx_hash="0x" + hashlib.sha256(digest).hexdigest(),
            updated_ns=now_ns,
        )
        self._schedule(now_ns + self._delay.mined_ns, trade, "MINED")
        return trade

    def _schedule(self, due_ns: int, trade: Trade, status: str) -> None:
        heapq.heappush(self._settling, (due_ns, self._next_serial(), trade, status))

    def _lock(self, order: Order) -> None:
        """Make the reservation of a resting order what its remainder needs."""
        need = lock_e6(order.price_e4, order.remaining_e6) if order.is_buy else order.remaining_e6
        change = need - order.locked_e6
        order.locked_e6 = need
        if order.is_buy:
            order.account.reserved_e6 += change
        else:
            order.account.reserve_tokens(order.token, change)

    def _release(self, order: Order) -> None:
        self._lock(order)
        if order.locked_e6:
            raise InvariantBroken(f"order {order.id} is gone and still reserves {order.locked_e6}")

    def _finish(self, order: Order, status: str) -> None:
        order.status = status
        self.open_by_account.get(order.account.address, {}).pop(order.id, None)
        if not order.account.is_participant:
            self._finished.append(order.id)
            if len(self._finished) > _REMEMBERED:
                del self.orders[self._finished.popleft()]

    def _remember(self, trade: Trade) -> None:
        """Keep a trade for reads, unless only participants took part."""
        for address in _customers(trade):
            self.trades[trade.id] = trade
            self.trades_by_account.setdefault(address, {})[trade.id] = trade

    def _retire(self, trade: Trade) -> None:
        """Forget a confirmed trade after many others."""
        if trade.id not in self.trades:
            return
        self._confirmed.append(trade.id)
        if len(self._confirmed) > _REMEMBERED:
            old = self.trades.pop(self._confirmed.popleft())
            for address in _customers(old):
                del self.trades_by_account[address][old.id]

    def _level(self, order: Order, size_e6: int, now_ns: int) -> LevelChanged:
        return LevelChanged(
            market=order.market,
            is_bid=order.is_bid,
            price_e4=order.yes_price_e4,
            size_e6=size_e6,
            origin_is_yes=order.is_yes,
            at_ns=now_ns,
        )

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial


def _customers(trade: Trade) -> set[str]:
    """Addresses of everyone in a trade who is no participant."""
    accounts = [trade.taker.account] + [fill.order.account for fill in trade.makers]
    return {account.address for account in accounts if not account.is_participant}
