"""Publishes the reports of the seeded feeds when they are due. Pure: a clockwork of the stage.

Only sources that somebody hears are made. Of one that begins to be heard, what is on its way by the next second
comes too; what came before is in the history that a subscription is answered with.
"""

import heapq

from clawswarm.sandbox.prices.board import PriceBoard
from clawswarm.sandbox.prices.feeds import SOURCES, CoinFeeds, Report, Source

_NS_PER_S = 1_000_000_000
_MS_PER_S = 1_000
_NS_PER_MS = 1_000_000
# The longest way of a seeded report, in whole seconds.
_LONGEST_WAY_S = 4


class PriceTicker:
    """All sources of all coins."""

    def __init__(self, board: PriceBoard, feeds: dict[str, CoinFeeds]) -> None:
        self._board = board
        self._feeds = feeds
        self._opened_s = 0
        self._next_second: int | None = None
        self._heard: list[Source] = []
        self._coming: list[tuple[int, int, Report]] = []
        self._serial = 0

    def open(self, now_ns: int) -> None:
        """Begin with the present second."""
        self._board.feeds = self._feeds
        if self._feeds:
            self._opened_s = self._next_second = now_ns // _NS_PER_S

    def next_due_ns(self) -> int | None:
        """When `step` has something to do."""
        if self._next_second is None:
            return None
        due_ns = self._next_second * _NS_PER_S
        return min(due_ns, self._coming[0][0]) if self._coming else due_ns

    def step(self, now_ns: int) -> bool:
        """Make the reports of a second, or publish one; False when nothing is due."""
        due_ns = self.next_due_ns()
        if due_ns is None or self._next_second is None or due_ns > now_ns:
            return False
        if self._coming and self._coming[0][0] == due_ns:
            self._board.publish(heapq.heappop(self._coming)[2])
            return True
        self._make(self._next_second)
        self._next_second += 1
        return True

    def _make(self, second: int) -> None:
        heard = [source for source in SOURCES if self._board.is_heard(source)]
        earliest = max(second - _LONGEST_WAY_S, self._opened_s)
        for feeds in self._feeds.values():
            for source in heard:
                for at_s in range(second if source in self._heard else earliest, second + 1):
                    report = feeds.report(source, at_s)
                    if report is not None and report.published_ms >= second * _MS_PER_S:
                        self._serial += 1
                        due_ns = report.published_ms * _NS_PER_MS
                        heapq.heappush(self._coming, (due_ns, self._serial, report))
        self._heard = heard
