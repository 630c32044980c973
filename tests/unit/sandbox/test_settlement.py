"""What becomes of trades after the match: confirmed, retried, failed; what failing gives back."""

import pytest
from exchange_bench import GRANT_E6, MS, USD, Bench

from clawswarm.sandbox.exchange.events import Event, OrderChanged, TradeUpdated
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.exchange.rules import ExchangeRules, Fate, SettlementDelay
from clawswarm.sandbox.exchange.settlement import OrderedFate


def traded(fate: Fate = "confirm", rules: ExchangeRules | None = None, **market: object) -> Bench:
    bench = Bench(rules=rules, **market)
    bench.exchange.settling.ordered.append(OrderedFate(fate))
    bench.place("m", "BUY", "NO", 5300, 10)
    bench.place("t", "BUY", "YES", 4700, 10)
    return bench


def statuses(events: list[Event]) -> list[str]:
    return [event.status for event in events if isinstance(event, TradeUpdated)]


def wait(bench: Bench, ms: int) -> list[Event]:
    bench.now_ns += ms * MS
    return bench.exchange.advance(bench.now_ns)


def test_proceeds_can_be_used_once_they_are_mined() -> None:
    bench = traded()
    with pytest.raises(VenueRefusal, match="not enough balance / allowance"):
        bench.place("t", "SELL", "YES", 6000, 10)
    assert bench.account("t").tokens_e6 == {}
    assert bench.exchange.ledger.imbalance_e6() == 0
    assert statuses(wait(bench, 200)) == ["MINED"]
    assert bench.place("t", "SELL", "YES", 6000, 10).status == "live"
    assert statuses(wait(bench, 300)) == ["CONFIRMED"]


def test_or_at_once_where_the_rules_say_so() -> None:
    bench = traded(rules=ExchangeRules(proceeds_at="matched"))
    assert bench.place("t", "SELL", "YES", 6000, 10).status == "live"
    bench.settle()
    assert bench.account("t").tokens_e6 == {"111": 10 * USD}


def test_a_retried_trade_has_another_hash() -> None:
    bench = traded("retry")
    trade = next(iter(bench.exchange.trades.values()))
    first = trade.tx_hash
    assert statuses(wait(bench, 200)) == ["RETRYING"]
    assert trade.tx_hash != first
    assert bench.account("t").tokens_e6 == {}
    assert statuses(wait(bench, 1000)) == ["MINED"]
    assert statuses(wait(bench, 300)) == ["CONFIRMED"]
    assert bench.account("t").tokens_e6 == {"111": 10 * USD}


def test_a_failed_trade_gives_everything_back() -> None:
    bench = traded("fail", fee_rate_e4=700)
    assert bench.account("t").collateral_e6 == GRANT_E6 - 4_700_000 - 174_370
    house = bench.exchange.ledger.house.collateral_e6
    assert statuses(wait(bench, 200)) == ["RETRYING"]
    assert statuses(wait(bench, 1000)) == ["FAILED"]
    for name in ("m", "t"):
        account = bench.account(name)
        assert (account.collateral_e6, account.reserved_e6, account.tokens_e6) == (GRANT_E6, 0, {})
    ledger = bench.exchange.ledger
    assert (ledger.pairs_e6, ledger.imbalance_e6(), ledger.house.collateral_e6) == (0, 0, house)
    # The match used the orders up; the book does not get them back.
    assert bench.levels() == {}
    assert {order.status for order in bench.exchange.orders.values()} == {"MATCHED"}


def test_a_failed_sale_gives_the_shares_back() -> None:
    bench = Bench()
    bench.give_tokens("s", 10)
    bench.place("b", "BUY", "YES", 4700, 10)
    bench.exchange.settling.ordered.append(OrderedFate("fail"))
    bench.place("s", "SELL", "YES", 4700, 10)
    assert bench.account("s").tokens_e6["111"] == 0
    wait(bench, 1_200)
    assert bench.account("s").tokens_e6["111"] == 10 * USD
    assert bench.account("b").collateral_e6 == GRANT_E6


def test_what_was_sold_on_before_the_failure_is_missed() -> None:
    bench = traded("fail", rules=ExchangeRules(proceeds_at="matched"))
    resting = bench.place("t", "SELL", "YES", 6000, 10).order
    events = wait(bench, 1_200)
    assert resting.status == "CANCELED_NOT_ENOUGH_BALANCE"
    kinds = [e.status for e in events if isinstance(e, OrderChanged)]
    assert kinds == ["CANCELED_NOT_ENOUGH_BALANCE"]
    assert bench.account("t").reserved_tokens_e6["111"] == 0


def test_a_fate_may_be_ordered_for_one_wallet() -> None:
    bench = Bench()
    bench.exchange.settling.ordered.append(OrderedFate("fail", "0xz"))
    bench.place("m", "BUY", "NO", 5300, 20)
    bench.place("t", "BUY", "YES", 4700, 10)
    bench.place("z", "BUY", "YES", 4700, 10)
    bench.settle()
    bench.settle()
    assert [trade.status for trade in bench.exchange.trades.values()] == ["CONFIRMED", "FAILED"]
    assert not bench.exchange.settling.ordered


def test_chance_decides_the_same_way_twice() -> None:
    def run() -> list[str]:
        delay = SettlementDelay(200 * MS, 500 * MS, retried_ns=1000 * MS, retry_share=0.3, fail_share=0.3)
        bench = Bench(delay=delay)
        for _ in range(30):
            bench.place("m", "BUY", "NO", 5300, 5)
            bench.place("t", "BUY", "YES", 4700, 5)
        seen: list[str] = []
        for _ in range(4):
            seen += statuses(bench.settle())
        assert bench.exchange.ledger.imbalance_e6() == 0
        return seen

    first = run()
    assert first == run()
    assert {"CONFIRMED", "FAILED", "RETRYING"} <= set(first)


def test_orders_whose_funds_vanish_are_cancelled_newest_first() -> None:
    bench = Bench()
    first, second = (bench.place("a", "BUY", "YES", price, 1000).order for price in (4000, 3000))
    account = bench.account("a")
    bench.exchange.ledger.grant(account, -500 * USD)
    bench.exchange.recheck_funds(account, bench.now_ns)
    assert (first.status, second.status) == ("LIVE", "CANCELED_NOT_ENOUGH_BALANCE")
    assert account.reserved_e6 == 400 * USD
    account.allowance_e6 = 0
    bench.exchange.recheck_funds(account, bench.now_ns)
    assert (first.status, account.reserved_e6) == ("CANCELED_NOT_ENOUGH_BALANCE", 0)


def test_allowances_bound_what_can_be_ordered() -> None:
    bench = Bench()
    bench.give_tokens("a", 50)
    account = bench.account("a")
    account.allowance_e6, account.is_approved = 4 * USD, False
    with pytest.raises(VenueRefusal, match="not enough balance / allowance"):
        bench.place("a", "BUY", "YES", 5000, 10)
    with pytest.raises(VenueRefusal, match="not enough balance / allowance"):
        bench.place("a", "SELL", "YES", 5000, 10)
    account.allowance_e6, account.is_approved = None, True
    assert bench.place("a", "SELL", "YES", 5000, 10).status == "live"
