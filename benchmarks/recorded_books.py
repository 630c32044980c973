"""Recorded market-channel frames → the sandbox's own book text, and so its hashes.

`MarketBooks` keeps both tokens' recorded books the way a careful client must: a message older than what was
applied already is put at its place in server time, for one book is the truth at each instant.
"""

import json
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from clawswarm.model.units import parse_e6, parse_price_e4
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.streams.book_text import BookText

Frame = dict[str, Any]
Change = tuple[bool, int, int]
"""(is_bid, price in 1e-4, size in 1e-6) in the token's own frame."""
Levels = dict[tuple[bool, int], int]
"""(is_bid, price) → size."""


def read_lines(path: Path) -> Iterator[Frame]:
    """Objects of a zstd-packed JSONL file."""
    with path.open("rb") as packed:
        text = zstandard.ZstdDecompressor().stream_reader(packed).read().decode()
    return (json.loads(line) for line in text.splitlines() if line)


def rest_book(book: Frame) -> str:
    """Hash of one token's book as the sandbox computes it from its levels."""
    text = _token_text(
        book["market"],
        book["asset_id"],
        tick=book["tick_size"],
        minimum=book.get("min_order_size", "5"),
        neg_risk=book.get("neg_risk", False),
    )
    for change in _levels(book):
        text.set_level(*change)
    last = book["last_trade_price"]
    text.last_trade_e4 = parse_price_e4(last) if last else None
    return text.hash(is_yes=True, timestamp_ms=int(book["timestamp"]))


class _Point(msgspec.Struct):
    """What one price_change says, at its place in server time; what its book said when it was a trade."""

    at_ms: int
    first_price_e4: int
    hashes: dict[str, str]
    changes: dict[str, Change]
    books: dict[str, Levels] = {}

    @property
    def is_trade(self) -> bool:
        """Only a trade is followed by books, which carry its hashes."""
        return bool(self.books)


class MarketBooks:
    """Both tokens of one market.

    The last trade price of a hash is in the terms of the resting order's token, so it is the price of the first
    entry of the price_change that a `book` with the same hash shows to be a trade.
    """

    def __init__(self, condition_id: str) -> None:
        self._condition_id = condition_id
        self._start: dict[str, tuple[int, Levels]] = {}
        self._start_trade_e4: int | None = None
        self._points: list[_Point] = []

    def take_book(self, frame: Frame) -> None:
        """A whole book of one token: the answer to the subscription, or what follows a trade."""
        token = frame["asset_id"]
        levels = {(is_bid, price): size for is_bid, price, size in _levels(frame)}
        if "last_trade_price" in frame:
            self._start[token] = (int(frame["timestamp"]), levels)
            last = frame["last_trade_price"]
            self._start_trade_e4 = parse_price_e4(last) if last else None
            return
        for point in reversed(self._points):
            if point.hashes.get(token) == frame["hash"]:
                point.books[token] = levels
                return

    def take_change(self, frame: Frame) -> None:
        """New aggregates of one level of each token."""
        entries = frame["price_changes"]
        point = _Point(
            at_ms=int(frame["timestamp"]),
            first_price_e4=parse_price_e4(entries[0]["price"]),
            hashes={entry["asset_id"]: entry["hash"] for entry in entries},
            changes={entry["asset_id"]: _change(entry) for entry in entries},
        )
        self._points.insert(bisect_right(self._points, point.at_ms, key=lambda known: known.at_ms), point)

    def last_trade_e4(self, at_ms: int) -> int | None:
        """Price of the last trade known to have happened by a server time."""
        for point in reversed(self._points):
            if point.at_ms <= at_ms and point.is_trade:
                return point.first_price_e4
        return self._start_trade_e4

    def hash(self, token: str, at_ms: int, last_trade_e4: int | None) -> str:
        """Hash of a token's book at a server time, from all that was received up to now."""
        text = _token_text(self._condition_id, token, tick="0.01", minimum="5", neg_risk=False)
        for (is_bid, price_e4), size_e6 in self._book_at(token, at_ms).items():
            text.set_level(is_bid, price_e4, size_e6)
        text.last_trade_e4 = last_trade_e4
        return text.hash(is_yes=True, timestamp_ms=at_ms)

    def _book_at(self, token: str, at_ms: int) -> Levels:
        start_ms, start = self._start.get(token, (0, {}))
        end = bisect_right(self._points, at_ms, key=lambda known: known.at_ms)
        begin = next((at for at in range(end - 1, -1, -1) if token in self._points[at].books), None)
        if begin is None:
            levels = dict(start)
            begin = bisect_right(self._points, start_ms, key=lambda known: known.at_ms) - 1
        else:
            levels = dict(self._points[begin].books[token])
        for point in self._points[begin + 1 : end]:
            if token in point.changes:
                is_bid, price_e4, size_e6 = point.changes[token]
                if size_e6:
                    levels[is_bid, price_e4] = size_e6
                else:
                    levels.pop((is_bid, price_e4), None)
        return levels


def _change(entry: Frame) -> Change:
    return entry["side"] == "BUY", parse_price_e4(entry["price"]), parse_e6(entry["size"])


def _levels(book: Frame) -> list[Change]:
    return [
        (is_bid, parse_price_e4(level["price"]), parse_e6(level["size"]))
        for is_bid, side in ((True, "bids"), (False, "asks"))
        for level in book[side]
    ]


def _token_text(condition_id: str, token: str, *, tick: str, minimum: str, neg_risk: bool) -> BookText:
    """A book text whose YES token is the recorded one; the other token is never asked for."""
    return BookText(
        ListedMarket(
            condition_id=condition_id,
            question_id="",
            slug="",
            question="",
            underlying="",
            yes_token=token,
            no_token="",
            tick_e4=parse_price_e4(tick),
            min_size_e6=parse_e6(minimum),
            fee_rate_e4=0,
            end_ms=0,
            neg_risk=neg_risk,
        )
    )
