"""The sandbox and both sentinels as real processes; the test is the quoter behind them and asks for the truth.

Truth and belief are sampled together: a market is *wrong* while the top of the book a quoter would price from
differs from the venue's own, and *trusted* while that book's integrity lets it be quoted without widening. What
may not last is both at once.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import msgspec

from clawswarm.agents.quoter.sources import BookSources
from clawswarm.kernel.bus import Bus, Latest, ZenohBus
from clawswarm.kernel.clock import NS_PER_S, SystemClock
from clawswarm.kernel.silence import Silence
from clawswarm.model.errors import Retry
from clawswarm.model.instruments import Market
from clawswarm.model.messages import (
    Allocation,
    Beat,
    BookState,
    FeedHealth,
    Mandate,
    SnapshotWanted,
)
from clawswarm.model.units import parse_price_e4
from clawswarm.runtime.roster import BUS_PEERS, QUOTERS, SENTINELS, SUPERVISOR, RunPlace
from clawswarm.venues.polymarket.discovery import list_open_markets
from faults.swarm_run import write_config

WIDEN_BELOW = 0.8
TRUTH_INTERVAL_S = 0.05
START_S = 60.0
# Until then a market's own pace is not known.
ACQUAINTANCE_S = 4.0


class Sample(msgspec.Struct, frozen=True):
    """One market at one moment."""

    at_ns: int
    market: str
    is_wrong: bool
    integrity: float | None
    """None: there is no book to quote from."""

    @property
    def is_trusted(self) -> bool:
        """Whether it would be quoted as if nothing were wrong."""
        return self.integrity is not None and self.integrity >= WIDEN_BELOW


class SentinelPair:
    """Real processes on one side, a quoter's eyes on the other."""

    def __init__(self, folder: Path, **replaced: object) -> None:
        self._config = write_config(folder, tls=False, **replaced)
        table = dict(
            line.split("#")[0].split("=")
            for line in self._config.read_text().splitlines()
            if "port =" in line
        )
        ports = {key.strip(): int(value) for key, value in table.items()}
        self.url = f"http://127.0.0.1:{ports['port']}"
        self._control = f"http://127.0.0.1:{ports['control_port']}"
        self._sockets = tempfile.TemporaryDirectory(prefix="claw-")
        self.place = RunPlace(str(self._config), str(folder), self._sockets.name)
        self._place_file = folder / "place.json"
        self._place_file.write_bytes(msgspec.json.encode(self.place))
        self._log = (folder / "log.txt").open("w+")
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.clock = SystemClock()
        self.sources = BookSources(0.5)
        self.markets: list[Market] = []
        self.samples: list[Sample] = []
        self.beats: dict[str, Beat] = {}
        self.arrivals: list[BookState] = []
        self._bus: Bus | None = None

    def spawn(self, name: str) -> None:
        """Start one process."""
        command = [sys.executable, "-m", "clawswarm.runtime.wiring", name, str(self._place_file)]
        self.children[name] = subprocess.Popen(command, stderr=self._log, start_new_session=True)

    def kill(self, name: str) -> None:
        """kill -9 one process."""
        os.kill(self.children[name].pid, signal.SIGKILL)
        self.children[name].wait()

    def log(self) -> str:
        """Everything the processes have said."""
        self._log.seek(0)
        return self._log.read()

    def run(self, scene: Callable[["SentinelPair"], Awaitable[None]]) -> None:
        """Play a scene with everything up; nothing is left running."""
        try:
            self.spawn("sandbox")
            self._bus = ZenohBus(SUPERVISOR, BUS_PEERS, Path(self._sockets.name))
            for name in SENTINELS:
                self.spawn(name)
            asyncio.run(self._main(scene))
        finally:
            for child in self.children.values():
                child.kill()
                child.wait()
            if self._bus is not None:
                self._bus.close()
            self._sockets.cleanup()

    async def _main(self, scene: Callable[["SentinelPair"], Awaitable[None]]) -> None:
        assert self._bus is not None
        self._session = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(START_S):
                while not self.markets:
                    try:
                        listings = await list_open_markets(self._session, f"{self.url}/gamma")
                        self.markets = [listing.market for listing in listings]
                    except Retry:  # not up yet
                        await asyncio.sleep(0.1)
            tasks = [asyncio.create_task(self._listen(self._bus)), asyncio.create_task(self._compare())]
            try:
                await self.until(self.is_whole, START_S, "both sentinels have every book")
                await self.during(ACQUAINTANCE_S)
                await scene(self)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await self._session.close()

    # --- the quoter's side ----------------------------------------------------------------------

    async def _listen(self, bus: Bus) -> None:
        news = asyncio.Event()
        books = bus.follower("book", SENTINELS, BookState)
        health: Latest[FeedHealth] = bus.latest("feed/*", FeedHealth)
        beats: Latest[Beat] = bus.latest("beat/*", Beat)
        allocations: Latest[Allocation] = bus.latest("allocation", Allocation)
        wanted: Latest[SnapshotWanted] = bus.latest("snapshot", SnapshotWanted)
        for channel in (health, beats):
            channel.listen(news)
        books.listen(news)
        books.follow(None)
        mandates = tuple(
            Mandate(
                market=market, quoter=QUOTERS[0], epoch=1, capital_e6=1, max_position_e6=1, order_size_e6=1
            )
            for market in self.markets
        )
        next_ns = 0
        while True:
            try:
                async with asyncio.timeout(0.02):
                    await news.wait()
            except TimeoutError:
                pass
            news.clear()
            now = self.clock.now_ns()
            if now >= next_ns:
                next_ns = now + NS_PER_S // 4
                allocations.publish(Allocation(term=1, sent_ns=now, life_ns=10 * NS_PER_S, mandates=mandates))
            for pulse in health.take():
                self.sources.take_health(pulse)
            for beat in beats.take():
                self.beats[beat.name] = beat
            for source in books.lost():
                self.sources.lose(source, now)
            for book in books.take():
                if self.sources.take_book(book, now):
                    self.arrivals.append(book)
            for market, source in self.sources.disagreements(now):
                wanted.publish(
                    SnapshotWanted(market=market, source=source, sent_ns=now), f"{source}/{market}"
                )

    async def _compare(self) -> None:
        by_token = {market.yes_token: market.condition_id for market in self.markets}
        question = json.dumps([{"token_id": token} for token in by_token]).encode()
        headers = {"Content-Type": "application/json"}
        while True:
            await asyncio.sleep(TRUTH_INTERVAL_S)
            async with self._session.post(f"{self.url}/books", data=question, headers=headers) as answer:
                truth = json.loads(await answer.read())
            now = self.clock.now_ns()
            for shown in truth:
                market = by_token[shown["asset_id"]]
                book = self.sources.of(market).best(now)
                if book is None:
                    self.samples.append(Sample(now, market, False, None))
                    continue
                is_wrong = (_best(shown["bids"]), _best(shown["asks"])) != (book.bids[:1], book.asks[:1])
                self.samples.append(
                    Sample(now, market, is_wrong, self.sources.of(book.market).integrity(book, now))
                )

    # --- what a scene does and asks -------------------------------------------------------------

    async def control(self, path: str, body: object) -> object:
        """Ask the sandbox's control port."""
        async with self._session.post(self._control + path, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def until(self, condition: Callable[[], bool], within_s: float, what: str) -> float:
        """Wait until `condition` holds; seconds it took."""
        began = self.clock.now_ns()
        while not condition():
            elapsed_s = (self.clock.now_ns() - began) / NS_PER_S
            assert elapsed_s < within_s, f"not within {within_s} s: {what}\n{self.log()[-2000:]}"
            await asyncio.sleep(0.01)
        return (self.clock.now_ns() - began) / NS_PER_S

    async def during(self, seconds: float) -> list[Sample]:
        """The samples of the next seconds."""
        start, end_ns = len(self.samples), self.clock.now_ns() + round(seconds * NS_PER_S)
        await self.until(lambda: self.clock.now_ns() >= end_ns, seconds + 5, "time passes")
        return self.samples[start:]

    def is_whole(self) -> bool:
        """Whether every market is trusted by both live sentinels."""
        now = self.clock.now_ns()
        if not all(self.sources.is_live(name, now) for name in SENTINELS):
            return False
        found = [self.sources.of(market.condition_id).best(now) for market in self.markets]
        return all(
            book is not None and self.sources.of(book.market).integrity(book, now) == 1.0 for book in found
        )

    def counter(self, name: str) -> float:
        """A running total over both sentinels."""
        return sum(self.beats[sentinel].counters[name] for sentinel in SENTINELS if sentinel in self.beats)


def longest_wrong_and_trusted_s(samples: list[Sample]) -> float:
    """The longest time a market was seen to stay both; it stands still while nobody has a turn to look."""
    longest_ns, lasting = 0, dict[str, Silence]()
    for sample in samples:
        if sample.is_wrong and sample.is_trusted:
            since = lasting.setdefault(sample.market, Silence(sample.at_ns))
            longest_ns = max(longest_ns, since.look(sample.at_ns))
        else:
            lasting.pop(sample.market, None)
    return longest_ns / NS_PER_S


def _best(levels: list[dict[str, str]]) -> tuple[tuple[int, int], ...]:
    """The last level is the best one."""
    if not levels:
        return ()
    best = levels[-1]
    return ((parse_price_e4(best["price"]), round(float(best["size"]) * 1_000_000)),)
