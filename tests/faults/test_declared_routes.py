"""Declared routes: one that the CDN flags is left for the next, within one country, once a day."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.venue_thread import RunningVenue
from faults.connect_proxy import ConnectProxy, connect_proxy
from faults.engine_alone import EngineAlone, certified, secure_venue

PAGE = {"method": "POST", "path": "/order", "requests": 1, "seconds": 600}
# Where the simulated venue says that everybody is.
COUNTRY = "IE"


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[RunningVenue]:
    with secure_venue(tmp_path, certified(tmp_path / "tls")) as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with connect_proxy() as running:
        yield running


def engine_on(tmp_path: Path, venue: RunningVenue, *routes: str, country: str = COUNTRY) -> EngineAlone:
    return EngineAlone(
        tmp_path, venue, tmp_path / "tls", routes=routes, country=country, switches_per_day=1, region_s=0.2
    )


def test_a_flagged_address_is_left_for_the_declared_proxy_and_the_second_page_halts(
    tmp_path: Path, venue: RunningVenue, proxy: ConnectProxy
) -> None:
    with engine_on(tmp_path, venue, "direct", proxy.url) as engine:
        engine.until_ready()
        assert engine.place()
        assert proxy.carried == 0, "nothing goes another way while the first one works"
        venue.steer("/faults/cdn-page", **PAGE)
        assert engine.place(), "an order rests again"
        assert "event=engine.route.left" in engine.log()
        assert proxy.carried > 0
        venue.steer("/faults/cdn-page", **PAGE)
        assert engine.place(until="halted: the CDN refuses this address")
        assert venue.look(lambda server: server.open_order_count) == 0
        assert engine.stop() == 0


def test_a_route_in_another_country_than_declared_carries_no_order(
    tmp_path: Path, venue: RunningVenue, proxy: ConnectProxy
) -> None:
    with engine_on(tmp_path, venue, proxy.url, country="NL") as engine:
        engine.until_ready()
        assert engine.place(until="eligibility: it cannot be asked: the route ")
        assert engine.stop() == 0
    assert proxy.carried > 0


def test_a_refused_region_moves_to_no_route(tmp_path: Path, venue: RunningVenue, proxy: ConnectProxy) -> None:
    with engine_on(tmp_path, venue, "direct", proxy.url) as engine:
        engine.until_ready()
        assert engine.place()
        venue.steer("/faults/geoblock", blocked=True)
        assert engine.place(until="halted: ")
        assert "event=engine.route.left" not in engine.log()
        assert engine.stop() == 0
    assert proxy.carried == 0


def test_a_proxy_that_refuses_is_waited_for(tmp_path: Path, venue: RunningVenue) -> None:
    with connect_proxy(is_refusing=True) as proxy, engine_on(tmp_path, venue, proxy.url) as engine:
        engine.until_logged("HTTP/1.1 407 Proxy", times=2)
        proxy.is_refusing = False
        engine.until_ready()
        assert engine.place()
        assert engine.stop() == 0
