"""Rows of the sandbox: orders it accepts, and price changes it spreads.

sandbox.orders        answer time of POST /order at 1,000 a second, open loop (waiting counts): 16 connections
                      of 4 signers at 4 addresses, every signature and limit checked, the server on one core
sandbox.orders.rate   accepted orders for each CPU second of the server, back to back
sandbox.fanout        delay from a change to its frame at each of 3 subscribers, 1,000 changes a second over two
                      markets of 97 levels, with hashes
sandbox.fanout.burst  the same in a burst of 3,000 a second for 2 s; null with a reason if a frame is lost
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import aiohttp
import msgspec

from benchmarks.measure import NotMeasured, Observation, Row, cpu_s, observe
from benchmarks.recordings import write_market
from benchmarks.signed_requests import Trader, log_in, order_request
from benchmarks.venue_child import FIRST_SIZE, RECORDED_SIZE, SERVER_CORE, Serving, pin
from clawswarm.sandbox.recording import LevelsChanged

SIGNERS, CONNECTIONS = 4, 16
ORDERS_PER_S, ORDERS, ORDERS_A_RATE = 1_000, 4_000, 1_000
CHANGES_PER_S, CHANGES_S = 1_000, 5
BURST_PER_S, BURST_S = 3_000, 2
SUBSCRIBERS = 3
_SETTLE_S = 5.0

T = TypeVar("T")


def rows(_n: int) -> list[Row]:
    """Every row of this file."""
    found = []
    cores = os.sched_getaffinity(0)
    pin(max(cores - {SERVER_CORE}, default=SERVER_CORE))
    try:
        for name, unit, run in (
            ("sandbox.orders", "ms", orders),
            ("sandbox.orders.rate", "orders/s", orders_rate),
            ("sandbox.fanout", "ms", lambda: fanout(CHANGES_PER_S, CHANGES_S)),
            ("sandbox.fanout.burst", "ms", lambda: fanout(BURST_PER_S, BURST_S)),
        ):
            found.append(observe(name, unit, _observation(run)))
    finally:
        os.sched_setaffinity(0, cores)
    return found


def _observation(run: Callable[[], list[float]]) -> Callable[[], Observation]:
    return lambda: Observation(run())


# --- orders -----------------------------------------------------------------------------------------


def orders() -> list[float]:
    """Answer times in ms at a given rate."""
    with Child(markets=1) as child:
        requests = _requests(child, ORDERS)
        return asyncio.run(_send(child.serving.port, requests, ORDERS_PER_S))


def orders_rate() -> list[float]:
    """Accepted orders per CPU second of the server, for each thousand."""
    with Child(markets=1) as child:
        requests = _requests(child, ORDERS)
        rates = list[float]()
        for first in range(0, ORDERS, ORDERS_A_RATE):
            served = cpu_s(child.serving.pid)
            asyncio.run(_send(child.serving.port, requests[first : first + ORDERS_A_RATE], None))
            rates.append(ORDERS_A_RATE / (cpu_s(child.serving.pid) - served))
        return rates


def _requests(child: "Child", count: int) -> list[tuple[Trader, bytes]]:
    port, token = child.serving.port, child.serving.tokens[0][0]
    traders = [log_in(number, f"127.0.0.{2 + number}", port) for number in range(SIGNERS)]
    for trader in traders:
        child.ask(f"tier {trader.address}", bool)
    return [
        (trader, order_request(trader, token, number))
        for number in range(count)
        for trader in (traders[number % SIGNERS],)
    ]


async def _send(port: int, requests: list[tuple[Trader, bytes]], rate: int | None) -> list[float]:
    """Send over CONNECTIONS connections; the answer times in ms."""
    began, times = time.perf_counter() + 0.1, list[float]()

    async def connection(first: int) -> None:
        host = requests[first][0].host
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
        for number in range(first, len(requests), CONNECTIONS):
            due = time.perf_counter() if rate is None else began + number / rate
            await asyncio.sleep(max(0, due - time.perf_counter()))
            writer.write(requests[number][1])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            if b'"status":"live"' not in body:
                raise NotMeasured(f"an order was not accepted: {body[:120].decode()}")
            times.append((time.perf_counter() - due) * 1000)
        writer.close()

    await asyncio.gather(*(connection(first) for first in range(CONNECTIONS)))
    return times


# --- fan-out ----------------------------------------------------------------------------------------


def fanout(rate: int, seconds: int) -> list[float]:
    """Delays in ms."""
    with Child(markets=2) as child:
        return asyncio.run(_listen(child, rate, seconds))


async def _listen(child: "Child", rate: int, seconds: int) -> list[float]:
    count = rate * seconds
    arrivals: list[dict[int, float]] = [{} for _ in range(SUBSCRIBERS)]
    tokens = [token for pair in child.serving.tokens for token in pair]

    async def subscriber(seen: dict[int, float], is_ready: asyncio.Event) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{child.serving.port}/ws/market", max_msg_size=0) as socket,
        ):
            await socket.send_str(msgspec.json.encode({"type": "market", "assets_ids": tokens}).decode())
            await socket.receive_str()
            is_ready.set()
            while len(seen) < count:
                text = await socket.receive_str()
                now = time.perf_counter()
                seen[int(text.partition('"size":"')[2].partition('"')[0]) - FIRST_SIZE] = now

    ready = [asyncio.Event() for _ in arrivals]
    listening = [asyncio.create_task(subscriber(*pair)) for pair in zip(arrivals, ready, strict=True)]
    await asyncio.gather(*(event.wait() for event in ready))
    made = await asyncio.to_thread(child.ask, f"drive {rate} {seconds}", list[float])
    _, late = await asyncio.wait(listening, timeout=_SETTLE_S)
    for task in late:
        task.cancel()
    lost = sum(count - len(seen) for seen in arrivals)
    if lost:
        raise NotMeasured(f"{lost} of {count * SUBSCRIBERS} frames did not arrive")
    return [(at - made[number]) * 1000 for seen in arrivals for number, at in seen.items()]


# --- the server -------------------------------------------------------------------------------------


class Child:
    """A sandbox process with so many quiet markets of 99 levels."""

    def __init__(self, markets: int) -> None:
        self._markets = markets

    def __enter__(self) -> "Child":
        self._folder = tempfile.TemporaryDirectory()
        for number in range(self._markets):
            _record(Path(self._folder.name), f"market-{number}")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.venue_child", self._folder.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.serving = self._answer(Serving)
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate("quit\n", timeout=20)
        self._folder.cleanup()

    def ask(self, line: str, kind: type[T]) -> T:
        """Send a command and wait for its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer(kind)

    def _answer(self, kind: type[T]) -> T:
        assert self._process.stdout is not None
        return msgspec.json.decode(self._process.stdout.readline(), type=kind)


def _record(folder: Path, slug: str) -> None:
    size_e6 = RECORDED_SIZE * 1_000_000
    bids = tuple((0, price, size_e6) for price in range(100, 4_900, 100))
    asks = tuple((1, price, size_e6) for price in range(5_000, 10_000, 100))
    write_market(folder / f"{slug}.claw", [LevelsChanged(at_ms=0, changes=bids + asks)])
