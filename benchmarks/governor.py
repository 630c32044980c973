"""The governor under more demand than the venue allows: how much of its limits is used, and by whom.

governor.soak_{copper,standard}: order requests in the fullest 600 s by the venue's own log, over the real engine
and the real sandbox on a line whose every request comes up to 50 ms early or late; ten minutes and a little with
`--full`,
else a short run whose window is the run itself. governor.day_{…}: the same on virtual time, 24 h with `--full`,
with the efficiency of serving by value beside first come, first served. The sample is the share of what the limits
allow in a window; 429 answers and cancels that had to wait for tokens make the row null.
"""

import asyncio
from array import array
from random import Random

import msgspec

from benchmarks.measure import NotMeasured, Observation, Row, observe
from benchmarks.rig import Rig, Setting
from benchmarks.token_market import MEAN_VALUES, QUOTERS, RESTING, TokenMarket
from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S, SystemClock
from clawswarm.kernel.engine_port import EngineClient
from clawswarm.model.instruments import Side
from clawswarm.model.messages import BudgetState, OrderState, OrderUpdate, Place, Plan, PlanDone
from clawswarm.sandbox.chaos_proxy import LineConditions
from clawswarm.sandbox.order_log import OrderChange, RequestSeen, read_order_log
from clawswarm.sandbox.rest.buckets import TIERS

SHARE_E6 = 1_000_000
WINDOW_S = 600
WINDOW_LIMIT = 36_000
MARKETS_EACH = 2
TOUCH_S = 0.1
# One way; the answer has as much again.
JITTER_MS = 100.0
SILENCE_S = 1.0


class SoakResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue's log and the engine's own word say of one soak."""

    seconds: float
    most: int
    allowed: int
    refused: tuple[str, ...]
    """What was answered 429, and how long after the first request."""
    starved_cancels: int
    longest_cancel_ms: float
    budget: BudgetState | None

    @property
    def share(self) -> float:
        """Of what the limits allow."""
        return self.most / self.allowed


def rows(is_full: bool) -> list[Row]:
    """Every row of this file."""
    soak_s = WINDOW_S + 30.0 if is_full else 20.0
    day_s = 86_400.0 if is_full else 600.0
    found = []
    for tier in ("copper", "standard"):
        found.append(observe(f"governor.soak_{tier}", "share", lambda t=tier: _soak_row(t, soak_s)))
        found.append(observe(f"governor.day_{tier}", "share", lambda t=tier: _day_row(t, day_s)))
    return found


def allowed(tier: str, seconds: float) -> int:
    """Order requests of one order each that windows and bucket allow from their fullest in so long."""
    rates = TIERS[tier]
    spans = min(seconds, WINDOW_S)
    return min(WINDOW_LIMIT, int(rates.order_burst + rates.orders_per_s * spans))


def _soak_row(tier: str, seconds: float) -> Observation:
    result = asyncio.run(soak(tier, seconds))
    if result.refused or result.starved_cancels:
        named = "".join(f"; {refused}" for refused in result.refused[:3])
        raise NotMeasured(
            f"{len(result.refused)} answers 429, {result.starved_cancels} cancels without a token{named}"
        )
    notes = [
        f"{result.most} of {result.allowed} order requests in {min(result.seconds, WINDOW_S):.0f} s",
        f"no answer 429, no cancel without a token, the longest took {result.longest_cancel_ms:.0f} ms",
    ]
    if (budget := result.budget) is not None:
        part = budget.value[0] / max(sum(budget.value), 1e-9)
        notes.append(
            f"{budget.served[0]} plans served with {part:.1%} of the value, {budget.served[1]} outbid"
        )
    return Observation([result.share], notes=tuple(notes))


def _day_row(tier: str, seconds: float) -> Observation:
    by_value = TokenMarket(tier, seed=1, markets_each=1).run(seconds)
    if by_value.refused_by_venue or by_value.refused_cancels:
        raise NotMeasured(
            f"{by_value.refused_by_venue} answers 429, {by_value.refused_cancels} cancels without a token"
        )
    # The efficiency does not depend on how long it is watched.
    first_come = TokenMarket(tier, seed=1, markets_each=1, is_told=False).run(min(seconds, 600.0))
    most = allowed(tier, seconds)
    return Observation(
        [by_value.most_600s / most],
        notes=(
            f"{by_value.placed} orders in {seconds:.0f} s, none refused",
            f"{by_value.most_600s} of {most} order requests in the fullest 600 s",
            f"longest cancel {by_value.longest_cancel_ms:.0f} ms",
            f"efficiency by value {by_value.efficiency:.1%}, first come first served {first_come.efficiency:.1%}",
        ),
    )


async def soak(tier: str, seconds: float) -> SoakResult:
    """Six quoters that always want more than there is, for so long."""
    setting = Setting(
        markets=len(QUOTERS) * MARKETS_EACH, tier=tier, silence_s=SILENCE_S, has_order_log=True,
        line=LineConditions(latency_ms=1.0, jitter_ms=JITTER_MS),
    )  # fmt: skip
    async with Rig(setting) as rig:
        stop = asyncio.Event()
        demands = [_Demand(rig, number) for number in range(len(QUOTERS))]
        rig.assign({name: demand.indices for name, demand in zip(QUOTERS, demands, strict=True)})
        tasks = [asyncio.create_task(demand.run(stop)) for demand in demands]
        began_ns = rig.clock.now_ns()
        await asyncio.sleep(seconds)
        budget = rig.engine_beat.budget if rig.engine_beat is not None else None
        lasted_s = (rig.clock.now_ns() - began_ns) / NS_PER_S
        stop.set()
        await asyncio.gather(*tasks)
        log = read_order_log(rig.order_log)
    return SoakResult(
        seconds=lasted_s,
        most=most_requests(log, WINDOW_S),
        allowed=allowed(tier, lasted_s),
        refused=refusals(log),
        starved_cancels=sum(demand.starved for demand in demands),
        longest_cancel_ms=max(demand.longest_cancel_ms for demand in demands),
        budget=budget,
    )


def refusals(log: list[OrderChange | RequestSeen]) -> tuple[str, ...]:
    """Every request that the venue answered 429."""
    requests = [line for line in log if isinstance(line, RequestSeen)]
    return tuple(
        f"{line.method} {line.path} after {(line.at_ns - requests[0].at_ns) / NS_PER_S:.3f} s"
        for line in requests
        if line.kind == "REFUSED"
    )


def most_requests(log: list[OrderChange | RequestSeen], span_s: int) -> int:
    """The most requests with places that the venue had in any span of this length."""
    is_place = [line for line in log if isinstance(line, RequestSeen) and line.method == "POST"]
    times = array("q", sorted(line.at_ns for line in is_place if line.kind == "REQUEST"))
    most = first = 0
    for last, at_ns in enumerate(times):
        while times[first] <= at_ns - span_s * NS_PER_S:
            first += 1
        most = max(most, last - first + 1)
    return most


class _Demand:
    """One quoter: a plan for each of its markets at any time, worth more or less."""

    def __init__(self, rig: Rig, number: int) -> None:
        self._rig, self._mean = rig, MEAN_VALUES[number]
        self.indices = range(number * MARKETS_EACH, (number + 1) * MARKETS_EACH)
        self._rng, self._clock = Random(number), SystemClock()
        self._wake = asyncio.Event()
        self._client = EngineClient(rig.port, QUOTERS[number], self._wake)
        self._open: dict[str, dict[str, None]] = {}
        self._asked: dict[str, int] = {}
        self._references = 0
        self.starved = 0
        self.longest_cancel_ms = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until told to stop."""
        if not await self._client.try_connect():
            raise NotMeasured("the engine does not listen")
        for index in self.indices:
            self._offer(index)
        while not stop.is_set():
            self._client.touch(1)
            try:
                async with asyncio.timeout(TOUCH_S):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()
            if not self._client.is_connected:
                raise NotMeasured("the engine closed a quoter's connection")
            for reply in self._client.take():
                if isinstance(reply, OrderUpdate):
                    self._update(reply)
                elif isinstance(reply, PlanDone):
                    self._done(reply)

    def _update(self, update: OrderUpdate) -> None:
        held = self._open.setdefault(update.market, {})
        if update.state is OrderState.LIVE:
            held[update.order_id] = None
        elif update.state is not OrderState.UNKNOWN:
            held.pop(update.order_id, None)
            if update.state is OrderState.CANCELLED and (asked_ns := self._asked.get(update.market)):
                took_ms = (self._clock.now_ns() - asked_ns) / NS_PER_MS
                self.longest_cancel_ms = max(self.longest_cancel_ms, took_ms)

    def _done(self, done: PlanDone) -> None:
        self.starved += " cancel" in (done.refused or "")
        index = next(i for i in self.indices if self._rig.markets[i].condition_id == done.market)
        is_rated = done.refused is None or done.refused.startswith("rate:")
        # Anything else will not be otherwise at once.
        asyncio.get_running_loop().call_later(0.0 if is_rated else TOUCH_S, self._offer, index)

    def _offer(self, index: int) -> None:
        if not self._client.is_connected:
            return
        market = self._rig.markets[index].condition_id
        resting = tuple(self._open.get(market, {}))
        self._references += 1
        self._asked[market] = self._clock.now_ns()
        plan = Plan(
            market=market,
            term=1,
            epoch=self._rig.epoch(index),
            cancels=resting if len(resting) >= RESTING else (),
            places=(Place(ref=self._references, side=Side.BUY, price_e4=1_000, size_e6=5 * SHARE_E6),),
            value=self._rng.lognormvariate(0.0, 1.0) * self._mean,
            book_sequence=1,
            book_received_ns=None,
            decided_ns=self._asked[market],
        )
        self._client.send(plan)
