"""WebSockets of the price streams: RTDS on /rtds, PolyBolt on /polybolt/ws (polymarket.md §5.4, §5.5)."""

import asyncio
from collections.abc import Callable

from aiohttp import WSMsgType, web

from clawswarm.sandbox.prices.polybolt import (
    CLOSE_SLOW,
    PING_EVERY_S,
    Credentials,
    PolyBoltSession,
)
from clawswarm.sandbox.prices.rtds import RtdsListener
from clawswarm.sandbox.streams.serving import Serving
from clawswarm.sandbox.venue import Venue

_NS_PER_MS = 1_000_000


class PriceSockets:
    """Handlers of both streams."""

    def __init__(self, venue: Venue, serving: Serving, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._serving = serving
        self._now_ns = now_ns
        self._connections = 0

    def routes(self) -> list[web.RouteDef]:
        """Path of both."""
        return [web.get("/rtds", self.rtds), web.get("/polybolt/ws", self.polybolt)]

    async def rtds(self, request: web.Request) -> web.WebSocketResponse:
        """Reference prices; a PING gets no answer, as on the real stream."""
        await self._serving.black_hole_over("rtds", request)
        self._connections += 1
        listener = RtdsListener(f"sandbox-{self._connections}")
        hub = self._venue.rtds
        hub.listeners[listener] = None

        async def receive(socket: web.WebSocketResponse) -> None:
            async for message in socket:
                if listener.outbox.is_swallowed:
                    continue
                if message.type is WSMsgType.PING:
                    await socket.pong(message.data)
                if message.type is WSMsgType.TEXT and message.data != "PING":
                    hub.hear(listener, message.data, self._now_ns() // _NS_PER_MS)

        try:
            return await self._serving.serve("rtds", request, listener.outbox, receive)
        finally:
            hub.listeners.pop(listener, None)

    async def polybolt(self, request: web.Request) -> web.WebSocketResponse:
        """Reference prices behind an API key."""
        await self._serving.black_hole_over("polybolt", request)
        venue = self._venue
        session = PolyBoltSession(venue.prices, self._check, venue.polybolt.refusals)
        venue.polybolt.sessions.add(session)

        async def receive(socket: web.WebSocketResponse) -> None:
            pinging = asyncio.create_task(_ping(socket, session))
            try:
                async for message in socket:
                    if session.outbox.is_swallowed:
                        continue
                    if message.type is WSMsgType.PING:
                        await socket.pong(message.data)
                    if message.type is WSMsgType.PONG:
                        session.missed_pings = 0
                    if message.type is WSMsgType.TEXT:
                        session.hear(message.data, self._now_ns() // _NS_PER_MS)
            finally:
                pinging.cancel()

        try:
            return await self._serving.serve("polybolt", request, session.outbox, receive)
        finally:
            venue.polybolt.sessions.discard(session)

    def _check(self, auth: Credentials) -> bool:
        return self._venue.keys.check_plain(auth.apiKey, auth.secret, auth.passphrase) is not None


async def _ping(socket: web.WebSocketResponse, session: PolyBoltSession) -> None:
    """Ask the client for a sign of life; close on the third silence."""
    while True:
        await asyncio.sleep(PING_EVERY_S)
        if not session.ping():
            session.outbox.close(CLOSE_SLOW)
            return
        if not session.outbox.is_swallowed:
            await socket.ping()
