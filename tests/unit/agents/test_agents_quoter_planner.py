"""Targets against open orders: what the plan leaves behind."""

from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.agents.quoter.planner import Changes, OpenQuote, plan_changes
from clawswarm.agents.quoter.strategy import TargetQuote
from clawswarm.model.instruments import Side

TICK = 100
REQUOTE_TICKS = 2
SIZE = 20_000_000


def quote(side: Side, price_e4: int, size_e6: int = SIZE, ref: int = 1) -> OpenQuote:
    return OpenQuote(ref, f"0x{ref}", side, price_e4, size_e6)


def target(side: Side, price_e4: int, size_e6: int = SIZE, hold: int = 0) -> TargetQuote:
    return TargetQuote(side, price_e4, price_e4 + side.sign * hold, size_e6)


def changes(targets: list[TargetQuote], *open_quotes: OpenQuote) -> Changes:
    return plan_changes(targets, open_quotes, TICK, REQUOTE_TICKS)


def test_an_empty_book_is_quoted_and_an_empty_target_is_withdrawn() -> None:
    bid = target(Side.BUY, 4800)
    assert changes([bid]) == Changes((), (bid,))
    resting = (quote(Side.BUY, 4800, ref=1), quote(Side.SELL, 5200, ref=2))
    assert changes([], *resting) == Changes(resting, ())


def test_what_is_right_is_left_alone() -> None:
    both = [target(Side.BUY, 4800), target(Side.SELL, 5200)]
    assert changes(both, quote(Side.BUY, 4800), quote(Side.SELL, 5200, ref=2)) == Changes((), ())


def test_one_tick_too_far_out_is_tolerated_and_two_are_not() -> None:
    bid, ask = target(Side.BUY, 4800), target(Side.SELL, 5200)
    assert changes([bid], quote(Side.BUY, 4700)).cancels == ()
    assert changes([ask], quote(Side.SELL, 5300)).cancels == ()
    assert changes([bid], quote(Side.BUY, 4600)) == Changes((quote(Side.BUY, 4600),), (bid,))
    assert changes([ask], quote(Side.SELL, 5400)) == Changes((quote(Side.SELL, 5400),), (ask,))


def test_a_generous_order_is_replaced_at_once() -> None:
    bid, ask = target(Side.BUY, 4800), target(Side.SELL, 5200)
    assert changes([bid], quote(Side.BUY, 4900)) == Changes((quote(Side.BUY, 4900),), (bid,))
    assert changes([ask], quote(Side.SELL, 5100)) == Changes((quote(Side.SELL, 5100),), (ask,))


def test_an_order_up_to_the_hold_price_is_kept() -> None:
    bid, ask = target(Side.BUY, 4800, hold=100), target(Side.SELL, 5200, hold=100)
    assert changes([bid], quote(Side.BUY, 4900)) == Changes((), ())
    assert changes([ask], quote(Side.SELL, 5100)) == Changes((), ())
    assert changes([bid], quote(Side.BUY, 5000)).cancels == (quote(Side.BUY, 5000),)


def test_a_hold_price_less_generous_than_the_target_changes_nothing() -> None:
    bid = target(Side.BUY, 4800, hold=-50)
    assert changes([bid], quote(Side.BUY, 4800)) == Changes((), ())


def test_an_order_too_large_or_worn_down_by_half_is_replaced() -> None:
    bid = target(Side.BUY, 4800)
    for size_e6, is_kept in ((SIZE, True), (SIZE // 2, True), (SIZE // 2 - 1, False), (SIZE + 1, False)):
        assert (changes([bid], quote(Side.BUY, 4800, size_e6)) == Changes((), ())) is is_kept


def test_of_two_good_orders_one_goes() -> None:
    bid = target(Side.BUY, 4800)
    first, second = quote(Side.BUY, 4800, ref=1), quote(Side.BUY, 4800, ref=2)
    assert changes([bid], first, second) == Changes((second,), ())


sides = st.sampled_from(Side)
ticks = st.integers(1, 99).map(lambda cents: cents * TICK)
sizes = st.integers(500, 3_000).map(lambda hundredths: hundredths * 10_000)


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[TargetQuote], list[OpenQuote]]:
    targets = [
        target(side, draw(ticks), draw(sizes), draw(st.integers(-100, 100)))
        for side in Side
        if draw(st.booleans())
    ]
    count = draw(st.integers(0, 5))
    return targets, [quote(draw(sides), draw(ticks), draw(sizes), ref) for ref in range(1, count + 1)]


@settings(deadline=None, derandomize=True, max_examples=400)
@given(situations(), st.integers(1, 4))
def test_the_plan_applied_to_the_open_orders_gives_the_target(
    situation: tuple[list[TargetQuote], list[OpenQuote]], requote_ticks: int
) -> None:
    targets, open_quotes = situation
    planned = plan_changes(targets, open_quotes, TICK, requote_ticks)
    assert len(planned.cancels) == len({order.ref for order in planned.cancels})
    kept = [order for order in open_quotes if order not in planned.cancels]
    for side in Side:
        wanted = next((t for t in targets if t.side is side), None)
        rests = [order for order in kept if order.side is side]
        placed = [place for place in planned.places if place.side is side]
        if wanted is None:
            assert not rests
            assert not placed
            continue
        assert len(rests) + len(placed) == 1
        assert all(place == wanted for place in placed)
        for order in rests:
            generous = side.sign * (order.price_e4 - wanted.price_e4)
            assert generous <= max(0, side.sign * (wanted.hold_e4 - wanted.price_e4))
            assert generous > -requote_ticks * TICK
            assert wanted.size_e6 / 2 <= order.remaining_e6 <= wanted.size_e6


@settings(deadline=None, derandomize=True)
@given(situations())
def test_generous_orders_are_always_cancelled(situation: tuple[list[TargetQuote], list[OpenQuote]]) -> None:
    targets, open_quotes = situation
    cancelled = {order.ref for order in changes(targets, *open_quotes).cancels}
    for wanted in targets:
        for order in open_quotes:
            limit = max(wanted.side.sign * wanted.hold_e4, wanted.side.sign * wanted.price_e4)
            if order.side is wanted.side and order.side.sign * order.price_e4 > limit:
                assert order.ref in cancelled


@settings(deadline=None, derandomize=True)
@given(situations())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    situation: tuple[list[TargetQuote], list[OpenQuote]],
) -> None:
    targets, open_quotes = situation
    planned = changes(targets, *open_quotes)
    after = [order for order in open_quotes if order not in planned.cancels]
    after += [quote(t.side, t.price_e4, t.size_e6, 100 + n) for n, t in enumerate(planned.places)]
    assert changes(targets, *after) == Changes((), ())
