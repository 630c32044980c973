"""WebSockets of the venue: /ws/market, /ws/user and the price stream /rtds (polymarket.md §5)."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from clawswarm.sandbox.streams.hubs import PRICE_TOPIC, MarketListener, Outbox, PriceListener, UserListener
from clawswarm.sandbox.venue import Venue

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_LARGEST_FRAME_BYTES = 1 << 20
_BLACK_HOLE_POLL_S = 0.02
_GOING_AWAY = 1001


class _MarketMessage(msgspec.Struct):
    type: str = ""
    operation: str = ""
    assets_ids: list[str] = []
    custom_feature_enabled: bool | None = None


class _Credentials(msgspec.Struct):
    apiKey: str  # noqa: N815 - the wire's spelling
    secret: str
    passphrase: str


class _UserMessage(msgspec.Struct):
    type: str = ""
    operation: str = ""
    auth: _Credentials | None = None
    markets: list[str] | None = None


class _PriceSubscription(msgspec.Struct):
    topic: str
    type: str = "*"
    filters: str = ""


class _PriceMessage(msgspec.Struct):
    action: str
    subscriptions: list[_PriceSubscription] = []


class _SymbolFilter(msgspec.Struct):
    symbol: str


class VenueSockets:
    """Handlers of the three channels."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._now_ns = now_ns
        self._connections = 0
        self._open: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        """Path of every channel."""
        return [
            web.get("/ws/market", self.market),
            web.get("/ws/user", self.user),
            web.get("/rtds", self.prices),
        ]

    async def close_all(self) -> None:
        """Say goodbye to every client."""
        goodbyes = [asyncio.wait_for(socket.close(code=_GOING_AWAY), timeout=1) for socket in self._open]
        await asyncio.gather(*goodbyes, return_exceptions=True)

    # --- market ---------------------------------------------------------------------------------

    async def market(self, request: web.Request) -> web.WebSocketResponse:
        """Public books and trades."""
        await self._black_hole_over()
        listener = MarketListener()
        hub = self._venue.market_hub
        hub.listeners.add(listener)

        async def receive(socket: web.WebSocketResponse) -> None:
            async for message in socket:
                if not listener.is_swallowed:
                    await self._market_message(listener, socket, message)
            if listener.is_swallowed:
                await self._black_hole_over()

        try:
            return await self._serve(request, listener.outbox, receive)
        finally:
            hub.drop(listener)

    async def _market_message(
        self, listener: MarketListener, socket: web.WebSocketResponse, message: WSMessage
    ) -> None:
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        if message.type is not WSMsgType.TEXT:
            return
        if message.data == "PING":
            listener.outbox.put("PONG")
            return
        try:
            asked = msgspec.json.decode(message.data, type=_MarketMessage)
        except (msgspec.MsgspecError, RecursionError):
            return
        if asked.custom_feature_enabled is not None:
            listener.has_custom_features = asked.custom_feature_enabled
        hub, exchange = self._venue.market_hub, self._venue.exchange
        if asked.operation == "unsubscribe":
            hub.unsubscribe(listener, asked.assets_ids)
        elif asked.operation == "subscribe" or asked.type.lower() == "market":
            hub.subscribe(listener, asked.assets_ids, exchange.tokens)

    async def _black_hole_over(self) -> None:
        # Polled, since the control port may end the hole early or make it longer.
        while left_ns := self._venue.faults.black_hole_left_ns(self._now_ns()):  # noqa: ASYNC110
            await asyncio.sleep(min(_BLACK_HOLE_POLL_S, left_ns / _NS_PER_S))

    # --- user -----------------------------------------------------------------------------------

    async def user(self, request: web.Request) -> web.WebSocketResponse:
        """Orders and trades of one key; wrong credentials close the connection."""
        outbox = Outbox()
        listener: UserListener | None = None
        hub = self._venue.user_hub

        async def receive(socket: web.WebSocketResponse) -> None:
            nonlocal listener
            async for message in socket:
                if (text := await _plain_text(socket, outbox, message)) is None:
                    continue
                try:
                    asked = msgspec.json.decode(text, type=_UserMessage)
                except (msgspec.MsgspecError, RecursionError):
                    continue
                if listener is not None:
                    _change_markets(listener, asked)
                elif (listener := self._authenticate(asked, outbox)) is None:
                    return
                else:
                    hub.add(listener)

        try:
            return await self._serve(request, outbox, receive)
        finally:
            if listener is not None:
                hub.drop(listener)

    def _authenticate(self, asked: _UserMessage, outbox: Outbox) -> UserListener | None:
        if asked.auth is None:
            return None
        auth = asked.auth
        key = self._venue.keys.check_plain(auth.apiKey, auth.secret, auth.passphrase)
        if key is None:
            return None
        listener = UserListener(key.key, set(asked.markets) if asked.markets else None)
        listener.outbox = outbox
        return listener

    # --- prices ---------------------------------------------------------------------------------

    async def prices(self, request: web.Request) -> web.WebSocketResponse:
        """Reference prices; a PING gets no answer, as on the real stream."""
        self._connections += 1
        listener = PriceListener(f"sandbox-{self._connections}")
        hub = self._venue.price_hub
        hub.listeners.add(listener)

        async def receive(socket: web.WebSocketResponse) -> None:
            async for message in socket:
                if message.type is WSMsgType.PING:
                    await socket.pong(message.data)
                if message.type is not WSMsgType.TEXT or message.data == "PING":
                    continue
                try:
                    asked = msgspec.json.decode(message.data, type=_PriceMessage)
                except (msgspec.MsgspecError, RecursionError):
                    continue
                if asked.action == "subscribe":
                    hub.subscribe(listener, _symbols(asked), self._now_ns() // _NS_PER_MS)
                elif asked.action == "unsubscribe":
                    listener.symbols = set()

        try:
            return await self._serve(request, listener.outbox, receive)
        finally:
            hub.listeners.discard(listener)

    # --- inside ---------------------------------------------------------------------------------

    async def _serve(
        self,
        request: web.Request,
        outbox: Outbox,
        receive: Callable[[web.WebSocketResponse], Coroutine[None, None, None]],
    ) -> web.WebSocketResponse:
        """Upgrade, write the outbox while `receive` reads, until either ends."""
        socket = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, max_msg_size=_LARGEST_FRAME_BYTES
        )
        await socket.prepare(request)
        self._open.add(socket)
        writing = asyncio.create_task(_write(socket, outbox))
        reading = asyncio.create_task(receive(socket))
        try:
            await asyncio.wait((writing, reading), return_when=asyncio.FIRST_COMPLETED)
            if outbox.has_overflowed and request.transport is not None:
                request.transport.abort()
        finally:
            self._open.discard(socket)
            for task in (writing, reading):
                task.cancel()
            await asyncio.gather(writing, reading, return_exceptions=True)
        with suppress(ConnectionError, RuntimeError):
            await socket.close()
        return socket


