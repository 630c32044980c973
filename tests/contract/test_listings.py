"""Markets, events, positions and trades as the official client reads them, against the truth of the exchange."""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import polymarket as pm
import pytest
from official_pc import environment_of
from polymarket.errors import RequestRejectedError
from venue_thread import DEV_ADDRESS, DEV_KEY, RunningVenue, record, running_venue, settings_for, snapshot

from clawswarm.venues.polymarket.discovery import list_open_markets

pytestmark = pytest.mark.usefixtures("no_authorities")
D = Decimal


@pytest.fixture
def three(tmp_path: Path) -> Iterator[RunningVenue]:
    """Three markets, no movement."""
    for number in (1, 2, 3):
        record(tmp_path, f"btc-updown-{number}", [snapshot()])
    with running_venue(settings_for(tmp_path)) as running:
        yield running


@pytest.fixture
def client(three: RunningVenue) -> Iterator[pm.SecureClient]:
    """The development key's client."""
    with pm.SecureClient.create(
        private_key=DEV_KEY, wallet=DEV_ADDRESS, environment=environment_of(three)
    ) as client:
        yield client


def slugs(markets: object) -> list[str]:
    return [market.slug for market in markets]


def test_markets_by_pages(three: RunningVenue, client: pm.SecureClient) -> None:
    pages = list(client.list_markets(page_size=2))
    assert [len(page.items) for page in pages] == [2, 1]
    assert [page.has_more for page in pages] == [True, False]
    found = [market for page in pages for market in page.items]
    assert slugs(found) == ["btc-updown-1", "btc-updown-2", "btc-updown-3"]
    market, listed = found[0], three.market
    assert market.condition_id == listed.condition_id
    assert (market.outcomes.yes.token_id, market.outcomes.no.token_id) == (listed.yes_token, listed.no_token)
    assert (market.outcomes.yes.label, market.outcomes.yes.price) == ("Up", D("0.46"))
    assert (market.prices.best_bid, market.prices.best_ask, market.prices.spread) == (
        D("0.45"),
        D("0.47"),
        D("0.02"),
    )
    assert (market.trading.minimum_tick_size, market.trading.minimum_order_size) == (D("0.01"), D(5))
    assert market.trading.fee_schedule is not None
    assert market.trading.fee_schedule.rate == D("0.07")
    assert market.state.accepting_orders is True
    assert market.state.end_date is not None
    assert market.rewards.rewards_min_size == 50


def test_markets_by_filter_and_order(three: RunningVenue, client: pm.SecureClient) -> None:
    def listed(**names: object) -> list[str]:
        return slugs(client.list_markets(**names).iter_items())

    token = three.market.no_token
    assert listed(slug=["btc-updown-2", "btc-updown-3"]) == ["btc-updown-2", "btc-updown-3"]
    assert listed(condition_ids=three.market.condition_id) == ["btc-updown-1"]
    assert listed(clob_token_ids=token) == ["btc-updown-1"]
    assert listed(order="slug", ascending=False) == ["btc-updown-3", "btc-updown-2", "btc-updown-1"]
    assert listed(closed=True) == []
    assert listed(end_date_max="2020-01-01T00:00:00Z") == []
    assert len(listed(closed=False)) == 3
    assert client.get_market(slug="btc-updown-2").slug == "btc-updown-2"


def test_the_life_of_a_market(three: RunningVenue, client: pm.SecureClient) -> None:
    market = three.market.condition_id

    def read() -> object:
        (found,) = client.list_markets(condition_ids=market).iter_items()
        return found

    three.steer("/markets/pause", market=market, accepts_orders=False)
    assert read().state.accepting_orders is False
    with pytest.raises(RequestRejectedError, match="not yet ready"):
        client.place_limit_order(asset_id=three.market.yes_token, side="BUY", price="0.40", size="5")
    three.steer("/markets/pause", market=market, accepts_orders=True)
    three.steer("/markets/tick", market=market, tick="0.001")
    assert read().trading.minimum_tick_size == D("0.001")
    three.steer("/markets/close", market=market)
    closed = read()
    assert closed.state.closed is True
    assert closed.state.closed_time is not None
    assert closed.resolution.uma_resolution_status is None
    three.steer("/markets/resolve", market=market, winner="SPLIT")
    resolved = read()
    assert resolved.resolution.uma_resolution_status == "resolved"
    assert (resolved.outcomes.yes.price, resolved.outcomes.no.price) == (D("0.5"), D("0.5"))


def test_events(three: RunningVenue, client: pm.SecureClient) -> None:
    events = list(client.list_events(page_size=2).iter_items())
    assert slugs(events) == ["btc-updown-1", "btc-updown-2", "btc-updown-3"]
    assert slugs(events[0].markets) == ["btc-updown-1"]
    assert client.get_event(slug="btc-updown-3").markets[0].condition_id is not None
    three.steer("/markets/close", market=three.market.condition_id, winner="YES")
    assert slugs(client.list_events().iter_items()) == ["btc-updown-2", "btc-updown-3"]
    assert slugs(client.list_events(closed=True).iter_items()) == ["btc-updown-1"]


