"""The orchestrator's shell: judges the swarm, publishes the mandate table, unwinds positions, asks for income."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec
import structlog

from clawswarm.agents.orchestrator.allocator import (
    Assignment,
    OrchestratorSettings,
    assign,
    braked,
    mandates,
    rebalance,
)
from clawswarm.agents.orchestrator.equity import Equity
from clawswarm.agents.orchestrator.income import days_to_look_at, earned, looked
from clawswarm.agents.orchestrator.loads import MarketLoads
from clawswarm.agents.orchestrator.record import DurableStore
from clawswarm.agents.orchestrator.rollover import RolloverSettings, next_change_ms, still_due, tradable
from clawswarm.agents.orchestrator.swarm_state import (
    OPERATOR,
    Judgement,
    LossLimits,
    Signs,
    SwarmJudge,
)
from clawswarm.agents.orchestrator.unwinding import (
    UnwindingSettings,
    actions_of,
    closed,
    may_submit,
    next_batch,
    off_sale,
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
from clawswarm.model.messages import (
    Allocation,
    Beat,
    BookState,
    FeedHealth,
    Fill,
    HaltSwarm,
    ResumeSwarm,
    SwarmState,
)
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
# After a start the table is repeated quickly: whoever joins the bus late must not wait for it.
EARLY_S, EARLY_RENEW_S = 2.0, 0.1
HALT_REPEAT_S = 0.25
MARKS_INTERVAL_S = 1.0
# A quoter that says nothing for so long has lost its markets; the supervisor restarts it much sooner.
QUOTER_GONE_S = 5.0
SENTINEL_SILENT_S = 1.0
REBALANCE_S = 60.0
# Fills of earlier are replayed after a start: until then the profit is not known.
PROFIT_KNOWN_S = 3.0
# Windows come and go by the clock: each is listed long before it is joined.
MARKETS_INTERVAL_S, MARKETS_RETRY_S = 5.0, 1.0
REQUEST_TIMEOUT_S = 1.5
# From telling the engine which pairs are taken out to looking at its open orders again.
CLAIM_S = 1.0
INCOME_INTERVAL_S = 15.0
# A stopping orchestrator asks once more, and no longer than this.
LAST_LOOK_S = 1.5
_S_PER_DAY = 86_400
_COUNTERS = {UnwindingKind.MERGE: "merged_usd", UnwindingKind.REDEEM: "redeemed_usd"}
log = structlog.get_logger()


class Wallet(Relayer, Protocol):
    """The positions of the account, and the way to unwind them (venues/polymarket/relayer.py)."""

    @property
    def account(self) -> Account | None:
        """What the venue says of it, None where nobody can be asked."""

    async def holdings(self, now_s: int) -> list[Holding]:
        """What is held for certain. Raises Retry."""

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


class StorePlace(msgspec.Struct, frozen=True):
    """Where the durable files are: one of the state directory, one of the run."""

    standing: Path
    record: Path


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
        place: StorePlace,
        ledger: LedgerKeeper,
        chain: Chain | None = None,
        open_session: Callable[..., aiohttp.ClientSession] = aiohttp.ClientSession,
    ) -> None:
        self._open_session = open_session
        self._process, self._clock, self._settings = process, process.clock, settings
        self._rollover = rollover
        self._quoters, self._gamma_url = quoters, gamma_url
        self._ledger, self._chain = ledger, chain
        self._failures: dict[str, int] = {}
        self._wanted: Sequence[Unwinding] = ()
        self._scoring: OrdersScoring | None = None
        self._wallet: Wallet | None = None
        self._has_wallet = asyncio.Event()
        self._next_income_ns = 0
        self._unwound = {"merged_usd": 0.0, "redeemed_usd": 0.0, "batches": 0.0}
        self._listings: list[Listing] = []
        self._markets: list[Market] = []
        self._next_change_ms: int | None = None
        self._assigned_to: list[str] = []
        self._has_read = False
        self._allocations = bus.latest("allocation", Allocation)
        self._beats = bus.latest("beat", Beat)
        self._resumes = bus.latest("resume", ResumeSwarm)
        self._halts = bus.latest("halt", HaltSwarm)
        self._wishes = bus.latest("operator", ResumeSwarm)
        self._heard_beats = bus.latest("beat/*", Beat)
        self._heard_health = bus.latest("feed/*", FeedHealth)
        self._heard_books = bus.latest("book/*/*", BookState)
        self._fills = bus.ordered("fills", Fill)
        self._equity, self._loads = Equity(), MarketLoads()
        self._next_marks_ns = 0
        self._quoter_heard_ns = dict.fromkeys(quoters, self._clock.now_ns())
        self._sentinel_live_ns: dict[str, int] = {}
        self._engine: Beat | None = None
        self._store = DurableStore(place.standing, place.record)
        self._term_began_ns = self._clock.now_ns()
        limits = LossLimits(
            max_loss_usd=settings.max_loss_usd,
            max_drawdown_usd=settings.max_drawdown_usd,
            cautious_share=settings.cautious_share,
        )
        standing = self._store.standing.of_this_boot(self._term_began_ns)
        self._judge = SwarmJudge(limits, standing, self._store.record.watermarks)
        self._judgement = self._judge.judge(Signs(), self._term_began_ns)
        self._table = self._store.record.mandates

    async def run(self) -> None:
        """Renew and adapt mandates until asked to stop; the wallet is looked after beside that."""
        self._halts.listen(self._process.wake)
        self._wishes.listen(self._process.wake)
        for channel in (self._heard_beats, self._heard_health, self._heard_books):
            channel.listen()
        beside = [asyncio.create_task(self._follow_fills())]
        if self._chain is None:
            beside.append(asyncio.create_task(self._ledger.run(None)))
        else:
            beside.append(asyncio.create_task(self._keep_ledger()))
            beside.append(asyncio.create_task(self._unwind_all(self._chain)))
        try:
            await self._allocate(beside)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            await self._leave_wallet()
            self._ledger.close()

    async def _allocate(self, beside: Sequence[asyncio.Task[None]]) -> None:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with self._open_session(timeout=timeout) as session:
            next_renewal_ns = next_beat_ns = next_halt_ns = 0
            next_markets_ns = self._term_began_ns + ns(EARLY_RENEW_S)
            next_rebalance_ns = self._term_began_ns + ns(REBALANCE_S)
            # What is recorded is renewed before anything is asked or changed.
            self._publish(self._clock.now_ns())
            self._process.ready()
            while await self._process.tick():
                for task in beside:
                    if task.done():
                        task.result()
                now = self._clock.now_ns()
                has_changed = self._look(now)
                if now >= next_markets_ns:
                    is_read = await self._read_markets(session)
                    next_markets_ns = now + ns(MARKETS_INTERVAL_S if is_read else MARKETS_RETRY_S)
                is_time = self._next_change_ms is not None and self._clock.wall_ms() >= self._next_change_ms
                if is_time or self._living() != self._assigned_to:
                    self._assign()
                    has_changed = True
                if now >= next_rebalance_ns:
                    next_rebalance_ns = now + ns(REBALANCE_S)
                    self._rebalance(now)
                if has_changed or now >= next_renewal_ns:
                    is_early = now - self._term_began_ns < ns(EARLY_S)
                    next_renewal_ns = now + ns(EARLY_RENEW_S if is_early else self._settings.renew_s)
                    self._publish(self._clock.now_ns())
                if now >= next_halt_ns:
                    next_halt_ns = now + ns(HALT_REPEAT_S)
                    self._repeat_to_engine(now)
                if now >= next_beat_ns:
                    next_beat_ns = now + ns(BEAT_INTERVAL_S)
                    self._publish_beat(now)

    # --- the swarm's state ------------------------------------------------------------------------

    def _look(self, now: int) -> bool:
        """Take in what was said and judge it; whether the swarm's state has changed."""
        self._take_beats(now)
        for health in self._heard_health.take():
            if health.is_live:
                self._sentinel_live_ns[health.source] = health.sent_ns
        if now >= self._next_marks_ns:
            self._next_marks_ns = now + ns(MARKS_INTERVAL_S)
            for book in self._heard_books.take():
                self._equity.take_book(book)
        wishes: list[HaltSwarm | ResumeSwarm] = [*self._halts.take(), *self._wishes.take()]
        for wish in sorted(wishes, key=lambda wish: wish.sent_ns):
            if isinstance(wish, HaltSwarm):
                self._judge.halt(wish.cause, wish.sent_ns)
            elif self._judge.resume(self._profit_e6(now), wish.sent_ns, now):
                log.info("orchestrator.resumed", origin=wish.origin)
        if (cause := self._ledger.take_alarm()) is not None:
            self._judge.halt(cause, now)
        return self._take_judgement(self._judge.judge(self._signs(now), now))

    def _take_judgement(self, judgement: Judgement) -> bool:
        judge, store = self._judge, self._store
        if (judge.standing, judge.watermarks) != (store.standing, store.record.watermarks):
            # On the disk before anybody hears of it.
            store.keep(judge.standing, watermarks=judge.watermarks)
        if judgement == self._judgement:
            return False
        self._judgement = judgement
        log.warning("orchestrator.state", state=judgement.state.value, causes="; ".join(judgement.causes))
        return True

    def _take_beats(self, now: int) -> None:
        for beat in self._heard_beats.take():
            if beat.kind == "engine":
                self._engine = beat
            elif beat.name in self._quoter_heard_ns:
                self._quoter_heard_ns[beat.name] = now
                self._loads.take_plans(beat.name, beat.pid, beat.counters.get("plans", 0.0), now)

    def _signs(self, now: int) -> Signs:
        engine, live_ns = self._engine, self._sentinel_live_ns.values()
        is_halted = engine is not None and engine.state == "halted"
        return Signs(
            profit_e6=self._profit_e6(now),
            live_sentinels=sum(now - heard < ns(SENTINEL_SILENT_S) for heard in live_ns) if live_ns else None,
            route=None if engine is None else engine.route,
            engine_halted_ns=int(engine.counters.get("halted_ns", 0)) if engine and is_halted else None,
            engine_cause=None if engine is None else engine.reason,
        )

    def _profit_e6(self, now: int) -> int | None:
        is_known = now - self._term_began_ns >= ns(PROFIT_KNOWN_S)
        return self._equity.profit_e6() if is_known else None

    def _repeat_to_engine(self, now: int) -> None:
        """The engine's own word decides: say what is wanted until it says the same."""
        is_halted = self._engine is not None and self._engine.state == "halted"
        if self._judgement.state is SwarmState.HALTED and not is_halted:
            cause = "; ".join(self._judgement.causes)
            self._halts.publish(HaltSwarm(cause=cause, origin=self._process.name, sent_ns=now))
        lifted_ns = self._judge.standing.lifted_ns
        if self._judgement.state is not SwarmState.HALTED and is_halted and lifted_ns:
            self._resumes.publish(ResumeSwarm(origin=OPERATOR, sent_ns=lifted_ns))

    async def _follow_fills(self) -> None:
        async for fill in self._fills.messages():
            self._equity.take_fill(fill)

    # --- the mandate table --------------------------------------------------------------------------

    async def _read_markets(self, session: aiohttp.ClientSession) -> bool:
        """Ask which markets there are; whether that was answered."""
        try:
            self._listings = await list_open_markets(session, self._gamma_url)
        except (Retry, WireFault) as fault:
            # What was known stays in force; the engine withdraws by itself when mandates run out.
            log.warning("orchestrator.markets.unread", reason=str(fault))
            return False
        self._has_read = True
        self._assign()
        return True

    def _assign(self) -> None:
        """Choose what is quoted now, and by whom."""
        now_ms = self._clock.wall_ms()
        self._markets = tradable(self._listings, now_ms, self._rollover)
        self._next_change_ms = next_change_ms(self._listings, now_ms, self._rollover)
        recorded = self._store.record.assignments
        load = self._loads.of_markets(recorded)
        self._assigned_to = self._living()
        self._take_assignments(assign(self._markets, self._assigned_to, recorded, load))

    def _rebalance(self, now: int) -> None:
        self._loads.close_period(now)
        recorded = self._store.record.assignments
        self._take_assignments(rebalance(recorded, self._living(), self._loads.of_markets(recorded)))

    def _take_assignments(self, assignments: dict[str, Assignment]) -> None:
        if not self._has_read:
            return
        if assignments != self._store.record.assignments:
            log.info("orchestrator.assigned", markets=len(assignments))
        self._table = mandates(self._markets, assignments, self._settings)
        # On the disk before anybody hears of it.
        self._store.keep(assignments=assignments, mandates=self._table)

    def _living(self) -> list[str]:
        """The quoters that are heard; where none is, nobody knows better than the record."""
        now = self._clock.now_ns()
        heard_ns = self._quoter_heard_ns
        living = [name for name in self._quoters if now - heard_ns[name] < ns(QUOTER_GONE_S)]
        return living or list(self._quoters)

    def _publish(self, now: int) -> None:
        if not self._ledger.is_open:
            # What the account held before the first order is asked before it.
            return
        table = still_due(self._table, self._clock.wall_ms(), self._rollover)
        if self._table and not table and not self._has_read:
            # Every recorded window is over; which ones follow must be asked first.
            return
        # Whoever has a successor says nothing more.
        self._store.keep()
        self._allocations.publish(
            Allocation(
                term=self._store.term,
                sent_ns=now,
                life_ns=ns(self._settings.mandate_life_s),
                mandates=braked(table, self._judgement.state),
                # What was or may have been merged, and the pairs of a batch to come.
                merged_e6=off_sale(
                    self._ledger.merged_e6,
                    self._wanted,
                    (mandate.market.condition_id for mandate in self._table),
                ),
                state=self._judgement.state,
                causes=self._judgement.causes,
                rate=self._settings.rate,
            )
        )

    # --- positions ------------------------------------------------------------------------------

    async def _keep_ledger(self) -> None:
        await self._has_wallet.wait()
        await self._ledger.run(None if self._wallet is None else self._wallet.account)

    async def _unwind_all(self, chain: Chain) -> None:
        """Merge and redeem, batch after batch, and look at the income in between."""
        while True:
            try:
                if self._wallet is None:
                    self._wallet = await chain.open_wallet(self._store.term)
                    self._has_wallet.set()
                if self._clock.now_ns() >= self._next_income_ns:
                    self._next_income_ns = self._clock.now_ns() + ns(INCOME_INTERVAL_S)
                    await self._look_at_income(self._wallet)
                    self._scoring = await self._wallet.scoring()
                await self._unwind_once(self._wallet, chain.settings)
            except ClosedFor as fault:
                log.warning("orchestrator.unwinding.closed", seconds=fault.seconds)
                allowance = closed(self._store.record.allowance, fault.seconds, self._wall_ns())
                self._store.keep(allowance=allowance)
            except Retry as fault:
                log.warning("orchestrator.unwinding.put_off", reason=str(fault))
            await asyncio.sleep(chain.settings.look_s)

    async def _unwind_once(self, wallet: Wallet, settings: UnwindingSettings) -> None:
        # Nothing new is handed in while nobody knows what became of the batch before.
        is_settled = self._ledger.is_open and await settle_batches(self._ledger, wallet)
        if not is_settled or not may_submit(self._store.record.allowance, settings, self._wall_ns()):
            return
        wanted = next_batch(await self._actions(wallet, settings), self._failures, settings)
        if not wanted:
            return
        # First the engine lets go of the pairs, then what it offers is looked at, then the batch is sent.
        self._wanted = wanted
        self._publish(self._clock.now_ns())
        try:
            await asyncio.sleep(CLAIM_S)
            batch = still_possible(wanted, await self._actions(wallet, settings))
            outcome = BatchOutcome.FAILED
            if batch:
                self._store.keep(allowance=submitted(self._store.record.allowance, self._wall_ns()))
                outcome = await carry_out(self._ledger, wallet, batch)
        finally:
            # Nobody knows yet what an unanswered batch did: the ledger keeps its pairs out of the engine's sight.
            self._wanted = ()
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
        income = self._store.record.income
        for day in days_to_look_at(income, self._wall_ns() // NS_PER_S // _S_PER_DAY):
            income = looked(income, day, await wallet.income(day))
        self._store.keep(income=income)

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
        if (income := earned(self._store.record.income)) is not None:
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
                state="allocating" if self._table else "looking for markets",
                sent_ns=now,
                counters={
                    "term": float(self._store.term),
                    "markets": float(len(self._table)),
                    **self._unwound,
                    **self._income_counters(),
                },
            ),
            self._process.name,
        )
