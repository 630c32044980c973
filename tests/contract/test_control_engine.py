"""Engine modes, ticks, ends of markets and fates of trades, ordered by the control port."""

import json

import aiohttp
import pytest
from control_port import ask, look, signed, switch
from venue_thread import RunningVenue
from wire_client import Caller, Socket, run

DELETE_BODY = json.dumps({"orderID": "0x" + "ab" * 32}).encode()


def test_a_restart_answers_425_then_takes_post_only_orders(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        await switch(session, venue, "/engine/restart", {"seconds": 60, "post_only_seconds": 120})
        for method, path, body in (
            ("POST", "/order", b"{}"),
            ("POST", "/orders", b"[{}]"),
            ("DELETE", "/order", DELETE_BODY),
            ("DELETE", "/cancel-all", b""),
        ):
            assert (await ask(session, caller, method, path, body))[0] == 425
        assert (await ask(session, caller, "GET", "/data/orders"))[0] == 200
        engine = await look(session, venue, "/engine")
        assert engine["mode"] == "restarting"
        assert 50 < engine["left_s"] <= 60

        await switch(session, venue, "/engine/restart", {"seconds": 0, "post_only_seconds": 120})
        args = {"token": venue.market.yes_token, "price": 0.40}
        status, headers, body = await place(session, caller, is_post_only=False, **args)
        assert status == 503
        assert body["error"] == "post-only mode: only post-only orders and cancels are allowed"
        assert (body["code"], 100 < body["retry_after_seconds"] <= 120) == ("post_only_mode", True)
        assert headers["Retry-After"] == str(body["retry_after_seconds"])
        status, _, body = await place(session, caller, is_post_only=True, **args)
        assert (status, body["status"]) == (200, "live")
        status, _, body = await ask(
            session, caller, "DELETE", "/order", json.dumps({"orderID": body["orderID"]}).encode()
        )
        assert (status, len(body["canceled"])) == (200, 1)
        assert (await look(session, venue, "/engine"))["mode"] == "post-only"

    run(venue, scene)


def test_a_batch_in_post_only_mode_has_a_result_for_each_leg(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        await switch(session, venue, "/engine/mode", {"mode": "post-only"})
        legs = [
            await signed(caller, venue.market.yes_token, 0.40, is_post_only) for is_post_only in (False, True)
        ]
        status, _, body = await ask(session, caller, "POST", "/orders", json.dumps(legs).encode())
        assert status == 200
        assert "post-only mode" in body[0]["errorMsg"]
        assert (body[0]["orderID"], body[1]["status"]) == ("", "live")

    run(venue, scene)


@pytest.mark.parametrize(
    ("mode", "text", "cancels"), [("cancel-only", "cancel-only", 200), ("disabled", "disabled", 503)]
)
def test_cancel_only_and_disabled(venue: RunningVenue, mode: str, text: str, cancels: int) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        await switch(session, venue, "/engine/mode", {"mode": mode, "seconds": 60})
        status, _, body = await ask(session, caller, "POST", "/order", b"{}")
        assert (status, text in body["error"]) == (503, True)
        assert (await ask(session, caller, "DELETE", "/order", DELETE_BODY))[0] == cancels
        await switch(session, venue, "/engine/mode", {"mode": "normal"})
        assert (await ask(session, caller, "DELETE", "/order", DELETE_BODY))[0] == 200

    run(venue, scene)


def test_a_taker_comes_when_asked(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller, market = Caller(venue), {"market": venue.market.condition_id}
        args = {"token": venue.market.yes_token, "price": 0.46}
        _, _, bid = await place(session, caller, **args, is_post_only=True)
        hit = {**market, "side": "SELL", "shares": "4", "limit": "0.46"}
        await switch(session, venue, "/markets/take", {**hit, "limit": "0.47"})
        assert (await look(session, venue, "/open-orders"))[0]["size"] == "10", "nobody bids so much"
        for left in ("6", "2"):
            await switch(session, venue, "/markets/take", hit)
            (order,) = await look(session, venue, "/open-orders")
            assert (order["id"], order["size"]) == (bid["orderID"], left)
        assert (await look(session, venue, "/accounts"))["imbalance"] == "0"
        for wrong in ({"limit": "1"}, {"limit": "0.455"}, {"shares": "0"}, {"shares": "x"}, {"side": "HOLD"}):
            await switch(session, venue, "/markets/take", hit | wrong, status=400)

    run(venue, scene)


def test_a_tick_changes_and_a_market_ends(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        market = venue.market
        async with session.ws_connect(f"{venue.url}/ws/market") as ws:
            socket = Socket(ws)
            await socket.send(
                {"type": "market", "assets_ids": [market.yes_token], "custom_feature_enabled": True}
            )
            await socket.text()
            condition = market.condition_id
            await switch(session, venue, "/markets/tick", {"market": condition, "tick": "0.001"})
            change = await socket.next(event_type="tick_size_change")
            assert (change["old_tick_size"], change["new_tick_size"]) == ("0.01", "0.001")
            await switch(session, venue, "/markets/tick", {"market": condition, "tick": "0.3"}, status=400)
            await switch(session, venue, "/markets/close", {"market": condition, "winner": "NO"})
            end = await socket.next(event_type="market_resolved")
            assert end["winning_asset_id"] == market.no_token
            await socket.send({"operation": "subscribe", "assets_ids": [market.yes_token]})
            assert await socket.text() == "[]"

    run(venue, scene)


def test_a_ghost_fill_is_taken_back(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        before = await collateral(session, venue, caller)
        await switch(session, venue, "/faults/settlement", {"fate": "fail", "trades": 1})
        async with session.ws_connect(f"{venue.url}/ws/user") as ws:
            socket = Socket(ws)
            await socket.send({"type": "user", "auth": caller.auth()})
            assert (await caller.place("BUY", 0.47, 10))["status"] == "matched"
            statuses = []
            while "FAILED" not in statuses:
                statuses.append((await socket.next(event_type="trade"))["status"])
            assert (statuses[0], statuses[-1]) == ("MATCHED", "FAILED")
        assert await collateral(session, venue, caller) == before
        assert (await look(session, venue, "/accounts"))["imbalance"] == "0"

    run(venue, scene)


def test_the_journal_counts_and_hashes_every_event(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        before = await look(session, venue, "/journal")
        assert before == await look(session, venue, "/journal")
        await Caller(venue).place("BUY", 0.40, 10)
        after = await look(session, venue, "/journal")
        assert after["events"] == before["events"] + 2
        assert after["sha256"] != before["sha256"]

    run(venue, scene)


async def collateral(session: aiohttp.ClientSession, venue: RunningVenue, caller: Caller) -> str:
    """What the caller's own address holds."""
    accounts = (await look(session, venue, "/accounts"))["accounts"]
    address = caller.headers("GET", "/")["POLY_ADDRESS"]
    return next(account["collateral"] for account in accounts if account["address"] == address)


async def place(
    session: aiohttp.ClientSession, caller: Caller, *, token: str, price: float, is_post_only: bool
) -> tuple[int, dict[str, str], dict[str, object]]:
    """Place one order."""
    body = json.dumps(await signed(caller, token, price, is_post_only)).encode()
    return await ask(session, caller, "POST", "/order", body)
