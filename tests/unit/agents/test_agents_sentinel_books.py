"""Frames of the market channel → BookState messages."""

import json
from typing import Any

import pytest

from clawswarm.agents.sentinel.books import SentinelBooks
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
    return books.apply(json.dumps(body).encode(), received_ns)


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
        microprice=state.microprice,
        imbalance=state.imbalance,
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
    lost = books.disconnect()
    assert sorted(state.market for state in lost) == ["0xc1", "0xc2"]
    assert all(not state.is_valid and state.reason and state.microprice is None for state in lost)
    (after,) = applied(books, snapshot(ms=20))
    assert after.is_valid
    assert after.epoch > before.epoch


def test_watching_tells_which_tokens_joined_and_left() -> None:
    books = SentinelBooks("sentinel-1")
    assert books.count == 0
    assert books.token_ids == []
    assert books.watch([market(1), market(2)]) == (["11", "12", "21", "22"], [])
    assert books.watch([market(2), market(3)]) == (["31", "32"], ["11", "12"])
    assert books.watch([market(3), market(2)]) == ([], [])
    assert sorted(books.token_ids) == ["21", "22", "31", "32"]
    assert books.count == 2
    assert applied(books, snapshot(1)) == []
    assert books.watch([]) == ([], ["31", "32", "21", "22"])
    assert books.count == 0


def test_a_market_that_comes_back_starts_anew() -> None:
    books = watching(1)
    applied(books, snapshot())
    books.watch([])
    books.watch([market(1)])
    assert applied(books, trade()) == []
    (state,) = books.disconnect()
    assert (state.bid_e4, state.is_valid) == (None, False)
