"""The matching exchange: a pure state machine. Time is an argument, identities and chance come from a seed.

Every command takes `now_ns` (venue time, unix nanoseconds), either raises VenueRefusal and changes nothing or
returns what happened as events in order. `advance` moves settlement, delays and expiry up to a time.
"""

import heapq
from collections.abc import Callable, Iterable

import msgspec

from clawswarm.model.errors import InvariantBroken
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.accounts import Account, Ledger
from clawswarm.sandbox.exchange.admission import (
    GTD_EARLY_S,
    KILLED_TYPES,
    OrderRequest,
    check_against_book,
    check_type,
    crosses,
    needed_e6,
    price_and_size,
)
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.crossing import Matcher
from clawswarm.sandbox.exchange.desk import Desk
from clawswarm.sandbox.exchange.events import (
    AcceptanceChanged,
    DelayEnded,
    Event,
    MarketClosed,
    MarketListed,
    MarketResolved,
    OrderChanged,
    TickChanged,
    Trade,
    TradeUpdated,
)
from clawswarm.sandbox.exchange.markets import ListedMarket, Winner
from clawswarm.sandbox.exchange.records import Records
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.exchange.rules import ExchangeRules, SettlementDelay
from clawswarm.sandbox.exchange.settlement import TERMINAL, SettlementQueue

__all__ = ["Cancelled", "Exchange", "Placed", "SettlementDelay"]

_NS_PER_S = 1_000_000_000


class Placed(msgspec.Struct, frozen=True, eq=False):
    """An accepted order, its trades and the events; money in the order's own terms, fee not included."""

    order: Order
    trades: tuple[Trade, ...]
    money_e6: int
    events: list[Event]

    @property
    def status(self) -> str:
        """The venue's word in the answer to POST /order."""
        if self.trades:
            return "matched"
        return {"LIVE": "live", "DELAYED": "delayed"}.get(self.order.status, "unmatched")


class Cancelled(msgspec.Struct, frozen=True, eq=False):
    """Ids of the orders that a sweeping cancel withdrew, and the events."""

    order_ids: list[str]
    events: list[Event]


