"""The exchange by example: match kinds, order types, refusals, settlement."""

import pytest
from exchange_bench import GRANT_E6, MS, START_NS, USD, Bench

from clawswarm.sandbox.exchange.accounts import taker_fee_e6
from clawswarm.sandbox.exchange.events import (
    LevelChanged,
    MarketClosed,
    MarketResolved,
    OrderChanged,
    TradeUpdated,
)
from clawswarm.sandbox.exchange.refusals import VenueRefusal


@pytest.mark.parametrize(
    ("price_e4", "shares", "fee_usd"),
    [(5000, 100, 1.75), (1000, 100, 0.63), (9000, 100, 0.63), (4700, 10, 0.17437), (100, 0.02, 0.00001)],
)
def test_taker_fee(price_e4: int, shares: float, fee_usd: float) -> None:
    assert taker_fee_e6(price_e4, round(shares * 1_000_000), 700) == round(fee_usd * USD)


def test_a_fee_below_the_smallest_unit_is_nothing() -> None:
    assert taker_fee_e6(100, 1_000, 700) == 0


def test_mint_when_both_buy() -> None:
    bench = Bench()
    bench.place("maker", "BUY", "NO", 5300, 10)
    placed = bench.place("taker", "BUY", "YES", 4700, 10)
    assert placed.status == "matched"
    assert bench.exchange.ledger.pairs_e6 == 10 * USD
    bench.settle()
    assert bench.account("taker").tokens_e6 == {"111": 10 * USD}
    assert bench.account("maker").tokens_e6 == {"222": 10 * USD}
    assert bench.account("taker").collateral_e6 == GRANT_E6 - 4_700_000
    assert bench.account("maker").collateral_e6 == GRANT_E6 - 5_300_000


def test_merge_when_both_sell() -> None:
    bench = Bench()
    bench.place("a", "BUY", "NO", 5000, 10)
    bench.place("b", "BUY", "YES", 5000, 10)
    bench.settle()
    bench.place("a", "SELL", "NO", 4000, 10)
    bench.place("b", "SELL", "YES", 5500, 10)
    bench.settle()
    assert bench.exchange.ledger.pairs_e6 == 0
    assert bench.account("a").collateral_e6 == GRANT_E6 - USD
    assert bench.account("b").collateral_e6 == GRANT_E6 + USD


def test_complementary_when_one_sells_what_the_other_buys() -> None:
    bench = Bench()
    bench.place("a", "BUY", "NO", 5000, 10)
    bench.place("b", "BUY", "YES", 5000, 10)
    bench.settle()
    bench.place("c", "BUY", "YES", 6000, 10)
    bench.place("b", "SELL", "YES", 5500, 10)
    bench.settle()
    assert bench.exchange.ledger.pairs_e6 == 10 * USD
    assert bench.account("c").collateral_e6 == GRANT_E6 - 6 * USD
    assert bench.account("b").collateral_e6 == GRANT_E6 + USD


def test_a_taker_trades_at_the_makers_price_level_by_level() -> None:
    bench = Bench()
    bench.place("m", "BUY", "NO", 5300, 10)
    bench.place("m", "BUY", "NO", 5200, 10)
    placed = bench.place("t", "BUY", "YES", 5000, 30)
    assert [(t.price_e4, t.size_e6) for t in placed.trades] == [(4700, 10 * USD), (4800, 10 * USD)]
    assert placed.money_e6 == 9_500_000
    assert bench.levels() == {(True, 5000): 10}


def test_the_fee_comes_on_top_for_the_taker_only() -> None:
    bench = Bench(fee_rate_e4=700)
    bench.place("m", "BUY", "NO", 5000, 100)
    placed = bench.place("t", "BUY", "YES", 5000, 100)
    assert placed.trades[0].fee_e6 == 1_750_000
    assert bench.account("t").collateral_e6 == GRANT_E6 - 51_750_000
    assert bench.account("m").collateral_e6 == GRANT_E6 - 50_000_000
    assert bench.exchange.ledger.imbalance_e6() == 0


def test_oldest_order_of_a_level_fills_first() -> None:
    bench = Bench()
    first = bench.place("a", "BUY", "NO", 5300, 10).order
    second = bench.place("b", "BUY", "NO", 5300, 10).order
    bench.place("t", "BUY", "YES", 4700, 12)
    assert (first.matched_e6, second.matched_e6) == (10 * USD, 2 * USD)
    assert first.status == "MATCHED"


