"""What each source says of a coin, second by second: Binance, Chainlink, its time-weighted averages, Pyth. Pure.

As recorded (recorded-data.md): Binance comes every second and stands some basis points above Chainlink; Chainlink
and its averages miss 5 to 7 % of seconds and sometimes minutes, and are published more than a second late.
Values are integers in 1e-18 USD, as Chainlink's reports are. `Oracle` is what settlement reads: it has no gaps.
"""

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from clawswarm.model.units import MICRO
from clawswarm.sandbox.prices.path import hash_unit

ONE_USD_E18 = 10**18
Source = Literal["binance", "chainlink", "twap30", "twap60", "pyth"]
SOURCES: tuple[Source, ...] = ("binance", "chainlink", "twap30", "twap60", "pyth")
WINDOWS_S: dict[str, int] = {"twap30": 30, "twap60": 60}

# (p0, p5, p50, p95, p100) of the time from a report's second to its arrival, in ms.
_DELAYS_MS: dict[Source, tuple[int, int, int, int, int]] = {
    "binance": (200, 250, 350, 480, 900),
    "chainlink": (800, 1_200, 1_650, 2_300, 3_000),
    "twap30": (900, 1_300, 1_800, 2_400, 3_200),
    "twap60": (900, 1_300, 1_800, 2_400, 3_200),
    "pyth": (150, 200, 300, 500, 900),
}
_QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
_MISSED_SHARE = 0.06
_BASIS_E4: dict[str, int] = {"binance": 4, "pyth": 1}
_REMEMBERED_SUMS = 8
GAPLESS = ("binance", "pyth")
# About one gap of up to 387 s in six hours, as on 2026-07-24.
_GAP_BLOCK_S, _GAP_SHARE, _LONGEST_GAP_S = 3_600, 1 / 6, 387


class Report(msgspec.Struct, frozen=True):
    """One price of one source: the second it is of, its value, and when it arrives."""

    source: Source
    symbol: str
    at_s: int
    value_e18: int
    published_ms: int


Oracle = Callable[[int], int]
"""Second → Chainlink's value in 1e-18 USD, gap-free."""


def twap_e18(oracle: Oracle, end_s: int, window_s: int) -> int:
    """Mean of the values in force during the `window_s` seconds before a second; 0 is the value at it.

    The live service averages reports finer than a second: two recorded windows agree within 6 USD.
    """
    if window_s == 0:
        return oracle(end_s)
    return sum(oracle(second) for second in range(end_s - window_s, end_s)) // window_s


class PricePath(Protocol):
    """Chainlink's price of a coin at any second."""

    def value_e18(self, at_s: int) -> int:
        """Value in force at a second, in 1e-18 USD."""
        ...


class Arrivals(Protocol):
    """Which seconds of a source arrive, and how late."""

    def delay_ms(self, source: Source, at_s: int) -> int | None:
        """From the report's second to its arrival; None when the stream misses it."""
        ...


class CoinFeeds:
    """All sources of one coin over one path."""

    def __init__(self, symbol: str, path: PricePath, arrivals: Arrivals) -> None:
        self.symbol = symbol
        self._path = path
        self._arrivals = arrivals
        self._sums: dict[tuple[int, int], int] = {}
        self._jumps: list[tuple[int, int]] = []

    def jump(self, share_e6: int, at_s: int) -> None:
        """From a second that is still to come on, every price stands so many millionths higher, or lower."""
        self._jumps.append((at_s, share_e6))

    def oracle_e18(self, at_s: int) -> int:
        """Chainlink's value at a second."""
        value = self._path.value_e18(at_s)
        for from_s, share_e6 in self._jumps:
            if at_s >= from_s:
                value += value * share_e6 // MICRO
        return value

    def value_e18(self, source: Source, at_s: int) -> int:
        """What a source says of a second, published or not."""
        window_s = WINDOWS_S.get(source)
        if window_s is not None:
            return self.twap_e18(at_s, window_s)
        value = self.oracle_e18(at_s)
        value += value * _BASIS_E4.get(source, 0) // 10_000
        # Binance trades in steps of its own, Pyth publishes eight digits.
        if source == "binance":
            return value - value % (10**16 if value >= 1_000 * ONE_USD_E18 else 10**14)
        return value - value % 10**10 if source == "pyth" else value

    def binance_e18(self, at_s: int) -> int:
        """Binance's last price of a second."""
        return self.value_e18("binance", at_s)

    def twap_e18(self, end_s: int, window_s: int) -> int:
        """`twap_e18` of the oracle, by rolling the one before when that is known."""
        if window_s == 0:
            return self.oracle_e18(end_s)
        before = self._sums.pop((window_s, end_s - 1), None)
        if before is None:
            total = sum(self.oracle_e18(second) for second in range(end_s - window_s, end_s))
        else:
            total = before + self.oracle_e18(end_s - 1) - self.oracle_e18(end_s - 1 - window_s)
        if len(self._sums) > _REMEMBERED_SUMS:
            self._sums.clear()
        self._sums[window_s, end_s] = total
        return total // window_s

    def report(self, source: Source, at_s: int) -> Report | None:
        """The report of a second as it is published, None when the stream misses it."""
        delay_ms = self._arrivals.delay_ms(source, at_s)
        if delay_ms is None:
            return None
        return Report(source, self.symbol, at_s, self.value_e18(source, at_s), at_s * 1000 + delay_ms)


class SeededArrivals:
    """Gaps and delays as measured, drawn from a seed."""

    def __init__(self, seed: int, symbol: str, *, has_gaps: bool = True) -> None:
        self._root = f"{seed}:{symbol}"
        self._has_gaps = has_gaps
        self._gap = (-1, 0.0, 0.0)

    def delay_ms(self, source: Source, at_s: int) -> int | None:
        """From the report's second to its arrival; None when the stream misses it."""
        if source not in GAPLESS and self._is_missed(source, at_s):
            return None
        return _quantile(_DELAYS_MS[source], hash_unit(self._root, "delay", source, at_s))

    def _is_missed(self, source: Source, at_s: int) -> bool:
        if not self._has_gaps:
            return False
        if hash_unit(self._root, "missed", source, at_s) < _MISSED_SHARE:
            return True
        block, inside_s = divmod(at_s, _GAP_BLOCK_S)
        if self._gap[0] != block:
            self._gap = (block, *self._gap_of(block))
        _, begin_s, end_s = self._gap
        return begin_s <= inside_s < end_s

    def _gap_of(self, block: int) -> tuple[float, float]:
        """Where a block's gap begins and ends; one without has an empty one."""
        if hash_unit(self._root, "gap", block) >= _GAP_SHARE:
            return 0.0, 0.0
        length_s = _LONGEST_GAP_S * hash_unit(self._root, "length", block)
        begin_s = (_GAP_BLOCK_S - length_s) * hash_unit(self._root, "begin", block)
        return begin_s, begin_s + length_s


def _quantile(points: tuple[int, int, int, int, int], share: float) -> int:
    for place in range(1, len(_QUANTILES)):
        if share <= _QUANTILES[place]:
            low, high = _QUANTILES[place - 1], _QUANTILES[place]
            part = (share - low) / (high - low)
            return round(points[place - 1] + part * (points[place] - points[place - 1]))
    return points[-1]
