"""The orchestrator's shell: reads markets, publishes the mandate table, unwinds positions, asks for income."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec
import structlog

from clawswarm.agents.orchestrator.allocator import OrchestratorSettings, assign, mandates
from clawswarm.agents.orchestrator.income import days_to_look_at, earned, looked
from clawswarm.agents.orchestrator.record import load, save
from clawswarm.agents.orchestrator.rollover import RolloverSettings, next_change_ms, tradable
from clawswarm.agents.orchestrator.unwinding import (
    UnwindingSettings,
    actions_of,
    claimed,
    closed,
    may_submit,
    next_batch,
    still_possible,
    submitted,
)
from clawswarm.kernel.bus import Bus
from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S, ns
from clawswarm.kernel.process import Process
from clawswarm.model.errors import ClosedFor, Retry, WireFault
from clawswarm.model.instruments import Market
from clawswarm.model.messages import Allocation, Beat
from clawswarm.model.positions import (
    BatchOutcome,
    DayIncome,
    Holding,
    OrdersScoring,
    Unwinding,
    UnwindingKind,
)
from clawswarm.model.units import MICRO
from clawswarm.venues.polymarket.discovery import Listing, list_open_markets

BEAT_INTERVAL_S = 0.5
MARKETS_INTERVAL_S = 2.0
REQUEST_TIMEOUT_S = 1.5
# From telling the engine which pairs are taken out to looking at its open orders again.
CLAIM_S = 1.0
INCOME_INTERVAL_S = 15.0
# A stopping orchestrator asks once more, and no longer than this.
LAST_LOOK_S = 1.5
_S_PER_DAY = 86_400
_COUNTERS = {UnwindingKind.MERGE: "merged_usd", UnwindingKind.REDEEM: "redeemed_usd"}
log = structlog.get_logger()


class Wallet(Protocol):
    """The positions of the account, and the way to unwind them (venues/polymarket/relayer.py)."""

    async def holdings(self, now_s: int) -> list[Holding]:
        """What is held for certain. Raises Retry."""

    async def unwind(self, batch: Sequence[Unwinding]) -> BatchOutcome:
        """Carry out one batch. Raises ClosedFor, Retry."""

    async def income(self, day: int) -> DayIncome:
        """Rewards and rebates of a UTC day (days since 1970), so far. Raises Retry."""

    async def scoring(self) -> OrdersScoring:
        """How many open orders earn rewards now. Raises Retry."""

    async def close(self) -> None:
        """Close its connections."""


class Chain(msgspec.Struct, frozen=True):
    """How the account's positions are unwound; `open_wallet` of a term raises Retry while it cannot."""

    settings: UnwindingSettings
    open_wallet: Callable[[int], Awaitable[Wallet]]


