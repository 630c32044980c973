"""Rows of the quoter's decision, called from Python: a book that moved → the desk's plan (or that there is none).

quoter.decision   `take_book` and `plans` of a desk that holds 4 markets, in microseconds
quoter.decision_many   the same of a desk that holds 200: the difference is what a market more costs
quoter.decision_refill   of 4 again, an order having been filled before each book: every decision places another

Every book moves its touch by a tick, each market's 400 ms after its last one however many there are. Two
sentinels see every book, the second's copy comes untimed. Orders rest on both sides, the underlying has a price
and the market pays rewards; what a plan asks for is told as done, untimed, so that the next book finds orders
at rest.
"""

import itertools
import time

import msgspec

from benchmarks.measure import NotMeasured, Observation, Row, observe
from clawswarm.agents.quoter.desk import QuoterDesk
from clawswarm.agents.quoter.pricing import QuoterSettings
from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S
from clawswarm.model.instruments import Market, PriceSettlement, RewardTerms, Side
from clawswarm.model.messages import (
    Allocation,
    BookState,
    FeedHealth,
    Inventory,
    Mandate,
    OrderState,
    OrderUpdate,
    Plan,
    PlanDone,
    ReferencePrice,
)
from clawswarm.model.units import MICRO

FEW, MANY = 4, 200
LIFE_NS = 1 << 60
_WALK = (0, 1, 0, -1, -2, -1, 0, 1, 2, 1)
SENTINELS = ("sentinel-1", "sentinel-2")
SETTINGS = QuoterSettings(
    feed_timeout_s=1e6, widen_below=0.8, widen_factor=2.0, pull_below=0.4, requote_ticks=1
)


