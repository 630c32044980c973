"""A whole simulated BTC 5-minute market: reference, rival makers, informed and noise takers. Pure and seeded.

Out: a `RecordedMarket` and its events, so that it is played, stored and compared like a recording; everything in
it is synthetic and says so.

- **Reference**: a random walk with fat tails (normal steps, now and then a jump). Fair value is the digital
  option on it, P = Φ((S − K) / (σ K √τ)); its last tick settles.
- **Rivals** see fair value `rival_lag_ms` late. They pull a level that fair value has passed, improve where the
  spread is wide, and otherwise join, cancel and flicker, mostly at the touch. Sizes and places are drawn from the
  recorded order flow; a level that is larger than usual shrinks more often than it grows.
- **Takers** arrive log-normally spaced (clustered, as recorded). An informed one follows the reference with
  `informed_lag_ms` and comes only when fair value then is beyond the touch; the others pick a side by chance.

The values of `FROZEN` were set once against recorded-data.md and are not touched when a strategy is tuned.
`claw lab calibrate` shows every figure beside the recorded one.
"""

from bisect import bisect_right
from collections.abc import Iterator
from math import exp, sqrt
from random import Random
from statistics import NormalDist
from typing import Literal

import msgspec

from clawswarm.lab.synthetic import VOLATILITY_PER_ROOT_SECOND, draw_size_e6
from clawswarm.model.units import MICRO, PRICE_ONE_E4
from clawswarm.sandbox.recording import (
    LevelsChanged,
    RecordedEvent,
    RecordedMarket,
    ReferenceTick,
    TakerArrived,
)

TICK_E4 = 100
LEVELS = PRICE_ONE_E4 // TICK_E4
_REFERENCE_MS = 100
_SHORTEST_TO_CLOSE_S = 2.0
_BID, _ASK = 0, 1
_SHARE = MICRO
_EXACT_CHANGES = (
    (0.165, 5),
    (0.11, 10),
    (0.04, 15),
    (0.04, 20),
    (0.04, 12),
    (0.04, 30),
    (0.07, 2),
    (0.009, 350),
)


class ParticipantTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How everybody behaves."""

    changes_per_s: float = 502.0
    touch_share: float = 0.62
    """Of the changes, at the touch; those inside it come on top."""
    near_share: float = 0.06
    flicker_share: float = 0.05
    usual_touch_shares: float = 45.0
    usual_level_shares: float = 800.0
    pull_toward: float = 0.15
    """How strongly a level's size is drawn to its usual one."""
    withdraw_share: float = 0.07
    """How often a change meets a thin touch by withdrawing all of it: the flicker of those who improved."""
    thin_shares: float = 60.0
    improve_share: float = 0.09
    """Of the changes while the spread is wide, how many narrow it."""
    rival_lag_ms: int = 150
    pull_margin_ticks: float = 0.9
    """How far fair value must have passed a level before rivals pull it."""
    taker_gap_ms: float = 38.0
    taker_gap_deviation: float = 1.27
    informed_share: float = 0.25
    informed_lag_ms: int = 60
    jump_share: float = 0.01
    jump_size: float = 6.0


FROZEN = ParticipantTerms()


class SimulatedMarket(msgspec.Struct, frozen=True):
    """What a recording holds."""

    market: RecordedMarket
    events: list[RecordedEvent]


class _Book:
    """Aggregate sizes by tick; the best of each side is kept."""

    def __init__(self) -> None:
        self.sizes: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def best(self, side: int) -> int:
        levels = self.sizes[side]
        return max(levels, default=0) if side == _BID else min(levels, default=LEVELS)

    def set(self, side: int, tick: int, size_e6: int) -> tuple[int, int, int]:
        if size_e6:
            self.sizes[side][tick] = size_e6
        else:
            self.sizes[side].pop(tick, None)
        return side, tick * TICK_E4, size_e6


