"""A recorded settlement feed as a coin's path and arrivals: its values, gaps and delays, shifted to now. Pure.

In: a CSV file, plain or gzip, with `feed_ts_ms` (the report's second), `full_accuracy_value` (1e-18 USD) and
`recv_ms` (its arrival) in each row. The recording's first whole quarter of an hour begins with the quarter of an
hour in which the venue starts, so that its windows are the venue's; at its end it begins again.
"""

import csv
import gzip
from bisect import bisect_right
from pathlib import Path

from clawswarm.model.errors import UserFault
from clawswarm.sandbox.prices.feeds import GAPLESS, Source

_QUARTER_S = 900
_EARLY_MS = 300


class RecordedFeed:
    """One coin's recording; both a `PricePath` and `Arrivals`."""

    def __init__(self, rows: list[tuple[int, int, int]], start_s: int) -> None:
        """Rows of (report second, value, delay in ms) in order of time."""
        self._seconds = [second for second, _, _ in rows]
        self._values = [value for _, value, _ in rows]
        self._delays = {second: delay for second, _, delay in rows}
        first, last = self._seconds[0], self._seconds[-1]
        self._begin = -(-first // _QUARTER_S) * _QUARTER_S
        self._span = (last + 1 - self._begin) // _QUARTER_S * _QUARTER_S
        self._shift = start_s - start_s % _QUARTER_S - self._begin

    def value_e18(self, at_s: int) -> int:
        """The last report at or before a second."""
        return self._values[max(bisect_right(self._seconds, self._recorded(at_s)) - 1, 0)]

    def delay_ms(self, source: Source, at_s: int) -> int | None:
        """How late the second's report came, None where the recording has none; sources without gaps are early."""
        if source in GAPLESS:
            return _EARLY_MS
        return self._delays.get(self._recorded(at_s))

    def _recorded(self, at_s: int) -> int:
        inside = at_s - self._shift - self._begin
        # What came before the start is the recording's own past as far as it goes.
        return self._begin + (inside if inside < 0 else inside % self._span)


def read_feed(path: Path, start_s: int) -> RecordedFeed:
    """Open a recording of at least an hour. Raises UserFault."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", newline="") as file:
            rows = sorted(
                (
                    int(row["feed_ts_ms"]) // 1000,
                    int(row["full_accuracy_value"]),
                    max(int(row["recv_ms"]) - int(row["feed_ts_ms"]), 0),
                )
                for row in csv.DictReader(file)
            )
    except (OSError, EOFError, KeyError, TypeError, ValueError) as fault:
        raise UserFault(
            f"cannot read the price recording {path} ({fault!r}): "
            "it needs the columns feed_ts_ms, full_accuracy_value and recv_ms"
        ) from fault
    if not rows or rows[-1][0] - rows[0][0] < 2 * _QUARTER_S:
        raise UserFault(f"the price recording {path} is shorter than half an hour: name a longer one")
    return RecordedFeed(rows, start_s)
