"""Real sentinels before a feed of any rate, and a quoter's end of the bus: what a market-data benchmark needs."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from benchmarks.feed_child import condition_id, tokens
from benchmarks.measure import cpu_s
from clawswarm.agents.quoter.sources import BookSources
from clawswarm.kernel.bus import ZenohBus
from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S, SystemClock
from clawswarm.model.instruments import Market
from clawswarm.model.messages import Allocation, Beat, BookState, FeedHealth, Mandate
from clawswarm.runtime.roster import BUS_PEERS, QUOTERS, SENTINELS, SUPERVISOR, RunPlace

PROJECT = Path(__file__).parents[1]
FEED_TIMEOUT_S = 0.5
KILL_MARKETS, KILL_RATE = 2, 400
KILL_WATCHED_NS, KILL_CALM_NS = NS_PER_S, NS_PER_S // 2


class Watched(msgspec.Struct):
    """What a quoter saw of a run."""

    hop_us: list[float] = []
    age_ms: list[float] = []
    sent: int = 0
    frames: int = 0
    cpu_share: float = 0.0


class Killed(msgspec.Struct):
    """Ages of changes when a quoter could first price from them, in ms."""

    usual_ms: list[float] = []
    """Of every change while both sentinels live."""
    longest_ms: list[float] = []
    """Of the oldest change in the second after each kill."""


class Bench:
    """Sentinels behind a feed; this process is the supervisor that watches from the bus."""

    def __init__(self, markets: int, rate: float, seconds: float, sentinels: Sequence[str]) -> None:
        self.markets, self._names = markets, sentinels
        self._folder = tempfile.TemporaryDirectory(prefix="claw-bench-")
        folder = Path(self._folder.name)
        self.feed = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.feed_child", str(markets), str(rate), str(seconds)],
            stdout=subprocess.PIPE, text=True, cwd=PROJECT,
        )  # fmt: skip
        assert self.feed.stdout is not None
        self._place = _place(folder, int(self.feed.stdout.readline()))
        self.bus = ZenohBus(SUPERVISOR, BUS_PEERS, folder)
        self.sentinels: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Bench":
        for name in self._names:
            self.spawn(name)
        return self

    def __exit__(self, *_error: object) -> None:
        for child in (*self.sentinels.values(), self.feed):
            child.kill()
            child.wait()
        assert self.feed.stdout is not None
        self.feed.stdout.close()
        self.bus.close()
        self._folder.cleanup()

    def spawn(self, name: str) -> None:
        """Start a sentinel."""
        command = [sys.executable, "-m", "clawswarm.runtime.wiring", name, str(self._place)]
        self.sentinels[name] = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)

    def kill(self, name: str) -> None:
        """kill -9 one."""
        self.sentinels[name].kill()


def watch(markets: int, rate: float, seconds: float) -> Watched:
    """One sentinel behind a feed of `rate` frames a second, seen by a quoter for `seconds`."""
    with Bench(markets, rate, seconds, SENTINELS[:1]) as bench:
        return asyncio.run(_watch(bench))


async def _watch(bench: Bench) -> Watched:
    clock, seen, news = SystemClock(), Watched(), asyncio.Event()
    books, beats = bench.bus.follower("book", SENTINELS[:1], BookState), bench.bus.latest("beat/*", Beat)
    allocations = bench.bus.latest("allocation", Allocation)
    books.listen(news)
    books.follow(None)
    beats.listen()
    pid, feed = bench.sentinels[SENTINELS[0]].pid, bench.feed.stdout
    assert feed is not None
    said = asyncio.create_task(asyncio.to_thread(_read_sent, feed))
    next_ns = began_ns = end_ns = 0
    began_cpu_s = 0.0
    while not end_ns or clock.now_ns() < end_ns:
        now = clock.now_ns()
        if now >= next_ns:
            next_ns = now + NS_PER_S // 4
            allocations.publish(_allocation(bench.markets, now))
        await _news_or_pause(news)
        for book in books.take():
            now = clock.now_ns()
            if not book.is_valid or book.sequence < 2:
                continue
            if not began_ns:
                began_ns, began_cpu_s = now, cpu_s(pid)
            seen.hop_us.append((now - book.received_ns) / 1_000)
            seen.age_ms.append(now / NS_PER_MS - book.server_ms)
        for beat in beats.take():
            seen.frames = int(beat.counters["frames"])
        if said.done() and not end_ns:
            seen.sent = said.result()
            seen.cpu_share = (cpu_s(pid) - began_cpu_s) / ((clock.now_ns() - began_ns) / NS_PER_S)
            # One more beat says how many frames came in all.
            end_ns = clock.now_ns() + NS_PER_S * 3 // 2
    books.close()
    return seen


async def _news_or_pause(news: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await news.wait()
    news.clear()


def watch_kills(n: int) -> Killed:
    """Both sentinels behind a feed; the one that a quoter believes is killed, and started anew, `n` times."""
    with Bench(KILL_MARKETS, KILL_RATE, float("inf"), SENTINELS) as bench:
        return asyncio.run(_watch_kills(bench, n))


async def _watch_kills(bench: Bench, n: int) -> Killed:
    clock, seen, news = SystemClock(), Killed(), asyncio.Event()
    eyes = _Eyes(bench, news)
    next_ns = 0
    # After a kill there is a second to watch, before one half a second in which both live.
    killed_ns: int | None = None
    calm_ns: int | None = None
    longest_ms = 0.0
    while len(seen.longest_ms) < n:
        now = clock.now_ns()
        if now >= next_ns:
            next_ns = now + NS_PER_S // 4
            eyes.allocations.publish(_allocation(bench.markets, now))
        await _news_or_pause(news)
        now = clock.now_ns()
        ages_ms = eyes.look(now)
        if killed_ns is not None:
            longest_ms = max(longest_ms, *ages_ms, 0.0)
            if now - killed_ns >= KILL_WATCHED_NS:
                seen.longest_ms.append(longest_ms)
                killed_ns = calm_ns = None
        elif not eyes.sees_both(now):
            calm_ns = None
        elif calm_ns is None:
            calm_ns = now
        else:
            seen.usual_ms += ages_ms
            if now - calm_ns >= KILL_CALM_NS:
                killed_ns, longest_ms = now, 0.0
                bench.kill(victim := eyes.believed(now))
                bench.spawn(victim)
    eyes.books.close()
    return seen


class _Eyes:
    """What a quoter of every market sees, and how old the oldest change in each new state is."""

    def __init__(self, bench: Bench, news: asyncio.Event) -> None:
        self.books = bench.bus.follower("book", SENTINELS, BookState)
        self.allocations = bench.bus.latest("allocation", Allocation)
        self._health = bench.bus.latest("feed/*", FeedHealth)
        self._sources = BookSources(FEED_TIMEOUT_S)
        self._markets = [condition_id(number) for number in range(bench.markets)]
        self._period_ms = 1_000 * bench.markets / KILL_RATE
        self._seen_ms: dict[str, int] = {}
        self._held: dict[str, set[str]] = {name: set() for name in SENTINELS}
        self.books.listen(news)
        self.books.follow(None)
        self._health.listen(news)

    def look(self, now: int) -> list[float]:
        """Take in what has come; ages in ms."""
        for source in self.books.lost():
            self._sources.lose(source, now)
            self._held[source].clear()
        for pulse in self._health.take():
            self._sources.take_health(pulse)
        for book in self.books.take():
            self._sources.take_book(book, now)
            if book.is_valid:
                self._held[book.source].add(book.market)
        ages_ms = []
        for market in self._markets:
            book_now = self._sources.of(market).best(now)
            if book_now is None:
                continue
            # The oldest change that is new here was sent one period after the newest one known before.
            seen_ms = self._seen_ms.get(market, book_now.server_ms)
            if book_now.server_ms > seen_ms:
                ages_ms.append(now / NS_PER_MS - (seen_ms + self._period_ms))
            self._seen_ms[market] = max(seen_ms, book_now.server_ms)
        return ages_ms

    def sees_both(self, now: int) -> bool:
        """Whether both sentinels live and show every market."""
        return all(
            self._sources.is_live(name, now) and len(held) == len(self._markets)
            for name, held in self._held.items()
        )

    def believed(self, now: int) -> str:
        """The sentinel whose book of the first market is used."""
        book = self._sources.of(self._markets[0]).best(now)
        assert book is not None
        return book.source


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
    replaced = {"port": str(port), "tls": "false"}
    lines = []
    for line in (PROJECT / "config/sandbox.toml").read_text().splitlines():
        key = line.partition("=")[0].strip()
        lines.append(f"{key} = {replaced[key]}" if key in replaced else line)
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
