"""The quoter's own estimate of its liquidity rewards beside what the sandbox's sampling gives it.

Three virtual hours of one market: two rival makers move with a wandering fair value and between the
samples, a taker comes now and then, and the built-in strategy quotes, carried out at the exchange. The
estimate is the sum over time of `Decision.reward`; the venue samples once a minute and shares out by its
own code.
"""

from contextlib import suppress
from random import Random

import pytest
from exchange_bench import MS, SHARE, USD, Bench

from clawswarm.agents.quoter.pricing import QuadraticQuoter
from clawswarm.agents.quoter.strategy import MarketView
from clawswarm.model import instruments
from clawswarm.model.instruments import Side
from clawswarm.model.messages import BookState, Inventory, Mandate
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.markets import RewardTerms
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.rewards.payments import NS_PER_DAY, day_of
from clawswarm.sandbox.rewards.program import RewardProgram

MIDNIGHT_NS = 20_900 * NS_PER_DAY
HOURS, STEP_S = 3, 5
TICK_E4, LEVELS = 100, 5
TERMS = RewardTerms(min_size_e6=50 * SHARE, max_spread_e4=450, daily_rate_e6=2_400 * USD)


class Table:
    """The venue, its rivals, and one quoter's orders on it."""

    def __init__(self, seed: int) -> None:
        self.rng, self.middle = Random(seed), 50.0
        self.bench = Bench(rewards=TERMS, end_ms=MIDNIGHT_NS // MS + NS_PER_DAY // MS)
        self.bench.now_ns = MIDNIGHT_NS
        self.program = RewardProgram(self.bench.exchange, seed)
        self.program.advance(MIDNIGHT_NS)
        for name in ("ours", "rival", "other", "taker"):
            self.bench.account(name, 1_000_000 * USD)
            self.bench.give_tokens(name, 100_000)
        market = self.bench.market
        listed = instruments.Market(
            condition_id=market.condition_id,
            slug=market.slug,
            underlying="BTC",
            yes_token=market.yes_token,
            no_token=market.no_token,
            tick_e4=TICK_E4,
            min_size_e6=market.min_size_e6,
            neg_risk=False,
            is_open=True,
            closes_ms=None,
            rewards=instruments.RewardTerms(
                daily_usd=TERMS.daily_rate_e6 / USD,
                min_size_e6=TERMS.min_size_e6,
                max_spread_e4=TERMS.max_spread_e4,
            ),
        )
        self.mandate = Mandate(
            market=listed,
            quoter="quoter-1",
            epoch=1,
            capital_e6=5_000 * USD,
            max_position_e6=2_000 * SHARE,
            order_size_e6=100 * SHARE,
        )
        self.strategy = QuadraticQuoter()
        self.estimate_usd, self.tradeable, self.two_sided, self.net_e6 = 0.0, 0, 0, 0

    def rivals_move(self) -> None:
        """Two makers around a wandering middle: each requotes everything now and then."""
        self.middle = min(max(self.middle + self.rng.gauss(0, 0.4), 30.0), 70.0)
        for name, width in (("rival", 1), ("other", 2)):
            if self.open_orders(name) and self.rng.random() < 0.7:
                continue
            self.withdraw(name)
            for away in range(width, width + 3):
                shares = self.rng.randint(60, 300)
                for is_bid in (True, False):
                    tick = int(self.middle) - away + 1 if is_bid else int(self.middle) + away
                    # One that would meet another's old quote waits until that has moved too.
                    with suppress(VenueRefusal):
                        self.rest(name, is_bid, tick * TICK_E4, shares)

    def rest(self, name: str, is_bid: bool, price_e4: int, shares: float) -> None:
        outcome, own = ("YES", price_e4) if is_bid else ("NO", 10_000 - price_e4)
        self.bench.place(name, "BUY", outcome, own, shares, is_post_only=True)

    def open_orders(self, name: str) -> list[Order]:
        return list(self.bench.exchange.open_orders(f"0x{name}"))

    def withdraw(self, name: str) -> None:
        for order in self.open_orders(name):
            self.bench.exchange.cancel(order, self.bench.now_ns)

    def view(self) -> MarketView | None:
        book = self.bench.exchange.books[self.bench.market.condition_id]
        bids, asks = (
            tuple((level.price_e4, level.total_e6) for level in list(side.best_first())[:LEVELS])
            for side in (book.bids, book.asks)
        )
        if not bids or not asks:
            return None
        (bid_e4, bid_e6), (ask_e4, ask_e6) = bids[0], asks[0]
        state = BookState(
            market=self.bench.market.condition_id,
            source="sentinel-1",
            sequence=1,
            epoch=1,
            received_ns=self.bench.now_ns,
            server_ms=self.bench.now_ns // MS,
            tick_e4=TICK_E4,
            bid_e4=bid_e4,
            bid_size_e6=bid_e6,
            ask_e4=ask_e4,
            ask_size_e6=ask_e6,
            bids=bids,
            asks=asks,
            microprice=(bid_e4 * ask_e6 + ask_e4 * bid_e6) / (bid_e6 + ask_e6) / 10_000,
            imbalance=0.0,
            depth_imbalance=0.0,
            order_flow=0.0,
            trade_flow=0.0,
            volatility=None,
            sweep=None,
            fingerprint=1,
            proven_ms=0,
            integrity=1.0,
            is_valid=True,
            reason=None,
        )
        own = tuple((o.is_bid, o.yes_price_e4, o.remaining_e6) for o in self.open_orders("ours"))
        held = Inventory(market=state.market, yes_e6=max(self.net_e6, 0), no_e6=max(-self.net_e6, 0))
        return MarketView(state, self.mandate, held, None, self.bench.now_ns, 1.0, own)

    def quote(self) -> None:
        """Ask the strategy, carry its targets out, and count what it expects until the next step."""
        view = self.view()
        if view is None:
            return
        decision = self.strategy.decide(view)
        targets = {True: decision.bid, False: decision.ask}
        for order in self.open_orders("ours"):
            target = targets[order.is_bid]
            if target is not None and target[2] and target[0] == order.yes_price_e4:
                continue
            self.bench.exchange.cancel(order, self.bench.now_ns)
        for is_bid, target in targets.items():
            if target is not None and not target[2]:
                self.rest("ours", is_bid, target[0], target[1] / SHARE)
        self.estimate_usd += decision.reward * STEP_S
        self.tradeable += 1
        self.two_sided += len({order.is_bid for order in self.open_orders("ours")}) == 2

    def take(self) -> None:
        """A taker sells to the best bid or buys the best ask, whoever stands there."""
        before = {order.id: order.remaining_e6 for order in self.open_orders("ours")}
        sides = {order.id: order.is_bid for order in self.open_orders("ours")}
        outcome, price_e4 = self.rng.choice((("YES", 9_900), ("NO", 9_900)))
        self.bench.place("taker", "BUY", outcome, price_e4, self.rng.randint(5, 60), order_type="FAK")
        after = {order.id: order.remaining_e6 for order in self.open_orders("ours")}
        for order_id, size_e6 in before.items():
            traded_e6 = size_e6 - after.get(order_id, 0)
            if traded_e6:
                is_bid = sides[order_id]
                self.net_e6 += traded_e6 if is_bid else -traded_e6
                self.strategy.take_fill(Side.BUY if is_bid else Side.SELL, 0, traded_e6, self.bench.now_ns)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_estimate_of_rewards_is_what_the_venue_pays(seed: int) -> None:
    table = Table(seed)
    for step in range(HOURS * 3_600 // STEP_S):
        table.bench.now_ns = MIDNIGHT_NS + step * STEP_S * 1_000 * MS
        table.program.advance(table.bench.now_ns)
        table.bench.exchange.advance(table.bench.now_ns)
        table.rivals_move()
        if step % 6 == 0:
            table.take()
        table.quote()
    table.program.advance(MIDNIGHT_NS + HOURS * 3_600 * 1_000 * MS)
    (earned,) = table.program.earnings(day_of(MIDNIGHT_NS), "0xours")
    paid_usd = earned.amount_e6 / USD
    assert paid_usd > 10.0
    assert table.estimate_usd == pytest.approx(paid_usd, rel=0.10)
    assert table.two_sided >= 0.99 * table.tradeable
