"""Rows of the whole order path: the real processes on loopback, a scripted quoter, the sandbox as the venue.

engine.wire_to_wire   µs from a market frame's arrival at the sentinel, over the bus and the quoter's decision, to
                      the order's last byte on the engine's socket; peer: a bare loopback round trip of 1,000
                      bytes, paced alike beside it
engine.cycle_rtt20    ms from a decision until the old order's cancel and the new order are both acknowledged,
engine.cycle_rtt60    through a line with this round trip
engine.load_60        ms from a plan to its last acknowledgement at 60 orders a second, each cancelled later;
engine.load_500       and at 500 a second (tier elite). Null if an order is lost, doubled or not acknowledged, by
                      the venue's own truth; CPU and memory of the engine stand below
"""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable, Coroutine

import msgspec

from benchmarks.measure import NotMeasured, Observation, Row, observe, percentile
from benchmarks.quoter_child import (
    Cycle,
    Cycles,
    Follow,
    Followed,
    Load,
    Loaded,
    Where,
)
from benchmarks.rig import Rig, Setting, cpu_and_memory
from clawswarm.kernel.histogram import bucket_middle
from clawswarm.sandbox.chaos_proxy import LineConditions

FRAMES_PER_S = 20
WARM_SHARE = 0.2


def rows(is_full: bool) -> list[Row]:
    """Every row of this file."""
    n = 1_000 if is_full else 100
    return [
        observe("engine.wire_to_wire", "µs", _run(lambda: wire_to_wire(2 * n))),
        observe("engine.cycle_rtt20", "ms", _run(lambda: cycle(n, 20))),
        observe("engine.cycle_rtt60", "ms", _run(lambda: cycle(n, 60))),
        observe(
            "engine.load_60", "ms", _run(lambda: load(LoadPlan("copper", 5, 60, 600 if is_full else 20, 3)))
        ),
        observe("engine.load_500", "ms", _run(lambda: load(LoadPlan("elite", 10, 500, 10, 10)))),
    ]


def _run(scene: Callable[[], Coroutine[None, None, Observation]]) -> Callable[[], Observation]:
    return lambda: asyncio.run(scene())


# --- a frame in, an order out -----------------------------------------------------------------------


async def wire_to_wire(n: int) -> Observation:
    """Quote after every frame; the engine's own histogram of the whole way (its buckets are 1/16 wide)."""
    async with Rig(Setting(changes_per_s=FRAMES_PER_S)) as rig:
        quoter = await rig.add_quoter("quoter-1", 0)
        where = Where(rig.markets[0].condition_id, rig.epoch(0))
        await quoter.ask(Cycle(where, 5, 0.05), Cycles)
        before = (await rig.beat_after(rig.clock.now_ns())).histograms["tick_to_wire_us"]
        peer = asyncio.create_task(_loopback_us(n))
        followed = await quoter.ask(Follow(where, n), Followed, 30 + 2 * n / FRAMES_PER_S)
        after = (await rig.beat_after(rig.clock.now_ns())).histograms["tick_to_wire_us"]
        peer_us = await peer
    whole = [
        bucket_middle(bucket) for bucket, count in after.items() for _ in range(count - before.get(bucket, 0))
    ]
    if len(whole) != n:
        raise NotMeasured(f"{len(whole)} of {n} orders were on the wire")
    at = [percentile(part, 0.5) for part in (followed.received, followed.decided, followed.written, whole)]
    longest = [max(part) for part in (followed.received, followed.decided, followed.written, whole)]
    return Observation(
        whole,
        notes=(_stages("p50", at), _stages("max", longest)),
        peer="loopback round trip",
        peer_samples=peer_us,
    )


def _stages(what: str, at: list[float]) -> str:
    received, decided, written, whole = at
    return (
        f"{what} until: book at the quoter {received:.0f}, decided {decided:.0f}, plan written {written:.0f}, "
        f"on the wire {whole:.0f} µs"
    )


async def _loopback_us(n: int) -> list[float]:
    """Bare round trips beside it, at the same pace."""
    peer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.loopback_peer", str(n), str(1 / FRAMES_PER_S), stdout=PIPE
    )
    said, _ = await peer.communicate()
    return msgspec.json.decode(said, type=list[float])


