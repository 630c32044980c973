"""A quoter hangs, loses its mandate or its sentinels: its own orders go within a second or so, nobody else's.

How fast is measured by `make bench`; the limits here are a busy machine's.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from clawswarm.kernel.journal import scan
from clawswarm.model.messages import DeadmanFired
from faults.swarm_run import PROJECT, SwarmRun, eventually

# Sooner than the venue's own dead-man switch would act.
GONE_S = 8.0
# No supervisor's watchdog helps within a test: what acts is the engine.
PATIENT = {"watchdog_s": 60.0}


def withdrawals(run: SwarmRun) -> list[DeadmanFired]:
    """What the engine has withdrawn unasked, by its journal, but for routes that broke meanwhile."""
    records = scan(run.run_dir / "engine/deadman.journal")
    fired = [msgspec.msgpack.decode(record, type=DeadmanFired) for _, record in records]
    return [one for one in fired if not one.cause.startswith("route: ")]


def engine_log(run: SwarmRun) -> str:
    """What the engine has logged so far."""
    return (run.run_dir / "logs/engine.log").read_text()


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """SIGSTOP processes for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def finish(run: SwarmRun) -> None:
    run.until_quoting(markets=6)
    code, report = run.finish()
    assert code == 0, run.output()
    assert report["orders"]["open_at_end"] == 0


def test_a_stopped_quoter(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(**PATIENT)
    run.until_quoting(markets=6)
    market, name = next(iter(run.owners().items()))
    with stopped(run.pid(name)):
        eventually(lambda: not run.open_orders(market), GONE_S, f"the orders of {name} are gone")
        eventually(lambda: f"quoter={name}" in engine_log(run), GONE_S, "the engine says whose")
        eventually(lambda: bool(withdrawals(run)), GONE_S, "and the venue has confirmed it")
    assert {(fired.cause, fired.victim) for fired in withdrawals(run)} == {("touch late", name)}
    finish(run)


def test_a_quoter_stuck_in_a_call_that_holds_the_lock(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(mandate_life_s=60.0, **PATIENT)
    run.until_quoting(markets=6)
    record = json.loads((run.run_dir / "orchestrator/record.json").read_text())
    term = json.loads((run.state_dir / "standing.json").read_text())["term"]
    market, assignment = next(iter(record["assignments"].items()))
    name = assignment["quoter"]
    port = json.loads((run.run_dir / "engine/settings.json").read_text())["port"]
    # It takes the place of the swarm's own quoter, which stands still meanwhile, as does whoever would replace it.
    with stopped(run.pid(name), run.pid("orchestrator")):
        script = Path(__file__).with_name("stuck_quoter.py")
        stuck = subprocess.Popen(
            [sys.executable, script, port, name, market, str(term), str(assignment["epoch"])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        try:
            assert stuck.stdin is not None
            assert stuck.stdout is not None
            order_id = stuck.stdout.readline().strip()
            assert order_id in run.open_orders(market)
            before = len(withdrawals(run))
            stuck.stdin.write("\n")
            stuck.stdin.flush()
            eventually(lambda: not run.open_orders(market), GONE_S, "the stuck quoter's order is gone")
            eventually(lambda: len(withdrawals(run)) > before, GONE_S, "and the venue has confirmed it")
            assert stuck.poll() is None, "its connection is open all the time"
        finally:
            stuck.kill()
            stuck.communicate()
    last = withdrawals(run)[-1]
    assert (last.cause, last.victim, last.cancelled) == ("touch late", name, 1)
    assert {fired.victim for fired in withdrawals(run)} == {name}
    finish(run)


def test_mandates_that_run_out(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(mandate_life_s=2.0, renew_s=0.2, **PATIENT)
    run.until_quoting(markets=6)
    with stopped(run.pid("orchestrator")):
        eventually(lambda: run.open_orders() == {}, 2.0 + GONE_S, "nothing is open without a mandate")
    finish(run)


def test_sentinels_that_are_silent(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(**PATIENT)
    run.until_quoting(markets=6)
    quoters = {f"quoter-{n}" for n in range(1, 7)}
    # The quoters stand still too, so that it is not they who cancel.
    with stopped(run.pid("sentinel-1"), run.pid("sentinel-2"), *(run.pid(name) for name in quoters)):
        eventually(lambda: run.open_orders() == {}, GONE_S, "nothing is open without a book")
        eventually(lambda: "engine.sentinels.silent" in engine_log(run), GONE_S, "and the engine says why")
        eventually(lambda: bool(withdrawals(run)), GONE_S, "and the venue has confirmed it")
    # A quoter that was between two orders when it was stopped had nothing to withdraw.
    assert {fired.victim for fired in withdrawals(run)} <= quoters
    assert {fired.cause for fired in withdrawals(run)} <= {"every sentinel is silent", "touch late"}
    finish(run)


def test_everything_killed_at_once(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=6)
    pids = run.pids()
    # Guard and engine first: between two kills they would see the others go, and withdraw their orders.
    first = [pids.pop("guard"), pids.pop("engine"), run.process.pid]
    for pid in (*first, *(pid for name, pid in pids.items() if name != "sandbox")):
        os.kill(pid, signal.SIGKILL)
    assert run.open_orders(), "the orders outlive their owner, until the venue's own dead-man switch"
    eventually(lambda: run.open_orders() == {}, 16, "the venue's heartbeat clears them")
