"""What every WebSocket of the venue has in common: upgrade, write its outbox while someone reads, close."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

from aiohttp import web

from clawswarm.sandbox.faults import Channel
from clawswarm.sandbox.streams.outbox import Outbox
from clawswarm.sandbox.venue import Venue

Receive = Callable[[web.WebSocketResponse], Coroutine[None, None, None]]

_LARGEST_FRAME_BYTES = 1 << 20
_BLACK_HOLE_POLL_S = 0.02
_GOING_AWAY = 1001
_NORMAL = 1000
_ABNORMAL = 1006
_POLICY = 1008


class Serving:
    """The open sockets of all channels."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._now_ns = now_ns
        self._open: set[web.WebSocketResponse] = set()

    async def close_all(self) -> None:
        """Say goodbye to every client."""
        goodbyes = [asyncio.wait_for(socket.close(code=_GOING_AWAY), timeout=1) for socket in self._open]
        await asyncio.gather(*goodbyes, return_exceptions=True)

    async def serve(
        self, channel: Channel, request: web.Request, outbox: Outbox, receive: Receive
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

    def expect_subscription(self, outbox: Outbox) -> Callable[[], None]:
        """Drop the client unless the returned function is called in time."""
        timeout_s = self._venue.settings.subscribe_timeout_s
        if not timeout_s:
            return lambda: None
        return asyncio.get_running_loop().call_later(timeout_s, outbox.close, _POLICY).cancel

    async def black_hole_over(self, channel: Channel, request: web.Request) -> None:
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
            if outbox.is_finished:
                return
