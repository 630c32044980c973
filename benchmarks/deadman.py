"""Rows of the dead-man switch: ms from a death until no order of the victim is open, by the venue's own truth.

engine.deadman_quoter_killed      a quoter is SIGKILLed
engine.deadman_quoter_stopped     a quoter is SIGSTOPped
engine.deadman_quoter_stuck       a quoter's interpreter is held by a C call
engine.deadman_mandate_expired    the orchestrator falls silent; from the moment its mandates end
engine.deadman_sentinels_dead     both sentinels are SIGKILLed
engine.deadman_engine_killed      the engine is SIGKILLed, its guard withdraws
engine.deadman_engine_stopped     the engine is SIGSTOPped; continued later it must place nothing
engine.deadman_host_killed        guard and engine of each of many hosts are SIGKILLed at once, and with them go
                                  their quoters' connections: the venue's heartbeat withdraws

Where the victim is a quoter, a bystander's orders must be the same before and after, else the row is null.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

from benchmarks.hosts import Host
from benchmarks.measure import Missing, NotMeasured, Observation, Row, observe
from benchmarks.quoter_child import Placed, Quote, Stick, Where
from benchmarks.rig import GUARD, POLL_S, Quoter, Rig, Setting
from clawswarm.kernel.clock import NS_PER_MS, ns
from clawswarm.runtime.roster import ENGINE, SENTINELS

VICTIM, BYSTANDER = "quoter-1", "quoter-2"
ORDERS = 5
WITHIN_S, HOST_WITHIN_S = 5.0, 25.0
HOSTS = 20
STAGGER_S = 0.25
# The venue waits for 10 s since the last heartbeat, which is at most 5 s old.
HEARTBEAT_LEAST_MS = 4_500.0
CONTINUED_S = 1.0
SHORT_LIFE_S = 1.0

Strike = Callable[["Scene"], Awaitable[int]]
"""Does the deed and returns when the victim is to count as dead."""


def rows(is_full: bool) -> list[Row]:
    """Every row of this file."""
    n, of_host = (100, 100) if is_full else (20, 20)
    return [
        _row("quoter_killed", lambda: _quoter_rows(n, _kill_quoter)),
        _row("quoter_stopped", lambda: _quoter_rows(n, _stop_quoter)),
        _row("quoter_stuck", lambda: _quoter_rows(n, _stick_quoter)),
        _row("mandate_expired", lambda: mandate_expired(n)),
        _row("sentinels_dead", lambda: sentinels_dead(n)),
        _row("engine_killed", lambda: engine_lost(n, is_stopped=False)),
        _row("engine_stopped", lambda: engine_lost(n, is_stopped=True)),
        _row("host_killed", lambda: host_killed(of_host)),
    ]


def _row(name: str, scene: Callable[[], Awaitable[Observation]]) -> Row:
    async def run() -> Observation:
        return await scene()

    return observe(f"engine.deadman_{name}", "ms", lambda: asyncio.run(run()))


class Scene:
    """A victim in the first market, a bystander in the second, and what was measured."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.victim: Quoter | None = None
        self.took_ms: list[float] = []
        self._detected_ms: list[float | None] = []

    async def set_up(self) -> None:
        """Both quoters run and have orders open; whoever has ended is started anew."""
        if BYSTANDER not in self.rig.quoters:
            await self._quote(await self.rig.add_quoter(BYSTANDER, 1), 1)
        if self.victim is None:
            self.victim = await self.rig.add_quoter(VICTIM, 0)
        await self._quote(self.victim, 0)

    async def renew_all(self) -> None:
        """Orders of both, where the fault took them from both."""
        if self.victim is None:
            self.victim = await self.rig.add_quoter(VICTIM, 0)
        if BYSTANDER not in self.rig.quoters:
            await self.rig.add_quoter(BYSTANDER, 1)
        for market, quoter in enumerate((self.victim, self.rig.quoters[BYSTANDER])):
            await self._quote(quoter, market)

    async def lose_victim(self) -> None:
        """End the victim's process, whatever state it is in."""
        if self.victim is not None:
            await self.victim.close()
            self.victim = None

    async def until_withdrawn(self, dead_ns: int, is_everyone: bool, within_s: float) -> None:
        """Note how long it took until the victim (or everyone) had no order open."""
        market = self.rig.markets[0].condition_id

        def is_gone(found: dict[str, str]) -> bool:
            return not found if is_everyone else market not in found.values()

        if not await self.rig.until_open(is_gone, within_s):
            raise NotMeasured(f"orders of the victim are still open {within_s:g} s after it was lost")
        took_ms = (self.rig.clock.now_ns() - dead_ns) / NS_PER_MS
        self.took_ms.append(max(took_ms, 0.0))
        self._detected_ms.append(None)

    async def note_detection(self, dead_ns: int) -> None:
        """How much of the last time the engine needed to notice, where it says so."""
        fired = await self.rig.fired_after(dead_ns, VICTIM)
        if fired is not None:
            noticed_ms = (fired.fired_ns - dead_ns) / NS_PER_MS - fired.elapsed_ms
            self._detected_ms[-1] = min(max(noticed_ms, 0.0), self.took_ms[-1])

    def result(self, *notes: str) -> Observation:
        """What was measured, with its stages where the engine named them."""
        detected = [part for part in self._detected_ms if part is not None]
        if len(detected) != len(self.took_ms):
            return Observation(self.took_ms, notes=notes)
        rest = [whole - part for whole, part in zip(self.took_ms, detected, strict=True)]
        return Observation(self.took_ms, {"detection": detected, "withdrawal": rest}, notes)

    async def _quote(self, quoter: Quoter, market: int) -> None:
        where = Where(self.rig.markets[market].condition_id, self.rig.epoch(market))
        await quoter.ask(Quote(where, ORDERS), Placed)


