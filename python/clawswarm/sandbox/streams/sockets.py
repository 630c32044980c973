"""WebSockets of the trading core: /ws/market and /ws/user (polymarket.md §5.2, §5.3)."""

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from clawswarm.sandbox.streams.hubs import MarketListener, UserListener
from clawswarm.sandbox.streams.outbox import Outbox
from clawswarm.sandbox.streams.serving import Serving
from clawswarm.sandbox.venue import Venue


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


class VenueSockets:
    """Handlers of both channels."""

    def __init__(self, venue: Venue, serving: Serving) -> None:
        self._venue = venue
        self._serving = serving

    def routes(self) -> list[web.RouteDef]:
        """Path of every channel."""
        return [
            web.get("/ws/market", self.market),
            web.get("/ws/user", self.user),
        ]

    # --- market ---------------------------------------------------------------------------------

    async def market(self, request: web.Request) -> web.WebSocketResponse:
        """Public books and trades."""
        await self._serving.black_hole_over("market", request)
        listener = MarketListener()
        hub = self._venue.market_hub
        hub.listeners[listener] = None
        expiry = self._serving.expect_subscription(listener.outbox)

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
                await self._serving.black_hole_over("market", request)

        try:
            return await self._serving.serve("market", request, listener.outbox, receive)
        finally:
            expiry()
            hub.drop(listener)

    # --- user -----------------------------------------------------------------------------------

    async def user(self, request: web.Request) -> web.WebSocketResponse:
        """Orders and trades of one key; wrong credentials close the connection."""
        await self._serving.black_hole_over("user", request)
        outbox = Outbox()
        listener: UserListener | None = None
        hub = self._venue.user_hub
        expiry = self._serving.expect_subscription(outbox)

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
                await self._serving.black_hole_over("user", request)

        try:
            return await self._serving.serve("user", request, outbox, receive)
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
