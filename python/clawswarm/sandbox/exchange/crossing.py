"""Matching one incoming order: best price first, then oldest first; one trade for each price level.

Complementary, mint and merge matches are the same crossing of one price axis (polymarket.md §3.8); the ledger
tells them apart by the tokens.
"""

import hashlib
from uuid import UUID

import msgspec

from clawswarm.model.units import PRICE_ONE_E4
from clawswarm.sandbox.exchange.accounts import Settlement, taker_fee_e6
from clawswarm.sandbox.exchange.admission import offered_e6, wanted_e6
from clawswarm.sandbox.exchange.book import Level, Order
from clawswarm.sandbox.exchange.desk import Desk
from clawswarm.sandbox.exchange.events import (
    Event,
    LevelChanged,
    MakerFill,
    OrderChanged,
    Trade,
    TradeUpdated,
)
from clawswarm.sandbox.exchange.rules import ExchangeRules
from clawswarm.sandbox.exchange.settlement import SettlementQueue


class Crossed(msgspec.Struct):
    """What an order took; `is_stopped` when an order of its own account stood in the way."""

    trades: list[Trade] = []
    money_e6: int = 0
    is_stopped: bool = False


class Matcher:
    """Crosses incoming orders with the desk's books."""

    def __init__(self, desk: Desk, settling: SettlementQueue, rules: ExchangeRules, seed: int) -> None:
        self._desk = desk
        self._settling = settling
        self._rules = rules
        self._seed = seed
        self._trades = 0

    def cross(self, taker: Order, now_ns: int, events: list[Event]) -> Crossed:
        """Take everything within the limit; appends what happened."""
        side = self._desk.book(taker).side(not taker.is_bid)
        crossed = Crossed()
        while (level := side.best()) is not None and side.crosses(level, taker.yes_price_e4):
            if self._rules.self_trade == "cancel-oldest" and self._cancel_own(level, taker, now_ns, events):
                continue
            price = taker.leg(level.price_e4).price_e4
            offered, is_stopped = offered_e6(level, taker.account, self._rules)
            size = min(offered, wanted_e6(taker, crossed.money_e6, price))
            if size > 0:
                trade, money = self._trade_level(taker, level, size, now_ns, events)
                crossed.money_e6 += money
                crossed.trades.append(trade)
            if is_stopped and size == offered and taker.remaining_e6:
                crossed.is_stopped = True
                break
            if size <= 0:
                break
        return crossed

    def _cancel_own(self, level: Level, taker: Order, now_ns: int, events: list[Event]) -> bool:
        own = [order for order in level.orders.values() if order.account is taker.account]
        for order in own:
            events += self._desk.cancel(order, now_ns)
        return bool(own)

    def _trade_level(
        self, taker: Order, level: Level, size_e6: int, now_ns: int, events: list[Event]
    ) -> tuple[Trade, int]:
        """Fill `size_e6` of one level, oldest order first, as one trade."""
        desk, market = self._desk, taker.market
        side = desk.book(taker).side(not taker.is_bid)
        own = taker.leg(level.price_e4)
        trade = self._new_trade(taker, own.price_e4, size_e6, now_ns)
        fills: list[MakerFill] = []
        left, money, total = size_e6, 0, level.total_e6
        while left:
            maker = next(iter(level.orders.values()))
            fill = min(left, maker.remaining_e6)
            total = side.reduce(maker, fill)
            maker.matched_e6 += fill
            desk.lock(maker)
            money += desk.ledger.match(trade.settlement, own, maker.leg(level.price_e4), fill)
            fills.append(MakerFill(maker, fill, maker.price_e4))
            left -= fill
        taker.matched_e6 += size_e6
        taker.remaining_e6 -= size_e6
        fee = taker_fee_e6(own.price_e4, size_e6, market.fee_rate_e4, market.fee_exponent)
        trade.fee_e6 = desk.ledger.charge(trade.settlement, own, fee)
        trade.makers = tuple(fills)
        self._take_up(trade)
        self._report(trade, level.price_e4, total, events)
        return trade, money

    def _take_up(self, trade: Trade) -> None:
        """Book a complete trade."""
        market = trade.market
        market.last_trade_e4, market.last_trade_side = trade.price_e4, trade.taker.side
        market.volume_e6 += trade.price_e4 * trade.size_e6 // PRICE_ONE_E4
        if self._rules.proceeds_at == "matched":
            self._desk.ledger.arrive(trade.settlement, is_early=True)
        self._desk.records.keep_trade(trade)
        self._settling.add(trade)

    def _report(self, trade: Trade, yes_price_e4: int, total_e6: int, events: list[Event]) -> None:
        for fill in trade.makers:
            maker = fill.order
            maker.trade_ids.append(trade.id)
            if maker.remaining_e6 == 0:
                self._desk.finish(maker, "MATCHED")
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

    def _new_trade(self, taker: Order, price_e4: int, size_e6: int, now_ns: int) -> Trade:
        self._trades += 1
        digest = hashlib.sha256(f"trade:{self._seed}:{self._trades}".encode()).digest()
        return Trade(
            id=str(UUID(bytes=digest[:16], version=4)),
            taker=taker,
            market=taker.market,
            price_e4=price_e4,
            size_e6=size_e6,
            fee_e6=0,
            makers=(),
            matched_ns=now_ns,
            tx_hash="0x" + hashlib.sha256(digest).hexdigest(),
            settlement=Settlement(),
            updated_ns=now_ns,
        )
