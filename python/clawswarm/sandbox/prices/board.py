"""The last prices of every source and who hears the next: what the price streams share. Pure.

A stream's first frame is the history of a symbol. It is kept here as reports come by; what came before the venue
started is read from the feeds.
"""

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from clawswarm.sandbox.prices.feeds import CoinFeeds, Report, Source

HISTORY_S = 120


class PriceStream(Protocol):
    """One wire on which reports are told."""

    def publish(self, report: Report) -> None:
        """A report arrives now."""
        ...

    def hears(self, source: Source) -> bool:
        """Whether anyone listens to a source."""
        ...


class PriceBoard:
    """Reports by source and coin."""

    def __init__(self) -> None:
        self.streams: list[PriceStream] = []
        self.feeds: dict[str, CoinFeeds] = {}
        self._history: dict[tuple[Source, str], deque[Report]] = {}

    def publish(self, report: Report) -> None:
        """Tell every stream; a report without a feed behind it is kept."""
        if report.symbol not in self.feeds:
            history = self._history.setdefault((report.source, report.symbol), deque())
            history.append(report)
            while history[0].at_s <= report.at_s - HISTORY_S:
                history.popleft()
        for stream in self.streams:
            stream.publish(report)

    def is_heard(self, source: Source) -> bool:
        """Whether any stream has a listener for a source."""
        return any(stream.hears(source) for stream in self.streams)

    def history(self, source: Source, symbol: str, now_ms: int, span_s: int) -> list[Report]:
        """Reports of the last seconds that have arrived, oldest first."""
        feeds = self.feeds.get(symbol)
        if feeds is None:
            known: Iterable[Report | None] = self._history.get((source, symbol), ())
        else:
            known = (
                feeds.report(source, second) for second in range(now_ms // 1000 - span_s, now_ms // 1000)
            )
        least_s = now_ms // 1000 - span_s
        return [r for r in known if r is not None and r.published_ms <= now_ms and r.at_s >= least_s]

    def symbols(self, source: Source) -> list[str]:
        """Coins a source has reports of."""
        return list(dict.fromkeys([*self.feeds, *(name for from_, name in self._history if from_ == source)]))
