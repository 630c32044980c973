"""Books that a benchmark's venue replays: 99 quiet levels a market, whose best bid changes at a rate.

With moves the touch itself walks: the best bid steps by a cent or two between 0.40 and 0.58, and quotes follow.
"""

from pathlib import Path
from random import Random

import msgspec

from clawswarm.sandbox.recording import LevelsChanged, RecordedMarket, write_recording

TICK_E4, MIN_SIZE_E6 = 100, 5_000_000
_LEVEL_E6 = 1_000_000_000
_DAY_MS, _MS_PER_S = 86_400_000, 1_000
_LASTS_S = 600
_LOWEST_E4, _HIGHEST_E4 = 4_000, 5_800


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """Changes a second of one market; in the last second of every `burst_every_s` so many instead."""

    per_s: int = 0
    burst_per_s: int = 0
    burst_every_s: int | None = None
    move_every_s: float = 0.5

    def at_ms(self) -> list[int]:
        """When the changes come, over ten minutes."""
        found = []
        for second in range(_LASTS_S):
            is_burst = self.burst_every_s is not None and (second + 1) % self.burst_every_s == 0
            count = self.burst_per_s if is_burst else self.per_s
            found += [second * _MS_PER_S + (number + 1) * _MS_PER_S // count for number in range(count)]
        return found


def record(path: Path, flow: Flow, seed: int | None) -> None:
    """Write one market; with a seed its touch moves, at times of its own."""
    bid_e4 = 4_800
    events = [LevelsChanged(at_ms=0, changes=_levels(bid_e4, range(TICK_E4, 10_000, TICK_E4)))]
    rng = Random(seed)
    move_ms = rng.random() * flow.move_every_s * _MS_PER_S
    for number, at_ms in enumerate(flow.at_ms()):
        size_e6 = _LEVEL_E6 + (number % 2 + 1) * 1_000_000
        changes: tuple[tuple[int, int, int], ...] = ((0, bid_e4, size_e6),)
        if seed is not None and at_ms >= move_ms:
            move_ms += flow.move_every_s * _MS_PER_S
            step_e4 = rng.choice((-2, -1, 1, 2)) * TICK_E4
            if not _LOWEST_E4 <= bid_e4 + step_e4 <= _HIGHEST_E4:
                step_e4 = -step_e4
            low_e4, bid_e4 = min(bid_e4, bid_e4 + step_e4), bid_e4 + step_e4
            changes = _levels(bid_e4, range(low_e4, low_e4 + abs(step_e4) + 2 * TICK_E4, TICK_E4))
        events.append(LevelsChanged(at_ms=at_ms, changes=changes))
    write_market(path, events)


def write_market(path: Path, events: list[LevelsChanged]) -> None:
    """A recording of one market in whole cents that may last a day."""
    market = RecordedMarket(
        slug=path.stem,
        underlying="BTC",
        question=path.stem,
        tick_e4=TICK_E4,
        min_size_e6=MIN_SIZE_E6,
        duration_ms=_DAY_MS,
        outcome=None,
        era="V2",
        depth_levels=99,
        provenance="made by the benchmark",
        synthetic=(),
        seed=1,
    )
    write_recording(path, market, events)


def _levels(bid_e4: int, prices: range) -> tuple[tuple[int, int, int], ...]:
    """What stands at these prices on both sides when this is the best bid: the spread is two cents."""
    bids = tuple((0, price, _LEVEL_E6 if price <= bid_e4 else 0) for price in prices)
    asks = tuple((1, price, _LEVEL_E6 if price >= bid_e4 + 2 * TICK_E4 else 0) for price in prices)
    return tuple(change for change in bids + asks if change[2] or len(prices) < 50)
