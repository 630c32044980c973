"""Queues to sockets, and who hears which price."""

import asyncio
import json

from clawswarm.sandbox.streams.hubs import PriceHub, PriceListener
from clawswarm.sandbox.streams.outbox import OUTBOX_LIMIT, Outbox


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


def test_prices_reach_those_who_asked_for_the_symbol() -> None:
    async def scene() -> None:
        hub = PriceHub()
        btc, everything, nothing = (PriceListener(name) for name in "abc")
        hub.listeners |= {btc, everything, nothing}
        hub.subscribe(btc, {"btc/usd"}, 0)
        hub.subscribe(everything, None, 0)
        hub.publish("BTC", 65_000_500_000, 1_500)
        hub.publish("ETH", 2_000_000_000, 1_600)
        frames = [json.loads(text) for text in await everything.outbox.take()]
        assert [frame["payload"]["symbol"] for frame in frames] == ["btc/usd", "eth/usd"]
        assert frames[0]["payload"]["value"] == 65000.5
        assert frames[0]["payload"]["timestamp"] == 1_000
        assert len(await btc.outbox.take()) == 1
        nothing.outbox.put("marker")
        assert await nothing.outbox.take() == ["marker"]

    asyncio.run(scene())