def simulate_market(seed: int, duration_ms: int, terms: ParticipantTerms = FROZEN) -> SimulatedMarket:
    """Draw one market; the same arguments give the same events."""
    rng = Random(f"{seed}/participants")
    path = _draw_reference(duration_ms, terms, rng)
    events = list(_draw_events(path, duration_ms, terms, rng))
    outcome: Literal["YES", "NO"] = "YES" if path[-1].value_e6 >= path[0].value_e6 else "NO"
    market = RecordedMarket(
        slug=f"sim-updown-5m-{seed}",
        underlying="SIM",
        question="Simulated: up or down?",
        tick_e4=TICK_E4,
        min_size_e6=5 * _SHARE,
        duration_ms=duration_ms,
        outcome=outcome,
        era="V2",
        depth_levels=LEVELS - 1,
        provenance="simulated by clawswarm/lab/participants.py",
        synthetic=("book", "reference", "takers"),
        seed=seed,
    )
    return SimulatedMarket(market, sorted([*path, *events], key=lambda event: event.at_ms))


def _draw_reference(duration_ms: int, terms: ParticipantTerms, rng: Random) -> list[ReferenceTick]:
    usd = strike = 65_000.0
    # Jumps add to the variance; the step is cut so that a second keeps the measured deviation.
    inflation = sqrt(1.0 + terms.jump_share * (terms.jump_size**2 - 1.0))
    step = VOLATILITY_PER_ROOT_SECOND * strike * sqrt(_REFERENCE_MS / 1_000) / inflation
    path = [ReferenceTick(0, round(usd * MICRO), is_synthetic=True)]
    for at_ms in range(_REFERENCE_MS, duration_ms + 1, _REFERENCE_MS):
        usd += rng.gauss(0.0, step * (terms.jump_size if rng.random() < terms.jump_share else 1.0))
        path.append(ReferenceTick(at_ms, round(usd * MICRO), is_synthetic=True))
    return path


def _fair_ticks(path: list[ReferenceTick], at_ms: int, duration_ms: int) -> float:
    """Fair value in ticks as the reference at a time says."""
    tick = path[max(0, bisect_right(path, at_ms, key=lambda tick: tick.at_ms) - 1)]
    to_close_s = max((duration_ms - max(at_ms, 0)) / 1_000, _SHORTEST_TO_CLOSE_S)
    deviation = VOLATILITY_PER_ROOT_SECOND * path[0].value_e6 * sqrt(to_close_s)
    return NormalDist().cdf((tick.value_e6 - path[0].value_e6) / deviation) * LEVELS


def _draw_events(
    path: list[ReferenceTick], duration_ms: int, terms: ParticipantTerms, rng: Random
) -> Iterator[RecordedEvent]:
    book = _Book()
    yield _opening(book, terms, rng)
    next_change_ms = rng.expovariate(terms.changes_per_s / 1_000)
    next_taker_ms = _gap_ms(terms, rng)
    while (now_ms := min(next_change_ms, next_taker_ms)) < duration_ms:
        at_ms = int(now_ms)
        if next_taker_ms <= next_change_ms:
            next_taker_ms += _gap_ms(terms, rng)
            yield from _take(
                book, _fair_ticks(path, at_ms - terms.informed_lag_ms, duration_ms), at_ms, terms, rng
            )
        else:
            next_change_ms += rng.expovariate(terms.changes_per_s / 1_000)
            view = _fair_ticks(path, at_ms - terms.rival_lag_ms, duration_ms)
            change = _change(book, min(max(view, 1.5), LEVELS - 1.5), terms, rng)
            yield LevelsChanged(at_ms, (change,))


def _opening(book: _Book, terms: ParticipantTerms, rng: Random) -> LevelsChanged:
    middle = LEVELS // 2
    changes = []
    for tick in range(1, LEVELS):
        usual = terms.usual_touch_shares if tick in (middle - 1, middle) else terms.usual_level_shares
        size_e6 = round(usual * rng.uniform(0.5, 1.5)) * _SHARE
        changes.append(book.set(_BID if tick < middle else _ASK, tick, size_e6))
    return LevelsChanged(0, tuple(changes))


