"""Which sentinel a quoter believes."""

from clawswarm.agents.quoter.sources import (
    CROSSED_GRACE_NS,
    DISAGREEMENT_NS,
    UNRESOLVED_NS,
    BookSources,
)
from clawswarm.kernel.clock import ns
from clawswarm.model.messages import BookState, FeedHealth

TIMEOUT_S = 0.5
TIMEOUT_NS = ns(TIMEOUT_S)


def book(
    source: str,
    *,
    bid_e4: int = 4800,
    reason: str | None = None,
    received_ns: int = 0,
    fingerprint: int = 1,
    integrity: float = 1.0,
    proven_ms: int = 0,
) -> BookState:
    return BookState(
        market="0xc",
        source=source,
        sequence=1,
        epoch=1,
        received_ns=received_ns,
        server_ms=0,
        tick_e4=100,
        bid_e4=bid_e4,
        bid_size_e6=1,
        ask_e4=5200,
        ask_size_e6=1,
        bids=((bid_e4, 1),),
        asks=((5200, 1),),
        microprice=0.5 if reason is None else None,
        imbalance=0.0 if reason is None else None,
        depth_imbalance=0.0 if reason is None else None,
        order_flow=0.0,
        trade_flow=0.0,
        volatility=None,
        sweep=None,
        fingerprint=fingerprint,
        proven_ms=proven_ms,
        integrity=integrity,
        is_valid=reason is None,
        reason=reason,
    )


def health(source: str, sent_ns: int = 0, is_live: bool = True) -> FeedHealth:
    return FeedHealth(
        source=source, sent_ns=sent_ns, is_live=is_live, last_frame_ns=0, markets=1, reason=None
    )


def both() -> BookSources:
    sources = BookSources(TIMEOUT_S)
    for name in ("sentinel-1", "sentinel-2"):
        sources.take_health(health(name))
        sources.take_book(book(name), 0)
    return sources


def chosen(sources: BookSources, now_ns: int = 0) -> str | None:
    best = sources.of("0xc").best(now_ns)
    return None if best is None else best.source


def test_without_any_word_there_is_no_book() -> None:
    assert chosen(BookSources(TIMEOUT_S)) is None


def test_a_book_without_a_pulse_and_a_pulse_without_a_book_are_not_enough() -> None:
    sources = BookSources(TIMEOUT_S)
    sources.take_book(book("sentinel-1"), 0)
    assert chosen(sources) is None
    sources.take_health(health("sentinel-2"))
    assert chosen(sources) is None
    sources.take_health(health("sentinel-1"))
    assert chosen(sources) == "sentinel-1"


def test_a_quoter_stays_with_its_sentinel_while_it_is_good() -> None:
    sources = both()
    assert chosen(sources) == "sentinel-1"
    sources.take_book(book("sentinel-1", reason="no snapshot"), 0)
    assert chosen(sources) == "sentinel-2"
    sources.take_book(book("sentinel-1"), 0)
    assert chosen(sources) == "sentinel-2"


def test_a_late_pulse_switches() -> None:
    sources = both()
    sources.take_health(health("sentinel-2", sent_ns=1))
    assert chosen(sources, TIMEOUT_NS) == "sentinel-1"
    assert chosen(sources, TIMEOUT_NS + 1) == "sentinel-2"
    assert chosen(sources, TIMEOUT_NS + 2) is None


def test_a_sentinel_that_ended_is_left_at_once_and_believed_again_with_a_later_pulse_and_book() -> None:
    sources = both()
    assert chosen(sources) == "sentinel-1"
    sources.take_health(health("sentinel-2", sent_ns=9))
    sources.lose("sentinel-1", 10)
    assert chosen(sources, 10) == "sentinel-2"
    sources.lose("sentinel-2", 11)
    sources.take_health(health("sentinel-1", sent_ns=10))
    assert chosen(sources, 11) is None, "a pulse from before its end was under way"
    sources.take_health(health("sentinel-1", sent_ns=12))
    assert chosen(sources, 12) is None, "what its predecessor saw is gone"
    sources.take_book(book("sentinel-1"), 13)
    assert chosen(sources, 13) == "sentinel-1"


def test_a_connection_that_is_down_switches() -> None:
    sources = both()
    sources.take_health(health("sentinel-1", is_live=False))
    assert chosen(sources) == "sentinel-2"


def test_with_both_dead_there_is_no_book_until_one_is_back() -> None:
    sources = both()
    for name in ("sentinel-1", "sentinel-2"):
        sources.take_health(health(name, is_live=False))
    assert chosen(sources) is None
    sources.take_health(health("sentinel-2"))
    assert chosen(sources) == "sentinel-2"


def test_an_old_book_of_a_live_sentinel_is_no_fault() -> None:
    sources = both()
    far = 10**15
    sources.take_health(health("sentinel-1", sent_ns=far))
    assert chosen(sources, far) == "sentinel-1"


def test_the_newest_state_of_the_chosen_sentinel_counts() -> None:
    sources = both()
    sources.take_book(book("sentinel-1", bid_e4=4700), 0)
    best = sources.of("0xc").best(0)
    assert best is not None
    assert best.bid_e4 == 4700


