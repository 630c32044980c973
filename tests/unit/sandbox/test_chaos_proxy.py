"""The chaos proxy between real sockets: what arrives, what does not, and never earlier than it may.

How precisely it keeps its times is a benchmark (sandbox.proxy_delay); here only lower bounds decide.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.sandbox.chaos_proxy import LOOPBACK, ChaosProxy, LineConditions

LIMIT_S = 60


class Bench:
    """An echo server, a proxy before it, and what the server has heard."""

    def __init__(self, proxy: ChaosProxy) -> None:
        self.proxy = proxy
        self.heard = 0
        self.resets = 0
        self.ends = asyncio.Event()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(LOOPBACK, self.proxy.port)

    async def echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                self.heard += len(data)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            self.resets += 1
        self.ends.set()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def bench(conditions: LineConditions | None = None) -> AsyncIterator[Bench]:
    made: list[Bench] = []
    server = await asyncio.start_server(lambda r, w: made[0].echo(r, w), LOOPBACK, 0)
    proxy = ChaosProxy(server.sockets[0].getsockname()[1], random.Random(7), conditions)
    made.append(Bench(proxy))
    await proxy.start()
    try:
        yield made[0]
    finally:
        await proxy.close()
        server.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await test()

    asyncio.run(limited())


async def asked(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes = b"question"
) -> float:
    """Seconds until the echo is there."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    writer.write(data)
    assert await reader.readexactly(len(data)) == data
    return loop.time() - began


@settings(max_examples=20, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=3_000), min_size=1, max_size=12), st.integers(0, 4))
def test_every_byte_arrives_once_and_in_order(chunks: list[bytes], jitter_ms: int) -> None:
    async def test() -> None:
        async with bench(LineConditions(latency_ms=1, jitter_ms=jitter_ms)) as b:
            reader, writer = await b.connect()
            for chunk in chunks:
                writer.write(chunk)
                await asyncio.sleep(0)
            writer.write_eof()
            assert await reader.read() == b"".join(chunks)
            writer.close()

    run(test)


def test_a_round_trip_takes_the_latency_both_ways_and_a_new_connection_its_handshake() -> None:
    async def test() -> None:
        async with bench(LineConditions(latency_ms=20)) as b:
            reader, writer = await b.connect()
            assert await asked(reader, writer) >= 0.080
            assert await asked(reader, writer) >= 0.040
            b.proxy.conditions = LineConditions()
            quick = min([await asked(reader, writer) for _ in range(20)])
            assert quick < 0.040, "the latency was taken away at run time"
            writer.close()

    run(test)


def test_jitter_comes_on_top_and_never_changes_the_order() -> None:
    async def test() -> None:
        async with bench(LineConditions(latency_ms=5, jitter_ms=10)) as b:
            reader, writer = await b.connect()
            took = [await asked(reader, writer) for _ in range(20)]
            assert min(took) >= 0.010
            assert max(took) - min(took) > 0.001
            writer.close()

    run(test)


def test_a_narrow_line_takes_its_time_for_every_byte() -> None:
    async def test() -> None:
        async with bench(LineConditions(bytes_per_s=1_000_000)) as b:
            reader, writer = await b.connect()
            assert await asked(reader, writer, bytes(50_000)) >= 0.050
            writer.close()

    run(test)


def test_a_reset_reaches_both_ends_of_the_chosen_connection_only() -> None:
    async def test() -> None:
        async with bench() as b:
            reader, writer = await b.connect()
            other_reader, other_writer = await b.connect()
            await asked(reader, writer)
            await asked(other_reader, other_writer)
            victim = b.proxy.connections[0]
            assert b.proxy.reset([victim]) == 1
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
            await b.ends.wait()
            assert b.resets == 1
            await asked(other_reader, other_writer)
            assert victim not in b.proxy.connections
            other_writer.close()

    run(test)


def test_a_black_hole_swallows_bytes_and_keeps_connections() -> None:
    async def test() -> None:
        async with bench() as b:
            reader, writer = await b.connect()
            silent_reader, silent_writer = await b.connect()
            await asked(reader, writer)
            await asked(silent_reader, silent_writer)
            heard = b.heard
            b.proxy.conditions = LineConditions(is_black_hole=True)
            writer.write(b"lost")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await reader.readexactly(1)
            assert not writer.is_closing()
            b.proxy.conditions = LineConditions()
            await asked(silent_reader, silent_writer)
            writer.write(b"still lost: this stream has a hole")
            await asked(silent_reader, silent_writer)
            assert b.heard == heard + 2 * len(b"question")
            assert len(b.proxy.connections) == 2
            silent_writer.close()
            writer.close()

    run(test)


def test_single_connections_can_be_swallowed_and_are_told_apart_by_what_they_carried() -> None:
    async def test() -> None:
        async with bench() as b:
            idle_reader, idle_writer = await b.connect()
            await asked(idle_reader, idle_writer)
            reader, writer = await b.connect()
            await asked(reader, writer)
            for connection in b.proxy.connections:
                connection.upward_largest = 0
            await asked(idle_reader, idle_writer, b"probe")
            await asked(reader, writer, bytes(300))
            used = [c for c in b.proxy.connections if c.upward_largest > 250]
            assert b.proxy.swallow(used) == 1
            await asked(idle_reader, idle_writer)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await asked(reader, writer)
            idle_writer.close()

    run(test)


def test_the_next_requests_are_swallowed_with_their_connections_and_no_others() -> None:
    async def test() -> None:
        async with bench() as b:
            ends = [await b.connect() for _ in range(4)]
            hit = b.proxy.swallow_next(2, above_bytes=250)
            await asked(*ends[0], bytes(250))
            for reader, writer in ends[1:3]:
                writer.write(bytes(300))
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await reader.readexactly(1)
            assert len(hit) == 2
            assert b.heard == 250
            await asked(*ends[3], bytes(300))
            for _, writer in ends:
                writer.close()

    run(test)


def test_what_is_under_way_into_a_black_hole_is_lost() -> None:
    async def test() -> None:
        async with bench(LineConditions(latency_ms=100)) as b:
            reader, writer = await b.connect()
            await asked(reader, writer)
            heard = b.heard
            writer.write(b"under way")
            while b.proxy.connections[0].upward_bytes == heard:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0)
            b.proxy.swallow()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await reader.readexactly(1)
            assert b.heard == heard

    run(test)


def test_nothing_behind_the_proxy_is_a_reset() -> None:
    async def test() -> None:
        gone = await asyncio.start_server(lambda _r, _w: None, LOOPBACK, 0)
        port = gone.sockets[0].getsockname()[1]
        gone.close()
        await gone.wait_closed()
        proxy = ChaosProxy(port, random.Random(7))
        await proxy.start()
        reader, _ = await asyncio.open_connection(LOOPBACK, proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        await proxy.close()

    run(test)


def test_a_sender_faster_than_the_line_is_held_back() -> None:
    async def test() -> None:
        async with bench(LineConditions(bytes_per_s=1)) as b:
            _, writer = await b.connect()
            whole = 64 << 20
            writer.write(bytes(whole))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await writer.drain()
            assert b.proxy.connections[0].upward_bytes < whole / 2
            writer.transport.abort()

    run(test)


@pytest.mark.parametrize("wrong", [{"latency_ms": -1}, {"jitter_ms": float("nan")}, {"bytes_per_s": 0}])
def test_impossible_conditions_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        LineConditions(**wrong)
