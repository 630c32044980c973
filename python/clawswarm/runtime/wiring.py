"""The only file that names concrete parts: which process is made of what, in which mode.

The supervisor starts the engine as `claw-engine SETTINGS` and every other child as
`python -m clawswarm.runtime.wiring NAME PLACE`.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from clawswarm.kernel.bus import Bus
from clawswarm.kernel.clock import ns
from clawswarm.kernel.process import Process, run_process
from clawswarm.model.errors import InvariantBroken
from clawswarm.runtime.configuration import Configuration, load_configuration
from clawswarm.runtime.engine import EngineFile, engine_command
from clawswarm.runtime.roster import (
    BUS_PEERS,
    ENGINE,
    ORCHESTRATOR,
    QUOTERS,
    RISK_MANAGERS,
    SANDBOX,
    RunPlace,
    kind_of,
)
from clawswarm.sandbox.settings import CA_FILE

CHAIN_ID = 137
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
            return engine_command(self._engine_file())
        return [sys.executable, "-m", "clawswarm.runtime.wiring", name, str(place_file)]

    def bus(self, name: str) -> Bus:
        """This process's membership of the bus."""
        return Bus(name, BUS_PEERS, self._socket_dir)

    def _engine_file(self) -> EngineFile:
        settings = self._configuration.engine
        return EngineFile(
            name=ENGINE,
            earlier_peers=BUS_PEERS[: BUS_PEERS.index(ENGINE)],
            socket_dir=str(self._socket_dir),
            port=str(self._port),
            folder=str(self._run_dir / ENGINE),
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
            switches_per_day=settings.switches_per_day,
            switches_file=str(self._state_dir / "route_switches.json"),
            limits=settings.limits,
            feed=self._configuration.feed,
        )

    def trust_venue(self) -> None:
        """Let this process's clients believe the authority of its venue, and no other."""
        if self._ca_file is not None:
            # OpenSSL reads it when a client makes its first context.
            os.environ["SSL_CERT_FILE"] = str(self._ca_file)

    async def _sandbox(self, process: Process) -> None:
        from clawswarm.sandbox.server import SandboxServer

        tls = None
        if self._ca_file is not None:
            from clawswarm.sandbox.certificates import make_tls_context

            self._ca_file.parent.mkdir(exist_ok=True)
            tls = make_tls_context(self._ca_file.parent, process.clock.wall_ms())
        settings, clock = self._configuration.sandbox, process.clock
        ahead_ms = round(settings.clock_offset_s * 1_000)
        server = SandboxServer(settings, clock.now_ns, lambda: clock.wall_ms() + ahead_ms, tls)
        await server.start()
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
        from clawswarm.agents.orchestrator.agent import Orchestrator

        record = self._run_dir / ORCHESTRATOR / "record.json"
        settings = self._configuration.orchestrator
        bus = self.bus(process.name)
        await Orchestrator(process, bus, settings, QUOTERS, self._http, record).run()
        bus.close()

    async def _sentinel(self, process: Process) -> None:
        from clawswarm.agents.sentinel.agent import MarketDataSources, Sentinel

        sources = MarketDataSources(f"{self._ws}/ws/market", f"{self._ws}/rtds", reference_is_synthetic=True)
        bus = self.bus(process.name)
        await Sentinel(process, bus, self._configuration.feed, sources).run()
        bus.close()

    async def _quoter(self, process: Process) -> None:
        from clawswarm.agents.quoter.agent import Quoter

        bus = self.bus(process.name)
        await Quoter(process, bus, self._configuration.quoter, self._port).run()
        bus.close()

    async def _risk_manager(self, process: Process) -> None:
        from clawswarm.agents.risk_manager.agent import RiskManager

        bus = self.bus(process.name)
        capital_usd = self._configuration.orchestrator.capital_usd
        await RiskManager(process, bus, RISK_MANAGERS, self._configuration.risk, capital_usd).run()
        bus.close()


def main() -> None:
    """Entry point of every child process."""
    name, place_file = sys.argv[1:3]
    place = msgspec.json.decode(Path(place_file).read_bytes(), type=RunPlace)
    wiring = Wiring(place, load_configuration(Path(place.config)))
    wiring.trust_venue()
    run_process(name, wiring.main(name))


if __name__ == "__main__":
    main()
