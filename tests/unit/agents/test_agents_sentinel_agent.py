"""The sentinel's shell over a real bus and a real WebSocket server."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from clawswarm.agents.sentinel.agent import MarketDataSources, Sentinel
from clawswarm.kernel.bus import Bus, ZenohBus
from clawswarm.kernel.clock import NS_PER_S, SystemClock
from clawswarm.kernel.process import Process
from clawswarm.model.instruments import Market
from clawswarm.model.messages import Allocation, FeedHealth, Mandate
from clawswarm.venues.polymarket.settings import SocketSettings

SETTINGS = SocketSettings(ping_interval_s=0.1, dead_after_s=15.0, reconnect_min_s=0.1, reconnect_max_s=0.2)


def mandate(number: int) -> Mandate:
    market = Market(
        f"0xc{number}", f"btc-{number}", "BTC", f"{number}1", f"{number}2", 100, 5_000_000, False, True, None
    )
    return Mandate(
        market=market, quoter="quoter-1", epoch=1, capital_e6=1, max_position_e6=1, order_size_e6=1
    )


class Venue:
    """A venue that lets a connection wait for `open` and then collects what is subscribed."""

    def __init__(self) -> None:
        self.asked, self.open, self.news = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.tokens: set[str] = set()

    async def market(self, request: web.Request) -> web.StreamResponse:
        self.asked.set()
        await self.open.wait()
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async for message in websocket:
            if message.data == "PING":
                await websocket.send_str("PONG")
                continue
            change = json.loads(message.data)
            tokens = set(change["assets_ids"])
            self.tokens = (
                self.tokens - tokens if change.get("operation") == "unsubscribe" else self.tokens | tokens
            )
            self.news.set()
        return websocket


@asynccontextmanager
async def serving(venue: Venue) -> AsyncIterator[str]:
    """Address of a running venue."""
    application = web.Application()
    application.router.add_get("/ws/market", venue.market)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def a_moment_or(news: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.02):
            await news.wait()
    news.clear()


def test_markets_that_change_while_the_connection_is_made_are_subscribed() -> None:
    async def run(swarm: Bus, own: Bus) -> None:
        venue, clock = Venue(), SystemClock()
        async with serving(venue) as url, asyncio.timeout(60):
            process = Process("sentinel-1", clock)
            sources = MarketDataSources(
                market_ws_url=f"{url}/ws/market",
                rtds_url=f"{url}/rtds",
                polybolt_url=f"{url}/polybolt",
                rest_url=url.replace("ws:", "http:"),
                reference_is_synthetic=True,
                prices_dead_after_s=15.0,
            )
            sentinel = asyncio.create_task(Sentinel(process, own, SETTINGS, sources).run())
            allocations, health = swarm.latest("allocation", Allocation), swarm.latest("feed/*", FeedHealth)
            heard = asyncio.Event()
            health.listen(heard)

            def allocate(*numbers: int) -> None:
                mandates = tuple(mandate(number) for number in numbers)
                allocations.publish(
                    Allocation(term=1, sent_ns=clock.now_ns(), life_ns=NS_PER_S, mandates=mandates)
                )

            while not venue.asked.is_set():
                allocate(1, 2)
                await a_moment_or(heard)
            watched = 0
            while watched != 3:
                allocate(2, 3, 4)
                await a_moment_or(heard)
                watched = max((pulse.markets for pulse in health.take()), default=watched)
            venue.open.set()
            while venue.tokens != {"21", "22", "31", "32", "41", "42"}:
                await a_moment_or(venue.news)
            process.request_stop("the test is over")
            await sentinel

    with tempfile.TemporaryDirectory(prefix="claw-") as folder:
        peers = ("swarm", "sentinel-1")
        swarm, own = ZenohBus("swarm", peers, Path(folder)), ZenohBus("sentinel-1", peers, Path(folder))
        try:
            asyncio.run(run(swarm, own))
        finally:
            own.close()
            swarm.close()
