"""`python -m benchmarks.hashes DATA`: how many recorded book hashes the sandbox's own code reproduces.

DATA is a folder with the recordings `jonah-*` (raw frames around the V2 cut-over) and `xuan-*` (a raw capture of
the market channel). For the capture a hash is computed from what was received before its message and the message
itself: the received changes up to its server time, and the last trade that was shown by then. No candidates are
tried. A second figure takes, where that fails, the price of the trade that is reported next.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.recorded_books import MarketBooks, read_lines, rest_book
from clawswarm.model.units import PRICE_ONE_E4, parse_price_e4

Frame = dict[str, Any]


class Share(msgspec.Struct):
    """So many of so many."""

    hits: int = 0
    total: int = 0

    def add(self, is_hit: bool) -> None:
        """Count one."""
        self.hits += is_hit
        self.total += 1

    def __str__(self) -> str:
        percent = f"{self.hits / self.total:.1%}" if self.total else "–"
        return f"{self.hits:>6} of {self.total:<6} {percent}"


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit(
            "usage: python -m benchmarks.hashes DATA   (a folder with the recordings jonah-* and xuan-*)"
        )
    data = Path(sys.argv[1])
    if not [*data.glob("jonah-*"), *data.glob("xuan-*")]:
        sys.exit(f"{data} has no recordings jonah-* or xuan-*; name the folder that holds them")
    for name, share in {**jonah(data), **xuan(data)}.items():
        print(f"{name:<58} {share}")


def jonah(data: Path) -> dict[str, Share]:
    """Books of REST and of the subscribe answer."""
    rest, subscribed = Share(), Share()
    for path in sorted(data.glob("jonah-*/*/raw_messages.jsonl.zst")):
        for row in read_lines(path):
            if row["source"] != "polymarket_clob":
                continue
            frame = json.loads(row["payload"])
            if isinstance(frame, list):
                for book in frame:
                    subscribed.add(rest_book(book) == book["hash"])
            elif "event_type" not in frame and "bids" in frame:
                rest.add(rest_book(frame) == frame["hash"])
    return {"jonah: REST books": rest, "jonah: books of the subscribe answer": subscribed}


def xuan(data: Path) -> dict[str, Share]:
    """Books of the subscribe answer, and the hashes of every price_change."""
    subscribed, causal, informed = Share(), Share(), Share()
    for path in sorted(data.glob("xuan-*/market-ws.jsonl.zst")):
        frames = [row["payload"] for row in read_lines(path)]
        markets: dict[str, MarketBooks] = {}
        for frame, next_trade_e4 in _with_next_trade(frames):
            books = markets.setdefault(frame["market"], MarketBooks(frame["market"]))
            kind = frame["event_type"]
            if kind == "book":
                if "last_trade_price" in frame:
                    subscribed.add(rest_book(frame) == frame["hash"])
                books.take_book(frame)
            elif kind == "price_change":
                books.take_change(frame)
                at_ms = int(frame["timestamp"])
                known_e4, coming_e4 = books.last_trade_e4(at_ms), _in_terms_of(frame, next_trade_e4)
                for entry in frame["price_changes"]:
                    token, expected = entry["asset_id"], entry["hash"]
                    is_hit = books.hash(token, at_ms, known_e4) == expected
                    causal.add(is_hit)
                    informed.add(is_hit or books.hash(token, at_ms, coming_e4) == expected)
    return {
        "xuan: books of the subscribe answer": subscribed,
        "xuan: price_change, only what was received before": causal,
        "xuan: price_change, also knowing the next trade price": informed,
    }


def _in_terms_of(change: Frame, trade_e4: int | None) -> int | None:
    """A trade price in the terms of a change's first entry, when the change may be that trade."""
    first_e4 = parse_price_e4(change["price_changes"][0]["price"])
    return first_e4 if trade_e4 is not None and first_e4 == PRICE_ONE_E4 - trade_e4 else trade_e4


def _with_next_trade(frames: list[Frame]) -> Iterator[tuple[Frame, int | None]]:
    """Each frame with the price of the trade that its market reports next."""
    upcoming: dict[str, int] = {}
    paired: list[tuple[Frame, int | None]] = []
    for frame in reversed(frames):
        paired.append((frame, upcoming.get(frame["market"])))
        if frame["event_type"] == "last_trade_price":
            upcoming[frame["market"]] = parse_price_e4(frame["price"])
    yield from reversed(paired)


if __name__ == "__main__":
    main()