# --- the victim is a quoter -------------------------------------------------------------------------


async def _quoter_rows(n: int, strike: Strike) -> Observation:
    async with Rig(Setting(markets=2)) as rig:
        scene = Scene(rig)
        for _ in range(n):
            await scene.set_up()
            others = await _orders_of(rig, 1)
            dead_ns = await strike(scene)
            await scene.until_withdrawn(dead_ns, is_everyone=False, within_s=WITHIN_S)
            await scene.note_detection(dead_ns)
            if await _orders_of(rig, 1) != others or len(others) != ORDERS:
                raise NotMeasured("orders of another quoter were touched")
            await scene.lose_victim()
    return scene.result("the bystander's orders stood untouched")


async def _orders_of(rig: Rig, market: int) -> set[str]:
    wanted = rig.markets[market].condition_id
    return {order_id for order_id, found in (await rig.open_orders()).items() if found == wanted}


async def _kill_quoter(scene: Scene) -> int:
    assert scene.victim is not None
    os.kill(scene.victim.pid, signal.SIGKILL)
    return scene.rig.clock.now_ns()


async def _stop_quoter(scene: Scene) -> int:
    assert scene.victim is not None
    os.kill(scene.victim.pid, signal.SIGSTOP)
    return scene.rig.clock.now_ns()


async def _stick_quoter(scene: Scene) -> int:
    """From when the order is written: the little that it takes to arrive counts against us."""
    assert scene.victim is not None
    scene.victim.tell(Stick(round(2 * WITHIN_S)))
    return scene.rig.clock.now_ns()


# --- the victims are all quoters --------------------------------------------------------------------


async def mandate_expired(n: int) -> Observation:
    """Nobody renews the mandates any more."""
    async with Rig(Setting(markets=2, mandate_life_s=SHORT_LIFE_S)) as rig:
        scene = Scene(rig)
        for _ in range(n):
            rig.is_renewing = True
            rig.allocate()
            await scene.renew_all()
            rig.is_renewing = False
            dead_ns = rig.expires_ns
            await scene.until_withdrawn(dead_ns, is_everyone=True, within_s=SHORT_LIFE_S + WITHIN_S)
            await scene.note_detection(dead_ns)
    return scene.result()