# --- one decision -----------------------------------------------------------------------------------


async def cycle(n: int, rtt_ms: float) -> Observation:
    """Replace one order again and again over a long line."""
    async with Rig(Setting(line=LineConditions(latency_ms=rtt_ms / 2))) as rig:
        quoter = await rig.add_quoter("quoter-1", 0)
        where = Where(rig.markets[0].condition_id, rig.epoch(0))
        await quoter.ask(Cycle(where, 10, 0.05), Cycles)
        done = await quoter.ask(Cycle(where, n, 0.05), Cycles, 30 + n)
    cancel, place = max(zip(done.both, done.cancel, done.place, strict=True))[1:]
    note = (
        f"p50 until: cancel acked {percentile(done.cancel, 0.5)}, order acked {percentile(done.place, 0.5)} ms; "
        f"of the longest: {cancel:.1f}, {place:.1f} ms"
    )
    return Observation(done.both, notes=(note,))


# --- load -------------------------------------------------------------------------------------------


class LoadPlan:
    """How much, how long, in which tier."""

    def __init__(self, tier: str, markets: int, per_s: int, seconds: int, batch: int) -> None:
        self.tier, self.markets = tier, markets
        self.per_s, self.seconds, self.batch = per_s, seconds, batch


async def load(plan: LoadPlan) -> Observation:
    """Orders at a rate; every one is accounted for by the venue."""
    async with Rig(Setting(markets=plan.markets, tier=plan.tier)) as rig:
        quoter = await rig.add_quoter("quoter-1", *range(plan.markets))
        where = [Where(market.condition_id, rig.epoch(0)) for market in rig.markets]
        events = (await rig.truth("/journal"))["events"]
        engine = rig.pid("engine")
        asked = asyncio.ensure_future(
            quoter.ask(Load(where, plan.per_s, plan.seconds, plan.batch), Loaded, plan.seconds + 30)
        )
        await asyncio.wait((asked,), timeout=plan.seconds * WARM_SHARE)
        cpu_s, resident = cpu_and_memory(engine)
        began = time.perf_counter()
        await asyncio.wait((asked,), timeout=plan.seconds * (1 - WARM_SHARE))
        elapsed_s = time.perf_counter() - began
        cpu_then_s, resident_then = cpu_and_memory(engine)
        loaded = await asked
        events = (await rig.truth("/journal"))["events"] - events
        still_open = await rig.open_orders()
    _account(loaded, set(still_open), events)
    share = (cpu_then_s - cpu_s) / elapsed_s
    notes = (
        f"{loaded.sent} orders sent, acknowledged and on the venue once each; {loaded.cancelled} cancelled; "
        f"the schedule was kept within {loaded.late_ms:g} ms",
        f"engine: {share:.1%} of a core; memory {resident / 1024:.1f} MiB after a fifth of the time, "
        f"{resident_then / 1024:.1f} MiB at its end",
    )
    return Observation(loaded.took, notes=notes)


def _account(loaded: Loaded, still_open: set[str], events: int) -> None:
    """Raise NotMeasured unless quoter, engine and venue agree on every single order."""
    if loaded.refused:
        raise NotMeasured(f"orders were refused: {loaded.refused[0]}")
    if loaded.unacknowledged or loaded.acknowledged != loaded.sent:
        raise NotMeasured(f"{loaded.unacknowledged} of {loaded.sent} orders were never acknowledged")
    if loaded.repeated or loaded.uncancelled:
        raise NotMeasured(
            f"{loaded.repeated} orders were acknowledged twice, {loaded.uncancelled} cancels never"
        )
    if still_open != set(loaded.open):
        raise NotMeasured(f"the venue has {len(still_open)} orders open, the quoter {len(loaded.open)}")
    # In a quiet market each order placed and each order cancelled is two events; the first warmed things up.
    placed, gone = loaded.sent + 1, loaded.cancelled
    if events != 2 * (placed + gone):
        raise NotMeasured(f"the venue had {events} events for {placed} places and {gone} cancels")
