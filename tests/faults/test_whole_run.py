"""One run from start to end: eleven processes, real trading, a clean finish, a full report."""

import json
import os
import pty
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.swarm_run import AGENTS, PROJECT, SwarmRun, claw, eventually, write_config

MEMORY_LIMIT_KIB = int(1.2 * 1024 * 1024)


def test_a_run_trades_and_leaves_nothing_open(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm("--for", "20")
    run.until_quoting()

    status = run.status()
    assert [agent["name"] for agent in status["agents"]] == AGENTS
    assert len({agent["pid"] for agent in status["agents"]}) == 11
    assert [service["name"] for service in status["services"]] == ["engine", "guard"]
    assert {agent["restarts"] for agent in status["agents"]} == {0}
    assert memory_kib(run) < MEMORY_LIMIT_KIB
    run.hit_bids()

    code, report = run.finish(None)
    assert code == 0, run.output()
    assert report["agents"] == {"orchestrator": 1, "sentinel": 2, "quoter": 6, "risk_manager": 2}
    assert report["markets"] >= 4
    # How often it quotes anew is the strategy's affair and the market's: both sides of each market it did.
    assert report["orders"]["placed"] >= 8
    assert report["orders"]["cancelled"] > 0
    assert report["orders"]["filled"] > 0
    assert report["orders"]["open_at_end"] == 0
    assert report["latency"]["feed_to_quoter_us"]["n"] > 0
    assert report["latency"]["tick_to_wire_us"]["n"] > 0
    assert report["latency"]["cycle_ms"]["n"] > 0
    assert 0 < report["governor"]["max_10s"] <= report["governor"]["limit_10s"]
    assert 0 <= report["risk"]["max_abs_ratio"] < report["risk"]["band"]
    assert report["pnl_usd"]["total"] is not None
    assert report["pnl_usd"]["funding"] is None, "not measured is null"
    assert 0 < report["quoting_uptime"] <= 1
    assert any("synthetic" in warning for warning in report["warnings"])
    assert not run.pids()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order(
    start_swarm: Callable[..., SwarmRun], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The report has characters that this encoding lacks.
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    run = start_swarm()
    run.until_quoting(markets=1)
    code, report = run.finish(number)
    assert code == 0, run.output()
    assert report["orders"]["open_at_end"] == 0
    assert not run.pids()


def test_a_run_that_placed_nothing_says_why_it_may(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm("--for", "3", capital_usd=5, max_loss_usd=5, max_drawdown_usd=5)
    code, report = run.finish(None)
    assert (code, report["orders"]["placed"]) == (0, 0)
    (idle,) = (warning for warning in report["warnings"] if warning.startswith("no order was placed"))
    assert "USD" in idle or "no market was open" in idle


def test_a_closed_terminal_ends_it_with_a_report(tmp_path: Path) -> None:
    config, written = write_config(tmp_path), tmp_path / "report.json"
    command = [sys.executable, "-m", "clawswarm", "up", "--config", str(config), "--report", str(written)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(PROJECT)
        os.execve(command[0], command, os.environ | {"TERM": "xterm"})
    seen = b""
    while not re.search(rb"[1-9]\d* open", seen):
        seen = seen[-10_000:] + os.read(terminal, 65_536)
    os.close(terminal)
    os.waitpid(pid, 0)
    assert json.loads(written.read_text())["orders"]["open_at_end"] == 0


def test_halt_cancels_everything_until_resume(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting()
    halted = claw("halt", "--config", str(run.config))
    assert halted.returncode == 0, halted.stderr
    assert run.open_orders() == {}
    assert run.status()["state"] == "halted"
    assert claw("resume", "--config", str(run.config)).returncode == 0
    run.until_quoting()
    assert run.status()["state"] == "running"
    code, _ = run.finish()
    assert code == 0


def test_a_region_refusal_halts_for_good(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting()
    run.control("POST", "/faults/geoblock", {"blocked": True})
    eventually(lambda: run.open_orders() == {}, 30, "orders gone after the refusal")
    eventually(lambda: run.status()["state"] == "halted", 30, "the halt is seen")
    run.control("POST", "/faults/geoblock", {"blocked": False})
    assert run.status()["state"] == "halted", "only a person lifts it"
    assert run.open_orders() == {}
    code, _ = run.finish()
    assert code == 0


def memory_kib(run: SwarmRun) -> int:
    """Proportional set size of agents, engine, guard and supervisor."""
    pids = {name: pid for name, pid in run.pids().items() if name != "sandbox"}
    assert len(pids) == 13
    return sum(pss_kib(pid) for pid in (*pids.values(), run.process.pid))


def pss_kib(pid: int) -> int:
    """Proportional set size of one process; of one that shows its memory to nobody, its whole resident set."""
    try:
        text, key = Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss:"
    except PermissionError:
        text, key = Path(f"/proc/{pid}/status").read_text(), "VmRSS:"
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(key))
