"""Synthetic streams for recordings that lack them: a reference price and takers. Pure and seeded.

In: the touches of a recorded book, the outcome, a seeded `random.Random`. Out: events marked synthetic.

**Reference.** No recording whose licence lets us ship it holds a price of the underlying, so one is
drawn that agrees with the recorded book. An Up/Down market is a digital option, P = Φ(d) with
d = (S − K) / (σ K √τ) (Black and Scholes without drift), K the opening price and τ the seconds to
close, so S = K + Φ⁻¹(mid) σ K √τ. The mid is taken some 300 ms ahead, so the reference leads the book
and a taker who follows it is informed. A mid near 0 or 1 bounds S from one side only; there S walks
freely beyond the bound. The first tick is the strike K and the last one settles: S ≥ K iff YES.

**Takers.** Arrivals in two states, quiet and burst (a Markov-modulated Poisson process). Sizes follow
the measured trades of BTC 5m markets (V2): median 6.7 to 8.3 shares, p95 77 to 100, mean 20 to 25, 13 %
exactly 5 and 5 % exactly 10. A share of takers knows the reference's next move, the rest is noise.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import sqrt
from random import Random
from statistics import NormalDist, fmean

import msgspec

from clawswarm.model.units import MICRO, PRICE_ONE_E4
from clawswarm.sandbox.recording import (
    LevelsChanged,
    RecordedEvent,
    ReferenceTick,
    TakerArrived,
    TickSizeChanged,
)

REFERENCE_INTERVAL_MS = 200
LEAD_MS = 300
"""How far the reference leads the recorded mid, on average over the smoothing window."""
VOLATILITY_PER_ROOT_SECOND = 0.42e-4
"""Standard deviation of the underlying's return over one second: the measured median of
|final − strike| of BTC 5m windows, 32 USD at 65,000 USD, is 0.674 standard deviations of 300 s."""

_START_USD = (64_500.0, 65_500.0)
_SMOOTHING_MS = range(-400, 401, 100)
# A book shows where it stands against the strike a moment after the open, not at it.
_OPENING_MS = 3_000
# Below this time to close √τ would squeeze every mid onto the strike.
_SHORTEST_TO_CLOSE_S = 2.0
_PINNED = 0.03
_SETTLING_MS = 1_000
_SETTLING_USD = 1.0
_NOISE_USD = 0.2
_CENTS = 100

_SMALLEST_SHARES = 1.0
_LARGEST_SHARES = 2_500.0
# Together with the exact sizes this gives a median near 7 shares and a p95 near 85.
_LOG_MEDIAN_SHARES, _LOG_DEVIATION = 2.12, 1.5
_EXACT_SHARES = ((0.13, 5.0), (0.05, 10.0))
_MOST_TICKS_THROUGH = 3


class Touch(msgspec.Struct, frozen=True):
    """Best prices of a recorded book from `at_ms` on; None where a side is empty."""

    at_ms: int
    bid_e4: int | None
    ask_e4: int | None
    tick_e4: int

    def probability(self) -> float | None:
        """The mid as a probability; a side that nobody quotes counts as certain."""
        if self.bid_e4 is None and self.ask_e4 is None:
            return None
        bid_e4 = 0 if self.bid_e4 is None else self.bid_e4
        ask_e4 = PRICE_ONE_E4 if self.ask_e4 is None else self.ask_e4
        return (bid_e4 + ask_e4) / (2 * PRICE_ONE_E4)


class TakerFlow(msgspec.Struct, frozen=True):
    """How takers arrive; the rates and times of the two states give the mean rate."""

    quiet_per_s: float = 2.0
    burst_per_s: float = 25.0
    quiet_s: float = 3.6
    """Mean time in the state."""
    burst_s: float = 1.0
    informed_share: float = 0.25
    horizon_ms: int = 1_000
    """How far an informed taker sees."""
    worthwhile_usd: float = 1.0
    """A smaller move of the reference is nothing to trade on: the taker is noise."""


BTC_5M_FLOW = TakerFlow()
"""7.0 trades a second on average, as published for a whole day of BTC 5m markets."""
BTC_15M_FLOW = TakerFlow(quiet_per_s=1.0, burst_per_s=12.5)
"""Half of it: an assumption, no rate of 15m markets was measured."""


def find_touches(events: Iterable[RecordedEvent], tick_e4: int) -> list[Touch]:
    """Follow the book through the events of a recording; one touch for each of its changes."""
    sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
    touches: list[Touch] = []
    for event in events:
        if isinstance(event, TickSizeChanged):
            tick_e4 = event.tick_e4
        elif isinstance(event, LevelsChanged):
            for side, price_e4, size_e6 in event.changes:
                if size_e6:
                    sides[side][price_e4] = size_e6
                else:
                    sides[side].pop(price_e4, None)
            bids, asks = sides
            touches.append(Touch(event.at_ms, max(bids, default=None), min(asks, default=None), tick_e4))
    return touches


def draw_reference(
    touches: Sequence[Touch], outcome: str | None, duration_ms: int, rng: Random
) -> list[ReferenceTick]:
    """Draw a 5 Hz path of the underlying that agrees with the recorded book and its outcome.

    The first tick, at 0, is the strike; the last one, at `duration_ms`, settles the market.
    """
    times_ms = [touch.at_ms for touch in touches]
    probabilities = _carry_forward(touches)
    strike_usd = round(rng.uniform(*_START_USD), 2)
    ticks = [_reference_tick(0, strike_usd)]
    offset_usd = 0.0
    for at_ms in [*range(REFERENCE_INTERVAL_MS, duration_ms, REFERENCE_INTERVAL_MS), duration_ms]:
        seen_ms = [at_ms + LEAD_MS + shift_ms for shift_ms in _SMOOTHING_MS]
        probability = fmean(probabilities[bisect_right(times_ms, seen)] for seen in seen_ms)
        to_close_s = max((duration_ms - at_ms) / 1_000, _SHORTEST_TO_CLOSE_S)
        deviation_usd = VOLATILITY_PER_ROOT_SECOND * strike_usd * sqrt(to_close_s)
        step_usd = VOLATILITY_PER_ROOT_SECOND * strike_usd * sqrt(REFERENCE_INTERVAL_MS / 1_000)
        walked_usd = offset_usd + rng.gauss(0.0, step_usd)
        offset_usd = _invert_digital(probability, deviation_usd, walked_usd)
        shown_usd = offset_usd * min(1.0, at_ms / _OPENING_MS) + rng.gauss(0.0, _NOISE_USD)
        if duration_ms - at_ms <= _SETTLING_MS:
            shown_usd = _settle(shown_usd, outcome)
        ticks.append(_reference_tick(at_ms, strike_usd + shown_usd))
    return ticks


def draw_takers(
    touches: Sequence[Touch], path: Sequence[ReferenceTick], flow: TakerFlow, rng: Random
) -> list[TakerArrived]:
    """Draw the takers of one market over the length of the reference path.

    Limits lie one to three ticks through the recorded touch; nobody arrives at an empty side.
    """
    times_ms = [touch.at_ms for touch in touches]
    takers: list[TakerArrived] = []
    for at_ms in _draw_arrivals(flow, path[-1].at_ms, rng):
        side = _draw_side(path, at_ms, flow, rng)
        size_e6 = draw_size_e6(rng)
        ticks_through = rng.randint(1, _MOST_TICKS_THROUGH)
        position = bisect_right(times_ms, at_ms) - 1
        limit_e4 = _limit_e4(touches[position], side, ticks_through) if position >= 0 else None
        if limit_e4 is not None:
            takers.append(TakerArrived(at_ms, side, size_e6, limit_e4, is_synthetic=True))
    return takers


def _carry_forward(touches: Sequence[Touch]) -> list[float]:
    """One probability more than touches: the first stands before any book was seen."""
    known = 0.5
    carried = [known]
    for touch in touches:
        probability = touch.probability()
        known = known if probability is None else probability
        carried.append(known)
    return carried


def _invert_digital(probability: float, deviation_usd: float, walked_usd: float) -> float:
    bounded = min(max(probability, _PINNED), 1.0 - _PINNED)
    offset_usd = NormalDist().inv_cdf(bounded) * deviation_usd
    if bounded == probability:
        return offset_usd
    return max(offset_usd, walked_usd) if offset_usd > 0.0 else min(offset_usd, walked_usd)


def _settle(offset_usd: float, outcome: str | None) -> float:
    if outcome == "YES":
        return max(offset_usd, _SETTLING_USD)
    if outcome == "NO":
        return min(offset_usd, -_SETTLING_USD)
    return offset_usd


def _reference_tick(at_ms: int, usd: float) -> ReferenceTick:
    return ReferenceTick(at_ms, round(usd * _CENTS) * (MICRO // _CENTS), is_synthetic=True)


def _draw_arrivals(flow: TakerFlow, duration_ms: int, rng: Random) -> list[int]:
    states = ((flow.quiet_per_s, flow.quiet_s), (flow.burst_per_s, flow.burst_s))
    arrivals: list[int] = []
    now_s, end_s, state = 0.0, duration_ms / 1_000, 0
    while now_s < end_s:
        rate_per_s, mean_s = states[state]
        state_end_s = min(now_s + rng.expovariate(1.0 / mean_s), end_s)
        while (now_s := now_s + rng.expovariate(rate_per_s)) < state_end_s:
            arrivals.append(int(now_s * 1_000))
        now_s, state = state_end_s, 1 - state
    return arrivals


def _draw_side(path: Sequence[ReferenceTick], at_ms: int, flow: TakerFlow, rng: Random) -> str:
    is_informed, is_buyer = rng.random() < flow.informed_share, rng.random() < 0.5
    move_e6 = _value_e6(path, at_ms + flow.horizon_ms) - _value_e6(path, at_ms)
    if is_informed and abs(move_e6) >= flow.worthwhile_usd * MICRO:
        is_buyer = move_e6 > 0
    return "BUY" if is_buyer else "SELL"


def _value_e6(path: Sequence[ReferenceTick], at_ms: int) -> int:
    return path[bisect_right(path, at_ms, key=lambda tick: tick.at_ms) - 1].value_e6


def draw_size_e6(rng: Random) -> int:
    """Size of one trade, as measured on BTC 5m markets."""
    chance = rng.random()
    for share, shares in _EXACT_SHARES:
        if chance < share:
            return int(shares) * MICRO
        chance -= share
    shares = min(
        max(rng.lognormvariate(_LOG_MEDIAN_SHARES, _LOG_DEVIATION), _SMALLEST_SHARES), _LARGEST_SHARES
    )
    return round(shares * _CENTS) * (MICRO // _CENTS)


def _limit_e4(touch: Touch, side: str, ticks_through: int) -> int | None:
    reach_e4 = ticks_through * touch.tick_e4
    if side == "BUY":
        return None if touch.ask_e4 is None else min(touch.ask_e4 + reach_e4, PRICE_ONE_E4 - touch.tick_e4)
    return None if touch.bid_e4 is None else max(touch.bid_e4 - reach_e4, touch.tick_e4)