async def _write(socket: web.WebSocketResponse, outbox: Outbox) -> None:
    with suppress(ConnectionError, RuntimeError):
        while not outbox.has_overflowed:
            for text in await outbox.take():
                await socket.send_str(text)


def _symbols(asked: _PriceMessage) -> set[str] | None:
    """Symbols asked for, None for all; one unknown topic or a space in a filter spoils everything."""
    symbols: set[str] = set()
    for subscription in asked.subscriptions:
        if subscription.topic != PRICE_TOPIC or " " in subscription.filters:
            return set()
        if not subscription.filters:
            return None
        try:
            symbols.add(msgspec.json.decode(subscription.filters, type=_SymbolFilter).symbol)
        except (msgspec.MsgspecError, RecursionError):
            return set()
    return symbols


def _change_markets(listener: UserListener, asked: _UserMessage) -> None:
    named = set(asked.markets or ())
    if asked.operation == "subscribe":
        listener.markets = named if listener.markets is None else listener.markets | named
    elif asked.operation == "unsubscribe" and listener.markets is not None:
        listener.markets -= named


async def _plain_text(socket: web.WebSocketResponse, outbox: Outbox, message: WSMessage) -> str | None:
    """The text of a message that is not a PING; PINGs are answered here."""
    if message.type is WSMsgType.PING:
        await socket.pong(message.data)
    if message.type is not WSMsgType.TEXT:
        return None
    if message.data == "PING":
        outbox.put("PONG")
        return None
    return str(message.data)
