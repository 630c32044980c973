"""The account at work: sends, cancels, confirms and books, and keeps `OwnOrders` true to the venue.

Cancels are repeated until the venue's own listing no longer shows the orders. An unknown place is never resent:
it is cancelled by its hash and counts as open until the venue has answered twice.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from clawswarm.engine.budget import Budget
from clawswarm.engine.orders import Inventories, OwnOrder, OwnOrders, choose_token, yes_frame
from clawswarm.kernel.clock import Clock
from clawswarm.kernel.histogram import Histogram
from clawswarm.kernel.journal import Journal
from clawswarm.model.errors import Halt, Retry, WireFault
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import Fill, Inventory, OrderState, Place, Plan
from clawswarm.model.units import parse_e6, parse_price_e4
from clawswarm.venues.polymarket.order_entry import MAX_BATCH, OrderEntry, PlaceOutcome, PlaceResult
from clawswarm.venues.polymarket.signing import SignedOrder, TokenOrder
from clawswarm.venues.polymarket.wire import MakerOrder, Trade, UserOrder

RETRY_PAUSE_S = 0.05
CONFIRM_PAUSE_S = 0.5
log = structlog.get_logger()


class Intent(msgspec.Struct, frozen=True):
    """What is journalled before an order is sent."""

    order_id: str
    market: str
    owner: str
    side: Side
    price_e4: int
    size_e6: int


class AccountEvents(msgspec.Struct, frozen=True):
    """Where the account reports to: an order's new state, and a fill."""

    order_changed: Callable[[OwnOrder, OrderState, str | None], None]
    filled: Callable[[Fill], None]


