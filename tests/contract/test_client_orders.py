"""Every client: each order type, batches, refusals, trades until they are confirmed."""

from decimal import Decimal

import pytest
from client_port import Connector, Limit, Placed, Refused, RefusedLeg, VenueClient
from venue_thread import RunningVenue, wall_ms

OTHER_KEY = "0x" + "11" * 32


def buy(venue: RunningVenue, price: str, size: str = "10", **names: object) -> Limit:
    return Limit(venue.market.yes_token, "BUY", price, size, **names)


def test_a_gtc_order_rests(venue: RunningVenue, client: VenueClient) -> None:
    placed = client.place(buy(venue, "0.45"))
    assert (placed.status, placed.making, placed.taking, placed.trade_ids) == ("live", 0, 0, ())
    (order,) = client.open_orders()
    assert client.order(placed.order_id) == order
    assert (order.id, order.status, order.side, order.order_type) == (placed.order_id, "LIVE", "BUY", "GTC")
    assert (order.price, order.original_size, order.size_matched) == (Decimal("0.45"), 10, 0)
    assert (order.market, order.token) == (venue.market.condition_id, venue.market.yes_token)
    assert (order.owner, order.maker_address) == (client.credentials.key, client.address)
    assert order.outcome == venue.market.outcome(True)
    assert client.book(order.token).bids[-1] == (Decimal("0.45"), 110)


def test_a_gtd_order_rests_until_it_expires(venue: RunningVenue, client: VenueClient) -> None:
    soon = wall_ms() // 1000
    placed = client.place(buy(venue, "0.40", expires_s=soon + 300))
    assert (placed.status, client.order(placed.order_id).order_type) == ("live", "GTD")


