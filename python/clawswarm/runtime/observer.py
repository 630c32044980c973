"""What the supervisor sees of the swarm: it listens to the bus, keeps the newest of everything, adds up.

Counters of a process start at zero when it is restarted, so totals are kept per (name, pid).
"""

import asyncio

from clawswarm.kernel.bus import Bus
from clawswarm.kernel.clock import NS_PER_S
from clawswarm.kernel.histogram import Histogram
from clawswarm.model.messages import (
    Allocation,
    Beat,
    BookState,
    BudgetState,
    DeadmanFired,
    Exposure,
    FeedHealth,
    Fill,
    FillKey,
    Inventory,
    ReferencePrice,
)
from clawswarm.runtime.roster import SENTINELS


class Observer:
    """Listens from the first moment to the last; `drain` takes in what has arrived."""

    def __init__(self, bus: Bus) -> None:
        self._beat_channel = bus.latest("beat/*", Beat)
        self._book_channel = bus.follower("book", SENTINELS, BookState)
        self._exposure_channel = bus.latest("exposure/*", Exposure)
        self._health_channel = bus.latest("feed/*", FeedHealth)
        self._inventory_channel = bus.latest("inventory/*", Inventory)
        self._reference_channel = bus.latest("reference/chainlink/*/*", ReferencePrice)
        self._allocation_channel = bus.latest("allocation", Allocation)
        self._fill_channel = bus.ordered("fills", Fill)
        self._deadman_channel = bus.ordered("deadman", DeadmanFired)
        self.beats: dict[tuple[str, int], Beat] = {}
        self.newest_beat: dict[str, Beat] = {}
        self.books: dict[str, BookState] = {}
        self.marks_e4: dict[str, float] = {}
        self.exposures: dict[str, Exposure] = {}
        self.health: dict[str, FeedHealth] = {}
        self.inventories: dict[str, Inventory] = {}
        self.references: dict[str, ReferencePrice] = {}
        self.allocation: Allocation | None = None
        self.trading_s: dict[str, float] = {}
        self.causes_seen: dict[str, None] = {}
        self.markets_seen: set[str] = set()
        self.fills: dict[FillKey, Fill] = {}
        self.deadman: list[DeadmanFired] = []
        self.following: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen."""
        self._book_channel.listen()
        self._book_channel.follow(None)
        for channel in (
            self._beat_channel,
            self._exposure_channel,
            self._health_channel,
            self._inventory_channel,
            self._reference_channel,
            self._allocation_channel,
        ):
            channel.listen()
        self.following = [
            asyncio.create_task(self._follow_fills()),
            asyncio.create_task(self._follow_deadman()),
        ]

    def drain(self) -> None:
        """Take in the newest of every channel. Raises OrderedGap when a fill is lost for good."""
        for beat in self._beat_channel.take():
            self.beats[beat.name, beat.pid] = beat
            self.newest_beat[beat.name] = beat
        for book in self._book_channel.take():
            self.books[book.market] = book
            if book.is_valid and book.microprice is not None:
                self.marks_e4[book.market] = book.microprice * 10_000
        for exposure in self._exposure_channel.take():
            self.exposures[exposure.underlying] = exposure
        for health in self._health_channel.take():
            self.health[health.source] = health
        for held in self._inventory_channel.take():
            self.inventories[held.market] = held
        for reference in self._reference_channel.take():
            self.references[reference.underlying] = reference
        for allocation in self._allocation_channel.take():
            self._take_trading(allocation)
            self.allocation = allocation
            self.markets_seen |= {mandate.market.condition_id for mandate in allocation.mandates}
        for task in self.following:
            if task.done():
                task.result()

    def _take_trading(self, allocation: Allocation) -> None:
        """How long the swarm was in which state, from one word of the orchestrator to the next."""
        before = self.allocation
        if before is not None:
            elapsed_s = min(allocation.sent_ns - before.sent_ns, before.life_ns) / NS_PER_S
            state = before.state.value
            self.trading_s[state] = self.trading_s.get(state, 0.0) + max(0.0, elapsed_s)
        self.causes_seen |= dict.fromkeys(allocation.causes)

    def budgets(self) -> list[BudgetState]:
        """The last word of every engine that there was about the venue's limits."""
        return [beat.budget for beat in self.beats.values() if beat.budget is not None]

    def total(self, kind: str, counter: str) -> float | None:
        """Sum of a counter over every process of a kind, restarted ones included; None when never heard."""
        values = [
            b.counters[counter] for b in self.beats.values() if b.kind == kind and counter in b.counters
        ]
        return sum(values) if values else None

    def largest(self, kind: str, counter: str) -> float | None:
        """Largest value of a counter over every process of a kind; None when never heard."""
        values = [
            b.counters[counter] for b in self.beats.values() if b.kind == kind and counter in b.counters
        ]
        return max(values) if values else None

    def histogram(self, kind: str, name: str) -> Histogram:
        """A latency, over every process of a kind."""
        merged = Histogram()
        for beat in self.beats.values():
            if beat.kind == kind and name in beat.histograms:
                merged.merge(beat.histograms[name])
        return merged

    async def stop(self) -> None:
        """Stop following."""
        for task in self.following:
            task.cancel()
        await asyncio.gather(*self.following, return_exceptions=True)

    async def _follow_fills(self) -> None:
        async for fill in self._fill_channel.messages():
            self.fills[fill.key] = fill

    async def _follow_deadman(self) -> None:
        async for event in self._deadman_channel.messages():
            self.deadman.append(event)
