"""Frames of the market channel → BookState messages."""

import json
from typing import Any

import pytest

from clawswarm.agents.sentinel.books import SentinelBooks, ShardChange
from clawswarm.agents.sentinel.integrity import (
    ANSWER_LIMIT_NS,
    ASK_AGAIN_NS,
    DEAF_GRACE_NS,
    DOUBT_LIMIT_NS,
    QUIET_AFTER_DEAF_NS,
    SILENCE_LEAST_NS,
)
from clawswarm.agents.sentinel.shards import tokens_of
from clawswarm.kernel.clock import NS_PER_MS
from clawswarm.model.instruments import Market
from clawswarm.model.messages import BookState

START_MS = 1_776_808_414_710


def market(number: int) -> Market:
    return Market(
        f"0xc{number}", f"btc-{number}", "BTC", f"{number}1", f"{number}2", 100, 5_000_000, False, True, None
    )


def snapshot(number: int = 1, bid: str = "0.48", ask: str = "0.52", ms: int = 0) -> dict[str, Any]:
    return {
        "event_type": "book",
        "market": f"0xc{number}",
        "asset_id": f"{number}1",
        "bids": [{"price": "0.10", "size": "100"}, {"price": bid, "size": "30"}],
        "asks": [{"price": "0.90", "size": "100"}, {"price": ask, "size": "10"}],
        "hash": "a1e787af",
        "timestamp": str(START_MS + ms),
    }


def change(side: str, price: str, size: str, ms: int = 0) -> dict[str, Any]:
    entry = {
        "asset_id": "11",
        "price": price,
        "size": size,
        "side": side,
        "hash": "425af284",
        "best_bid": "",
        "best_ask": "",
    }
    return {
        "event_type": "price_change",
        "market": "0xc1",
        "price_changes": [entry],
        "timestamp": str(START_MS + ms),
    }


def trade() -> dict[str, Any]:
    return {
        "event_type": "last_trade_price",
        "market": "0xc1",
        "asset_id": "11",
        "price": "0.52",
        "size": "5",
        "fee_rate_bps": "",
        "side": "BUY",
        "timestamp": str(START_MS + 5),
        "transaction_hash": "0x6893bfa5",
    }


def applied(books: SentinelBooks, *events: dict[str, Any], received_ns: int = 7) -> list[BookState]:
    body: Any = events[0] if len(events) == 1 else list(events)
    books.apply(json.dumps(body).encode(), received_ns)
    return books.changed(received_ns)


def watching(*numbers: int) -> SentinelBooks:
    books = SentinelBooks("sentinel-1")
    books.watch([market(number) for number in numbers])
    return books


def test_a_snapshot_becomes_a_state_signed_by_its_sentinel() -> None:
    (state,) = applied(watching(1), snapshot())
    assert state == BookState(
        market="0xc1",
        source="sentinel-1",
        sequence=state.sequence,
        epoch=state.epoch,
        received_ns=7,
        server_ms=START_MS,
        tick_e4=100,
        bid_e4=4800,
        bid_size_e6=30_000_000,
        ask_e4=5200,
        ask_size_e6=10_000_000,
        bids=((4800, 30_000_000), (1000, 100_000_000)),
        asks=((5200, 10_000_000), (9000, 100_000_000)),
        microprice=state.microprice,
        imbalance=state.imbalance,
        depth_imbalance=state.depth_imbalance,
        order_flow=0.0,
        trade_flow=0.0,
        volatility=None,
        sweep=None,
        fingerprint=state.fingerprint,
        proven_ms=0,
        integrity=1.0,
        is_valid=True,
        reason=None,
    )
    # More is bid than asked: the fair value lies nearer to the ask.
    assert state.microprice == pytest.approx(0.51)


def test_sequences_grow_with_every_changed_state() -> None:
    books = watching(1)
    (first,) = applied(books, snapshot())
    (second,) = applied(books, change("BUY", "0.49", "20", ms=10), received_ns=8)
    assert (second.bid_e4, second.received_ns, second.server_ms) == (4900, 8, START_MS + 10)
    assert second.sequence > first.sequence
    assert second.epoch == first.epoch


