"""The control port and the faults it switches on."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from venue_thread import RunningVenue, boottime_ns, record, running_venue, settings_for, snapshot, wall_ms
from wire_client import Caller, Socket, control, run

from clawswarm.model.errors import UserFault
from clawswarm.sandbox.recording import LevelsChanged
from clawswarm.sandbox.server import SandboxServer


def test_the_control_port_lists_its_routes(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        async with session.get(venue.control + "/") as response:
            routes = (await response.json())["routes"]
        for route in routes:
            assert set(route) == {"method", "path", "body", "effect"}
            async with session.request(route["method"], venue.control + route["path"], data=b"{") as response:
                assert response.status == (200 if route["body"] is None else 400)

    run(venue, scene)


def test_open_orders_are_the_truth_about_customers(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        placed = await caller.place("BUY", 0.54, 10, is_yes=False)
        async with session.get(venue.control + "/open-orders") as response:
            (order,) = await response.json()
        assert (order["id"], order["side"], order["price"]) == (placed["orderID"], "SELL", "0.46")
        assert venue.server.open_order_count == 1
        async with session.get(venue.control + "/accounts") as response:
            accounts = await response.json()
        assert accounts["imbalance"] == "0"

    run(venue, scene)


def test_a_blocked_region_may_read_and_cancel_only(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        placed = await caller.place("BUY", 0.40, 10)
        await control(session, venue, "/faults/geoblock", {"blocked": True})
        async with session.get(venue.url + "/api/geoblock") as response:
            assert (await response.json())["blocked"] is True
        refused = (403, {"error": "Trading restricted in your region"})
        assert await caller.send(session, "POST", "/order", b"{}") == refused
        assert await caller.send(session, "POST", "/orders", b"[{}]") == refused
        body = json.dumps({"orderID": placed["orderID"]}).encode()
        status, answer = await caller.send(session, "DELETE", "/order", body)
        assert (status, answer["canceled"]) == (200, [placed["orderID"]])
        await control(session, venue, "/faults/geoblock", {"blocked": False})
        assert (await caller.place("BUY", 0.40, 10))["status"] == "live"

    run(venue, scene)


def test_a_black_hole_swallows_the_market_channel_only(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        url, tokens = f"{venue.url}/ws/market", [venue.market.yes_token]
        async with session.ws_connect(f"{venue.url}/ws/user") as user_ws:
            user = Socket(user_ws)
            await user.send({"type": "user", "auth": caller.auth()})
            old_ws = await session.ws_connect(url)
            old = Socket(old_ws)
            await old.send({"type": "market", "assets_ids": tokens})
            await old.text()
            await control(session, venue, "/faults/black-hole", {"channel": "market", "seconds": 60})
            await old.send("PING")
            upgrade = asyncio.create_task(session.ws_connect(url))
            await caller.place("BUY", 0.40, 10)
            assert (await user.next(event_type="order"))["type"] == "PLACEMENT"
            with pytest.raises(asyncio.TimeoutError):
                await old_ws.receive(timeout=0.2)
            assert not upgrade.done()
            await control(session, venue, "/faults/black-hole", {"channel": "market", "seconds": 0})
            async with await asyncio.wait_for(upgrade, timeout=30) as new_ws:
                new = Socket(new_ws)
                await new.send({"type": "market", "assets_ids": tokens})
                (book,) = json.loads(await new.text())
                assert {"price": "0.4", "size": "10"} in book["bids"]
                await caller.place("BUY", 0.41, 10)
                await new.next(event_type="price_change")
            with pytest.raises(asyncio.TimeoutError):
                await old_ws.receive(timeout=0.1)
            await old_ws.close()

    run(venue, scene)


def test_a_quiet_market_is_only_quiet(tmp_path: Path) -> None:
    events = [
        snapshot(),
        *(LevelsChanged(at, ((0, 4400, (at + 1) * 1_000_000),)) for at in range(20, 2000, 20)),
    ]
    record(tmp_path, "btc-updown-1", events)

    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        async with session.ws_connect(f"{venue.url}/ws/market") as ws:
            socket = Socket(ws)
            await socket.send({"type": "market", "assets_ids": [venue.market.yes_token]})
            await socket.next(event_type="price_change")
            fault: dict[str, object] = {"market": venue.market.condition_id, "seconds": 60}
            await control(session, venue, "/faults/quiet", fault)
            await socket.send("PING")
            while await socket.text() != "PONG":
                pass
            await caller.place("BUY", 0.40, 10)
            change = await socket.next(event_type="price_change")
            assert change["price_changes"][0]["price"] == "0.4"
            await control(session, venue, "/faults/quiet", fault | {"seconds": 0})
            change = await socket.next(event_type="price_change")
            assert change["price_changes"][1]["price"] in ("0.44", "0.56")

    with running_venue(settings_for(tmp_path)) as venue:
        run(venue, scene)


def test_a_taken_port_is_one_sentence(tmp_path: Path, venue: RunningVenue) -> None:
    record(tmp_path / "other", "btc-updown-1", [snapshot()])
    settings = settings_for(tmp_path / "other", port=venue.server.port)

    async def scene() -> None:
        with pytest.raises(UserFault, match=f"port {venue.server.port} of the sandbox is taken"):
            await SandboxServer(settings, boottime_ns, wall_ms).start()

    asyncio.run(scene())


def test_other_hosts_than_loopback_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserFault, match="not loopback"):
        SandboxServer(settings_for(tmp_path, host="0.0.0.0"), boottime_ns, wall_ms)
