"""Target quotes of one book."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.agents.quoter.pricing import QuoterSettings, expit, target_quotes
from clawswarm.agents.quoter.strategy import SIZE_STEP_E6, MarketView, TargetQuote
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import BookState, Inventory, Mandate

steady = settings(deadline=None, derandomize=True)

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
SETTINGS = QuoterSettings(
    half_spread_logits=0.04,
    inventory_skew_logits=0.25,
    widen_linear=0.02,
    widen_quadratic=0.06,
    requote_ticks=2,
    hold_ticks=0.5,
    feed_timeout_s=0.5,
    widen_below=0.8,
    widen_factor=2.0,
    pull_below=0.4,
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


def held(net_shares: float) -> Inventory:
    net_e6 = round(net_shares * SHARE)
    return Inventory(market="0xc", yes_e6=max(net_e6, 0), no_e6=max(-net_e6, 0))


def seen(
    book: BookState,
    net_shares: float = 0,
    integrity: float = 1.0,
    own: tuple[tuple[bool, int, int], ...] = (),
) -> MarketView:
    return MarketView(book, MANDATE, held(net_shares), None, 0, integrity, own)


def targets(net_shares: float = 0, **book: object) -> dict[Side, TargetQuote]:
    quotes = target_quotes(seen(msgspec.structs.replace(BOOK, **book), net_shares), SETTINGS)
    assert len({quote.side for quote in quotes}) == len(quotes)
    return {quote.side: quote for quote in quotes}


def test_a_flat_book_is_quoted_on_both_sides_around_fair_value() -> None:
    quoted = targets()
    assert (quoted[Side.BUY].price_e4, quoted[Side.SELL].price_e4) == (4900, 5100)
    assert quoted[Side.BUY].size_e6 == quoted[Side.SELL].size_e6 == 20 * SHARE


def test_nothing_is_quoted_without_a_microprice() -> None:
    assert targets(microprice=None, is_valid=False, reason="no snapshot") == {}


def test_inventory_moves_both_quotes_against_itself() -> None:
    flat, long, short = targets(), targets(150), targets(-150)
    for side in Side:
        assert long[side].price_e4 < flat[side].price_e4 < short[side].price_e4


@pytest.mark.parametrize(
    ("net_shares", "bought", "sold"),
    [
        (0, 20, 20),
        (180, 20, 20),
        (190, 10, 20),
        (195, 5, 20),
        (195.5, None, 20),
        (200, None, 20),
        (260, None, 20),
        (-190, 20, 10),
        (-200, 20, None),
        (190.004, 9.99, 20),
    ],
)
def test_size_tapers_on_the_side_that_adds_to_the_position(
    net_shares: float, bought: float | None, sold: float | None
) -> None:
    quoted = targets(net_shares)
    sizes = [None if side not in quoted else quoted[side].size_e6 / SHARE for side in Side]
    assert sizes == [bought, sold]


def test_the_touch_is_never_crossed() -> None:
    quoted = targets(bid_e4=5000, ask_e4=5100, microprice=0.508)
    assert quoted[Side.BUY].price_e4 <= 5000
    assert quoted[Side.SELL].price_e4 >= 5100


def test_a_side_without_an_admissible_price_is_left_out() -> None:
    assert Side.BUY not in targets(microprice=0.004, bid_e4=None, ask_e4=100)
    assert Side.SELL not in targets(microprice=0.996, bid_e4=9900, ask_e4=None)


def test_an_order_half_a_tick_more_generous_than_exact_may_be_held() -> None:
    quoted = targets()
    exact_bid_e4 = expit(-0.04) * 10_000
    assert quoted[Side.BUY].hold_e4 == math.floor(exact_bid_e4 + 50)
    assert quoted[Side.SELL].hold_e4 == 10_000 - quoted[Side.BUY].hold_e4


books = st.builds(
    lambda bid, spread, fair: msgspec.structs.replace(
        BOOK,
        bid_e4=bid * 100,
        ask_e4=(bid + spread) * 100,
        microprice=(bid + fair * spread) / 100,
    ),
    st.integers(1, 90),
    st.integers(1, 9),
    st.floats(0.01, 0.99),
)


@steady
@given(books, st.floats(-300, 300))
def test_every_quote_is_one_the_venue_and_the_mandate_would_take(book: BookState, net_shares: float) -> None:
    inventory = held(net_shares)
    quotes = target_quotes(seen(book, net_shares), SETTINGS)
    assert book.bid_e4 is not None
    assert book.ask_e4 is not None
    for quote in quotes:
        assert quote.price_e4 % 100 == 0
        assert 100 <= quote.price_e4 <= 9_900
        assert MARKET.min_size_e6 <= quote.size_e6 <= MANDATE.order_size_e6
        assert quote.size_e6 % SIZE_STEP_E6 == 0
        assert quote.side.sign * inventory.net_e6 + quote.size_e6 <= MANDATE.max_position_e6
        if quote.side is Side.BUY:
            assert quote.price_e4 < book.ask_e4
        else:
            assert quote.price_e4 > book.bid_e4
    prices = {quote.side: quote.price_e4 for quote in quotes}
    if len(prices) == 2:
        assert prices[Side.BUY] < prices[Side.SELL]


@steady
@given(st.floats(-1e6, 1e6))
def test_expit_is_a_probability_for_every_logit(logit: float) -> None:
    assert 0.0 <= expit(logit) <= 1.0
    assert expit(logit) + expit(-logit) == pytest.approx(1.0)


def test_a_doubtful_book_widens() -> None:
    def quoted(integrity: float) -> dict[Side, int]:
        quotes = target_quotes(seen(BOOK, integrity=integrity), SETTINGS)
        return {quote.side: quote.price_e4 for quote in quotes}

    whole, doubtful = quoted(1.0), quoted(0.6)
    assert doubtful[Side.BUY] < whole[Side.BUY]
    assert doubtful[Side.SELL] > whole[Side.SELL]


def test_own_orders_do_not_move_the_price_they_are_made_of() -> None:
    own = (True, 4700, 500 * SHARE)
    shown = msgspec.structs.replace(
        BOOK, bid_e4=4700, bids=((4700, 500 * SHARE), *BOOK.bids), microprice=0.536
    )
    alone = target_quotes(seen(BOOK), SETTINGS)
    among = target_quotes(seen(shown, own=(own,)), SETTINGS)
    assert among == alone


@pytest.mark.parametrize(("tick_e4", "step_e4"), [(10, 100), (1000, 1000), (100, 100)])
def test_after_a_tick_change_prices_suit_the_venue_and_the_mandate(tick_e4: int, step_e4: int) -> None:
    quotes = targets(tick_e4=tick_e4)
    assert quotes
    assert all(quote.price_e4 % step_e4 == 0 for quote in quotes.values())
