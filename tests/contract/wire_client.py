"""A bare client of the venue's wire: signed requests and sockets over aiohttp, nothing clever."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable

import aiohttp
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import OrderArgs, OrderType
from venue_thread import DEV_ADDRESS, DEV_KEY, RunningVenue

Json = dict[str, object]
LIMIT_S = 10


class Caller:
    """One wallet with its key; places orders by the official client, the rest by hand."""

    def __init__(self, venue: RunningVenue) -> None:
        self.venue = venue
        self.official = ClobClient(venue.url, 137, key=DEV_KEY)
        self.credentials = self.official.create_or_derive_api_key()
        self.official.set_api_creds(self.credentials)

    def auth(self) -> Json:
        """The `auth` object of the user channel."""
        known = self.credentials
        return {"apiKey": known.api_key, "secret": known.api_secret, "passphrase": known.api_passphrase}

    def headers(self, method: str, path: str, body: bytes = b"") -> dict[str, str]:
        """L2 headers of a request."""
        stamp = str(time.clock_gettime_ns(time.CLOCK_REALTIME) // 10**9)
        secret = base64.urlsafe_b64decode(self.credentials.api_secret)
        mac = hmac.new(secret, f"{stamp}{method}{path}".encode() + body, hashlib.sha256)
        return {
            "POLY_ADDRESS": DEV_ADDRESS,
            "POLY_API_KEY": self.credentials.api_key,
            "POLY_PASSPHRASE": self.credentials.api_passphrase,
            "POLY_SIGNATURE": base64.urlsafe_b64encode(mac.digest()).decode(),
            "POLY_TIMESTAMP": stamp,
        }

    async def place(self, side: str, price: float, size: float, *, is_yes: bool = True) -> Json:
        """Place a GTC order off the event loop."""
        args = OrderArgs(token_id=self.venue.market.token(is_yes), price=price, size=size, side=side)
        return await asyncio.to_thread(
            self.official.create_and_post_order, args, order_type=OrderType.GTC, defer_exec=True
        )

    async def send(
        self, session: aiohttp.ClientSession, method: str, path: str, body: bytes = b""
    ) -> tuple[int, object]:
        """Send a signed request with these very bytes; return status and JSON."""
        headers = self.headers(method, path, body) | {"Content-Type": "application/json"}
        async with session.request(method, self.venue.url + path, data=body, headers=headers) as response:
            return response.status, json.loads(await response.read())


class Socket:
    """One WebSocket; `next` skips what the condition does not want, with a time limit."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, message: object) -> None:
        """Send JSON, or a text as it is."""
        await self.socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def text(self) -> str:
        """The next text frame."""
        return await self.socket.receive_str(timeout=3 * LIMIT_S)

    async def next(self, **wanted: object) -> Json:
        """The next object with these values."""
        while True:
            frame = json.loads(await self.text())
            if isinstance(frame, dict) and all(frame.get(name) == value for name, value in wanted.items()):
                return frame


def run(venue: RunningVenue, scene: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    """Run a scene with a session of its own."""

    async def play() -> None:
        async with aiohttp.ClientSession() as session:
            await scene(session)

    asyncio.run(play())


async def control(session: aiohttp.ClientSession, venue: RunningVenue, path: str, body: Json) -> None:
    """Switch a fault on."""
    async with session.post(venue.control + path, json=body) as response:
        assert response.status == 200
