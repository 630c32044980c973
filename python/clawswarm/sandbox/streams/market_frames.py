"""Exchange events → frames of the market channel (polymarket.md §5.2, recorded-data.md facts 1 to 9).

In: events in order, out: frames with the tokens whose subscribers get them. Text is written by hand, as the
recorded frames have it: `price_change` with a space after each comma, everything else compact.
"""

import json

import msgspec

from clawswarm.model.units import PRICE_ONE_E4, format_e6, format_price
from clawswarm.sandbox.exchange.events import (
    LevelChanged,
    MarketEvent,
    MarketListed,
    MarketResolved,
    TickChanged,
    Trade,
)
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.streams.book_text import BookText

_NS_PER_MS = 1_000_000
_REBATE_RATE = "0.2"


class MarketFrame(msgspec.Struct, frozen=True):
    """One text for every subscriber of any of `tokens`, for all when there is none.

    `is_custom`: only for those with custom features.
    """

    tokens: tuple[str, ...]
    text: str
    at_ms: int
    is_custom: bool = False


def side_word(is_bid: bool, is_yes: bool) -> str:
    """BUY or SELL of a YES-frame level seen from a token."""
    return "BUY" if is_bid == is_yes else "SELL"


class MarketFrames:
    """Writes the market channel of all markets; keeps one BookText for each."""

    def __init__(self) -> None:
        self.books: dict[str, BookText] = {}

    def render(self, event: MarketEvent, is_watched: bool) -> list[MarketFrame]:
        """Apply an event; return its frames, none when nobody watches the market."""
        if isinstance(event, LevelChanged):
            return self._level_changed(event, is_watched)
        if isinstance(event, MarketListed):
            self.books[event.market.condition_id] = BookText(event.market)
            return [_new_market_frame(event)]
        if isinstance(event, TickChanged):
            return [_tick_frame(event, is_yes) for is_yes in (True, False)]
        if isinstance(event, MarketResolved):
            return [_resolved_frame(event)]
        return []

    def snapshot(self, market: ListedMarket, is_yes: bool) -> str:
        """The `book` object that answers a subscription."""
        book = self.books[market.condition_id]
        at_ms = market.updated_ns // _NS_PER_MS
        bids, asks = book.levels(is_yes)
        return (
            f'{{"market":"{market.condition_id}","asset_id":"{market.token(is_yes)}",'
            f'"timestamp":"{at_ms}","hash":"{book.hash(is_yes, at_ms)}","bids":{bids},"asks":{asks},'
            f'"tick_size":"{format_price(market.tick_e4)}","event_type":"book",'
            f'"last_trade_price":"{book.last_trade_text()}"}}'
        )

    def _level_changed(self, event: LevelChanged, is_watched: bool) -> list[MarketFrame]:
        book = self.books[event.market.condition_id]
        before = book.touch(is_yes=True)
        book.set_level(event.is_bid, event.price_e4, event.size_e6)
        if event.trade is not None:
            # As recorded: in the terms of the resting order's token, whichever the taker traded.
            book.last_trade_e4 = event.price_e4 if event.origin_is_yes else PRICE_ONE_E4 - event.price_e4
        if not is_watched:
            return []
        at_ms = event.at_ns // _NS_PER_MS
        hashes = {is_yes: book.hash(is_yes, at_ms) for is_yes in (True, False)}
        frames = [_price_change(event, book, hashes, at_ms)]
        if event.trade is not None:
            frames += [_book_frame(book, is_yes, hashes[is_yes], at_ms) for is_yes in (True, False)]
            frames.append(_last_trade(event.trade, at_ms))
        if before != book.touch(is_yes=True):
            frames += [_best_bid_ask(book, is_yes, at_ms) for is_yes in (True, False)]
        return frames


def _price_change(event: LevelChanged, book: BookText, hashes: dict[bool, str], at_ms: int) -> MarketFrame:
    market = event.market
    size = format_e6(event.size_e6)
    entries = []
    for is_yes in (event.origin_is_yes, not event.origin_is_yes):
        price = event.price_e4 if is_yes else PRICE_ONE_E4 - event.price_e4
        bid, ask = book.touch(is_yes)
        entries.append(
            f'{{"asset_id":"{market.token(is_yes)}", "price":"{format_price(price)}", "size":"{size}", '
            f'"side":"{side_word(event.is_bid, is_yes)}", "hash":"{hashes[is_yes]}", '
            f'"best_bid":"{_bid_text(bid)}", "best_ask":"{_ask_text(ask)}"}}'
        )
    text = (
        f'{{"market":"{market.condition_id}", "price_changes":[{", ".join(entries)}], '
        f'"timestamp":"{at_ms}", "event_type":"price_change"}}'
    )
    return MarketFrame(tokens=(market.yes_token, market.no_token), text=text, at_ms=at_ms)


def _book_frame(book: BookText, is_yes: bool, digest: str, at_ms: int) -> MarketFrame:
    market = book.market
    bids, asks = book.levels(is_yes)
    text = (
        f'{{"market":"{market.condition_id}","asset_id":"{market.token(is_yes)}","bids":{bids},"asks":{asks},'
        f'"hash":"{digest}","timestamp":"{at_ms}","event_type":"book"}}'
    )
    return MarketFrame(tokens=(market.token(is_yes),), text=text, at_ms=at_ms)


