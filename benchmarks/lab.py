"""Rows of the lab: events a second that a backtest takes, beside hftbacktest in the same run.

lab.read_best       replay one-change book events and read best bid and ask after each
lab.cancel_submit   the same, and at each event cancel the resting order and submit another

Both drive the venue from a loop: ours in Python over `_core.Replay`, hftbacktest's compiled by numba, as its users
write it. Both have constant latency. hftbacktest is no dependency (numba and its compiler are large):
`make bench-peers` puts it into an environment of its own; without it the peer's figures are null with the reason.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.measure import Observation, Row, observe
from clawswarm._core import Flow, Replay

EVENTS = 300_000
ROUNDS = 5
MS = 1_000_000
PEER = "hftbacktest"
PEER_PYTHON = Path(__file__).parents[1] / ".venv-bench" / "bin" / "python"


def rows(_n: int) -> list[Row]:
    """Both rows."""
    flow = one_change_flow(EVENTS)
    works: tuple[tuple[str, Callable[[Flow], int]], ...] = (
        ("lab.read_best", read_best),
        ("lab.cancel_submit", cancel_submit),
    )
    return [
        _with_peer(observe(name, "events/s", lambda work=work: rates(flow, work)), name)
        for name, work in works
    ]


def one_change_flow(events: int) -> Flow:
    """A book of ten levels a side, then one change in each event, near the touch and away from it."""
    flow = Flow()
    flow.levels(
        0, [(0, 100 * n, 50 * MS) for n in range(40, 50)] + [(1, 100 * n, 50 * MS) for n in range(51, 61)]
    )
    for number in range(1, events):
        side, away = number % 2, number % 5
        price = (49 - away if side == 0 else 51 + away) * 100
        flow.levels(number * MS, [(side, price, (10 + number % 37) * MS)])
    return flow


def rates(flow: Flow, work: Callable[[Flow], int]) -> Observation:
    """Events a second, once a round."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        seen = work(flow)
        found.append(seen / (time.process_time() - began))
    return Observation(found)


def read_best(flow: Flow) -> int:
    """Read both sides after every event."""
    replay, seen = _new(flow), 0
    step = replay.step
    while step():
        _bid, _ask = replay.bid_e4, replay.ask_e4
        seen += 1
    return seen


def cancel_submit(flow: Flow) -> int:
    """Replace a resting order at every book event."""
    replay, seen = _new(flow), 0
    step, place, cancel = replay.step, replay.place, replay.cancel
    order = place("BUY", 4_000, 5 * MS, True)
    while kind := step():
        if kind == 1 and seen < EVENTS:
            cancel(order)
            order = place("BUY", 4_000, 5 * MS, True)
            seen += 1
    return seen


def _new(flow: Flow) -> Replay:
    return Replay(
        flow, tick_e4=100, min_size_e6=5 * MS, ends_ns=EVENTS * MS, feed_ns=MS // 2, order_ns=MS // 4
    )


def _with_peer(row: Row, name: str) -> Row:
    if row.p50 is None:
        return row
    peer = _peer_rate(name)
    if isinstance(peer, str):
        return msgspec.structs.replace(row, reason=f"own figure alone; peer: {peer}")
    return msgspec.structs.replace(row, peer=PEER, peer_p50=round(peer), ratio=round(row.p50 / peer, 2))


def _peer_rate(name: str) -> float | str:
    """The peer's events a second, or why there is no figure; a process of its own, since it brings a compiler."""
    python = PEER_PYTHON if PEER_PYTHON.exists() else Path(sys.executable)
    program = Path(__file__).with_name("lab_peer.py")
    done = subprocess.run(
        [str(python), str(program), name, str(EVENTS), str(ROUNDS)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode == 0:
        return float(done.stdout.split()[-1])
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