class Orchestrator:
    """One term of the orchestrator."""

    def __init__(
        self,
        process: Process,
        bus: Bus,
        settings: OrchestratorSettings,
        quoters: Sequence[str],
        rollover: RolloverSettings,
        gamma_url: str,
        record_path: Path,
        chain: Chain | None = None,
    ) -> None:
        self._process, self._clock, self._settings = process, process.clock, settings
        self._rollover = rollover
        self._quoters, self._gamma_url, self._record_path = quoters, gamma_url, record_path
        self._chain = chain
        self._failures: dict[str, int] = {}
        self._scoring: OrdersScoring | None = None
        self._wallet: Wallet | None = None
        self._next_income_ns = 0
        self._unwound = {"merged_usd": 0.0, "redeemed_usd": 0.0, "batches": 0.0}
        self._listings: list[Listing] = []
        self._markets: list[Market] = []
        self._next_change_ms: int | None = None
        self._allocations = bus.latest("allocation", Allocation)
        self._beats = bus.latest("beat", Beat)
        recorded = load(record_path)
        self._record = msgspec.structs.replace(recorded, term=recorded.term + 1)
        save(record_path, self._record)

    async def run(self) -> None:
        """Renew and adapt mandates until asked to stop; the wallet is looked after beside that."""
        if self._chain is None:
            return await self._allocate(None)
        unwinding = asyncio.create_task(self._unwind_all(self._chain))
        try:
            await self._allocate(unwinding)
        finally:
            unwinding.cancel()
            await asyncio.wait((unwinding,))
            await self._leave_wallet()

    async def _allocate(self, unwinding: asyncio.Task[None] | None) -> None:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            next_renewal_ns = next_beat_ns = next_markets_ns = 0
            self._process.ready()
            while await self._process.tick():
                if unwinding is not None and unwinding.done():
                    unwinding.result()
                now = self._clock.now_ns()
                if now >= next_markets_ns:
                    next_markets_ns = now + ns(MARKETS_INTERVAL_S)
                    await self._read_markets(session)
                is_rolling = (
                    self._next_change_ms is not None and self._clock.wall_ms() >= self._next_change_ms
                )
                if is_rolling:
                    self._assign()
                if (is_rolling or now >= next_renewal_ns) and self._markets:
                    next_renewal_ns = now + ns(self._settings.renew_s)
                    self._publish(self._clock.now_ns())
                if now >= next_beat_ns:
                    next_beat_ns = now + ns(BEAT_INTERVAL_S)
                    self._publish_beat(now)

    async def _read_markets(self, session: aiohttp.ClientSession) -> None:
        try:
            self._listings = await list_open_markets(session, self._gamma_url)
        except (Retry, WireFault) as fault:
            # What was known stays in force; the engine withdraws by itself when mandates run out.
            log.warning("orchestrator.markets.unread", reason=str(fault))
            return
        self._assign()

    def _assign(self) -> None:
        """Choose what is quoted now, and by whom."""
        now_ms = self._clock.wall_ms()
        self._markets = tradable(self._listings, now_ms, self._rollover)
        self._next_change_ms = next_change_ms(self._listings, now_ms, self._rollover)
        assignments = assign(self._markets, self._quoters, self._record.assignments)
        if assignments != self._record.assignments:
            self._keep(assignments=assignments)
            log.info("orchestrator.assigned", markets=len(assignments))

    def _publish(self, now: int) -> None:
        self._allocations.publish(
            Allocation(
                term=self._record.term,
                sent_ns=now,
                life_ns=ns(self._settings.mandate_life_s),
                mandates=mandates(self._markets, self._record.assignments, self._settings),
                merged_e6=self._record.merged_e6,
            )
        )

    def _keep(self, **changes: object) -> None:
        """Change the record; it is on the disk when this returns."""
        self._record = msgspec.structs.replace(self._record, **changes)
        save(self._record_path, self._record)

    # --- positions ------------------------------------------------------------------------------

    async def _unwind_all(self, chain: Chain) -> None:
        """Merge and redeem, batch after batch, and look at the income in between."""
        while True:
            try:
                if self._wallet is None:
                    self._wallet = await chain.open_wallet(self._record.term)
                if self._clock.now_ns() >= self._next_income_ns:
                    self._next_income_ns = self._clock.now_ns() + ns(INCOME_INTERVAL_S)
                    await self._look_at_income(self._wallet)
                    self._scoring = await self._wallet.scoring()
                await self._unwind_once(self._wallet, chain.settings)
            except ClosedFor as fault:
                log.warning("orchestrator.unwinding.closed", seconds=fault.seconds)
                self._keep(allowance=closed(self._record.allowance, fault.seconds, self._wall_ns()))
            except Retry as fault:
                log.warning("orchestrator.unwinding.put_off", reason=str(fault))
            await asyncio.sleep(chain.settings.look_s)

    async def _unwind_once(self, wallet: Wallet, settings: UnwindingSettings) -> None:
        if not may_submit(self._record.allowance, settings, self._wall_ns()):
            return
        wanted = next_batch(await self._actions(wallet, settings), self._failures, settings)
        if not wanted:
            return
        # First the engine lets go of the pairs, then what it offers is looked at, then the batch is sent.
        before = self._record.merged_e6
        self._keep(merged_e6=claimed(before, wanted, 1))
        self._publish(self._clock.now_ns())
        try:
            await asyncio.sleep(CLAIM_S)
            batch = still_possible(wanted, await self._actions(wallet, settings))
            outcome = BatchOutcome.FAILED
            if batch:
                self._keep(allowance=submitted(self._record.allowance, self._wall_ns()))
                outcome = await wallet.unwind(batch)
        except Retry:
            self._keep(merged_e6=before)
            raise
        # Nobody knows what an unanswered batch did: its pairs stay out of sight of the engine.
        done = () if outcome is BatchOutcome.FAILED else batch
        self._keep(merged_e6=claimed(before, done, 1))
        self._count(batch, outcome)

    async def _actions(self, wallet: Wallet, settings: UnwindingSettings) -> list[Unwinding]:
        return actions_of(await wallet.holdings(self._wall_ns() // NS_PER_S), settings.least_usd)

    def _count(self, batch: Sequence[Unwinding], outcome: BatchOutcome) -> None:
        log.info("orchestrator.unwound", outcome=outcome.value, actions=len(batch))
        for action in batch:
            if outcome is BatchOutcome.FAILED:
                self._failures[action.market] = self._failures.get(action.market, 0) + 1
                log.warning("orchestrator.unwinding.failed", market=action.market, kind=action.kind.value)
            elif outcome is BatchOutcome.CONFIRMED:
                self._failures.pop(action.market, None)
                self._unwound[_COUNTERS[action.kind]] += action.worth_e6 / MICRO
        self._unwound["batches"] += bool(batch)

    # --- income ---------------------------------------------------------------------------------

    async def _look_at_income(self, wallet: Wallet) -> None:
        income = self._record.income
        for day in days_to_look_at(income, self._wall_ns() // NS_PER_S // _S_PER_DAY):
            income = looked(income, day, await wallet.income(day))
        if income != self._record.income:
            self._keep(income=income)

    async def _leave_wallet(self) -> None:
        """Look at the income once more, say it, and close the wallet's connections."""
        wallet, self._wallet = self._wallet, None
        if wallet is None:
            return
        try:
            async with asyncio.timeout(LAST_LOOK_S):
                await self._look_at_income(wallet)
        except (Retry, TimeoutError) as fault:
            log.warning("orchestrator.income.unread", reason=repr(fault))
        self._publish_beat(self._clock.now_ns())
        await wallet.close()

    def _income_counters(self) -> dict[str, float]:
        """What the report and the console show; absent is not measured."""
        counters: dict[str, float] = {}
        if (income := earned(self._record.income)) is not None:
            counters |= {
                "rewards_usd": income.rewards_e6 / MICRO,
                "rebates_usd": income.rebates_e6 / MICRO,
            }
        if self._scoring is not None:
            counters |= {
                "orders_scoring": float(self._scoring.scoring),
                "orders_asked": float(self._scoring.open),
            }
        return counters

    def _wall_ns(self) -> int:
        return self._clock.wall_ms() * NS_PER_MS

    def _publish_beat(self, now: int) -> None:
        self._beats.publish(
            Beat(
                name=self._process.name,
                kind="orchestrator",
                pid=self._process.pid,
                state="allocating" if self._record.assignments else "looking for markets",
                sent_ns=now,
                counters={
                    "term": float(self._record.term),
                    "markets": float(len(self._record.assignments)),
                    **self._unwound,
                    **self._income_counters(),
                },
            ),
            self._process.name,
        )
