"""Declared routes: one that the CDN flags, or that is dead, is left for the next, within one country."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.venue_thread import RunningVenue
from faults.connect_proxy import ConnectProxy, connect_proxy
from faults.engine_alone import EngineAlone, certified, secure_venue

PAGE = {"method": "POST", "path": "/order", "requests": 1, "seconds": 600}
# Where the simulated venue says that everybody is.
COUNTRY = "IE"
# EX_CONFIG: what only the user can mend.
USER_FAULT = 78


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[RunningVenue]:
    with secure_venue(tmp_path, certified(tmp_path / "tls")) as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with connect_proxy() as running:
        yield running


def engine_on(
    tmp_path: Path, venue: RunningVenue, *routes: str, country: str = COUNTRY, **changed: object
) -> EngineAlone:
    changed |= {"routes": routes, "country": country, "switches_per_day": 1, "region_s": 0.2}
    return EngineAlone(tmp_path, venue, tmp_path / "tls", **changed)


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


def test_a_proxy_that_falls_silent_is_left_and_orders_rest_over_the_next_route(
    tmp_path: Path, venue: RunningVenue, proxy: ConnectProxy
) -> None:
    with engine_on(tmp_path, venue, proxy.url, "direct") as engine:
        engine.until_ready()
        assert engine.place()
        assert proxy.carried > 0
        proxy.is_silent = True
        engine.until_logged("to=direct event=engine.route.left")
        assert engine.place(), "an order rests again"
        assert engine.stop() == 0


def test_a_route_that_is_dead_from_the_start_is_left(tmp_path: Path, venue: RunningVenue) -> None:
    with connect_proxy(is_refusing=True) as proxy, engine_on(tmp_path, venue, proxy.url, "direct") as engine:
        engine.until_ready()
        assert engine.place()
        assert engine.stop() == 0
    assert proxy.carried == 0


def test_a_venue_that_pauses_is_no_reason_to_leave(
    tmp_path: Path, venue: RunningVenue, proxy: ConnectProxy
) -> None:
    with engine_on(tmp_path, venue, "direct", proxy.url) as engine:
        engine.until_ready()
        assert engine.place()
        venue.look(lambda _server: time.sleep(0.6))
        assert engine.place()
        assert "event=engine.route.left" not in engine.log()
        assert engine.stop() == 0


def test_a_proxy_is_told_the_password_and_nobody_else_is(tmp_path: Path, venue: RunningVenue) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password open:sesame\n")
    netrc.chmod(0o600)
    with connect_proxy(password="me:open:sesame") as proxy:
        with engine_on(tmp_path, venue, proxy.url, proxy_passwords=str(netrc)) as engine:
            engine.until_ready()
            assert engine.place()
            assert engine.stop() == 0
        assert proxy.carried > 0
        assert "sesame" not in engine.log()
        netrc.chmod(0o640)
        with engine_on(tmp_path, venue, proxy.url, proxy_passwords=str(netrc)) as engine:
            assert engine.process.wait(timeout=20) == USER_FAULT
        assert "chmod 600" in engine.log()
