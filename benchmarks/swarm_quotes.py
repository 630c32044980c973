"""All six quoters, as they are, on 24 markets whose books change 600 times a second and 3,000 in bursts.

quoter.cycle_24   ms from a new state (frame read at the sentinel) until the old quotes are gone and the new ones
                  live, acknowledged through a round trip of 20 ms: the engine's own histogram (buckets 1/16 wide)
quoter.reference_jump   ms from a jump of the reference price at the first sentinel that hears it until a quote
                  that it endangers is gone, by the venue's own log; bar: 99 % within 100 ms. Same load, no bursts.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from benchmarks.measure import NotMeasured, Observation, Row, cpu_s, observe
from benchmarks.recordings import Flow
from benchmarks.rig import Rig, Setting
from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S, ns
from clawswarm.kernel.histogram import Histogram, bucket_middle
from clawswarm.model.instruments import PriceSettlement
from clawswarm.model.messages import Beat, ReferencePrice
from clawswarm.model.units import MICRO
from clawswarm.runtime.roster import ENGINE, QUOTERS, SANDBOX, SENTINELS
from clawswarm.sandbox.chaos_proxy import LineConditions
from clawswarm.sandbox.order_log import OrderChange, RequestSeen, read_order_log

MARKETS_EACH = 4
MARKETS = MARKETS_EACH * len(QUOTERS)
PER_S, BURST_PER_S, BURST_EVERY_S = 600, 3_000, 5
LATENCY_MS = 10.0
QUOTING_S, WARM_S = 40.0, 5.0
CYCLES_S, FULL_CYCLES_S = 20.0, 120.0
JUMPS, FULL_JUMPS = 20, 100
# Jumps that follow each other closely raise what the quoters take for a usual move.
JUMP_E6 = 10_000
PRICES_S = 20.0
"""Of prices before the first jump: until then nobody knows what a usual move is."""
HEARD_S, WATCHED_S = 30.0, 2.0
LIMIT_MS = 100.0
_CLOSES_MS = 30 * 86_400_000


class Jump(msgspec.Struct, frozen=True):
    """When the first sentinel heard of it, on the venue's clock, and which way it went."""

    at_ns: int
    is_up: bool


def rows(is_full: bool) -> list[Row]:
    """Every row of this file."""
    seconds, jumps = (FULL_CYCLES_S, FULL_JUMPS) if is_full else (CYCLES_S, JUMPS)
    return [
        observe("quoter.cycle_24", "ms", lambda: asyncio.run(cycles(seconds))),
        observe("quoter.reference_jump", "ms", lambda: asyncio.run(reference_jumps(jumps))),
    ]


def _setting(flow: Flow, *series: str) -> Setting:
    return Setting(
        markets=MARKETS, tier="elite", line=LineConditions(latency_ms=LATENCY_MS), renew_s=1.0,
        has_order_log=True, flow=flow, series=series,
    )  # fmt: skip


# --- cycles -----------------------------------------------------------------------------------------


async def cycles(seconds: float) -> Observation:
    """Let them quote for so long, and ask the engine how long its cycles were."""
    flow = Flow(
        per_s=PER_S // MARKETS, burst_per_s=BURST_PER_S // MARKETS, burst_every_s=BURST_EVERY_S
    )  # fmt: skip
    async with Rig(_setting(flow)) as rig:
        beats = rig.bus.latest("beat/*", Beat)
        beats.listen()
        await _quote(rig)
        await asyncio.sleep(WARM_S)
        before, cpu_before = await rig.beat_after(rig.clock.now_ns()), _cpu_s(rig)
        await asyncio.sleep(seconds)
        after, cpu_after = await rig.beat_after(rig.clock.now_ns()), _cpu_s(rig)
        heard = {beat.name: beat for beat in beats.take()}
    used = {kind: (cpu_after[kind] - cpu_before[kind]) / seconds for kind in cpu_before}
    whole = _since(before, after, "cycle_us")
    if not whole.n:
        raise NotMeasured("no quote was replaced")
    wire = _since(before, after, "tick_to_wire_us")
    hop = Histogram()
    for name in QUOTERS:
        if name in heard:
            hop.merge(heard[name].histograms["feed_to_quoter_us"])
    counted = {key: after.counters[key] - before.counters[key] for key in ("placed", "refused", "rejected")}
    return Observation(
        [bucket_middle(bucket) / 1_000 for bucket, count in whole.counts.items() for _ in range(count)],
        notes=(
            f"{whole.n} cycles, {counted['placed']:g} orders in {seconds:g} s; {counted['refused']:g} plans "
            f"refused by the limits, {counted['rejected']:g} orders by the venue",
            *(
                f"until {what}: p50 {stage.percentile(0.5) or 0:.0f}, p99 {stage.percentile(0.99) or 0:.0f} µs"
                for what, stage in (("the quoter has the state", hop), ("the order is on the wire", wire))
                if stage.n
            ),
            "of a core: " + ", ".join(f"{kind} {share:.1%}" for kind, share in used.items()),
        ),
    )