class Exchange:
    """Markets, books, orders and trades of the simulated venue."""

    def __init__(
        self,
        seed: int,
        delay: SettlementDelay,
        rules: ExchangeRules | None = None,
        remembered: int | None = None,
    ) -> None:
        self.rules = rules or ExchangeRules()
        self.ledger = Ledger()
        self.records = Records(remembered) if remembered else Records()
        self.settling = SettlementQueue(delay, seed)
        self.markets: dict[str, ListedMarket] = {}
        self.tokens: dict[str, tuple[ListedMarket, bool]] = {}
        self._desk = Desk(self.ledger, self.records)
        self._matcher = Matcher(self._desk, self.settling, self.rules, seed)
        self.books = self._desk.books
        self.open_by_account = self._desk.open_by_account
        self.orders = self.records.orders
        self.trades = self.records.trades
        self.trades_by_account = self.records.trades_by_account
        self._serial = 0
        self._expiring: list[tuple[int, int, Order]] = []
        self._held: list[tuple[int, int, Order]] = []
        self._ended_holds: list[DelayEnded] = []

    # --- markets --------------------------------------------------------------------------------

    def list_market(self, market: ListedMarket, now_ns: int) -> list[Event]:
        """Open a market."""
        market.listed_ns = market.updated_ns = now_ns
        self.markets[market.condition_id] = market
        self._desk.open_book(market.condition_id)
        self.tokens[market.yes_token] = (market, True)
        self.tokens[market.no_token] = (market, False)
        return [MarketListed(market=market, at_ns=now_ns)]

    def change_tick(self, market: ListedMarket, tick_e4: int, now_ns: int) -> list[Event]:
        """Trade in other price steps; resting orders keep their prices."""
        old, market.tick_e4 = market.tick_e4, tick_e4
        if old == tick_e4:
            return []
        return [TickChanged(market=market, old_e4=old, new_e4=tick_e4, at_ns=now_ns)]

    def accept_orders(self, market: ListedMarket, accepts: bool, now_ns: int) -> list[Event]:
        """Pause a market (orders are refused, cancels are not) or let it go on; what rests keeps its place."""
        if not market.is_open or market.accepts_orders == accepts:
            return []
        market.accepts_orders = accepts
        return [AcceptanceChanged(market=market, accepts_orders=accepts, at_ns=now_ns)]

    def close_market(self, market: ListedMarket, winner: Winner | None, now_ns: int) -> list[Event]:
        """Stop trading: every order is cancelled, new ones are refused; with a winner the market resolves too."""
        if not market.is_open:
            return []
        market.is_open, market.accepts_orders, market.closed_ns = False, False, now_ns
        events: list[Event] = []
        book = self.books[market.condition_id]
        for side in (book.bids, book.asks):
            for level in list(side.best_first()):
                for order in list(level.orders.values()):
                    events += self.cancel(order, now_ns, "CANCELED_MARKET_RESOLVED")
        events.append(MarketClosed(market=market, at_ns=now_ns))
        return events if winner is None else events + self.resolve(market, winner, now_ns)

    def resolve(self, market: ListedMarket, winner: Winner, now_ns: int) -> list[Event]:
        """Say how a market ended, once; it closes if it is open. Holders redeem, nobody is paid by this."""
        if market.winner is not None:
            return []
        events = self.close_market(market, None, now_ns)
        market.winner = winner
        return [*events, MarketResolved(market=market, at_ns=now_ns)]

    def redeem(self, account: Account, market: ListedMarket) -> int:
        """Burn both tokens that an account holds of a resolved market and pay it; returns what it got.

        Nothing is locked then: closing cancelled every order of the market.
        """
        payouts = market.payout_e6(is_yes=True), market.payout_e6(is_yes=False)
        if payouts[0] is None or payouts[1] is None:
            raise InvariantBroken(f"market {market.slug} is redeemed before it resolved")
        return self.ledger.redeem(account, ((market.yes_token, payouts[0]), (market.no_token, payouts[1])))

    def is_settled(self, market: ListedMarket) -> bool:
        """Whether every trade of a market is confirmed or failed: balances of its tokens are final."""
        return not self.settling.count(market.condition_id)

    def market_of(self, token: str) -> tuple[ListedMarket, bool]:
        """Open market and outcome of a token; raises the venue's 404 otherwise."""
        found = self.tokens.get(token)
        if found is None or not found[0].is_open:
            raise refusals.no_orderbook()
        return found

    # --- orders ---------------------------------------------------------------------------------

    def place(self, account: Account, request: OrderRequest, now_ns: int) -> Placed:
        """Admit one order, then hold it, or match and rest it; or refuse it with the venue's text."""
        order = self._admit(account, request, now_ns)
        taking = check_against_book(order, self.books[order.market.condition_id], self.rules)
        if order.market.hold_ns and taking:
            self.records.keep_order(order)
            return Placed(order, (), 0, self._hold(order, needed_e6(order, taking), now_ns))
        self.records.keep_order(order)
        return self._enter(order, now_ns)

    def enter_participant(self, order: Order, now_ns: int) -> list[Event]:
        """Enter an order of a simulated participant: no tick, size or fund rule, it is the recorded truth.

        What follows the book rests or trades at once; a killed type is a taker and is held like anyone's.
        """
        if not order.account.is_participant:
            raise InvariantBroken("only participants bypass admission")
        is_taker = order.order_type in KILLED_TYPES
        if is_taker and order.market.hold_ns and crosses(order, self.books[order.market.condition_id]):
            return self._hold(order, 0 if order.is_buy else order.size_e6, now_ns)
        return self._enter(order, now_ns).events

    def cancel(self, order: Order, now_ns: int, status: str = "CANCELED") -> list[Event]:
        """Withdraw an open order."""
        return self._desk.cancel(order, now_ns, status)

    def reduce_participant(self, order: Order, size_e6: int, now_ns: int) -> list[Event]:
        """Shrink a participant's resting order in place: it keeps its queue position."""
        return self._desk.reduce(order, size_e6, now_ns)

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

    # --- money from outside ---------------------------------------------------------------------

    def recheck_funds(self, account: Account, now_ns: int) -> list[Event]:
        """Cancel what the account no longer covers; call after its balance or allowance changed."""
        return self._desk.cancel_unfunded(account, now_ns)

    # --- time -----------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> list[Event]:
        """Settle, release and expire whatever is due."""
        events: list[Event] = []
        while (trade := self.settling.pop(now_ns)) is not None:
            events += self._settle(trade)
        while self._held and self._held[0][0] <= now_ns:
            due, _, order = heapq.heappop(self._held)
            events += self._end_hold(order, due)
        while self._expiring and self._expiring[0][0] <= now_ns:
            _, _, order = heapq.heappop(self._expiring)
            if order.status == "LIVE":
                events += self.cancel(order, now_ns, "CANCELED_EXPIRED_ORDER")
        return events

    def next_due_ns(self) -> int | None:
        """When `advance` has something to do, None for never."""
        due = self.settling.next_due_ns()
        for heap in (self._held, self._expiring):
            if heap and (due is None or heap[0][0] < due):
                due = heap[0][0]
        return due

    def take_ended_holds(self) -> list[DelayEnded]:
        """What became of the orders whose delay ended since this was last asked, for whoever waits for them."""
        ended, self._ended_holds = self._ended_holds, []
        return ended

    # --- inside ---------------------------------------------------------------------------------

    def _admit(self, account: Account, request: OrderRequest, now_ns: int) -> Order:
        """Everything about an order that does not depend on the book."""
        market, is_yes = self.market_of(request.token)
        if request.order_id in self.orders:
            raise refusals.duplicated(request.order_id)
        check_type(request, now_ns // _NS_PER_S)
        price, size = price_and_size(request, market, self.rules)
        return Order(
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
            budget_e6=request.maker_amount_e6 if request.is_buy and request.is_market else None,
            is_post_only=request.is_post_only,
        )

    def _hold(self, order: Order, claim_e6: int, now_ns: int) -> list[Event]:
        """Keep a marketable order from the book for the market's delay; its funds are reserved meanwhile."""
        order.status, order.remaining_e6 = "DELAYED", order.size_e6
        self._desk.claim(order, claim_e6)
        heapq.heappush(self._held, (now_ns + order.market.hold_ns, self._next_serial(), order))
        return [OrderChanged("PLACEMENT", order, 0, "DELAYED", now_ns)]

    def _end_hold(self, order: Order, due_ns: int) -> list[Event]:
        """Run the checks again, then enter the order or throw it out."""
        self._desk.claim(order, 0)
        refusal = self._recheck(order)
        if refusal is None:
            order.status = "LIVE"
            placed = self._enter(order, due_ns, is_known=True)
            self._ended_holds.append(DelayEnded(order, placed.trades, placed.money_e6, None, due_ns))
            return placed.events
        is_open = order.market.is_open
        status = f"CANCELED_{refusal.text}" if is_open else "CANCELED_MARKET_RESOLVED"
        order.remaining_e6 = 0
        self._desk.finish(order, status)
        self._ended_holds.append(DelayEnded(order, (), 0, refusal, due_ns))
        return [OrderChanged("CANCELLATION", order, 0, status, due_ns)]

    def _recheck(self, order: Order) -> VenueRefusal | None:
        if not order.market.is_open:
            return refusals.no_orderbook()
        if not order.market.accepts_orders:
            return refusals.market_not_ready()
        if order.account.is_participant:
            return None
        try:
            check_against_book(order, self.books[order.market.condition_id], self.rules)
        except VenueRefusal as refusal:
            return refusal
        return None

    def _enter(self, order: Order, now_ns: int, is_known: bool = False) -> Placed:
        order.remaining_e6 = order.size_e6
        order.market.updated_ns = now_ns
        kind = "UPDATE" if is_known else "PLACEMENT"
        events: list[Event] = [OrderChanged(kind, order, 0, "LIVE", now_ns)]
        crossed = self._matcher.cross(order, now_ns, events)
        self._rest_or_finish(order, now_ns, events, crossed.is_stopped)
        return Placed(order=order, trades=tuple(crossed.trades), money_e6=crossed.money_e6, events=events)

    def _rest_or_finish(self, order: Order, now_ns: int, events: list[Event], is_stopped: bool) -> None:
        is_done = order.remaining_e6 <= 0 or (order.budget_e6 is not None and order.matched_e6 > 0)
        if is_done:
            order.remaining_e6 = 0
            self._desk.finish(order, "MATCHED")
            events.append(OrderChanged("UPDATE", order, order.matched_e6, "MATCHED", now_ns))
        elif is_stopped or order.order_type in KILLED_TYPES:
            order.remaining_e6 = 0
            self._desk.finish(order, "CANCELED")
            events.append(OrderChanged("CANCELLATION", order, order.matched_e6, "CANCELED", now_ns))
        else:
            if order.matched_e6:
                events.append(OrderChanged("UPDATE", order, order.matched_e6, "LIVE", now_ns))
            rested = self._desk.rest(order, now_ns)
            if order.order_type == "GTD":
                due = (order.expires_s - GTD_EARLY_S) * _NS_PER_S
                heapq.heappush(self._expiring, (due, self._next_serial(), order))
            events.append(rested)

    def _settle(self, trade: Trade) -> list[Event]:
        """Carry out what a trade's new status means."""
        events: list[Event] = [TradeUpdated(trade=trade, status=trade.status, at_ns=trade.updated_ns)]
        if trade.status in ("MINED", "CONFIRMED"):
            self.ledger.arrive(trade.settlement)
        elif trade.status == "FAILED":
            self.ledger.revert(trade.settlement)
            for account in {fill.order.account.address: fill.order.account for fill in trade.makers}.values():
                events += self.recheck_funds(account, trade.updated_ns)
            events += self.recheck_funds(trade.taker.account, trade.updated_ns)
        if trade.status in TERMINAL:
            self.records.retire_trade(trade)
        return events

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial
