"""Profit and loss: the parts add up, and what was not measured is null."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.model.instruments import Side
from clawswarm.model.messages import Evidence, Fill, Outcome
from clawswarm.model.positions import DayIncome
from clawswarm.runtime.profit import profit

steady = settings(deadline=None, derandomize=True)

FILL = Fill(
    trade_id="t",
    order_id="0x1",
    bucket_index=0,
    evidence=Evidence.MATCHED,
    matched_ms=0,
    outcome=Outcome.YES,
    market="a",
    underlying="BTC",
    owner="quoter-1",
    side=Side.BUY,
    price_e4=4800,
    size_e6=10_000_000,
    fee_e6=0,
    fair_e4=5000.0,
    yes_e6=10_000_000,
    no_e6=0,
    seen_ns=0,
)


def fill(**changed: object) -> Fill:
    return msgspec.structs.replace(FILL, **changed)


def test_a_buy_below_fair_value_earns_spread_and_then_what_the_price_does() -> None:
    pnl = profit([FILL], {"a": 5300.0})
    assert (pnl.spread, pnl.inventory, pnl.fees, pnl.total) == (0.2, 0.3, 0.0, 0.5)


def test_a_fill_that_failed_earned_nothing() -> None:
    failed = fill(trade_id="u", evidence=Evidence.FAILED)
    assert profit([FILL, failed], {"a": 5300.0}) == profit([FILL], {"a": 5300.0})


def test_a_sale_earns_the_other_way_round() -> None:
    pnl = profit([fill(side=Side.SELL, price_e4=5200)], {"a": 5300.0})
    assert (pnl.spread, pnl.inventory, pnl.total) == (0.2, -0.3, -0.1)


def test_a_round_trip_earns_its_spread_whatever_the_mark() -> None:
    fills = [FILL, fill(side=Side.SELL, price_e4=5200)]
    for mark in (0.0, 5000.0, 10_000.0):
        pnl = profit(fills, {"a": mark})
        assert (pnl.total, pnl.spread, pnl.inventory) == (0.4, 0.4, 0.0)


def test_fees_are_a_loss() -> None:
    pnl = profit([fill(fee_e6=30_000)], {"a": 5000.0})
    assert (pnl.spread, pnl.inventory, pnl.fees, pnl.total) == (0.2, 0.0, -0.03, 0.17)


def test_rewards_and_rebates_come_on_top() -> None:
    income = DayIncome(rewards_e6=1_250_000, rebates_e6=300_000)
    pnl = profit([FILL], {"a": 5300.0}, income)
    assert (pnl.rewards, pnl.rebates, pnl.inventory, pnl.total) == (1.25, 0.3, 0.3, 2.05)
    unmarked = profit([FILL], {}, income)
    assert (unmarked.rewards, unmarked.rebates, unmarked.total) == (1.25, 0.3, None)
    unread = profit([FILL], {"a": 5300.0}, None)
    assert (unread.rewards, unread.rebates, unread.total) == (None, None, 0.5)


def test_without_fills_everything_measured_is_zero_and_without_a_sign() -> None:
    pnl = profit([], {})
    assert msgspec.json.encode((pnl.spread, pnl.inventory, pnl.fees, pnl.total)) == b"[0.0,0.0,0.0,0.0]"


def test_without_fees_there_is_no_negative_zero() -> None:
    pnl = profit([FILL], {"a": 4800.0})
    assert b"-0.0]" not in msgspec.json.encode([pnl.fees])
    assert msgspec.json.encode([pnl.total]) == b"[0.0]"


def test_a_market_without_a_mark_has_no_total_but_its_spread() -> None:
    pnl = profit([FILL, fill(market="b")], {"a": 5000.0})
    assert (pnl.total, pnl.inventory) == (None, None)
    assert (pnl.spread, pnl.fees) == (0.4, 0.0)


def test_a_fill_without_a_fair_value_has_no_spread_but_a_total() -> None:
    pnl = profit([FILL, fill(fair_e4=None)], {"a": 5000.0})
    assert (pnl.spread, pnl.inventory) == (None, None)
    assert (pnl.total, pnl.fees) == (0.4, 0.0)


def test_what_this_version_does_not_measure_is_null() -> None:
    pnl = profit([FILL], {"a": 5000.0})
    assert (pnl.rebates, pnl.rewards, pnl.funding, pnl.hedge) == (None, None, None, None)


fills = st.lists(
    st.builds(
        fill,
        market=st.sampled_from("abc"),
        side=st.sampled_from(Side),
        price_e4=st.integers(1, 9_999),
        size_e6=st.integers(1, 10**9),
        fee_e6=st.integers(0, 10**6),
        fair_e4=st.one_of(st.none(), st.floats(1, 9_999)),
    ),
    max_size=20,
)
marks = st.dictionaries(st.sampled_from("abc"), st.floats(0, 10_000))


@steady
@given(fills, marks)
def test_the_parts_add_up_and_missing_prices_show(history: list[Fill], mark: dict[str, float]) -> None:
    pnl = profit(history, mark)
    assert (pnl.total is None) == any(one.market not in mark for one in history)
    assert (pnl.spread is None) == any(one.fair_e4 is None for one in history)
    assert (pnl.inventory is None) == (pnl.total is None or pnl.spread is None)
    assert pnl.fees == pytest.approx(-sum(one.fee_e6 for one in history) / 1e6, abs=1e-4)
    if pnl.inventory is not None:
        assert pnl.total is not None
        assert pnl.spread is not None
        # Each of the four figures is rounded to 1e-4 by itself.
        assert pnl.total == pytest.approx(pnl.spread + pnl.inventory + pnl.fees, abs=2.1e-4)
    if pnl.total is not None:
        # Cash spent and received, plus what is held at its mark.
        cash = sum(-one.side.sign * one.size_e6 * one.price_e4 / 1e10 for one in history)
        worth = sum(one.side.sign * one.size_e6 * mark[one.market] / 1e10 for one in history)
        assert pnl.total == pytest.approx(cash + worth + pnl.fees, abs=2.1e-4)