def _cpu_s(rig: Rig) -> dict[str, float]:
    """CPU seconds by kind of process."""
    kinds = {"sandbox": [SANDBOX], "sentinels": SENTINELS, "quoters": QUOTERS, "engine": [ENGINE]}
    return {kind: sum(cpu_s(rig.pid(name)) for name in names) for kind, names in kinds.items()}


async def _quote(rig: Rig) -> None:
    """Start the six and wait until every market is quoted."""
    for name in QUOTERS:
        await rig.start_child(name)
    rig.assign({name: range(i * MARKETS_EACH, (i + 1) * MARKETS_EACH) for i, name in enumerate(QUOTERS)})
    if not await rig.until_open(lambda found: len(set(found.values())) == MARKETS, QUOTING_S):
        quoted = len(set((await rig.open_orders()).values()))
        raise NotMeasured(f"{quoted} of {MARKETS} markets are quoted after {QUOTING_S:g} s")


def _since(before: Beat, after: Beat, name: str) -> Histogram:
    old = before.histograms[name]
    counts = {bucket: count - old.get(bucket, 0) for bucket, count in after.histograms[name].items()}
    return Histogram({bucket: count for bucket, count in counts.items() if count})


# --- jumps ------------------------------------------------------------------------------------------


async def reference_jumps(n: int) -> Observation:
    """Let the price of all markets' underlying jump, up and down in turn."""
    async with Rig(_setting(Flow(per_s=PER_S // MARKETS), "btc-daily")) as rig:
        prices = _Prices(rig)
        await prices.next_after(0.0)
        settlement = PriceSettlement(window_s=0, opens_ms=None, strike_usd=prices.usd)
        closes_ms = rig.clock.wall_ms() + _CLOSES_MS
        rig.markets = [
            msgspec.structs.replace(market, settlement=settlement, closes_ms=closes_ms)
            for market in rig.markets
        ]
        await _quote(rig)
        await asyncio.sleep(PRICES_S)
        jumps = []
        for number in range(n):
            is_up = number % 2 == 0
            await rig.steer("/prices/jump", {"symbol": "btc", "share_e6": JUMP_E6 if is_up else -JUMP_E6})
            heard_ns = await prices.next_after(JUMP_E6 / MICRO / 2)
            offset_ns = rig.clock.wall_ms() * NS_PER_MS - rig.clock.now_ns()
            jumps.append(Jump(heard_ns + offset_ns, is_up))
            await asyncio.sleep(WATCHED_S)
        took_ms = endangered(read_order_log(rig.order_log), jumps)
    if not took_ms:
        raise NotMeasured(f"no quote was endangered by {n} jumps")
    share = sum(ms <= LIMIT_MS for ms in took_ms) / len(took_ms)
    return Observation(
        took_ms,
        notes=(f"{share:.2%} of {len(took_ms)} quotes endangered by {n} jumps were gone within 100 ms",),
    )


class _Prices:
    """What the sentinels say of the underlying."""

    def __init__(self, rig: Rig) -> None:
        self._clock, self._heard = rig.clock, asyncio.Event()
        self._prices = rig.bus.latest("reference/chainlink/BTC/*", ReferencePrice)
        self._prices.listen(self._heard)
        self.usd, self._source_ms = 0.0, 0

    async def next_after(self, share: float) -> int:
        """Until a price is that much away from the last one: when a sentinel had it first."""
        end_ns = self._clock.now_ns() + ns(HEARD_S)
        while self._clock.now_ns() < end_ns:
            for price in self._prices.take():
                if price.source_ms <= self._source_ms:
                    # A second that came late, or the other sentinel.
                    continue
                self._source_ms = price.source_ms
                usd, before = price.value_e6 / MICRO, self.usd
                self.usd = usd
                if not before or abs(usd / before - 1) > share > 0:
                    return price.received_ns
            self._heard.clear()
            try:
                async with asyncio.timeout(1.0):
                    await self._heard.wait()
            except TimeoutError:
                continue
        raise NotMeasured(f"no price that moved was heard within {HEARD_S:g} s")


def endangered(log: Sequence[OrderChange | RequestSeen], jumps: Sequence[Jump]) -> list[float]:
    """For every quote that a jump endangered, ms until it was gone; one that stayed counts to the log's end.

    A rise endangers what is offered, a fall what is bid.
    """
    changes = [line for line in log if isinstance(line, OrderChange)]
    end_ns = max((line.at_ns for line in log), default=0) + NS_PER_S
    took_ms = []
    for jump in jumps:
        live: dict[str, bool] = {}
        gone: dict[str, int] = {}
        for change in changes:
            is_before = change.at_ns < jump.at_ns
            if is_before and change.open_e6:
                live[change.id] = change.is_bid
            elif is_before:
                live.pop(change.id, None)
            elif change.id in live and not change.open_e6:
                gone.setdefault(change.id, change.at_ns)
        exposed = [order_id for order_id, is_bid in live.items() if is_bid is not jump.is_up]
        took_ms += [(gone.get(order_id, end_ns) - jump.at_ns) / NS_PER_MS for order_id in exposed]
    return took_ms
