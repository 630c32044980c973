"""RTDS and PolyBolt through the official client, over rolling series."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import polymarket as pm
import pytest
from official_pc import LoopThread, environment_of
from polymarket.errors import RequestRejectedError
from polymarket.streams import (
    CryptoPricesChainlinkTwapSpec,
    CryptoPriceSpec,
    CryptoPricesSpec,
    CryptoTwapPriceSpec,
)
from venue_thread import DEV_ADDRESS, DEV_KEY, RunningVenue, running_venue, settings_for

pytestmark = [
    pytest.mark.usefixtures("no_authorities"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
LIMIT_S = 60


@pytest.fixture
def rolling(tmp_path: Path) -> Iterator[RunningVenue]:
    """Two coins, no gaps."""
    changes = {"data": "", "series": ("btc-5m", "eth-15m"), "price_gaps": False}
    with running_venue(settings_for(tmp_path, **changes)) as venue:
        yield venue


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """The client's loop."""
    thread = LoopThread()
    yield thread
    thread.close()


async def connect(venue: RunningVenue) -> pm.AsyncSecureClient:
    return await pm.AsyncSecureClient.create(
        private_key=DEV_KEY, wallet=DEV_ADDRESS, environment=environment_of(venue)
    )


def test_polybolt_snapshot_then_updates(rolling: RunningVenue, loop: LoopThread) -> None:
    async def scene() -> None:
        client = await connect(rolling)
        async with asyncio.timeout(LIMIT_S):
            handle = await client.subscribe(CryptoPriceSpec(symbols=["btcusd", "ethusd"]))
            events = [await anext(handle) for _ in range(6)]
            snapshots = {e.payload.symbol: e for e in events if e.type == "subscribe"}
            assert snapshots.keys() == {"btcusd", "ethusd"}
            assert 115 <= len(snapshots["btcusd"].payload.data) <= 120
            assert snapshots["btcusd"].payload.source == "pyth"
            updates = [e for e in events if e.type == "update"]
            assert updates
            assert all(e.payload.source == "pyth" and e.payload.received_at is not None for e in updates)
            assert [e.seq for e in events] == list(range(1, 7))
            await handle.close()
        await client.close()

    loop.wait(scene())


def test_polybolt_averages_are_what_settles(rolling: RunningVenue, loop: LoopThread) -> None:
    async def scene() -> None:
        client = await connect(rolling)
        async with asyncio.timeout(LIMIT_S):
            handle = await client.subscribe(CryptoTwapPriceSpec(symbols=["btcusd"]))
            event = await anext(handle)
            while event.type != "update":
                event = await anext(handle)
            await handle.close()
        second = int(event.payload.timestamp.timestamp())
        feeds = rolling.look(lambda server: server.venue.prices.feeds["btc"])
        assert event.payload.value == Decimal(feeds.twap_e18(second, 60)).scaleb(-18)
        assert event.payload.source == "chainlink"
        await client.close()

    loop.wait(scene())


def test_a_refused_key_and_a_draining_server(rolling: RunningVenue, loop: LoopThread) -> None:
    async def scene() -> None:
        client = await connect(rolling)
        async with asyncio.timeout(LIMIT_S):
            await asyncio.to_thread(rolling.steer, "/faults/polybolt-auth", code="auth_invalid")
            with pytest.raises(RequestRejectedError, match="auth_invalid"):
                await client.subscribe(CryptoPriceSpec(symbols=["btcusd"]))
            handle = await client.subscribe(CryptoPriceSpec(symbols=["btcusd"]))
            assert (await anext(handle)).type == "subscribe"
            await asyncio.to_thread(rolling.steer, "/faults/close", channel="polybolt", code=4003)
            event = await anext(handle)
            while event.type != "subscribe":
                event = await anext(handle)
            assert event.seq == 1, "a new connection begins anew"
            await handle.close()
        await client.close()

    loop.wait(scene())


@pytest.mark.parametrize(
    ("spec", "symbol"),
    [
        (CryptoPricesSpec(topic="prices.crypto.binance", symbols=["btcusdt"]), "btcusdt"),
        (CryptoPricesSpec(topic="prices.crypto.chainlink", symbols=["eth/usd"]), "eth/usd"),
        (CryptoPricesChainlinkTwapSpec(window_seconds=30, symbols=["btc/usd"]), "btc/usd"),
        (CryptoPricesChainlinkTwapSpec(window_seconds=60), None),
    ],
)
def test_rtds_topics(rolling: RunningVenue, loop: LoopThread, spec: object, symbol: str | None) -> None:
    async def scene() -> None:
        async with pm.AsyncPublicClient(environment=environment_of(rolling)) as client:
            async with asyncio.timeout(LIMIT_S):
                handle = await client.subscribe(spec)
                events = [await anext(handle) for _ in range(3)]
                await handle.close()
            assert all(event.type == "update" for event in events)
            assert all(event.payload.value > 0 for event in events)
            if symbol is not None:
                assert {event.payload.symbol for event in events} == {symbol}
                # Each second is late by a delay of its own, so neighbours can change places.
                seconds = {event.payload.timestamp // 1000 for event in events}
                assert len(seconds) == len(events)
                assert max(seconds) - min(seconds) < LIMIT_S

    loop.wait(scene())


def test_a_slow_frame_flood_is_closed(rolling: RunningVenue) -> None:
    """64 KB is the largest frame; a larger one ends the connection with 4008."""

    async def scene() -> int | None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(rolling.url + "/polybolt/ws") as socket,
        ):
            await socket.send_str("x" * 70_000)
            async with asyncio.timeout(LIMIT_S):
                await socket.receive()
            return socket.close_code

    assert asyncio.run(scene()) == 4008


def test_geoblock_is_switched_by_the_control_port(rolling: RunningVenue) -> None:
    async def read() -> object:
        async with (
            aiohttp.ClientSession() as session,
            session.get(rolling.url + "/api/geoblock") as response,
        ):
            return await response.json()

    open_place = {"blocked": False, "ip": "127.0.0.1", "country": "IE", "region": "L"}
    assert asyncio.run(read()) == open_place
    rolling.steer("/faults/geoblock", blocked=True, country="FR", region="IDF")
    assert asyncio.run(read()) == open_place | {"blocked": True, "country": "FR", "region": "IDF"}
    rolling.steer("/faults/geoblock", blocked=False)
    assert asyncio.run(read()) == open_place
