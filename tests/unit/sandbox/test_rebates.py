"""Rebates equal a recomputation from the trade log over a virtual day."""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from math import floor
from random import Random

import pytest
from exchange_bench import MS, SHARE, USD, Bench

from clawswarm.sandbox.exchange.events import Event, Trade, TradeUpdated
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.exchange.rules import SettlementDelay
from clawswarm.sandbox.rewards.payments import NS_PER_DAY, day_of
from clawswarm.sandbox.rewards.rebates import RebateBook

MIDNIGHT_NS = 20_900 * NS_PER_DAY
DAY = day_of(MIDNIGHT_NS)
NAMES = ("ann", "bob", "cid")


class Day:
    """A virtual day of trading with fees, its whole event log, and a rebate book beside it."""

    def __init__(self, fail_share: float = 0.0) -> None:
        delay = SettlementDelay(200 * MS, 500 * MS, retry_share=fail_share, fail_share=fail_share)
        self.bench = Bench(delay=delay, fee_rate_e4=700)
        self.bench.now_ns = MIDNIGHT_NS
        self.rebates = RebateBook(self.bench.exchange.ledger)
        self.rebates.advance(MIDNIGHT_NS)
        self.log: list[Event] = []

    def note(self, events: list[Event]) -> None:
        """What the venue does with events."""
        self.log += events
        for event in events:
            if isinstance(event, TradeUpdated):
                self.rebates.note(event)

    def pass_ns(self, ns: int) -> None:
        """Let time pass."""
        self.bench.now_ns += ns
        self.note(self.bench.exchange.advance(self.bench.now_ns))
        self.rebates.advance(self.bench.now_ns)

    def confirmed(self) -> list[Trade]:
        """The trade log: confirmed trades of the day."""
        return [
            event.trade
            for event in self.log
            if isinstance(event, TradeUpdated) and event.status == "CONFIRMED" and day_of(event.at_ns) == DAY
        ]


def recomputed(trades: list[Trade]) -> tuple[dict[str, int], dict[str, int]]:
    """(maker, taker) rebates by address from the trade log alone, in decimals of the published formulas."""
    fees = sum(Fraction(trade.fee_e6, USD) for trade in trades)
    equivalent: dict[str, Fraction] = defaultdict(Fraction)
    taken: dict[str, Fraction] = defaultdict(Fraction)
    volume: dict[str, Fraction] = defaultdict(Fraction)
    for trade in trades:
        taker = trade.taker.account.address
        taken[taker] += Fraction(trade.fee_e6, USD)
        volume[taker] += (
            Fraction(trade.size_e6, SHARE) * (1 - Fraction(trade.price_e4, 10_000)) * Fraction("2.3")
        )
        for fill in trade.makers:
            price = Fraction(fill.price_e4, 10_000)
            if fill.order.account.address != taker:
                equivalent[fill.order.account.address] += (
                    Fraction(fill.size_e6, SHARE) * Fraction("0.07") * price * (1 - price)
                )
    pool = Fraction(floor(fees * Fraction("0.2") * USD), USD)
    whole = sum(equivalent.values())
    makers = {who: floor(pool * own / whole * USD) for who, own in equivalent.items()}
    tiers = {2_000: "0.03", 20_000: "0.08", 200_000: "0.18", 1_000_000: "0.32", 4_000_000: "0.44"}
    takers = {}
    for who, fee in taken.items():
        reached = [Fraction(rate) for bound, rate in tiers.items() if volume[who] >= bound]
        takers[who] = floor(fee * reached[-1] * USD) if reached else 0
    return makers, takers


