"""Which sentinel to believe, per market. Pure.

Both sentinels watch everything. A quoter stays with one and switches when its pulse is late, its connection is
down or its book is invalid. With none left there is no book: the quoter withdraws.
"""

from clawswarm.kernel.clock import NS_PER_MS, ns
from clawswarm.model.messages import BookState, FeedHealth

CROSSED = "crossed"
CROSSED_GRACE_NS = 50 * NS_PER_MS


class BookSources:
    """Newest state of every market from every sentinel, and the choice between them."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_ns = ns(timeout_s)
        self._health: dict[str, FeedHealth] = {}
        self._books: dict[str, dict[str, BookState]] = {}
        self._chosen: dict[str, str] = {}
        self._crossed_since_ns: dict[tuple[str, str], int] = {}

    def take_health(self, health: FeedHealth) -> None:
        """A pulse of one sentinel."""
        self._health[health.source] = health

    def take_book(self, book: BookState) -> bool:
        """A state of one market; False when it only repeats the last one."""
        books = self._books.setdefault(book.market, {})
        if books.get(book.source) == book:
            return False
        books[book.source] = book
        if book.reason != CROSSED:
            self._crossed_since_ns.pop((book.market, book.source), None)
        else:
            self._crossed_since_ns.setdefault((book.market, book.source), book.received_ns)
        return True

    def is_healing(self, market: str, now_ns: int) -> bool:
        """Whether a live sentinel's book is crossed for so short that its healing is only a message away.

        The venue sends a new bid a message before it removes the ask it traded with.
        """
        return any(
            is_market == market and self.is_live(source, now_ns) and now_ns - since_ns <= CROSSED_GRACE_NS
            for (is_market, source), since_ns in self._crossed_since_ns.items()
        )

    def best(self, market: str, now_ns: int) -> BookState | None:
        """The state to quote from; None when no live sentinel has a valid book. Old silence is no fault."""
        books = self._books.get(market, {})
        usable = {source for source, book in books.items() if book.is_valid and self.is_live(source, now_ns)}
        if not usable:
            return None
        chosen = self._chosen.get(market)
        if chosen not in usable:
            chosen = self._chosen[market] = min(usable)
        return books[chosen]

    def is_live(self, source: str, now_ns: int) -> bool:
        """Whether a sentinel's connection lives and its own pulse is fresh."""
        health = self._health.get(source)
        return health is not None and health.is_live and now_ns - health.sent_ns <= self._timeout_ns
