"""The built-in strategy between the desk's view and the mathematics."""

import math

import msgspec
import pytest

from clawswarm.agents.quoter.outcomes import shift_logits
from clawswarm.agents.quoter.planner import OpenQuote, plan_changes
from clawswarm.agents.quoter.pricing import QuadraticModel, QuadraticQuoter, terms_of
from clawswarm.agents.quoter.strategy import MarketView, TargetQuote
from clawswarm.model.instruments import Market, PriceSettlement, RewardTerms, Side
from clawswarm.model.messages import BookState, Inventory, Mandate

SHARE = 1_000_000
MARKET = Market("0xc", "btc-updown", "BTC", "yes", "no", 100, 5 * SHARE, False, True, None)
MANDATE = Mandate(
    market=MARKET,
    quoter="quoter-1",
    epoch=1,
    capital_e6=1_000 * SHARE,
    max_position_e6=200 * SHARE,
    order_size_e6=20 * SHARE,
)
BOOK = BookState(
    market="0xc",
    source="sentinel-1",
    sequence=1,
    epoch=1,
    received_ns=0,
    server_ms=0,
    tick_e4=100,
    bid_e4=4600,
    bid_size_e6=10 * SHARE,
    ask_e4=5400,
    ask_size_e6=10 * SHARE,
    bids=((4600, 10 * SHARE), (4500, 10 * SHARE)),
    asks=((5400, 10 * SHARE), (5500, 10 * SHARE)),
    microprice=0.5,
    imbalance=0.0,
    depth_imbalance=0.0,
    order_flow=0.0,
    trade_flow=0.0,
    volatility=None,
    sweep=None,
    fingerprint=1,
    proven_ms=0,
    integrity=1.0,
    is_valid=True,
    reason=None,
)
FLAT = Inventory(market="0xc", yes_e6=0, no_e6=0)


def seen(
    market: Market = MARKET,
    integrity: float = 1.0,
    own: tuple[tuple[bool, int, int], ...] = (),
    **book: object,
) -> MarketView:
    mandate = msgspec.structs.replace(MANDATE, market=market)
    return MarketView(msgspec.structs.replace(BOOK, **book), mandate, FLAT, None, 0, integrity, own)


def quoted(view: MarketView, strategy: QuadraticQuoter | None = None) -> dict[Side, TargetQuote]:
    quotes = (strategy or QuadraticQuoter()).quotes(view)
    assert quotes is not None
    assert len({quote.side for quote in quotes}) == len(quotes)
    return {quote.side: quote for quote in quotes}


def test_a_flat_book_is_quoted_alike_on_both_sides_of_fair_value() -> None:
    quotes = quoted(seen())
    assert quotes[Side.BUY].price_e4 + quotes[Side.SELL].price_e4 == 10_000
    assert quotes[Side.BUY].size_e6 == quotes[Side.SELL].size_e6 == 20 * SHARE
    assert all(quote.gain_usd is not None and quote.gain_usd > 0 for quote in quotes.values())


def test_a_doubtful_book_widens() -> None:
    strategy = QuadraticQuoter(widen_below=0.8, widen_factor=4.0)
    whole, doubtful = (quoted(seen(integrity=integrity), strategy) for integrity in (1.0, 0.6))
    assert doubtful[Side.BUY].price_e4 < whole[Side.BUY].price_e4
    assert doubtful[Side.SELL].price_e4 > whole[Side.SELL].price_e4


def test_own_orders_do_not_move_the_price_they_are_made_of() -> None:
    own = (True, 4700, 500 * SHARE)
    shown = seen(own=(own,), bid_e4=4700, bids=((4700, 500 * SHARE), *BOOK.bids), microprice=0.536)
    decisions = [QuadraticQuoter().decide(view) for view in (seen(), shown)]
    assert decisions[0].fair == decisions[1].fair


@pytest.mark.parametrize("tick_e4", [10, 100, 1000])
def test_after_a_tick_change_prices_suit_the_venue(tick_e4: int) -> None:
    quotes = quoted(seen(tick_e4=tick_e4))
    assert quotes
    assert all(quote.price_e4 % tick_e4 == 0 for quote in quotes.values())


def test_what_the_strategy_keeps_stays_as_it_is() -> None:
    strategy = QuadraticQuoter()
    # Until nothing is learned any more from the same book.
    for _ in range(20):
        first = quoted(seen(), strategy)
    own = tuple((quote.side is Side.BUY, quote.price_e4, quote.size_e6) for quote in first.values())
    assert strategy.quotes(seen(own=own)) is None
    # Where the other side is missing, the target of this one is the order that rests.
    (is_buy, price_e4, size_e6), _ = own
    assert is_buy
    again = quoted(seen(own=own[:1]), strategy)
    resting = [OpenQuote(1, "0x1", Side.BUY, price_e4, size_e6)]
    changes = plan_changes(list(again.values()), resting, 100, 1)
    assert (changes.cancels, [quote.side for quote in changes.places]) == ((), [Side.SELL])


def test_a_market_whose_rule_is_not_known_is_not_quoted() -> None:
    unknown = msgspec.structs.replace(MARKET, is_rule_known=False)
    decision = QuadraticQuoter().decide(seen(unknown))
    assert (decision.bid, decision.ask, decision.reason) == (None, None, "unknown settlement rule")


def test_the_terms_of_a_market_reach_the_mathematics() -> None:
    settled = msgspec.structs.replace(
        MARKET,
        closes_ms=100_000,
        settlement=PriceSettlement(window_s=60, opens_ms=None, strike_usd=65_000.0),
        rewards=RewardTerms(daily_usd=50_000.0, min_size_e6=10 * SHARE, max_spread_e4=450),
        rebate_rate=0.014,
    )
    assert terms_of(settled) is not None
    narrow = (
        ("bid_e4", 4900),
        ("ask_e4", 5000),
        ("bids", ((4900, 50 * SHARE),)),
        ("asks", ((5000, 50 * SHARE),)),
    )
    paid = QuadraticQuoter().decide(seen(settled, **dict(narrow)))
    assert paid.reward > 0
    assert QuadraticQuoter().decide(seen(**dict(narrow))).reward == 0


def outcome(name: str, bid_e4: int, ask_e4: int) -> BookState:
    return msgspec.structs.replace(
        BOOK, market=name, bid_e4=bid_e4, ask_e4=ask_e4, microprice=(bid_e4 + ask_e4) / 20_000
    )


def test_outcomes_of_one_event_are_moved_to_sum_to_one() -> None:
    names = ("0xa", "0xb", "0xc")
    books = [outcome(name, bid, bid + 100) for name, bid in zip(names, (2_000, 3_000, 4_000), strict=True)]
    markets = [msgspec.structs.replace(MARKET, condition_id=name, outcomes=3) for name in names]
    moved = []
    for market, book in zip(markets, books, strict=True):
        assert book.microprice is not None
        x = math.log(book.microprice / (1 - book.microprice)) + shift_logits(market, books)
        moved.append(1 / (1 + math.exp(-x)))
    assert sum(moved) == pytest.approx(1.0)
    assert all(
        after > before.microprice for after, before in zip(moved, books, strict=True) if before.microprice
    )
    # With one outcome unseen nothing is known of the sum.
    assert shift_logits(markets[0], [*books[:2], None]) == 0.0
    assert shift_logits(markets[0], books[:2]) == 0.0


def test_every_parameter_of_the_model_reaches_the_mathematics() -> None:
    assert QuadraticQuoter(QuadraticModel(reduce_only=0.0)).quotes(seen()) == []