@pytest.mark.parametrize(("seed", "fail_share"), [(1, 0.0), (2, 0.0), (3, 0.15)])
def test_a_day_equals_its_trade_log(seed: int, fail_share: float) -> None:
    day, chance = Day(fail_share), Random(seed)
    bench = day.bench
    for name in NAMES:
        bench.account(name, 3_000_000 * USD)
        bench.give_tokens(name, 500_000)
    while bench.now_ns < MIDNIGHT_NS + NS_PER_DAY - 200 * 10**9:
        day.pass_ns(chance.randrange(1, 150 * 10**9))
        cents, shares = chance.randrange(20, 80), chance.randrange(500, 150_000) / 100
        if chance.random() < 0.1:
            order = bench.participant_order(chance.random() < 0.5, cents * 100, chance.randrange(1, 10**9))
            day.note(bench.exchange.enter_participant(order, bench.now_ns))
            continue
        side, outcome = chance.choice(("BUY", "SELL")), chance.choice(("YES", "NO"))
        try:
            placed = bench.place(chance.choice(NAMES), side, outcome, cents * 100, shares)
        except VenueRefusal:
            continue
        day.note(placed.events)
    day.pass_ns(MIDNIGHT_NS + NS_PER_DAY - 1 - bench.now_ns)
    trades = day.confirmed()
    assert len(trades) > 300
    makers, takers = recomputed(trades)
    told = {}
    for address in makers:
        earned = day.rebates.maker_rebates(DAY, address)
        told[address] = sum(earning.amount_e6 for earning in earned)
    assert told == makers
    before = {name: bench.account(name).collateral_e6 for name in NAMES}
    day.pass_ns(1)
    paid: dict[str, int] = defaultdict(int)
    for payment in day.rebates.payments:
        paid[payment.address] += payment.amount_e6
        assert (payment.day, payment.at_ns) == (DAY, MIDNIGHT_NS + NS_PER_DAY)
    expected = {
        f"0x{name}": takers.get(f"0x{name}", 0) + (m if (m := makers.get(f"0x{name}", 0)) >= USD else 0)
        for name in NAMES
    }
    assert dict(paid) == {who: amount for who, amount in expected.items() if amount}
    assert min(expected.values()) > 10 * USD
    for name in NAMES:
        assert bench.account(name).collateral_e6 == before[name] + expected[f"0x{name}"]
    assert bench.exchange.ledger.imbalance_e6() == 0


def test_by_hand() -> None:
    """1,000 shares taken at 0.50 cost 17.50 of fee; of the pool of 3.50 ann has 600 parts, bob 400."""
    day = Day()
    day.bench.place("ann", "BUY", "NO", 5000, 600)
    day.bench.place("bob", "BUY", "NO", 5000, 400)
    placed = day.bench.place("cid", "BUY", "YES", 5000, 1_000)
    day.note(placed.events)
    day.pass_ns(NS_PER_DAY)
    amounts = {p.address: Decimal(p.amount_e6) / USD for p in day.rebates.payments}
    # cid's weighted volume is 1000 · 0.5 · 2.3 = 1,150 dollars: no tier.
    assert amounts == {"0xann": Decimal("2.1"), "0xbob": Decimal("1.4")}


def test_own_fills_and_failed_trades_earn_nothing() -> None:
    day = Day()
    day.bench.place("ann", "BUY", "NO", 5000, 300)
    day.note(day.bench.place("ann", "BUY", "YES", 5000, 300).events)
    day.pass_ns(NS_PER_DAY)
    assert day.rebates.maker_rebates(DAY, "0xann") == []
    failing = Day(fail_share=1.0)
    failing.bench.place("ann", "BUY", "NO", 5000, 300)
    failing.note(failing.bench.place("bob", "BUY", "YES", 5000, 300).events)
    failing.pass_ns(NS_PER_DAY)
    assert failing.rebates.maker_rebates(DAY, "0xann") == []
    assert failing.rebates.payments == []


def test_a_small_day_is_shown_and_not_paid() -> None:
    day = Day()
    day.bench.place("ann", "BUY", "NO", 5000, 100)
    day.note(day.bench.place("bob", "BUY", "YES", 5000, 100).events)
    day.pass_ns(NS_PER_DAY)
    (earning,) = day.rebates.maker_rebates(DAY, "0xann")
    assert earning.amount_e6 == 350_000
    assert day.rebates.payments == []