def test_positions_trades_and_value(three: RunningVenue, client: pm.SecureClient) -> None:
    token = three.market.yes_token
    client.place_limit_order(asset_id=token, side="BUY", price="0.47", size="20")
    client.place_limit_order(asset_id=token, side="SELL", price="0.45", size="8")
    (position,) = client.list_positions(user=DEV_ADDRESS).iter_items()
    assert (position.asset_id, position.condition_id) == (token, three.market.condition_id)
    assert (position.current_size, position.avg_price, position.entry_cost_usdc) == (
        D(12),
        D("0.47"),
        D("5.64"),
    )
    assert position.realized_pnl == D("-0.16")
    assert position.current_price == D("0.46")
    assert (position.status, position.redeemable, position.mergeable) == ("OPEN", False, False)
    assert (position.outcome, position.outcome_index, position.opposite_asset_id) == (
        "Up",
        0,
        three.market.no_token,
    )
    trades = list(client.list_trades(user=DEV_ADDRESS).iter_items())
    assert [(trade.side, trade.size, trade.price) for trade in trades] == [
        ("SELL", D(8), D("0.45")),
        ("BUY", D(20), D("0.47")),
    ]
    assert client.get_portfolio_value(user=DEV_ADDRESS).value == D("5.52")
    three.steer("/markets/close", market=three.market.condition_id, winner="YES")
    (won,) = client.list_positions(user=DEV_ADDRESS, status="REDEEMABLE").iter_items()
    assert (won.status, won.redeemable, won.current_value) == ("REDEEMABLE", True, D(12))


def test_the_first_version_of_the_data_api(three: RunningVenue, client: pm.SecureClient) -> None:
    """The frozen paths that third-party adapters read, with the names of their fixtures."""
    client.place_limit_order(asset_id=three.market.yes_token, side="BUY", price="0.47", size="20")

    async def read(path: str) -> object:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{three.url}/data-api{path}?user={DEV_ADDRESS}") as response,
        ):
            assert response.status == 200
            return json.loads(await response.read())

    (position,) = asyncio.run(read("/positions"))
    assert {"asset", "conditionId", "size", "avgPrice", "curPrice", "redeemable", "oppositeAsset"} <= set(
        position
    )
    assert (position["size"], position["avgPrice"]) == (20, 0.47)
    (trade,) = asyncio.run(read("/trades"))
    assert {"asset", "conditionId", "transactionHash", "timestamp", "proxyWallet"} <= set(trade)
    (value,) = asyncio.run(read("/value"))
    assert value["value"] == pytest.approx(9.2)


def test_our_own_discovery_reads_the_same(three: RunningVenue) -> None:
    three.steer("/markets/pause", market=three.market.condition_id, accepts_orders=False)

    async def read() -> list[tuple[str, bool]]:
        async with aiohttp.ClientSession() as session:
            found = await list_open_markets(session, three.url + "/gamma")
        (first, *_) = found
        listed = three.market
        assert (first.market.yes_token, first.market.no_token) == (listed.yes_token, listed.no_token)
        assert first.market.closes_ms == listed.end_ms - listed.end_ms % 1000
        return [(item.market.slug, item.market.is_open) for item in found]

    assert asyncio.run(read()) == [("btc-updown-1", False), ("btc-updown-2", True), ("btc-updown-3", True)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/gamma/markets?limit=x", 422),
        ("/gamma/markets?offset=2001", 422),
        ("/gamma/markets?order=beauty", 422),
        ("/gamma/markets?closed=perhaps", 422),
        ("/gamma/markets/keyset?after_cursor=%21", 422),
        ("/gamma/markets/keyset?after_cursor=aWQ6OQ%3D%3D", 422),
        ("/gamma/markets?condition_ids=" + "&condition_ids=".join(["0x1"] * 101), 422),
        ("/gamma/events/keyset?start_time_min=tomorrow", 422),
        ("/gamma/markets/slug/nowhere", 404),
        ("/gamma/events/12", 404),
        ("/data-api/v2/positions", 400),
        ("/data-api/v2/positions?user=me", 400),
        ("/data-api/v2/trades?cursor=%21", 400),
    ],
)
def test_bad_requests_are_refused(three: RunningVenue, path: str, status: int) -> None:
    async def ask() -> tuple[int, object]:
        async with aiohttp.ClientSession() as session, session.get(three.url + path) as response:
            return response.status, json.loads(await response.read())

    code, body = asyncio.run(ask())
    assert code == status
    assert isinstance(body, dict)
    assert body["error"]
