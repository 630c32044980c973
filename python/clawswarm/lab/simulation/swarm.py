"""The wiring of a simulation: the eleven agents, the engine, the venue and its participants, and what goes wrong.

The agents are the ones of a real run, with the same settings; their clock, bus, sockets and sessions are virtual.
The venue is the sandbox with its REST and streams; eight up/down series roll in it, and its participants trade.
"""

import asyncio
import gc
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Annotated, Any

import aiohttp
import msgspec
import structlog
from aiohttp import web
from coincurve import PrivateKey

from clawswarm._core import OrderSigner
from clawswarm.agents.orchestrator.agent import Chain, Orchestrator, StorePlace, Wallet
from clawswarm.agents.orchestrator.allocator import OrchestratorSettings
from clawswarm.agents.orchestrator.unwinding import UnwindingSettings
from clawswarm.agents.quoter.agent import Quoter
from clawswarm.agents.risk_manager.agent import RiskManager
from clawswarm.agents.sentinel.agent import MarketDataSources, Sentinel
from clawswarm.kernel.bus import Bus
from clawswarm.kernel.clock import ns
from clawswarm.kernel.process import Process
from clawswarm.lab.engine_machine import EngineMachine, EngineStart
from clawswarm.lab.simulation.bus import Medium, VirtualBus
from clawswarm.lab.simulation.engine import EngineAccount, EngineProcess, Machine, MakeMachine
from clawswarm.lab.simulation.faults import PROFILES, ProfileName, choose
from clawswarm.lab.simulation.guard import PORT as GUARD_PORT
from clawswarm.lab.simulation.guard import GuardProcess
from clawswarm.lab.simulation.invariants import Authority, Monitor
from clawswarm.lab.simulation.loop import NS_PER_S, VirtualLoop
from clawswarm.lab.simulation.memory import folder_in_memory
from clawswarm.lab.simulation.network import NOBODY, Network, Partitions
from clawswarm.lab.simulation.order_line import OrderLine
from clawswarm.lab.simulation.outcome import Outcome
from clawswarm.lab.simulation.processes import Main, Processes
from clawswarm.lab.simulation.wallet import SimulatedWallet
from clawswarm.ledger.keeper import LedgerKeeper
from clawswarm.ledger.settings import LedgerSettings
from clawswarm.model.errors import Halt
from clawswarm.model.instruments import Market
from clawswarm.model.messages import HaltSwarm, ResumeSwarm
from clawswarm.model.units import MICRO
from clawswarm.runtime.configuration import Configuration
from clawswarm.runtime.roster import ENGINE, GUARD, ORCHESTRATOR, QUOTERS, RISK_MANAGERS, SENTINELS
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.identity.wallets import wallets_of
from clawswarm.sandbox.pump import Stage
from clawswarm.sandbox.server import SELDOM, venue_application
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.streams.serving import Serving
from clawswarm.sandbox.venue import Venue

CHAIN_ID = 137
SERIES = tuple(f"{coin}-{horizon}" for horizon in ("5m", "15m") for coin in ("btc", "eth", "sol", "xrp"))
"""Eight markets trade at any moment, and the next ones are listed."""
CROWD_INTERVAL_MS = 10_000
LOOK_S = 30.0
NAP_S = 0.1
OPERATOR_S = 5.0
HALTED_S = 30.0
SETTLE_S = 20.0
STOP_S = 20.0
KEPT_S = 1e9
"""aiohttp counts by the host's clock how long a connection is idle: on a slow host it would be made anew."""
_VENUE, _PORT = "venue", "engine.port"


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate; `profile` names what goes wrong (faults.py)."""

    seed: int
    hours: Annotated[float, msgspec.Meta(gt=0)]
    profile: ProfileName = "all"
    mean_gap_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Between two faults, in place of the profile's."""
    reconcile_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Between two comparisons, in place of [engine] reconcile_s."""
    series: tuple[str, ...] = SERIES
    capital_usd: int = 20_000
    max_position_shares: int = 200
    order_size_shares: int = 20


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a test may replace by something faulty."""

    make_machine: MakeMachine = EngineMachine
    alter_bus: Callable[[str, Bus], Bus] = lambda _name, bus: bus
    alter_venue: Callable[[Venue], None] = lambda _venue: None


Tell = Callable[[str], None]