class Account:
    """One account: its orders, its inventory, its counters."""

    def __init__(
        self, entry: OrderEntry, budget: Budget, clock: Clock, folder: Path, events: AccountEvents
    ) -> None:
        self._entry, self._budget, self._clock, self._events = entry, budget, clock, events
        self._intents = Journal(folder / "intents.journal")
        self._markets: dict[str, Market] = {}
        self.orders = OwnOrders()
        self.inventories = Inventories()
        self.fair_e4: Callable[[str], float | None] = lambda _market: None
        self.counters = {"placed": 0.0, "cancelled": 0.0, "filled": 0.0, "rejected": 0.0, "refused": 0.0}
        self.tick_to_wire_us = Histogram()
        self._resolving: set[asyncio.Task[None]] = set()

    def know(self, markets: Sequence[Market]) -> None:
        """Learn the venue's markets: fills can only be read with them."""
        self._markets.update((market.condition_id, market) for market in markets)

    def restore(self, fills: Sequence[Fill]) -> None:
        """Take over the inventory that an earlier life of this process journalled."""
        for fill in fills:
            held = Inventory(market=fill.market, yes_e6=fill.yes_e6, no_e6=fill.no_e6)
            self.inventories.restore(fill.trade_id, fill.order_id, held)

    async def place(self, plan: Plan, mandate_market: Market, owner: str) -> str | None:
        """Sign, journal and send a plan's places, and take in the answers; a reason if the budget forbids it."""
        places = plan.places[:MAX_BATCH]
        if reason := self._budget.refusal(len(places), self._clock.now_ns()):
            self.counters["refused"] += 1
            return reason
        signed = [self._prepare(place, mandate_market, owner) for place in places]
        self._budget.spend(len(places), self._clock.now_ns())
        try:
            results, sent_ns = await self._entry.place([order for order, _ in signed])
        except Halt as fault:
            for _, own in signed:
                self._placed(own, PlaceResult(own.order_id, PlaceOutcome.REFUSED, str(fault)))
            raise
        if sent_ns is not None and plan.book_received_ns is not None:
            self.tick_to_wire_us.add((sent_ns - plan.book_received_ns) // 1_000)
        for (_, own), result in zip(signed, results, strict=True):
            self._placed(own, result)
        return None

    def _prepare(self, place: Place, market: Market, owner: str) -> tuple[SignedOrder, OwnOrder]:
        held = self.inventories.of(market.condition_id)
        resting = self.orders.select(market=market.condition_id)
        choice = choose_token(market, place.side, place.price_e4, place.size_e6, held, resting)
        signed = self._entry.sign(
            TokenOrder(
                token_id=choice.token_id,
                side=choice.side,
                price_e4=choice.price_e4,
                size_e6=place.size_e6,
                neg_risk=market.neg_risk,
                timestamp_ms=self._entry.venue_ms(),
            )
        )
        own = OwnOrder(
            order_id=signed.order_id,
            ref=place.ref,
            owner=owner,
            market=market.condition_id,
            side=place.side,
            price_e4=place.price_e4,
            remaining_e6=place.size_e6,
            token_id=choice.token_id,
            token_side=choice.side,
            token_price_e4=choice.price_e4,
            is_unknown=True,
        )
        intent = Intent(own.order_id, own.market, owner, own.side, own.price_e4, own.remaining_e6)
        self._intents.append(msgspec.msgpack.encode(intent))
        self.orders.add(own)
        return signed, own

    def _placed(self, own: OwnOrder, result: PlaceResult) -> None:
        if result.outcome is PlaceOutcome.ACCEPTED:
            self.counters["placed"] += 1
            own.is_unknown = False
            if self.orders.get(own.order_id) is not None:
                self._events.order_changed(own, OrderState.LIVE, None)
            return
        if result.outcome is PlaceOutcome.REFUSED:
            self.counters["rejected"] += 1
            log.info("order.place.refused", order_id=own.order_id, reason=result.reason)
            self.orders.remove(own.order_id)
            self._events.order_changed(own, OrderState.REJECTED, result.reason)
            return
        log.warning("order.place.unknown", order_id=own.order_id, reason=result.reason)
        self._events.order_changed(own, OrderState.UNKNOWN, result.reason)
        task = asyncio.create_task(self._resolve(own))
        self._resolving.add(task)
        task.add_done_callback(self._resolving.discard)

    async def _resolve(self, own: OwnOrder) -> None:
        """Cancel an order of unknown fate until the venue says twice that it is not open."""
        absent = 0
        while absent < 2 and self.orders.get(own.order_id) is not None:
            try:
                await self._entry.cancel([own.order_id])
                order = await self._entry.order(own.order_id)
                absent = absent + 1 if order is None or not order.is_live else 0
            except (Retry, WireFault) as fault:
                log.warning("order.resolve.retry", order_id=own.order_id, reason=str(fault))
            await asyncio.sleep(CONFIRM_PAUSE_S)
        self._gone(own.order_id, "resolved as not open")

    async def cancel(self, orders: Sequence[OwnOrder], cause: str | None = None) -> None:
        """Cancel orders, once; what the venue says it has cancelled or does not have is gone. May raise Retry."""
        ids = [order.order_id for order in orders]
        if not ids:
            return
        answer = await self._entry.cancel(ids)
        for order_id in (*answer.canceled, *answer.not_canceled):
            own = self.orders.get(order_id)
            # A place still under way may land after this cancel: only its own answer settles it.
            if own is not None and not own.is_unknown:
                self._gone(order_id, answer.not_canceled.get(order_id, cause))

    async def withdraw(self, chosen: Callable[[], list[OwnOrder]], cause: str) -> int:
        """Cancel what `chosen` returns until the venue's own listing shows none of it; returns how many."""
        withdrawn: set[str] = set()
        while True:
            try:
                orders = chosen()
                withdrawn.update(order.order_id for order in orders)
                await self.cancel(orders, cause)
                listed = {order.id for order in await self._entry.open_orders()}
                if not withdrawn & listed and not chosen():
                    return len(withdrawn)
            except (Retry, WireFault) as fault:
                log.warning("orders.withdraw.retry", cause=cause, reason=str(fault))
            await asyncio.sleep(RETRY_PAUSE_S)

    async def withdraw_all(self, timeout_s: float) -> int:
        """Cancel everything the key has open and see two listings, apart, that are empty.

        A place still under way may land after them: it stays open here until it has its own answer.
        Raises Halt when that cannot be confirmed within `timeout_s`.
        """
        cancelled = 0
        try:
            async with asyncio.timeout(timeout_s):
                empty = 0
                while empty < 2:
                    try:
                        cancelled += len((await self._entry.cancel_all()).canceled)
                        empty = empty + 1 if not await self._entry.open_orders() else 0
                    except (Retry, WireFault) as fault:
                        empty = 0
                        log.warning("orders.withdraw.retry", cause="all", reason=str(fault))
                    await asyncio.sleep(RETRY_PAUSE_S)
        except TimeoutError as fault:
            raise Halt(f"the venue did not confirm within {timeout_s} s that every order is gone") from fault
        for own in self.orders.select():
            if not own.is_unknown:
                self._gone(own.order_id, "withdrawn")
        return cancelled

    async def reconcile(self) -> None:
        """Compare with the venue: book fills that were missed, cancel strangers, forget what is gone."""
        before = {order.order_id for order in self.orders.select() if not order.is_unknown}
        listed = {order.id for order in await self._entry.open_orders()}
        for trade in await self._entry.trades():
            self.take_trade(trade)
        if strangers := [order_id for order_id in listed if self.orders.get(order_id) is None]:
            still = {order.id for order in await self._entry.open_orders()}
            if strangers := [order_id for order_id in strangers if order_id in still]:
                log.warning("orders.strangers", count=len(strangers))
                await self._entry.cancel(strangers)
        for order_id in before - listed:
            self._gone(order_id, "not in the venue's listing")

    def take_order_event(self, event: UserOrder) -> None:
        """Take in an order event of the user channel; a cancellation we did not ask for shows here."""
        if event.type == "CANCELLATION":
            self._gone(event.id, event.status or None)

    def take_trade(self, trade: Trade) -> None:
        """Book our part of a trade, once. Raises Halt when its settlement failed."""
        for part in trade.maker_orders:
            if part.owner == self._entry.key.api_key:
                if trade.is_failed:
                    raise Halt(f"settlement of trade {trade.id} failed after it was matched")
                self._take_fill(trade, part)

    def _take_fill(self, trade: Trade, part: MakerOrder) -> None:
        market = self._markets.get(trade.market)
        if market is None:
            raise Halt(f"trade {trade.id} is in a market this engine does not know")
        size_e6, token_side = parse_e6(part.matched_amount), Side(part.side)
        held = self.inventories.apply(trade.id, part.order_id, market, part.asset_id, token_side, size_e6)
        if held is None:
            return
        self.counters["filled"] += 1
        side, price_e4 = yes_frame(market, part.asset_id, token_side, parse_price_e4(part.price))
        own = self.orders.get(part.order_id)
        self._events.filled(
            Fill(
                trade_id=trade.id,
                order_id=part.order_id,
                market=trade.market,
                underlying=market.underlying,
                owner=own.owner if own is not None else "",
                side=side,
                price_e4=price_e4,
                size_e6=size_e6,
                fee_e6=0,
                fair_e4=self.fair_e4(trade.market),
                yes_e6=held.yes_e6,
                no_e6=held.no_e6,
                seen_ns=self._clock.now_ns(),
            )
        )
        if own is not None:
            own.remaining_e6 = max(own.remaining_e6 - size_e6, 0)
            if own.remaining_e6:
                self._events.order_changed(own, OrderState.LIVE, None)
            else:
                self.orders.remove(own.order_id)
                self._events.order_changed(own, OrderState.FILLED, None)

    def _gone(self, order_id: str, reason: str | None) -> None:
        own = self.orders.remove(order_id)
        if own is not None:
            self.counters["cancelled"] += 1
            self._events.order_changed(own, OrderState.CANCELLED, reason)
