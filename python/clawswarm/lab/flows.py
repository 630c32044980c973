"""Recordings as flows: what the venue meets, the fair value along the way, and how the market ended.

A book that was recorded without trades has synthetic takers; they are drawn anew from each seed, so that a
result does not hang on one draw. Recorded takers are left as they are. The fair value is the middle of the
recorded touch: it knows nothing of our own orders, so it is the same for every strategy.
"""

from bisect import bisect_left, bisect_right
from pathlib import Path
from random import Random

import msgspec

from clawswarm._core import Flow
from clawswarm.lab.rewards import RewardSample, draw_samples
from clawswarm.lab.synthetic import BTC_5M_FLOW, BTC_15M_FLOW, draw_takers, find_touches
from clawswarm.model.errors import UserFault
from clawswarm.model.units import PRICE_ONE_E4
from clawswarm.sandbox.recording import (
    LevelsChanged,
    RecordedEvent,
    RecordedMarket,
    ReferenceTick,
    TakerArrived,
    TickSizeChanged,
    read_recording,
)

NS_PER_MS = 1_000_000
FEWEST_LEVELS = 5
"""A recording with fewer levels a side does not show what stands behind the touch."""
_FIVE_MINUTES_MS = 300_000


class FairPath:
    """Fair value over time in half 1e-4 (bid + ask), so that it is an integer."""

    def __init__(self, times_ns: list[int], doubled_e4: list[int]) -> None:
        self._times_ns = times_ns
        self._doubled_e4 = doubled_e4

    def before(self, at_ns: int) -> int:
        """The value just before a time; the first one before everything."""
        return self._doubled_e4[max(0, bisect_left(self._times_ns, at_ns) - 1)]

    def at(self, at_ns: int) -> int:
        """The value from a time on."""
        return self._doubled_e4[max(0, bisect_right(self._times_ns, at_ns) - 1)]


class MarketFlow(msgspec.Struct, frozen=True):
    """One market ready to be replayed. `final_e4` is what a YES share was worth, None when unknown."""

    market: RecordedMarket
    flow: Flow
    fair: FairPath
    final_e4: int | None
    is_partial: bool
    takers: int
    samples: tuple[RewardSample, ...] = ()
    """When liquidity rewards are sampled, and what stood there."""


class Recording(msgspec.Struct, frozen=True):
    """One file, read once."""

    market: RecordedMarket
    events: list[RecordedEvent]

    @property
    def is_partial(self) -> bool:
        """Whether it shows too little of the book to know a queue behind the touch."""
        return self.market.depth_levels < FEWEST_LEVELS


def load_recording(path: Path, allow_partial: bool = False) -> Recording:
    """Read a recording. Raises UserFault when it is damaged, or partial and that was not allowed."""
    market, events = read_recording(path)
    recording = Recording(market, list(events))
    if recording.is_partial and not allow_partial:
        raise UserFault(
            f"{path} shows {market.depth_levels} level(s) a side: fills on it would flatter; "
            "leave it out, or pass --partial to run it marked"
        )
    return recording


def build_flow(recording: Recording, seed: int | None) -> MarketFlow:
    """Make the flow of one seed; None keeps the takers of the file."""
    market = recording.market
    events = recording.events if seed is None else with_takers_of(recording, seed)
    flow, takers = Flow(), 0
    for event in events:
        at_ns = event.at_ms * NS_PER_MS
        if isinstance(event, LevelsChanged):
            flow.levels(at_ns, list(event.changes))
        elif isinstance(event, TakerArrived):
            takers += 1
            flow.taker(at_ns, event.side, event.size_e6, event.limit_e4)
        elif isinstance(event, ReferenceTick):
            flow.reference(at_ns, event.value_e6)
        else:
            flow.tick(at_ns, event.tick_e4)
    final_e4 = {"YES": PRICE_ONE_E4, "NO": 0}.get(market.outcome or "")
    samples = draw_samples(events, market.duration_ms, Random(f"{seed}/{market.slug}/rewards"))
    return MarketFlow(market, flow, fair_path(recording), final_e4, recording.is_partial, takers, samples)


def with_takers_of(recording: Recording, seed: int) -> list[RecordedEvent]:
    """The events with synthetic takers drawn from this seed; recorded ones stay."""
    market, events = recording.market, recording.events
    if "takers" not in market.synthetic:
        return events
    kept = [event for event in events if not isinstance(event, TakerArrived)]
    path = [event for event in kept if isinstance(event, ReferenceTick)]
    terms = BTC_5M_FLOW if market.duration_ms <= _FIVE_MINUTES_MS else BTC_15M_FLOW
    touches = find_touches(kept, market.tick_e4)
    takers = draw_takers(touches, path, terms, Random(f"{seed}/{market.slug}/takers"))
    # Stable: at one instant the book comes first, as in the file.
    return sorted([*kept, *takers], key=lambda event: event.at_ms)


def fair_path(recording: Recording) -> FairPath:
    """The middle of the recorded touch over time; a side that nobody quotes counts as certain."""
    times_ns, doubled_e4 = [0], [PRICE_ONE_E4]
    levels = [e for e in recording.events if isinstance(e, LevelsChanged | TickSizeChanged)]
    for touch in find_touches(levels, recording.market.tick_e4):
        if touch.bid_e4 is None and touch.ask_e4 is None:
            continue
        bid_e4 = 0 if touch.bid_e4 is None else touch.bid_e4
        ask_e4 = PRICE_ONE_E4 if touch.ask_e4 is None else touch.ask_e4
        if bid_e4 + ask_e4 != doubled_e4[-1] or len(times_ns) == 1:
            times_ns.append(touch.at_ms * NS_PER_MS)
            doubled_e4.append(bid_e4 + ask_e4)
    return FairPath(times_ns, doubled_e4)
