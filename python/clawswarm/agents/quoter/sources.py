"""Which sentinel to believe, per market, and how far. Pure.

Both sentinels watch everything. A quoter stays with one and switches when it ends, its pulse is late, its
connection is down, its book is invalid or the other's has more integrity. With none left there is no book: the
quoter withdraws.

Two equal books share a fingerprint. Each sees states that the other's wire or this quoter's slot skipped, so they
agree when the newest of one is among the latest of the other. Where that has not happened for 250 ms, both are
doubtful: the quoter widens and asks both sentinels for the venue's own book; the one whose book the venue's hash
proved more lately is believed meanwhile. After a second without agreement nothing is believed.
"""

from collections import deque

import msgspec

from clawswarm.kernel.clock import NS_PER_MS, ns
from clawswarm.model.messages import BookState, FeedHealth

CROSSED = "crossed"
CROSSED_GRACE_NS = 50 * NS_PER_MS
REMEMBERED = 64
DISAGREEMENT_NS = 250 * NS_PER_MS
UNRESOLVED_NS = 1_000 * NS_PER_MS
DOUBTFUL, BROKEN = 0.6, 0.2


class _Pair(msgspec.Struct):
    """The two sentinels' latest books of one market."""

    latest: dict[str, deque[int]] = {}
    differ_since_ns: int | None = None
    asked_ns: int | None = None


class BookSources:
    """Newest state of every market from every sentinel, and the choice between them."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_ns = ns(timeout_s)
        self._health: dict[str, FeedHealth] = {}
        self._books: dict[str, dict[str, BookState]] = {}
        self._pairs: dict[str, _Pair] = {}
        self._chosen: dict[str, str] = {}
        self._crossed_since_ns: dict[tuple[str, str], int] = {}
        self._lost_ns: dict[str, int] = {}

    def take_health(self, health: FeedHealth) -> bool:
        """A pulse of one sentinel; whether it lives where it did not, or no longer."""
        before = self._health.get(health.source)
        self._health[health.source] = health
        return before is None or before.is_live is not health.is_live

    def take_book(self, book: BookState, now_ns: int) -> bool:
        """A state of one market; False when it only repeats the last one."""
        books = self._books.setdefault(book.market, {})
        if books.get(book.source) == book:
            return False
        books[book.source] = book
        if book.reason != CROSSED:
            self._crossed_since_ns.pop((book.market, book.source), None)
        else:
            self._crossed_since_ns.setdefault((book.market, book.source), book.received_ns)
        self._compare(book, now_ns)
        return True

    def lose(self, source: str, now_ns: int) -> None:
        """A sentinel has ended: its books are gone, and only a later pulse is its successor's."""
        self._lost_ns[source] = now_ns
        for books in self._books.values():
            books.pop(source, None)
        for pair in self._pairs.values():
            if pair.latest.pop(source, None) is not None:
                pair.differ_since_ns = None
        for key in [key for key in self._crossed_since_ns if key[1] == source]:
            del self._crossed_since_ns[key]

    def _compare(self, book: BookState, now_ns: int) -> None:
        pair = self._pairs.setdefault(book.market, _Pair())
        latest = pair.latest.setdefault(book.source, deque(maxlen=REMEMBERED))
        if not book.is_valid:
            latest.clear()
            pair.differ_since_ns = None
            return
        latest.append(book.fingerprint)
        others = [seen for source, seen in pair.latest.items() if source != book.source and seen]
        if not others or any(book.fingerprint in seen or seen[-1] in latest for seen in others):
            pair.differ_since_ns = pair.asked_ns = None
        elif pair.differ_since_ns is None:
            pair.differ_since_ns = now_ns

    def disagreements(self, now_ns: int) -> list[tuple[str, str]]:
        """Markets and sentinels that should ask the venue now; each is named once a second at most."""
        wanted = []
        for market, pair in self._pairs.items():
            if not self._is_disputed(market, now_ns, DISAGREEMENT_NS):
                continue
            if pair.asked_ns is None or now_ns - pair.asked_ns >= UNRESOLVED_NS:
                pair.asked_ns = now_ns
                wanted += [(market, source) for source in pair.latest]
        return wanted

    def _is_disputed(self, market: str, now_ns: int, longer_than_ns: int) -> bool:
        """Whether the sentinels that live have not agreed for so long; one alone has nobody to differ from."""
        pair = self._pairs.get(market)
        if pair is None or pair.differ_since_ns is None or now_ns - pair.differ_since_ns < longer_than_ns:
            return False
        return sum(self.is_live(source, now_ns) for source, seen in pair.latest.items() if seen) > 1

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
        usable = [source for source, book in books.items() if book.is_valid and self.is_live(source, now_ns)]
        if not usable:
            return None
        believed = usable
        if len(usable) > 1:
            most = max([books[source].integrity for source in usable])
            believed = [source for source in usable if books[source].integrity == most]
        if len(believed) > 1 and self._is_disputed(market, now_ns, DISAGREEMENT_NS):
            believed = [max(believed, key=lambda source: (books[source].proven_ms, source))]
        chosen = self._chosen.get(market)
        if chosen not in believed:
            chosen = self._chosen[market] = min(believed)
        return books[chosen]

    def integrity(self, book: BookState, now_ns: int) -> float:
        """How far a chosen book may be believed, the other sentinel heard."""
        if self._is_disputed(book.market, now_ns, UNRESOLVED_NS):
            return min(book.integrity, BROKEN)
        if self._is_disputed(book.market, now_ns, DISAGREEMENT_NS):
            return min(book.integrity, DOUBTFUL)
        return book.integrity

    def forget(self, markets: set[str]) -> None:
        """Keep nothing of any market but these."""
        for held in (self._books, self._pairs, self._chosen):
            for market in held.keys() - markets:
                del held[market]

    def is_live(self, source: str, now_ns: int) -> bool:
        """Whether a sentinel's connection lives and its own pulse is fresh."""
        health = self._health.get(source)
        if health is None or not health.is_live or health.sent_ns <= self._lost_ns.get(source, -1):
            return False
        return now_ns - health.sent_ns <= self._timeout_ns
