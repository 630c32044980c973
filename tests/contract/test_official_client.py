"""Polymarket's own py-clob-client-v2, unmodified, against the sandbox."""

from decimal import Decimal
from pathlib import Path

import pytest
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    AssetType,
    BalanceAllowanceParams,
    MarketOrderArgs,
    OpenOrderParams,
    OrderArgs,
    OrderMarketCancelParams,
    OrderPayload,
    OrderType,
    PostOrdersV2Args,
    TradeParams,
)
from py_clob_client_v2.exceptions import PolyApiException
from venue_thread import DEV_KEY, RunningVenue, record, running_venue, settings_for, snapshot

BUY, SELL = "BUY", "SELL"


@pytest.fixture
def client(venue: RunningVenue) -> ClobClient:
    """A client with a key of its own."""
    return connect(venue)


def connect(venue: RunningVenue, key: str = DEV_KEY) -> ClobClient:
    fresh = ClobClient(venue.url, 137, key=key)
    fresh.set_api_creds(fresh.create_api_key())
    return fresh


def limit(venue: RunningVenue, price: float, size: float = 10, side: str = BUY) -> OrderArgs:
    return OrderArgs(token_id=venue.market.yes_token, price=price, size=size, side=side)


def collateral(client: ClobClient) -> Decimal:
    answer = client.get_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))
    return Decimal(answer["balance"]) / 1_000_000


def test_service_routes(client: ClobClient) -> None:
    assert client.get_ok() == "OK"
    assert client.get_version() == 2
    assert isinstance(client.get_server_time(), int)


def test_create_then_derive_the_same_key(venue: RunningVenue) -> None:
    fresh = ClobClient(venue.url, 137, key=DEV_KEY)
    created = fresh.create_api_key()
    assert fresh.derive_api_key() == created
    with pytest.raises(PolyApiException, match="Could not create api key"):
        fresh.create_api_key()
    fresh.set_api_creds(created)
    assert fresh.get_api_keys() == {"apiKeys": [created.api_key]}


def test_another_nonce_revokes_the_first_key(venue: RunningVenue, client: ClobClient) -> None:
    client.create_api_key(nonce=1)
    with pytest.raises(PolyApiException, match="Unauthorized/Invalid api key"):
        client.get_open_orders()


def test_market_metadata(venue: RunningVenue, client: ClobClient) -> None:
    page = client.get_markets()
    assert (page["next_cursor"], len(page["data"])) == ("LTE=", 1)
    record = client.get_market(venue.market.condition_id)
    assert record == page["data"][0]
    assert [t["token_id"] for t in record["tokens"]] == [venue.market.yes_token, venue.market.no_token]
    assert client.get_clob_market_info(venue.market.condition_id)["fd"] == {"r": 0.07, "e": 1, "to": True}
    token = venue.market.no_token
    assert client.get_tick_size(token) == "0.01"
    assert client.get_neg_risk(token) is False
    assert client.get_fee_rate_bps(token) == 1000
    assert client.get_fee_exponent(token) == 1
    assert client.get_midpoint(venue.market.yes_token) == {"mid": "0.46"}


@pytest.mark.parametrize("is_yes", [True, False])
def test_the_clients_own_hash_of_the_book(venue: RunningVenue, client: ClobClient, is_yes: bool) -> None:
    client.create_and_post_order(limit(venue, 0.47), order_type=OrderType.GTC)
    book = client.get_order_book(venue.market.token(is_yes))
    assert client.get_order_book_hash(book) == book["hash"]
    assert book["last_trade_price"] == "0.470"
    best = (book["bids"][-1]["price"], book["asks"][-1]["price"])
    assert best == (("0.45", "0.47") if is_yes else ("0.53", "0.55"))


def test_a_limit_order_rests_and_is_cancelled(venue: RunningVenue, client: ClobClient) -> None:
    placed = client.create_and_post_order(limit(venue, 0.45), order_type=OrderType.GTC)
    assert (placed["success"], placed["status"]) == (True, "live")
    (order,) = client.get_open_orders()
    assert (order["id"], order["price"], order["original_size"]) == (placed["orderID"], "0.45", "10")
    assert client.get_order(order["id"]) == order
    book = client.get_order_book(venue.market.yes_token)
    assert book["bids"][-1] == {"price": "0.45", "size": "110"}
    answer = client.cancel_order(OrderPayload(orderID=order["id"]))
    assert answer == {"canceled": [order["id"]], "not_canceled": {}}
    assert client.get_open_orders() == []
    again = client.cancel_order(OrderPayload(orderID=order["id"]))
    assert again["not_canceled"] == {order["id"]: "Order not found or already canceled"}


