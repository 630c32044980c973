"""Which sentinel to believe, per market. Pure.

Both sentinels watch everything. A quoter stays with one and switches when its pulse is late, its connection is
down or its book is invalid. With none left there is no book: the quoter withdraws.
"""

from clawswarm.kernel.clock import ns
from clawswarm.model.messages import BookState, FeedHealth


class BookSources:
    """Newest state of every market from every sentinel, and the choice between them."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_ns = ns(timeout_s)
        self._health: dict[str, FeedHealth] = {}
        self._books: dict[str, dict[str, BookState]] = {}
        self._chosen: dict[str, str] = {}

    def take_health(self, health: FeedHealth) -> None:
        """A pulse of one sentinel."""
        self._health[health.source] = health

    def take_book(self, book: BookState) -> None:
        """A state of one market."""
        self._books.setdefault(book.market, {})[book.source] = book

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
