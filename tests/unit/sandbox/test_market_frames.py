"""Frames of the market channel: hashes, mirror, order of a trade's frames."""

import hashlib
import json

import pytest
from exchange_bench import SHARE, START_NS, Bench, new_market

from clawswarm.sandbox.exchange.events import Event, LevelChanged, MarketListed
from clawswarm.sandbox.streams.book_text import BookText, price_with_decimals
from clawswarm.sandbox.streams.market_frames import MarketFrame, MarketFrames

Json = dict[str, object]


def test_book_hash_vector() -> None:
    market = new_market(yes_token="123", last_trade_e4=4200)
    book = BookText(market)
    for is_bid, price, shares in ((True, 4100, 50), (True, 4000, 100), (False, 4300, 20), (False, 4500, 70)):
        book.set_level(is_bid, price, shares * SHARE)
    digest, text = book.summary(is_yes=True, timestamp_ms=1_700_000_000_123)
    assert digest == "6e0a22e424f08a3af7570616dc3af59de5a965f2"
    assert json.loads(text)["hash"] == digest


def test_the_other_token_is_the_mirror() -> None:
    book = BookText(new_market())
    book.set_level(True, 4000, SHARE)
    book.set_level(True, 4100, 2 * SHARE)
    book.set_level(False, 4300, 3 * SHARE)
    book.set_level(False, 4500, 4 * SHARE)
    bids, asks = (json.loads(side) for side in book.levels(is_yes=False))
    assert bids == [{"price": "0.55", "size": "4"}, {"price": "0.57", "size": "3"}]
    assert asks == [{"price": "0.6", "size": "1"}, {"price": "0.59", "size": "2"}]
    assert book.touch(is_yes=False) == (5700, 5900)


def test_a_level_of_size_zero_goes() -> None:
    book = BookText(new_market())
    book.set_level(True, 4000, SHARE)
    book.set_level(True, 4000, 0)
    book.set_level(True, 3900, 0)
    assert book.levels(is_yes=True) == ("[]", "[]")
    assert book.touch(is_yes=True) == (None, None)


@pytest.mark.parametrize(("price_e4", "text"), [(8600, "0.860"), (8605, "0.8605"), (10, "0.001")])
def test_last_trade_price_has_three_decimals(price_e4: int, text: str) -> None:
    assert price_with_decimals(price_e4) == text


