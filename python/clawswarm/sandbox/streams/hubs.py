"""Who hears what: subscriptions of the market and user channels.

Pure but for the queues: hubs are told of events and put texts into outboxes; `sockets.py` empties them.
"""

from collections.abc import Iterable
from random import Random

import msgspec

from clawswarm.sandbox.exchange.events import MarketEvent, OrderChanged, TradeUpdated
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.streams.disturbance import Disorder, Disturbance
from clawswarm.sandbox.streams.garbled import garble
from clawswarm.sandbox.streams.market_frames import MarketFrame, MarketFrames
from clawswarm.sandbox.streams.outbox import Outbox
from clawswarm.sandbox.streams.user_frames import order_frame, parties, trade_frame

ASSET_LIMIT = 500
_NS_PER_MS = 1_000_000


class MarketListener:
    """One market-channel connection."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.tokens: set[str] = set()
        self.has_custom_features = False


class MarketHub:
    """Subscriptions of the market channel by token; `disorder_share` of neighbours steps back in time."""

    def __init__(self, disorder_share: float = 0, seed: int = 0) -> None:
        self.frames = MarketFrames()
        # In order of appearance, as everywhere below: the order of a set would decide who hears first.
        self.listeners: dict[MarketListener, None] = {}
        random = Random(seed)
        self.disturbance = Disturbance[MarketFrame](Disorder(disorder_share, random), random, garble)
        self._by_token: dict[str, dict[MarketListener, None]] = {}

    def subscribe(
        self, listener: MarketListener, tokens: Iterable[str], known: dict[str, tuple[ListedMarket, bool]]
    ) -> None:
        """Add tokens and answer with one array of their books; unknown and closed tokens are left out.

        A connection that watches more than 500 tokens gets no books (polymarket.md §5.1).
        """
        asked = list(dict.fromkeys(tokens))
        for token in asked:
            listener.tokens.add(token)
            self._by_token.setdefault(token, {})[listener] = None
        if len(listener.tokens) > ASSET_LIMIT:
            return
        found = [known[token] for token in asked if token in known]
        books = [self.frames.snapshot(market, is_yes) for market, is_yes in found if market.is_open]
        listener.outbox.put(f"[{','.join(books)}]")

    def unsubscribe(self, listener: MarketListener, tokens: Iterable[str]) -> None:
        """Drop tokens; no answer."""
        for token in tokens:
            listener.tokens.discard(token)
            if (listeners := self._by_token.get(token)) is not None:
                listeners.pop(listener, None)
                if not listeners:
                    del self._by_token[token]

    def drop(self, listener: MarketListener) -> None:
        """Forget a connection."""
        self.unsubscribe(listener, list(listener.tokens))
        self.listeners.pop(listener, None)

    def publish(self, event: MarketEvent) -> None:
        """Send an event's frames to whoever watches its tokens."""
        market = event.market
        is_watched = market.yes_token in self._by_token or market.no_token in self._by_token
        frames = self.frames.render(event, is_watched)
        if frames:
            self._send(self.disturbance.pass_on(frames, event.at_ns))

    def release(self, now_ns: int) -> None:
        """Send the frames that were held until now."""
        self._send(self.disturbance.release(now_ns))

    def _send(self, frames: list[MarketFrame]) -> None:
        for frame in frames:
            for listener in self._audience(frame.tokens):
                if listener.has_custom_features or not frame.is_custom:
                    listener.outbox.put(frame.text)

    def _audience(self, tokens: tuple[str, ...]) -> dict[MarketListener, None]:
        if not tokens:
            return self.listeners
        audiences = [listeners for token in tokens if (listeners := self._by_token.get(token))]
        if len(audiences) == 1 or (len(audiences) == 2 and audiences[0] == audiences[1]):
            return audiences[0]
        return {listener: None for listeners in audiences for listener in listeners}


class UserListener:
    """One authenticated user-channel connection; `markets` None means all."""

    def __init__(self, key: str, markets: set[str] | None) -> None:
        self.key = key
        self.markets = markets
        self.outbox = Outbox()


class UserFrame(msgspec.Struct, frozen=True):
    """One text for every connection of a key that watches its market."""

    key: str
    condition_id: str
    text: str
    at_ms: int
    tokens: tuple[str, ...] = ()


class UserHub:
    """Subscriptions of the user channel by API key."""

    def __init__(self, seed: int = 0) -> None:
        random = Random(seed)
        self.disturbance = Disturbance[UserFrame](Disorder(0, random), random)
        self._by_key: dict[str, dict[UserListener, None]] = {}

    @property
    def connection_count(self) -> int:
        """Connections of accounts, all keys together."""
        return sum(len(listeners) for listeners in self._by_key.values())

    def add(self, listener: UserListener) -> None:
        """Start sending a key's events."""
        self._by_key.setdefault(listener.key, {})[listener] = None

    def drop(self, listener: UserListener) -> None:
        """Forget a connection."""
        if (listeners := self._by_key.get(listener.key)) is not None:
            listeners.pop(listener, None)
            if not listeners:
                del self._by_key[listener.key]

    def publish(self, event: OrderChanged | TradeUpdated) -> None:
        """Send an event to the keys it concerns."""
        if isinstance(event, OrderChanged):
            owner = event.order.owner
            if owner in self._by_key:
                self._pass_on(owner, event.order.market, order_frame(event), event.at_ns)
            return
        for owner, address in parties(event.trade).items():
            if owner in self._by_key:
                self._pass_on(owner, event.trade.market, trade_frame(event, owner, address), event.at_ns)

    def release(self, now_ns: int) -> None:
        """Send the frames that were held until now."""
        self._send(self.disturbance.release(now_ns))

    def _pass_on(self, owner: str, market: ListedMarket, body: dict[str, object], at_ns: int) -> None:
        text = msgspec.json.encode(body).decode()
        frame = UserFrame(owner, market.condition_id, text, at_ns // _NS_PER_MS)
        self._send(self.disturbance.pass_on([frame], at_ns))

    def _send(self, frames: list[UserFrame]) -> None:
        for frame in frames:
            for listener in self._by_key.get(frame.key, ()):
                if listener.markets is None or frame.condition_id in listener.markets:
                    listener.outbox.put(frame.text)
