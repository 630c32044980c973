"""The sandbox on free loopback ports, in a thread of its own, over small recordings made here."""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from clawswarm.sandbox.recording import LevelsChanged, RecordedEvent, RecordedMarket, write_recording
from clawswarm.sandbox.server import SandboxServer
from clawswarm.sandbox.settings import SandboxSettings

Value = TypeVar("Value")
DEV_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
DEV_ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"

# (side, price in 1e-4, shares): 0.45 / 0.47 with depth behind.
BOOK = ((0, 4500, 100), (0, 4400, 200), (0, 4300, 300), (1, 4700, 100), (1, 4800, 200), (1, 4900, 300))


def snapshot(at_ms: int = 0) -> LevelsChanged:
    """The standard book as the first event of a recording."""
    return LevelsChanged(at_ms=at_ms, changes=tuple((s, p, n * 1_000_000) for s, p, n in BOOK))


def record(folder: Path, slug: str, events: Iterable[RecordedEvent], duration_ms: int = 3_600_000) -> None:
    """Write one recording of a BTC market."""
    market = RecordedMarket(
        slug=slug,
        underlying="BTC",
        question=f"Is {slug} up?",
        tick_e4=100,
        min_size_e6=5_000_000,
        duration_ms=duration_ms,
        outcome="YES",
        era="V2",
        depth_levels=3,
        provenance="made by the test",
        synthetic=("reference", "takers"),
        seed=1,
    )
    write_recording(folder / f"{slug}.claw", market, events)


def boottime_ns() -> int:
    """CLOCK_BOOTTIME."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wall_ms() -> int:
    """CLOCK_REALTIME."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000_000


def settings_for(folder: Path, **changes: object) -> SandboxSettings:
    """Free ports, quick settlement, and what a test changes."""
    base = SandboxSettings(
        data=str(folder),
        port=0,
        control_port=0,
        mined_after_ms=20,
        confirmed_after_ms=40,
        retried_after_ms=30,
        takers=False,
        proceeds_at="matched",
        taker_delay_ms=0,
        relayer_executed_after_ms=20,
        relayer_mined_after_ms=40,
        relayer_confirmed_after_ms=60,
    )
    return msgspec.structs.replace(base, **changes)


class RunningVenue:
    """Addresses of a venue that is up."""

    def __init__(self, server: SandboxServer, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self._loop = loop
        self.url = f"http://127.0.0.1:{server.port}"
        self.control = f"http://127.0.0.1:{server.control_port}"
        self.market = next(iter(server.venue.exchange.markets.values()))

    def look(self, read: Callable[[SandboxServer], Value]) -> Value:
        """Read something of the server in its own thread."""

        async def ask() -> Value:
            return read(self.server)

        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result(timeout=30)

    def steer(self, path: str, /, **body: object) -> None:
        """Ask the control port for something."""
        request = Request(self.control + path, data=json.dumps(body).encode(), method="POST")
        with build_opener(ProxyHandler({})).open(request, timeout=30) as response:
            assert response.status == 200


@contextmanager
def running_venue(
    settings: SandboxSettings,
    tls: ssl.SSLContext | None = None,
    clock: Callable[[], int] = boottime_ns,
) -> Iterator[RunningVenue]:
    """Serve in a thread until the block ends."""
    server = SandboxServer(settings, clock, wall_ms, tls)
    is_up, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        await server.start()
        is_up.set()
        await server.run_until(stop)
        await server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert is_up.wait(timeout=30)
        yield RunningVenue(server, loop)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=30)
        loop.close()