class Channel:
    """Renders a bench's events and checks every hash against the books a client would rebuild."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.frames = MarketFrames()
        self.last_maker_price_e4: int | None = None
        self.frames.render(MarketListed(market=self.bench.market, at_ns=START_NS), is_watched=True)

    def render(self, events: list[Event]) -> list[Json]:
        rendered: list[MarketFrame] = []
        for event in events:
            if isinstance(event, LevelChanged) and event.trade is not None:
                self.last_maker_price_e4 = event.trade.makers[0].price_e4
            rendered += self.frames.render(event, is_watched=True)
        return [json.loads(frame.text) for frame in rendered]

    def recomputed_hash(self, is_yes: bool, timestamp: str) -> str:
        market = self.bench.market
        bids, asks = (json.loads(side) for side in self.frames.books[market.condition_id].levels(is_yes))
        last_e4 = self.last_maker_price_e4
        last = "" if last_e4 is None else f"{last_e4 / 10_000:.3f}"
        payload = {
            "market": market.condition_id,
            "asset_id": market.token(is_yes),
            "timestamp": timestamp,
            "hash": "",
            "bids": bids,
            "asks": asks,
            "min_order_size": "5",
            "tick_size": "0.01",
            "neg_risk": False,
            "last_trade_price": last,
        }
        return hashlib.sha1(json.dumps(payload, separators=(",", ":")).encode()).hexdigest()


def test_a_change_has_two_mirrored_entries_with_book_hashes() -> None:
    channel = Channel()
    channel.render(channel.bench.place("m", "BUY", "NO", 5300, 10).events)
    change, *quotes = channel.render(channel.bench.place("a", "BUY", "YES", 4500, 20).events)
    assert change["event_type"] == "price_change"
    ours, mirror = change["price_changes"]
    stamp = str(change["timestamp"])
    assert ours == {
        "asset_id": "111", "price": "0.45", "size": "20", "side": "BUY",
        "hash": channel.recomputed_hash(True, stamp), "best_bid": "0.45", "best_ask": "0.47",
    }  # fmt: skip
    assert mirror == {
        "asset_id": "222", "price": "0.55", "size": "20", "side": "SELL",
        "hash": channel.recomputed_hash(False, stamp), "best_bid": "0.53", "best_ask": "0.55",
    }  # fmt: skip
    assert [q["event_type"] for q in quotes] == ["best_bid_ask", "best_bid_ask"]


def test_the_orders_own_token_comes_first() -> None:
    channel = Channel()
    change, *_ = channel.render(channel.bench.place("m", "BUY", "NO", 5300, 10).events)
    assert [entry["asset_id"] for entry in change["price_changes"]] == ["222", "111"]


def test_an_empty_side_reads_zero_and_one() -> None:
    channel = Channel()
    change, *_ = channel.render(channel.bench.place("a", "BUY", "YES", 4500, 10).events)
    entries = change["price_changes"]
    assert [(e["best_bid"], e["best_ask"]) for e in entries] == [("0.45", "1"), ("0", "0.55")]


def test_frames_of_a_trade() -> None:
    channel = Channel()
    channel.render(channel.bench.place("m", "BUY", "NO", 5300, 10).events)
    frames = channel.render(channel.bench.place("t", "BUY", "YES", 4700, 6).events)
    assert [f["event_type"] for f in frames] == ["price_change", "book", "book", "last_trade_price"]
    change, yes, no, last = frames
    hashes = {e["asset_id"]: e["hash"] for e in change["price_changes"]}
    assert (yes["hash"], no["hash"]) == (hashes["111"], hashes["222"])
    assert yes["hash"] == channel.recomputed_hash(True, str(yes["timestamp"]))
    assert "tick_size" not in yes
    assert (last["asset_id"], last["price"], last["size"], last["side"]) == ("111", "0.47", "6", "BUY")


def test_each_level_of_a_sweep_carries_its_own_trade() -> None:
    channel = Channel()
    for price in (5300, 5200):
        channel.render(channel.bench.place("m", "BUY", "NO", price, 10).events)
    frames = channel.render(channel.bench.place("t", "BUY", "YES", 4800, 20).events)
    books = [f for f in frames if f["event_type"] == "book" and f["asset_id"] == "111"]
    trades = [f["price"] for f in frames if f["event_type"] == "last_trade_price"]
    assert trades == ["0.47", "0.48"]
    expected = []
    for book, price in zip(books, ("0.530", "0.520"), strict=True):
        kept = {"market": book["market"], "asset_id": "111", "timestamp": book["timestamp"], "hash": ""}
        rest = {"min_order_size": "5", "tick_size": "0.01", "neg_risk": False, "last_trade_price": price}
        payload = kept | {"bids": book["bids"], "asks": book["asks"]} | rest
        expected.append(hashlib.sha1(json.dumps(payload, separators=(",", ":")).encode()).hexdigest())
    assert [book["hash"] for book in books] == expected


def test_a_tick_change_is_told_for_both_tokens() -> None:
    channel = Channel()
    events = channel.bench.exchange.change_tick(channel.bench.market, 10, START_NS)
    frames = channel.render(events)
    assert [(f["asset_id"], f["old_tick_size"], f["new_tick_size"]) for f in frames] == [
        ("111", "0.01", "0.001"),
        ("222", "0.01", "0.001"),
    ]


def test_the_end_is_told_to_custom_subscribers() -> None:
    channel = Channel()
    events = channel.bench.exchange.close_market(channel.bench.market, "NO", START_NS)
    (frame,) = channel.render(events)
    assert (frame["event_type"], frame["winning_asset_id"]) == ("market_resolved", "222")


def test_a_new_market_is_told_to_everyone_with_custom_features() -> None:
    market = new_market(fee_rate_e4=700)
    (frame,) = MarketFrames().render(MarketListed(market=market, at_ns=START_NS), is_watched=False)
    assert (frame.tokens, frame.is_custom) == ((), True)
    body = json.loads(frame.text)
    assert (body["event_type"], body["assets_ids"]) == ("new_market", ["111", "222"])
    assert body["fee_schedule"] == {
        "exponent": "1", "rate": "0.07", "taker_only": True, "rebate_rate": "0.2",
    }  # fmt: skip
    assert '", "' in frame.text


def test_nobody_watching_costs_no_frame_but_keeps_the_book() -> None:
    channel = Channel()
    for event in channel.bench.place("a", "BUY", "YES", 4500, 10).events:
        assert channel.frames.render(event, is_watched=False) == []
    assert channel.frames.books[channel.bench.market.condition_id].touch(is_yes=True) == (4500, None)
