"""Publishes the reports of the seeded feeds when they are due. Pure: a clockwork of the stage."""

import heapq

from clawswarm.sandbox.prices.board import PriceBoard
from clawswarm.sandbox.prices.feeds import SOURCES, CoinFeeds, Report

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000


class PriceTicker:
    """All sources of all coins."""

    def __init__(self, board: PriceBoard, feeds: dict[str, CoinFeeds]) -> None:
        self._board = board
        self._feeds = feeds
        self._next_second: int | None = None
        self._coming: list[tuple[int, int, Report]] = []
        self._serial = 0

    def open(self, now_ns: int) -> None:
        """Begin with the present second."""
        self._board.feeds = self._feeds
        if self._feeds:
            self._next_second = now_ns // _NS_PER_S

    def next_due_ns(self) -> int | None:
        """When `step` has something to do."""
        if self._next_second is None:
            return None
        due_ns = self._next_second * _NS_PER_S
        return min(due_ns, self._coming[0][0]) if self._coming else due_ns

    def step(self, now_ns: int) -> bool:
        """Make the reports of a second, or publish one; False when nothing is due."""
        if self._next_second is None:
            return False
        if self._coming and self._coming[0][0] <= min(now_ns, self._next_second * _NS_PER_S):
            self._board.publish(heapq.heappop(self._coming)[2])
            return True
        if self._next_second * _NS_PER_S > now_ns:
            if not self._coming or self._coming[0][0] > now_ns:
                return False
            self._board.publish(heapq.heappop(self._coming)[2])
            return True
        for feeds in self._feeds.values():
            for source in SOURCES:
                report = feeds.report(source, self._next_second)
                if report is not None:
                    self._serial += 1
                    due_ns = report.published_ms * _NS_PER_MS
                    heapq.heappush(self._coming, (due_ns, self._serial, report))
        self._next_second += 1
        return True
