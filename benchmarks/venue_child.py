"""A sandbox in a process of its own, on one core, driven by lines on its standard input.

Started with one argument, a folder that holds one or more recordings. It prints one JSON line when it serves,
then obeys:

    tier ADDRESS          the signer's buckets are those of the highest tier
    drive RATE SECONDS    change RATE levels a second, in turn over all markets; then one JSON line: the time
                          (perf_counter) at which each change was made
    quit
"""

import asyncio
import os
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from clawswarm.kernel.clock import SystemClock
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.participants import ReplayMaker, participant_account
from clawswarm.sandbox.server import SandboxServer, collect_seldom
from clawswarm.sandbox.settings import SandboxSettings

SERVER_CORE = 0
RECORDED_SIZE = 100
"""Shares that stand at every level from the recording."""
FIRST_SIZE = 1_000
"""A level's size after the first driven change, in shares; each later one is one more."""
_BID_PRICES_E4 = tuple(range(100, 4_000, 100))


class Serving(msgspec.Struct, frozen=True):
    """What a client needs to know."""

    pid: int
    port: int
    tokens: list[tuple[str, str]]


class Driver:
    """Changes levels as a replay does."""

    def __init__(self, server: SandboxServer) -> None:
        self._server = server
        exchange = server.venue.exchange
        account = participant_account(exchange, "driver")
        self._markets: list[ListedMarket] = list(exchange.markets.values())
        self._makers = [ReplayMaker(exchange, market, account) for market in self._markets]
        self._made = 0

    async def drive(self, rate: int, seconds: float) -> list[float]:
        """Make the changes on schedule; the time of each."""
        began, times = time.perf_counter(), list[float]()
        for number in range(round(rate * seconds)):
            due = began + number / rate
            if (left := due - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            times.append(time.perf_counter())
            self._change()
            if number % 8 == 7:
                await asyncio.sleep(0)
        return times

    def _change(self) -> None:
        turn, maker = divmod(self._made, len(self._makers))
        price = _BID_PRICES_E4[turn % len(_BID_PRICES_E4)]
        size_e6 = (FIRST_SIZE - RECORDED_SIZE + self._made) * 1_000_000
        self._made += 1
        events = self._makers[maker].follow([(0, price, size_e6)], self._server.now_ns())
        self._server.venue.publish(events)


async def serve(folder: Path) -> None:
    """Serve and obey."""
    clock = SystemClock()
    settings = SandboxSettings(data=str(folder), port=0, control_port=0, takers=False)
    server = SandboxServer(settings, clock.now_ns, clock.wall_ms)
    await server.start()
    collect_seldom()
    stop = asyncio.Event()
    playing = asyncio.create_task(server.run_until(stop))
    driver = Driver(server)
    tokens = [(market.yes_token, market.no_token) for market in server.venue.exchange.markets.values()]
    _say(Serving(os.getpid(), server.port, tokens))
    while (line := (await asyncio.to_thread(sys.stdin.readline)).split()) and line[0] != "quit":
        if line[0] == "tier":
            server.venue.buckets.set_tier(line[1].lower(), "elite", server.now_ns())
            _say(True)
        else:
            _say(await driver.drive(int(line[1]), float(line[2])))
    stop.set()
    await playing
    await server.close()


def _say(what: object) -> None:
    print(msgspec.json.encode(what).decode(), flush=True)


def pin(core: int) -> None:
    """Stay on one core, where there are several."""
    if core in os.sched_getaffinity(0) and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {core})


if __name__ == "__main__":
    pin(SERVER_CORE)
    uvloop.run(serve(Path(sys.argv[1])))