def _change(book: _Book, view: float, terms: ParticipantTerms, rng: Random) -> tuple[int, int, int]:
    """One change by a rival."""
    bid, ask = book.best(_BID), book.best(_ASK)
    if ask < view - terms.pull_margin_ticks:
        return book.set(_ASK, ask, 0)
    if bid > view + terms.pull_margin_ticks:
        return book.set(_BID, bid, 0)
    if ask - bid > 1 and rng.random() < terms.improve_share:
        middle = (bid + ask) / 2
        side, tick = (_BID, bid + 1) if view > middle else (_ASK, ask - 1)
        return book.set(side, tick, _draw_change_e6(rng))
    side = rng.choice((_BID, _ASK))
    chance = rng.random()
    if chance < terms.flicker_share:
        tick = 1 if side == _BID else LEVELS - 1
        now_e6 = book.sizes[side].get(tick, 0)
        step = 5 * _SHARE
        return book.set(side, tick, max(now_e6 + rng.choice((-step, step)), step))
    chance -= terms.flicker_share
    best = bid if side == _BID else ask
    is_thin = 0 < book.sizes[side].get(best, 0) < terms.thin_shares * _SHARE
    if is_thin and rng.random() < terms.withdraw_share:
        return book.set(side, best, 0)
    away, usual = 0, terms.usual_touch_shares
    if chance >= terms.touch_share:
        usual = terms.usual_level_shares
        away = rng.randint(1, 2) if chance < terms.touch_share + terms.near_share else rng.randint(3, 40)
    tick = best - away if side == _BID else best + away
    tick = min(max(tick, 1), LEVELS - 1)
    now_e6, size_e6 = book.sizes[side].get(tick, 0), _draw_change_e6(rng)
    surplus = max(-1.0, min(1.0, now_e6 / (usual * _SHARE) - 1.0))
    is_add = rng.random() < 0.5 - terms.pull_toward * surplus
    # A level is left by pulling it, never by one small order leaving.
    return book.set(side, tick, now_e6 + size_e6 if is_add or now_e6 <= size_e6 else now_e6 - size_e6)


def _draw_change_e6(rng: Random) -> int:
    """Size of one order placed or cancelled: the commonest exact sizes, a few large ones, the rest log-normal."""
    chance = rng.random()
    for share, shares in _EXACT_CHANGES:
        if chance < share:
            return shares * _SHARE
        chance -= share
    return max(1, round(exp(rng.gauss(3.0, 0.75)))) * _SHARE


def _gap_ms(terms: ParticipantTerms, rng: Random) -> float:
    return terms.taker_gap_ms * exp(rng.gauss(0.0, terms.taker_gap_deviation))


def _take(
    book: _Book, fair: float, at_ms: int, terms: ParticipantTerms, rng: Random
) -> Iterator[RecordedEvent]:
    """One taker and what is left of the levels he met."""
    bid, ask = book.best(_BID), book.best(_ASK)
    is_buy = rng.random() < 0.5
    if rng.random() < terms.informed_share and not bid - 0.5 < fair < ask + 0.5:
        is_buy = fair > ask
    maker_side, size_e6 = (_ASK if is_buy else _BID), draw_size_e6(rng)
    best, through = (ask if is_buy else bid), rng.randint(0, 2)
    limit = min(max(best + through if is_buy else best - through, 1), LEVELS - 1)
    if not book.sizes[maker_side]:
        return
    yield TakerArrived(at_ms, "BUY" if is_buy else "SELL", size_e6, limit * TICK_E4, is_synthetic=True)
    changes, left_e6 = [], size_e6
    step = 1 if is_buy else -1
    for tick in range(best, limit + step, step):
        there_e6 = book.sizes[maker_side].get(tick, 0)
        taken_e6 = min(there_e6, left_e6)
        if taken_e6:
            changes.append(book.set(maker_side, tick, there_e6 - taken_e6))
            left_e6 -= taken_e6
    if changes:
        yield LevelsChanged(at_ms, tuple(changes))