def rows(n: int) -> list[Row]:
    """Every row; one sample a book."""
    return [
        observe("quoter.decision", "µs", lambda: decisions(n // 2, FEW)),
        observe("quoter.decision_many", "µs", lambda: decisions(n // 2, MANY)),
        observe("quoter.decision_refill", "µs", lambda: decisions(n // 2, FEW, is_filled=True)),
    ]


def decisions(n: int, markets: int, *, is_filled: bool = False) -> Observation:
    """Time decisions of a desk that holds so many markets; NotMeasured where one should place and does not."""
    table = Table(markets)
    samples, plans = [], 0
    for number in range(n):
        book = table.next_book(number)
        # The review of all markets is due: it is another work, done fifty times a second.
        for plan in table.desk.plans(table.now_ns):
            table.carry_out(plan)
        if is_filled:
            table.fill(number)
        began = time.perf_counter_ns()
        table.desk.take_book(book, table.now_ns)
        made = table.desk.plans(table.now_ns)
        samples.append((time.perf_counter_ns() - began) / 1_000)
        plans += len(made)
        for plan in made:
            table.carry_out(plan)
        table.desk.take_book(msgspec.structs.replace(book, source=SENTINELS[1]), table.now_ns)
        if is_filled and not made:
            raise NotMeasured(f"decision {number} of {n} placed nothing where an order was filled")
    return Observation(samples, notes=(f"{markets} markets held; {plans} of {n} decisions changed orders",))


class Table:
    """A desk with its markets, books and an engine that does whatever it is told."""

    def __init__(self, markets: int) -> None:
        self.desk = QuoterDesk("quoter-1", SETTINGS)
        self.now_ns = NS_PER_S
        self._ids = itertools.count(1)
        self._live: dict[str, OrderUpdate] = {}
        self._names = [f"0x{number:064x}" for number in range(markets)]
        mandates = tuple(_mandate(name) for name in self._names)
        self.desk.take_allocation(Allocation(term=1, sent_ns=1, life_ns=LIFE_NS, mandates=mandates))
        for source in SENTINELS:
            self.desk.take_health(
                FeedHealth(
                    source=source, sent_ns=1, is_live=True, last_frame_ns=1, markets=markets, reason=None
                )
            )
        for second in range(60):
            self.desk.take_reference(_reference(second))
        for number, name in enumerate(self._names):
            self.desk.take_reply(Inventory(market=name, yes_e6=30 * MICRO, no_e6=0), self.now_ns)
            self.desk.take_book(self.next_book(number), self.now_ns)
        for plan in self.desk.plans(self.now_ns):
            self.carry_out(plan)

    def next_book(self, number: int) -> BookState:
        """The next state of the next market; its touch moves."""
        self.now_ns += 400 * NS_PER_MS // len(self._names)
        bid_e4 = 4_900 + 100 * _WALK[number // len(self._names) % len(_WALK)]
        ask_e4 = bid_e4 + 100
        levels = ((120, 300, 800), (90, 310, 780))
        return BookState(
            market=self._names[number % len(self._names)],
            source=SENTINELS[0],
            sequence=number + 1,
            epoch=1,
            received_ns=self.now_ns,
            server_ms=60_000,
            tick_e4=100,
            bid_e4=bid_e4,
            bid_size_e6=levels[0][0] * MICRO,
            ask_e4=ask_e4,
            ask_size_e6=levels[1][0] * MICRO,
            bids=tuple((bid_e4 - 100 * n, size * MICRO) for n, size in enumerate(levels[0])),
            asks=tuple((ask_e4 + 100 * n, size * MICRO) for n, size in enumerate(levels[1])),
            microprice=(bid_e4 * 90 + ask_e4 * 120) / 2_100_000,
            imbalance=0.1,
            depth_imbalance=0.1,
            order_flow=12.0,
            trade_flow=-3.0,
            volatility=0.03,
            sweep=None,
            fingerprint=number,
            proven_ms=60_000,
            integrity=1.0,
            is_valid=True,
            reason=None,
        )

    def fill(self, number: int) -> None:
        """One of the orders of the market whose book comes next trades, bids and asks in turn."""
        market, turn = self._names[number % len(self._names)], number // len(self._names) % 2
        side = (Side.BUY, Side.SELL)[turn]
        for order in [order for order in self._live.values() if (order.market, order.side) == (market, side)]:
            filled = msgspec.structs.replace(order, state=OrderState.FILLED, remaining_e6=0)
            del self._live[order.order_id]
            self.desk.take_reply(filled, self.now_ns)

    def carry_out(self, plan: Plan) -> None:
        """Every cancel and place succeeds."""
        for order_id in plan.cancels:
            gone = msgspec.structs.replace(self._live.pop(order_id), state=OrderState.CANCELLED)
            self.desk.take_reply(gone, self.now_ns)
        for place in plan.places:
            order = OrderUpdate(
                market=plan.market,
                ref=place.ref,
                order_id=f"0x{next(self._ids)}",
                state=OrderState.LIVE,
                side=place.side,
                price_e4=place.price_e4,
                remaining_e6=place.size_e6,
                reason=None,
            )
            self._live[order.order_id] = order
            self.desk.take_reply(order, self.now_ns)
        self.desk.take_reply(
            PlanDone(market=plan.market, decided_ns=plan.decided_ns, refused=None), self.now_ns
        )
        # What the replies made due is decided here, untimed.
        for following in self.desk.plans(self.now_ns):
            self.carry_out(following)


def _mandate(name: str) -> Mandate:
    market = Market(
        condition_id=name,
        slug="btc-updown-15m",
        underlying="BTC",
        yes_token="1",
        no_token="2",
        tick_e4=100,
        min_size_e6=5 * MICRO,
        neg_risk=False,
        is_open=True,
        closes_ms=600_000,
        settlement=PriceSettlement(window_s=60, opens_ms=None, strike_usd=65_000.0),
        rebate_rate=0.014,
        rewards=RewardTerms(daily_usd=120.0, min_size_e6=20 * MICRO, max_spread_e4=450),
    )
    return Mandate(
        market=market,
        quoter="quoter-1",
        epoch=1,
        capital_e6=500 * MICRO,
        max_position_e6=200 * MICRO,
        order_size_e6=25 * MICRO,
    )


def _reference(second: int) -> ReferencePrice:
    return ReferencePrice(
        underlying="BTC",
        feed="chainlink",
        source="sentinel-1",
        value_e6=65_000 * MICRO + second % 7 * MICRO,
        source_ms=second * 1_000,
        received_ns=1,
        is_synthetic=True,
    )
