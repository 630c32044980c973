"""Whatever is sent, the venue answers with a 4xx of its own and lives on."""

import asyncio
import json
from contextlib import suppress

import aiohttp
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_clob_client_v2.clob_types import OrderArgs
from py_clob_client_v2.order_utils.model.order_data_v2 import order_to_json_v2
from venue_thread import RunningVenue, record, running_venue, settings_for, snapshot
from wire_client import Caller, run

from clawswarm.sandbox.exchange.refusals import VenueRefusal

BODIES = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b"null",
    b'"x"',
    b"7",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"orderID":7}',
    b'{"orderID":"0x12"}',
    b'{"orderID":"' + b"0" * 66 + b'"}',
    b'["0x12"]',
    b"[7]",
    b'{"market":7}',
    b'{"order":{}}',
    b'{"order":null,"owner":"x","orderType":"GTC"}',
    b'[{"order":1}]',
    b'{"heartbeat_id":7}',
]
SIGNED = [
    ("POST", "/order"),
    ("DELETE", "/order"),
    ("DELETE", "/orders"),
    ("DELETE", "/cancel-market-orders"),
    ("POST", "/v1/heartbeats"),
]


@pytest.mark.parametrize(("method", "path"), SIGNED)
def test_bad_bodies(venue: RunningVenue, method: str, path: str) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        for body in BODIES:
            status, answer = await caller.send(session, method, path, body)
            is_harmless = (path, body) == ("/orders", b"[]")
            assert is_harmless or (400 <= status < 500 and answer.get("error")), (body, answer)
        assert (await caller.place("BUY", 0.4, 10))["status"] == "live"

    run(venue, scene)


def test_bad_batches(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        for body in (b"", b"{}", b"[]", b"7", b"[" * 100_000):
            assert await caller.send(session, "POST", "/orders", body) == (
                400,
                {"error": "Invalid order payload"},
            )
        status, answer = await caller.send(session, "POST", "/orders", b"[{},7,null]")
        assert (status, [leg["errorMsg"] for leg in answer]) == (200, ["Invalid order payload"] * 3)

    run(venue, scene)


def test_a_huge_body_is_refused(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        status, answer = await Caller(venue).send(session, "POST", "/order", b" " * (2 << 20))
        assert (status, answer) == (400, {"error": "Payload exceeds the limit"})

    run(venue, scene)


READS = [
    ("/book", 400, "Invalid token id"),
    ("/book?token_id=x", 400, "Invalid token id"),
    ("/book?token_id=5", 404, "No orderbook exists for the requested token id"),
    ("/midpoint?token_id=5", 404, "No orderbook exists for the requested token id"),
    ("/tick-size?token_id=-1", 400, "Invalid token id"),
    ("/markets/0x12", 400, "Invalid market"),
    ("/markets/0x" + "00" * 32, 404, "market not found"),
    ("/markets-by-token/7", 404, "market not found"),
    ("/clob-markets/x", 400, "Invalid market"),
    ("/markets?next_cursor=LTE=", 400, "next item should be greater than or equal to 0"),
    ("/markets?next_cursor=%F0%9F%92%A9", 400, "next item should be greater than or equal to 0"),
    ("/data/orders", 401, "Unauthorized/Invalid api key"),
    ("/auth/derive-api-key", 401, "Invalid L1 Request headers"),
    ("/nowhere", 404, "Not Found"),
]


@pytest.mark.parametrize(("path", "status", "text"), READS)
def test_bad_reads(venue: RunningVenue, path: str, status: int, text: str) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        async with session.get(venue.url + path) as response:
            assert (response.status, (await response.json())["error"]) == (status, text)

    run(venue, scene)


def test_bad_signed_reads(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        caller = Caller(venue)
        for path, query, text in (
            ("/data/trades", "?after=x", "Invalid trade params payload"),
            ("/data/orders", "?next_cursor=LTE%3D", "next item should be greater than or equal to 0"),
            ("/balance-allowance", "?asset_type=GOLD", "Invalid asset type"),
            ("/balance-allowance", "?asset_type=CONDITIONAL&token_id=5", "Invalid token id"),
            ("/balance-allowance", "?asset_type=COLLATERAL&signature_type=9", "Invalid signature_type"),
        ):
            async with session.get(venue.url + path + query, headers=caller.headers("GET", path)) as response:
                assert (response.status, (await response.json())["error"]) == (400, text)

    run(venue, scene)


def test_raw_nonsense_on_the_port(venue: RunningVenue) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        for nonsense in (
            b"\x00\x01\x02\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /order HTTP/1.1\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", venue.server.port)
            writer.write(nonsense)
            writer.write_eof()
            await reader.read()
            writer.close()
        async with session.get(venue.url + "/ok") as response:
            assert response.status == 200

    run(venue, scene)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "salt", "maker", "signer", "tokenId", "makerAmount", "takerAmount", "side", "expiration", "signatureType",
    "timestamp", "metadata", "builder", "signature", "owner", "orderType", "postOnly", "deferExec",
)  # fmt: skip


def test_an_order_with_any_field_spoilt(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("spoilt")
    record(folder, "btc-updown-1", [snapshot()])
    with running_venue(settings_for(folder)) as venue:
        caller = Caller(venue)
        args = OrderArgs(token_id=venue.market.yes_token, price=0.4, size=10, side="BUY")
        signed = caller.official.create_order(args)
        good = order_to_json_v2(signed, caller.credentials.api_key, "GTC")
        key = venue.server.venue.keys.check_plain(*caller.auth().values())
        assert key is not None

        @given(st.sampled_from(FIELDS), JSON_VALUES)
        @settings(max_examples=300, deadline=None)
        def spoil(field: str, value: object) -> None:
            order = dict(good["order"])
            body = {**good, "order": order}
            (order if field in order else body)[field] = value
            with suppress(VenueRefusal):
                venue.server.venue.place(key, json.dumps(body).encode(), venue.server.now_ns())

        @given(st.binary(max_size=200) | JSON_VALUES.map(msgspec.json.encode))
        @settings(max_examples=300, deadline=None)
        def replace(body: bytes) -> None:
            with pytest.raises(VenueRefusal):
                venue.server.venue.place(key, body, venue.server.now_ns())

        spoil()
        replace()
