"""Held orders: a marketable order waits, cannot be cancelled, and is checked again when its delay is over."""

import pytest
from exchange_bench import GRANT_E6, MS, USD, Bench

from clawswarm.sandbox.exchange.events import DelayEnded, Event, OrderChanged
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.participants import Taker, participant_account


def held(delay_ms: int = 250, **market: object) -> Bench:
    bench = Bench(taker_delay_ms=delay_ms, **market)
    bench.place("m", "BUY", "NO", 5300, 10)
    return bench


def wait(bench: Bench, ms: int = 250) -> tuple[list[Event], list[DelayEnded]]:
    bench.now_ns += ms * MS
    events = bench.exchange.advance(bench.now_ns)
    return events, bench.exchange.take_ended_holds()


@pytest.mark.parametrize("delay_ms", [50, 250])
def test_a_marketable_order_trades_when_its_delay_is_over(delay_ms: int) -> None:
    bench = held(delay_ms)
    placed = bench.place("t", "BUY", "YES", 4700, 10)
    assert (placed.status, placed.order.status, placed.trades) == ("delayed", "DELAYED", ())
    assert bench.levels() == {(False, 4700): 10}
    assert bench.account("t").free_e6 == GRANT_E6 - 4_700_000
    assert wait(bench, delay_ms - 1) == ([], [])
    assert bench.exchange.next_due_ns() == bench.now_ns + MS
    _, (ended,) = wait(bench, 1)
    assert (ended.refusal, ended.money_e6, len(ended.trades)) == (None, 4_700_000, 1)
    assert (placed.order.status, bench.levels()) == ("MATCHED", {})
    assert bench.account("t").reserved_e6 == 0


def test_without_a_delay_it_trades_at_once() -> None:
    assert held(0).place("t", "BUY", "YES", 4700, 10).status == "matched"


def test_resting_and_post_only_orders_are_not_held() -> None:
    bench = held()
    assert bench.place("t", "BUY", "YES", 4600, 10).status == "live"
    assert bench.place("t", "BUY", "YES", 4500, 10, is_post_only=True).status == "live"
    with pytest.raises(VenueRefusal, match="order crosses book"):
        bench.place("t", "BUY", "YES", 4700, 10, is_post_only=True)


def test_the_maker_may_leave_meanwhile() -> None:
    bench = held()
    taker = bench.place("t", "BUY", "YES", 4700, 10).order
    bench.exchange.cancel_where("0xm", bench.now_ns, lambda _order: True)
    _, (ended,) = wait(bench)
    assert (ended.refusal, ended.trades, taker.status) == (None, (), "LIVE")
    assert bench.levels() == {(True, 4700): 10}


@pytest.mark.parametrize(
    ("order_type", "text"), [("FOK", "order couldn't be fully filled"), ("FAK", "no orders found to match")]
)
def test_killed_types_are_checked_again(order_type: str, text: str) -> None:
    bench = held()
    taker = bench.place("t", "BUY", "YES", 4700, 10, order_type=order_type).order
    bench.exchange.cancel_where("0xm", bench.now_ns, lambda _order: True)
    events, (ended,) = wait(bench)
    assert ended.refusal is not None
    assert text in ended.refusal.text
    assert taker.status == f"CANCELED_{ended.refusal.text}"
    assert [e.kind for e in events if isinstance(e, OrderChanged)] == ["CANCELLATION"]
    assert bench.account("t").free_e6 == GRANT_E6


def test_it_is_open_to_nobody_while_it_is_held() -> None:
    bench = held()
    taker = bench.place("t", "BUY", "YES", 4700, 10).order
    assert bench.exchange.cancel_where("0xt", bench.now_ns, lambda _order: True).order_ids == []
    assert list(bench.exchange.open_orders("0xt")) == []
    assert bench.exchange.orders[taker.id].status == "DELAYED"
    with pytest.raises(VenueRefusal, match="Duplicated"):
        bench.place("t", "BUY", "YES", 4700, 10, order_id=taker.id)


def test_funds_that_vanish_meanwhile() -> None:
    bench = held()
    taker = bench.place("t", "BUY", "YES", 4700, 10).order
    bench.exchange.ledger.grant(bench.account("t"), 1 * USD - GRANT_E6)
    _, (ended,) = wait(bench)
    assert ended.refusal is not None
    assert ended.refusal.text == "not enough balance / allowance"
    assert (taker.status, bench.account("t").reserved_e6) == ("CANCELED_not enough balance / allowance", 0)


def test_a_market_that_closes_or_changes_its_tick_meanwhile() -> None:
    bench = held()
    taker = bench.place("t", "BUY", "YES", 4700, 10).order
    bench.exchange.close_market(bench.market, None, bench.now_ns)
    _, (ended,) = wait(bench)
    assert ended.refusal is not None
    assert taker.status == "CANCELED_MARKET_RESOLVED"

    coarser = held()
    coarser.place("t", "BUY", "YES", 4700, 10)
    coarser.exchange.change_tick(coarser.market, 1000, coarser.now_ns)
    _, (ended,) = wait(coarser)
    assert ended.refusal is not None
    assert "breaks minimum tick size rule: 0.1" in ended.refusal.text


def test_takers_of_the_sandbox_are_held_too() -> None:
    bench = held()
    account = participant_account(bench.exchange, "taker")
    taker = Taker(bench.exchange, bench.market, account)
    taker.take("BUY", 4 * USD, 4700, bench.now_ns)
    assert bench.levels() == {(False, 4700): 10}
    wait(bench)
    assert bench.levels() == {(False, 4700): 6}
    # Shares it is about to sell are spoken for: a second sale of the same ones buys the other side instead.
    bench.settle()
    bench.place("n", "BUY", "YES", 4500, 20)
    for _ in range(2):
        taker.take("SELL", 4 * USD, 4500, bench.now_ns)
    bench.settle()
    assert min(account.tokens_e6.values()) >= 0
    assert account.reserved_tokens_e6 == {"111": 0}


def test_a_seconds_delay_holds_as_well() -> None:
    bench = Bench(seconds_delay=3)
    bench.place("m", "BUY", "NO", 5300, 10)
    assert bench.place("t", "BUY", "YES", 4700, 10).status == "delayed"
    assert wait(bench, 2_999)[1] == []
    assert len(wait(bench, 1)[1][0].trades) == 1
