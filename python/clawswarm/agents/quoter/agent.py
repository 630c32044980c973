"""The quoter's shell: books and mandates from the bus, plans to the engine, replies back."""

from collections.abc import Sequence
from pathlib import Path

import structlog

from clawswarm.agents.quoter.desk import QuoterDesk
from clawswarm.agents.quoter.pricing import QuoterSettings
from clawswarm.agents.quoter.strategy import load_strategy
from clawswarm.kernel.bus import Bus, Latest
from clawswarm.kernel.clock import ns
from clawswarm.kernel.engine_port import EngineClient
from clawswarm.kernel.histogram import Histogram
from clawswarm.kernel.process import Process
from clawswarm.model.messages import (
    Allocation,
    Beat,
    BookState,
    FeedHealth,
    ReferencePrice,
    SnapshotWanted,
)

BEAT_INTERVAL_S = 0.5
# The engine misses a touch after five of these: one for every book would be most of what it reads.
TOUCH_INTERVAL_S = 0.1
log = structlog.get_logger()


class Quoter:
    """One quoter process."""

    def __init__(
        self, process: Process, bus: Bus, settings: QuoterSettings, port: Path, sentinels: Sequence[str]
    ) -> None:
        self._process, self._clock = process, process.clock
        named = settings.strategy
        self._desk = QuoterDesk(process.name, settings, None if named is None else load_strategy(named))
        self._engine = EngineClient(port, process.name, process.wake)
        self._feed_to_quoter_us = Histogram()
        self._plans = 0
        self._book_sequence = 0
        self._books = bus.follower("book", sentinels, BookState)
        self._allocations = bus.latest("allocation", Allocation)
        self._health = bus.latest("feed/*", FeedHealth)
        self._wanted = bus.latest("snapshot", SnapshotWanted)
        self._bus = bus
        self._references: dict[str, Latest[ReferencePrice]] = {}
        self._beats = bus.latest("beat", Beat)

    async def run(self) -> None:
        """Quote until asked to stop."""
        # Said once a second, joined a minute ahead, enforced by the engine: a table waits for the next turn.
        self._allocations.listen()
        self._books.listen(self._process.wake, self._desk.quotes_from)
        self._health.listen()
        self._follow_prices()
        self._process.ready()
        was_connected, next_beat_ns, next_touch_ns = False, 0, 0
        while await self._process.tick():
            if not self._engine.is_connected:
                if was_connected:
                    log.warning("quoter.engine.lost")
                    self._desk.engine_lost()
                was_connected = await self._engine.try_connect()
            now = self._clock.now_ns()
            is_fed = self._take(now)
            for market, source in self._desk.disagreements(now):
                log.warning("quoter.sources.disagree", market=market, source=source)
                self._wanted.publish(
                    SnapshotWanted(market=market, source=source, sent_ns=now), f"{source}/{market}"
                )
            if is_fed and now >= next_touch_ns:
                next_touch_ns = now + ns(TOUCH_INTERVAL_S)
                self._engine.touch(self._book_sequence)
            if self._engine.is_connected:
                for plan in self._desk.plans(now):
                    if not self._engine.is_connected:
                        # Lost under the plan before; the next turn tells the desk, which forgets this one too.
                        break
                    self._plans += 1
                    self._engine.send(plan)
            if now >= next_beat_ns:
                next_beat_ns = now + ns(BEAT_INTERVAL_S)
                self._publish_beat(now)

    def _follow_prices(self) -> None:
        """Hear every feed that a market of ours moves or settles with, from the first such market on."""
        for feed in self._desk.feeds - self._references.keys():
            prices = self._references[feed] = self._bus.latest(f"reference/{feed}/*/*", ReferencePrice)
            # A jump must not wait for the next tick: it endangers quotes whether or not their books move.
            prices.listen(self._process.wake, lambda key: self._desk.concerns(*key.split("/")[1:]))

    def _take(self, now: int) -> bool:
        """Take in what has arrived; whether a sentinel was heard."""
        for allocation in self._allocations.take():
            if self._desk.take_allocation(allocation):
                self._books.follow(self._desk.markets)
                self._follow_prices()
        is_fed = False
        for health in self._health.take():
            is_fed = True
            self._desk.take_health(health)
        for prices in self._references.values():
            for reference in prices.take():
                self._desk.take_reference(reference)
        for source in self._books.lost():
            log.warning("quoter.sentinel.lost", source=source)
            self._desk.source_lost(source, now)
        for book in self._books.take():
            is_fed = True
            self._book_sequence = book.sequence
            if self._desk.take_book(book, now):
                self._feed_to_quoter_us.add((now - book.received_ns) // 1_000)
        for reply in self._engine.take():
            self._desk.take_reply(reply, now)
        return is_fed

    def _publish_beat(self, now: int) -> None:
        markets = len(self._desk.markets)
        self._beats.publish(
            Beat(
                name=self._process.name,
                kind="quoter",
                pid=self._process.pid,
                state="quoting" if self._engine.is_connected and markets else "idle",
                sent_ns=now,
                counters={
                    "plans": float(self._plans),
                    "markets": float(markets),
                    "untradeable_s": self._desk.untradeable_s,
                },
                histograms={"feed_to_quoter_us": self._feed_to_quoter_us.counts},
            ),
            self._process.name,
        )
