"""VenueSocket against a real WebSocket server: alive while it is answered, dead when it is not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from clawswarm.kernel.clock import NS_PER_S, SystemClock
from clawswarm.model.errors import Retry
from clawswarm.venues.polymarket.settings import SocketSettings
from clawswarm.venues.polymarket.socket import VenueSocket, backoff_s

SETTINGS = SocketSettings(ping_interval_s=0.05, dead_after_s=1.0, reconnect_min_s=0.1, reconnect_max_s=1.0)
QUICK = msgspec.structs.replace(SETTINGS, ping_interval_s=0.02, dead_after_s=0.15)
# The slowest machine that runs the tests may be this much late.
SLACK_S = 5.0

Behave = Callable[[web.WebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def socket_to(behave: Behave, settings: SocketSettings = SETTINGS) -> AsyncIterator[VenueSocket]:
    """A socket to a server whose connections `behave` so; ConnectionAbortedError breaks one."""

    async def serve(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(autoping=False)
        await websocket.prepare(request)
        try:
            await behave(websocket)
        except ConnectionAbortedError:
            assert request.transport is not None
            request.transport.abort()
        await websocket.close()
        return websocket

    application = web.Application()
    application.router.add_get("/ws", serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}/ws"
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            socket = VenueSocket(session, url, settings, SystemClock())
            yield socket
            await socket.close()
    finally:
        await runner.cleanup()


async def collected(socket: VenueSocket) -> tuple[list[bytes], str]:
    """Every frame until the connection ends, and what it ended with."""
    frames = []
    try:
        async for frame in socket.frames():
            frames.append(frame)
    except Retry as ended:
        return frames, str(ended)
    raise AssertionError("frames end with Retry, never by themselves")


def test_the_subscription_is_sent_and_frames_come_back_without_pongs() -> None:
    heard = []

    async def behave(websocket: web.WebSocketResponse) -> None:
        heard.append(await websocket.receive_str())
        for text in ('{"a":1}', "PONG", "[]", "PONG", "grüße"):
            await websocket.send_str(text)

    async def run() -> None:
        async with socket_to(behave) as socket:
            assert socket.last_frame_ns is None
            began = SystemClock().now_ns()
            await socket.connect(b'{"type":"market"}')
            frames, reason = await collected(socket)
            assert frames == [b'{"a":1}', b"[]", "grüße".encode()]
            assert heard == ['{"type":"market"}']
            assert "closed by the venue (code 1000)" in reason
            assert socket.last_frame_ns is not None
            assert socket.last_frame_ns > began

    asyncio.run(run())


def test_a_quiet_venue_that_answers_pings_is_alive() -> None:
    pings_beyond_dead_after = round(1.5 * SETTINGS.dead_after_s / SETTINGS.ping_interval_s)

    async def behave(websocket: web.WebSocketResponse) -> None:
        await websocket.receive_str()
        for _ in range(pings_beyond_dead_after):
            assert await websocket.receive_str() == "PING"
            await websocket.send_str("PONG")
        await websocket.send_str("news")

    async def run() -> None:
        async with socket_to(behave) as socket:
            await socket.connect(b"{}")
            frames, _ = await collected(socket)
            assert frames == [b"news"]

    asyncio.run(run())


def test_a_venue_that_leaves_pings_unanswered_is_dead() -> None:
    heard: list[str] = []

    async def behave(websocket: web.WebSocketResponse) -> None:
        async for message in websocket:
            heard.append(message.data)

    async def run() -> None:
        async with socket_to(behave, QUICK) as socket:
            await socket.connect(b"{}")
            began = SystemClock().now_ns()
            frames, reason = await collected(socket)
            elapsed_s = (SystemClock().now_ns() - began) / NS_PER_S
            assert frames == []
            assert "silent for 0.15 s" in reason
            assert QUICK.dead_after_s <= elapsed_s < QUICK.dead_after_s + SLACK_S
            assert heard[:2] == ["{}", "PING"]

    asyncio.run(run())


def test_a_busy_venue_needs_no_pong() -> None:
    async def behave(websocket: web.WebSocketResponse) -> None:
        await websocket.receive_str()
        for number in range(500):
            await websocket.send_str(str(number))

    async def run() -> None:
        async with socket_to(behave, QUICK) as socket:
            await socket.connect(b"{}")
            frames, _ = await collected(socket)
            assert frames == [str(number).encode() for number in range(500)]

    asyncio.run(run())


def test_a_binary_frame_is_not_in_the_protocol() -> None:
    async def behave(websocket: web.WebSocketResponse) -> None:
        await websocket.send_bytes(b"\x00")

    async def run() -> None:
        async with socket_to(behave) as socket:
            await socket.connect(b"{}")
            frames, _ = await collected(socket)
            assert frames == []

    asyncio.run(run())


def test_a_broken_connection_ends_the_frames_and_the_sending() -> None:
    async def behave(websocket: web.WebSocketResponse) -> None:
        await websocket.receive_str()
        await websocket.send_str("one")
        raise ConnectionAbortedError

    async def run() -> None:
        async with socket_to(behave) as socket:
            await socket.connect(b"{}")
            frames, _ = await collected(socket)
            assert frames == [b"one"]
            with pytest.raises(Retry, match="not connected"):
                await socket.send(b"more")

    asyncio.run(run())


def test_one_socket_connects_again_and_again() -> None:
    async def behave(websocket: web.WebSocketResponse) -> None:
        await websocket.send_str(await websocket.receive_str())

    async def run() -> None:
        async with socket_to(behave) as socket:
            for hello in (b"first", b"second", b"third"):
                await socket.connect(hello)
                frames, _ = await collected(socket)
                assert frames == [hello]

    asyncio.run(run())


def test_what_is_sent_later_arrives() -> None:
    async def behave(websocket: web.WebSocketResponse) -> None:
        await websocket.receive_str()
        await websocket.send_str(await websocket.receive_str())

    async def run() -> None:
        async with socket_to(behave) as socket:
            await socket.connect(b"{}")
            await socket.send(b'{"operation":"subscribe"}')
            frames, _ = await collected(socket)
            assert frames == [b'{"operation":"subscribe"}']

    asyncio.run(run())


def test_without_a_connection_everything_is_to_be_retried() -> None:
    async def behave(_: web.WebSocketResponse) -> None: ...

    async def run() -> None:
        async with socket_to(behave) as socket:
            with pytest.raises(Retry, match="not connected"):
                await socket.send(b"x")
            frames, reason = await collected(socket)
            assert (frames, reason) == ([], "not connected")

    asyncio.run(run())


def test_a_venue_that_cannot_be_reached_is_retried() -> None:
    async def run() -> None:
        async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with aiohttp.ClientSession() as session:
            socket = VenueSocket(session, f"ws://127.0.0.1:{port}/ws", SETTINGS, SystemClock())
            with pytest.raises(Retry, match="cannot connect"):
                await socket.connect(b"{}")
            server.close()
            await server.wait_closed()
            with pytest.raises(Retry, match="cannot connect"):
                await socket.connect(b"{}")

    asyncio.run(run())


@pytest.mark.timeout(60)
def test_a_venue_that_accepts_and_says_nothing_is_given_up() -> None:
    async def run() -> None:
        done = asyncio.Event()

        async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await done.wait()
            writer.close()

        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with aiohttp.ClientSession() as session:
            socket = VenueSocket(session, f"ws://127.0.0.1:{port}/ws", QUICK, SystemClock())
            with pytest.raises(Retry, match="TimeoutError"):
                await socket.connect(b"{}")
        done.set()
        server.close()

    asyncio.run(run())


def test_pauses_double_up_to_the_longest() -> None:
    assert [backoff_s(SETTINGS, attempt, 1.0) for attempt in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert backoff_s(SETTINGS, 10**9, 0.0) == 0.5


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_never_short_of_half_nor_longer_than_the_longest(attempt: int, jitter: float) -> None:
    pause = backoff_s(SETTINGS, attempt, jitter)
    assert SETTINGS.reconnect_min_s / 2 <= pause <= SETTINGS.reconnect_max_s