def test_only_the_newest_of_what_came_together_is_said() -> None:
    books = watching(1, 2)
    frames = [
        snapshot(1),
        snapshot(2),
        change("BUY", "0.49", "20", ms=10),
        change("BUY", "0.50", "20", ms=11),
    ]
    assert all(books.apply(json.dumps(frame).encode(), 7) for frame in frames)
    states = books.changed(8)
    assert [(state.market, state.bid_e4) for state in states] == [("0xc1", 5000), ("0xc2", 4800)]
    assert books.changed(9) == []


def test_one_frame_may_change_several_markets() -> None:
    states = applied(watching(1, 2), snapshot(1), snapshot(2, bid="0.30", ask="0.33"))
    assert [(state.market, state.bid_e4) for state in states] == [("0xc1", 4800), ("0xc2", 3000)]


def test_trades_and_markets_that_are_not_watched_give_no_state() -> None:
    books = watching(1)
    applied(books, snapshot())
    assert applied(books, trade()) == []
    assert applied(books, snapshot(2)) == []


@pytest.mark.parametrize("frame", [b"", b"PONG", b"{", b'{"event_type":"book"}', b"\xff"])
def test_what_is_no_frame_is_refused_and_changes_nothing(frame: bytes) -> None:
    books = watching(1)
    (before,) = applied(books, snapshot())
    with pytest.raises(ValueError, match=r"."):
        books.apply(frame, 8)
    (after,) = applied(books, change("BUY", "0.49", "20", ms=10))
    assert after.sequence == before.sequence + 1


def test_a_crossed_book_says_so() -> None:
    books = watching(1)
    applied(books, snapshot())
    (crossed,) = applied(books, change("BUY", "0.52", "20", ms=10))
    assert (crossed.is_valid, crossed.reason, crossed.microprice) == (False, "crossed", None)
    (healed,) = applied(books, change("SELL", "0.52", "0", ms=11))
    assert healed.is_valid


def test_a_lost_connection_invalidates_every_book_until_its_next_snapshot() -> None:
    books = watching(1, 2)
    (before,) = applied(books, snapshot())
    lost = books.disconnect(0)
    assert sorted(state.market for state in lost) == ["0xc1", "0xc2"]
    assert all(not state.is_valid and state.reason and state.microprice is None for state in lost)
    (after,) = applied(books, snapshot(ms=20))
    assert after.is_valid
    assert after.epoch > before.epoch


def test_watching_tells_which_tokens_joined_and_left() -> None:
    books = SentinelBooks("sentinel-1")
    assert (books.count, books.shard_count) == (0, 0)
    assert books.watch([market(1), market(2)]) == {0: ShardChange(["11", "12", "21", "22"], [])}
    assert books.watch([market(2), market(3)]) == {0: ShardChange(["31", "32"], ["11", "12"])}
    assert books.watch([market(3), market(2)]) == {}
    assert sorted(books.token_ids(0)) == ["21", "22", "31", "32"]
    assert books.count == 2
    assert applied(books, snapshot(1)) == []
    assert books.watch([]) == {0: ShardChange([], ["21", "22", "31", "32"])}
    assert (books.count, books.token_ids(0)) == (0, [])


def test_no_connection_carries_more_than_200_assets_and_room_is_used_again() -> None:
    books = SentinelBooks("sentinel-1")
    markets = [market(number) for number in range(250)]
    changes = books.watch(markets)
    assert [len(change.joined) for change in changes.values()] == [200, 200, 100]
    assert books.watch(markets[10:]) == {0: ShardChange([], tokens_of(markets[:10]))}
    assert books.watch([*markets[10:], market(300)]) == {0: ShardChange(tokens_of([market(300)]), [])}
    assert books.shards_of(["0xc300", "0xc249", "0xnone"]) == {0: ["0xc300"], 2: ["0xc249"]}


