"""Rows of the sentinel: market-channel frame in, book changed, state at the quoter; alone and under load.

Run alone: `python -m benchmarks.sentinel`. The peer of the first two is the best
pure-Python route known to the project: msgspec structs and a tick ladder with the best prices kept, decoding and
applying the same frame (witnesses, hashes and flow are the sentinel's alone).
"""

import hashlib
import itertools
import json

import msgspec

from benchmarks import feed_child
from benchmarks.measure import Candidate, Observation, Row, compare, observe, percentile
from benchmarks.sentinel_child import bare_hops, watch, watch_kills
from benchmarks.tick import tick_change
from clawswarm._core import Books
from clawswarm.agents.sentinel.books import SentinelBooks
from clawswarm.model.instruments import Market

MARKET, YES, NO = "0x" + "ab" * 32, "1" * 77, "2" * 77
LEVELS = range(1, 100)


RECORDED_TERMS = (5_000_000, False)


class _Level(msgspec.Struct):
    price: str
    size: str


class _Book(msgspec.Struct):
    event_type: str
    asset_id: str
    timestamp: str
    bids: list[_Level]
    asks: list[_Level]


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
        self._decode_book = msgspec.json.Decoder(_Book).decode
        self._tenth = {f"0.{tenth:03}".rstrip("0"): tenth for tenth in range(1, 1000)}

    def replace(self, frame: bytes) -> None:
        """Apply a whole book in steps of 0.001."""
        book = self._decode_book(frame)
        bids, asks = [0.0] * 1001, [0.0] * 1001
        for level in book.bids:
            bids[self._tenth[level.price]] = float(level.size)
        for level in book.asks:
            asks[self._tenth[level.price]] = float(level.size)
        self.best_bid, self.best_ask = self._tenth[book.bids[-1].price], self._tenth[book.asks[-1].price]
        self.bids, self.asks = bids, asks

    def apply(self, frame: bytes) -> None:
        """Apply a frame."""
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