def test_the_order_id_is_the_hash_the_client_can_compute(venue: RunningVenue, client: ClobClient) -> None:
    signed = client.create_order(limit(venue, 0.45))
    placed = client.post_order(signed, OrderType.GTC)
    with pytest.raises(PolyApiException, match=r"is invalid\. Duplicated\."):
        client.post_order(signed, OrderType.GTC)
    assert len(placed["orderID"]) == 66


def test_post_only_is_refused_when_it_would_take(venue: RunningVenue, client: ClobClient) -> None:
    with pytest.raises(PolyApiException, match="invalid post-only order: order crosses book"):
        client.create_and_post_order(limit(venue, 0.47), order_type=OrderType.GTC, post_only=True)
    assert client.get_open_orders() == []


def test_a_trade_settles(venue: RunningVenue, client: ClobClient) -> None:
    before = collateral(client)
    placed = client.create_and_post_order(limit(venue, 0.50), order_type=OrderType.GTC)
    assert (placed["status"], placed["makingAmount"], placed["takingAmount"]) == ("matched", "4.7", "10")
    assert len(placed["transactionsHashes"]) == 1
    (trade,) = client.get_trades(TradeParams(id=placed["tradeIDs"][0]))
    assert (trade["trader_side"], trade["price"], trade["size"]) == ("TAKER", "0.47", "10")
    assert trade["status"] in ("MINED", "CONFIRMED")
    assert before - collateral(client) == Decimal("4.7") + Decimal("0.17437")
    tokens = client.get_balance_allowance(
        BalanceAllowanceParams(asset_type=AssetType.CONDITIONAL, token_id=venue.market.yes_token)
    )
    assert tokens["balance"] == "10000000"


def test_market_orders(venue: RunningVenue, client: ClobClient) -> None:
    args = MarketOrderArgs(token_id=venue.market.yes_token, amount=20, side=BUY)
    placed = client.create_and_post_market_order(args, order_type=OrderType.FOK)
    assert placed["status"] == "matched"
    args = MarketOrderArgs(token_id=venue.market.yes_token, amount=10, side=SELL)
    placed = client.create_and_post_market_order(args, order_type=OrderType.FAK)
    assert (placed["status"], placed["makingAmount"], placed["takingAmount"]) == ("matched", "10", "4.5")


def test_fok_and_fak_that_find_nothing(venue: RunningVenue, client: ClobClient) -> None:
    with pytest.raises(PolyApiException, match="FOK orders are fully filled or killed"):
        client.create_and_post_order(limit(venue, 0.47, size=500), order_type=OrderType.FOK)
    with pytest.raises(PolyApiException, match="no orders found to match with FAK order"):
        client.create_and_post_order(limit(venue, 0.40), order_type=OrderType.FAK)


def test_gtd(venue: RunningVenue, client: ClobClient) -> None:
    late = OrderArgs(
        token_id=venue.market.yes_token,
        price=0.4,
        size=10,
        side=BUY,
        expiration=client.get_server_time() + 300,
    )
    assert client.create_and_post_order(late, order_type=OrderType.GTD)["status"] == "live"
    soon = OrderArgs(
        token_id=venue.market.yes_token,
        price=0.4,
        size=10,
        side=BUY,
        expiration=client.get_server_time() + 100,
    )
    with pytest.raises(PolyApiException, match="invalid expiration"):
        client.create_and_post_order(soon, order_type=OrderType.GTD)


def test_a_batch_has_a_result_for_each_leg(venue: RunningVenue, client: ClobClient) -> None:
    legs = [limit(venue, 0.40), limit(venue, 0.41, size=1), limit(venue, 0.42)]
    answers = client.post_orders([PostOrdersV2Args(client.create_order(leg), OrderType.GTC) for leg in legs])
    assert [a["status"] for a in answers] == ["live", "", "live"]
    assert "lower than the minimum: 5" in answers[1]["errorMsg"]
    assert len(client.get_open_orders()) == 2


