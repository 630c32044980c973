"""The only file that names concrete parts: which process is made of what, in which mode.

The supervisor starts `claw-engine SETTINGS`, `claw-guard SETTINGS` and every other child as
`python -m clawswarm.runtime.wiring NAME PLACE`.
"""

import asyncio
import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from clawswarm.egress.proxies import forget_proxies
from clawswarm.kernel.account_port import AccountPort
from clawswarm.kernel.bus import Bus, ZenohBus
from clawswarm.kernel.clock import Clock, ns
from clawswarm.kernel.process import Process, run_process
from clawswarm.model.errors import InvariantBroken
from clawswarm.runtime.configuration import Configuration, load_configuration
from clawswarm.runtime.engine import (
    EngineAccount,
    EngineFile,
    EngineWatch,
    GuardFile,
    engine_command,
    guard_command,
)
from clawswarm.runtime.roster import (
    BUS_PEERS,
    ENGINE,
    GUARD,
    ORCHESTRATOR,
    QUOTERS,
    RISK_MANAGERS,
    SANDBOX,
    SENTINELS,
    RunPlace,
    kind_of,
)
from clawswarm.sandbox.settings import CA_FILE

if TYPE_CHECKING:
    from clawswarm.agents.orchestrator.agent import Wallet
    from clawswarm.model.positions import AccountBalances
    from clawswarm.venues.polymarket.keyless import ChainAddresses

CHAIN_ID = 137
# The sandbox begins with the run: it has counted nothing yet (rust/engine/src/counters.rs).
FRESH_COUNTERS = b"fresh\n"
ORPHAN_LINGER_S = 20.0
ORPHAN_QUIET_S = 2.0

Main = Callable[[Process], Awaitable[None]]


