"""The engine's port over a real Unix socket, both ends, on the agents' own loop."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
import uvloop

from clawswarm.kernel.engine_port import MAX_FRAME, EngineClient, read_frame, send_frame
from clawswarm.model.errors import WireFault
from clawswarm.model.instruments import Side
from clawswarm.model.messages import (
    EngineRequest,
    Hello,
    Inventory,
    OrderState,
    OrderUpdate,
    Place,
    Plan,
    PlanDone,
    Touch,
)

PLAN = Plan(
    market="0xc",
    term=1,
    epoch=1,
    cancels=("a", "b"),
    places=(Place(ref=1, side=Side.BUY, price_e4=4800, size_e6=5_000_000),),
    value=1.0,
    book_sequence=1,
    book_received_ns=2,
    decided_ns=3,
)
UPDATE = OrderUpdate(
    market="0xc",
    ref=1,
    order_id="0xabc",
    state=OrderState.LIVE,
    side=Side.BUY,
    price_e4=4800,
    remaining_e6=5_000_000,
    reason=None,
)
DONE = PlanDone(market="0xc", decided_ns=3, refused=None)
HELD = Inventory(market="0xc", yes_e6=1, no_e6=2)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def request(reader: asyncio.StreamReader) -> EngineRequest:
    frame = await read_frame(reader)
    assert frame is not None
    return msgspec.msgpack.decode(frame, type=EngineRequest)


async def woken(wake: asyncio.Event) -> None:
    async with asyncio.timeout(30):
        await wake.wait()
    wake.clear()


async def served(path: Path, serve: Serve) -> asyncio.Server:
    """An engine whose every connection ends when `serve` returns."""

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()

    return await asyncio.start_unix_server(closing, str(path))


def test_frames_go_both_ways_in_order(socket_dir: Path) -> None:
    async def run() -> None:
        heard: list[EngineRequest] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.extend([await request(reader) for _ in range(3)])
            for reply in (UPDATE, HELD, DONE):
                send_frame(writer, reply)

        server, wake = await served(socket_dir / "port", serve), asyncio.Event()
        client = EngineClient(socket_dir / "port", "quoter-1", wake)
        assert not client.is_connected
        assert await client.try_connect()
        client.send(PLAN)
        client.touch(7)
        replies = []
        while client.is_connected:
            await woken(wake)
            replies += client.take()
        assert heard == [Hello(name="quoter-1"), PLAN, Touch(book_sequence=7)]
        assert replies == [UPDATE, HELD, DONE]
        assert client.take() == []
        server.close()

    uvloop.run(run())


def test_without_an_engine_there_is_no_connection_and_no_sending(socket_dir: Path) -> None:
    async def run() -> None:
        client = EngineClient(socket_dir / "port", "quoter-1", asyncio.Event())
        assert not await client.try_connect()
        assert not client.is_connected
        with pytest.raises(WireFault, match="not connected"):
            client.send(PLAN)
        client.touch(7)

    uvloop.run(run())


def test_a_closed_engine_wakes_the_quoter_and_can_be_met_again(socket_dir: Path) -> None:
    async def run() -> None:
        async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await request(reader)

        server, wake = await served(socket_dir / "port", serve), asyncio.Event()
        client = EngineClient(socket_dir / "port", "quoter-1", wake)
        for _ in range(3):
            assert await client.try_connect()
            await woken(wake)
            assert not client.is_connected
        server.close()

    uvloop.run(run())


def test_replies_of_a_lost_connection_are_not_taken_for_the_new_ones(socket_dir: Path) -> None:
    async def run() -> None:
        replies = iter([UPDATE, HELD])

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request(reader)
            send_frame(writer, next(replies))

        server, wake = await served(socket_dir / "port", serve), asyncio.Event()
        client = EngineClient(socket_dir / "port", "quoter-1", wake)
        assert await client.try_connect()
        while client.is_connected:
            await woken(wake)
        assert await client.try_connect()
        while client.is_connected:
            await woken(wake)
        assert client.take() == [HELD]
        server.close()

    uvloop.run(run())


@pytest.mark.parametrize(
    "bad",
    [struct.pack("<I", MAX_FRAME + 1), struct.pack("<I", 3) + b"\xc1\xc1\xc1"],
    ids=["oversize", "no message"],
)
def test_an_engine_that_leaves_the_protocol_is_disconnected(socket_dir: Path, bad: bytes) -> None:
    async def run() -> None:
        quoter_left = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request(reader)
            send_frame(writer, UPDATE)
            writer.write(bad)
            assert await read_frame(reader) is None
            quoter_left.set()

        server, wake = await served(socket_dir / "port", serve), asyncio.Event()
        client = EngineClient(socket_dir / "port", "quoter-1", wake)
        assert await client.try_connect()
        while client.is_connected:
            await woken(wake)
        assert client.take() == [UPDATE]
        async with asyncio.timeout(30):
            await quoter_left.wait()
        server.close()

    uvloop.run(run())


def fed(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def test_an_oversize_frame_is_refused_before_it_is_read() -> None:
    async def run() -> None:
        with pytest.raises(WireFault, match=f"{MAX_FRAME + 1} bytes"):
            await read_frame(fed(struct.pack("<I", MAX_FRAME + 1)))
        assert await read_frame(fed(struct.pack("<I", MAX_FRAME) + bytes(MAX_FRAME))) == bytes(MAX_FRAME)

    uvloop.run(run())


def test_a_frame_cut_off_anywhere_is_a_closed_connection() -> None:
    async def run() -> None:
        body = msgspec.msgpack.encode(DONE)
        whole = struct.pack("<I", len(body)) + body
        for cut in range(len(whole)):
            assert await read_frame(fed(whole[:cut])) is None
        assert await read_frame(fed(whole)) == body

    uvloop.run(run())
