"""Pause, close, resolve, pay: the end of a market on the pure exchange."""

import pytest
from exchange_bench import MS, SHARE, USD, Bench
from hypothesis import given
from hypothesis import strategies as st

from clawswarm.model.errors import InvariantBroken
from clawswarm.sandbox.exchange.events import AcceptanceChanged, MarketClosed, MarketResolved
from clawswarm.sandbox.exchange.payouts import Payouts
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.exchange.rules import SettlementDelay
from clawswarm.sandbox.exchange.settlement import OrderedFate


def test_a_pause_refuses_orders_and_keeps_what_rests() -> None:
    bench = Bench()
    order = bench.place("a", "BUY", "YES", 4700, 10).order
    (paused,) = bench.exchange.accept_orders(bench.market, False, bench.now_ns)
    assert isinstance(paused, AcceptanceChanged)
    assert bench.exchange.accept_orders(bench.market, False, bench.now_ns) == []
    with pytest.raises(VenueRefusal, match="not yet ready"):
        bench.place("a", "BUY", "YES", 4600, 10)
    assert order.status == "LIVE"
    bench.exchange.cancel(order, bench.now_ns)
    bench.exchange.accept_orders(bench.market, True, bench.now_ns)
    bench.place("a", "BUY", "YES", 4600, 10)


def test_closing_without_a_winner_waits_for_one() -> None:
    bench = Bench()
    (closed,) = bench.exchange.close_market(bench.market, None, bench.now_ns)
    assert isinstance(closed, MarketClosed)
    assert bench.market.payout_e6(is_yes=True) is None
    with pytest.raises(InvariantBroken):
        bench.exchange.redeem(bench.account("a"), bench.market)
    (resolved,) = bench.exchange.resolve(bench.market, "NO", bench.now_ns)
    assert isinstance(resolved, MarketResolved)
    assert bench.exchange.resolve(bench.market, "YES", bench.now_ns) == []
    assert (bench.market.payout_e6(is_yes=True), bench.market.payout_e6(is_yes=False)) == (0, USD)


@pytest.mark.parametrize(("winner", "paid"), [("YES", 30), ("NO", 10), ("SPLIT", 20)])
def test_redeeming_burns_and_pays(winner: str, paid: int) -> None:
    bench = Bench()
    bench.give_tokens("a", 10)
    account = bench.account("a")
    bench.give_tokens("b", 20)
    other, token = bench.account("b"), bench.market.yes_token
    other.add(token, -20 * SHARE)
    account.add(token, 20 * SHARE)
    bench.exchange.resolve(bench.market, winner, bench.now_ns)
    before = account.collateral_e6
    assert bench.exchange.redeem(account, bench.market) == paid * USD
    assert account.collateral_e6 == before + paid * USD
    assert bench.exchange.redeem(account, bench.market) == 0
    bench.exchange.redeem(other, bench.market)
    assert bench.exchange.ledger.pairs_e6 == 0
    assert bench.exchange.ledger.imbalance_e6() == 0


def test_nobody_is_paid_before_the_last_trade_is_settled() -> None:
    """A ghost fill must not be redeemed: the trade fails after the market resolved."""
    delay = SettlementDelay(mined_ns=100 * MS, confirmed_ns=200 * MS, retried_ns=10_000 * MS)
    bench = Bench(delay=delay)
    payouts = Payouts(bench.exchange, is_everyone=True)
    bench.exchange.settling.ordered.append(OrderedFate("fail"))
    bench.place("a", "BUY", "YES", 4700, 10)
    bench.place("b", "BUY", "NO", 5300, 10)
    bench.exchange.resolve(bench.market, "YES", bench.now_ns)
    payouts.note(bench.market)
    bench.settle()
    payouts.pay_settled()
    assert not bench.exchange.is_settled(bench.market)
    for _ in range(11):
        bench.settle()
        payouts.pay_settled()
    assert bench.exchange.is_settled(bench.market)
    assert bench.account("a").collateral_e6 == bench.account("b").collateral_e6 == 1_000 * USD
    assert bench.exchange.ledger.pairs_e6 == 0
    assert bench.exchange.ledger.imbalance_e6() == 0


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 10**9)), min_size=1, max_size=8),
    st.sampled_from(["YES", "NO", "SPLIT"]),
)
def test_what_was_paid_in_is_paid_out(splits: list[tuple[str, int]], winner: str) -> None:
    bench = Bench()
    tokens = bench.market.yes_token, bench.market.no_token
    for name, size in splits:
        bench.exchange.ledger.split(bench.account(name), tokens, size)
    bench.account("a").add(tokens[0], -1)
    bench.account("b").add(tokens[0], 1)
    bench.exchange.resolve(bench.market, winner, bench.now_ns)
    for account in bench.exchange.ledger.accounts.values():
        bench.exchange.redeem(account, bench.market)
    assert bench.exchange.ledger.imbalance_e6() == 0
    dust = 2 * len(bench.exchange.ledger.accounts) if winner == "SPLIT" else 0
    assert 0 <= bench.exchange.ledger.pairs_e6 <= dust
