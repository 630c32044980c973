"""Rate limits on the wire: the edge's windows, the signer's buckets, their headers."""

import json
from pathlib import Path

import aiohttp
from control_port import ask, signed, switch
from venue_thread import RunningVenue, record, running_venue, settings_for, snapshot
from wire_client import Caller, run

ORDER_ID = "0x" + "ab" * 32


def test_a_signers_order_bucket(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        remaining = []
        while True:
            status, headers, body = await ask(session, caller, "POST", "/orders", b"[{},{},{},{},{}]")
            remaining.append(int(headers["Poly-RateLimit-Remaining"]))
            assert headers["Poly-RateLimit-Tier"] == "standard"
            if status == 429:
                break
        assert body == {"error": "Too Many Requests"}
        assert headers["Retry-After"] == "1"
        assert remaining[0] == 55
        assert len(remaining) >= 13
        status, headers, _ = await ask(session, caller, "DELETE", "/orders", json.dumps([ORDER_ID]).encode())
        assert (status, headers["Poly-RateLimit-Remaining"]) == (200, "119")
        await switch(session, venue, "/accounts/tier", {"address": address(caller), "tier": "elite"})
        status, headers, _ = await ask(session, caller, "POST", "/orders", b"[{}]")
        assert (status, headers["Poly-RateLimit-Tier"]) == (200, "elite")
        assert headers["Poly-RateLimit-Remaining"] == "899"

    run(venue, scene)


def test_a_sweeping_cancel_costs_what_it_cancelled(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        legs = [await signed(caller, venue.market.yes_token, 0.40) for _ in range(10)]
        status, _, _ = await ask(session, caller, "POST", "/orders", json.dumps(legs).encode())
        assert status == 200
        for path, left in (("/cancel-all", 109), ("/cancel-all", 108)):
            status, headers, _ = await ask(session, caller, "DELETE", path)
            assert status == 200
            assert left <= int(headers["Poly-RateLimit-Remaining"]) <= 119
        tier = (await ask(session, caller, "GET", "/v1/user/rate-limit-tier"))[2]
        assert (tier["tier"], tier["order_rate"], tier["cancel_burst"]) == ("standard", 40, 120)
        assert tier["order_remaining"] >= 50

    run(venue, scene)


def test_more_cancels_than_the_burst_never_pass(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        many = json.dumps([ORDER_ID] * 121).encode()
        assert (await ask(session, Caller(venue), "DELETE", "/orders", many))[0] == 429

    run(venue, scene)


def test_nobody_spends_another_signers_tokens(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        forged = caller.headers("POST", "/orders") | {"POLY_SIGNATURE": "forged"}
        for _ in range(5):
            async with session.post(venue.url + "/orders", data=b"[{}]", headers=forged) as response:
                assert response.status == 401
        _, headers, _ = await ask(session, caller, "POST", "/orders", b"[{}]")
        assert headers["Poly-RateLimit-Remaining"] == "59"

    run(venue, scene)


def test_warning_mode_only_warns(tmp_path: Path) -> None:
    record(tmp_path, "btc-updown-1", [snapshot()])

    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        for _ in range(30):
            status, headers, _ = await ask(session, caller, "POST", "/orders", b"[{},{},{},{},{}]")
            assert status == 200
        assert headers["Poly-RateLimit-Warning"] == "true"

    with running_venue(settings_for(tmp_path, signer_limits="warn")) as venue:
        run(venue, scene)


def test_the_edge_holds_back_then_refuses(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        statuses = []
        for _ in range(101):
            async with session.get(venue.url + "/ok") as response:
                statuses.append(response.status)
                headers, body = response.headers, await response.json()
        assert statuses == [200] * 100 + [429]
        assert body == {"error": "Too Many Requests"}
        assert 1 <= int(headers["Retry-After"]) <= 10
        async with session.get(venue.url + "/version") as response:
            assert response.status == 200

    run(venue, scene)


def test_without_limits_nothing_is_refused(tmp_path: Path) -> None:
    record(tmp_path, "btc-updown-1", [snapshot()])

    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        for _ in range(110):
            async with session.get(venue.url + "/ok") as response:
                assert response.status == 200
        for _ in range(20):
            status, headers, _ = await ask(session, caller, "POST", "/orders", b"[{},{},{},{},{}]")
            assert status == 200
            assert "Poly-RateLimit-Tier" not in headers

    with running_venue(settings_for(tmp_path, windows="off", signer_limits="off")) as venue:
        run(venue, scene)


def address(caller: Caller) -> str:
    """The signer's address."""
    return caller.headers("GET", "/")["POLY_ADDRESS"]
