"""kill -9 of every process, one after the other: orders go, the process comes back, the others go on."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from faults.swarm_run import AGENTS, SwarmRun, eventually

# Sooner than the venue's own dead-man switch, which would hide a fault; how fast is measured by `make bench`.
ORDERS_GONE_S = 8.0
BACK_S = 20.0


@pytest.mark.timeout(240)
def test_any_agent_may_be_killed(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(restarts=20)
    run.until_quoting(markets=6)
    for name in AGENTS:
        kill_and_watch(run, name)
    agents = {agent["name"]: agent for agent in run.status()["agents"]}
    assert {agent["restarts"] for agent in agents.values()} == {1}
    code, report = run.finish()
    assert code == 0, run.output()
    assert report["orders"]["open_at_end"] == 0
    assert len(report["failovers"]) == len(AGENTS)
    causes = [event["cause"] for event in report["deadman"]]
    assert causes.count("connection closed") == 6


def kill_and_watch(run: SwarmRun, name: str) -> None:
    """kill -9 one agent: only its own orders go, it comes back, nobody else is touched."""
    others = {other: pid for other, pid in run.pids().items() if other != name}
    killed_pid = run.pid(name)
    owned = [market for market, owner in run.owners().items() if owner == name]
    before = {order for market in owned for order in run.open_orders(market)}

    run.kill(name)

    eventually(lambda: not before & run.open_orders().keys(), ORDERS_GONE_S, f"orders of {name} gone")
    eventually(lambda: run.pids().get(name, killed_pid) != killed_pid, BACK_S, f"{name} is back")
    assert {other: pid for other, pid in run.pids().items() if other != name} == others
    run.until_quoting(markets=6)


def test_a_machine_that_stands_still_costs_no_process(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=6)
    before = run.pids()
    everyone = (run.process.pid, *before.values())
    for pid in everyone:
        os.kill(pid, signal.SIGSTOP)
    # The fault itself, longer than the watchdog's patience.
    time.sleep(4.0)
    for pid in everyone:
        os.kill(pid, signal.SIGCONT)
    run.until_quoting(markets=6)
    assert run.pids() == before
    code, report = run.finish()
    assert code == 0, run.output()
    assert report["failovers"] == []


def test_without_its_venue_the_run_ends(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=1)
    run.kill("sandbox")
    code, report = run.finish(None)
    assert code == 1
    assert "sandbox was ended by signal 9" in run.output()
    assert "Traceback" not in run.output()
    assert report["orders"]["open_at_end"] is None, "nobody was there to be asked"
    assert not run.pids()


def test_no_order_survives_the_supervisor(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting()
    os.kill(run.process.pid, signal.SIGKILL)
    # The sandbox outlives its swarm, so an empty listing is the venue's word and not its silence.
    eventually(lambda: run.open_orders() == {}, 15, "no order survives the supervisor")
    eventually(lambda: not run.pids(), 30, "every process ends")


def test_a_process_that_keeps_falling_ends_the_run(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(restarts=1)
    run.until_quoting(markets=1)
    first = run.pid("risk-manager-1")
    run.kill("risk-manager-1")
    eventually(lambda: run.pids().get("risk-manager-1", first) != first, BACK_S, "the first restart")
    run.kill("risk-manager-1")
    code, report = run.finish(None)
    assert code == 1
    assert "risk-manager-1 was ended by signal 9" in run.output()
    assert "Traceback" not in run.output()
    assert report["orders"]["open_at_end"] == 0