def test_a_gtd_order_that_ends_too_soon(venue: RunningVenue, client: VenueClient) -> None:
    too_soon = buy(venue, "0.40", expires_s=wall_ms() // 1000 + 100)
    # polymarket-client refuses it itself, V2 sends it and hears the venue's refusal.
    with pytest.raises((Refused, client.local_refusal), match="expiration"):
        client.place(too_soon)
    assert client.open_orders() == []


def test_a_post_only_order_rests(venue: RunningVenue, client: VenueClient) -> None:
    assert client.place(buy(venue, "0.46", is_post_only=True)).status == "live"


def test_a_post_only_order_that_would_take_is_refused(venue: RunningVenue, client: VenueClient) -> None:
    with pytest.raises(Refused, match="invalid post-only order: order crosses book") as refused:
        client.place(buy(venue, "0.47", is_post_only=True))
    assert refused.value.status == 400
    assert isinstance(refused.value.__cause__, client.rejection)
    assert client.open_orders() == []


def test_a_fok_order_fills_whole_or_not_at_all(venue: RunningVenue, client: VenueClient) -> None:
    token = venue.market.yes_token
    placed = client.place_market(token, "BUY", "23.5", "FOK", "0.47")
    assert (placed.status, placed.making, placed.taking) == ("matched", Decimal("23.5"), 50)
    with pytest.raises(Refused, match=r"couldn't be fully filled\. FOK orders are fully filled or killed\."):
        client.place_market(token, "BUY", "47", "FOK", "0.47")
    assert client.open_orders() == []
    assert client.shares(token) == 50


def test_a_fak_order_fills_what_it_finds(venue: RunningVenue, client: VenueClient) -> None:
    token = venue.market.yes_token
    placed = client.place_market(token, "BUY", "70.5", "FAK", "0.47")
    assert (placed.status, placed.making, placed.taking) == ("matched", 47, 100)
    assert client.open_orders() == []
    with pytest.raises(Refused, match="no orders found to match with FAK order"):
        client.place_market(token, "BUY", "10", "FAK", "0.47")


def test_market_orders_priced_from_the_book(venue: RunningVenue, client: VenueClient) -> None:
    token = venue.market.yes_token
    bought = client.place_market(token, "BUY", "20", "FOK")
    assert bought.status == "matched"
    assert Decimal("19.99") < bought.making <= 20
    sold = client.place_market(token, "SELL", "10", "FAK")
    assert (sold.status, sold.making, sold.taking) == ("matched", 10, Decimal("4.5"))


def test_a_batch_of_fifteen_has_a_result_for_each_leg(venue: RunningVenue, client: VenueClient) -> None:
    legs = [buy(venue, f"0.{20 + at}") for at in range(15)]
    legs[7] = buy(venue, "0.40", "1")
    results = client.place_batch(legs)
    assert len(results) == 15
    assert isinstance(results[7], RefusedLeg)
    assert "lower than the minimum: 5" in results[7].text
    taken = [result for result in results if isinstance(result, Placed)]
    assert [result.status for result in taken] == ["live"] * 14
    assert {order.id for order in client.open_orders()} == {result.order_id for result in taken}


def test_a_batch_of_sixteen_is_refused(venue: RunningVenue, client: VenueClient) -> None:
    legs = [buy(venue, f"0.{20 + at}") for at in range(16)]
    # V2 sends sixteen; polymarket-client counts before it sends.
    with pytest.raises((Refused, client.local_refusal)) as refused:
        client.place_batch(legs)
    if isinstance(refused.value, Refused):
        assert refused.value.status == 400
        assert refused.value.text == "Too many orders in payload: 16, max allowed: 15"
    else:
        assert "cannot exceed 15" in str(refused.value)
    assert client.open_orders() == []


def test_the_same_order_twice(venue: RunningVenue, client: VenueClient) -> None:
    with pytest.raises(Refused, match=r"^400 order 0x[0-9a-f]{64} is invalid\. Duplicated\.$"):
        client.place_twice(buy(venue, "0.45"))
    assert len(client.open_orders()) == 1


def test_orders_the_wallet_cannot_pay(venue: RunningVenue, client: VenueClient) -> None:
    with pytest.raises(Refused, match="not enough balance / allowance") as refused:
        client.place(buy(venue, "0.45", "1000000"))
    assert refused.value.status == 400
    with pytest.raises(Refused, match="not enough balance / allowance"):
        client.place(Limit(venue.market.yes_token, "SELL", "0.60", "10"))


def test_an_order_below_the_minimum(venue: RunningVenue, client: VenueClient) -> None:
    with pytest.raises(Refused, match=r"is invalid\. Size \(4\) lower than the minimum: 5$"):
        client.place(buy(venue, "0.45", "4"))


def test_a_trade_settles(venue: RunningVenue, client: VenueClient) -> None:
    before = client.collateral()
    placed = client.place(buy(venue, "0.50"))
    assert (placed.status, placed.making, placed.taking) == ("matched", Decimal("4.7"), 10)
    (trade_id,) = placed.trade_ids
    while (trade := client.trades(trade_id)[0]).status != "CONFIRMED":
        assert trade.status in ("MATCHED", "MINED")
    assert (trade.id, trade.taker_order_id) == (trade_id, placed.order_id)
    assert (trade.trader_side, trade.side, trade.price, trade.size) == ("TAKER", "BUY", Decimal("0.47"), 10)
    assert trade.transaction_hash is not None
    assert len(trade.transaction_hash) == 66
    assert before - client.collateral() == Decimal("4.7") + Decimal("0.17437")
    assert client.shares(venue.market.yes_token) == 10


def test_two_wallets_mint_and_the_maker_pays_nothing(venue: RunningVenue, connect: Connector) -> None:
    taker, maker = connect(), connect(OTHER_KEY)
    before = taker.collateral()
    rested = maker.place(buy(venue, "0.46"))
    taken = taker.place(Limit(venue.market.no_token, "BUY", "0.54"))
    assert taken.status == "matched"
    (trade,) = maker.trades()
    assert (trade.trader_side, trade.taker_order_id) == ("MAKER", taken.order_id)
    assert (trade.token, trade.price) == (venue.market.no_token, Decimal("0.54"))
    (fill,) = trade.makers
    assert (fill.order_id, fill.price, fill.size, fill.side) == (rested.order_id, Decimal("0.46"), 10, "BUY")
    assert maker.collateral() == before - Decimal("4.6")
    assert taker.collateral() == before - Decimal("5.4") - Decimal("0.17388")
    assert (maker.shares(venue.market.yes_token), taker.shares(venue.market.no_token)) == (10, 10)


def test_a_partial_fill_leaves_the_rest(venue: RunningVenue, connect: Connector) -> None:
    taker, maker = connect(), connect(OTHER_KEY)
    rested = maker.place(buy(venue, "0.46", "12"))
    taker.place(Limit(venue.market.no_token, "BUY", "0.54", "7"))
    order = maker.order(rested.order_id)
    assert (order.status, order.original_size, order.size_matched) == ("LIVE", 12, 7)
    assert taker.book(venue.market.yes_token).bids[-1] == (Decimal("0.46"), 5)


def test_a_closed_market_takes_no_orders(venue: RunningVenue, client: VenueClient) -> None:
    client.place(buy(venue, "0.45"))
    venue.steer("/markets/close", market=venue.market.condition_id, winner="YES")
    assert client.open_orders() == []
    with pytest.raises(Refused, match="No orderbook exists for the requested token id"):
        client.book(venue.market.yes_token)
    with pytest.raises(Refused):
        client.place(buy(venue, "0.45"))


def test_a_held_order_is_answered_when_it_is_released(venue: RunningVenue, client: VenueClient) -> None:
    venue.steer("/markets/delay", market=venue.market.condition_id, taker_delay_ms=50)
    placed = client.place(buy(venue, "0.47"))
    assert (placed.status, placed.taking) == ("matched", 10)
    assert client.place(buy(venue, "0.46")).status == "live"


def test_an_order_of_a_market_with_seconds_delay(venue: RunningVenue, client: VenueClient) -> None:
    venue.steer("/markets/delay", market=venue.market.condition_id, seconds_delay=1)
    placed = client.place(buy(venue, "0.47"))
    assert (placed.status, placed.taking, placed.trade_ids) == ("delayed", 0, ())
    assert client.cancel(placed.order_id).canceled == ()
    while not venue.look(lambda server: len(server.venue.exchange.trades)):
        pass
    (trade,) = client.trades()
    assert trade.taker_order_id == placed.order_id
