"""Rows of the sentinel: market-channel frame in, book changed.

The peer is the best pure-Python route known to the project: msgspec structs and a tick ladder with the best
prices kept, doing the same for the same frame.
"""

import itertools

import msgspec

from benchmarks.measure import Candidate, Row, compare
from clawswarm._core import Books

MARKET, YES, NO = "0x" + "ab" * 32, "1" * 77, "2" * 77
LEVELS = range(1, 100)


class _Change(msgspec.Struct):
    asset_id: str
    price: str
    size: str
    side: str


class _PriceChange(msgspec.Struct):
    event_type: str
    timestamp: str
    price_changes: list[_Change]


class PythonBook:
    """The peer: one market's unified book in pure Python, a list a side indexed by tick."""

    def __init__(self) -> None:
        self.bids = [1.0 if 1 <= cent < 50 else 0.0 for cent in range(101)]
        self.asks = [1.0 if 50 <= cent < 100 else 0.0 for cent in range(101)]
        self.best_bid, self.best_ask = 49, 50
        self._cent = {f"0.{cent:02}": cent for cent in range(1, 100)}
        self._decode = msgspec.json.Decoder(_PriceChange).decode

    def apply(self, frame: bytes) -> tuple[int, int, float]:
        """Apply a frame; best bid, best ask and microprice after it."""
        for change in self._decode(frame).price_changes:
            cent, is_bid, size = self._cent[change.price], change.side == "BUY", float(change.size)
            if change.asset_id == NO:
                cent, is_bid = 100 - cent, not is_bid
            if is_bid:
                self.bids[cent] = size
                if size and cent > self.best_bid:
                    self.best_bid = cent
                while not self.bids[self.best_bid]:
                    self.best_bid -= 1
            else:
                self.asks[cent] = size
                if size and cent < self.best_ask:
                    self.best_ask = cent
                while not self.asks[self.best_ask]:
                    self.best_ask += 1
        bid_size, ask_size = self.bids[self.best_bid], self.asks[self.best_ask]
        micro = (self.best_bid * ask_size + self.best_ask * bid_size) / (bid_size + ask_size)
        return self.best_bid, self.best_ask, micro


def rows(n: int) -> list[Row]:
    """Every row of this file."""
    return [price_change(n)]


def price_change(n: int) -> Row:
    """`sentinel.price_change`: four changes in one frame, decode and apply, called from Python."""
    books = Books()
    books.add_market(MARKET, YES, NO, 100)
    books.apply(_snapshot(), 1)
    python_book = PythonBook()
    frames = itertools.cycle([_frame(size) for size in range(1, 50)])
    held = {"frame": next(frames)}

    def advance() -> None:
        held["frame"] = next(frames)

    own = Candidate("clawswarm", lambda: books.apply(held["frame"], 2), advance)
    peer = Candidate("msgspec + tick ladder", lambda: python_book.apply(held["frame"]))
    return compare("sentinel.price_change", own, peer, n)


def _snapshot() -> bytes:
    bids = [{"price": f"0.{cent:02}", "size": "1"} for cent in LEVELS if cent < 50]
    asks = [{"price": f"0.{cent:02}", "size": "1"} for cent in reversed(LEVELS) if cent >= 50]
    return msgspec.json.encode(
        {
            "event_type": "book", "market": MARKET, "asset_id": YES, "timestamp": "1700000000000",
            "hash": "0" * 40, "bids": bids, "asks": asks,
        }
    )  # fmt: skip


def _frame(size: int) -> bytes:
    def change(asset: str, price: str, side: str) -> dict[str, str]:
        return {
            "asset_id": asset, "price": price, "size": str(size), "side": side, "hash": "0" * 40,
            "best_bid": "0.49", "best_ask": "0.50",
        }  # fmt: skip

    changes = [
        change(YES, "0.49", "BUY"),
        change(NO, "0.51", "SELL"),
        change(YES, "0.50", "SELL"),
        change(NO, "0.50", "BUY"),
    ]
    return msgspec.json.encode(
        {
            "event_type": "price_change", "market": MARKET, "timestamp": "1700000000001",
            "price_changes": changes,
        }
    )  # fmt: skip
