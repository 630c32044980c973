"""The orchestrator is killed with -9 and started anew: how long until its mandates are renewed.

orchestrator.restart   ms from the signal until the table of the next term is on the bus, the new process's start
                       included; bar 2 s. Null when a mandate ended meanwhile, or the table is another one
"""

import asyncio
import os
import signal

from benchmarks.measure import NotMeasured, Observation, Row, observe
from benchmarks.rig import Rig, Setting
from clawswarm.kernel.bus import Latest
from clawswarm.kernel.clock import NS_PER_MS, Clock, ns
from clawswarm.model.messages import Allocation
from clawswarm.runtime.roster import ORCHESTRATOR, QUOTERS

MARKETS = 6
QUOTING_S, RENEWED_S, REST_S = 60.0, 20.0, 1.0


def rows(is_full: bool) -> list[Row]:
    """Every row of this file."""
    n = 50 if is_full else 8
    return [observe("orchestrator.restart", "ms", lambda: asyncio.run(restarts(n)))]


async def restarts(n: int) -> Observation:
    """Kill it so often."""
    rig = Rig(Setting(markets=MARKETS))
    # The real one speaks.
    rig.is_renewing = False
    async with rig:
        tables = _Tables(rig)
        for name in (*QUOTERS, ORCHESTRATOR):
            await rig.start_child(name)
        if not await rig.until_open(lambda found: len(set(found.values())) == MARKETS, QUOTING_S):
            raise NotMeasured(f"{MARKETS} markets are not quoted within {QUOTING_S:g} s")
        table = await tables.after_term(0)
        took_ms = []
        for _ in range(n):
            began_ns = rig.clock.now_ns()
            os.kill(rig.pid(ORCHESTRATOR), signal.SIGKILL)
            await rig.ended(ORCHESTRATOR)
            await rig.start_child(ORCHESTRATOR, is_awaited=False)
            renewed = await tables.after_term(table.term)
            took_ms.append((rig.clock.now_ns() - began_ns) / NS_PER_MS)
            if _owners(renewed) != _owners(table):
                raise NotMeasured("the first table of the next term is not the recorded one")
            table = renewed
            await asyncio.sleep(REST_S)
        if rig.fired:
            raise NotMeasured(f"orders were withdrawn: {rig.fired[0].cause}")
    return Observation(took_ms, notes=(f"{n} kills, {MARKETS} markets; no order was withdrawn",))


def _owners(table: Allocation) -> set[tuple[str, str, int]]:
    return {(m.market.condition_id, m.quoter, m.epoch) for m in table.mandates}


class _Tables:
    """What is heard of the orchestrator."""

    def __init__(self, rig: Rig) -> None:
        self._clock: Clock = rig.clock
        self._heard = asyncio.Event()
        self._tables: Latest[Allocation] = rig.bus.latest("allocation", Allocation)
        self._tables.listen(self._heard)

    async def after_term(self, term: int) -> Allocation:
        """The first table of a later term that gives somebody a market."""
        end_ns = self._clock.now_ns() + ns(RENEWED_S)
        while self._clock.now_ns() < end_ns:
            for table in self._tables.take():
                if table.term > term and table.mandates:
                    return table
            self._heard.clear()
            try:
                async with asyncio.timeout(RENEWED_S):
                    await self._heard.wait()
            except TimeoutError:
                break
        raise NotMeasured(f"no table of a term after {term} within {RENEWED_S:g} s")
