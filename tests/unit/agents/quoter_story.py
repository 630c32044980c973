"""What the tests of the quoter's desk share: a story of messages and time, and a plain strategy."""

import itertools
import math
from collections.abc import Callable

import msgspec

from clawswarm.agents.quoter.desk import QuoterDesk
from clawswarm.agents.quoter.pricing import QuoterSettings
from clawswarm.agents.quoter.strategy import MarketView, TargetQuote, order_size_e6
from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S
from clawswarm.model.instruments import Market, Side
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
)

SHARE = 1_000_000
MARKET = Market("0xc", "btc-updown", "BTC", "yes", "no", 100, 5 * SHARE, False, True, None)
MANDATE = Mandate(
    market=MARKET,
    quoter="quoter-1",
    epoch=3,
    capital_e6=1_000 * SHARE,
    max_position_e6=200 * SHARE,
    order_size_e6=20 * SHARE,
)
SETTINGS = QuoterSettings(
    requote_ticks=2,
    feed_timeout_s=0.5,
    widen_below=0.8,
    widen_factor=2.0,
    pull_below=0.4,
)
LIFE_NS = 10 * NS_PER_S
START_NS = 1_000 * NS_PER_S


class PlainQuoter:
    """A cent around the microprice, leaning against inventory; half a cent too generous is kept."""

    def __init__(self) -> None:
        self.fills: list[tuple[Side, int, int]] = []

    def quotes(self, view: MarketView) -> list[TargetQuote] | None:
        book = view.book
        if book.microprice is None or book.bid_e4 is None or book.ask_e4 is None:
            return []
        ratio = view.inventory.net_e6 / view.mandate.max_position_e6
        fair_e4 = book.microprice * 10_000 - 600 * ratio
        half_e4 = 99 + 50 * abs(ratio)
        targets = []
        for side, room in ((Side.BUY, (100, book.ask_e4 - 100)), (Side.SELL, (book.bid_e4 + 100, 9_900))):
            exact_e4 = (fair_e4 - side.sign * half_e4) * side.sign
            price_e4 = min(max(math.floor(exact_e4 / 100) * 100 * side.sign, room[0]), room[1])
            hold_e4 = math.floor(exact_e4 + 50) * side.sign
            size_e6 = order_size_e6(side, view.mandate, view.inventory)
            if size_e6 >= view.mandate.market.min_size_e6:
                targets.append(TargetQuote(side, price_e4, hold_e4, size_e6))
        return targets

    def take_fill(self, side: Side, price_e4: int, size_e6: int, now_ns: int) -> None:
        assert now_ns > 0
        self.fills.append((side, price_e4, size_e6))


class Story:
    """A desk, its clock, and an engine that answers when it is told to."""

    def __init__(self, *mandates: Mandate, make_strategy: Callable[[], PlainQuoter] = PlainQuoter) -> None:
        self.strategies: list[PlainQuoter] = []

        def make() -> PlainQuoter:
            self.strategies.append(make_strategy())
            return self.strategies[-1]

        self.desk = QuoterDesk("quoter-1", SETTINGS, make)
        self.now = START_NS
        self.live: dict[str, OrderUpdate] = {}
        self._sequence = itertools.count(1)
        self._ids = itertools.count(1)
        self.allocate(*(mandates or (MANDATE,)))
        self.pulse()

    def allocate(self, *mandates: Mandate, term: int = 1) -> None:
        self.desk.take_allocation(Allocation(term=term, sent_ns=self.now, life_ns=LIFE_NS, mandates=mandates))

    def pulse(self, is_live: bool = True, source: str = "sentinel-1") -> None:
        self.desk.take_health(
            FeedHealth(
                source=source,
                sent_ns=self.now,
                is_live=is_live,
                last_frame_ns=self.now,
                markets=1,
                reason=None,
            )
        )

    def book(
        self,
        microprice: float = 0.5,
        market: str = "0xc",
        reason: str | None = None,
        source: str = "sentinel-1",
        tick_e4: int = 100,
    ) -> BookState:
        cents = round(microprice * 100)
        state = BookState(
            market=market,
            source=source,
            sequence=next(self._sequence),
            epoch=1,
            received_ns=self.now,
            server_ms=0,
            tick_e4=tick_e4,
            bid_e4=(cents - 4) * 100,
            bid_size_e6=10 * SHARE,
            ask_e4=(cents + 4) * 100,
            ask_size_e6=10 * SHARE,
            bids=(((cents - 4) * 100, 10 * SHARE),),
            asks=(((cents + 4) * 100, 10 * SHARE),),
            microprice=None if reason else microprice,
            imbalance=None if reason else 0.0,
            depth_imbalance=None if reason else 0.0,
            order_flow=0.0,
            trade_flow=0.0,
            volatility=None,
            sweep=None,
            fingerprint=cents,
            proven_ms=0,
            integrity=1.0,
            is_valid=reason is None,
            reason=reason,
        )
        self.desk.take_book(state, self.now)
        return state

    def hold(self, net_shares: int = 0, market: str = "0xc") -> None:
        net_e6 = net_shares * SHARE
        held = Inventory(market=market, yes_e6=max(net_e6, 0), no_e6=max(-net_e6, 0))
        self.desk.take_reply(held, self.now)

    def later(self, nanoseconds: int = NS_PER_MS) -> None:
        self.now += nanoseconds

    def plans(self) -> list[Plan]:
        return self.desk.plans(self.now)

    def plan(self) -> Plan:
        (plan,) = self.plans()
        return plan

    def update(self, order: OrderUpdate) -> None:
        self.desk.take_reply(order, self.now)

    def carry_out(self, plan: Plan, refused: str | None = None) -> None:
        """The engine does all of it, or cancels only."""
        for order_id in plan.cancels:
            self.update(msgspec.structs.replace(self.live.pop(order_id), state=OrderState.CANCELLED))
        for place in plan.places if refused is None else ():
            order_id = f"0x{next(self._ids)}"
            self.live[order_id] = OrderUpdate(
                market=plan.market,
                ref=place.ref,
                order_id=order_id,
                state=OrderState.LIVE,
                side=place.side,
                price_e4=place.price_e4,
                remaining_e6=place.size_e6,
                reason=None,
            )
            self.update(self.live[order_id])
        self.done(plan, refused)

    def done(self, plan: Plan, refused: str | None = None) -> None:
        self.desk.take_reply(
            PlanDone(market=plan.market, decided_ns=plan.decided_ns, refused=refused), self.now
        )


def quoting() -> Story:
    """A story in which both sides rest."""
    story = Story()
    story.hold()
    story.book()
    story.carry_out(story.plan())
    assert len(story.live) == 2
    return story
