"""The orchestrator's shell: reads markets, records and publishes the mandate table, unwinds positions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec
import structlog

from clawswarm.agents.orchestrator.allocator import OrchestratorSettings, assign, mandates
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
from clawswarm.ledger.keeper import Account, LedgerKeeper
from clawswarm.ledger.relaying import Relayer, carry_out, settle_batches
from clawswarm.model.errors import ClosedFor, Retry, WireFault
from clawswarm.model.instruments import Market
from clawswarm.model.messages import Allocation, Beat, HaltSwarm
from clawswarm.model.positions import BatchOutcome, Holding, Unwinding, UnwindingKind
from clawswarm.model.units import MICRO
from clawswarm.venues.polymarket.discovery import Listing, list_open_markets

BEAT_INTERVAL_S = 0.5
MARKETS_INTERVAL_S = 2.0
REQUEST_TIMEOUT_S = 1.5
# From telling the engine which pairs are taken out to looking at its open orders again.
CLAIM_S = 1.0
WALLET_PAUSE_S = 0.5
_COUNTERS = {UnwindingKind.MERGE: "merged_usd", UnwindingKind.REDEEM: "redeemed_usd"}
log = structlog.get_logger()


class Wallet(Relayer, Protocol):
    """The positions of the account, and the way to unwind them (venues/polymarket/relayer.py)."""

    @property
    def account(self) -> Account:
        """What the venue says of it."""

    async def holdings(self, now_s: int) -> list[Holding]:
        """What is held for certain. Raises Retry."""

    async def close(self) -> None:
        """Close its connections."""


class Chain(msgspec.Struct, frozen=True):
    """How the account's positions are unwound; `open_wallet` raises Retry while that cannot be done."""

    settings: UnwindingSettings
    open_wallet: Callable[[], Awaitable[Wallet]]


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
        ledger: LedgerKeeper,
        chain: Chain | None = None,
    ) -> None:
        self._process, self._clock, self._settings = process, process.clock, settings
        self._rollover = rollover
        self._quoters, self._gamma_url, self._record_path = quoters, gamma_url, record_path
        self._ledger, self._chain = ledger, chain
        self._failures: dict[str, int] = {}
        self._unwound = {"merged_usd": 0.0, "redeemed_usd": 0.0, "batches": 0.0}
        self._listings: list[Listing] = []
        self._markets: list[Market] = []
        self._next_change_ms: int | None = None
        self._allocations = bus.latest("allocation", Allocation)
        self._beats = bus.latest("beat", Beat)
        self._halts = bus.latest("halt", HaltSwarm)
        self._engine_beats = bus.latest("beat/engine", Beat)
        recorded = load(record_path)
        self._record = msgspec.structs.replace(recorded, term=recorded.term + 1)
        save(record_path, self._record)

    async def run(self) -> None:
        """Renew and adapt mandates until asked to stop; ledger and positions are kept beside that."""
        self._engine_beats.listen(asyncio.Event())
        beside = asyncio.create_task(self._keep_books())
        try:
            await self._allocate(beside)
        finally:
            beside.cancel()
            await asyncio.wait((beside,))
            self._ledger.close()

    async def _keep_books(self) -> None:
        if self._chain is None:
            return await self._ledger.run(None)
        wallet = await self._open_wallet(self._chain)
        tasks = [
            asyncio.create_task(self._ledger.run(wallet.account)),
            asyncio.create_task(self._unwind_all(wallet, self._chain.settings)),
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await wallet.close()

    async def _allocate(self, beside: asyncio.Task[None]) -> None:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            next_renewal_ns = next_beat_ns = next_markets_ns = 0
            self._process.ready()
            while await self._process.tick():
                if beside.done():
                    beside.result()
                now = self._clock.now_ns()
                if now >= next_markets_ns:
                    next_markets_ns = now + ns(MARKETS_INTERVAL_S)
                    await self._read_markets(session)
                is_rolling = (
                    self._next_change_ms is not None and self._clock.wall_ms() >= self._next_change_ms
                )
                if is_rolling:
                    self._assign()
                if (is_rolling or now >= next_renewal_ns) and self._markets and self._ledger.is_open:
                    next_renewal_ns = now + ns(self._settings.renew_s)
                    self._publish(self._clock.now_ns())
                if now >= next_beat_ns:
                    next_beat_ns = now + ns(BEAT_INTERVAL_S)
                    self._publish_beat(now)
                    self._repeat_halt(now)

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

    async def _open_wallet(self, chain: Chain) -> Wallet:
        while True:
            try:
                return await chain.open_wallet()
            except Retry as fault:
                log.warning("orchestrator.wallet.put_off", reason=str(fault))
            await asyncio.sleep(WALLET_PAUSE_S)

    async def _unwind_all(self, wallet: Wallet, settings: UnwindingSettings) -> None:
        """Merge and redeem, batch after batch."""
        while True:
            try:
                await self._unwind_once(wallet, settings)
            except ClosedFor as fault:
                log.warning("orchestrator.unwinding.closed", seconds=fault.seconds)
                self._keep(allowance=closed(self._record.allowance, fault.seconds, self._wall_ns()))
            except Retry as fault:
                log.warning("orchestrator.unwinding.put_off", reason=str(fault))
            await asyncio.sleep(settings.look_s)

    async def _unwind_once(self, wallet: Wallet, settings: UnwindingSettings) -> None:
        # Nothing new is handed in while nobody knows what became of the batch before.
        if not self._ledger.is_open or not await settle_batches(self._ledger, wallet):
            return
        await self._claim(())
        if not may_submit(self._record.allowance, settings, self._wall_ns()):
            return
        wanted = next_batch(await self._actions(wallet, settings), self._failures, settings)
        if not wanted:
            return
        # First the engine lets go of the pairs, then what it offers is looked at, then the batch is sent.
        await self._claim(wanted)
        self._publish(self._clock.now_ns())
        try:
            await asyncio.sleep(CLAIM_S)
            batch = still_possible(wanted, await self._actions(wallet, settings))
            outcome = BatchOutcome.FAILED
            if batch:
                self._keep(allowance=submitted(self._record.allowance, self._wall_ns()))
                outcome = await carry_out(self._ledger, wallet, batch)
        finally:
            # Nobody knows yet what an unanswered batch did: its pairs stay out of sight of the engine.
            await self._claim(())
        self._count(batch, outcome)

    async def _claim(self, wanted: Sequence[Unwinding]) -> None:
        """Keep from the engine what was or may have been merged, and the pairs of a batch to come."""
        merged_e6 = claimed(await self._ledger.merged_e6(), wanted)
        if merged_e6 != self._record.merged_e6:
            self._keep(merged_e6=merged_e6)

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

    def _wall_ns(self) -> int:
        return self._clock.wall_ms() * NS_PER_MS

    def _repeat_halt(self, now: int) -> None:
        """What the ledger cannot explain stops the swarm; said until the engine has heard it."""
        cause = self._ledger.halt_cause
        if any(beat.state == "halted" for beat in self._engine_beats.take()):
            self._ledger.halt_cause = None
        elif cause is not None:
            self._halts.publish(HaltSwarm(cause=cause, origin=self._process.name, sent_ns=now))

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
                },
            ),
            self._process.name,
        )
