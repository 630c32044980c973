"""Faults of requests, planted by the control port: what arrives, what is done, what is answered."""

import asyncio
import json
import time

import aiohttp
import pytest
from control_port import POST_ORDER, ask, look, signed, switch
from venue_thread import DEV_ADDRESS, RunningVenue
from wire_client import Caller, Json, run

CUT = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


async def placed_body(caller: Caller) -> bytes:
    """The body of a fresh signed order, not sent."""
    return json.dumps(await signed(caller, caller.venue.market.yes_token, 0.40)).encode()


def test_latency_hits_its_endpoint_only(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        late: Json = {"method": "GET", "path": "/time", "latency_ms": 1000, "jitter_ms": 10, "requests": 1}
        await switch(session, venue, "/faults/latency", late)
        waited = []
        for path in ("/version", "/time", "/time"):
            began = time.perf_counter()
            async with session.get(venue.url + path) as response:
                assert response.status == 200
            waited.append(time.perf_counter() - began)
        assert waited[1] >= 1.0
        assert waited[0] < 1.0
        assert waited[2] < 1.0

    run(venue, scene)


def test_a_reset_request_is_not_acted_on(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        body = await placed_body(caller)
        await switch(session, venue, "/faults/reset", {**POST_ORDER, "requests": 1})
        with pytest.raises(CUT):
            await ask(session, caller, "POST", "/order", body)
        assert await look(session, venue, "/open-orders") == []
        status, _, answer = await ask(session, caller, "POST", "/order", body)
        assert (status, answer["status"]) == (200, "live")

    run(venue, scene)


def test_a_lost_reply_leaves_the_order_standing(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        body = await placed_body(caller)
        await switch(session, venue, "/faults/lost-reply", {**POST_ORDER, "requests": 1})
        with pytest.raises(CUT):
            await ask(session, caller, "POST", "/order", body)
        (order,) = await look(session, venue, "/open-orders")
        status, _, answer = await ask(session, caller, "POST", "/order", body)
        assert (status, "Duplicated" in answer["error"]) == (400, True)
        assert order["id"] in answer["error"]

    run(venue, scene)


def test_a_silent_reply_never_comes(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        body = await placed_body(caller)
        await switch(session, venue, "/faults/lost-reply", {**POST_ORDER, "seconds": 0.4, "how": "silence"})
        began = time.perf_counter()
        with pytest.raises(CUT):
            await ask(session, caller, "POST", "/order", body)
        assert time.perf_counter() - began > 0.3
        assert len(await look(session, venue, "/open-orders")) == 1

    run(venue, scene)


def test_a_cdn_page_is_no_json(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        await switch(session, venue, "/faults/cdn-page", {"path": "/", "requests": 1})
        async with session.get(venue.url + "/time") as response:
            assert (response.status, response.content_type) == (403, "text/html")
            assert "<html" in await response.text()
        async with session.get(venue.url + "/time") as response:
            assert response.status == 200

    run(venue, scene)


def test_any_status_and_the_engines_own_errors(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        wrong: Json = {"path": "/time", "requests": 1, "status": 502, "text": "bad gateway"}
        await switch(session, venue, "/faults/status", wrong)
        async with session.get(venue.url + "/time") as response:
            assert (response.status, await response.json()) == (502, {"error": "bad gateway"})
        fault: Json = {"text": "could not insert order"}
        await switch(session, venue, "/faults/engine", fault)
        status, _, answer = await ask(session, caller, "POST", "/order", await placed_body(caller))
        assert (status, answer) == (500, {"error": "could not insert order"})
        await switch(session, venue, "/faults/engine", {"text": "no such text"}, status=400)

    run(venue, scene)


def test_a_black_hole_takes_requests_and_gives_nothing(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        body = await placed_body(caller)
        await switch(session, venue, "/faults/black-hole", {"channel": "rest", "seconds": 60})
        asking = asyncio.create_task(ask(session, caller, "POST", "/order", body))
        answered, _ = await asyncio.wait({asking}, timeout=0.1)
        assert not answered
        async with session.get(venue.url + "/api/geoblock") as response:
            assert response.status == 200
        await switch(session, venue, "/faults/black-hole", {"channel": "rest", "seconds": 0})
        with pytest.raises(CUT):
            await asking
        assert await look(session, venue, "/open-orders") == []
        status, _, _ = await ask(session, caller, "POST", "/order", body)
        assert status == 200

    run(venue, scene)


def test_faults_are_listed_and_cleared_together(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        await switch(session, venue, "/faults/reset", {**POST_ORDER, "requests": 3})
        await switch(session, venue, "/faults/geoblock", {"blocked": True})
        await switch(session, venue, "/faults/feed", {"channel": "market", "fault": "gap", "frames": 3})
        await switch(session, venue, "/faults/settlement", {"fate": "fail", "trades": 2})
        active = await look(session, venue, "/faults")
        assert active["requests"][0]["requests_left"] == 3
        assert (active["feeds"]["market"], active["settlement"]) == (["gap"], ["fail", "fail"])
        await switch(session, venue, "/faults", method="DELETE")
        active = await look(session, venue, "/faults")
        assert (active["requests"], active["is_geoblocked"]) == ([], False)
        assert (active["feeds"]["market"], active["settlement"]) == ([], [])

    run(venue, scene)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults/latency", {"latency_ms": -1}),
        ("/faults/latency", {"latency_ms": 5, "seconds": 1e9}),
        ("/faults/reset", {"path": "order"}),
        ("/faults/reset", {"requests": 0}),
        ("/faults/reset", {"mispelt": 1}),
        ("/faults/status", {"status": 99, "text": ""}),
        ("/faults/feed", {"channel": "user", "fault": "crossed-book"}),
        ("/faults/feed", {"channel": "market", "fault": "gap", "frames": 0}),
        ("/faults/close", {"channel": "market", "code": 999}),
        ("/faults/settlement", {"fate": "fail", "trades": 0}),
        ("/faults/quiet", {"market": "0x0", "seconds": 1}),
        ("/engine/restart", {"seconds": -1}),
        ("/engine/mode", {"mode": "dancing"}),
        ("/accounts/tier", {"address": "0x1", "tier": "tin"}),
        ("/prices/jump", {"symbol": "wood", "share_e6": 1}),
        ("/prices/jump", {"symbol": "*", "share_e6": 10**6}),
        ("/markets/tick", {"market": "0x0", "tick": "0.01"}),
        ("/markets/close", {"market": "0x0", "winner": None}),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(venue: RunningVenue, path: str, body: Json) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        assert (await switch(session, venue, path, body, status=400))["error"]

    run(venue, scene)


def test_every_listed_example_works(venue: RunningVenue) -> None:
    real = {
        "0x<condition id>": venue.market.condition_id,
        "<token id>": venue.market.yes_token,
        "0x<session signer>": "0x" + "34" * 20,
        "0x<owner>": DEV_ADDRESS,
        "0x<address>": DEV_ADDRESS,
        "0x<signer>": DEV_ADDRESS,
    }

    async def scene(session: aiohttp.ClientSession) -> None:
        for route in (await look(session, venue, "/"))["routes"]:
            body = None
            if route["body"] is not None:
                body = {key: real.get(str(value), value) for key, value in route["body"].items()}
            await switch(session, venue, route["path"], body, method=route["method"])

    run(venue, scene)
