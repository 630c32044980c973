"""Twenty thousand malformed requests and frames: each gets the venue's refusal, the server stays what it was."""

import asyncio
import gc
import itertools
import json
import random
import re
import resource
from pathlib import Path

import aiohttp
import pytest
from malformed_cases import Cases
from py_clob_client_v2.clob_types import OrderArgs
from py_clob_client_v2.order_utils.model.order_data_v2 import order_to_json_v2
from raw_wire import PIPELINE, Case, RawConnection
from venue_thread import RunningVenue, record, running_venue, settings_for, snapshot
from wire_client import Caller, Socket, run

from clawswarm.sandbox.server import SandboxServer

REQUESTS = 20_000
WARM_UP = 4_000
FRAMES = 2_000
CONNECTIONS = 4
MOST_GROWTH_BYTES = 8 << 20
MOST_NEW_OBJECTS = 1_000


def complaint(case: Case, status: int, kind: str, body: bytes) -> str | None:
    """What is wrong with an answer, None when it is the venue's refusal."""
    if not kind.startswith("application/json"):
        return "no JSON"
    answer = json.loads(body)
    if case.is_legs and status == 200:
        is_refused = all(leg["errorMsg"] and not leg["orderID"] for leg in answer)
        return None if is_refused else "a leg was taken"
    if not 400 <= status < 500 or status == 429:
        return "no refusal"
    if not isinstance(answer, dict) or not isinstance(answer.get("error", answer.get("error_msg")), str):
        return "not the venue's error body"
    return None


def memory_bytes() -> int:
    """Resident memory of this process, which the server runs in."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def fire(cases: Cases, port: int, count: int) -> list[str]:
    """Send so many cases over a few connections; describe the answers that are wrong."""
    connections = [RawConnection(port) for _ in range(CONNECTIONS)]
    supply, wrong = iter(cases), []

    async def work(connection: RawConnection, share: int) -> None:
        for _ in range(0, share, PIPELINE):
            batch = list(itertools.islice(supply, PIPELINE))
            answers = await connection.send(batch)
            for case, (status, kind, body) in zip(batch, answers, strict=True):
                if (fault := complaint(case, status, kind, body)) is not None:
                    sent = f"{case.method} {case.target[-110:]} {case.body[:300]!r}"
                    wrong.append(f"{fault}: {sent} → {status} {body[:150]!r}")

    await asyncio.gather(*(work(connection, count // CONNECTIONS) for connection in connections))
    wrong += [f"connection {c.opened} in place of one" for c in connections if c.opened != 1]
    await asyncio.gather(*(connection.close() for connection in connections))
    return wrong


@pytest.fixture
def open_venue(tmp_path: Path):
    """A venue without rate limits."""
    record(tmp_path, "btc-updown-1", [snapshot()])
    with running_venue(
        settings_for(tmp_path, windows="off", signer_limits="off", is_wallet_cancel_routed=True)
    ) as venue:
        yield venue


def good_order(caller: Caller) -> dict[str, object]:
    """A signed order of 10 at 0.40, ready to be spoilt."""
    args = OrderArgs(token_id=caller.venue.market.yes_token, price=0.4, size=10, side="BUY")
    return order_to_json_v2(caller.official.create_order(args), caller.credentials.api_key, "GTC")


@pytest.mark.timeout(110)
def test_malformed_requests(open_venue: RunningVenue) -> None:
    venue = open_venue
    caller = Caller(venue)
    cases = Cases(caller, good_order(caller), seed=20_261_122)
    wrong = asyncio.run(fire(cases, venue.server.port, WARM_UP))
    gc.collect()
    memory, objects = memory_bytes(), len(gc.get_objects())
    wrong += asyncio.run(fire(cases, venue.server.port, REQUESTS - WARM_UP))
    assert wrong == [], "\n".join([f"{len(wrong)} wrong answers", *wrong[:20]])
    gc.collect()
    assert memory_bytes() - memory < MOST_GROWTH_BYTES
    assert len(gc.get_objects()) - objects < MOST_NEW_OBJECTS
    assert venue.look(lambda server: server.open_order_count) == 0

    async def scene(_session: aiohttp.ClientSession) -> None:
        assert (await caller.place("BUY", 0.40, 10))["status"] == "live"

    run(venue, scene)


# Answered 200 whatever is asked; only another method is wrong.
ALWAYS_ANSWERED = {("GET", path) for path in ("/", "/ok", "/time", "/version", "/api/geoblock")}
ALWAYS_ANSWERED |= {("POST", "/rpc")}  # JSON-RPC answers its errors with 200


def test_every_route_is_attacked(open_venue: RunningVenue) -> None:
    def routes(server: SandboxServer) -> list[tuple[str, re.Pattern[str]]]:
        known = server._runners[0].app.router.routes()
        return [
            (route.method, re.compile(re.sub(r"\{[^}]+\}", "[^/]+", str(route.resource.canonical))))
            for route in known
            if route.resource is not None
        ]

    caller = Caller(open_venue)
    cases = itertools.islice(Cases(caller, good_order(caller), seed=1), 10_000)
    attacked = {(case.method, case.target.partition("?")[0]) for case in cases}
    missed = [
        (method, path.pattern)
        for method, path in open_venue.look(routes)
        if method != "HEAD" and not any(m == method and path.fullmatch(target) for m, target in attacked)
    ]
    assert set(missed) == ALWAYS_ANSWERED


def frames(seed: int, good: list[str]) -> list[str | bytes]:
    """Garbage for a socket: nothing in it subscribes to anything."""
    pick, found = random.Random(seed), []
    shapes: tuple[object, ...] = (
        None, 7, "x", [], {}, [[]], {"type": 7}, {"type": "market", "assets_ids": "x"},
        {"type": "market", "assets_ids": [7]}, {"operation": "subscribe", "assets_ids": {}},
        {"operation": [], "assets_ids": []}, {"type": "user", "auth": 7}, {"auth": {}},
        {"type": "user", "auth": {"apiKey": 7}}, {"operation": "subscribe", "markets": 7},
        {"type": "market", "assets_ids": ["5", "", "💩"]}, {"operation": "nonsense", "assets_ids": ["5"]},
        {"operation": "unsubscribe", "assets_ids": ["5"]}, {"custom_feature_enabled": "yes"},
    )  # fmt: skip
    while len(found) < FRAMES // 2:
        how = pick.randrange(5)
        if how == 0:
            text = pick.choice(good)
            found.append(text[: pick.randrange(len(text))])
        elif how == 1:
            found.append(json.dumps(pick.choice(shapes)))
        elif how == 2:
            found.append(pick.randbytes(pick.randrange(1, 200)))
        elif how == 3:
            found.append("".join(chr(pick.randrange(0x20, 0x3000)) for _ in range(pick.randrange(50))))
        else:
            found.append(
                pick.choice(("[" * 5_000, '{"a":' * 3_000, "\x00", "ping", "PONG", " PING", "x" * 100_000))
            )
    return found


@pytest.mark.parametrize("channel", ["market", "user"])
def test_garbage_frames(open_venue: RunningVenue, channel: str) -> None:
    venue = open_venue
    caller = Caller(venue)
    subscribe: dict[str, object] = {"type": "market", "assets_ids": [venue.market.yes_token]}
    if channel == "user":
        subscribe = {"type": "user", "auth": caller.auth()}

    async def scene(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f"{venue.url}/ws/{channel}") as ws:
            socket = Socket(ws)
            await socket.send(subscribe)
            await socket.send("PING")
            while await socket.text() != "PONG":
                pass
            garbage = frames(7 if channel == "user" else 8, [json.dumps(subscribe)])
            for at, frame in enumerate(garbage):
                await (ws.send_bytes(frame) if isinstance(frame, bytes) else ws.send_str(frame))
                if at % 50 == 0:
                    await socket.send("PING")
                    while await socket.text() != "PONG":
                        pass
            await caller.place("BUY", 0.40, 10)
            await socket.next(event_type="order" if channel == "user" else "price_change")
        while venue.look(lambda server: server.account_connections + len(server.venue.market_hub.listeners)):
            pass

    run(venue, scene)


def upgrade(path: str) -> bytes:
    """A WebSocket handshake."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


