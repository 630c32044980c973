"""The sentinel's shell: connections in (books, reference prices), BookState, ReferencePrice, health out."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import aiohttp
import msgspec
import structlog

from clawswarm.agents.sentinel.books import SentinelBooks, ShardChange
from clawswarm.agents.sentinel.frames import FrameJournal
from clawswarm.agents.sentinel.references import References
from clawswarm.kernel.alarm import Alarm
from clawswarm.kernel.bus import Bus
from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S, ns
from clawswarm.kernel.process import Process
from clawswarm.model.errors import Retry, WireFault
from clawswarm.model.messages import (
    Allocation,
    Beat,
    BookState,
    FeedHealth,
    ReferencePrice,
    SnapshotWanted,
)
from clawswarm.venues.polymarket.feed import (
    BOOKS_PATH,
    books_question,
    market_change,
    market_subscription,
)
from clawswarm.venues.polymarket.prices import PolyBolt, PolyBoltCredentials, PriceStream, PriceTick, Rtds
from clawswarm.venues.polymarket.settings import SocketSettings
from clawswarm.venues.polymarket.socket import VenueSocket, backoff_s

HEALTH_INTERVAL_S = 0.1
BEAT_INTERVAL_S = 0.5
MARKS_INTERVAL_S = 0.25
REVIEW_INTERVAL_S = 0.02
# Where nothing has come and nothing is doubted, only a silence can begin, and when is known.
CALM_REVIEW_INTERVAL_S = 0.25
ANSWER_TIMEOUT_S = 1.0
# A connection most of whose markets stay deaf though subscribed anew is made anew, at most this often.
RECONNECT_DEAF_NS = 2_000 * NS_PER_MS
log = structlog.get_logger()


class MarketDataSources(msgspec.Struct, frozen=True):
    """Where market data comes from, and whether the reference prices are real."""

    market_ws_url: str
    rtds_url: str
    polybolt_url: str
    rest_url: str
    reference_is_synthetic: bool
    prices_dead_after_s: float
    polybolt_key: PolyBoltCredentials | None = None


class FrameRetention(msgspec.Struct, frozen=True):
    """Where received frames are kept, how many bytes at most, and whether whole or as hashes."""

    folder: Path
    cap_bytes: int
    keeps_raw: bool


class _Shard:
    """One connection of the market channel."""

    def __init__(self) -> None:
        self.socket: VenueSocket | None = None
        self.is_live = False
        self.deaf_since_ns: int | None = None


class Sentinel:
    """Watches every mandated market over its own connections."""

    def __init__(
        self,
        process: Process,
        bus: Bus,
        settings: SocketSettings,
        sources: MarketDataSources,
        retention: FrameRetention | None = None,
        open_session: Callable[[], aiohttp.ClientSession] = aiohttp.ClientSession,
    ) -> None:
        self._open_session = open_session
        self._process, self._clock, self._settings, self._sources = process, process.clock, settings, sources
        # Jitter only: two sentinels must not reconnect in step.
        self._jitter = Random(process.name)
        self._books = SentinelBooks(process.name)
        self._journal = (
            FrameJournal(retention.folder, retention.cap_bytes, retention.keeps_raw) if retention else None
        )
        self._shards: list[_Shard] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._urgent = asyncio.Event()
        self._review = Alarm(self._urgent)
        self._is_due = self._is_review_due = False
        self._reason: str | None = "starting"
        self._last_frame_ns = 0
        self._counters = Counter(
            dict.fromkeys(
                (
                    "frames",
                    "states",
                    "bad_frames",
                    "reconnects",
                    "questions",
                    "resubscriptions",
                    "doubts",
                    "prices_lost",
                ),
                0.0,
            )
        )
        self._prices = References(process.name, is_synthetic=sources.reference_is_synthetic)
        self._allocations = bus.latest("allocation", Allocation)
        self._wanted = bus.latest(f"snapshot/{process.name}/*", SnapshotWanted)
        self._states = bus.source("book")
        self._marks = bus.latest("book", BookState)
        self._unmarked: dict[str, BookState] = {}
        self._references = bus.latest("reference", ReferencePrice)
        self._health = bus.latest("feed", FeedHealth)
        self._beats = bus.latest("beat", Beat)

    async def run(self) -> None:
        """Work until asked to stop."""
        self._loop = asyncio.get_running_loop()
        async with self._open_session() as session:
            self._allocations.listen()
            self._wanted.listen(self._urgent)
            self._states.open()
            self._tasks = [
                asyncio.create_task(self._follow_prices(session, self._sources.rtds_url, Rtds)),
                asyncio.create_task(self._weigh(session)),
            ]
            key = self._sources.polybolt_key
            if key is not None:
                following = self._follow_prices(session, self._sources.polybolt_url, lambda: PolyBolt(key))
                self._tasks.append(asyncio.create_task(following))
            self._process.ready()
            next_health_ns = next_beat_ns = next_marks_ns = 0
            while await self._process.tick():
                for task in self._tasks:
                    if task.done():
                        task.result()
                now = self._clock.now_ns()
                for allocation in self._allocations.take():
                    await self._watch(session, allocation)
                if now >= next_health_ns:
                    next_health_ns = now + ns(HEALTH_INTERVAL_S) // 2
                    self._publish_health(now)
                if now >= next_marks_ns:
                    next_marks_ns = now + ns(MARKS_INTERVAL_S)
                    self._publish_marks()
                if now >= next_beat_ns:
                    next_beat_ns = now + ns(BEAT_INTERVAL_S)
                    self._publish_beat(now)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._states.close()
        if self._journal is not None:
            self._journal.close()

    # --- books ----------------------------------------------------------------------------------

    async def _watch(self, session: aiohttp.ClientSession, allocation: Allocation) -> None:
        changes = self._books.watch(mandate.market for mandate in allocation.mandates)
        if changes:
            self._states.keep(self._books.markets)
        while len(self._shards) < self._books.shard_count:
            number = len(self._shards)
            self._shards.append(_Shard())
            self._tasks.append(asyncio.create_task(self._follow_books(session, number)))
        for number, change in changes.items():
            await self._change(number, change)

    async def _change(self, number: int, change: ShardChange) -> None:
        socket = self._shards[number].socket
        if socket is None:
            return
        try:
            if change.left:
                await socket.send(market_change("unsubscribe", change.left))
            if change.joined:
                await socket.send(market_change("subscribe", change.joined))
        except Retry as fault:
            log.warning("sentinel.feed.change_failed", reason=str(fault))

    async def _follow_books(self, session: aiohttp.ClientSession, number: int) -> None:
        attempt, shard = 0, self._shards[number]
        while True:
            socket = VenueSocket(session, self._sources.market_ws_url, self._settings, self._clock)
            try:
                subscribed = self._books.token_ids(number)
                await socket.connect(market_subscription(subscribed))
                shard.socket = socket
                # Markets may have come and gone while the connection was made.
                wanted = self._books.token_ids(number)
                await self._change(
                    number,
                    ShardChange(
                        joined=[token for token in wanted if token not in subscribed],
                        left=[token for token in subscribed if token not in wanted],
                    ),
                )
                async for frame in socket.frames():
                    attempt = 0
                    self._take_frame(number, frame)
            except Retry as fault:
                shard.socket = None
                self._lost(number, str(fault))
            await asyncio.sleep(backoff_s(self._settings, attempt, self._jitter.random()))
            attempt += 1

    def _take_frame(self, number: int, frame: bytes) -> None:
        now = self._clock.now_ns()
        self._counters["frames"] += 1
        self._last_frame_ns = now
        try:
            is_changed = self._books.apply(frame, now)
        except ValueError as fault:
            self._counters["bad_frames"] += 1
            log.warning("sentinel.frame.bad", reason=str(fault))
            return
        if not self._is_review_due:
            self._is_review_due = True
            self._review.hasten(REVIEW_INTERVAL_S)
        if is_changed and not self._is_due:
            # After the frames that have come with this one: under overload each is applied, the newest published.
            self._is_due = True
            self._loop.call_soon(self._publish_changed)
        if self._journal is not None:
            self._journal.append(now, number, frame)
        if not self._shards[number].is_live:
            self._shards[number].is_live, self._reason = True, None
            self._publish_health(now)

    def _publish_changed(self) -> None:
        self._is_due = False
        self._publish_states(self._books.changed(self._clock.now_ns()))
        if self._books.is_urgent:
            self._urgent.set()

    def _lost(self, number: int, reason: str) -> None:
        log.warning("sentinel.feed.lost", shard=number, reason=reason)
        self._counters["reconnects"] += 1
        self._shards[number].is_live, self._reason = False, reason
        self._publish_health(self._clock.now_ns())
        self._publish_states(self._books.disconnect(number))

    # --- doubts ---------------------------------------------------------------------------------

    async def _weigh(self, session: aiohttp.ClientSession) -> None:
        """Let doubts ripen, and ask the venue where they have."""
        asking: asyncio.Task[None] | None = None
        while True:
            self._review.set(self._calm_s())
            await self._urgent.wait()
            self._urgent.clear()
            self._is_review_due = False
            now = self._clock.now_ns()
            for wanted in self._wanted.take():
                self._books.want_snapshot(wanted.market, now)
            changed = self._books.review(now)
            self._counters["doubts"] += sum(state.integrity < 1 for state in changed)
            self._publish_states(changed)
            if asking is not None:
                if not asking.done():
                    continue
                asking.result()
                asking = None
            if markets := self._books.to_ask(now):
                asking = asyncio.create_task(self._ask(session, markets))

    def _calm_s(self) -> float:
        """How long nothing but a frame can change what is believed."""
        if self._books.has_doubts:
            return REVIEW_INTERVAL_S
        now = self._clock.now_ns()
        until_ns = self._books.next_silence_ns(now)
        if until_ns is None:
            return CALM_REVIEW_INTERVAL_S
        return min((until_ns - now + NS_PER_MS) / NS_PER_S, CALM_REVIEW_INTERVAL_S)

    async def _ask(self, session: aiohttp.ClientSession, markets: list[str]) -> None:
        """Ask for books by REST: what they show is believed, and a stream that missed it is subscribed anew."""
        self._counters["questions"] += 1
        tokens, losses = self._books.tokens_of(markets), self._books.losses
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
        headers = {"Content-Type": "application/json"}
        url = self._sources.rest_url + BOOKS_PATH
        try:
            async with session.post(
                url, data=books_question(tokens), headers=headers, timeout=timeout
            ) as answer:
                body = await answer.read()
                if answer.status != 200:
                    raise ValueError(f"status {answer.status}")
            if self._books.losses == losses:
                self._publish_states(self._books.apply_listing(body, markets, self._clock.now_ns()))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as fault:
            log.warning("sentinel.books.unanswered", markets=len(markets), reason=repr(fault))
            return
        await self._resubscribe(self._books.shards_of(self._books.deaf(self._clock.now_ns())))

    async def _resubscribe(self, deaf: dict[int, list[str]]) -> None:
        now = self._clock.now_ns()
        for number, shard in enumerate(self._shards):
            markets = deaf.get(number)
            if markets is None:
                shard.deaf_since_ns = None
            elif shard.deaf_since_ns is None:
                shard.deaf_since_ns = now
                log.warning("sentinel.stream.deaf", shard=number, markets=len(markets))
                self._counters["resubscriptions"] += 1
                tokens = self._books.tokens_of(markets)
                await self._change(number, ShardChange(joined=tokens, left=tokens))
            elif now - shard.deaf_since_ns >= RECONNECT_DEAF_NS and self._books.is_mostly_deaf(number, now):
                shard.deaf_since_ns = now
                if shard.socket is not None:
                    await shard.socket.close()

    # --- reference prices -----------------------------------------------------------------------

    async def _follow_prices(
        self, session: aiohttp.ClientSession, url: str, make_stream: Callable[[], PriceStream]
    ) -> None:
        dead_after_s = self._sources.prices_dead_after_s
        settings = msgspec.structs.replace(
            self._settings, ping_interval_s=dead_after_s / 2, dead_after_s=dead_after_s
        )
        attempt = 0
        while True:
            stream = make_stream()
            socket = VenueSocket(session, url, settings, self._clock, stream.ping)
            try:
                await socket.connect(stream.hello())
                async for frame in socket.frames():
                    heard = stream.hear(frame)
                    for answer in heard.answers:
                        await socket.send(answer)
                    if heard.lost:
                        log.warning("sentinel.prices.gap", url=url, frames=heard.lost)
                        self._counters["prices_lost"] += heard.lost
                    for tick in heard.ticks:
                        attempt = 0
                        self._take_tick(tick)
            except (Retry, WireFault) as fault:
                log.warning("sentinel.prices.lost", url=url, reason=str(fault))
            await asyncio.sleep(backoff_s(self._settings, attempt, self._jitter.random()))
            attempt += 1

    def _take_tick(self, tick: PriceTick) -> None:
        price = self._prices.take(tick, self._clock.now_ns())
        if price is not None:
            self._references.publish(price, f"{price.feed}/{price.underlying}/{price.source}")

    # --- what leaves ----------------------------------------------------------------------------

    @property
    def _is_live(self) -> bool:
        return any(shard.is_live for shard in self._shards)

    def _publish_states(self, states: list[BookState]) -> None:
        self._counters["states"] += len(states)
        for state in states:
            self._states.publish(state, state.market)
            self._unmarked[state.market] = state

    def _publish_marks(self) -> None:
        """The newest of every market that changed, for whoever only values positions by it."""
        for market, state in self._unmarked.items():
            self._marks.publish(state, f"{self._process.name}/{market}")
        self._unmarked.clear()

    def _publish_health(self, now: int) -> None:
        self._health.publish(
            FeedHealth(
                source=self._process.name,
                sent_ns=now,
                is_live=self._is_live,
                last_frame_ns=self._last_frame_ns,
                markets=self._books.count,
                reason=self._reason,
                doubtful=self._books.doubtful,
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
                counters=dict(self._counters) | self._books.counters,
            ),
            self._process.name,
        )
