"""Market-channel frames with planted defects: what a client must notice by hash or by sense.

corrupt-level: a `price_change` whose sizes are wrong beside the hash of the true book.
crossed-book: the true frame, then a `price_change` that puts a bid above the best ask of the first token.
"""

import msgspec

from clawswarm.model.units import PRICE_ONE_E4, format_price, parse_price_e4
from clawswarm.sandbox.streams.disturbance import FeedFaultKind
from clawswarm.sandbox.streams.market_frames import MarketFrame

_WRONG_SIZE = "987654.32"
_CENT_E4 = 100
_HIGHEST_E4 = 9_990


class _Entry(msgspec.Struct):
    asset_id: str
    price: str
    size: str
    side: str
    hash: str
    best_bid: str
    best_ask: str


class _PriceChange(msgspec.Struct):
    market: str
    price_changes: list[_Entry]
    timestamp: str
    event_type: str


def garble(frame: MarketFrame, kind: FeedFaultKind) -> list[MarketFrame] | None:
    """Falsify a `price_change`; None for a frame of another type."""
    try:
        change = msgspec.json.decode(frame.text, type=_PriceChange)
    except msgspec.ValidationError:
        return None
    if kind == "corrupt-level":
        for entry in change.price_changes:
            entry.size = _WRONG_SIZE
        return [_with(frame, change)]
    first, second = change.price_changes
    ask = parse_price_e4(first.best_ask)
    bid = ask + _CENT_E4 if ask + _CENT_E4 < PRICE_ONE_E4 else min(ask, _HIGHEST_E4)
    first.side, first.price, first.best_bid = "BUY", format_price(bid), format_price(bid)
    mirrored = format_price(PRICE_ONE_E4 - bid)
    second.side, second.price, second.best_ask = "SELL", mirrored, mirrored
    first.size = second.size = _WRONG_SIZE
    return [frame, _with(frame, change)]


def _with(frame: MarketFrame, change: _PriceChange) -> MarketFrame:
    return msgspec.structs.replace(frame, text=msgspec.json.encode(change).decode())
