"""The orchestrator dies, sleeps and wakes, and halts the swarm: its word outlives it, quotes do not notice."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.mayhem import Caps, judge, owners_of

from clawswarm.sandbox.order_log import OrderChange, read_order_log
from faults.swarm_run import PROJECT, SwarmRun, claw, eventually

BACK_S = 30.0
# Longer than a busy machine needs to start another one.
MANDATE_S = 60.0


def standing(run: SwarmRun) -> dict:
    return json.loads((run.state_dir / "standing.json").read_text())


def record(run: SwarmRun) -> dict:
    return json.loads((run.run_dir / "orchestrator/record.json").read_text())


def log(run: SwarmRun, name: str) -> str:
    return (run.run_dir / f"logs/{name}.log").read_text()


@pytest.mark.timeout(240)
def test_its_death_interrupts_no_quote(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(restarts=20, mandate_life_s=MANDATE_S)
    run.until_quoting(markets=6)
    before = record(run)["assignments"]
    for term in (2, 3):
        pid = run.pid("orchestrator")
        run.kill("orchestrator")
        eventually(lambda pid=pid: run.pids().get("orchestrator", pid) != pid, BACK_S, "it is back")
        eventually(lambda term=term: standing(run)["term"] == term, BACK_S, "its term has grown")
        run.until_quoting(markets=6)
    assert record(run)["assignments"] == before, "who is recorded stays, under the same epoch"
    code, report = run.finish()
    assert code == 0, run.output()
    causes = {event["cause"] for event in report["deadman"]}
    assert not {cause for cause in causes if "mandate" in cause}, "no mandate ever ended"
    assert "epoch:" not in log(run, "engine")


@pytest.mark.timeout(240)
def test_an_old_one_that_wakes_changes_nothing(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(watchdog_s=120.0, mandate_life_s=MANDATE_S)
    run.until_quoting(markets=6)
    old = run.pid("orchestrator")
    os.kill(old, signal.SIGSTOP)
    # Its successor, as another host would start it: the same place, a name of its own on the bus.
    late = Path(__file__).with_name("late_orchestrator.py")
    words = (run.run_dir / "logs/late.log").open("w")
    command = [sys.executable, str(late), str(run.run_dir / "place.json")]
    successor = subprocess.Popen(command, cwd=PROJECT, stderr=words)
    try:
        eventually(lambda: standing(run)["term"] == 2, BACK_S, "the successor has begun")
        run.until_quoting(markets=6)
        kept = (standing(run), record(run)["assignments"])
        os.kill(old, signal.SIGCONT)
        eventually(
            lambda: "a later orchestrator has begun (term 2, own 1)" in log(run, "orchestrator"),
            BACK_S,
            "the old one sees that its time is over",
        )
        assert (standing(run)["standing"], record(run)["assignments"]) == (kept[0]["standing"], kept[1])
        run.until_quoting(markets=6)
    finally:
        successor.kill()
        successor.wait()
        words.close()
    code, report = run.finish()
    assert code == 0, run.output()
    assert report["orders"]["open_at_end"] == 0
    assert not {event["cause"] for event in report["deadman"] if "mandate" in event["cause"]}


@pytest.mark.timeout(240)
def test_the_markets_of_a_lost_quoter_move_once_its_orders_are_gone(
    start_swarm: Callable[..., SwarmRun], tmp_path: Path
) -> None:
    log_path = tmp_path / "orders.log"
    run = start_swarm(watchdog_s=120.0, order_log=str(log_path))
    run.until_quoting(markets=6)
    (market,) = (market for market, owner in run.owners().items() if owner == "quoter-1")
    pid = run.pid("quoter-1")
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: run.owners()[market] != "quoter-1", BACK_S, "another quoter has its market")
    heir = run.owners()[market]
    eventually(lambda: bool(run.open_orders(market)), BACK_S, "it quotes it")
    os.kill(pid, signal.SIGCONT)
    for _ in range(100):
        assert run.owners()[market] == heir, "who wakes finds its market taken"
    code, _ = run.finish()
    assert code == 0, run.output()
    changes, owners = read_order_log(log_path), owners_of(run.run_dir)
    seen = {
        owners[change.id] for change in changes if isinstance(change, OrderChange) and change.market == market
    }
    assert seen == {"quoter-1", heir}
    caps = Caps(position_e6=200_000_000, capital_e6=5_000_000_000 // 6)
    assert judge(changes, owners, caps).wrong == ()


@pytest.mark.timeout(240)
def test_a_halt_outlives_the_swarm_until_the_operator_resumes(
    start_swarm: Callable[..., SwarmRun],
) -> None:
    run = start_swarm()
    run.until_quoting()
    assert claw("halt", "--config", str(run.config)).returncode == 0
    assert run.open_orders() == {}
    for name in ("orchestrator", "engine"):
        pid = run.pid(name)
        run.kill(name)
        eventually(lambda name=name, pid=pid: run.pids().get(name, pid) != pid, BACK_S, f"{name} is back")
        eventually(lambda: run.status()["state"] == "halted", BACK_S, f"halted after {name} is back")
    assert run.finish()[0] == 0

    again = start_swarm()
    eventually(lambda: _trading(again) == "halted", BACK_S, "the next run begins halted")
    eventually(lambda: "event=engine.halted" in log(again, "engine"), BACK_S, "and its engine with it")
    assert again.status()["causes"] == ["operator"]
    assert again.open_orders() == {}
    assert claw("resume", "--config", str(again.config)).returncode == 0
    again.until_quoting()
    eventually(lambda: _trading(again) == "normal", BACK_S, "the halt is lifted")
    code, report = again.finish()
    assert code == 0, again.output()
    assert report["trading"]["causes"] == ["operator"]
    assert report["trading"]["seconds"]["halted"] > 0


@pytest.mark.timeout(240)
def test_a_loss_beyond_the_limit_halts(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(max_loss_usd=0.1, max_drawdown_usd=1000.0)
    eventually(lambda: _trading(run) == "halted", 90, "the loss is noticed")
    eventually(lambda: run.open_orders() == {}, BACK_S, "nothing is open")
    (cause,) = (cause for cause in run.status()["causes"] if cause.startswith("loss of"))
    assert cause.endswith("0.1 is the limit")
    assert cause in standing(run)["standing"]["latched"]
    assert run.finish()[0] == 0


@pytest.mark.timeout(240)
def test_a_drawdown_beyond_the_limit_lets_positions_only_be_made_smaller(
    start_swarm: Callable[..., SwarmRun],
) -> None:
    run = start_swarm(max_loss_usd=1000.0, max_drawdown_usd=0.1)
    eventually(lambda: _trading(run) == "reduce_only", 90, "the drawdown is noticed")
    eventually(lambda: adds_to_a_position(run) == [], BACK_S, "what could add to a position is gone")
    for _ in range(20):
        assert adds_to_a_position(run) == []
    assert run.finish()[0] == 0


def adds_to_a_position(run: SwarmRun) -> list[str]:
    """Open orders that would make a position larger, by the venue's books; twice, for a fill may be between."""
    return sorted(_adding(run) & _adding(run))


def _adding(run: SwarmRun) -> set[str]:
    markets = {mandate["market"]["condition_id"]: mandate["market"] for mandate in record(run)["mandates"]}
    orders = run.open_orders()
    accounts = run.control("GET", "/accounts")["accounts"]
    owners = {order["owner"] for order in orders.values()}
    held = [account["tokens"] for account in accounts if account["address"] in owners]
    found = set()
    for order_id, order in orders.items():
        market = markets[order["market"]]
        net = sum(float(t.get(market["yes_token"], 0)) - float(t.get(market["no_token"], 0)) for t in held)
        if net == 0 or (net > 0) == (order["side"] == "BUY"):
            found.add(order_id)
    return found


def _trading(run: SwarmRun) -> str | None:
    if run.process.poll() is not None or not (run.state_dir / "control.json").exists():
        return None
    return run.status()["trading"]
