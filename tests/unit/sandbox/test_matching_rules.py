"""Rules that are settings or differ by market: ticks, accuracy of amounts, self-trades, fee schedules."""

from decimal import Decimal

import pytest
from exchange_bench import USD, Bench

from clawswarm.sandbox.exchange.accounts import taker_fee_e6
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.exchange.rules import ExchangeRules

TICKS = [("0.1", 3), ("0.01", 4), ("0.005", 5), ("0.0025", 6), ("0.001", 5), ("0.0001", 6)]


def tick_bench(tick: str, rules: ExchangeRules | None = None) -> Bench:
    return Bench(tick_e4=int(Decimal(tick) * 10_000), rules=rules)


@pytest.mark.parametrize(("tick", "money_decimals"), TICKS)
def test_each_tick_takes_its_multiples_from_tick_to_one_minus_tick(tick: str, money_decimals: int) -> None:
    bench = tick_bench(tick)
    step = bench.market.tick_e4
    for price in (step, 10_000 - step, 5 * step):
        assert bench.place("a", "BUY", "YES", price, 5.01, is_post_only=True).status == "live"
        bench.exchange.cancel_where("0xa", bench.now_ns, lambda _order: True)
    for price in (0, 10_000):
        with pytest.raises(VenueRefusal):
            bench.place("a", "BUY", "YES", price, 100)
    if step > 1:
        with pytest.raises(VenueRefusal, match=f"breaks minimum tick size rule: {tick}"):
            bench.place("a", "BUY", "YES", 5 * step + step // 2, 100)


@pytest.mark.parametrize(("tick", "money_decimals"), TICKS)
def test_accuracy_of_limit_orders_goes_by_the_tick(tick: str, money_decimals: int) -> None:
    bench = tick_bench(tick)
    text = f"the buy orders maker amount supports a max accuracy of {money_decimals} decimals, taker amount"
    unit = 10 ** (6 - money_decimals)
    if unit > 1:
        with pytest.raises(VenueRefusal, match=text):
            bench.place("a", "BUY", "YES", 5000, 10, maker_amount_e6=5_000_000 + unit // 10)
    sale = (
        f"sell orders maker amount .* accuracy of 2 decimals, taker amount a max of {money_decimals} decimals"
    )
    with pytest.raises(VenueRefusal, match=sale):
        bench.place("a", "SELL", "YES", 5000, 10.001)


def test_decimals_of_a_market_buy_go_by_the_tick_or_are_four() -> None:
    amounts = {"maker_amount_e6": 5_550_000, "taker_amount_e6": 16_666_660}
    four = tick_bench("0.001", ExchangeRules(market_buy_share_decimals=4))
    four.place("m", "BUY", "NO", 6670, 100)
    with pytest.raises(VenueRefusal, match="market buy orders maker amount supports a max accuracy of 2"):
        four.place("t", "BUY", "YES", 3330, 1, order_type="FAK", **amounts)
    by_tick = tick_bench("0.001")
    by_tick.place("m", "BUY", "NO", 6670, 100)
    placed = by_tick.place("t", "BUY", "YES", 3330, 1, order_type="FAK", **amounts)
    assert placed.order.price_e4 == 3330
    assert placed.status == "matched"


@pytest.mark.parametrize(
    ("side", "maker", "taker", "tick", "price_e4", "order_type"),
    [
        ("BUY", 5_200_000, 10_000_000, "0.01", 5200, "GTC"),
        ("BUY", 6_453_820, 12_340_000, "0.001", 5230, "GTC"),
        ("SELL", 12_340_000, 6_453_820, "0.001", 5230, "GTC"),
        ("BUY", 416_625, 33_330_000, "0.0025", 125, "GTC"),
        ("BUY", 10_000_000, 27_027_000, "0.01", 3700, "FAK"),
        ("SELL", 27_020_000, 9_997_400, "0.01", 3700, "FAK"),
    ],
)
def test_the_official_rounding_vectors(
    side: str, maker: int, taker: int, tick: str, price_e4: int, order_type: str
) -> None:
    bench = tick_bench(tick)
    bench.give_tokens("a", 100)
    if order_type == "FAK":
        bench.place(
            "m", "BUY", "NO" if side == "BUY" else "YES", 10_000 - price_e4 if side == "BUY" else price_e4, 50
        )
    amounts = {"maker_amount_e6": maker, "taker_amount_e6": taker, "order_type": order_type}
    assert bench.place("a", side, "YES", price_e4, 1, **amounts).order.price_e4 == price_e4


# --- self-trades --------------------------------------------------------------------------------


def crowded(rule: str) -> Bench:
    """Asks at 0.47: 10 of another, 10 own, 10 of another."""
    bench = Bench(rules=ExchangeRules(self_trade=rule))
    for name in ("m", "own", "n"):
        bench.place(name, "BUY", "NO", 5300, 10)
    return bench


def test_own_orders_trade_with_each_other_by_default() -> None:
    bench = crowded("allow")
    placed = bench.place("own", "BUY", "YES", 4700, 30)
    assert placed.order.matched_e6 == 30 * USD
    bench.settle()
    assert bench.account("own").tokens_e6 == {"111": 30 * USD, "222": 10 * USD}
    assert bench.exchange.ledger.imbalance_e6() == 0


def test_cancel_newest_stops_the_incoming_order() -> None:
    bench = crowded("cancel-newest")
    placed = bench.place("own", "BUY", "YES", 4700, 30)
    assert (placed.status, placed.order.matched_e6, placed.order.status) == ("matched", 10 * USD, "CANCELED")
    assert bench.levels() == {(False, 4700): 20}
    again = bench.place("own", "BUY", "YES", 4700, 30)
    assert (again.status, again.order.status) == ("unmatched", "CANCELED")
    with pytest.raises(VenueRefusal, match="FOK orders are fully filled or killed"):
        bench.place("own", "BUY", "YES", 4700, 10, order_type="FOK")
    assert bench.place("z", "BUY", "YES", 4700, 20).order.matched_e6 == 20 * USD


def test_cancel_oldest_takes_the_own_order_away() -> None:
    bench = crowded("cancel-oldest")
    placed = bench.place("own", "BUY", "YES", 4700, 30)
    assert (placed.order.matched_e6, placed.order.status) == (20 * USD, "LIVE")
    assert bench.levels() == {(True, 4700): 10}
    assert [order.side for order in bench.exchange.open_orders("0xown")] == ["BUY"]
    statuses = [order.status for order in bench.exchange.orders.values()]
    assert statuses.count("CANCELED") == 1


# --- fees ---------------------------------------------------------------------------------------

# (contracts, price) → fee at rate 0.25, exponent 2: fixtures-polymarket-clients/fee_vectors.json
FEES = [
    (100, "0.5", "1.5625"), (100, "0.3", "1.1025"), (100, "0.1", "0.2025"), (100, "0.05", "0.05640625"),
    (100, "0.01", "0.00245025"), (100, "0.7", "1.1025"), (100, "0.9", "0.2025"), (100, "0.95", "0.05640625"),
    (100, "0.99", "0.00245025"), ("125.5", "0.5", "1.9609375"),
]  # fmt: skip


@pytest.mark.parametrize(("contracts", "price", "fee"), FEES)
def test_fees_with_an_exponent(contracts: object, price: str, fee: str) -> None:
    size, price_e4 = int(Decimal(str(contracts)) * USD), int(Decimal(price) * 10_000)
    exact = Decimal(fee) * USD
    assert abs(taker_fee_e6(price_e4, size, 2500, exponent=2) - exact) <= 5


def test_a_sellers_fee_comes_out_of_the_proceeds() -> None:
    bench = Bench(fee_rate_e4=700)
    bench.give_tokens("s", 100)
    bench.place("b", "BUY", "YES", 5000, 100)
    before = bench.account("s").collateral_e6
    bench.place("s", "SELL", "YES", 5000, 100)
    bench.settle()
    assert bench.account("s").collateral_e6 - before == 50_000_000 - 1_750_000
    assert bench.exchange.ledger.imbalance_e6() == 0


def test_a_market_that_takes_no_orders() -> None:
    bench = Bench()
    bench.market.accepts_orders = False
    with pytest.raises(VenueRefusal, match="the market is not yet ready to process new orders"):
        bench.place("a", "BUY", "YES", 5000, 10)