def simulate(
    asked: Simulated, configuration: Configuration, parts: Parts | None = None, tell: Tell | None = None
) -> Outcome:
    """Run one simulation to its end; the same arguments give the same outcome, times of this machine apart.

    `tell` hears a line after each virtual hour, with the hash so far: two runs can be compared before they end.
    """
    before, thresholds = structlog.get_config(), gc.get_threshold()
    gc.set_threshold(*SELDOM)
    # A day of faults would write millions of lines; what aiohttp says of broken connections is what was planned.
    server_log = logging.getLogger("aiohttp.server")
    was_disabled, server_log.disabled = server_log.disabled, True
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    try:
        with folder_in_memory() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
            swarm = Swarm(asked, configuration, parts or Parts(), folder)
            runner.run(swarm.run(tell))
    finally:
        structlog.configure(**before)
        server_log.disabled = was_disabled
        gc.set_threshold(*thresholds)
    return swarm.outcome(time.perf_counter() - began_s, time.process_time() - began_cpu_s)


class Swarm:
    """One simulation."""

    def __init__(self, asked: Simulated, configuration: Configuration, parts: Parts, folder: Path) -> None:
        self._asked, self._configuration, self._parts, self._folder = asked, configuration, parts, folder
        self._profile = PROFILES[asked.profile]
        self._chance = Random(f"{asked.seed}/faults")
        self.agents: Sequence[str] = (ORCHESTRATOR, *SENTINELS, *QUOTERS, *RISK_MANAGERS, ENGINE, GUARD)
        self._deeds: Counter[str] = Counter()
        self._uptime = [0.0, 0.0]
        self._is_over = False
        self._engine: EngineProcess | None = None
        self._engine_lives = 0
        self._halted_since_ns: int | None = None
        self._reconcile_s = asked.reconcile_s or configuration.engine.reconcile_s
        self._key_bytes = hashlib.sha256(b"the key of a simulation").digest()
        self.venue = Venue(self._sandbox())
        parts.alter_venue(self.venue)

    def _sandbox(self) -> SandboxSettings:
        return SandboxSettings(
            data="",
            port=0,
            control_port=0,
            seed=self._asked.seed,
            series=self._asked.series,
            crowd_interval_ms=CROWD_INTERVAL_MS,
            faucet_e6=10 * self._asked.capital_usd * MICRO,
            disorder_share=self._profile.disorder_share,
            settlement_fail_share=self._profile.settlement_fail_share,
            settlement_retry_share=self._profile.settlement_retry_share,
            relayer_tier="verified",
        )

    # --- the world ----------------------------------------------------------------------------------

    async def run(self, tell: Tell | None = None) -> None:
        """Everything, from the first listing to the last withdrawal."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._loop = self._clock = loop
        loop.set_exception_handler(self._note_unhandled)
        self._partitions = Partitions()
        self._network = Network(loop, self._asked.seed, self._partitions)
        self._medium = Medium(loop, self._asked.seed, self._profile.local, self._partitions)
        self._processes = Processes(loop, self._network, self._medium, self._crashed)
        self._log_in()
        await self._open_venue()
        self._start_agents()
        tasks = [asyncio.create_task(self._operate())]
        mean_gap_s = self._asked.mean_gap_s or self._profile.mean_gap_s
        if mean_gap_s is not None and self._profile.deeds:
            tasks.append(asyncio.create_task(self._go_wrong(mean_gap_s)))
        await self._live(tell)
        await self._end(tasks)

    async def _live(self, tell: Tell | None) -> None:
        began_cpu_s = time.process_time()
        whole_hours = int(self._asked.hours)
        for hour in range(1, whole_hours + 1):
            await asyncio.sleep(3_600)
            if tell is not None:
                cpu_ms = (time.process_time() - began_cpu_s) / hour / 3.6
                broken = len(self._monitor.broken)
                tell(
                    f"hour {hour}: {self._monitor.digest}, {cpu_ms:.1f} ms a virtual second, {broken} broken"
                )
        await asyncio.sleep((self._asked.hours - whole_hours) * 3_600)

    def _log_in(self) -> None:
        """Make the account and its key, as the engine's first login does."""
        key = PrivateKey(self._key_bytes)
        wallet = wallets_of(OrderSigner(self._key_bytes, CHAIN_ID, 0, None).address).deposit
        signer = OrderSigner(self._key_bytes, CHAIN_ID, 3, wallet)
        now_ns = self._clock.now_ns()
        api_key = self.venue.create_key(signer.login_headers(now_ns // NS_PER_S, 0), now_ns)
        self.wallet = wallet
        band_e6 = round(self._configuration.risk.band * self._asked.capital_usd * MICRO)
        # Two comparisons, and the way there and back.
        differ_s = 2 * self._reconcile_s + 10.0
        self._monitor = Monitor(self._clock, self.venue, wallet, api_key.key, Authority(band_e6, differ_s))
        self._medium.tap = self._monitor.published
        self._line, self._guard_line = (
            OrderLine(
                self._loop, self._clock, self.venue, self._partitions, Random(f"{self._asked.seed}/{use}")
            )
            for use in ("orders", "guard")
        )
        for line, owner in ((self._line, ENGINE), (self._guard_line, GUARD)):
            line.terms, line.owner = self._profile.remote, owner
            line.key, line.wallet = api_key, wallet
        self._monitor.limited = lambda: self._line.limited
        self._account = EngineAccount(
            private_key=self._key_bytes,
            api_key=api_key.key,
            secret=api_key.secret,
            passphrase=api_key.passphrase,
        )
        self._relayed = SimulatedWallet(
            self.venue, self._clock, api_key.address, wallet, key, Random(f"{self._asked.seed}/wallet")
        )
        self._relayed.terms = self._profile.remote

    async def _open_venue(self) -> None:
        serving = Serving(self.venue, self._clock.now_ns)
        self._runner = web.AppRunner(
            venue_application(self.venue, serving, self._clock.now_ns), access_log=None
        )
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        self._network.listen(_VENUE, self._profile.remote, server)
        self._stage = Stage(self.venue, [])
        self._stage.open(self._clock.now_ns())
        self._pump: asyncio.Handle = self._loop.call_soon(self._play)

    def _play(self) -> None:
        """Let the venue and its participants live, now and whenever something is due."""
        now_ns = self._clock.now_ns()
        self.venue.advance(now_ns)
        while self._stage.step(now_ns):
            pass
        due_ns = self._stage.next_due_ns()
        nap_s = NAP_S if due_ns is None else (due_ns - now_ns) / NS_PER_S
        self._pump = self._loop.call_later(min(NAP_S, max(0.0, nap_s)), self._play)

    def _session(self, timeout: aiohttp.ClientTimeout | None = None) -> aiohttp.ClientSession:
        connector = aiohttp.UnixConnector(path=_VENUE, keepalive_timeout=KEPT_S)
        if timeout is None:
            return aiohttp.ClientSession(connector=connector)
        return aiohttp.ClientSession(connector=connector, timeout=timeout)

    # --- processes ----------------------------------------------------------------------------------

    def _start_agents(self) -> None:
        mains: dict[str, Main] = {
            GUARD: self._run_guard,
            ENGINE: self._run_engine,
            ORCHESTRATOR: self._run_orchestrator,
        }
        mains |= dict.fromkeys(SENTINELS, self._run_sentinel)
        mains |= dict.fromkeys(QUOTERS, self._run_quoter)
        mains |= dict.fromkeys(RISK_MANAGERS, self._run_risk_manager)
        for name, main in mains.items():
            self._processes.start(name, main)

    async def _run_orchestrator(self, process: Process, bus: VirtualBus) -> None:
        asked = self._asked
        settings = OrchestratorSettings(
            capital_usd=asked.capital_usd,
            max_position_shares=asked.max_position_shares,
            order_size_shares=asked.order_size_shares,
            # What is judged here is conduct; the participants' money is no yardstick of profit.
            max_loss_usd=asked.capital_usd,
            max_drawdown_usd=asked.capital_usd,
            mandate_life_s=self._configuration.orchestrator.mandate_life_s,
            renew_s=self._configuration.orchestrator.renew_s,
        )
        unwinding = UnwindingSettings(daily_batches=3_000, look_s=LOOK_S)
        await Orchestrator(
            process,
            self._parts.alter_bus(process.name, bus),
            settings,
            QUOTERS,
            self._configuration.rollover,
            "http://venue/gamma",
            StorePlace(self._folder / "standing.json", self._folder / "record.json"),
            LedgerKeeper(self._folder, LedgerSettings(), process.clock, _at_once),
            Chain(unwinding, self._open_wallet),
            self._session,
        ).run()

    async def _open_wallet(self, _term: int) -> Wallet:
        return self._relayed

    async def _run_sentinel(self, process: Process, bus: VirtualBus) -> None:
        sources = MarketDataSources(
            market_ws_url="ws://venue/ws/market",
            rtds_url="ws://venue/rtds",
            polybolt_url="ws://venue/polybolt/ws",
            rest_url="http://venue",
            reference_is_synthetic=True,
            prices_dead_after_s=self._configuration.sentinel.prices_dead_after_s,
        )
        feed = self._configuration.feed
        altered = self._parts.alter_bus(process.name, bus)
        await Sentinel(process, altered, feed, sources, open_session=self._session).run()

    async def _run_quoter(self, process: Process, bus: VirtualBus) -> None:
        bus.heard = self._monitor.delivered
        altered = self._parts.alter_bus(process.name, bus)
        await Quoter(process, altered, self._configuration.quoter, Path(_PORT), SENTINELS).run()

    async def _run_risk_manager(self, process: Process, bus: VirtualBus) -> None:
        risk, capital_usd = self._configuration.risk, self._asked.capital_usd
        await RiskManager(process, bus, RISK_MANAGERS, risk, capital_usd).run()

    async def _run_engine(self, process: Process, bus: VirtualBus) -> None:
        await asyncio.sleep(0.1)
        self._engine_lives += 1
        settings = self._configuration.engine
        start = EngineStart(
            chain_id=CHAIN_ID,
            api_key=self._account.api_key,
            signature_type=3,
            funder=self.wallet,
            venue_ms=self._clock.wall_ms(),
            seed=self._asked.seed * 1_000_003 + self._engine_lives,
            markets=tuple(_market(listed) for listed in self.venue.exchange.markets.values()),
            heartbeat_ns=ns(settings.heartbeat_s),
            reconcile_ns=ns(self._reconcile_s),
            withdraw_timeout_ns=ns(settings.withdraw_timeout_s),
            switches_per_day=settings.switches_per_day,
            touch_ns=ns(settings.touch_timeout_s),
            sentinel_ns=ns(settings.sentinel_timeout_s),
            guard_ns=ns(settings.guard_timeout_s),
        )
        self._monitor.new_life()
        self._engine = EngineProcess(
            process,
            self._parts.alter_bus(process.name, bus),
            self._network,
            self._line,
            self._account,
            self._configuration.feed,
            Path(_PORT),
            self._session,
            self._make_machine,
            self._monitor,
        )
        await self._engine.run(start)

    async def _run_guard(self, process: Process, _bus: VirtualBus) -> None:
        silence_s = self._configuration.engine.guard_silence_s
        line = self._guard_line
        await GuardProcess(
            process, self._network, line, silence_s, self._kill_engine, self._note_withdrawal
        ).run()

    def _kill_engine(self, life: int) -> None:
        """What the guard does to a silent engine; one that has a successor is dead already."""
        engine = self._processes.processes.get(ENGINE)
        if engine is not None and engine.pid == life:
            self._deeds["guard"] += 1
            self.kill(ENGINE)

    def _note_withdrawal(self, cause: str) -> None:
        self._monitor.counts[f"guard: {cause}"] += 1

    def _make_machine(self, key: bytes, start: EngineStart, now_ns: int) -> Machine:
        machine = self._parts.make_machine(key, start, now_ns)
        self._monitor.machine = machine
        return machine

    def _crashed(self, name: str, fault: BaseException) -> None:
        if name == ENGINE:
            self._engine_gone()
        is_expected = isinstance(fault, Halt)
        self._monitor.is_held("process", is_expected, "{} ended: {!r}", name, fault)

    def _note_unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A task that nobody asks any more has failed: of a connection that was cut, or of a killed process."""
        self._monitor.counts["unhandled"] += 1

    def _engine_gone(self) -> None:
        if self._engine is not None and self._engine.machine is not None:
            counters = self._engine.beat().counters
            self._uptime[0] += counters["two_sided_s"]
            self._uptime[1] += counters["mandated_s"]
        self._engine = None
        self._line.reset()
        self._network.unlisten(_PORT)
        self._monitor.new_life()

    # --- what goes wrong ----------------------------------------------------------------------------

    async def _go_wrong(self, mean_gap_s: float) -> None:
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / mean_gap_s))
            name, deed = choose(self._profile, self._chance)
            self._deeds[name] += 1
            deed(self, self._chance)

    def now_ns(self) -> int:
        """Virtual time."""
        return self._clock.now_ns()

    def cut(self, name: str) -> None:
        """Reset every connection of a process with the venue."""
        self._network.cut(name, NOBODY)

    def hold(self, name: str, seconds: float) -> None:
        """Let a process hear and say nothing for so long."""
        self._partitions.cut_off(name, self._loop.time() + seconds)

    def kill(self, name: str) -> None:
        """End a process at once; it is started anew within seconds."""
        if name == ENGINE:
            self._engine_gone()
        if name == GUARD:
            self._guard_line.reset()
            self._network.unlisten(GUARD_PORT)
        self._processes.kill(name, self._chance.uniform(0.3, 3))

    def halt(self, cause: str) -> None:
        """As an operator: cancel everything, place nothing."""
        halt = HaltSwarm(cause=cause, origin="operator", sent_ns=self._clock.now_ns())
        VirtualBus(self._medium, "operator").latest("halt", HaltSwarm).publish(halt)

    async def _operate(self) -> None:
        """Repeat a halt until it holds; when it has held for a while, mend what a person mends and resume."""
        resumes = VirtualBus(self._medium, "operator").latest("operator", ResumeSwarm)
        while True:
            await asyncio.sleep(OPERATOR_S)
            if self._engine is None or self._engine.machine is None:
                continue
            is_halted = self._engine.beat().state == "halted"
            if self._monitor.is_halting and not is_halted:
                self.halt("an operator's halt, repeated")
            now_ns = self._clock.now_ns()
            if not is_halted:
                self._halted_since_ns = None
            elif self._halted_since_ns is None:
                self._halted_since_ns = now_ns
            elif now_ns - self._halted_since_ns >= ns(HALTED_S):
                self.venue.faults.is_geoblocked = False
                resumes.publish(ResumeSwarm(origin="operator", sent_ns=now_ns))

    # --- the end ------------------------------------------------------------------------------------

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks[1:]:
            task.cancel()
        self.venue.faults.clear()
        self.venue.market_hub.disturbance.clear()
        self.venue.user_hub.disturbance.clear()
        await asyncio.sleep(SETTLE_S)
        tasks[0].cancel()
        if self._engine is not None:
            self._engine.stop()
        await asyncio.sleep(STOP_S)
        left = self.venue.open_customer_orders()
        self._monitor.is_held("stop", not left, "{} orders are open after a stop", len(left))
        self._engine_gone()
        self._processes.end_all()
        self._pump.cancel()
        await asyncio.sleep(1)
        await self._runner.cleanup()

    def outcome(self, wall_s: float, cpu_s: float) -> Outcome:
        """What came of it."""
        counts = self._monitor.counts
        counts["bus deliveries"] = self._medium.delivered
        counts["requests"] = self._line.served
        events = counts["engine events"] + counts["venue events"] + counts["bus deliveries"]
        two_sided_s, mandated_s = self._uptime
        return Outcome(
            seed=self._asked.seed,
            hours=self._asked.hours,
            faults=self._asked.profile,
            journal_hash=self._monitor.digest,
            resolved=counts["resolved"],
            redeemed=self._relayed.redeemed,
            merged=self._relayed.merged,
            orders=counts["placed"],
            fills=counts["fills"],
            quoting_uptime=two_sided_s / mandated_s if mandated_s else None,
            invariants_broken=tuple(self._monitor.broken),
            events=events,
            events_per_s=events / wall_s,
            wall_s=wall_s,
            cpu_s=cpu_s,
            deeds=dict(self._deeds),
            counts=dict(sorted(counts.items())),
        )


def _market(listed: ListedMarket) -> Market:
    return Market(
        condition_id=listed.condition_id,
        slug=listed.slug,
        underlying=listed.underlying,
        yes_token=listed.yes_token,
        no_token=listed.no_token,
        tick_e4=listed.tick_e4,
        min_size_e6=listed.min_size_e6,
        neg_risk=listed.neg_risk,
        is_open=listed.is_open,
        closes_ms=listed.end_ms,
    )


async def _at_once(work: Callable[[], object]) -> object:
    """Virtual time knows no threads."""
    return work()
