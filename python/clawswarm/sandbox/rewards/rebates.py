"""Rebates of collected taker fees, to makers and to takers, paid daily at 00:00 UTC (polymarket.md §7).

    maker:  pool = share · taker fees of the market that day
            rebate_i = pool · fe_i / Σ fe     fe = C·(p(1−p))^exponent over the fills as maker
    taker:  weighted volume = Σ C·(1−p)·weight of the day → tier → its part of the day's fees

A trade counts when it is CONFIRMED, on the day of that, so nothing is ever taken back. Fills against one's own
order earn nothing. The rate is the same for every fill of a market and cancels. Both rebates come out of the fees
that the house holds.
"""

import msgspec

from clawswarm.model.units import MICRO, PRICE_ONE_E4
from clawswarm.sandbox.exchange.accounts import COLLATERAL, Ledger
from clawswarm.sandbox.exchange.events import Trade, TradeUpdated
from clawswarm.sandbox.rewards.payments import (
    MINIMUM_E6,
    NS_PER_DAY,
    Earning,
    Payment,
    PaymentKind,
    day_of,
    forget_old,
)

TAKER_TIERS = (
    (10_000_000, 50),
    (4_000_000, 44),
    (1_000_000, 32),
    (200_000, 18),
    (20_000, 8),
    (2_000, 3),
)
"""(weighted volume of the day in dollars, per cent of the day's fees that come back), the highest first."""


class _MarketDay(msgspec.Struct):
    """Fees of one market on one day, and what each maker's fills would have paid."""

    share_e4: int
    fees_e6: int = 0
    equivalents: dict[str, int] = {}

    def rebate_e6(self, address: str) -> int:
        pool = self.fees_e6 * self.share_e4 // PRICE_ONE_E4
        own = self.equivalents.get(address, 0)
        return pool * own // sum(self.equivalents.values()) if own else 0


class _TakerDay(msgspec.Struct):
    """One taker's fees and weighted volume (1e-6 dollars · 1e8) of one day."""

    fees_e6: int = 0
    weighted_e14: int = 0

    def rebate_e6(self) -> int:
        reached = (
            rate for volume, rate in TAKER_TIERS if self.weighted_e14 >= volume * MICRO * PRICE_ONE_E4**2
        )
        return self.fees_e6 * next(reached, 0) // 100


class _Day(msgspec.Struct):
    markets: dict[str, _MarketDay] = {}
    takers: dict[str, _TakerDay] = {}


class RebateBook:
    """Collects confirmed trades and pays."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._day: int | None = None
        self._days: dict[int, _Day] = {}
        self.payments: list[Payment] = []

    def note(self, event: TradeUpdated) -> None:
        """Count a trade once it is confirmed."""
        if event.status == "CONFIRMED":
            self._count(event.trade, event.at_ns)

    def advance(self, now_ns: int) -> None:
        """Pay the day that is over."""
        day = day_of(now_ns)
        if self._day is not None and day > self._day:
            for over in range(self._day, day):
                self._pay(over)
            forget_old(self._days, day)
        self._day = day

    def next_due_ns(self) -> int | None:
        """The next midnight; None before the first `advance`."""
        return None if self._day is None else (self._day + 1) * NS_PER_DAY

    def maker_rebates(self, day: int, address: str) -> list[Earning]:
        """What a maker's fills of a day are worth in each market, so far."""
        markets = self._days.get(day, _Day()).markets
        return [
            Earning(condition_id, address, day, amount)
            for condition_id, market in markets.items()
            if (amount := market.rebate_e6(address))
        ]

    # --- inside ---------------------------------------------------------------------------------

    def _count(self, trade: Trade, at_ns: int) -> None:
        terms, market = trade.market.rebates, trade.market
        day = self._days.setdefault(day_of(at_ns), _Day())
        of_market = day.markets.get(market.condition_id)
        if of_market is None:
            of_market = day.markets[market.condition_id] = _MarketDay(terms.maker_share_e4)
        of_market.fees_e6 += trade.fee_e6
        taker = trade.taker.account.address
        for fill in trade.makers:
            maker = fill.order.account.address
            if maker != taker:
                variance = (fill.price_e4 * (PRICE_ONE_E4 - fill.price_e4)) ** market.fee_exponent
                own = of_market.equivalents.get(maker, 0)
                of_market.equivalents[maker] = own + fill.size_e6 * variance
        of_taker = day.takers.setdefault(taker, _TakerDay())
        of_taker.fees_e6 += trade.fee_e6
        of_taker.weighted_e14 += trade.size_e6 * (PRICE_ONE_E4 - trade.price_e4) * terms.taker_weight_e4

    def _pay(self, day: int) -> None:
        record = self._days.get(day)
        if record is None:
            return
        makers: dict[str, int] = {}
        for market in record.markets.values():
            for address in market.equivalents:
                makers[address] = makers.get(address, 0) + market.rebate_e6(address)
        for address, amount in makers.items():
            if amount >= MINIMUM_E6:
                self._transfer("maker-rebate", address, day, amount)
        for address, taker in record.takers.items():
            if amount := taker.rebate_e6():
                self._transfer("taker-rebate", address, day, amount)

    def _transfer(self, kind: PaymentKind, address: str, day: int, amount_e6: int) -> None:
        account = self._ledger.accounts[address]
        if account.is_participant:
            return
        self._ledger.house.add(COLLATERAL, -amount_e6)
        account.add(COLLATERAL, amount_e6)
        self.payments.append(Payment(kind, address, day, amount_e6, (day + 1) * NS_PER_DAY))
