"""Plays the recordings into the venue as time passes, and lets series and standing markets live.

`Stage` is the pure part: given the time it applies what is due. `run_pump` is the loop around it; when it is
late it catches up in small batches and lets the event loop answer requests in between. `play` does the same on
virtual time.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from clawswarm.model.errors import UserFault
from clawswarm.sandbox.exchange.events import Trade
from clawswarm.sandbox.participants import ReplayMaker, Taker, participant_account
from clawswarm.sandbox.prices.feeds import CoinFeeds, Report, SeededArrivals
from clawswarm.sandbox.prices.path import COINS, SeededPath
from clawswarm.sandbox.prices.recorded import read_feed
from clawswarm.sandbox.prices.ticker import PriceTicker
from clawswarm.sandbox.recording import (
    LevelsChanged,
    RecordedEvent,
    ReferenceTick,
    TakerArrived,
    TickSizeChanged,
)
from clawswarm.sandbox.scenario import Playback
from clawswarm.sandbox.series.conductor import Conductor, coin_symbols
from clawswarm.sandbox.series.standing import StandingMarkets
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.venue import Venue, earliest_ns

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_E18_PER_E6 = 10**12
_QUIET_RECHECK_NS = 20 * _NS_PER_MS
_BATCH = 20
_LONGEST_NAP_S = 0.02


class Clockwork(Protocol):
    """Something that acts by itself at times of its own."""

    def open(self, now_ns: int) -> None:
        """Begin."""

    def next_due_ns(self) -> int | None:
        """When `step` has something to do."""

    def step(self, now_ns: int) -> bool:
        """Do one thing that is due; False when none is."""


class Stage:
    """All playbacks with their participants, and the series and standing markets that need no recording.

    Without streams no price is published, as when nobody listens: what settles is read from its source anyway.
    """

    def __init__(self, venue: Venue, playbacks: list[Playback], *, has_streams: bool = True) -> None:
        settings = venue.settings
        self.feeds: dict[str, CoinFeeds] = {}
        self.conductor = Conductor(venue, self.feeds, crowd_interval_ms=settings.crowd_interval_ms)
        self._standing = StandingMarkets(venue)
        streams = (PriceTicker(venue.prices, self.feeds),) if has_streams else ()
        self._clockworks: tuple[Clockwork, ...] = (self.conductor, self._standing, *streams)
        exchange = venue.exchange
        replay, taker = (participant_account(exchange, name) for name in ("replay", "taker"))
        self._venue = venue
        self._playbacks = playbacks
        self._makers = {p.market.condition_id: ReplayMaker(exchange, p.market, replay) for p in playbacks}
        self._takers = {p.market.condition_id: Taker(exchange, p.market, taker) for p in playbacks}
        venue.on_trade = self._note_trade

    def open(self, now_ns: int) -> None:
        """List every market with its book at the starting point."""
        settings = self._venue.settings
        for playback in self._playbacks:
            market = playback.market
            started = playback.start(round(settings.start_at_s * 1000), settings.speed, now_ns)
            market.tick_e4 = started.tick_e4
            market.end_ms = playback.end_ns() // _NS_PER_MS
            self._venue.publish(self._venue.exchange.list_market(market, now_ns))
            self._apply(playback, started.levels, now_ns)
            if started.reference is not None:
                self._apply(playback, started.reference, now_ns)
        self.feeds.update(open_feeds(settings, now_ns // _NS_PER_S))
        for clockwork in self._clockworks:
            clockwork.open(now_ns)

    def next_due_ns(self) -> int | None:
        """When `step` has something to do."""
        return earliest_ns(
            self._earliest()[0],
            self._venue.next_due_ns(),
            *[clockwork.next_due_ns() for clockwork in self._clockworks],
        )

    def step(self, now_ns: int) -> bool:
        """Apply the earliest due recorded event, or a due step of a clockwork; False when none is due."""
        due, playback = self._earliest()
        if due is None or playback is None or due > now_ns:
            return any(clockwork.step(now_ns) for clockwork in self._clockworks)
        quiet_until = self._venue.faults.quiet_until_ns(playback.market.condition_id)
        if quiet_until > now_ns:
            # Asked again soon, since the fault may be lifted early.
            playback.delay(min(quiet_until, now_ns + _QUIET_RECHECK_NS) - due)
            playback.market.end_ms = playback.end_ns() // _NS_PER_MS
            return True
        event = playback.pop()
        if event is None:
            exchange = self._venue.exchange
            self._venue.publish(exchange.close_market(playback.market, playback.recorded.outcome, now_ns))
        else:
            self._apply(playback, event, now_ns)
        return True

    def _apply(self, playback: Playback, event: RecordedEvent, now_ns: int) -> None:
        venue, market = self._venue, playback.market
        if isinstance(event, LevelsChanged):
            venue.publish(self._makers[market.condition_id].follow(event.changes, now_ns))
        elif isinstance(event, ReferenceTick):
            at_s, value_e18 = now_ns // _NS_PER_S, event.value_e6 * _E18_PER_E6
            symbol = market.underlying.lower()
            venue.prices.publish(Report("chainlink", symbol, at_s, value_e18, now_ns // _NS_PER_MS))
        elif isinstance(event, TickSizeChanged):
            venue.publish(venue.exchange.change_tick(market, event.tick_e4, now_ns))
        elif isinstance(event, TakerArrived) and venue.settings.takers:
            taker = self._takers[market.condition_id]
            venue.publish(taker.take(event.side, event.size_e6, event.limit_e4, now_ns))

    def _earliest(self) -> tuple[int | None, Playback | None]:
        earliest: tuple[int | None, Playback | None] = (None, None)
        for playback in self._playbacks:
            due = playback.due_ns()
            if due is not None and (earliest[0] is None or due < earliest[0]):
                earliest = (due, playback)
        return earliest

    def _note_trade(self, trade: Trade) -> None:
        condition_id = trade.market.condition_id
        maker = self._makers.get(condition_id)
        if maker is None:
            crowd = self.conductor.crowd(condition_id) or self._standing.crowd(condition_id)
            maker = None if crowd is None else crowd.maker
        if maker is not None:
            maker.note_trade(trade)


def open_feeds(settings: SandboxSettings, start_s: int) -> dict[str, CoinFeeds]:
    """Feeds of every coin that has a series: from its recording where there is one, else from the seed.

    Raises UserFault when a recording cannot be read or is of a coin without a series.
    """
    symbols = coin_symbols(settings)
    for symbol in settings.price_recordings:
        if symbol not in symbols:
            raise UserFault(
                f"sandbox.price_recordings has {symbol!r}, and no series of sandbox.series is on it"
            )
    feeds = {}
    for symbol in symbols:
        recording = settings.price_recordings.get(symbol)
        if recording is not None:
            recorded = read_feed(Path(recording), start_s)
            feeds[symbol] = CoinFeeds(symbol, recorded, recorded)
        else:
            arrivals = SeededArrivals(settings.seed, symbol, has_gaps=settings.price_gaps)
            feeds[symbol] = CoinFeeds(symbol, SeededPath(settings.seed, COINS[symbol]), arrivals)
    return feeds


def play(stage: Stage, venue: Venue, until_ns: int) -> None:
    """Let everything happen that is due until a time, each at its own: virtual time, without an event loop."""
    at_ns = 0
    while (due := stage.next_due_ns()) is not None and due <= until_ns:
        at_ns = max(at_ns, due)
        venue.advance(at_ns)
        while stage.step(at_ns):
            pass


async def run_pump(stage: Stage, venue: Venue, now_ns: Callable[[], int], stop: asyncio.Event) -> None:
    """Keep the stage and the venue's own clockwork up to date until `stop`."""
    while not stop.is_set():
        now = now_ns()
        venue.advance(now)
        if all(stage.step(now) for _ in range(_BATCH)):
            await asyncio.sleep(0)
            continue
        due = stage.next_due_ns()
        nap_s = _LONGEST_NAP_S if due is None else min(_LONGEST_NAP_S, max(0, (due - now_ns()) / _NS_PER_S))
        await asyncio.sleep(nap_s)
