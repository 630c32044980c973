"""Queues to sockets."""

import asyncio

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.streams.outbox import OUTBOX_LIMIT, Outbox
from clawswarm.sandbox.streams.serving import Serving
from clawswarm.sandbox.venue import Venue


def test_an_outbox_keeps_order_and_gives_up_a_slow_consumer() -> None:
    async def scene() -> None:
        outbox = Outbox()
        for index in range(OUTBOX_LIMIT):
            outbox.put(str(index))
        assert not outbox.has_overflowed
        outbox.put("one too many")
        assert outbox.has_overflowed
        assert await outbox.take() == [str(index) for index in range(OUTBOX_LIMIT)]

    asyncio.run(scene())


def test_texts_that_wait_together_arrive_whole_and_in_their_order() -> None:
    texts = [letter * size for letter in "aé" for size in (0, 1, 125, 126, 32_767, 65_535, 65_536)]

    async def scene() -> list[str]:
        serving, outbox = (
            Serving(Venue(SandboxSettings(data="", port=0, control_port=0)), lambda: 0),
            Outbox(),
        )
        for text in texts:
            outbox.put(text)

        async def receive(socket: web.WebSocketResponse) -> None:
            async for _ in socket:
                pass

        async def market(request: web.Request) -> web.StreamResponse:
            return await serving.serve("market", request, outbox, receive)

        app = web.Application()
        app.add_routes([web.get("/ws/market", market)])
        async with (
            TestServer(app) as server,
            aiohttp.ClientSession() as session,
            session.ws_connect(server.make_url("/ws/market")) as socket,
        ):
            return [await socket.receive_str(timeout=10) for _ in texts]

    assert asyncio.run(scene()) == texts
