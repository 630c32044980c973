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

from clawswarm.kernel.clock import NS_PER_MS, ns
from clawswarm.model.messages import BookState, FeedHealth

CROSSED = "crossed"
CROSSED_GRACE_NS = 50 * NS_PER_MS
REMEMBERED = 64
DISAGREEMENT_NS = 250 * NS_PER_MS
UNRESOLVED_NS = 1_000 * NS_PER_MS
DOUBTFUL, BROKEN = 0.6, 0.2


class Sentinels:
    """Which sentinels live, by their own pulses."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_ns = ns(timeout_s)
        self._health: dict[str, FeedHealth] = {}
        self._lost_ns: dict[str, int] = {}
        self._live_until_ns: dict[str, int] = {}

    def take_health(self, health: FeedHealth) -> bool:
        """A pulse of one sentinel; whether it lives where it did not, or no longer."""
        source = health.source
        before = self._health.get(source)
        self._health[source] = health
        is_live = health.is_live and health.sent_ns > self._lost_ns.get(source, -1)
        self._live_until_ns[source] = health.sent_ns + self._timeout_ns if is_live else -1
        return before is None or before.is_live is not health.is_live

    def lose(self, source: str, now_ns: int) -> None:
        """A sentinel has ended: only a later pulse is its successor's."""
        self._lost_ns[source] = now_ns
        health = self._health.get(source)
        if health is not None and health.sent_ns <= now_ns:
            self._live_until_ns[source] = -1

    def is_live(self, source: str, now_ns: int) -> bool:
        """Whether a sentinel's connection lives and its own pulse is fresh."""
        return now_ns <= self._live_until_ns.get(source, -1)


class MarketBooks:
    """One market's newest state from every sentinel, and the choice between them."""

    __slots__ = (
        "_asked_ns",
        "_books",
        "_chosen",
        "_crossed_since_ns",
        "_differ_since_ns",
        "_differing",
        "_latest",
        "_sentinels",
    )

    def __init__(self, sentinels: Sentinels, differing: "set[MarketBooks]") -> None:
        self._sentinels, self._differing = sentinels, differing
        self._books: dict[str, BookState] = {}
        self._latest: dict[str, deque[int]] = {}
        self._crossed_since_ns: dict[str, int] = {}
        self._differ_since_ns: int | None = None
        self._asked_ns: int | None = None
        self._chosen: str | None = None

    def take(self, book: BookState, now_ns: int) -> bool:
        """A sentinel's state; False when it only repeats its last one."""
        source = book.source
        if self._books.get(source) == book:
            return False
        self._books[source] = book
        if book.reason == CROSSED:
            self._crossed_since_ns.setdefault(source, book.received_ns)
        elif self._crossed_since_ns:
            self._crossed_since_ns.pop(source, None)
        self._compare(book, now_ns)
        return True

    def lose(self, source: str) -> None:
        """A sentinel has ended: its books are gone."""
        self._books.pop(source, None)
        if self._latest.pop(source, None) is not None:
            self._agree()
        self._crossed_since_ns.pop(source, None)
        if self._chosen == source:
            self._chosen = None

    def clear(self) -> None:
        """Nothing is told of this market any more."""
        for source in list(self._books):
            self.lose(source)

    def _compare(self, book: BookState, now_ns: int) -> None:
        latest = self._latest.get(book.source)
        if latest is None:
            latest = self._latest[book.source] = deque(maxlen=REMEMBERED)
        if not book.is_valid:
            latest.clear()
            self._agree()
            return
        fingerprint = book.fingerprint
        latest.append(fingerprint)
        is_alone = True
        for seen in self._latest.values():
            if seen is not latest and seen:
                is_alone = False
                if fingerprint in seen or seen[-1] in latest:
                    self._agree()
                    return
        if is_alone:
            self._agree()
        elif self._differ_since_ns is None:
            self._differ_since_ns = now_ns
            self._differing.add(self)

    def _agree(self) -> None:
        if self._differ_since_ns is not None:
            self._differ_since_ns = self._asked_ns = None
            self._differing.discard(self)

    def disagreement(self, now_ns: int) -> list[str]:
        """Sentinels that should ask the venue for its book now: once a second at most."""
        if not self._is_disputed(now_ns, DISAGREEMENT_NS):
            return []
        if self._asked_ns is not None and now_ns - self._asked_ns < UNRESOLVED_NS:
            return []
        self._asked_ns = now_ns
        return list(self._latest)

    def _is_disputed(self, now_ns: int, longer_than_ns: int) -> bool:
        """Whether the sentinels that live have not agreed for so long; one alone has nobody to differ from."""
        if self._differ_since_ns is None or now_ns - self._differ_since_ns < longer_than_ns:
            return False
        is_live = self._sentinels.is_live
        return sum(is_live(source, now_ns) for source, seen in self._latest.items() if seen) > 1

    def is_healing(self, now_ns: int) -> bool:
        """Whether a live sentinel's book is crossed for so short that its healing is only a message away.

        The venue sends a new bid a message before it removes the ask it traded with.
        """
        return any(
            self._sentinels.is_live(source, now_ns) and now_ns - since_ns <= CROSSED_GRACE_NS
            for source, since_ns in self._crossed_since_ns.items()
        )

    def best(self, now_ns: int) -> BookState | None:
        """The state to quote from; None when no live sentinel has a valid book. Old silence is no fault."""
        is_live = self._sentinels.is_live
        usable = [book for book in self._books.values() if book.is_valid and is_live(book.source, now_ns)]
        if len(usable) > 1:
            most = max([book.integrity for book in usable])
            usable = [book for book in usable if book.integrity == most]
            if len(usable) > 1 and self._is_disputed(now_ns, DISAGREEMENT_NS):
                usable = [max(usable, key=lambda book: (book.proven_ms, book.source))]
        if not usable:
            self._chosen = None
            return None
        for book in usable:
            if book.source == self._chosen:
                return book
        book = min(usable, key=lambda book: book.source)
        self._chosen = book.source
        return book

    def may_choose(self, source: str) -> bool:
        """Whether a sentinel's next book may be the one to quote from: it was chosen last, or none was."""
        return self._chosen is None or self._chosen == source

    def integrity(self, book: BookState, now_ns: int) -> float:
        """How far the chosen book may be believed, the other sentinel heard."""
        if not self._is_disputed(now_ns, DISAGREEMENT_NS):
            return book.integrity
        return min(book.integrity, BROKEN if self._is_disputed(now_ns, UNRESOLVED_NS) else DOUBTFUL)