REFUSALS = [
    ({"price_e4": 4750}, r"order 0x\w+ is invalid. Price \(0.475\) breaks minimum tick size rule: 0.01"),
    ({"shares": 4}, r"order 0x\w+ is invalid. Size \(4\) lower than the minimum: 5"),
    (
        {"shares": 5.001},
        "invalid amounts, the buy orders maker amount supports a max accuracy of 4 decimals, "
        "taker amount a max of 2 decimals",
    ),
    (
        {"order_type": "FAK", "maker_amount_e6": 4_701_000},
        "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
        "taker amount a max of 4 decimals",
    ),
    ({"shares": 10_000}, "not enough balance / allowance"),
    ({"side": "SELL"}, "not enough balance / allowance"),
    ({"price_e4": 4800, "is_post_only": True}, "invalid post-only order: order crosses book"),
    ({"order_type": "FAK"}, "no orders found to match with FAK order."),
    ({"price_e4": 4800, "shares": 40, "order_type": "FOK"}, "order couldn't be fully filled."),
    ({"order_type": "FOK", "is_post_only": True}, "Invalid order payload"),
    ({"order_type": "LATER"}, "Invalid order payload"),
    ({"order_type": "GTD", "expires_s": START_NS // 10**9 + 179}, "invalid expiration"),
    ({"expires_s": 1}, "invalid expiration"),
    ({"token": "999"}, "No orderbook exists for the requested token id"),
    ({"maker_amount_e6": 0}, "Invalid order payload"),
    ({"price_e4": 10_000}, "breaks minimum tick size rule"),
]


@pytest.mark.parametrize(("changes", "text"), REFUSALS)
def test_refusals_change_nothing(changes: dict[str, object], text: str) -> None:
    bench = Bench()
    bench.place("m", "BUY", "NO", 5200, 10)
    before = bench.levels(), bench.account("t").reserved_e6
    facts = {"side": "BUY", "outcome": "YES", "price_e4": 4700, "shares": 10} | changes
    with pytest.raises(VenueRefusal, match=text):
        bench.place("t", **facts)
    assert (bench.levels(), bench.account("t").reserved_e6) == before


def test_a_marketable_buy_below_a_dollar_is_refused() -> None:
    bench = Bench()
    bench.place("m", "BUY", "NO", 9000, 10)
    with pytest.raises(
        VenueRefusal, match=r"invalid amount for a marketable BUY order \(\$0.5\), min size: \$1"
    ):
        bench.place("t", "BUY", "YES", 1000, 5)


def test_the_same_order_twice_is_refused() -> None:
    bench = Bench()
    placed = bench.place("a", "BUY", "YES", 4700, 10)
    with pytest.raises(VenueRefusal, match=r"is invalid\. Duplicated\."):
        bench.place("a", "BUY", "YES", 4700, 10, order_id=placed.order.id)


def test_open_orders_reserve_what_they_need() -> None:
    bench = Bench()
    bench.place("a", "BUY", "YES", 5000, 1200)
    with pytest.raises(VenueRefusal, match="not enough balance"):
        bench.place("a", "BUY", "NO", 4500, 1200)
    assert bench.account("a").free_e6 == GRANT_E6 - 600 * USD


def test_fak_takes_what_there_is() -> None:
    bench = Bench()
    bench.place("m", "BUY", "NO", 5300, 10)
    placed = bench.place("t", "BUY", "YES", 4700, 30, order_type="FAK")
    assert placed.order.matched_e6 == 10 * USD
    assert bench.levels() == {}
    assert bench.account("t").reserved_e6 == 0


def test_a_market_buy_is_sized_in_money() -> None:
    bench = Bench()
    bench.place("m", "BUY", "NO", 5500, 10)
    bench.place("m", "BUY", "NO", 5300, 100)
    amounts = {"maker_amount_e6": 10 * USD, "taker_amount_e6": 21_276_500}
    placed = bench.place("t", "BUY", "YES", 4700, 1, order_type="FOK", **amounts)
    assert [(t.price_e4, t.size_e6) for t in placed.trades] == [(4500, 10_000_000), (4700, 11_702_100)]
    assert placed.money_e6 == 9_999_987
    assert placed.order.status == "MATCHED"


def test_gtd_stops_a_minute_early() -> None:
    bench = Bench()
    expires_s = START_NS // 10**9 + 180
    order = bench.place("a", "BUY", "YES", 4700, 10, order_type="GTD", expires_s=expires_s).order
    assert bench.exchange.advance((expires_s - 60) * 10**9 - 1) == []
    events = bench.exchange.advance((expires_s - 60) * 10**9)
    assert order.status == "CANCELED_EXPIRED_ORDER"
    assert [e.kind for e in events if isinstance(e, OrderChanged)] == ["CANCELLATION"]


def test_closing_a_market_cancels_and_refuses() -> None:
    bench = Bench()
    order = bench.place("a", "BUY", "YES", 4700, 10).order
    events = bench.exchange.close_market(bench.market, "YES", bench.now_ns)
    assert order.status == "CANCELED_MARKET_RESOLVED"
    assert [type(event) for event in events[-2:]] == [MarketClosed, MarketResolved]
    assert bench.account("a").reserved_e6 == 0
    with pytest.raises(VenueRefusal, match="No orderbook exists"):
        bench.place("a", "BUY", "YES", 4700, 10)
    assert bench.exchange.close_market(bench.market, "YES", bench.now_ns) == []


def test_settlement_follows_the_delays() -> None:
    bench = Bench()
    bench.place("m", "BUY", "NO", 5300, 10)
    trade = bench.place("t", "BUY", "YES", 4700, 10).trades[0]
    assert trade.status == "MATCHED"
    assert bench.exchange.next_due_ns() == START_NS + 200 * MS
    seen = [bench.exchange.advance(START_NS + at * MS) for at in (199, 200, 499, 500)]
    statuses = [[e.status for e in events if isinstance(e, TradeUpdated)] for events in seen]
    assert statuses == [[], ["MINED"], [], ["CONFIRMED"]]


def test_a_tick_change_keeps_resting_orders() -> None:
    bench = Bench()
    bench.place("a", "BUY", "YES", 4700, 10)
    bench.exchange.change_tick(bench.market, 10, bench.now_ns)
    bench.place("a", "BUY", "YES", 4710, 10)
    assert bench.levels() == {(True, 4700): 10, (True, 4710): 10}


def test_events_of_a_trade_come_in_the_venues_order() -> None:
    bench = Bench()
    bench.place("m", "BUY", "NO", 5300, 10)
    events = bench.place("t", "BUY", "YES", 4700, 30).events
    kinds = [e.kind if isinstance(e, OrderChanged) else type(e).__name__ for e in events]
    assert kinds == ["PLACEMENT", "UPDATE", "LevelChanged", "TradeUpdated", "UPDATE", "LevelChanged"]
    levels = [(e.is_bid, e.size_e6, e.trade is None) for e in events if isinstance(e, LevelChanged)]
    assert levels == [(False, 0, False), (True, 20 * USD, True)]
