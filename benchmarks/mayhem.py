"""Random deaths, hangs and cut sockets in a real swarm, judged by the venue's own log.

Every half to two seconds one process of the swarm is killed, or stopped and continued, or the venue cuts its
connections or loses its answers. Afterwards the log of the venue is replayed order by order: at no instant may two
quoters have orders in one market, an order be open that no journal knew before, or a cap be exceeded.

mayhem.disturbances: how many there were, in ten minutes with `--full`; null with the first thing that was not
right.
"""

import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from faults.swarm_run import SwarmRun

from benchmarks.measure import NotMeasured, Observation, Row, observe
from clawswarm.kernel.journal import scan
from clawswarm.lab.engine_machine import Intent
from clawswarm.sandbox.order_log import OrderChange, RequestSeen, read_order_log

TESTS = str(Path(__file__).parents[1] / "tests")
NS_PER_S = 1_000_000_000
FULL_S, SHORT_S = 600.0, 40.0
LONGEST_STOP_S = 4.0
CUTS = (
    ("/faults/reset", {"method": "*", "path": "/order", "requests": 2}),
    ("/faults/lost-reply", {"method": "POST", "path": "/order", "requests": 1}),
    ("/faults/lost-reply", {"method": "DELETE", "path": "/order", "requests": 1}),
    ("/faults/close", {"channel": "user", "code": 1011}),
    ("/faults/close", {"channel": "market", "code": 1001}),
)


class Caps(msgspec.Struct, frozen=True):
    """What no instant may exceed: of a market in 1e-6, and place requests in 10 s and 600 s."""

    position_e6: int
    capital_e6: int
    requests: tuple[int, int] = (3_500, 36_000)


class Verdict(msgspec.Struct, frozen=True):
    """What the log shows; `wrong` is in order of time."""

    wrong: tuple[str, ...]
    orders: int
    most_owners: int
    refused: int


def rows(is_full: bool) -> list[Row]:
    """Every row of this file."""
    return [observe("mayhem.disturbances", "n", lambda: _row(FULL_S if is_full else SHORT_S))]


def _row(seconds: float) -> Observation:
    with tempfile.TemporaryDirectory(prefix="claw-mayhem-") as folder:
        done, verdict = play(Path(folder), seconds, seed=1)
    if verdict.wrong:
        raise NotMeasured(f"{len(verdict.wrong)} things were wrong, the first: {verdict.wrong[0]}")
    return Observation(
        [float(sum(done.values()))],
        notes=(
            ", ".join(f"{count} {what}" for what, count in sorted(done.items())),
            f"{verdict.orders} orders, never of two quoters in one market, no cap exceeded, no answer 429",
        ),
    )


