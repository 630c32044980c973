"""The committed recordings through the whole venue: the public book, its hashes, its money."""

import hashlib
import json
from pathlib import Path

import aiohttp
from venue_thread import running_venue, settings_for
from wire_client import Json, Socket, run

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
CHANGES = 1500


class RebuiltBook:
    """One token's book as a client rebuilds it from the wire alone."""

    def __init__(self, book: Json) -> None:
        self.market, self.token = book["market"], book["asset_id"]
        self.tick_size, self.last_trade_price = book["tick_size"], book["last_trade_price"]
        self.sides = {"BUY": self._levels(book["bids"]), "SELL": self._levels(book["asks"])}

    def _levels(self, levels: list[dict[str, str]]) -> dict[str, str]:
        return {level["price"]: level["size"] for level in levels}

    def apply(self, entry: dict[str, str]) -> None:
        levels = self.sides[entry["side"]]
        levels[entry["price"]] = entry["size"]
        if entry["size"] == "0":
            del levels[entry["price"]]

    def worst_first(self, side: str) -> list[dict[str, str]]:
        prices = sorted(self.sides[side], key=float, reverse=side == "SELL")
        return [{"price": price, "size": self.sides[side][price]} for price in prices]

    def hash(self, timestamp: object) -> str:
        payload = {
            "market": self.market,
            "asset_id": self.token,
            "timestamp": timestamp,
            "hash": "",
            "bids": self.worst_first("BUY"),
            "asks": self.worst_first("SELL"),
            "min_order_size": "5",
            "tick_size": self.tick_size,
            "neg_risk": False,
            "last_trade_price": self.last_trade_price,
        }
        return hashlib.sha1(json.dumps(payload, separators=(",", ":")).encode()).hexdigest()


def check_frames(books: dict[str, RebuiltBook], frames: list[Json]) -> int:
    """Apply the frames in order, compare every hash; return how many trades there were."""
    trades = 0
    for at, frame in enumerate(frames):
        kind = frame["event_type"]
        if kind == "tick_size_change":
            books[frame["asset_id"]].tick_size = frame["new_tick_size"]
        if kind != "price_change":
            continue
        first, second = frame["price_changes"]
        if frames[at + 1]["event_type"] == "book":
            # A trade's hashes already carry its price, in the terms of the token that rested.
            trades += 1
            price = f"{float(first['price']):.4f}"
            price = price[:-1] if price.endswith("0") else price
            books[first["asset_id"]].last_trade_price = price
            books[second["asset_id"]].last_trade_price = price
        for entry in (first, second):
            book = books[entry["asset_id"]]
            book.apply(entry)
            assert book.hash(frame["timestamp"]) == entry["hash"]
            bids, asks = book.worst_first("BUY"), book.worst_first("SELL")
            assert entry["best_bid"] == (bids[-1]["price"] if bids else "0")
            assert entry["best_ask"] == (asks[-1]["price"] if asks else "1")
    return trades


def test_a_client_rebuilds_every_book_with_its_hash() -> None:
    settings = settings_for(SAMPLE, start_at_s=60, speed=10.0, takers=True)

    async def scene(session: aiohttp.ClientSession) -> None:
        async with session.get(f"{venue.url}/markets") as response:
            markets = (await response.json())["data"]
        tokens = [token["token_id"] for market in markets for token in market["tokens"]]
        async with session.ws_connect(f"{venue.url}/ws/market") as ws:
            socket = Socket(ws)
            await socket.send({"type": "market", "assets_ids": tokens})
            books = {book["asset_id"]: RebuiltBook(book) for book in json.loads(await socket.text())}
            assert len(books) == len(tokens)
            frames: list[Json] = []
            while sum(frame["event_type"] == "price_change" for frame in frames) < CHANGES:
                frames += [json.loads(await socket.text()) for _ in range(50)]
            while frames[-1]["event_type"] in ("price_change", "book"):
                frames.append(json.loads(await socket.text()))
                if frames[-1]["event_type"] == "price_change" and frames[-2]["event_type"] == "price_change":
                    frames.pop()
                    break
        assert check_frames(books, [*frames, {"event_type": "end"}]) > 0
        async with session.get(f"{venue.control}/accounts") as response:
            assert (await response.json())["imbalance"] == "0"

    with running_venue(settings) as venue:
        run(venue, scene)
