"""`sandbox.proxy_delay`: ms by which the chaos proxy misses the latency it was asked for, over a round trip.

Every row with a round trip in its name leans on it; 2 ms at p99 is its promise on a quiet machine.
"""

import asyncio
import random
from typing import cast

from benchmarks.measure import Observation, Row, observe
from clawswarm.sandbox.chaos_proxy import LOOPBACK, ChaosProxy, LineConditions

ASKED_MS = (0.0, 5.0, 20.0)
N, PAUSE_S = 100, 0.005


def rows() -> list[Row]:
    """Every row of this file."""
    return [observe("sandbox.proxy_delay", "ms", lambda: asyncio.run(proxy_delay()))]


async def proxy_delay() -> Observation:
    """Round trips of a few bytes at several latencies, each less what was asked."""
    server = await asyncio.get_running_loop().create_server(_Echo, LOOPBACK, 0)
    proxy = ChaosProxy(server.sockets[0].getsockname()[1], random.Random(1))
    await proxy.start()
    reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
    loop, missed = asyncio.get_running_loop(), list[float]()
    for asked_ms in ASKED_MS:
        proxy.conditions = LineConditions(latency_ms=asked_ms)
        for _ in range(N):
            await asyncio.sleep(PAUSE_S)
            began = loop.time()
            writer.write(b"question")
            await reader.readexactly(8)
            missed.append((loop.time() - began) * 1_000 - 2 * asked_ms)
    writer.close()
    await proxy.close()
    server.close()
    return Observation(missed)


class _Echo(asyncio.Protocol):
    """Sends everything back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)
