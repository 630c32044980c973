"""Whether this region may trade: the engine asks over its own address and places nothing without a clear yes."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.venue_thread import RunningVenue
from faults.engine_alone import EngineAlone, certified, secure_venue
from faults.swarm_run import SwarmRun, eventually

ASK = {"method": "GET", "path": "/api/geoblock", "seconds": 60}


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[RunningVenue]:
    with secure_venue(tmp_path, certified(tmp_path / "tls")) as running:
        yield running


@pytest.fixture
def engine(tmp_path: Path, venue: RunningVenue) -> EngineAlone:
    return EngineAlone(tmp_path, venue, tmp_path / "tls", region_s=0.2)


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        ("status", {"status": 500, "text": "broken"}),
        ("status", {"status": 200, "text": "no field of it"}),
        ("cdn-page", {}),
        ("reset", {}),
        ("lost-reply", {"how": "silence"}),
    ],
)
def test_what_is_no_clear_yes_is_a_no_until_one_comes(
    venue: RunningVenue, engine: EngineAlone, fault: str, body: dict
) -> None:
    venue.steer(f"/faults/{fault}", requests=None, **ASK, **body)
    with engine:
        engine.until_ready()
        engine.until_logged("event=engine.region.unclear")
        assert engine.place(until="eligibility: ")
        venue.look(lambda server: server.venue.faults.clear())
        engine.until_logged("event=engine.region.open")
        assert engine.place()
        assert engine.stop() == 0


def test_a_region_that_is_blocked_at_the_start_halts(venue: RunningVenue, engine: EngineAlone) -> None:
    venue.steer("/faults/geoblock", blocked=True)
    with engine:
        engine.until_ready()
        engine.until_logged('cause="eligibility: this region is blocked" event=engine.halt ')
        assert engine.place(until="halted: eligibility: this region is blocked")
        assert engine.stop() == 0


def test_a_region_that_becomes_blocked_halts_and_a_later_yes_lifts_no_halt(
    venue: RunningVenue, engine: EngineAlone
) -> None:
    with engine:
        engine.until_ready()
        assert engine.place()
        venue.steer("/faults/geoblock", blocked=True)
        engine.until_logged("event=engine.halt ")
        venue.steer("/faults/geoblock", blocked=False)
        engine.until_logged("event=engine.region.open", times=2)
        assert engine.place(until="halted: eligibility: this region is blocked")
        assert venue.look(lambda server: server.open_order_count) == 0
        assert engine.stop() == 0


def test_a_swarm_under_proxy_variables_stays_direct(
    start_swarm: Callable[..., SwarmRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        met: list[object] = []

        def accept() -> None:
            while True:
                try:
                    met.append(proxy.accept())
                except OSError:
                    return

        waiting = threading.Thread(target=accept)
        waiting.start()
        with monkeypatch.context() as environment:
            for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY"):
                environment.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
            environment.delenv("NO_PROXY", raising=False)
            environment.delenv("no_proxy", raising=False)
            run = start_swarm()
        run.until_quoting()
        eventually(lambda: len(run.pids()) >= 14, 30, "every process runs")
        environments = [Path(f"/proc/{pid}/environ").read_bytes().lower() for pid in run.pids().values()]
        assert not any(b"_proxy=" in environment for environment in environments)
        code, _ = run.finish(signal.SIGTERM)
        assert code == 0
        proxy.shutdown(socket.SHUT_RDWR)
    waiting.join(timeout=30)
    assert met == []
    assert "HTTP_PROXY" in run.output()
