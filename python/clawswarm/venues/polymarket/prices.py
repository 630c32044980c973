"""Reference prices of both streams: what to subscribe to, and how to read it (polymarket.md §5.4, §5.5).

RTDS numbers nothing and answers no PING: only its data show that it lives. PolyBolt wants an API key and numbers
the frames of each channel; a hole, or frames that it says it dropped, is mended by subscribing that channel anew,
which brings its last two minutes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from clawswarm.model.errors import Retry, UserFault, WireFault
from clawswarm.model.units import MICRO
from clawswarm.venues.polymarket.wire import UNREADABLE

HIGHEST_PRICE = 1e12
"""No underlying costs this much in USD; a stream that says so is not believed."""
FEED_OF_TOPIC = {
    "crypto_prices": "binance",
    "crypto_prices_chainlink": "chainlink",
    "crypto_prices_twap_thirty": "twap30",
    "crypto_prices_twap_sixty": "twap60",
}
COINS = ("btc", "eth", "sol", "xrp", "bnb", "doge", "hype")
_WINDOW_S = 60


class PriceTick(msgspec.Struct, frozen=True):
    """One price of an underlying from one feed; `source_ms` is the feed's own clock."""

    feed: str
    underlying: str
    value_e6: int
    source_ms: int


class Heard(msgspec.Struct, frozen=True):
    """What a frame led to."""

    ticks: tuple[PriceTick, ...] = ()
    answers: tuple[bytes, ...] = ()
    lost: int = 0
    """Frames that never came, as far as their numbers tell."""


class PriceStream(Protocol):
    """One connection, from its first frame on. `ping` asks for a sign of life."""

    ping: bytes

    def hello(self) -> bytes:
        """First frame."""

    def hear(self, frame: bytes) -> Heard:
        """Take one frame. Raises Retry when the stream refuses, WireFault on nonsense."""


# --- RTDS -----------------------------------------------------------------------------------------


class _RtdsPayload(msgspec.Struct, frozen=True):
    symbol: str = ""
    timestamp: int = 0
    value: float | None = None


class _RtdsFrame(msgspec.Struct, frozen=True):
    topic: str = ""
    type: str = ""
    payload: _RtdsPayload = _RtdsPayload()


_decode_rtds = msgspec.json.Decoder(_RtdsFrame).decode


class Rtds:
    """One connection that follows every symbol of every feed."""

    ping = b"PING"

    def hello(self) -> bytes:
        """First frame. One unknown topic would spoil all of them."""
        topics = [{"topic": topic, "type": "update", "filters": ""} for topic in FEED_OF_TOPIC]
        return msgspec.json.encode({"action": "subscribe", "subscriptions": topics})

    def hear(self, frame: bytes) -> Heard:
        """Take one frame: an update has a price. Raises WireFault when it is not JSON of that shape."""
        try:
            message = _decode_rtds(frame)
        except UNREADABLE as fault:
            raise WireFault(f"price stream: {fault}") from fault
        payload, feed = message.payload, FEED_OF_TOPIC.get(message.topic)
        if feed is None or message.type != "update" or payload.value is None:
            return Heard()
        return Heard((_tick(feed, payload.symbol, payload.value, payload.timestamp),))


# --- PolyBolt -------------------------------------------------------------------------------------


class PolyBoltCredentials(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """An API key; one without orders or money of its own is enough."""

    api_key: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return "PolyBoltCredentials(…)"


def read_polybolt_key(path: Path) -> PolyBoltCredentials:
    """Read a key from its file. Raises UserFault, which shows nothing of what is in it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=PolyBoltCredentials)
    except (OSError, *UNREADABLE) as fault:
        raise UserFault(
            f"cannot read the PolyBolt key {path} ({type(fault).__name__}): "
            "it is JSON with the texts apiKey, secret and passphrase"
        ) from None


class _Point(msgspec.Struct, frozen=True):
    timestamp: int
    value: float


class _PolyBoltPayload(msgspec.Struct, frozen=True):
    symbol: str = ""
    source: str = ""
    timestamp: int | None = None
    value: float | None = None
    window_seconds: int | None = None
    data: list[_Point] = []


class _PolyBoltFrame(msgspec.Struct, frozen=True):
    op: str = ""
    code: str = ""
    channel: str = ""
    seq: int | None = None
    dropped: int = 0
    payload: _PolyBoltPayload | None = None


_decode_polybolt = msgspec.json.Decoder(_PolyBoltFrame).decode


class PolyBolt:
    """One connection that follows the prices of some coins."""

    ping = b'{"op":"ping"}'

    def __init__(self, credentials: PolyBoltCredentials, coins: Sequence[str] = COINS) -> None:
        self._credentials = credentials
        self._entries: dict[str, list[dict[str, object]]] = {"price.crypto": [], "price.crypto.twap": []}
        for coin in coins:
            symbol = f"{coin}usd"
            for provider in ("pyth", "chainlink"):
                entry = {"symbol": symbol, "provider": provider}
                self._entries["price.crypto"].append({"channel": "price.crypto", "filter": entry})
            average = {"symbol": symbol, "window_seconds": _WINDOW_S}
            self._entries["price.crypto.twap"].append({"channel": "price.crypto.twap", "filter": average})
        self._last: dict[str, int] = {}

    def hello(self) -> bytes:
        """First frame."""
        return msgspec.json.encode({"op": "auth", "rid": "auth", "auth": self._credentials})

    def hear(self, frame: bytes) -> Heard:
        """Take one frame. Raises Retry when the stream refuses, WireFault on nonsense."""
        try:
            message = _decode_polybolt(frame)
        except UNREADABLE as fault:
            raise WireFault(f"price stream: {fault}") from fault
        if message.op == "error":
            raise Retry(f"the price stream refuses: {message.code}")
        if message.op == "authed":
            return Heard(answers=tuple(self._change("subscribe", channel) for channel in self._entries))
        if message.payload is None or message.seq is None:
            return Heard()
        last = self._last.get(message.channel, 0)
        if message.seq <= last:
            return Heard()
        self._last[message.channel] = message.seq
        lost = message.seq - last - 1 + message.dropped
        answers: tuple[bytes, ...] = ()
        if lost and message.channel in self._entries:
            # What the lost frames said comes again with the snapshots.
            answers = (
                self._change("unsubscribe", message.channel),
                self._change("subscribe", message.channel),
            )
        return Heard(_ticks(message.channel, message.payload), answers, lost)

    def _change(self, operation: str, channel: str) -> bytes:
        return msgspec.json.encode(
            {"op": operation, "rid": f"{operation} {channel}", "subscriptions": self._entries[channel]}
        )


def _ticks(channel: str, payload: _PolyBoltPayload) -> tuple[PriceTick, ...]:
    feed = payload.source
    if channel == "price.crypto.twap":
        feed = f"twap{payload.window_seconds}"
    points = list(payload.data)
    if payload.timestamp is not None and payload.value is not None:
        points.append(_Point(payload.timestamp, payload.value))
    return tuple(_tick(feed, payload.symbol, point.value, point.timestamp) for point in points)


def _tick(feed: str, symbol: str, value: float, source_ms: int) -> PriceTick:
    if not 0 <= value < HIGHEST_PRICE:
        raise WireFault(f"price stream: {symbol} at {value}")
    # "btc/usd", "btcusdt" and "btcusd" are one coin.
    coin = symbol.lower().removesuffix("usdt").removesuffix("usd").removesuffix("/")
    return PriceTick(feed, coin.upper(), round(value * MICRO), source_ms)
