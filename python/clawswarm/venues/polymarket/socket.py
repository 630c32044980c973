"""A WebSocket to the venue that knows when it is dead.

The venue answers text PING with PONG. Any frame proves the connection; a quiet market does not disprove it,
only silence on an asked PING does. Data gaps are normal (recorded-data.md), silent sockets are not.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Literal

import aiohttp

from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S, Clock, ns
from clawswarm.model.errors import Retry
from clawswarm.venues.polymarket.settings import SocketSettings


class VenueSocket:
    """One connection; `last_frame_ns` is when anything was last heard, None before the first connect."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        settings: SocketSettings,
        clock: Clock,
        ping: bytes = b"PING",
    ) -> None:
        self._session, self._url, self._settings, self._clock = session, url, settings, clock
        self._ping = ping
        self._socket: aiohttp.ClientWebSocketResponse[Literal[False]] | None = None
        self._is_silent = False
        self.last_frame_ns: int | None = None

    async def connect(self, hello: bytes) -> None:
        """Open the connection and send the subscription. Raises Retry when that fails or takes too long."""
        timeout = aiohttp.ClientWSTimeout(ws_close=0.1)
        try:
            async with asyncio.timeout(self._settings.dead_after_s):
                self._socket = await self._session.ws_connect(
                    self._url, timeout=timeout, max_msg_size=1 << 24, compress=0, decode_text=False
                )
                await self._socket.send_str(hello.decode())
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            await self.close()
            raise Retry(f"cannot connect to {self._url}: {fault!r}") from fault
        self.last_frame_ns = self._clock.now_ns()

    async def send(self, text: bytes) -> None:
        """Send one text frame. Raises Retry when the connection is gone."""
        if self._socket is None:
            raise Retry("not connected")
        try:
            await self._socket.send_str(text.decode())
        except (aiohttp.ClientError, OSError) as fault:
            raise Retry(f"connection lost: {fault!r}") from fault

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield text frames, PONGs left out. Raises Retry when the connection ends or is silent too long."""
        # `close` by another task takes the socket away; what is read here then says that it is closed.
        socket = self._socket
        if socket is None:
            raise Retry("not connected")
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                message = await socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    if self._is_silent:
                        raise Retry(f"silent for {self._settings.dead_after_s} s, PONG included")
                    who = "the venue" if self._socket is not None else "this side"
                    raise Retry(f"connection closed by {who} (code {socket.close_code})")
                self.last_frame_ns = self._clock.now_ns()
                if message.data != b"PONG":
                    yield message.data
        finally:
            watching.cancel()
            await self.close()

    async def _watch(self) -> None:
        """Ask for a sign of life after a silence, and end the connection when none comes."""
        interval_ns, limit_ns = ns(self._settings.ping_interval_s), ns(self._settings.dead_after_s)
        pinged_ns = 0
        while True:
            now, heard_ns = self._clock.now_ns(), self.last_frame_ns or 0
            # Unasked silence may be this process's own: it did not run, and the frames wait to be read.
            if pinged_ns > heard_ns and now - heard_ns >= limit_ns:
                self._is_silent = True
                await self.close()
                return
            if now - max(heard_ns, pinged_ns) >= interval_ns:
                pinged_ns = now
                with suppress(Retry):  # who reads the frames says that it is gone
                    await self.send(self._ping)
            due_ns = max(heard_ns, pinged_ns) + interval_ns
            if pinged_ns > heard_ns:
                due_ns = max(min(due_ns, heard_ns + limit_ns), now + NS_PER_MS)
            await asyncio.sleep((due_ns - now) / NS_PER_S)

    async def close(self) -> None:
        """Drop the connection without waiting for the peer's good-bye."""
        if self._socket is not None:
            socket, self._socket = self._socket, None
            await socket.close()


def backoff_s(settings: SocketSettings, attempt: int, jitter: float) -> float:
    """Pause before reconnect number `attempt` (from 0): doubled each time, `jitter` in [0, 1) spreads it."""
    doubled = settings.reconnect_min_s * float(2 ** min(attempt, 30))
    full = min(doubled, settings.reconnect_max_s)
    return full * (0.5 + 0.5 * jitter)
