"""Quoting uptime: market-seconds with both sides, out of market-seconds mandated."""

from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.engine.orders import OwnOrder, OwnOrders
from clawswarm.engine.uptime import QuotingUptime
from clawswarm.kernel.clock import NS_PER_S
from clawswarm.model.instruments import Side


def orders_of(*quotes: tuple[str, Side], unknown: bool = False) -> OwnOrders:
    orders = OwnOrders()
    for number, (market, side) in enumerate(quotes):
        orders.add(OwnOrder(str(number), 1, "q", market, side, 5000, 1, "yes", side, 5000, unknown))
    return orders


BOTH = orders_of(("a", Side.BUY), ("a", Side.SELL))


def test_time_counts_from_the_second_sample_on() -> None:
    uptime = QuotingUptime()
    uptime.sample(["a"], BOTH, 5 * NS_PER_S)
    assert (uptime.mandated_s, uptime.two_sided_s) == (0.0, 0.0)
    uptime.sample(["a"], BOTH, 7 * NS_PER_S)
    assert (uptime.mandated_s, uptime.two_sided_s) == (2.0, 2.0)


def test_only_certain_orders_on_both_sides_of_the_same_market_count() -> None:
    for orders in (
        OwnOrders(),
        orders_of(("a", Side.BUY)),
        orders_of(("a", Side.BUY), ("a", Side.BUY)),
        orders_of(("a", Side.BUY), ("b", Side.SELL)),
        orders_of(("a", Side.BUY), ("a", Side.SELL), unknown=True),
    ):
        uptime = QuotingUptime()
        uptime.sample(["a"], orders, 0)
        uptime.sample(["a"], orders, NS_PER_S)
        assert (uptime.mandated_s, uptime.two_sided_s) == (1.0, 0.0)


def test_every_market_adds_its_own_seconds() -> None:
    uptime = QuotingUptime()
    uptime.sample(["a", "b"], BOTH, 0)
    uptime.sample(["a", "b"], BOTH, NS_PER_S)
    assert (uptime.mandated_s, uptime.two_sided_s) == (2.0, 1.0)


def test_time_without_a_mandate_is_not_made_up_for_later() -> None:
    uptime = QuotingUptime()
    uptime.sample([], BOTH, 0)
    uptime.sample([], BOTH, 60 * NS_PER_S)
    uptime.sample(["a"], BOTH, 61 * NS_PER_S)
    assert uptime.mandated_s == 1.0


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 10**10), st.booleans(), st.sets(st.sampled_from("abc")))))
def test_uptime_is_a_share(samples: list[tuple[int, bool, set[str]]]) -> None:
    uptime, now = QuotingUptime(), 0
    for pause_ns, is_quoting, markets in samples:
        now += pause_ns
        uptime.sample(markets, BOTH if is_quoting else OwnOrders(), now)
        assert 0 <= uptime.two_sided_s <= uptime.mandated_s
