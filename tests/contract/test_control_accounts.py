"""Money, tier, standing and session signers, ordered by the control port."""

import json

import aiohttp
import pytest
from control_port import ask, look, signed, switch
from venue_thread import DEV_ADDRESS, RunningVenue
from wire_client import Caller, Json, run

OTHER = "0x" + "12" * 20


async def account(session: aiohttp.ClientSession, venue: RunningVenue, address: str) -> Json:
    """An account as the control port shows it."""
    accounts = (await look(session, venue, "/accounts"))["accounts"]
    return next(one for one in accounts if one["address"].lower() == address.lower())


def test_money_comes_and_goes(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller, market = Caller(venue), venue.market
        await switch(session, venue, "/accounts/fund", {"address": DEV_ADDRESS, "pusd": "-9990"})
        assert (await account(session, venue, DEV_ADDRESS))["collateral"] == "10"
        split = {"address": DEV_ADDRESS, "market": market.condition_id, "shares": "4"}
        await switch(session, venue, "/accounts/split", split)
        held = await account(session, venue, DEV_ADDRESS)
        assert held["collateral"] == "6"
        assert held["tokens"] == {market.yes_token: "4", market.no_token: "4"}
        await switch(session, venue, "/accounts/split", {**split, "shares": "-5"}, status=400)
        await switch(session, venue, "/accounts/fund", {"address": DEV_ADDRESS, "pusd": "-7"}, status=400)
        assert (await caller.place("BUY", 0.40, 10))["status"] == "live"
        await switch(session, venue, "/accounts/fund", {"address": DEV_ADDRESS, "pusd": "-5"})
        assert await look(session, venue, "/open-orders") == []
        assert (await look(session, venue, "/accounts"))["imbalance"] == "0"

    run(venue, scene)


@pytest.mark.parametrize(("restriction", "text"), [("banned", "banned"), ("closed_only", "closed only")])
def test_restricted_accounts(venue: RunningVenue, restriction: str, text: str) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        body = json.dumps(await signed(caller, venue.market.yes_token, 0.40)).encode()
        await switch(session, venue, "/accounts/standing", {"address": DEV_ADDRESS, restriction: True})
        status, _, answer = await ask(session, caller, "POST", "/order", body)
        assert (status, text in answer["error"]) == (400, True)
        await switch(session, venue, "/accounts/standing", {"address": DEV_ADDRESS})
        assert (await ask(session, caller, "POST", "/order", body))[0] == 200

    run(venue, scene)


def test_session_signers_come_and_go(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        grant: Json = {"address": OTHER, "owner": DEV_ADDRESS}
        told = await switch(session, venue, "/session-signers/authorize", grant)
        assert told["wallet"] == "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50"
        revoke: Json = {"address": OTHER}
        (listed,) = await look(session, venue, "/session-signers")
        assert listed["address"].lower() == OTHER
        await switch(session, venue, "/session-signers/revoke", revoke)
        await switch(session, venue, "/session-signers/revoke", revoke, status=400)

    run(venue, scene)


@pytest.mark.parametrize("path", ["/accounts/fund", "/accounts/tier", "/accounts/standing"])
def test_an_address_is_an_address(venue: RunningVenue, path: str) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        more = {"/accounts/fund": {"pusd": "1"}, "/accounts/tier": {"tier": "elite"}}.get(path, {})
        refused = await switch(session, venue, path, {"address": "0x12", **more}, status=400)
        assert "40" in refused["error"]

    run(venue, scene)


def test_what_the_exchange_may_take(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller, mine = Caller(venue), {"address": DEV_ADDRESS}
        assert (await caller.place("BUY", 0.40, 10))["status"] == "live"
        await switch(session, venue, "/accounts/allowance", {**mine, "pusd": "1"})
        assert await look(session, venue, "/open-orders") == []
        await switch(session, venue, "/accounts/allowance", mine)
        await switch(
            session, venue, "/accounts/split", {**mine, "market": venue.market.condition_id, "shares": "4"}
        )
        token = {"token": venue.market.yes_token}
        await switch(session, venue, "/accounts/take-tokens", {**mine, **token, "shares": "5"}, status=400)
        await switch(session, venue, "/accounts/take-tokens", {**mine, **token, "shares": "4"})
        assert venue.market.yes_token not in (await account(session, venue, DEV_ADDRESS))["tokens"]

    run(venue, scene)


def test_a_market_that_is_not_ready(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller, market = Caller(venue), {"market": venue.market.condition_id}
        body = json.dumps(await signed(caller, venue.market.yes_token, 0.40)).encode()
        await switch(session, venue, "/markets/pause", {**market, "accepts_orders": False})
        status, _, answer = await ask(session, caller, "POST", "/order", body)
        assert (status, "not yet ready" in answer["error"]) == (400, True)
        await switch(session, venue, "/markets/pause", {**market, "accepts_orders": True})
        assert (await ask(session, caller, "POST", "/order", body))[0] == 200

    run(venue, scene)


def test_a_markets_taker_delay(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        condition = venue.market.condition_id
        await switch(session, venue, "/markets/delay", {"market": condition, "taker_delay_ms": 50})
        assert venue.market.taker_delay_ms == 50
        await switch(session, venue, "/markets/delay", {"market": condition, "seconds_delay": 99}, status=400)

    run(venue, scene)
