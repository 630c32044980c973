"""Who hears what: subscriptions of the market, user and price channels, and the queues to their sockets.

Pure but for the queues: hubs are told of events and put texts into outboxes; `sockets.py` empties them.
A consumer that lets its outbox fill is disconnected, as a venue does with slow consumers.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

import msgspec

from clawswarm.sandbox.exchange.events import Event, OrderChanged, TradeUpdated
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.streams.market_frames import MarketFrames
from clawswarm.sandbox.streams.user_frames import order_frame, parties, trade_frame

OUTBOX_LIMIT = 20_000
ASSET_LIMIT = 500
PRICE_TOPIC = "crypto_prices_chainlink"
_PRICE_HISTORY = 60
_VALUE_SCALE = 10**12


class Outbox:
    """Texts on their way to one socket, in order."""

    def __init__(self) -> None:
        self.has_overflowed = False
        self._texts: deque[str] = deque()
        self._is_filled = asyncio.Event()

    def put(self, text: str) -> None:
        """Queue a text; beyond the limit the connection is given up."""
        if len(self._texts) >= OUTBOX_LIMIT:
            self.has_overflowed = True
        else:
            self._texts.append(text)
        self._is_filled.set()

    async def take(self) -> list[str]:
        """Wait for texts and return all of them."""
        await self._is_filled.wait()
        self._is_filled.clear()
        texts = list(self._texts)
        self._texts.clear()
        return texts


class MarketListener:
    """One market-channel connection. `is_swallowed`: a black hole has it, nothing reaches it any more."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.tokens: set[str] = set()
        self.has_custom_features = False
        self.is_swallowed = False


class MarketHub:
    """Subscriptions of the market channel by token."""

    def __init__(self) -> None:
        self.frames = MarketFrames()
        self.listeners: set[MarketListener] = set()
        self._by_token: dict[str, set[MarketListener]] = {}

    def subscribe(
        self, listener: MarketListener, tokens: Iterable[str], known: dict[str, tuple[ListedMarket, bool]]
    ) -> None:
        """Add tokens and answer with one array of their books; unknown and closed tokens are left out."""
        books = []
        for token in dict.fromkeys(tokens):
            listener.tokens.add(token)
            self._by_token.setdefault(token, set()).add(listener)
            if (found := known.get(token)) is not None and found[0].is_open:
                books.append(self.frames.snapshot(*found))
        if len(listener.tokens) <= ASSET_LIMIT:
            listener.outbox.put(f"[{','.join(books)}]")

    def unsubscribe(self, listener: MarketListener, tokens: Iterable[str]) -> None:
        """Drop tokens; no answer."""
        for token in tokens:
            listener.tokens.discard(token)
            self._by_token.get(token, set()).discard(listener)

    def drop(self, listener: MarketListener) -> None:
        """Forget a connection."""
        self.unsubscribe(listener, list(listener.tokens))
        self.listeners.discard(listener)

    def swallow_all(self) -> None:
        """Cut every open connection off without closing it."""
        for listener in self.listeners:
            listener.is_swallowed = True

    def publish(self, event: Event) -> None:
        """Send an event's frames to whoever watches its tokens."""
        if isinstance(event, OrderChanged | TradeUpdated):
            return
        market = event.market
        is_watched = bool(self._by_token.get(market.yes_token) or self._by_token.get(market.no_token))
        for frame in self.frames.render(event, is_watched):
            sets = [listeners for token in frame.tokens if (listeners := self._by_token.get(token))]
            for listener in set().union(*sets):
                if not listener.is_swallowed and (listener.has_custom_features or not frame.is_custom):
                    listener.outbox.put(frame.text)


class UserListener:
    """One authenticated user-channel connection; `markets` None means all."""

    def __init__(self, key: str, markets: set[str] | None) -> None:
        self.key = key
        self.markets = markets
        self.outbox = Outbox()


class UserHub:
    """Subscriptions of the user channel by API key."""

    def __init__(self) -> None:
        self._by_key: dict[str, set[UserListener]] = {}

    @property
    def connection_count(self) -> int:
        """Connections of accounts, all keys together."""
        return sum(len(listeners) for listeners in self._by_key.values())

    def add(self, listener: UserListener) -> None:
        """Start sending a key's events."""
        self._by_key.setdefault(listener.key, set()).add(listener)

    def drop(self, listener: UserListener) -> None:
        """Forget a connection."""
        self._by_key.get(listener.key, set()).discard(listener)

    def publish(self, event: Event) -> None:
        """Send order and trade events to the keys they concern."""
        if isinstance(event, OrderChanged):
            owner = event.order.owner
            if owner and self._by_key.get(owner):
                self._send(owner, event.order.market.condition_id, order_frame(event))
        elif isinstance(event, TradeUpdated):
            for owner, address in parties(event.trade).items():
                if self._by_key.get(owner):
                    market = event.trade.market.condition_id
                    self._send(owner, market, trade_frame(event, owner, address))

    def _send(self, owner: str, condition_id: str, frame: dict[str, object]) -> None:
        text = msgspec.json.encode(frame).decode()
        for listener in self._by_key[owner]:
            if listener.markets is None or condition_id in listener.markets:
                listener.outbox.put(text)


class PriceListener:
    """One price-stream connection; `symbols` None means all, empty means nothing subscribed."""

    def __init__(self, connection_id: str) -> None:
        self.connection_id = connection_id
        self.symbols: set[str] | None = set()
        self.outbox = Outbox()


class PriceHub:
    """The RTDS topic `crypto_prices_chainlink` (polymarket.md §5.4)."""

    def __init__(self) -> None:
        self.listeners: set[PriceListener] = set()
        self._history: dict[str, deque[dict[str, object]]] = {}

    def subscribe(self, listener: PriceListener, symbols: set[str] | None, now_ms: int) -> None:
        """Start a listener; the first frame of each symbol is the history, mislabelled as recorded."""
        listener.symbols = symbols
        for symbol, ticks in self._history.items():
            if symbols is None or symbol in symbols:
                payload = {"data": list(ticks), "symbol": symbol}
                frame = {
                    "payload": payload,
                    "timestamp": now_ms,
                    "topic": "crypto_prices",
                    "type": "subscribe",
                }
                listener.outbox.put(msgspec.json.encode(frame).decode())

    def publish(self, underlying: str, value_e6: int, now_ms: int) -> None:
        """Send one reference price."""
        symbol = f"{underlying.lower()}/usd"
        value, at_ms = value_e6 / 1_000_000, now_ms - now_ms % 1000
        ticks = self._history.setdefault(symbol, deque(maxlen=_PRICE_HISTORY))
        ticks.append({"timestamp": at_ms, "value": value})
        payload = {
            "full_accuracy_value": str(value_e6 * _VALUE_SCALE),
            "symbol": symbol,
            "timestamp": at_ms,
            "value": value,
        }
        for listener in self.listeners:
            if listener.symbols is None or symbol in listener.symbols:
                frame = {
                    "connection_id": listener.connection_id,
                    "payload": payload,
                    "timestamp": now_ms,
                    "topic": PRICE_TOPIC,
                    "type": "update",
                }
                listener.outbox.put(msgspec.json.encode(frame).decode())
