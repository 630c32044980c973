"""WebSockets of the venue: /ws/market, /ws/user and the price stream /rtds (polymarket.md §5)."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from clawswarm.sandbox.faults import Channel
from clawswarm.sandbox.streams.hubs import PRICE_TOPIC, MarketListener, PriceListener, UserListener
from clawswarm.sandbox.streams.outbox import Outbox
from clawswarm.sandbox.venue import Venue

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_LARGEST_FRAME_BYTES = 1 << 20
_BLACK_HOLE_POLL_S = 0.02
_GOING_AWAY = 1001
_NORMAL = 1000
_ABNORMAL = 1006
_POLICY = 1008


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
        await self._black_hole_over("market", request)
        listener = MarketListener()
        hub = self._venue.market_hub
        hub.listeners.add(listener)
        expiry = self._expect_subscription(listener.outbox)

        def hear(text: str) -> None:
            try:
                asked = msgspec.json.decode(text, type=_MarketMessage)
            except (msgspec.MsgspecError, RecursionError):
                return
            if asked.custom_feature_enabled is not None:
                listener.has_custom_features = asked.custom_feature_enabled
            if asked.operation == "unsubscribe":
                hub.unsubscribe(listener, asked.assets_ids)
            elif asked.operation == "subscribe" or asked.type.lower() == "market":
                expiry()
                hub.subscribe(listener, asked.assets_ids, self._venue.exchange.tokens)

        async def receive(socket: web.WebSocketResponse) -> None:
            async for message in socket:
                text = await _plain_text(socket, listener.outbox, message)
                if text is not None:
                    hear(text)
            if listener.outbox.is_swallowed:
                await self._black_hole_over("market", request)

        try:
            return await self._serve("market", request, listener.outbox, receive)
        finally:
            expiry()
            hub.drop(listener)

    # --- user -----------------------------------------------------------------------------------

    async def user(self, request: web.Request) -> web.WebSocketResponse:
        """Orders and trades of one key; wrong credentials close the connection."""
        await self._black_hole_over("user", request)
        outbox = Outbox()
        listener: UserListener | None = None
        hub = self._venue.user_hub
        expiry = self._expect_subscription(outbox)

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
                    expiry()
                    hub.add(listener)
            if outbox.is_swallowed:
                await self._black_hole_over("user", request)

        try:
            return await self._serve("user", request, outbox, receive)
        finally:
            expiry()
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
            return await self._serve("prices", request, listener.outbox, receive)
        finally:
            hub.listeners.discard(listener)

    # --- inside ---------------------------------------------------------------------------------

    async def _serve(
        self,
        channel: str,
        request: web.Request,
        outbox: Outbox,
        receive: Callable[[web.WebSocketResponse], Coroutine[None, None, None]],
    ) -> web.WebSocketResponse:
        """Upgrade, write the outbox while `receive` reads, until either ends."""
        socket = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, max_msg_size=_LARGEST_FRAME_BYTES
        )
        await socket.prepare(request)
        connections = self._venue.connections
        connections.add(channel, outbox)
        self._open.add(socket)
        writing = asyncio.create_task(_write(socket, outbox))
        reading = asyncio.create_task(receive(socket))
        try:
            await asyncio.wait((writing, reading), return_when=asyncio.FIRST_COMPLETED)
            is_cut = outbox.has_overflowed or outbox.closing_code == _ABNORMAL
            if is_cut and request.transport is not None:
                request.transport.abort()
        finally:
            connections.discard(channel, outbox)
            self._open.discard(socket)
            for task in (writing, reading):
                task.cancel()
            await asyncio.gather(writing, reading, return_exceptions=True)
        with suppress(ConnectionError, RuntimeError):
            await socket.close(code=outbox.closing_code or _NORMAL)
        return socket

    def _expect_subscription(self, outbox: Outbox) -> Callable[[], None]:
        """Drop the client unless the returned function is called in time."""
        timeout_s = self._venue.settings.subscribe_timeout_s
        if not timeout_s:
            return lambda: None
        return asyncio.get_running_loop().call_later(timeout_s, outbox.close, _POLICY).cancel

    async def _black_hole_over(self, channel: Channel, request: web.Request) -> None:
        """Wait for the end of a black hole, or for the client to give up."""
        # Polled, since the control port may end the hole early or make it longer.
        while self._venue.faults.black_hole_left_ns(self._now_ns(), channel):
            if request.transport is None or request.transport.is_closing():
                return
            await asyncio.sleep(_BLACK_HOLE_POLL_S)


async def _write(socket: web.WebSocketResponse, outbox: Outbox) -> None:
    with suppress(ConnectionError, RuntimeError):
        while outbox.is_open:
            for text in await outbox.take():
                await socket.send_str(text)
                if not outbox.is_open:
                    return


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
    if not named:
        return
    if asked.operation == "subscribe":
        listener.markets = named if listener.markets is None else listener.markets | named
    elif asked.operation == "unsubscribe" and listener.markets is not None:
        listener.markets -= named


async def _plain_text(socket: web.WebSocketResponse, outbox: Outbox, message: WSMessage) -> str | None:
    """The text of a message that is not a PING; PINGs are answered here. A black hole hears nothing."""
    if outbox.is_swallowed:
        return None
    if message.type is WSMsgType.PING:
        await socket.pong(message.data)
    if message.type is not WSMsgType.TEXT:
        return None
    if message.data == "PING":
        outbox.put("PONG")
        return None
    return str(message.data)