def play(folder: Path, seconds: float, seed: int) -> tuple[dict[str, int], Verdict]:
    """Run a swarm under so long of this; what was done to it, and the verdict. Fails when it does not survive."""
    if TESTS not in sys.path:
        # The swarm as the end-to-end tests run it; their folder is no package.
        sys.path.append(TESTS)
    from faults.swarm_run import SwarmRun

    log_path = folder / "orders.log"
    run = SwarmRun(folder, restarts=100_000, order_log=str(log_path), start_timeout_s=120.0)
    try:
        run.until_quoting()
        done = torment(run, Random(seed), seconds)
        run.until_quoting()
        code, report = run.finish()
        assert code == 0, run.output()
        assert report["orders"]["open_at_end"] == 0, run.output()
        caps = Caps(position_e6=200_000_000, capital_e6=5_000_000_000 // max(1, report["markets"]))
        return done, judge(read_order_log(log_path), owners_of(run.run_dir), caps)
    finally:
        run.close()


def torment(run: "SwarmRun", rng: Random, seconds: float) -> dict[str, int]:
    """Kill, stop and cut for so long; how often what was done."""
    done: dict[str, int] = defaultdict(int)
    stopped: dict[int, float] = {}
    end_s = time.perf_counter() + seconds
    while (now_s := time.perf_counter()) < end_s or stopped:
        for pid in [pid for pid, until_s in stopped.items() if until_s <= now_s]:
            del stopped[pid]
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        assert run.process.poll() is None, run.output()
        if now_s < end_s:
            done[_disturb(run, rng, stopped)] += 1
        time.sleep(rng.uniform(0.5, 2.0))
    return dict(done)


def _disturb(run: "SwarmRun", rng: Random, stopped: dict[int, float]) -> str:
    how = rng.choices(("killed", "stopped", "cut"), (4, 3, 3))[0]
    if how == "cut":
        path, body = rng.choice(CUTS)
        with suppress(OSError):
            run.control("POST", path, body)
        return how
    pids = sorted((name, pid) for name, pid in run.pids().items() if name != "sandbox")
    name, pid = rng.choice(pids)
    with suppress(ProcessLookupError):
        if how == "stopped":
            os.kill(pid, signal.SIGSTOP)
            stopped[pid] = time.perf_counter() + rng.uniform(0.1, LONGEST_STOP_S)
        else:
            os.kill(pid, signal.SIGKILL)
    return f"{how} {name.rstrip('0123456789-')}"


def owners_of(run_dir: Path) -> dict[str, str]:
    """Order id → quoter, of every intent that was journalled."""
    decode = msgspec.msgpack.Decoder(Intent).decode
    journals = run_dir.rglob("intents.journal")
    intents = (decode(record) for journal in journals for _, record in scan(journal))
    return {intent.order_id: intent.owner for intent in intents}


def judge(log: Sequence[OrderChange | RequestSeen], owners: Mapping[str, str], caps: Caps) -> Verdict:
    """Replay the venue's log. Pure."""
    wrong: list[str] = []
    live: dict[str, dict[str, OrderChange]] = defaultdict(dict)
    matched: dict[str, int] = {}
    net: dict[str, int] = defaultdict(int)
    most_owners, refused, times = 0, 0, list[int]()
    for line in log:
        if isinstance(line, RequestSeen):
            refused += line.kind == "REFUSED"
            if line.kind == "REFUSED":
                wrong.append(f"{line.at_ns}: {line.method} {line.path} was answered 429")
            elif line.method == "POST":
                times.append(line.at_ns)
            continue
        if line.id not in owners:
            wrong.append(f"{line.at_ns}: order {line.id} is in no journal")
        traded = line.matched_e6 - matched.get(line.id, 0)
        matched[line.id] = line.matched_e6
        net[line.market] += traded if line.is_bid else -traded
        orders = live[line.market]
        orders.pop(line.id, None)
        if line.open_e6:
            orders[line.id] = line
        holders = {owners.get(order_id, "nobody") for order_id in orders}
        most_owners = max(most_owners, len(holders))
        if len(holders) > 1:
            wrong.append(f"{line.at_ns}: orders of {', '.join(sorted(holders))} in {line.market}")
        wrong += [
            f"{line.at_ns}: {fault} in {line.market}"
            for fault in _over(orders.values(), net[line.market], caps)
        ]
    for span_s, limit in zip((10, 600), caps.requests, strict=True):
        if (most := _most(times, span_s)) > limit:
            wrong.append(f"{most} place requests within {span_s} s")
    return Verdict(tuple(wrong), len(matched), most_owners, refused)


def _over(orders: Iterable[OrderChange], net_e6: int, caps: Caps) -> Iterable[str]:
    resting = list(orders)
    bids = sum(order.open_e6 for order in resting if order.is_bid)
    asks = sum(order.open_e6 for order in resting if not order.is_bid)
    if max(net_e6 + bids, asks - net_e6) > caps.position_e6:
        yield f"a position of {max(net_e6 + bids, asks - net_e6)} could be reached"
    stake = sum(
        order.open_e6 * (order.price_e4 if order.is_bid else 10_000 - order.price_e4) // 10_000
        for order in resting
    )
    if stake > caps.capital_e6:
        yield f"{stake} is at stake"


def _most(times: Sequence[int], span_s: int) -> int:
    most = first = 0
    ordered = sorted(times)
    for last, at_ns in enumerate(ordered):
        while ordered[first] <= at_ns - span_s * NS_PER_S:
            first += 1
        most = max(most, last - first + 1)
    return most