def test_a_lost_connection_leaves_the_books_of_the_others() -> None:
    books = SentinelBooks("sentinel-1")
    books.watch([market(number) for number in range(101)])
    applied(books, snapshot(1))
    (lost,) = books.disconnect(1)
    assert (lost.market, lost.is_valid) == ("0xc100", False)
    assert books.review(10**12) == []


def test_a_market_that_comes_back_starts_anew() -> None:
    books = watching(1)
    applied(books, snapshot())
    books.watch([])
    books.watch([market(1)])
    assert applied(books, trade()) == []
    (state,) = books.disconnect(0)
    assert (state.bid_e4, state.is_valid) == (None, False)


# --- how far a book is believed -----------------------------------------------------------------


def listing(bid: str, ms: int) -> bytes:
    shown = snapshot(bid=bid, ms=ms)
    del shown["event_type"]
    return json.dumps([shown]).encode()


def busy(books: SentinelBooks) -> int:
    """A market that speaks every 10 ms; when it last did."""
    applied(books, snapshot(), received_ns=0)
    for step in range(1, 21):
        applied(books, change("BUY", "0.20", str(step), ms=step), received_ns=step * 10 * NS_PER_MS)
    return 200 * NS_PER_MS


def test_best_prices_that_differ_ripen_from_doubt_to_disbelief_and_a_question() -> None:
    books = watching(1)
    applied(books, snapshot(), received_ns=0)
    wrong = change("BUY", "0.20", "7", ms=1)
    wrong["price_changes"][0] |= {"best_bid": "0.49", "best_ask": "0.52"}
    (state,) = applied(books, wrong, received_ns=0)
    assert state.integrity == 1.0
    (state,) = books.review(60 * NS_PER_MS)
    assert (state.integrity, state.reason) == (0.6, "best prices differ")
    assert books.to_ask(60 * NS_PER_MS) == []
    (state,) = books.review(DOUBT_LIMIT_NS)
    assert state.integrity == 0.2
    assert books.to_ask(DOUBT_LIMIT_NS) == ["0xc1"]
    assert books.to_ask(DOUBT_LIMIT_NS + ASK_AGAIN_NS - 1) == []
    assert books.to_ask(DOUBT_LIMIT_NS + ASK_AGAIN_NS) == ["0xc1"]
    healed = books.apply_listing(listing("0.49", ms=2), ["0xc1"], DOUBT_LIMIT_NS + 1)
    assert (healed[-1].integrity, healed[-1].bid_e4, healed[-1].reason) == (1.0, 4900, None)
    assert books.to_ask(10**12) == []


def test_a_quiet_market_is_asked_about_and_left_alone() -> None:
    books = watching(1)
    now = busy(books) + SILENCE_LEAST_NS + 1
    assert books.review(now) == []
    assert books.to_ask(now) == ["0xc1"]
    assert books.apply_listing(listing("0.48", ms=0), ["0xc1"], now + 1) == []
    # The silence has become usual: the next question is later.
    assert books.review(now + SILENCE_LEAST_NS) == []
    assert books.to_ask(now + SILENCE_LEAST_NS) == []
    books.review(now + 3 * SILENCE_LEAST_NS)
    assert books.to_ask(now + 3 * SILENCE_LEAST_NS) == ["0xc1"]


def test_a_silent_market_nobody_answers_for_is_not_believed() -> None:
    books = watching(1)
    now = busy(books) + SILENCE_LEAST_NS + 1
    books.review(now)
    (state,) = books.review(now + ANSWER_LIMIT_NS)
    assert (state.integrity, state.reason) == (0.2, "unusually silent")