def _last_trade(trade: Trade, at_ms: int) -> MarketFrame:
    market = trade.market
    text = (
        f'{{"market":"{market.condition_id}","asset_id":"{trade.taker.token}",'
        f'"price":"{format_price(trade.price_e4)}","size":"{format_e6(trade.size_e6)}",'
        f'"fee_rate_bps":"{fee_rate_bps(market)}","side":"{trade.taker.side}","timestamp":"{at_ms}",'
        f'"event_type":"last_trade_price","transaction_hash":"{trade.tx_hash}"}}'
    )
    return MarketFrame(tokens=(trade.taker.token,), text=text, at_ms=at_ms)


def _best_bid_ask(book: BookText, is_yes: bool, at_ms: int) -> MarketFrame:
    market = book.market
    bid, ask = book.touch(is_yes)
    spread = format_price((PRICE_ONE_E4 if ask is None else ask) - (bid or 0))
    text = (
        f'{{"market":"{market.condition_id}","asset_id":"{market.token(is_yes)}",'
        f'"best_bid":"{_bid_text(bid)}","best_ask":"{_ask_text(ask)}","spread":"{spread}",'
        f'"timestamp":"{at_ms}","event_type":"best_bid_ask"}}'
    )
    return MarketFrame(tokens=(market.token(is_yes),), text=text, at_ms=at_ms, is_custom=True)


def _tick_frame(event: TickChanged, is_yes: bool) -> MarketFrame:
    market, at_ms = event.market, event.at_ns // _NS_PER_MS
    text = (
        f'{{"market":"{market.condition_id}","asset_id":"{market.token(is_yes)}",'
        f'"old_tick_size":"{format_price(event.old_e4)}","new_tick_size":"{format_price(event.new_e4)}",'
        f'"timestamp":"{at_ms}","event_type":"tick_size_change"}}'
    )
    return MarketFrame(tokens=(market.token(is_yes),), text=text, at_ms=at_ms)


def _event_message(market: ListedMarket) -> dict[str, object]:
    return {
        "id": market.question_id,
        "ticker": market.slug,
        "slug": market.slug,
        "title": market.question,
        "description": "",
    }


def _new_market_frame(event: MarketListed) -> MarketFrame:
    """Goes to everyone with custom features, whatever they watch (recorded-data.md fact 9)."""
    market, at_ms = event.market, event.at_ns // _NS_PER_MS
    tokens = [market.yes_token, market.no_token]
    body: dict[str, object] = {
        "id": market.question_id,
        "question": market.question,
        "market": market.condition_id,
        "condition_id": market.condition_id,
        "slug": market.slug,
        "description": "",
        "assets_ids": tokens,
        "clob_token_ids": tokens,
        "outcomes": list(market.outcomes),
        "event_message": _event_message(market),
        "timestamp": str(at_ms),
        "event_type": "new_market",
        "tags": [],
        "active": True,
        "sports_market_type": "",
        "line": "",
        "game_start_time": "",
        "order_price_min_tick_size": format_price(market.tick_e4),
        "group_item_title": "",
        "taker_base_fee": fee_rate_bps(market),
        "fees_enabled": market.fee_rate_e4 > 0,
        "fee_schedule": {
            "exponent": "1",
            "rate": format_price(market.fee_rate_e4),
            "taker_only": True,
            "rebate_rate": _REBATE_RATE,
        },
    }
    text = json.dumps(body, ensure_ascii=False, separators=(", ", ":"))
    return MarketFrame(tokens=(), text=text, at_ms=at_ms, is_custom=True)


def _resolved_frame(event: MarketResolved) -> MarketFrame:
    market, at_ms = event.market, event.at_ns // _NS_PER_MS
    winner = {"YES": True, "NO": False}.get(market.winner or "")
    body: dict[str, object] = {
        "id": market.question_id,
        "market": market.condition_id,
        "assets_ids": [market.yes_token, market.no_token],
        "winning_asset_id": "" if winner is None else market.token(winner),
        "winning_outcome": "" if winner is None else market.outcome(winner),
        "event_message": _event_message(market),
        "tags": [],
        "timestamp": str(at_ms),
        "event_type": "market_resolved",
    }
    text = msgspec.json.encode(body).decode()
    return MarketFrame(tokens=(market.yes_token, market.no_token), text=text, at_ms=at_ms, is_custom=True)


def fee_rate_bps(market: ListedMarket) -> str:
    """The legacy number of a market with fees; never the charged rate (§7)."""
    return "1000" if market.fee_rate_e4 else "0"


def _bid_text(price_e4: int | None) -> str:
    """Best bid; an empty side reads "0" on the venue's wire."""
    return "0" if price_e4 is None else format_price(price_e4)


def _ask_text(price_e4: int | None) -> str:
    """Best ask; an empty side reads "1" on the venue's wire."""
    return "1" if price_e4 is None else format_price(price_e4)
