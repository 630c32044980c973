"""The quoter's desk: which plans it makes of what it is told, and when."""

import msgspec

from clawswarm.agents.quoter.desk import CONTENT_NS, REVIEW_NS
from clawswarm.agents.quoter.sources import UNRESOLVED_NS
from clawswarm.agents.quoter.strategy import MarketView
from clawswarm.kernel.clock import NS_PER_S
from clawswarm.model.instruments import PriceSettlement, Side
from clawswarm.model.messages import OrderState, ReferencePrice
from unit.agents.quoter_story import LIFE_NS, MANDATE, MARKET, SHARE, PlainQuoter, Story, quoting


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
    asked: list[str] = []

    class Patient(PlainQuoter):
        def quotes(self, view: MarketView) -> None:
            asked.append(view.book.market)

    story = Story(MANDATE, msgspec.structs.replace(MANDATE, market=other), make_strategy=Patient)
    for market in ("0xc", "0xd"):
        story.hold(market=market)
        story.book(market=market)

    def due() -> list[str]:
        asked.clear()
        assert story.plans() == []
        return list(asked)

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
    # Nor is there anything new in a review, until the strategy wants to see what time has done.
    story.later(REVIEW_NS)
    assert due() == []
    story.later(CONTENT_NS)
    story.pulse()
    assert due() == ["0xc", "0xd"]


def test_what_changes_nothing_makes_no_market_due() -> None:
    asked: list[str] = []

    class Patient(PlainQuoter):
        def quotes(self, view: MarketView) -> None:
            asked.append(view.book.source)

    story = Story(make_strategy=Patient)
    story.pulse(source="sentinel-2")
    story.hold()
    story.book()
    assert (story.plans(), asked) == ([], ["sentinel-1"])
    story.later(REVIEW_NS)
    story.book(source="sentinel-2")
    story.allocate(MANDATE)
    assert (story.plans(), asked) == ([], ["sentinel-1"])
    # The sentinel that is quoted from falls silent: the other one's book is there at once.
    story.desk.source_lost("sentinel-1", story.now)
    assert (story.plans(), asked) == ([], ["sentinel-1", "sentinel-2"])
    # Another mandate is thought about, the same one after it had run out as well.
    story.allocate(msgspec.structs.replace(MANDATE, epoch=MANDATE.epoch + 1))
    story.later()
    story.allocate(msgspec.structs.replace(MANDATE, epoch=MANDATE.epoch + 1))
    assert (story.plans(), len(asked)) == ([], 3)
    story.later(LIFE_NS)
    story.pulse(source="sentinel-2")
    assert (story.plans(), len(asked)) == ([], 3)
    story.allocate(msgspec.structs.replace(MANDATE, epoch=MANDATE.epoch + 1))
    assert (story.plans(), len(asked)) == ([], 4)


def test_only_books_of_the_sentinel_that_is_quoted_from_wake_until_it_ends() -> None:
    story = Story()

    def waking() -> list[str]:
        return [source for source in ("sentinel-1", "sentinel-2") if story.desk.quotes_from(source, "0xc")]

    story.pulse(source="sentinel-2")
    assert waking() == ["sentinel-1", "sentinel-2"]
    story.hold()
    first = story.book(source="sentinel-2")
    late = msgspec.structs.replace(first, source="sentinel-1", sequence=9)
    assert not story.desk.take_book(late, story.now)
    assert story.desk.take_book(msgspec.structs.replace(first, sequence=10), story.now)
    story.carry_out(story.plan())
    assert waking() == ["sentinel-2"]
    story.desk.source_lost("sentinel-2", story.now)
    assert waking() == ["sentinel-1", "sentinel-2"]
    story.later(REVIEW_NS)
    story.plans()
    assert waking() == ["sentinel-1"]
    # Where no book is left to quote from, every one may be the next.
    story.book(reason="no snapshot")
    assert waking() == ["sentinel-1", "sentinel-2"]


def test_a_book_believed_less_is_looked_at_in_the_next_review() -> None:
    story = quoting()
    story.pulse(source="sentinel-2")
    story.book(0.3, source="sentinel-2")
    began_ns = story.now
    while story.live and story.now - began_ns < 2 * UNRESOLVED_NS:
        story.later(REVIEW_NS)
        for source in ("sentinel-1", "sentinel-2"):
            story.pulse(source=source)
        for plan in story.plans():
            story.carry_out(plan)
    # The sentinels have differed for so long that nothing is believed.
    assert UNRESOLVED_NS <= story.now - began_ns <= UNRESOLVED_NS + REVIEW_NS


def test_a_market_hears_the_feed_it_settles_with_and_no_other_ones() -> None:
    hourly = msgspec.structs.replace(
        MARKET,
        condition_id="0xd",
        settlement=PriceSettlement(window_s=0, opens_ms=1, strike_usd=3.0, feed="binance"),
    )
    seen: list[tuple[str, bool]] = []

    class Patient(PlainQuoter):
        def quotes(self, view: MarketView) -> None:
            seen.append((view.book.market, view.path is not None))

    story = Story(MANDATE, make_strategy=Patient)
    assert story.desk.feeds == {"chainlink"}
    story.allocate(MANDATE, msgspec.structs.replace(MANDATE, market=hourly), term=2)
    assert story.desk.feeds == {"chainlink", "binance"}
    assert story.desk.concerns("binance", "BTC", "sentinel-1")
    assert not story.desk.concerns("binance", "ETH", "sentinel-1")
    assert not story.desk.concerns("pyth", "BTC", "sentinel-1")
    for market in ("0xc", "0xd"):
        story.hold(market=market)
        story.book(market=market)
    story.plans()
    for feed, concerned in (
        ("binance", [("0xd", True)]),
        ("pyth", []),
        ("chainlink", [("0xc", True), ("0xd", True)]),
    ):
        seen.clear()
        price = ReferencePrice(
            underlying="BTC",
            feed=feed,
            source="sentinel-1",
            value_e6=3 * SHARE,
            source_ms=1,
            received_ns=1,
            is_synthetic=True,
        )
        story.desk.take_reference(price)
        assert story.plans() == []
        assert seen == concerned


def test_a_price_wakes_once_by_whichever_sentinel_told_the_last_one_first() -> None:
    story = Story(MANDATE)

    def waking() -> list[str]:
        sentinels = ("sentinel-1", "sentinel-2")
        return [source for source in sentinels if story.desk.concerns("chainlink", "BTC", source)]

    def tell(source: str, source_ms: int) -> None:
        price = ReferencePrice(
            underlying="BTC",
            feed="chainlink",
            source=source,
            value_e6=3 * SHARE,
            source_ms=source_ms,
            received_ns=1,
            is_synthetic=True,
        )
        story.desk.take_reference(price)

    assert waking() == ["sentinel-1", "sentinel-2"]
    tell("sentinel-2", 1)
    tell("sentinel-1", 1)
    assert waking() == ["sentinel-2"]
    # The second one falls behind, or silent: the next price of the first makes it the one to listen to.
    tell("sentinel-1", 2)
    assert waking() == ["sentinel-1"]
