"""Market, user and price streams over real sockets."""

import hashlib
import json
from pathlib import Path

import aiohttp
import pytest
from venue_thread import RunningVenue, record, running_venue, settings_for, snapshot
from wire_client import Caller, Socket, run

from clawswarm.sandbox.recording import LevelsChanged, ReferenceTick, TickSizeChanged


def market_url(venue: RunningVenue) -> str:
    return f"{venue.url}/ws/market"


def hash_of(book: dict[str, object], last_trade_price: str) -> str:
    payload = {
        "market": book["market"],
        "asset_id": book["asset_id"],
        "timestamp": book["timestamp"],
        "hash": "",
        "bids": book["bids"],
        "asks": book["asks"],
        "min_order_size": "5",
        "tick_size": "0.01",
        "neg_risk": False,
        "last_trade_price": last_trade_price,
    }
    return hashlib.sha1(json.dumps(payload, separators=(",", ":")).encode()).hexdigest()


def test_subscribing_brings_one_array_of_books(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(market_url(venue)) as ws:
            socket = Socket(ws)
            tokens = [venue.market.yes_token, venue.market.no_token]
            await socket.send({"type": "market", "assets_ids": tokens})
            books = json.loads(await socket.text())
            assert [book["asset_id"] for book in books] == tokens
            for book in books:
                assert book["hash"] == hash_of(book, "")
            assert [level["price"] for level in books[0]["bids"]] == ["0.43", "0.44", "0.45"]
            assert [level["price"] for level in books[0]["asks"]] == ["0.49", "0.48", "0.47"]
            await socket.send({"operation": "subscribe", "assets_ids": ["12345"]})
            assert await socket.text() == "[]"
            await socket.send("PING")
            assert await socket.text() == "PONG"

    run(venue, scene)


def test_an_order_is_a_mirrored_price_change(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        async with session.ws_connect(market_url(venue)) as ws:
            socket = Socket(ws)
            await socket.send({"type": "market", "assets_ids": [venue.market.yes_token]})
            await socket.text()
            await caller.place("BUY", 0.52, 10, is_yes=False)
            change = await socket.next(event_type="price_change")
            first, second = change["price_changes"]
            assert (first["price"], first["side"], first["size"]) == ("0.52", "BUY", "210")
            assert (second["price"], second["side"], second["size"]) == ("0.48", "SELL", "210")
            assert (first["best_bid"], first["best_ask"]) == ("0.53", "0.55")

    run(venue, scene)


def test_a_trade_and_custom_features(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        async with (
            session.ws_connect(market_url(venue)) as ws,
            session.ws_connect(market_url(venue)) as plain,
        ):
            custom, other = Socket(ws), Socket(plain)
            tokens = [venue.market.yes_token, venue.market.no_token]
            await custom.send({"type": "market", "assets_ids": tokens, "custom_feature_enabled": True})
            await other.send({"type": "market", "assets_ids": tokens})
            await custom.text()
            await other.text()
            await caller.place("BUY", 0.47, 100)
            kinds = [json.loads(await custom.text())["event_type"] for _ in range(6)]
            assert kinds == [
                "price_change",
                "book",
                "book",
                "last_trade_price",
                "best_bid_ask",
                "best_bid_ask",
            ]
            kinds = [json.loads(await other.text())["event_type"] for _ in range(4)]
            assert kinds == ["price_change", "book", "book", "last_trade_price"]
            await other.send("PING")
            assert await other.text() == "PONG"

    run(venue, scene)


def test_unsubscribed_tokens_are_silent(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        async with session.ws_connect(market_url(venue)) as ws:
            socket = Socket(ws)
            await socket.send({"type": "market", "assets_ids": [venue.market.yes_token]})
            await socket.text()
            await socket.send({"operation": "unsubscribe", "assets_ids": [venue.market.yes_token]})
            await socket.send("PING")
            assert await socket.text() == "PONG"
            await caller.place("BUY", 0.44, 10)
            await socket.send("PING")
            assert await socket.text() == "PONG"

    run(venue, scene)


def test_the_user_channel_follows_an_order_and_a_trade(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        async with session.ws_connect(f"{venue.url}/ws/user") as ws:
            socket = Socket(ws)
            await socket.send({"type": "user", "auth": caller.auth()})
            await socket.send("PING")
            assert await socket.text() == "PONG"
            assert venue.server.account_connections == 1
            resting = await caller.place("BUY", 0.40, 10)
            placed = await socket.next(event_type="order")
            assert (placed["type"], placed["status"], placed["id"]) == (
                "PLACEMENT",
                "LIVE",
                resting["orderID"],
            )
            await caller.place("BUY", 0.47, 10)
            statuses = [(await socket.next(event_type="trade"))["status"] for _ in range(3)]
            assert statuses == ["MATCHED", "MINED", "CONFIRMED"]
            body = json.dumps({"orderID": resting["orderID"]}).encode()
            await caller.send(session, "DELETE", "/order", body)
            gone = await socket.next(type="CANCELLATION")
            assert (gone["id"], gone["status"]) == (resting["orderID"], "CANCELED")

    run(venue, scene)


def test_a_maker_hears_of_his_fill(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        async with session.ws_connect(f"{venue.url}/ws/user") as ws:
            socket = Socket(ws)
            await socket.send({"type": "user", "auth": caller.auth(), "markets": [venue.market.condition_id]})
            await socket.send("PING")
            await socket.text()
            maker = await caller.place("BUY", 0.46, 10)
            taker = await caller.place("BUY", 0.54, 6, is_yes=False)
            update = await socket.next(type="UPDATE", id=maker["orderID"])
            assert (update["size_matched"], update["status"]) == ("6", "LIVE")
            trade = await socket.next(event_type="trade", status="MATCHED")
            assert trade["taker_order_id"] == taker["orderID"]
            (fill,) = trade["maker_orders"]
            assert (fill["order_id"], fill["matched_amount"]) == (maker["orderID"], "6")

    run(venue, scene)


def test_naming_no_markets_leaves_all_of_them(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        async with session.ws_connect(f"{venue.url}/ws/user") as ws:
            socket = Socket(ws)
            await socket.send({"type": "user", "auth": caller.auth()})
            await socket.send({"operation": "subscribe", "markets": []})
            await socket.send({"operation": "subscribe"})
            await socket.send("PING")
            await socket.text()
            await caller.place("BUY", 0.40, 10)
            assert (await socket.next(event_type="order"))["type"] == "PLACEMENT"

    run(venue, scene)


@pytest.mark.parametrize("auth", [None, {"apiKey": "x", "secret": "y", "passphrase": "z"}])
def test_wrong_credentials_close_the_user_channel(venue: RunningVenue, auth: object) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f"{venue.url}/ws/user") as ws:
            await Socket(ws).send({"type": "user", "auth": auth})
            message = await ws.receive(timeout=30)
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)

    run(venue, scene)


def test_reference_prices(tmp_path: Path) -> None:
    # Repeated, so that a subscriber who comes late on a busy machine hears one too.
    later = [ReferenceTick(at_ms, 65_001_000_000, True) for at_ms in range(300, 60_000, 300)]
    ticks = [ReferenceTick(0, 65_000_123_456, True), *later]
    record(tmp_path, "btc-updown-1", [snapshot(), *ticks])

    async def scene(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f"{venue.url}/rtds") as ws:
            socket = Socket(ws)
            symbol = {"topic": "crypto_prices_chainlink", "type": "update", "filters": '{"symbol":"btc/usd"}'}
            await socket.send({"action": "subscribe", "subscriptions": [symbol]})
            first = await socket.next(type="subscribe")
            assert first["payload"]["symbol"] == "btc/usd"
            update = await socket.next(type="update")
            assert update["topic"] == "crypto_prices_chainlink"
            payload = update["payload"]
            assert (payload["symbol"], payload["value"]) == ("btc/usd", 65001.0)
            assert payload["full_accuracy_value"] == "65001" + "0" * 18

    with running_venue(settings_for(tmp_path)) as venue:
        run(venue, scene)


def test_a_recording_reaches_subscribers(tmp_path: Path) -> None:
    events = [snapshot(), TickSizeChanged(5_000, 10), LevelsChanged(5_100, ((0, 4500, 7_000_000),))]
    record(tmp_path, "btc-updown-1", events, duration_ms=5_200)

    async def scene(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(market_url(venue)) as ws:
            socket = Socket(ws)
            token = venue.market.yes_token
            await socket.send({"type": "market", "assets_ids": [token], "custom_feature_enabled": True})
            tick = await socket.next(event_type="tick_size_change")
            assert (tick["old_tick_size"], tick["new_tick_size"]) == ("0.01", "0.001")
            change = await socket.next(event_type="price_change")
            assert change["price_changes"][0]["size"] == "7"
            end = await socket.next(event_type="market_resolved")
            assert end["winning_outcome"] == "Up"

    with running_venue(settings_for(tmp_path)) as venue:
        run(venue, scene)


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"type":7}', '{"assets_ids":"x"}', "[" * 5000, "\x00"])
def test_garbage_on_a_socket_is_ignored(venue: RunningVenue, garbage: str) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(market_url(venue)) as ws:
            await ws.send_str(garbage)
            await ws.send_bytes(b"\xff\xfe")
            await Socket(ws).send("PING")
            assert await Socket(ws).text() == "PONG"

    run(venue, scene)
