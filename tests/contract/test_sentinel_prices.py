"""The sentinel's own clients of RTDS and PolyBolt against the sandbox's, over rolling series."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from official_pc import connect_sync
from venue_thread import DEV_KEY, RunningVenue, running_venue, settings_for

from clawswarm.agents.sentinel.agent import MarketDataSources, Sentinel
from clawswarm.kernel.bus import ZenohBus
from clawswarm.kernel.clock import SystemClock
from clawswarm.kernel.process import Process
from clawswarm.model.messages import Beat, ReferencePrice
from clawswarm.sandbox.server import SandboxServer
from clawswarm.venues.polymarket.prices import PolyBoltCredentials
from clawswarm.venues.polymarket.settings import SocketSettings

pytestmark = pytest.mark.usefixtures("no_authorities")
SETTINGS = SocketSettings(ping_interval_s=0.1, dead_after_s=2.0, reconnect_min_s=0.05, reconnect_max_s=0.1)
# Every stream brings a price a second.
DEAD_AFTER_S = 2.5
LIMIT_S = 30.0
RTDS_FEEDS = {"binance", "chainlink", "twap30", "twap60"}


@pytest.fixture
def rolling(tmp_path: Path) -> Iterator[RunningVenue]:
    """Two coins, no gaps."""
    changes = {"data": "", "series": ("btc-5m", "eth-15m"), "price_gaps": False}
    with running_venue(settings_for(tmp_path, **changes)) as venue:
        yield venue


class Heard:
    """What a reader of the bus has heard of a sentinel's prices."""

    def __init__(self, bus: ZenohBus) -> None:
        self.prices: list[ReferencePrice] = []
        self.counters: dict[str, float] = {}
        self._channel, self._beats = bus.latest("reference/*/*/*", ReferencePrice), bus.latest("beat/*", Beat)
        self._news = asyncio.Event()
        self._channel.listen(self._news)
        self._beats.listen(self._news)

    def newest_ms(self, feed: str, underlying: str = "BTC") -> int:
        of = [
            price.source_ms for price in self.prices if (price.feed, price.underlying) == (feed, underlying)
        ]
        return of[-1] if of else 0

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while True:
                self.prices += self._channel.take()
                for beat in self._beats.take():
                    self.counters = beat.counters
                if condition():
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await self._news.wait()
                self._news.clear()

    async def until_newer(self, feed: str) -> None:
        """Wait for a price of the feed that is newer than now known."""
        known_ms = self.newest_ms(feed)
        await self.until(lambda: self.newest_ms(feed) > known_ms)


def follow(
    venue: RunningVenue, key: PolyBoltCredentials | None, scene: Callable[[Heard], Awaitable[None]]
) -> Heard:
    """Run a sentinel before `venue` while `scene` plays."""

    async def run(own: ZenohBus, reader: ZenohBus) -> Heard:
        process, ws = Process("sentinel-1", SystemClock()), venue.url.replace("http", "ws")
        sources = MarketDataSources(
            market_ws_url=f"{ws}/ws/market",
            rtds_url=f"{ws}/rtds",
            polybolt_url=f"{ws}/polybolt/ws",
            rest_url=venue.url,
            reference_is_synthetic=True,
            prices_dead_after_s=DEAD_AFTER_S,
            polybolt_key=key,
        )
        running = asyncio.create_task(Sentinel(process, own, SETTINGS, sources).run())
        heard = Heard(reader)
        playing = asyncio.ensure_future(scene(heard))
        await asyncio.wait((running, playing), return_when=asyncio.FIRST_COMPLETED)
        process.request_stop("the test is over")
        await running
        await playing
        return heard

    with tempfile.TemporaryDirectory(prefix="claw-") as folder:
        peers = ("swarm", "sentinel-1")
        reader, own = ZenohBus("swarm", peers, Path(folder)), ZenohBus("sentinel-1", peers, Path(folder))
        try:
            return asyncio.run(run(own, reader))
        finally:
            own.close()
            reader.close()


def steer(venue: RunningVenue, path: str, **body: object) -> "asyncio.Future[None]":
    return asyncio.ensure_future(asyncio.to_thread(venue.steer, path, **body))


def test_every_feed_of_rtds_is_published_and_comes_back_after_a_close_and_a_black_hole(
    rolling: RunningVenue,
) -> None:
    async def scene(heard: Heard) -> None:
        wanted = {(feed, coin) for feed in RTDS_FEEDS for coin in ("BTC", "ETH")}
        await heard.until(lambda: wanted <= {(price.feed, price.underlying) for price in heard.prices})
        await steer(rolling, "/faults/close", channel="rtds", code=1006)
        await heard.until_newer("chainlink")
        # The connection stays open and brings nothing: only its silence tells.
        await steer(rolling, "/faults/black-hole", channel="rtds", seconds=1)
        await heard.until_newer("binance")

    heard = follow(rolling, None, scene)
    for price in heard.prices:
        assert price.value_e6 > 0
        assert price.source == "sentinel-1"
        assert price.is_synthetic
    btc = [
        price.source_ms for price in heard.prices if (price.feed, price.underlying) == ("chainlink", "BTC")
    ]
    assert btc == sorted(set(btc)), "never an old one again"


def test_polybolt_brings_pyth_and_a_hole_in_its_numbers_is_mended(rolling: RunningVenue) -> None:
    client = connect_sync(rolling, DEV_KEY)
    known = client.credentials
    client.close()
    key = PolyBoltCredentials(known.key, known.secret, known.passphrase)

    def skip_numbers() -> None:
        def skip(server: SandboxServer) -> None:
            for session in server.venue.polybolt.sessions:
                session._sequence["price.crypto"] += 3

        rolling.look(skip)

    async def scene(heard: Heard) -> None:
        await heard.until_newer("pyth")
        await asyncio.to_thread(skip_numbers)
        await heard.until(lambda: heard.counters.get("prices_lost", 0) >= 3)
        await heard.until_newer("pyth")
        await steer(rolling, "/faults/polybolt-auth", code="auth_expired")
        await steer(rolling, "/faults/close", channel="polybolt", code=4003)
        await heard.until_newer("pyth")

    heard = follow(rolling, key, scene)
    assert {price.feed for price in heard.prices} == RTDS_FEEDS | {"pyth"}