def test_a_stream_that_missed_something_is_deaf_until_it_speaks() -> None:
    books = watching(1)
    now = busy(books) + SILENCE_LEAST_NS + 1
    books.review(now)
    (*_, state) = books.apply_listing(listing("0.49", ms=100), ["0xc1"], now + 1)
    # For a moment the frame may be on its way, and the book is what the venue said.
    assert (state.bid_e4, state.integrity, state.is_valid) == (4900, 1.0, True)
    now += 1 + DEAF_GRACE_NS
    (state,) = books.review(now)
    assert (state.bid_e4, state.integrity, state.is_valid) == (4900, 0.2, True)
    assert books.deaf(now) == ["0xc1"]
    # What it says next is known already: it speaks all the same.
    assert applied(books, change("BUY", "0.49", "30", ms=100), received_ns=now + 2) == []
    (state,) = books.review(now + 3)
    assert (state.integrity, books.deaf(now + 3)) == (1.0, [])


def test_another_sentinels_doubt_is_a_reason_to_ask() -> None:
    books = watching(1)
    applied(books, snapshot(), received_ns=1)
    assert not books.want_snapshot("0xnone", 5)
    assert books.want_snapshot("0xc1", 5)
    assert books.to_ask(5) == ["0xc1"]


def test_a_resolved_market_is_never_quoted_again() -> None:
    books = watching(1)
    applied(books, snapshot())
    resolution = {
        "event_type": "market_resolved", "market": "0xc1", "winning_asset_id": "11", "timestamp": str(START_MS),
    }  # fmt: skip
    (state,) = applied(books, resolution)
    assert (state.is_valid, state.reason, state.microprice) == (False, "resolved", None)
    (state,) = applied(books, change("BUY", "0.49", "20", ms=10))
    assert not state.is_valid


def test_a_deaf_market_that_stays_as_the_venue_shows_it_is_quiet_after_a_second() -> None:
    books = watching(1)
    now = busy(books) + SILENCE_LEAST_NS + 1
    books.review(now)
    books.apply_listing(listing("0.49", ms=100), ["0xc1"], now)
    books.review(now + DEAF_GRACE_NS)
    assert books.to_ask(now + ASK_AGAIN_NS) == ["0xc1"]
    assert books.apply_listing(listing("0.49", ms=100), ["0xc1"], now + ASK_AGAIN_NS) == []
    (state,) = books.apply_listing(listing("0.49", ms=100), ["0xc1"], now + QUIET_AFTER_DEAF_NS)
    assert state.integrity == 1.0


def test_an_answer_from_the_subscription_is_not_the_streams_word() -> None:
    books = watching(1)
    now = busy(books) + SILENCE_LEAST_NS + 1
    books.review(now)
    books.apply_listing(listing("0.49", ms=100), ["0xc1"], now)
    books.review(now + DEAF_GRACE_NS)
    (state,) = applied(books, snapshot(bid="0.50", ms=200), received_ns=now + DEAF_GRACE_NS + 1)
    assert (state.bid_e4, state.integrity) == (5000, 0.2)


def test_a_new_tick_voids_the_book_and_asks_for_it_at_once() -> None:
    books = watching(1)
    (before,) = applied(books, snapshot())
    new_tick = {
        "event_type": "tick_size_change", "market": "0xc1", "asset_id": "11", "old_tick_size": "0.01",
        "new_tick_size": "0.001", "timestamp": str(START_MS + 5),
    }  # fmt: skip
    (state,) = applied(books, new_tick, received_ns=9)
    assert (state.is_valid, state.reason, state.tick_e4) == (False, "tick change", 10)
    assert state.epoch > before.epoch
    assert books.is_urgent
    assert books.to_ask(9) == ["0xc1"]
    assert not books.is_urgent
    (state,) = books.apply_listing(listing("0.481", ms=6), ["0xc1"], 10)
    assert (state.is_valid, state.tick_e4, state.bid_e4) == (True, 10, 4810)
    assert books.to_ask(10**12) == []


def test_a_lost_connection_is_counted_so_that_late_answers_are_not_taken() -> None:
    books = watching(1)
    applied(books, snapshot())
    losses = books.losses
    books.disconnect(0)
    assert books.losses == losses + 1