def test_a_batch_of_sixteen_is_refused(venue: RunningVenue, client: ClobClient) -> None:
    leg = PostOrdersV2Args(client.create_order(limit(venue, 0.40)), OrderType.GTC)
    with pytest.raises(PolyApiException, match="Too many orders in payload: 16, max allowed: 15"):
        client.post_orders([leg] * 16)


def test_cancels_of_every_kind(venue: RunningVenue, client: ClobClient) -> None:
    def fill() -> list[str]:
        return [
            client.create_and_post_order(limit(venue, price), order_type=OrderType.GTC)["orderID"]
            for price in (0.40, 0.41)
        ]

    ids = fill()
    assert sorted(client.cancel_orders(ids)["canceled"]) == sorted(ids)
    ids = fill()
    assert sorted(client.cancel_all()["canceled"]) == sorted(ids)
    ids = fill()
    elsewhere = OrderMarketCancelParams(market="0x" + "00" * 32)
    assert client.cancel_market_orders(elsewhere)["canceled"] == []
    target = OrderMarketCancelParams(market=venue.market.condition_id, asset_id=venue.market.yes_token)
    assert sorted(client.cancel_market_orders(target)["canceled"]) == sorted(ids)
    assert client.get_open_orders(OpenOrderParams(market=venue.market.condition_id)) == []


def test_nobody_cancels_or_sees_another_wallets_orders(venue: RunningVenue, client: ClobClient) -> None:
    other = connect(venue, "0x" + "11" * 32)
    placed = client.create_and_post_order(limit(venue, 0.45), order_type=OrderType.GTC)
    assert other.get_open_orders() == []
    assert other.cancel_all()["canceled"] == []
    assert other.cancel_order(OrderPayload(orderID=placed["orderID"]))["canceled"] == []
    with pytest.raises(PolyApiException, match="Order not found"):
        other.get_order(placed["orderID"])
    assert len(client.get_open_orders()) == 1


def test_two_wallets_trade_and_the_maker_pays_nothing(venue: RunningVenue, client: ClobClient) -> None:
    maker, before = connect(venue, "0x" + "11" * 32), collateral(client)
    maker.create_and_post_order(limit(venue, 0.46), order_type=OrderType.GTC)
    sell_no = OrderArgs(token_id=venue.market.no_token, price=0.54, size=10, side=BUY)
    client.create_and_post_order(sell_no, order_type=OrderType.GTC)
    (trade,) = maker.get_trades()
    assert trade["trader_side"] == "MAKER"
    (fill,) = trade["maker_orders"]
    assert (fill["price"], fill["matched_amount"], fill["side"]) == ("0.46", "10", "BUY")
    assert collateral(maker) == before - Decimal("4.6")
    assert collateral(client) == before - Decimal("5.4") - Decimal("0.17388")


def test_heartbeat_chain(client: ClobClient) -> None:
    first = client.post_heartbeat("")["heartbeat_id"]
    client.post_heartbeat(first)
    with pytest.raises(PolyApiException, match="Invalid Heartbeat ID"):
        client.post_heartbeat("wrong")


def test_silence_cancels_everything_of_the_key(tmp_path: Path) -> None:
    record(tmp_path, "btc-updown-1", [snapshot()])
    short = settings_for(tmp_path, heartbeat_timeout_s=0.2, heartbeat_sweep_s=0.1)
    with running_venue(short) as venue:
        client, quiet = connect(venue), connect(venue, "0x" + "11" * 32)
        client.create_and_post_order(limit(venue, 0.45), order_type=OrderType.GTC)
        quiet.create_and_post_order(limit(venue, 0.44), order_type=OrderType.GTC)
        client.post_heartbeat("")
        while client.get_open_orders():
            pass
        assert len(quiet.get_open_orders()) == 1


def test_a_closed_market_takes_no_orders(tmp_path: Path) -> None:
    record(tmp_path, "btc-updown-1", [snapshot()], duration_ms=1)
    with running_venue(settings_for(tmp_path)) as venue:
        client = connect(venue)
        while client.get_market(venue.market.condition_id)["accepting_orders"]:
            pass
        with pytest.raises(PolyApiException, match="No orderbook exists for the requested token id"):
            client.get_order_book(venue.market.yes_token)
        assert client.get_market(venue.market.condition_id)["tokens"][0]["winner"] is True
