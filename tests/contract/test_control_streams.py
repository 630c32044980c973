"""Faults of streams, planted by the control port."""

import asyncio
import json

import aiohttp
import pytest
from control_port import look, switch
from venue_thread import RunningVenue, record, running_venue, settings_for, snapshot
from wire_client import Caller, Json, Socket, run


async def subscribed(session: aiohttp.ClientSession, venue: RunningVenue) -> Socket:
    """A market-channel connection that has its first books."""
    socket = Socket(await session.ws_connect(f"{venue.url}/ws/market"))
    await socket.send({"type": "market", "assets_ids": [venue.market.yes_token]})
    await socket.text()
    return socket


async def sizes_until_pong(socket: Socket) -> list[str]:
    """Sizes of the price_changes that came before the answer to a PING."""
    await socket.send("PING")
    sizes = []
    while (text := await socket.text()) != "PONG":
        frame = json.loads(text)
        if frame["event_type"] == "price_change":
            sizes.append(frame["price_changes"][0]["size"])
    return sizes


async def place_three(caller: Caller) -> None:
    """Three orders, seen as sizes 10, 20 and 30 of one level."""
    for _ in range(3):
        await caller.place("BUY", 0.40, 10)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ({"fault": "gap", "frames": 2}, ["30"]),
        ({"fault": "duplicate", "frames": 1}, ["10", "10", "20", "30"]),
        ({"fault": "stall", "seconds": 60}, []),
        ({"fault": "corrupt-level", "frames": 1}, ["987654.32", "20", "30"]),
        ({"fault": "crossed-book", "frames": 1}, ["10", "987654.32", "20", "30"]),
    ],
)
def test_what_a_market_client_sees(venue: RunningVenue, fault: Json, seen: list[str]) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller, socket = Caller(venue), await subscribed(session, venue)
        await switch(session, venue, "/faults/feed", {"channel": "market", **fault})
        await place_three(caller)
        assert await sizes_until_pong(socket) == seen
        if not seen:
            await switch(session, venue, "/faults", method="DELETE")
            for size in ("10", "20", "30"):
                change = await socket.next(event_type="price_change")
                assert change["price_changes"][0]["size"] == size

    run(venue, scene)


def test_reordered_frames_all_come(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller, socket = Caller(venue), await subscribed(session, venue)
        await switch(session, venue, "/faults/feed", {"channel": "market", "fault": "reorder", "frames": 3})
        await place_three(caller)
        assert sorted(await sizes_until_pong(socket)) == ["10", "20", "30"]

    run(venue, scene)


def test_a_user_stream_stalls_while_pongs_flow(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        async with session.ws_connect(f"{venue.url}/ws/user") as ws:
            socket = Socket(ws)
            await socket.send({"type": "user", "auth": caller.auth()})
            stall: Json = {"channel": "user", "fault": "stall", "seconds": 60}
            await switch(session, venue, "/faults/feed", stall)
            await caller.place("BUY", 0.40, 10)
            await socket.send("PING")
            assert await socket.text() == "PONG"
            await switch(session, venue, "/faults", method="DELETE")
            assert (await socket.next(event_type="order"))["type"] == "PLACEMENT"

    run(venue, scene)


def test_a_black_hole_of_the_user_channel(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        async with session.ws_connect(f"{venue.url}/ws/user") as ws:
            socket = Socket(ws)
            await socket.send({"type": "user", "auth": caller.auth()})
            await socket.send("PING")
            await socket.text()
            await switch(session, venue, "/faults/black-hole", {"channel": "user", "seconds": 60})
            await socket.send("PING")
            await caller.place("BUY", 0.40, 10)
            with pytest.raises(asyncio.TimeoutError):
                await ws.receive(timeout=0.2)
            assert len(await look(session, venue, "/open-orders")) == 1
            await switch(session, venue, "/faults/black-hole", {"channel": "user", "seconds": 0})

    run(venue, scene)


@pytest.mark.parametrize("code", [1001, 1008, 1012, 1006])
def test_a_stream_is_closed_with_a_code(venue: RunningVenue, code: int) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        socket = await subscribed(session, venue)
        assert (await look(session, venue, "/connections"))["market"] == 1
        told = await switch(session, venue, "/faults/close", {"channel": "market", "code": code})
        assert told["closed"] == 1
        message = await socket.socket.receive(timeout=30)
        assert message.type in (
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.CLOSED,
            aiohttp.WSMsgType.ERROR,
        )
        assert socket.socket.close_code == code
        again = await subscribed(session, venue)
        await again.socket.close()

    run(venue, scene)


def test_a_client_that_never_subscribes_is_dropped(tmp_path) -> None:
    record(tmp_path, "btc-updown-1", [snapshot()])

    async def scene(session: aiohttp.ClientSession) -> None:
        socket = await subscribed(session, venue)
        for channel in ("market", "user"):
            async with session.ws_connect(f"{venue.url}/ws/{channel}") as ws:
                message = await ws.receive(timeout=30)
                assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        # The subscribed one has by now been there longer than those that were dropped.
        await socket.send("PING")
        assert await socket.text() == "PONG"

    with running_venue(settings_for(tmp_path, subscribe_timeout_s=0.2)) as venue:
        run(venue, scene)


def test_frames_step_back_as_recorded_when_asked_for(tmp_path) -> None:
    record(tmp_path, "btc-updown-1", [snapshot()])

    async def scene(session: aiohttp.ClientSession) -> None:
        caller, socket = Caller(venue), await subscribed(session, venue)
        for _ in range(12):
            await place_three(caller)
        stamps = []
        while len(stamps) < 36:
            stamps.append(int((await socket.next(event_type="price_change"))["timestamp"]))
        assert sorted(stamps) != stamps

    with running_venue(settings_for(tmp_path, disorder_share=0.4)) as venue:
        run(venue, scene)


def test_more_than_five_hundred_tokens_bring_no_books(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f"{venue.url}/ws/market") as ws:
            socket, known = Socket(ws), venue.market.yes_token
            await socket.send({"type": "market", "assets_ids": [known, *map(str, range(1, 500))]})
            (book,) = json.loads(await socket.text())
            assert book["asset_id"] == known
            await socket.send({"operation": "subscribe", "assets_ids": ["501"]})
            await socket.send("PING")
            assert await socket.text() == "PONG"
            await Caller(venue).place("BUY", 0.40, 10)
            await socket.next(event_type="price_change")

    run(venue, scene)


def test_custom_features_are_toggled_by_subscribing_again(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller, socket = Caller(venue), await subscribed(session, venue)
        token = venue.market.yes_token
        for is_on, kinds in ((True, {"price_change", "best_bid_ask"}), (False, {"price_change"})):
            again = {"operation": "subscribe", "assets_ids": [token], "custom_feature_enabled": is_on}
            await socket.send(again)
            assert isinstance(json.loads(await socket.text()), list)
            placed = await caller.place("BUY", 0.46, 10)
            await caller.send(
                session, "DELETE", "/order", json.dumps({"orderID": placed["orderID"]}).encode()
            )
            await socket.send("PING")
            seen = set()
            while (text := await socket.text()) != "PONG":
                seen.add(json.loads(text)["event_type"])
            assert seen == kinds

    run(venue, scene)
