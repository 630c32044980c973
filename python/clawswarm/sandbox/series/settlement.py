"""Strike, final price and outcome of a window (polymarket.md §11.3). Pure integers: a tie is a tie.

| horizon | strike and final price | tie |
|---|---|---|
| 5 m, 15 m, 4 h | Chainlink's average at the start and the end (window 60 s; 30 s and 0 for earlier eras) | Up |
| 1 h | open and close of Binance's 1 h candle | Up |
| daily | closes of Binance's 1 min candles of 12:00 ET, of the day before and of the day | 50-50 |

A recorded feed with a gap at the boundary settles on the last report before it.
"""

from bisect import bisect_right
from collections.abc import Iterable

import msgspec

from clawswarm.sandbox.exchange.markets import Winner
from clawswarm.sandbox.prices.feeds import CoinFeeds
from clawswarm.sandbox.series.windows import Window

_CANDLE_S = 60


def winner_of(strike_e18: int, final_e18: int, *, is_tie_split: bool) -> Winner:
    """How a window ends."""
    if final_e18 == strike_e18 and is_tie_split:
        return "SPLIT"
    return "YES" if final_e18 >= strike_e18 else "NO"


def strike_second(window: Window) -> int:
    """When the strike is known: the last second whose price it takes."""
    return window.start_s + _CANDLE_S - 1 if window.horizon == "daily" else window.start_s


def final_second(window: Window) -> int:
    """When the final price is known."""
    if window.horizon == "daily":
        return window.end_s + _CANDLE_S - 1
    return window.end_s - 1 if window.horizon == "1h" else window.end_s


def strike_e18(window: Window, feeds: CoinFeeds, twap_window_s: int) -> int:
    """The price to beat."""
    if window.is_by_candle:
        return feeds.binance_e18(strike_second(window))
    return feeds.twap_e18(window.start_s, twap_window_s)


def final_e18(window: Window, feeds: CoinFeeds, twap_window_s: int) -> int:
    """The price that is compared with it."""
    if window.is_by_candle:
        return feeds.binance_e18(final_second(window))
    return feeds.twap_e18(window.end_s, twap_window_s)


class Boundary(msgspec.Struct, frozen=True):
    """A recorded feed's value at a second; `is_exact` when it has a report of that very second."""

    value_e18: int
    is_exact: bool


class RecordedReports:
    """Reports of a recorded feed by second."""

    def __init__(self, reports: Iterable[tuple[int, int]]) -> None:
        self._values = dict(reports)
        self._seconds = sorted(self._values)

    def at(self, second: int) -> Boundary | None:
        """The report of a second, or the last before it; None before the first."""
        place = bisect_right(self._seconds, second)
        if place == 0:
            return None
        found = self._seconds[place - 1]
        return Boundary(self._values[found], found == second)

    @property
    def last_second(self) -> int | None:
        """Where the recording ends."""
        return self._seconds[-1] if self._seconds else None
