"""The quoter's desk when a feed, a mandate or the engine is lost, and the time that counts as absence."""

import msgspec

from clawswarm.agents.quoter.desk import REVIEW_NS
from clawswarm.agents.quoter.holding import REFUSED_PAUSE_NS
from clawswarm.agents.quoter.sources import CROSSED_GRACE_NS
from clawswarm.kernel.clock import NS_PER_S
from unit.agents.quoter_story import LIFE_NS, MANDATE, Story, quoting


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


def test_a_market_that_comes_back_is_quoted_by_new_books_and_a_new_holding_alone() -> None:
    story = quoting()
    story.later()
    story.allocate(msgspec.structs.replace(MANDATE, quoter="quoter-2", epoch=4))
    withdrawal = story.plan()
    story.book(0.7)  # it was under way
    story.carry_out(withdrawal)
    assert story.live == {}
    story.later(NS_PER_S)
    story.allocate(msgspec.structs.replace(MANDATE, epoch=5))
    story.pulse()
    assert story.plans() == []
    story.hold()
    assert story.plans() == []
    story.book(0.3)
    assert [place.price_e4 for place in story.plan().places] == [2900, 3100]

    story = quoting()
    story.later()
    story.allocate(msgspec.structs.replace(MANDATE, quoter="quoter-2", epoch=4))
    story.carry_out(story.plan())
    story.later()
    story.allocate(msgspec.structs.replace(MANDATE, epoch=5))
    story.book(0.3)
    assert story.plans() == []
    story.hold(20)
    assert story.plan().places


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
