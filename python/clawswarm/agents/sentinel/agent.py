"""The sentinel's shell: two connections in (books, reference prices), BookState, ReferencePrice, health out."""

import asyncio
from random import Random

import aiohttp
import msgspec
import structlog

from clawswarm.agents.sentinel.books import SentinelBooks
from clawswarm.kernel.bus import Bus
from clawswarm.kernel.clock import ns
from clawswarm.kernel.process import Process
from clawswarm.model.errors import Retry, WireFault
from clawswarm.model.messages import Allocation, Beat, BookState, FeedHealth, ReferencePrice
from clawswarm.venues.polymarket.feed import (
    market_change,
    market_subscription,
    read_reference,
    reference_subscription,
)
from clawswarm.venues.polymarket.settings import SocketSettings
from clawswarm.venues.polymarket.socket import VenueSocket, backoff_s

HEALTH_INTERVAL_S = 0.1
BEAT_INTERVAL_S = 0.5
log = structlog.get_logger()


class MarketDataSources(msgspec.Struct, frozen=True):
    """Where market data comes from, and whether the reference prices are real."""

    market_ws_url: str
    reference_ws_url: str
    reference_is_synthetic: bool


class Sentinel:
    """Watches every mandated market over its own connections."""

    def __init__(
        self, process: Process, bus: Bus, settings: SocketSettings, sources: MarketDataSources
    ) -> None:
        self._process, self._clock, self._settings, self._sources = process, process.clock, settings, sources
        # Jitter only: two sentinels must not reconnect in step.
        self._jitter = Random(process.name)
        self._books = SentinelBooks(process.name)
        self._socket: VenueSocket | None = None
        self._has_markets = asyncio.Event()
        self._is_live = False
        self._reason: str | None = "starting"
        self._last_frame_ns = 0
        self._counters = {"frames": 0.0, "states": 0.0, "bad_frames": 0.0, "reconnects": 0.0}
        self._allocations = bus.latest("allocation", Allocation)
        self._states = bus.latest("book", BookState)
        self._references = bus.latest("reference", ReferencePrice)
        self._health = bus.latest("feed", FeedHealth)
        self._beats = bus.latest("beat", Beat)

    async def run(self) -> None:
        """Work until asked to stop."""
        async with aiohttp.ClientSession() as session:
            self._allocations.listen(self._process.wake)
            tasks = [
                asyncio.create_task(self._follow_books(session)),
                asyncio.create_task(self._follow_reference(session)),
            ]
            self._process.ready()
            next_health_ns = next_beat_ns = 0
            while await self._process.tick():
                for task in tasks:
                    if task.done():
                        task.result()
                now = self._clock.now_ns()
                for allocation in self._allocations.take():
                    await self._watch(allocation)
                if now >= next_health_ns:
                    next_health_ns = now + ns(HEALTH_INTERVAL_S) // 2
                    self._publish_health(now)
                if now >= next_beat_ns:
                    next_beat_ns = now + ns(BEAT_INTERVAL_S)
                    self._publish_beat(now)
                    self._states.repeat(f"{market}/{self._process.name}" for market in self._books.markets)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, allocation: Allocation) -> None:
        joined, left = self._books.watch(mandate.market for mandate in allocation.mandates)
        if self._books.count:
            self._has_markets.set()
        await self._change(joined, left)

    async def _change(self, joined: list[str], left: list[str]) -> None:
        if self._socket is None:
            return
        try:
            if joined:
                await self._socket.send(market_change("subscribe", joined))
            if left:
                await self._socket.send(market_change("unsubscribe", left))
        except Retry as fault:
            log.warning("sentinel.feed.change_failed", reason=str(fault))

    async def _follow_books(self, session: aiohttp.ClientSession) -> None:
        attempt = 0
        await self._has_markets.wait()
        while True:
            socket = VenueSocket(session, self._sources.market_ws_url, self._settings, self._clock)
            try:
                subscribed = self._books.token_ids
                await socket.connect(market_subscription(subscribed))
                self._socket = socket
                # Markets may have come and gone while the connection was made.
                wanted = self._books.token_ids
                await self._change(
                    [token for token in wanted if token not in subscribed],
                    [token for token in subscribed if token not in wanted],
                )
                async for frame in socket.frames():
                    attempt = 0
                    self._take_frame(frame)
            except Retry as fault:
                self._socket = None
                self._lost(str(fault))
            await asyncio.sleep(backoff_s(self._settings, attempt, self._jitter.random()))
            attempt += 1

    def _take_frame(self, frame: bytes) -> None:
        now = self._clock.now_ns()
        self._counters["frames"] += 1
        self._last_frame_ns = now
        try:
            states = self._books.apply(frame, now)
        except ValueError as fault:
            self._counters["bad_frames"] += 1
            log.warning("sentinel.frame.bad", reason=str(fault))
            return
        for state in states:
            self._publish_state(state)
        if not self._is_live:
            self._is_live, self._reason = True, None
            self._publish_health(now)

    def _lost(self, reason: str) -> None:
        log.warning("sentinel.feed.lost", reason=reason)
        self._counters["reconnects"] += 1
        self._is_live, self._reason = False, reason
        self._publish_health(self._clock.now_ns())
        for state in self._books.disconnect():
            self._publish_state(state)

    async def _follow_reference(self, session: aiohttp.ClientSession) -> None:
        attempt = 0
        while True:
            socket = VenueSocket(session, self._sources.reference_ws_url, self._settings, self._clock)
            try:
                await socket.connect(reference_subscription())
                async for frame in socket.frames():
                    attempt = 0
                    tick = read_reference(frame)
                    if tick is not None:
                        message = ReferencePrice(
                            underlying=tick.underlying,
                            source=self._process.name,
                            value_e6=tick.value_e6,
                            source_ms=tick.source_ms,
                            received_ns=self._clock.now_ns(),
                            is_synthetic=self._sources.reference_is_synthetic,
                        )
                        self._references.publish(message, f"{tick.underlying}/{self._process.name}")
            except (Retry, WireFault) as fault:
                log.warning("sentinel.reference.lost", reason=str(fault))
            await asyncio.sleep(backoff_s(self._settings, attempt, self._jitter.random()))
            attempt += 1

    def _publish_state(self, state: BookState) -> None:
        self._counters["states"] += 1
        self._states.publish(state, f"{state.market}/{state.source}")

    def _publish_health(self, now: int) -> None:
        self._health.publish(
            FeedHealth(
                source=self._process.name,
                sent_ns=now,
                is_live=self._is_live,
                last_frame_ns=self._last_frame_ns,
                markets=self._books.count,
                reason=self._reason,
            ),
            self._process.name,
        )

    def _publish_beat(self, now: int) -> None:
        self._beats.publish(
            Beat(
                name=self._process.name,
                kind="sentinel",
                pid=self._process.pid,
                state="live" if self._is_live else "reconnecting",
                sent_ns=now,
                counters=dict(self._counters),
            ),
            self._process.name,
        )
