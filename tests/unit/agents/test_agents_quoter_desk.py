"""The quoter's state machine, told a story: messages and the time in, plans out."""

import itertools
import math

import msgspec

from clawswarm.agents.quoter.desk import RATE_PAUSE_NS, REFUSED_PAUSE_NS, REVIEW_NS, QuoterDesk
from clawswarm.agents.quoter.pricing import QuoterSettings
from clawswarm.agents.quoter.sources import CROSSED_GRACE_NS
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
    ReferencePrice,
    TokenPrice,
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

    def quotes(self, view: MarketView) -> list[TargetQuote]:
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

    def __init__(self, *mandates: Mandate) -> None:
        self.desk = QuoterDesk("quoter-1", SETTINGS, PlainQuoter)
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


def test_a_plan_names_the_tick_of_its_book_whatever_the_mandate_knows() -> None:
    story = Story()
    story.hold()
    story.book(tick_e4=10)
    plan = story.plan()
    assert (MARKET.tick_e4, plan.tick_e4) == (100, 10)
    assert plan.places


def test_allocation_inventory_pulse_and_book_make_a_plan() -> None:
    story = Story()
    assert story.plans() == []
    story.book()
    assert story.plans() == []
    story.hold()
    story.later()
    plan = story.plan()
    assert [(place.side, place.price_e4, place.size_e6) for place in plan.places] == [
        (Side.BUY, 4900, 20 * SHARE),
        (Side.SELL, 5100, 20 * SHARE),
    ]
    assert (plan.market, plan.term, plan.epoch, plan.cancels) == ("0xc", 1, 3, ())
    assert (plan.book_sequence, plan.decided_ns) == (1, story.now)
    assert plan.value > 0


def test_without_a_pulse_nothing_is_quoted() -> None:
    story = Story()
    story.later(NS_PER_S)
    story.hold()
    story.book()
    assert story.plans() == []


def test_references_are_never_used_twice() -> None:
    story = quoting()
    refs = {update.ref for update in story.live.values()}
    story.later()
    story.book(0.6)
    plan = story.plan()
    assert refs.isdisjoint(place.ref for place in plan.places)
    assert len({place.ref for place in plan.places}) == len(plan.places)


def test_no_second_plan_while_one_is_under_way() -> None:
    story = Story()
    story.hold()
    story.book()
    first = story.plan()
    for microprice in (0.6, 0.4, 0.55):
        story.later()
        story.book(microprice)
        assert story.plans() == []
    story.carry_out(first)
    second = story.plan()
    assert set(second.cancels) == set(story.live)
    assert second.book_sequence == 4


def test_one_market_under_way_does_not_hold_up_another() -> None:
    other = msgspec.structs.replace(
        MANDATE, market=msgspec.structs.replace(MARKET, condition_id="0xd"), epoch=7
    )
    story = Story(MANDATE, other)
    for market in ("0xc", "0xd"):
        story.hold(market=market)
    story.book()
    assert story.plan().market == "0xc"
    story.book(market="0xd")
    plan = story.plan()
    assert (plan.market, plan.epoch) == ("0xd", 7)


def test_what_rests_well_is_left_alone() -> None:
    story = quoting()
    for _ in range(5):
        story.later()
        story.book()
        assert story.plans() == []


def test_a_moved_book_replaces_both_orders() -> None:
    story = quoting()
    before = set(story.live)
    story.later()
    state = story.book(0.6)
    plan = story.plan()
    assert set(plan.cancels) == before
    assert [place.price_e4 for place in plan.places] == [5900, 6100]
    assert plan.book_received_ns == state.received_ns


def test_only_the_first_look_at_a_book_counts_as_a_tick() -> None:
    story = Story()
    story.book()
    assert story.plans() == []
    story.later()
    story.hold()
    assert story.plan().book_received_ns is None


def test_a_fill_is_answered_with_a_new_order_on_its_side() -> None:
    story = quoting()
    bid = next(update for update in story.live.values() if update.side is Side.BUY)
    story.hold(20)
    story.update(msgspec.structs.replace(bid, state=OrderState.FILLED, remaining_e6=0))
    del story.live[bid.order_id]
    story.later()
    plan = story.plan()
    assert Side.BUY in [place.side for place in plan.places]


def test_a_partial_fill_below_half_is_topped_up() -> None:
    story = quoting()
    bid = next(update for update in story.live.values() if update.side is Side.BUY)
    story.update(msgspec.structs.replace(bid, remaining_e6=12 * SHARE))
    assert story.plans() == []
    story.update(msgspec.structs.replace(bid, remaining_e6=9 * SHARE))
    plan = story.plan()
    assert plan.cancels == (bid.order_id,)
    assert [place.size_e6 for place in plan.places] == [20 * SHARE]


def test_a_lost_feed_cancels_everything() -> None:
    story = quoting()
    story.later()
    story.pulse(is_live=False)
    plan = story.plan()
    assert set(plan.cancels) == set(story.live)
    assert plan.places == ()
    story.carry_out(plan)
    assert story.plans() == []


