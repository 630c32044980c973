"""The engine dies or hangs: its guard kills it, cancels what it left, and no other engine places before that."""

import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from clawswarm.kernel.journal import scan
from faults.swarm_run import SwarmRun, eventually

# Detection and a busy machine's share, sooner than the venue's own dead-man switch. `make bench` has the timings.
GONE_S = 8.0
BACK_S = 30.0


def is_running(pid: int) -> bool:
    """Whether a process exists and is more than a name in the process table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def guard_log(run: SwarmRun) -> str:
    return (run.run_dir / "logs/guard.log").read_text()


@pytest.mark.parametrize(
    ("number", "cause"), [(signal.SIGKILL, "the engine is gone"), (signal.SIGSTOP, "the engine is silent")]
)
def test_an_engine_that_is_gone_or_stopped(
    start_swarm: Callable[..., SwarmRun], number: int, cause: str
) -> None:
    run = start_swarm()
    run.until_quoting(markets=6)
    pid, before = run.pid("engine"), run.open_orders().keys()
    os.kill(pid, number)
    eventually(lambda: not before & run.open_orders().keys(), GONE_S, "the orders of the engine are gone")
    eventually(lambda: not is_running(pid), GONE_S, "a stopped engine can never be continued")
    eventually(lambda: f'cause="{cause}"' in guard_log(run), GONE_S, "the guard says what it did")
    eventually(lambda: run.pids().get("engine", pid) != pid, BACK_S, "the engine is back")
    run.until_quoting(markets=6)
    code, report = run.finish()
    assert code == 0, run.output()
    assert report["orders"]["open_at_end"] == 0
    assert cause in {event["cause"] for event in report["deadman"]}


def test_a_stopped_engine_that_is_continued_later_places_nothing(
    start_swarm: Callable[..., SwarmRun],
) -> None:
    run = start_swarm()
    run.until_quoting(markets=6)
    pid, intents = run.pid("engine"), run.run_dir / "engine/intents.journal"
    # Without the supervisor no other engine places meanwhile.
    run.process.send_signal(signal.SIGSTOP)
    try:
        os.kill(pid, signal.SIGSTOP)
        placed = sum(1 for _ in scan(intents))
        eventually(lambda: run.open_orders() == {}, GONE_S, "its guard has cancelled everything")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: not is_running(pid), GONE_S, "it does not go on")
        assert sum(1 for _ in scan(intents)) == placed > 0
        assert run.open_orders() == {}
    finally:
        run.process.send_signal(signal.SIGCONT)
    run.until_quoting(markets=6)
    code, report = run.finish()
    assert code == 0, run.output()
    assert report["orders"]["open_at_end"] == 0


def test_without_a_guard_the_engine_only_cancels(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(watchdog_s=12.0)
    run.until_quoting(markets=6)
    pid = run.pid("guard")
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: run.open_orders() == {}, 10, "an engine without a guard withdraws")
    services = {service["name"]: service for service in run.status()["services"]}
    assert services["guard"]["pid"] == pid
    assert services["engine"]["restarts"] == 0
    eventually(lambda: run.pids().get("guard", pid) != pid, BACK_S, "the hung guard is replaced")
    run.until_quoting(markets=6)
    code, report = run.finish()
    assert code == 0, run.output()
    assert "no guard watches this engine" in {event["cause"] for event in report["deadman"]}


def test_a_guard_that_comes_back_soon_costs_nothing(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=6)
    pid = run.pid("guard")
    port = json.loads((run.run_dir / "guard/settings.json").read_text())["socket"]
    for garbage in (b"", b"t" * 100, b"\xff" * 8, b"\x02\0\0\0{}"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(port)
            assert stranger.recv(1) == b"?"
            stranger.sendall(garbage)
    eventually(
        lambda: guard_log(run).count("event=guard.connection.lost") == 4, GONE_S, "strangers are sent off"
    )
    assert run.pid("guard") == pid
    run.kill("guard")
    eventually(lambda: run.pids().get("guard", pid) != pid, BACK_S, "the guard is back")
    eventually(lambda: guard_log(run).count("event=guard.armed") == 2, BACK_S, "it guards the same engine")
    run.until_quoting(markets=6)
    code, report = run.finish()
    assert code == 0, run.output()
    # A venue that shares two cores with the tests may be slow; of the guard nothing was missed.
    assert [e for e in report["deadman"] if not e["cause"].startswith(("route: ", "user feed"))] == []
    assert not run.pids()


def test_the_guard_outlives_everyone_until_its_work_is_done(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=6)
    guard = run.pid("guard")
    pids = run.pids()
    # The engine first: between two kills it would see the others go, and withdraw by itself.
    first = (pids.pop("engine"), run.process.pid)
    for pid in (*first, *(pid for name, pid in pids.items() if name not in ("sandbox", "guard"))):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: run.open_orders() == {}, GONE_S, "the guard alone clears the account")
    eventually(lambda: not is_running(guard), 15, "then it ends by itself")
    assert 'cause="the engine is gone"' in guard_log(run)


def test_an_engine_that_lost_its_counters_places_nothing(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=6)
    log = run.run_dir / "logs/engine.log"
    counted = run.run_dir / "engine/limits.counters"
    assert counted.read_bytes()[:8] == b"clawcnt1"
    pid = run.pid("engine")
    counted.unlink()
    run.kill("engine")
    eventually(lambda: not is_running(pid), GONE_S, "the engine is dead")
    intents = run.run_dir / "engine/intents.journal"
    placed = sum(1 for _ in scan(intents))
    eventually(lambda: run.pids().get("engine", pid) != pid, BACK_S, "the engine is back")
    eventually(lambda: "event=engine.counters.lost" in log.read_text(), BACK_S, "it says what it lost")
    eventually(lambda: log.read_text().count("event=engine.guarded") == 2, BACK_S, "it may place again")
    code, report = run.finish()
    assert code == 0, run.output()
    assert report["orders"]["open_at_end"] == 0
    assert sum(1 for _ in scan(intents)) == placed > 0