def rows(n: int) -> list[Row]:
    """Every row of this file."""
    return [
        price_change(n),
        book_snapshot(n // 4),
        book_hash(n // 4),
        tick_cost(n // 2),
        hop(),
        load("537", 2, 537, 10),
        load("burst", 2, 6_000, 10),
        kill(30),
        tick_change(30),
    ]


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


def book_snapshot(n: int) -> Row:
    """`sentinel.book_snapshot`: a book of 100 + 100 levels, decode and apply, called from Python."""
    books = Books()
    books.add_market(MARKET, YES, NO, 10)
    python_book = PythonBook()
    frames = itertools.cycle([_deep_book(size) for size in (1, 2)])
    held = {"frame": next(frames)}

    def advance() -> None:
        held["frame"] = next(frames)

    own = Candidate("clawswarm", lambda: books.apply(held["frame"], 2), advance)
    peer = Candidate("msgspec + tick ladder", lambda: python_book.replace(held["frame"]))
    return compare("sentinel.book_snapshot", own, peer, n)


def book_hash(n: int) -> Row:
    """`sentinel.book_hash`: text and hash of a book of 100 + 100 levels, against SHA-1 of that text alone."""
    books = Books()
    books.add_market(MARKET, YES, NO, 10, *RECORDED_TERMS)
    frame = _deep_book(1)
    books.apply(frame, 2)
    text = _hashed_text(frame)
    expected = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    assert books.book_hash(MARKET, True, 1_700_000_000_000, None) == expected
    own = Candidate("clawswarm", lambda: books.book_hash(MARKET, True, 1_700_000_000_000, None))
    peer = Candidate("bare SHA-1", lambda: hashlib.sha1(text, usedforsecurity=False).hexdigest())
    return compare("sentinel.book_hash", own, peer, n)


def tick_cost(n: int) -> Row:
    """`sentinel.tick_1000`: frame → BookState, all of 1,000 markets in turn; the peer is the same among 100."""

    def among(markets: int) -> Candidate:
        books = SentinelBooks("sentinel-1")
        books.watch(_market(number) for number in range(markets))
        for number in range(markets):
            books.apply(json.dumps(feed_child.snapshot(number, 1)).encode(), 1)
        numbers = itertools.cycle(range(markets))
        held = {"frame": b""}
        sizes = itertools.cycle(range(2, 90))

        def advance() -> None:
            held["frame"] = feed_child.change(next(numbers), next(sizes), 2)

        return Candidate(
            f"{markets} markets", lambda: (books.apply(held["frame"], 2), books.changed(2)), advance
        )

    # `compare` prepares its own candidate alone, so each carries its own preparation in the call of the other.
    own, peer = among(1_000), among(100)

    def both() -> None:
        own.prepare()
        peer.prepare()

    return compare(
        "sentinel.tick_1000", Candidate(own.name, own.call, both), Candidate(peer.name, peer.call), n
    )


def hop() -> Row:
    """`sentinel.hop`: frame read → state in another process; the peer is a bare Unix-socket hop of 300 bytes."""

    def run() -> Observation:
        bare = bare_hops(1_000)
        return Observation(watch(2, 200, 5).hop_us, peer="bare Unix socket", peer_samples=bare)

    return observe("sentinel.hop", "µs", run)


def load(name: str, markets: int, rate: float, seconds: float) -> Row:
    """`sentinel.age_*`: ms from the venue's send to the quoter's hands at a rate; CPU and loss in its notes."""

    def run() -> Observation:
        seen = watch(markets, rate, seconds)
        # The subscription's answer is a frame too.
        lost = seen.sent + 1 - seen.frames
        return Observation(
            seen.age_ms,
            notes=(
                f"{rate:g} frames/s over {markets} markets for {seconds:g} s; lost {lost} of {seen.sent}",
                f"the sentinel used {seen.cpu_share:.1%} of one core",
            ),
        )

    return observe(f"sentinel.age_{name}", "ms", run)


def kill(n: int) -> Row:
    """`sentinel.kill`: how much later than with both alive any change reaches its quoter when one is killed."""

    def run() -> Observation:
        seen = watch_kills(n)
        usual = percentile(seen.usual_ms, 0.5)
        return Observation(
            [max(longest - usual, 0.0) for longest in seen.longest_ms],
            notes=(
                f"{n} kills; with both alive a change is {usual:g} ms old at p50, "
                f"{percentile(seen.usual_ms, 0.99):g} ms at p99",
                "each sample is the oldest change in the second after a kill, less that p50",
            ),
        )

    return observe("sentinel.kill", "ms", run)


def _market(number: int) -> Market:
    yes, no = feed_child.tokens(number)
    return Market(
        feed_child.condition_id(number), str(number), "BTC", yes, no, 100, 5_000_000, False, True, None
    )


def _deep_book(size: int) -> bytes:
    def levels(tenths: range) -> list[dict[str, str]]:
        return [
            {"price": f"0.{tenth:03}".rstrip("0"), "size": f"{100 * size + tenth}.25"} for tenth in tenths
        ]

    return msgspec.json.encode(
        {
            "market": MARKET, "asset_id": YES, "bids": levels(range(400, 500)),
            "asks": levels(range(600, 500, -1)), "hash": "0" * 40, "timestamp": "1700000000000",
            "event_type": "book",
        }
    )  # fmt: skip


def _hashed_text(frame: bytes) -> bytes:
    book = msgspec.json.decode(frame)
    return msgspec.json.encode(
        {
            "market": MARKET, "asset_id": YES, "timestamp": book["timestamp"], "hash": "", "bids": book["bids"],
            "asks": book["asks"], "min_order_size": "5", "tick_size": "0.001", "neg_risk": False,
            "last_trade_price": "",
        }
    )  # fmt: skip


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


def main() -> None:
    """Run and print these rows alone."""
    for row in rows(20_000):
        print(msgspec.json.encode(row).decode())


if __name__ == "__main__":
    main()
