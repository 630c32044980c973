"""The only file that reads the ambient clock; everything else takes a Clock (or a time) as an argument."""

import time
from typing import Protocol


class Clock(Protocol):
    """Source of time."""

    def now_ns(self) -> int:
        """CLOCK_BOOTTIME in ns: monotonic, runs through suspend, comparable between processes of a host."""
        ...

    def wall_ms(self) -> int:
        """Unix time in ms, for the venue's wire only; it may step."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now_ns(self) -> int:
        """CLOCK_BOOTTIME in ns."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_ms(self) -> int:
        """Unix time in ms."""
        return time.time_ns() // 1_000_000


NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


def ns(seconds: float) -> int:
    """Seconds to whole nanoseconds."""
    return round(seconds * NS_PER_S)