async def sentinels_dead(n: int) -> Observation:
    """No book and no pulse of a sentinel any more."""
    async with Rig(Setting(markets=2)) as rig:
        scene = Scene(rig)
        for _ in range(n):
            await rig.start_services()
            await scene.renew_all()
            for name in SENTINELS:
                os.kill(rig.pid(name), signal.SIGKILL)
            dead_ns = rig.clock.now_ns()
            await scene.until_withdrawn(dead_ns, is_everyone=True, within_s=WITHIN_S)
            await scene.note_detection(dead_ns)
    return scene.result()


# --- the engine, the host ---------------------------------------------------------------------------


async def engine_lost(n: int, is_stopped: bool) -> Observation:
    """The guard cancels everything; a stopped engine that goes on later places nothing."""
    if GUARD is None:
        raise Missing("the engine has no guard yet")
    continued = 0
    async with Rig(Setting(markets=2)) as rig:
        scene = Scene(rig)
        for _ in range(n):
            await rig.start_services()
            await scene.renew_all()
            engine = rig.pid(ENGINE)
            os.kill(engine, signal.SIGSTOP if is_stopped else signal.SIGKILL)
            dead_ns = rig.clock.now_ns()
            await scene.until_withdrawn(dead_ns, is_everyone=True, within_s=WITHIN_S)
            if is_stopped:
                continued += await _continue_later(rig, engine)
            await rig.ended(ENGINE)
    if not is_stopped:
        return scene.result()
    return scene.result(f"{n - continued} were killed by the guard, {continued} went on and placed nothing")


async def _continue_later(rig: Rig, engine: int) -> bool:
    """Wake the engine and watch that no order appears; whether it was still there."""
    try:
        os.kill(engine, signal.SIGCONT)
    except ProcessLookupError:
        return False
    end_ns = rig.clock.now_ns() + ns(CONTINUED_S)
    while rig.clock.now_ns() < end_ns:
        if await rig.open_orders():
            raise NotMeasured("the engine went on and placed orders")
        await asyncio.sleep(POLL_S)
    with suppress(ProcessLookupError):
        os.kill(engine, signal.SIGKILL)
    return True


async def host_killed(n: int) -> Observation:
    """Nobody is left who could cancel: the venue's heartbeat does, of each account after its own last one."""
    took_ms: list[float] = []
    async with Rig(Setting()) as rig:
        while len(took_ms) < n:
            took_ms += await _hosts_killed(rig, min(n - len(took_ms), HOSTS), len(took_ms))
    return Observation(
        took_ms, notes=(f"{HOSTS} hosts at a time; withdrawn by the venue, which looks every 5 s",)
    )


async def _begin(host: Host, rig: Rig, where: Where, after_s: float) -> str:
    """One after another, so that their heartbeats have phases of their own; the id of its order."""
    await asyncio.sleep(after_s)
    await host.start(rig.lifeline)
    return await host.quote(where)


async def _hosts_killed(rig: Rig, count: int, first: int) -> list[float]:
    """Start so many hosts, kill them all in one moment; ms until the order of each is gone."""
    where = Where(rig.markets[0].condition_id, rig.grant(VICTIM, 0))
    hosts = [Host(rig, first + number, VICTIM) for number in range(count)]
    orders: dict[str, float] = {}
    try:
        begun = (_begin(host, rig, where, number * STAGGER_S) for number, host in enumerate(hosts))
        order_ids = set(await asyncio.gather(*begun))
        if missing := order_ids - set(await rig.open_orders()):
            raise NotMeasured(f"{len(missing)} of {count} orders were gone before anything was killed")
        dead_ns = rig.clock.now_ns()
        for host in hosts:
            host.kill()
        while order_ids - orders.keys():
            took_ms = (rig.clock.now_ns() - dead_ns) / NS_PER_MS
            if took_ms > HOST_WITHIN_S * 1_000:
                raise NotMeasured(f"orders of a dead host are still open after {HOST_WITHIN_S:g} s")
            gone = order_ids - orders.keys() - set(await rig.open_orders())
            orders |= dict.fromkeys(gone, took_ms)
            await asyncio.sleep(POLL_S)
    finally:
        for host in hosts:
            await host.close()
    if min(orders.values()) < HEARTBEAT_LEAST_MS:
        raise NotMeasured("somebody cancelled before the venue's heartbeat could")
    return list(orders.values())