NO_FRAMES = {
    "unmasked": b"\x81\x02hi",
    "reserved bits": b"\xf1\x80\x00\x00\x00\x00",
    "unknown opcode": b"\x8b\x80\x00\x00\x00\x00",
    "a ping too long": b"\x89\xfe\x01\x00" + b"\x00" * 260,
    "a length beyond all": b"\x81\xff" + b"\xff" * 8 + b"\x00" * 4,
    "more than a frame may hold": b"\x81\xff" + (2 << 20).to_bytes(8, "big") + b"\x00" * 4,
    "a continuation of nothing": b"\x80\x80\x00\x00\x00\x00",
    "text that is no UTF-8": b"\x81\x82\x00\x00\x00\x00\xff\xfe",
    "a close without a code": b"\x88\x81\x00\x00\x00\x00\x01",
    "half a header": b"\x81",
}


@pytest.mark.parametrize("path", ["/ws/market", "/ws/user", "/rtds", "/polybolt/ws"])
def test_what_is_no_frame_ends_its_connection_only(venue: RunningVenue, path: str) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f"{venue.url}/ws/market") as ws:
            for name, raw in NO_FRAMES.items():
                reader, writer = await asyncio.open_connection("127.0.0.1", venue.server.port)
                writer.write(upgrade(path))
                assert b"101" in await reader.readuntil(b"\r\n\r\n")
                writer.write(raw)
                writer.write_eof()
                async with asyncio.timeout(10):
                    end = await reader.read()
                is_answered = end[:1] == b"\x81" and b'"op":"error"' in end
                assert end == b"" or end[0] & 0x0F == 8 or is_answered, name
                writer.close()
            await Socket(ws).send("PING")
            assert await Socket(ws).text() == "PONG"

    run(venue, scene)


def test_huge_bodies(venue: RunningVenue) -> None:
    caller = Caller(venue)

    async def scene(session: aiohttp.ClientSession) -> None:
        for path in ("/order", "/orders", "/v1/heartbeats", "/orders-scoring", "/books", "/prices"):
            for size in ((1 << 20) + 1, 4 << 20):
                status, answer = await caller.send(session, "POST", path, b" " * size)
                assert (status, answer) == (400, {"error": "Payload exceeds the limit"})
        assert (await caller.place("BUY", 0.40, 10))["status"] == "live"

    run(venue, scene)