class Wiring:
    """Builds the process called `name`. Each part imports only what it needs: start-up time and memory."""

    def __init__(self, place: RunPlace, configuration: Configuration) -> None:
        self._place, self._configuration = place, configuration
        sandbox = configuration.sandbox
        secure = "s" if sandbox.tls else ""
        self._http = f"http{secure}://{sandbox.host}:{sandbox.port}"
        self._ws = f"ws{secure}://{sandbox.host}:{sandbox.port}"
        self._run_dir, self._socket_dir = Path(place.run_dir), Path(place.socket_dir)
        self._ca_file = self._run_dir / SANDBOX / CA_FILE if sandbox.tls else None
        self._state_dir = self._run_dir.parents[1]
        self._port = self._socket_dir / "engine.port"
        self._guard = self._socket_dir / "guard.port"
        self._counters = self._run_dir / ENGINE / "limits.counters"

    def main(self, name: str) -> Main:
        """The coroutine function that is this process."""
        kinds: dict[str, Main] = {
            "sandbox": self._sandbox,
            "orchestrator": self._orchestrator,
            "sentinel": self._sentinel,
            "quoter": self._quoter,
            "risk_manager": self._risk_manager,
        }
        main = kinds.get(kind_of(name))
        if main is None:
            raise InvariantBroken(f"no process is called {name}")
        return main

    def command(self, name: str, place_file: Path) -> list[str]:
        """The command that starts the process called `name`. Raises UserFault when its binary is missing."""
        if name == ENGINE:
            command = engine_command(self._engine_file())
            self._counters.write_bytes(FRESH_COUNTERS)
            return command
        if name == GUARD:
            return guard_command(self._guard_file())
        return [sys.executable, "-m", "clawswarm.runtime.wiring", name, str(place_file)]

    def bus(self, name: str) -> Bus:
        """This process's membership of the bus."""
        return ZenohBus(name, BUS_PEERS, self._socket_dir)

    def _member(self, process: Process) -> closing[Bus]:
        """The bus of an agent, left however the agent ends: its threads would keep the process from exiting."""
        return closing(self.bus(process.name))

    def _engine_file(self) -> EngineFile:
        settings = self._configuration.engine
        return EngineFile(
            name=ENGINE,
            earlier_peers=BUS_PEERS[: BUS_PEERS.index(ENGINE)],
            socket_dir=str(self._socket_dir),
            port=str(self._port),
            folder=str(self._run_dir / ENGINE),
            counters=str(self._counters),
            clob_url=self._http,
            user_ws_url=f"{self._ws}/ws/user",
            region_url=f"{self._http}/api/geoblock",
            ca_file=None if self._ca_file is None else str(self._ca_file),
            chain_id=CHAIN_ID,
            heartbeat_s=settings.heartbeat_s,
            reconcile_s=settings.reconcile_s,
            withdraw_timeout_s=settings.withdraw_timeout_s,
            probe_s=settings.probe_s,
            silence_s=settings.silence_s,
            pause_s=settings.pause_s,
            region_s=settings.region_s,
            routes=settings.routes,
            country=settings.country,
            proxy_passwords=_absolute(settings.proxy_passwords),
            switches_per_day=settings.switches_per_day,
            switches_file=str(self._state_dir / "route_switches.json"),
            limits=settings.limits,
            feed=self._configuration.feed,
            account=EngineAccount(
                signature_type=settings.signature_type,
                funder=settings.funder,
                is_session=settings.session_signer,
                keystore=_absolute(settings.keystore),
            ),
            watch=EngineWatch(
                guard=str(self._guard),
                guard_timeout_s=settings.guard_timeout_s,
                touch_timeout_s=settings.touch_timeout_s,
                sentinel_timeout_s=settings.sentinel_timeout_s,
            ),
        )

    def _guard_file(self) -> GuardFile:
        return GuardFile(
            name=GUARD,
            socket=str(self._guard),
            folder=str(self._run_dir / GUARD),
            clob_url=self._http,
            ca_file=None if self._ca_file is None else str(self._ca_file),
            silence_s=self._configuration.engine.guard_silence_s,
        )

    def trust_venue(self) -> None:
        """Let this process's clients believe the authority of its venue, and no other."""
        if self._ca_file is not None:
            # OpenSSL reads it when a client makes its first context, which aiohttp does when it is imported.
            if "aiohttp" in sys.modules:
                raise InvariantBroken("aiohttp was imported before the venue's authority was known")
            os.environ["SSL_CERT_FILE"] = str(self._ca_file)

    async def _sandbox(self, process: Process) -> None:
        from clawswarm.sandbox.server import SandboxServer, collect_seldom

        tls = None
        if self._ca_file is not None:
            from clawswarm.sandbox.certificates import make_tls_context

            self._ca_file.parent.mkdir(exist_ok=True)
            tls = make_tls_context(self._ca_file.parent, process.clock.wall_ms())
        settings, clock = self._configuration.sandbox, process.clock
        ahead_ms = round(settings.clock_offset_s * 1_000)
        server = SandboxServer(settings, clock.now_ns, lambda: clock.wall_ms() + ahead_ms, tls)
        await server.start()
        collect_seldom()
        process.ready()
        serving = asyncio.create_task(server.run_until(asyncio.Event()))
        while await process.tick():
            if serving.done():
                serving.result()
        if process.is_orphaned:
            await self._linger(process, lambda: server.open_order_count)
        serving.cancel()
        await server.close()

    async def _linger(self, process: Process, open_orders: Callable[[], int]) -> None:
        """A venue does not die with its client: stay until the orphaned engine has withdrawn its orders."""
        began = empty_since = process.clock.now_ns()
        while (now := process.clock.now_ns()) - began < ns(ORPHAN_LINGER_S):
            if open_orders():
                empty_since = now
            if now - empty_since > ns(ORPHAN_QUIET_S):
                return
            await asyncio.sleep(0.1)

    async def _orchestrator(self, process: Process) -> None:
        from clawswarm.agents.orchestrator.agent import Chain, Orchestrator, StorePlace
        from clawswarm.ledger.keeper import LedgerKeeper

        record = self._run_dir / ORCHESTRATOR / "record.json"
        place = StorePlace(self._state_dir / "standing.json", record)
        settings = self._configuration.orchestrator
        rollover, gamma_url = self._configuration.rollover, f"{self._http}/gamma"
        chain = (
            Chain(self._configuration.unwinding, partial(self._open_wallet, process.clock))
            if self._has_wallet
            else None
        )
        ledger = LedgerKeeper(self._run_dir, self._configuration.ledger, process.clock)
        with self._member(process) as bus:
            agent = Orchestrator(process, bus, settings, QUOTERS, rollover, gamma_url, place, ledger, chain)
            await agent.run()

    @property
    def _has_wallet(self) -> bool:
        """Only a deposit wallet has a relayer, and only its owner signs batches."""
        engine = self._configuration.engine
        return engine.signature_type == 3 and not engine.session_signer

    async def venue_balances(self) -> "AccountBalances | None":
        """What the venue says the run's wallet holds, None where there is none. Raises Retry."""
        if not self._has_wallet:
            return None
        module = importlib.import_module("clawswarm.venues.polymarket.relayer")
        account = await AccountPort(self._port, 0).open_account()
        balances: AccountBalances = await module.balances_of(account, self._addresses(module))
        return balances

    async def _open_wallet(self, clock: Clock, term: int) -> "Wallet":
        """The deposit wallet of the engine's account, for which the engine signs. Raises Retry, UserFault."""
        # The official client takes seconds to load: the mandates go on meanwhile.
        module = await asyncio.to_thread(importlib.import_module, "clawswarm.venues.polymarket.relayer")
        wallet: Wallet = await module.WalletRelayer.open(
            AccountPort(self._port, term), self._addresses(module), clock
        )
        return wallet

    def _addresses(self, module: Any) -> "ChainAddresses":
        addresses: ChainAddresses = module.ChainAddresses(
            clob=self._http,
            gamma=f"{self._http}/gamma",
            data=f"{self._http}/data-api",
            relayer=self._http,
            rpc=f"{self._http}/rpc",
        )
        return addresses

    async def _sentinel(self, process: Process) -> None:
        from clawswarm.agents.sentinel.agent import FrameRetention, MarketDataSources, Sentinel
        from clawswarm.venues.polymarket.prices import read_polybolt_key

        settings = self._configuration.sentinel
        sources = MarketDataSources(
            market_ws_url=f"{self._ws}/ws/market",
            rtds_url=f"{self._ws}/rtds",
            polybolt_url=f"{self._ws}/polybolt/ws",
            rest_url=self._http,
            reference_is_synthetic=True,
            prices_dead_after_s=settings.prices_dead_after_s,
            polybolt_key=None
            if settings.polybolt_key is None
            else read_polybolt_key(Path(settings.polybolt_key)),
        )
        retention = FrameRetention(
            folder=self._run_dir / process.name,
            cap_bytes=settings.journal_megabytes << 20,
            keeps_raw=process.name == SENTINELS[0],
        )
        with self._member(process) as bus:
            await Sentinel(process, bus, self._configuration.feed, sources, retention).run()

    async def _quoter(self, process: Process) -> None:
        from clawswarm.agents.quoter.agent import Quoter

        with self._member(process) as bus:
            await Quoter(process, bus, self._configuration.quoter, self._port, SENTINELS).run()

    async def _risk_manager(self, process: Process) -> None:
        from clawswarm.agents.risk_manager.agent import RiskManager

        capital_usd = self._configuration.orchestrator.capital_usd
        with self._member(process) as bus:
            await RiskManager(process, bus, RISK_MANAGERS, self._configuration.risk, capital_usd).run()


def main() -> None:
    """Entry point of every child process."""
    forget_proxies(os.environ)
    name, place_file = sys.argv[1:3]
    place = msgspec.json.decode(Path(place_file).read_bytes(), type=RunPlace)
    wiring = Wiring(place, load_configuration(Path(place.config)))
    wiring.trust_venue()
    run_process(name, wiring.main(name))


if __name__ == "__main__":
    main()


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())
