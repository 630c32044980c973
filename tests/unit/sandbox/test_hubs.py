"""Queues to sockets."""

import asyncio

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