def test_markets_are_chosen_apart() -> None:
    assert both().of("0xelse").best(0) is None


def test_a_crossed_book_is_believed_to_heal_for_a_moment() -> None:
    sources = BookSources(TIMEOUT_S)
    sources.take_health(health("sentinel-1", sent_ns=1_000))
    sources.take_book(book("sentinel-1", reason="crossed", received_ns=1_000), 0)
    assert chosen(sources, 1_000) is None
    assert sources.of("0xc").is_healing(1_000 + CROSSED_GRACE_NS)
    assert not sources.of("0xc").is_healing(1_001 + CROSSED_GRACE_NS)
    assert not sources.of("0xelse").is_healing(1_000)


def test_a_book_that_stays_crossed_does_not_buy_more_time() -> None:
    sources = BookSources(TIMEOUT_S)
    sources.take_health(health("sentinel-1"))
    for received_ns in range(0, 2 * CROSSED_GRACE_NS, CROSSED_GRACE_NS // 4):
        sources.take_book(book("sentinel-1", reason="crossed", received_ns=received_ns), 0)
    assert not sources.of("0xc").is_healing(2 * CROSSED_GRACE_NS)


def test_only_a_live_sentinels_crossed_book_can_heal() -> None:
    sources = BookSources(TIMEOUT_S)
    sources.take_book(book("sentinel-1", reason="crossed"), 0)
    assert not sources.of("0xc").is_healing(0)
    sources.take_health(health("sentinel-1"))
    assert sources.of("0xc").is_healing(0)
    sources.take_health(health("sentinel-1", is_live=False))
    assert not sources.of("0xc").is_healing(0)


def test_a_book_that_is_invalid_for_another_reason_does_not_heal() -> None:
    sources = BookSources(TIMEOUT_S)
    sources.take_health(health("sentinel-1"))
    sources.take_book(book("sentinel-1", reason="crossed"), 0)
    sources.take_book(book("sentinel-1", reason="no snapshot"), 0)
    assert not sources.of("0xc").is_healing(0)


# --- how far a book is believed -----------------------------------------------------------------

LIMIT_NS = DISAGREEMENT_NS


def test_more_integrity_wins_and_the_loser_may_come_back() -> None:
    sources = both()
    sources.take_book(book("sentinel-1", integrity=0.6, fingerprint=1, proven_ms=1), 0)
    assert chosen(sources) == "sentinel-2"
    sources.take_book(book("sentinel-2", integrity=0.2, proven_ms=1), 0)
    assert chosen(sources) == "sentinel-1"


def test_books_that_differ_for_a_moment_are_one_on_its_way() -> None:
    sources = both()
    sources.take_book(book("sentinel-1", fingerprint=2), 5)
    assert sources.disagreements(5 + LIMIT_NS - 1) == []
    sources.take_book(book("sentinel-2", fingerprint=2), 6)
    sources.take_book(book("sentinel-1", fingerprint=3), 7)
    assert sources.disagreements(5 + LIMIT_NS) == []
    best = sources.of("0xc").best(0)
    assert best is not None
    assert sources.of("0xc").integrity(best, 5 + LIMIT_NS) == 1.0


def test_a_book_among_the_others_latest_agrees_though_both_have_moved_on() -> None:
    sources = both()
    sources.take_book(book("sentinel-1", fingerprint=2), 1)
    sources.take_book(book("sentinel-1", fingerprint=3), 2)
    sources.take_book(book("sentinel-2", fingerprint=2), 3)
    assert sources.disagreements(TIMEOUT_NS) == []


def test_disagreement_widens_asks_both_believes_the_proven_and_at_last_nobody() -> None:
    sources = both()
    sources.take_book(book("sentinel-1", fingerprint=2, proven_ms=5), 0)
    sources.take_book(book("sentinel-2", fingerprint=9, proven_ms=7), 0)
    for number, source in enumerate(("sentinel-1", "sentinel-2")):
        sources.take_book(book(source, fingerprint=20 + number, proven_ms=5 + 2 * number), 10)
    assert sorted(sources.disagreements(LIMIT_NS)) == [("0xc", "sentinel-1"), ("0xc", "sentinel-2")]
    assert sources.disagreements(LIMIT_NS + 1) == []
    best = sources.of("0xc").best(LIMIT_NS)
    assert best is not None
    assert best.source == "sentinel-2"
    assert sources.of("0xc").integrity(best, LIMIT_NS) == 0.6
    for source in ("sentinel-1", "sentinel-2"):
        sources.take_health(health(source, sent_ns=UNRESOLVED_NS))
    assert sources.of("0xc").integrity(best, UNRESOLVED_NS) == 0.2
    sources.take_book(book("sentinel-1", fingerprint=21, proven_ms=8), UNRESOLVED_NS)
    assert sources.of("0xc").integrity(best, UNRESOLVED_NS) == 1.0


def test_a_dead_sentinel_disagrees_with_nobody() -> None:
    sources = both()
    sources.take_book(book("sentinel-1", fingerprint=2), 0)
    sources.take_health(health("sentinel-1", sent_ns=LIMIT_NS))
    sources.take_health(health("sentinel-2", is_live=False))
    assert sources.disagreements(LIMIT_NS) == []
