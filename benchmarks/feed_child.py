"""A market channel that sends at a set rate: `python -m benchmarks.feed_child MARKETS RATE [SECONDS]`.

Prints its port, then one line for each connection that has subscribed. Every frame is a `price_change` of two
entries, as recorded; its timestamp is CLOCK_BOOTTIME in ms, so that a reader on this host knows its age. RATE is
frames a second over all markets, 0 for none; after SECONDS it stops, says how many were sent, and stays.
"""

import asyncio
import sys

import msgspec
from aiohttp import WSMsgType, web

from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S, SystemClock

BURST_S = 0.005
LEVELS = range(1, 100)


def tokens(market: int) -> tuple[str, str]:
    """YES and NO token of a market by its number."""
    return f"1{market:076}", f"2{market:076}"


def condition_id(market: int) -> str:
    """Condition id of a market by its number."""
    return f"0x{market:064x}"


def snapshot(market: int, at_ms: int) -> dict[str, object]:
    """The YES book: one share at every cent, the touch at 0.49 and 0.50."""
    return {
        "event_type": "book", "market": condition_id(market), "asset_id": tokens(market)[0],
        "timestamp": str(at_ms), "hash": "0" * 40,
        "bids": [{"price": f"0.{cent:02}", "size": "1"} for cent in LEVELS if cent < 50],
        "asks": [{"price": f"0.{cent:02}", "size": "1"} for cent in reversed(LEVELS) if cent >= 50],
    }  # fmt: skip


def change(market: int, size: int, at_ms: int) -> bytes:
    """A new size at the best bid, in both tokens' terms."""
    yes, no = tokens(market)
    rest = '"hash":"' + "0" * 40 + '", "best_bid":'
    return (
        f'{{"market":"{condition_id(market)}", "price_changes":['
        f'{{"asset_id":"{yes}", "price":"0.49", "size":"{size}", "side":"BUY", {rest}"0.49", "best_ask":"0.5"}}, '
        f'{{"asset_id":"{no}", "price":"0.51", "size":"{size}", "side":"SELL", {rest}"0.5", "best_ask":"0.51"}}], '
        f'"timestamp":"{at_ms}", "event_type":"price_change"}}'
    ).encode()


class Feed:
    """One market channel for whoever connects."""

    def __init__(self, markets: int, rate: float, seconds: float) -> None:
        self._markets, self._rate, self._seconds = markets, rate, seconds
        self._clock = SystemClock()
        self._sockets: set[web.WebSocketResponse] = set()
        self._subscribed = asyncio.Event()

    async def market(self, request: web.Request) -> web.StreamResponse:
        """One connection."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            if message.data == "PING":
                await socket.send_str("PONG")
                continue
            at_ms = self._clock.now_ns() // NS_PER_MS
            books = [snapshot(market, at_ms) for market in range(self._markets)]
            await socket.send_str(msgspec.json.encode(books).decode())
            self._sockets.add(socket)
            self._subscribed.set()
            print("subscribed", flush=True)
        self._sockets.discard(socket)
        return socket

    async def books(self, _request: web.Request) -> web.Response:
        """`POST /books`: nothing to add."""
        return web.json_response([])

    async def send(self) -> None:
        """Frames at the rate, in bursts of 5 ms."""
        await self._subscribed.wait()
        if not self._rate:
            return
        began, sent = self._clock.now_ns(), 0
        while (elapsed_s := (self._clock.now_ns() - began) / NS_PER_S) < self._seconds:
            while sent < elapsed_s * self._rate:
                text = change(sent % self._markets, 2 + sent % 90, self._clock.now_ns() // NS_PER_MS).decode()
                for socket in list(self._sockets):
                    try:
                        await socket.send_str(text)
                    except ConnectionResetError:  # its sentinel was killed
                        self._sockets.discard(socket)
                sent += 1
            await asyncio.sleep(BURST_S)
        print(f"sent {sent}", flush=True)


async def main() -> None:
    """Serve until killed."""
    markets, rate = int(sys.argv[1]), float(sys.argv[2])
    feed = Feed(markets, rate, float(sys.argv[3]) if len(sys.argv) > 3 else float("inf"))
    application = web.Application()
    application.router.add_get("/ws/market", feed.market)
    application.router.add_post("/books", feed.books)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await feed.send()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
