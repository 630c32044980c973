"""Every recording with full books, replayed: the rebuilt top ten levels are the recorded ones at every snapshot.

The recordings lie beside the project (`../shared/data`, or the folder that CLAW_RECORDINGS names), most of them
under licences that forbid to ship them; without them these tests are skipped. Of the 33 five-minute markets three
are replayed, all of them when CLAW_RECORDINGS is set: that takes minutes.

What a snapshot shows is the truth as of its own server time, and the book is ahead of it where a newer message
came first (recorded-data.md fact 8). So the oracle is the newest snapshot with every change received that is
younger than it; for the newest message it is the snapshot itself.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clawswarm._core import Books
from clawswarm.model.units import PRICE_ONE_E4, parse_e6, parse_price_e4

DATA = Path(os.environ.get("CLAW_RECORDINGS", Path(__file__).parents[3] / "shared/data"))
DEPTH = 10

Key = tuple[bool, int]
"""(is bid, price) in the YES frame."""


def lines(path: Path) -> Iterator[dict[str, Any]]:
    zstandard = pytest.importorskip("zstandard")
    with path.open("rb") as packed:
        text = zstandard.ZstdDecompressor().stream_reader(packed).read().decode()
    return (json.loads(line) for line in text.splitlines() if line)


class Oracle:
    """One market by the slow, obvious rule."""

    def __init__(self, yes_token: str) -> None:
        self.yes_token = yes_token
        self.snapshot_ms = 0
        self.sizes: dict[Key, int] = {}
        self.changed_ms: dict[Key, int] = {}

    def key(self, token: str, is_bid: bool, price_e4: int) -> Key:
        return (is_bid, price_e4) if token == self.yes_token else (not is_bid, PRICE_ONE_E4 - price_e4)

    def take_book(self, frame: dict[str, Any]) -> None:
        at_ms = int(frame["timestamp"])
        if at_ms < self.snapshot_ms:
            return
        shown = {
            self.key(frame["asset_id"], side == "bids", parse_price_e4(level["price"])): parse_e6(
                level["size"]
            )
            for side in ("bids", "asks")
            for level in frame[side]
        }
        for key in shown.keys() | self.sizes.keys():
            if at_ms >= self.changed_ms.get(key, 0):
                self.sizes[key] = shown.get(key, 0)
        self.snapshot_ms = at_ms

    def take_changes(self, frame: dict[str, Any]) -> None:
        at_ms = int(frame["timestamp"])
        for entry in frame["price_changes"]:
            key = self.key(entry["asset_id"], entry["side"] == "BUY", parse_price_e4(entry["price"]))
            if at_ms >= max(self.snapshot_ms, self.changed_ms.get(key, 0)):
                self.sizes[key], self.changed_ms[key] = parse_e6(entry["size"]), at_ms

    def levels(self, is_bid: bool) -> list[tuple[int, int]]:
        held = ((price, size) for (of, price), size in self.sizes.items() if of is is_bid and size)
        return sorted(held, reverse=is_bid)[:DEPTH]


def replay(frames: list[dict[str, Any]]) -> tuple[int, int]:
    """Compare at every snapshot; snapshots, and how many of them were the newest message of their market."""
    books, oracles, newest_ms = Books(), dict[str, Oracle](), dict[str, int]()
    tokens: dict[str, list[str]] = {}
    for frame in frames:
        if frame["event_type"] == "book":
            known = tokens.setdefault(frame["market"], [])
            if frame["asset_id"] not in known:
                known.append(frame["asset_id"])
    for market, known in tokens.items():
        # A recording may begin or end with a market of which one token alone was sent.
        yes, no = (*known, f"{known[0]}0")[:2]
        books.add_market(market, yes, no, 100)
        oracles[market] = Oracle(yes)
    snapshots = newest = 0
    for frame in frames:
        books.apply(json.dumps(frame).encode(), 1)
        market, at_ms = frame["market"], int(frame["timestamp"])
        oracle = oracles[market]
        is_newest = at_ms >= newest_ms.get(market, 0)
        newest_ms[market] = max(newest_ms.get(market, 0), at_ms)
        if frame["event_type"] == "price_change":
            oracle.take_changes(frame)
        if frame["event_type"] != "book":
            continue
        oracle.take_book(frame)
        snapshots += 1
        bids, asks = books.levels(market, DEPTH)
        assert (bids, asks) == (oracle.levels(is_bid=True), oracle.levels(is_bid=False))
        if is_newest:
            newest += 1
            assert (bids, asks) == recorded(frame, oracle)
    return snapshots, newest


def recorded(frame: dict[str, Any], oracle: Oracle) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The top of a recorded book itself, in the YES frame."""
    sides: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    for side in ("bids", "asks"):
        for level in frame[side]:
            is_bid, price = oracle.key(frame["asset_id"], side == "bids", parse_price_e4(level["price"]))
            sides[is_bid].append((price, parse_e6(level["size"])))
    return sorted(sides[True], reverse=True)[:DEPTH], sorted(sides[False])[:DEPTH]


