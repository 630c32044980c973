"""Fills and marks → profit, as the report reckons it."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.agents.orchestrator.equity import Equity
from clawswarm.model.instruments import Side
from clawswarm.model.messages import BookState, Evidence, Fill, Outcome

MARKETS = ("0xa", "0xb")


def fill(number: int, market: str, side: Side, price_e4: int, shares: int, fee_e6: int = 0) -> Fill:
    return Fill(
        trade_id=f"t{number}", order_id="0x1", bucket_index=0, evidence=Evidence.MATCHED, matched_ms=0,
        outcome=Outcome.YES, market=market, underlying="BTC", owner="quoter-1", side=side,
        price_e4=price_e4, size_e6=shares * 1_000_000, fee_e6=fee_e6, fair_e4=None, yes_e6=0, no_e6=0,
        seen_ns=number,
    )  # fmt: skip


def book(market: str, microprice: float | None, is_valid: bool = True) -> BookState:
    return BookState(
        market=market, source="sentinel-1", sequence=1, epoch=1, received_ns=1, server_ms=1, tick_e4=100,
        bid_e4=None, bid_size_e6=None, ask_e4=None, ask_size_e6=None, bids=(), asks=(), microprice=microprice,
        imbalance=None, depth_imbalance=None, order_flow=0.0, trade_flow=0.0, volatility=None, sweep=None,
        fingerprint=0, proven_ms=0, integrity=1.0, is_valid=is_valid, reason=None,
    )  # fmt: skip


def test_a_fill_that_failed_never_was() -> None:
    equity = Equity()
    bought = fill(1, "0xa", Side.BUY, 4_000, 10, fee_e6=5_000)
    equity.take_book(book("0xa", 0.45))
    for evidence in (Evidence.MATCHED, Evidence.RETRYING, Evidence.FAILED):
        equity.take_fill(msgspec.structs.replace(bought, evidence=evidence))
    assert equity.profit_e6() == 0


def test_a_position_is_worth_its_mark_and_a_round_trip_its_spread() -> None:
    equity = Equity()
    assert equity.profit_e6() == 0
    equity.take_fill(fill(1, "0xa", Side.BUY, 4_000, 10, fee_e6=5_000))
    assert equity.profit_e6() == -5_000, "without a book it is worth what it cost"
    equity.take_book(book("0xa", 0.45))
    assert equity.profit_e6() == 495_000
    equity.take_book(book("0xa", 0.99, is_valid=False))
    equity.take_book(book("0xa", None))
    assert equity.profit_e6() == 495_000, "only a valid book is a mark"
    equity.take_fill(fill(2, "0xa", Side.SELL, 4_700, 10))
    equity.take_book(book("0xa", 0.01))
    assert equity.profit_e6() == 695_000


trades = st.lists(
    st.tuples(
        st.sampled_from(MARKETS), st.sampled_from(list(Side)), st.integers(1, 9_999), st.integers(1, 500)
    ),
    max_size=40,
)


@settings(deadline=None, derandomize=True)
@given(trades, st.integers(1, 9_999), st.integers(1, 9_999))
def test_it_is_the_sum_over_fills_of_what_each_has_gained_and_replays_change_nothing(
    made: list[tuple[str, Side, int, int]], mark_a: int, mark_b: int
) -> None:
    marks = dict(zip(MARKETS, (mark_a, mark_b), strict=True))
    fills = [fill(number, *trade) for number, trade in enumerate(made)]
    equity = Equity()
    for number, each in enumerate([*fills, *fills]):
        equity.take_fill(each)
        equity.take_book(book(MARKETS[0], number / 1_000))
    for market, mark_e4 in marks.items():
        equity.take_book(book(market, mark_e4 / 10_000))
    gained = sum(each.side.sign * (marks[each.market] - each.price_e4) * each.size_e6 for each in fills)
    assert abs(equity.profit_e6() * 10_000 - gained) <= 10_000