class BookSources:
    """The books of every market."""

    def __init__(self, timeout_s: float) -> None:
        self._sentinels = Sentinels(timeout_s)
        self._markets: dict[str, MarketBooks] = {}
        self._differing: set[MarketBooks] = set()

    def of(self, market: str) -> MarketBooks:
        """One market's books; none are known of one that was not named before."""
        books = self._markets.get(market)
        if books is None:
            books = self._markets[market] = MarketBooks(self._sentinels, self._differing)
        return books

    def take_health(self, health: FeedHealth) -> bool:
        """A pulse of one sentinel; whether it lives where it did not, or no longer."""
        return self._sentinels.take_health(health)

    def take_book(self, book: BookState, now_ns: int) -> bool:
        """A state of one market; False when it only repeats the sentinel's last one."""
        return self.of(book.market).take(book, now_ns)

    def lose(self, source: str, now_ns: int) -> None:
        """A sentinel has ended: its books are gone, and only a later pulse is its successor's."""
        self._sentinels.lose(source, now_ns)
        for books in self._markets.values():
            books.lose(source)

    def disagreements(self, now_ns: int) -> list[tuple[str, str]]:
        """Markets and sentinels that should ask the venue now; each is named once a second at most."""
        if not self._differing:
            return []
        return [
            (market, source)
            for market, books in self._markets.items()
            if books in self._differing
            for source in books.disagreement(now_ns)
        ]

    def is_live(self, source: str, now_ns: int) -> bool:
        """Whether a sentinel's connection lives and its own pulse is fresh."""
        return self._sentinels.is_live(source, now_ns)

    def forget(self, markets: set[str]) -> None:
        """Keep nothing of any market but these."""
        for market in self._markets.keys() - markets:
            self._differing.discard(self._markets.pop(market))
