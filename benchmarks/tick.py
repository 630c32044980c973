"""Row `sentinel.tick`: ms from a tick-size change to the first order rounded to it that is open at the venue.

The whole path with a real quoter; its mandate keeps the old tick, as it does until the orchestrator lists again.
The row is null when the venue or the gate refuses an order on the way.
"""

import asyncio

from benchmarks.measure import NotMeasured, Observation, Row, observe
from benchmarks.rig import POLL_S, Rig, Setting
from clawswarm.kernel.clock import NS_PER_MS, ns

QUOTER = "quoter-1"
# Its prices are ticks behind fair value and follow every change; the built-in one keeps what stands well.
STRATEGY = "docs/lab/leaning_quoter.py:LeaningQuoter"
FINE_E4, COARSE_E4 = 10, 100
WITHIN_S, REST_S = 10.0, 0.3


def tick_change(n: int) -> Row:
    """`n` changes, finer and coarser in turn."""
    return observe("sentinel.tick", "ms", lambda: asyncio.run(_tick_change(n)))


async def _tick_change(n: int) -> Observation:
    async with Rig(Setting(changes_per_s=20, strategy=STRATEGY)) as rig:
        await rig.start_child(QUOTER)
        rig.assign({QUOTER: (0,)})
        market = rig.markets[0].condition_id
        if not await rig.until_open(lambda found: bool(found), WITHIN_S):
            raise NotMeasured("the quoter does not quote")
        took_ms = []
        for number in range(n):
            await asyncio.sleep(REST_S)
            tick_e4 = COARSE_E4 if number % 2 else FINE_E4
            before = set(await rig.open_orders())
            began = rig.clock.now_ns()
            await rig.steer("/markets/tick", {"market": market, "tick": f"{tick_e4 / 10_000:g}"})
            while not (fresh := (await rig.open_orders()).keys() - before):
                if rig.clock.now_ns() - began > ns(WITHIN_S):
                    raise NotMeasured(f"no order follows a change of the tick within {WITHIN_S:g} s")
                await asyncio.sleep(POLL_S)
            took_ms.append((rig.clock.now_ns() - began) / NS_PER_MS)
            for order in await rig.truth("/open-orders"):
                if order["id"] in fresh and round(float(order["price"]) * 10_000) % tick_e4:
                    raise NotMeasured(f"an order at {order['price']} is off the tick {tick_e4 / 10_000:g}")
        beat = await rig.beat_after(rig.clock.now_ns())
        refused, rejected = beat.counters["refused"], beat.counters["rejected"]
        if refused or rejected:
            raise NotMeasured(f"the gate refused {refused:g} plans, the venue {rejected:g} orders")
        return Observation(
            took_ms, notes=(f"{n} changes; no plan refused by the gate, no order by the venue",)
        )
