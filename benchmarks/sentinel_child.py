"""Real sentinels before a feed of any rate, and a quoter's end of the bus: what a market-data benchmark needs."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import msgspec

from benchmarks.feed_child import condition_id, tokens
from benchmarks.measure import cpu_s
from clawswarm.kernel.bus import Bus, ZenohBus
from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S, SystemClock
from clawswarm.model.instruments import Market
from clawswarm.model.messages import Allocation, Beat, BookState, Mandate
from clawswarm.runtime.roster import BUS_PEERS, QUOTERS, SUPERVISOR, RunPlace

PROJECT = Path(__file__).parents[1]
START_S = 60.0


class Watched(msgspec.Struct):
    """What a quoter saw of a run."""

    hop_us: list[float] = []
    age_ms: list[float] = []
    sent: int = 0
    frames: int = 0
    cpu_share: float = 0.0


def watch(markets: int, rate: float, seconds: float) -> Watched:
    """One sentinel behind a feed of `rate` frames a second, seen from the bus for `seconds`."""
    with tempfile.TemporaryDirectory(prefix="claw-bench-") as folder:
        feed = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.feed_child", str(markets), str(rate), str(seconds)],
            stdout=subprocess.PIPE, text=True, cwd=PROJECT,
        )  # fmt: skip
        assert feed.stdout is not None
        place = _place(Path(folder), int(feed.stdout.readline()))
        bus = ZenohBus(SUPERVISOR, BUS_PEERS, Path(folder))
        command = [sys.executable, "-m", "clawswarm.runtime.wiring", "sentinel-1", str(place)]
        sentinel = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            return asyncio.run(_watch(bus, markets, sentinel, feed.stdout))
        finally:
            os.kill(sentinel.pid, signal.SIGKILL)
            feed.kill()
            sentinel.wait()
            feed.wait()
            feed.stdout.close()
            bus.close()


async def _watch(bus: Bus, markets: int, sentinel: subprocess.Popen[bytes], feed: IO[str]) -> Watched:
    clock, seen, news = SystemClock(), Watched(), asyncio.Event()
    books, beats = bus.latest("book/*/*", BookState), bus.latest("beat/*", Beat)
    allocations = bus.latest("allocation", Allocation)
    books.listen(news)
    beats.listen(asyncio.Event())
    said = asyncio.create_task(asyncio.to_thread(_read_sent, feed))
    next_ns = began_ns = end_ns = 0
    began_cpu_s = 0.0
    while not end_ns or clock.now_ns() < end_ns:
        now = clock.now_ns()
        if now >= next_ns:
            next_ns = now + NS_PER_S // 4
            allocations.publish(_allocation(markets, now))
        try:
            async with asyncio.timeout(0.05):
                await news.wait()
        except TimeoutError:
            pass
        news.clear()
        for book in books.take():
            now = clock.now_ns()
            if not book.is_valid or book.sequence < 2:
                continue
            if not began_ns:
                began_ns, began_cpu_s = now, cpu_s(sentinel.pid)
            seen.hop_us.append((now - book.received_ns) / 1_000)
            seen.age_ms.append(now / NS_PER_MS - book.server_ms)
        for beat in beats.take():
            seen.frames = int(beat.counters["frames"])
        if said.done() and not end_ns:
            seen.sent = said.result()
            seen.cpu_share = (cpu_s(sentinel.pid) - began_cpu_s) / ((clock.now_ns() - began_ns) / NS_PER_S)
            # One more beat says how many frames came in all.
            end_ns = clock.now_ns() + NS_PER_S * 3 // 2
    return seen


def _read_sent(feed: IO[str]) -> int:
    for line in feed:
        if line.startswith("sent"):
            return int(line.split()[1])
    return 0


def _allocation(markets: int, now: int) -> Allocation:
    mandates = []
    for number in range(markets):
        yes, no = tokens(number)
        market = Market(condition_id(number), str(number), "BTC", yes, no, 100, 5_000_000, False, True, None)
        mandates.append(
            Mandate(
                market=market, quoter=QUOTERS[0], epoch=1, capital_e6=1, max_position_e6=1, order_size_e6=1
            )
        )
    return Allocation(term=1, sent_ns=now, life_ns=10 * NS_PER_S, mandates=tuple(mandates))


def _place(folder: Path, port: int) -> Path:
    lines = []
    for line in (PROJECT / "config/sandbox.toml").read_text().splitlines():
        lines.append(f"port = {port}" if line.startswith("port =") else line)
    (folder / "config.toml").write_text("\n".join(lines))
    place = folder / "place.json"
    place.write_bytes(msgspec.json.encode(RunPlace(str(folder / "config.toml"), str(folder), str(folder))))
    return place


def bare_hops(n: int) -> list[float]:
    """Microseconds from a write in one process to the read in an asyncio loop of another, 300 bytes each."""
    with tempfile.TemporaryDirectory(prefix="claw-bench-") as folder:
        return asyncio.run(_bare_hops(Path(folder) / "hop", n))


async def _bare_hops(path: Path, n: int) -> list[float]:
    clock, hops, done = SystemClock(), list[float](), asyncio.Event()

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(hops) < n:
            message = await reader.readexactly(300)
            hops.append((clock.now_ns() - int.from_bytes(message[:8], "little")) / 1_000)
        done.set()
        writer.close()

    server = await asyncio.start_unix_server(read, path)
    script = (
        "import socket, sys, time\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "for _ in range(int(sys.argv[2])):\n"
        "    s.sendall(time.clock_gettime_ns(time.CLOCK_BOOTTIME).to_bytes(8, 'little') + bytes(292))\n"
        "    time.sleep(0.002)\n"
    )
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(path), str(n))
    await done.wait()
    await child.wait()
    server.close()
    return hops
