"""The quoter's desk and the fate of its orders: refusals and pauses, unknown ones, fills."""

import msgspec

from clawswarm.agents.quoter.desk import REVIEW_NS
from clawswarm.agents.quoter.holding import RATE_PAUSE_NS, REFUSED_PAUSE_NS
from clawswarm.model.instruments import Side
from clawswarm.model.messages import OrderState, OrderUpdate, PlanDone, TokenPrice
from unit.agents.quoter_story import MANDATE, SHARE, Story, quoting


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
    story.desk.take_reply(TokenPrice(shadow_price=1e9), story.now)
    story.book()
    assert story.plans() == []
    story.desk.take_reply(TokenPrice(shadow_price=1.0), story.now)
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


def test_fills_are_told_to_the_strategy() -> None:
    story = quoting()
    order = next(iter(story.live.values()))
    part = msgspec.structs.replace(order, remaining_e6=order.remaining_e6 - 5 * SHARE)
    story.update(part)
    story.update(msgspec.structs.replace(part, state=OrderState.FILLED, remaining_e6=0))
    assert story.strategies[0].fills == [
        (order.side, order.price_e4, 5 * SHARE),
        (order.side, order.price_e4, 15 * SHARE),
    ]