def existing(pattern: str) -> list[Any]:
    found = sorted(DATA.glob(pattern))
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no recording {pattern} in {DATA}"))]
    return [pytest.param(path, id=path.name) for path in found]


@pytest.mark.parametrize("path", existing("xuan-*/market-ws.jsonl.zst"))
def test_raw_capture(path: Path) -> None:
    snapshots, newest = replay([row["payload"] for row in lines(path)])
    assert (snapshots, newest) == (144, 12)


@pytest.mark.parametrize(
    "path", existing("cronos-*/*.jsonl.zst")[:: 1 if "CLAW_RECORDINGS" in os.environ else 11]
)
def test_five_minute_books(path: Path) -> None:
    snapshots, newest = replay([row["msg"] for row in lines(path)])
    assert snapshots > 1_900
    assert newest > 0.9 * snapshots


@pytest.mark.parametrize("path", existing("resolvedkit-*/books.parquet"))
def test_fifteen_minute_books(path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(path).to_pylist()
    rows.sort(key=lambda row: row["ts"])

    def levels(prices: list[float], sizes: list[float]) -> list[dict[str, str]]:
        pairs = zip(prices, sizes, strict=True)
        return [{"price": f"{price:.4f}", "size": f"{size:.6f}"} for price, size in pairs]

    snapshots, newest = replay(
        [
            {
                "event_type": "book", "market": row["market_id"], "asset_id": row["side"] + row["market_id"],
                "timestamp": str(row["ts"]), "bids": levels(row["bid_px"], row["bid_sz"]),
                "asks": levels(row["ask_px"], row["ask_sz"]),
            }
            for row in rows
        ]
    )  # fmt: skip
    assert (snapshots, newest) == (25_256, 25_256)


@pytest.mark.parametrize("path", existing("xuan-*/market-ws.jsonl.zst"))
def test_witnesses_of_the_raw_capture_never_doubt_for_long(path: Path) -> None:
    """Out of order, 25 % of its hashes cannot be followed at once; every doubt ends within 250 ms all the same."""
    frames = [row["payload"] for row in lines(path)]
    books, tokens = Books(), dict[str, list[str]]()
    for frame in frames:
        if frame["event_type"] == "book" and frame["asset_id"] not in tokens.setdefault(frame["market"], []):
            tokens[frame["market"]].append(frame["asset_id"])
    for market, (yes, no) in tokens.items():
        books.add_market(market, yes, no, 100, 5_000_000, is_neg_risk=False)
    now_ms, oldest_ms = 0, 0.0
    for frame in frames:
        now_ms = max(now_ms, int(frame["timestamp"]))
        books.apply(json.dumps(frame).encode(), now_ms * 1_000_000)
        books.compare()
        for market in tokens:
            top = books.top(market)
            for doubt_ns in (top.hash_doubt_ns, top.touch_doubt_ns):
                if doubt_ns is not None:
                    oldest_ms = max(oldest_ms, now_ms - doubt_ns / 1_000_000)
    agreed, differed = books.hashes_compared
    assert agreed / (agreed + differed) > 0.75
    assert oldest_ms < 250