def test_a_silent_sentinel_cancels_everything_and_the_other_one_prevents_it() -> None:
    story = quoting()
    story.later(NS_PER_S // 2)
    assert story.plans() == []
    story.later(REVIEW_NS)
    assert set(story.plan().cancels) == set(story.live)

    story = quoting()
    story.later(NS_PER_S)
    story.pulse(source="sentinel-2")
    story.book(source="sentinel-2")
    assert story.plans() == []


def test_an_invalid_book_cancels_everything() -> None:
    story = quoting()
    story.later()
    story.book(reason="no snapshot")
    assert set(story.plan().cancels) == set(story.live)


def test_a_book_crossed_for_a_moment_changes_nothing() -> None:
    story = quoting()
    story.later()
    story.book(reason="crossed")
    assert story.plans() == []
    story.later(CROSSED_GRACE_NS)
    assert story.plans() == []
    story.later(REVIEW_NS)
    plan = story.plan()
    assert set(plan.cancels) == set(story.live)
    assert plan.places == ()


def test_a_crossed_book_that_heals_in_time_is_quoted_on() -> None:
    story = quoting()
    story.later()
    story.book(reason="crossed")
    story.later()
    story.book()
    assert story.plans() == []
    assert story.live


def test_a_mandate_that_runs_out_cancels_everything_and_a_renewal_quotes_again() -> None:
    story = quoting()
    story.later(LIFE_NS - 1)
    story.pulse()
    assert story.plans() == []
    story.later(1)
    plan = story.plan()
    assert set(plan.cancels) == set(story.live)
    assert plan.places == ()
    story.carry_out(plan, refused="mandate: this market is not yours")
    assert story.desk.markets == set()
    story.later(REFUSED_PAUSE_NS)
    story.allocate(MANDATE)
    assert len(story.plan().places) == 2


def test_a_market_that_moved_away_is_cancelled() -> None:
    story = quoting()
    story.later()
    story.allocate(msgspec.structs.replace(MANDATE, quoter="quoter-2", epoch=4))
    assert story.desk.markets == set()
    assert set(story.plan().cancels) == set(story.live)


def test_an_older_allocation_changes_nothing() -> None:
    story = Story()
    story.later(-1)
    story.allocate()
    assert story.desk.markets == {"0xc"}
    story.later(NS_PER_S)
    story.allocate(term=0)
    assert story.desk.markets == {"0xc"}
    story.allocate(term=2)
    assert story.desk.markets == set()


def test_a_lost_engine_is_forgotten_with_its_orders_and_its_plan() -> None:
    story = quoting()
    story.later()
    story.book(0.6)
    story.plan()
    story.desk.engine_lost()
    assert story.plans() == []
    story.hold()
    plan = story.plan()
    assert plan.cancels == ()
    assert len(plan.places) == 2


def test_a_refused_plan_pauses_the_market() -> None:
    story = Story()
    story.hold()
    story.book()
    story.done(story.plan(), refused="halted: operator")
    for _ in range(5):
        story.later(REFUSED_PAUSE_NS // 5 - 1)
        story.book(0.6)
        assert story.plans() == []
    story.later(REVIEW_NS)
    assert len(story.plan().places) == 2


def test_one_that_was_outbid_for_a_token_tries_again_soon() -> None:
    story = Story()
    story.hold()
    story.book()
    story.done(story.plan(), refused="rate: 2 orders asked, 1 tokens left")
    story.later(RATE_PAUSE_NS - 1)
    story.book(0.6)
    assert story.plans() == []
    story.later(REVIEW_NS)
    assert len(story.plan().places) == 2


def test_what_is_worth_less_than_a_token_costs_is_not_asked_for() -> None:
    story = Story()
    story.hold()
    story.desk.take_reply(TokenPrice(shadow_price=1e9, scarcity=2.0), story.now)
    story.book()
    assert story.plans() == []
    story.desk.take_reply(TokenPrice(shadow_price=1.0, scarcity=2.0), story.now)
    story.later(REVIEW_NS)
    assert len(story.plan().places) == 2


def test_where_positions_may_only_be_made_smaller_it_quotes_the_exit_alone() -> None:
    story = Story(msgspec.structs.replace(MANDATE, is_reduce_only=True))
    story.hold()
    story.book()
    assert story.plans() == []
    story.hold(15)
    (exit_order,) = story.plan().places
    assert (exit_order.side, exit_order.size_e6) == (Side.SELL, 15_000_000)


def test_a_pause_never_holds_back_a_cancel() -> None:
    story = quoting()
    story.later()
    story.book(0.51)
    story.book(0.55)
    story.carry_out(story.plan())
    story.desk.take_reply(PlanDone(market="0xc", decided_ns=story.now, refused="halted: operator"), story.now)
    story.later()
    story.pulse(is_live=False)
    assert set(story.plan().cancels) == set(story.live)


def test_an_order_the_venue_refused_waits_for_a_newer_book() -> None:
    story = Story()
    story.hold()
    story.book()
    plan = story.plan()
    for place in plan.places:
        story.update(
            OrderUpdate(
                market="0xc",
                ref=place.ref,
                order_id="0xbad",
                state=OrderState.REJECTED,
                side=place.side,
                price_e4=place.price_e4,
                remaining_e6=place.size_e6,
                reason="order crosses the book",
            )
        )
    story.done(plan)
    story.later()
    assert story.plans() == []
    story.book()
    assert len(story.plan().places) == 2


def test_an_order_the_venue_refused_is_tried_again_after_the_pause() -> None:
    story = Story()
    story.hold()
    story.book()
    plan = story.plan()
    refused = OrderUpdate(
        market="0xc",
        ref=plan.places[0].ref,
        order_id="0xbad",
        state=OrderState.REJECTED,
        side=Side.BUY,
        price_e4=4900,
        remaining_e6=0,
        reason="not enough balance",
    )
    story.update(refused)
    story.done(plan)
    story.later(REFUSED_PAUSE_NS - 1)
    story.pulse()
    assert story.plans() == []
    story.later(REVIEW_NS)
    assert story.plan().places


def test_an_order_of_unknown_fate_counts_as_open_and_is_cancelled_if_generous() -> None:
    story = Story()
    story.hold()
    story.book()
    plan = story.plan()
    bid = plan.places[0]
    unknown = OrderUpdate(
        market="0xc",
        ref=bid.ref,
        order_id="0xmaybe",
        state=OrderState.UNKNOWN,
        side=bid.side,
        price_e4=bid.price_e4,
        remaining_e6=bid.size_e6,
        reason="POST /order: TimeoutError",
    )
    story.update(unknown)
    story.done(plan)
    story.later()
    assert [place.side for place in story.plan().places] == [Side.SELL]

    story = Story()
    story.hold()
    story.book()
    story.update(unknown)
    story.book(0.4)
    assert "0xmaybe" in story.plan().cancels


def test_a_cancelled_order_is_replaced() -> None:
    story = quoting()
    ask = next(update for update in story.live.values() if update.side is Side.SELL)
    story.update(msgspec.structs.replace(ask, state=OrderState.CANCELLED))
    story.later()
    plan = story.plan()
    assert (plan.cancels, [place.side for place in plan.places]) == ((), [Side.SELL])


def test_at_the_largest_position_only_the_reducing_side_is_quoted() -> None:
    story = Story()
    story.hold(200)
    story.book()
    assert [place.side for place in story.plan().places] == [Side.SELL]


def test_a_message_makes_only_its_own_markets_due() -> None:
    other = msgspec.structs.replace(MARKET, condition_id="0xd", underlying="ETH")
    story = Story(MANDATE, msgspec.structs.replace(MANDATE, market=other))
    for market in ("0xc", "0xd"):
        story.hold(market=market)
        story.book(market=market)
    assert [plan.market for plan in story.plans()] == ["0xc", "0xd"]
    asked: list[str] = []
    story.desk._plan = lambda market, now, **_: asked.append(market)  # type: ignore[method-assign,assignment,return-value,func-returns-value]

    def due() -> list[str]:
        asked.clear()
        assert story.plans() == []
        return list(asked)

    for market in ("0xc", "0xd"):
        story.desk.take_reply(PlanDone(market=market, decided_ns=0, refused=None), story.now)
    assert due() == ["0xc", "0xd"]
    assert due() == []
    story.book(0.6, market="0xd")
    assert due() == ["0xd"]
    price = ReferencePrice(
        underlying="ETH",
        feed="chainlink",
        source="sentinel-1",
        value_e6=3,
        source_ms=1,
        received_ns=1,
        is_synthetic=True,
    )
    story.desk.take_reference(price)
    assert due() == ["0xd"]
    # The second sentinel tells the same.
    story.desk.take_reference(msgspec.structs.replace(price, source="sentinel-2"))
    assert due() == []
    story.later(REVIEW_NS)
    assert due() == ["0xc", "0xd"]


def test_fills_are_told_to_the_strategy() -> None:
    story = quoting()
    order = next(iter(story.live.values()))
    part = msgspec.structs.replace(order, remaining_e6=order.remaining_e6 - 5 * SHARE)
    story.update(part)
    story.update(msgspec.structs.replace(part, state=OrderState.FILLED, remaining_e6=0))
    strategy = story.desk._strategies["0xc"]
    assert isinstance(strategy, PlainQuoter)
    assert strategy.fills == [
        (order.side, order.price_e4, 5 * SHARE),
        (order.side, order.price_e4, 15 * SHARE),
    ]


def test_only_the_time_in_which_the_market_could_not_be_quoted_is_excused() -> None:
    story = quoting()

    def excused_s(seconds: int) -> float:
        """Beyond what was excused before, once the last word has been judged."""
        for plan in story.plans():
            story.carry_out(plan)
        story.later(REVIEW_NS)
        story.pulse()
        story.plans()
        before = story.desk.untradeable_s
        story.later(seconds * NS_PER_S)
        story.pulse()
        story.plans()
        return story.desk.untradeable_s - before

    assert excused_s(1) == 0.0
    story.hold(net_shares=195)
    assert excused_s(2) == 2.0
    # Without a usable book nothing is known, so nothing is excused.
    story.book(reason="crossed")
    story.later(2 * CROSSED_GRACE_NS)
    assert excused_s(1) == 0.0
