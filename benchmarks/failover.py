"""Rows of the fail-over: the line to the venue breaks, and the engine quotes again over another connection.

engine.failover_{reset,blackhole,inflight,403}_rtt{0,10,40}: ms from the fault until the first new quote is
acknowledged, split into detection, the cancel of every order of the route, and the new quote. Reset and black
hole hit exactly the connections that the last cancel and the last place went over; idle ones live, as the warm
standbys of an engine do, and so does the user feed. In flight the black hole swallows a cancel and a place of
one plan as they come, and stays; timed from that plan on. No probe may follow them, so the engine judges them
by their own silence, and believes the next one once the venue has denied the order twice: 2 s more a sample, so
only in full. A 403 is the CDN's page in answer to a place, timed from that plan on; as many moves are allowed
as the row needs, and the region is asked about before the new quote. By the venue's own truth the new order
must be open then, and none of the old.
"""

import asyncio
import itertools
from typing import Literal

from benchmarks.measure import NotMeasured, Observation, Row, observe
from benchmarks.quoter_child import Cycle, Cycles, Watch, Watched, Where
from benchmarks.rig import Quoter, Rig, Setting
from clawswarm.kernel.clock import NS_PER_MS
from clawswarm.sandbox.chaos_proxy import LineConditions

Fault = Literal["reset", "blackhole", "inflight", "403"]
RTTS_MS = (0, 10, 40)
WITHIN_S = 3.0
# Until the engine has warmed new standbys: three round trips, and what two cores need for nine handshakes.
PAUSE_S = 0.4
# A cancel or a place comes in one piece that is longer; a probe of an idle connection is shorter, TLS included.
REQUEST_BYTES = 250
PAGE = {"method": "POST", "path": "/order", "requests": 1, "seconds": 5}


def rows(is_full: bool) -> list[Row]:
    """Every row of this file."""
    n = 100 if is_full else 20
    faults: tuple[Fault, ...] = ("reset", "blackhole", "403")
    if is_full:
        faults = (*faults, "inflight")
    cells = [(fault, rtt) for fault in faults for rtt in RTTS_MS]
    return [
        observe(
            f"engine.failover_{fault}_rtt{rtt}", "ms", lambda f=fault, r=rtt: asyncio.run(failover(n, f, r))
        )
        for fault, rtt in cells
    ]


async def failover(n: int, fault: Fault, rtt_ms: int) -> Observation:
    """One cell."""
    stages: dict[str, list[float]] = {"detection": [], "cancel": [], "quote": []}
    async with Rig(Setting(line=LineConditions(latency_ms=rtt_ms / 2), switches_per_day=n)) as rig:
        quoter = await rig.add_quoter("quoter-1", 0)
        where = Where(rig.markets[0].condition_id, rig.epoch(0))
        await quoter.ask(Cycle(where, 5, 0.05), Cycles)
        for _ in range(n):
            await asyncio.sleep(PAUSE_S)
            if fault == "inflight":
                await _until_trusted(rig)
            for name, took_ms in zip(stages, await _once(rig, quoter, where, fault), strict=True):
                stages[name].append(took_ms)
    return Observation([sum(parts) for parts in zip(*stages.values(), strict=True)], stages)


async def _until_trusted(rig: Rig) -> None:
    """Wait until the engine takes the next silence for the connection's, as it does on an ordinary day."""
    while (await rig.beat_after(rig.clock.now_ns())).route != "open":
        pass


async def _once(rig: Rig, quoter: Quoter, where: Where, fault: Fault) -> tuple[float, float, float]:
    """Break the line once; ms of the three stages."""
    assert rig.proxy is not None
    for connection in rig.proxy.connections:
        connection.upward_largest = 0
    await quoter.ask(Cycle(where, 1, 0.0), Cycles)
    used = [connection for connection in rig.proxy.connections if connection.upward_largest > REQUEST_BYTES]
    old = set(await rig.open_orders())
    if fault == "403":
        await rig.steer("/faults/cdn-page", PAGE)
    elif fault == "inflight":
        used = rig.proxy.swallow_next(2, REQUEST_BYTES)
    quoter.tell(Watch(where, provokes=fault in ("403", "inflight"), replaces=fault == "inflight"))
    broken_ns = rig.clock.now_ns()
    if fault == "reset":
        rig.proxy.reset(used)
    elif fault == "blackhole":
        rig.proxy.swallow(used)
    try:
        watched = await quoter.answer(Watched, WITHIN_S)
    except NotMeasured as late:
        still = len(old & set(await rig.open_orders()))
        raise NotMeasured(
            f"no fail-over within {WITHIN_S:g} s of the fault, {still} of {len(old)} orders still open"
        ) from late
    if not used or not old:
        raise NotMeasured(f"{len(used)} connections were hit under {len(old)} orders")
    now_open = set(await rig.open_orders())
    if old & now_open or len(now_open) != 1:
        raise NotMeasured(
            f"after the fail-over the venue has {len(old & now_open)} old orders open, {len(now_open)} in all"
        )
    fired = await rig.fired_after(broken_ns, quoter.name)
    noticed_ns = watched.noticed_ns
    if fired is not None:
        noticed_ns = min(noticed_ns, fired.fired_ns - round(fired.elapsed_ms * NS_PER_MS))
    noticed_ns = max(noticed_ns, broken_ns)
    times = (broken_ns, noticed_ns, watched.cancelled_ns, watched.quoted_ns)
    detection, cancel, quote = ((late - early) / NS_PER_MS for early, late in itertools.pairwise(times))
    return detection, cancel, quote
