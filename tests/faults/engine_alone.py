"""The real engine process against the sandbox over TLS; its quoter and orchestrator are played here."""

import asyncio
import json
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clawswarm.kernel.bus import ZenohBus
from clawswarm.kernel.clock import SystemClock, ns
from clawswarm.kernel.engine_port import EngineClient
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import Allocation, Mandate, OrderState, OrderUpdate, Place, Plan, PlanDone
from clawswarm.runtime.configuration import load_configuration
from clawswarm.runtime.roster import BUS_PEERS, ENGINE, SUPERVISOR, RunPlace
from clawswarm.runtime.wiring import Wiring
from clawswarm.sandbox.certificates import make_tls_context
from clawswarm.sandbox.settings import CA_FILE
from contract.venue_thread import RunningVenue, record, running_venue, settings_for, snapshot, wall_ms
from faults.swarm_run import PROJECT, eventually

QUOTER = "quoter-1"
PLAN_S = 20.0


def certified(folder: Path, later_ms: int = 0, address: str = "127.0.0.1") -> ssl.SSLContext:
    """A server's context of an authority of its own, for this time and this address."""
    folder.mkdir(parents=True, exist_ok=True)
    return make_tls_context(folder, wall_ms() + later_ms, [address])


@contextmanager
def secure_venue(folder: Path, tls: ssl.SSLContext, **changes: object) -> Iterator[RunningVenue]:
    """A sandbox with one quiet market behind TLS."""
    record(folder / "data", "btc-updown-1", [snapshot()])
    with running_venue(settings_for(folder / "data", **changes), tls) as venue:
        yield venue


class EngineAlone:
    """One engine process and its log; a context."""

    def __init__(self, folder: Path, venue: RunningVenue, ca_folder: Path, **changed: object) -> None:
        self.venue = venue
        self._folder = folder
        (folder / "run").mkdir(parents=True, exist_ok=True)
        place = RunPlace("", str(folder / "run"), str(folder))
        wiring = Wiring(place, load_configuration(PROJECT / "config/sandbox.toml"))
        self._command = wiring.command(ENGINE, folder / "place.json")
        host = f"127.0.0.1:{venue.server.port}"
        settings = json.loads(Path(self._command[1]).read_text()) | {
            "clob_url": f"https://{host}",
            "user_ws_url": f"wss://{host}/ws/user",
            "region_url": f"https://{host}/api/geoblock",
            "ca_file": str(ca_folder / CA_FILE),
            "switches_file": str(folder / "switches.json"),
            "watch": {},
        }
        Path(self._command[1]).write_text(json.dumps(settings | changed))
        self._port = folder / "engine.port"
        self._log_path = folder / "engine.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "EngineAlone":
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    def log(self) -> str:
        """What it has said so far."""
        return self._log_path.read_text()

    def until_logged(self, words: str, times: int = 1) -> None:
        """Wait until it says so."""
        eventually(lambda: self.log().count(words) >= times, 40, f"{words!r}, {times} times")

    def until_ready(self) -> None:
        """Wait until quoters may connect."""
        eventually(lambda: self._port.exists() or self.process.poll() is not None, 30, "the engine's port")
        assert self.process.poll() is None, self.log()

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def place(self, *, until: str | None = None) -> list[str]:
        """Send one order, again until it rests (its id) or is refused with words that begin so: what was said."""
        return asyncio.run(self._place(until))

    async def _place(self, until: str | None) -> list[str]:
        clock, wake, said = SystemClock(), asyncio.Event(), list[str]()
        bus = ZenohBus(SUPERVISOR, BUS_PEERS, self._folder)
        allocations = bus.latest("allocation", Allocation)
        client = EngineClient(self._port, QUOTER, wake)
        end_ns = clock.now_ns() + ns(PLAN_S)
        try:
            assert await client.try_connect()
            for reference in range(1, 1_000):
                assert clock.now_ns() < end_ns, f"{said}\n{self.log()}"
                allocations.publish(self._allocation(clock.now_ns()))
                client.send(self._plan(clock.now_ns(), reference))
                told = await _told(client, wake)
                resting = [
                    it.order_id for it in told if isinstance(it, OrderUpdate) and it.state is OrderState.LIVE
                ]
                if resting and until is None:
                    return resting
                assert not resting or until is None, "an order rests"
                refused = [it.refused for it in told if isinstance(it, PlanDone) and it.refused is not None]
                said += refused
                if until is not None and any(reason.startswith(until) for reason in refused):
                    return said
                await asyncio.sleep(0.05)
        finally:
            bus.close()
        raise AssertionError(said)

    def _allocation(self, now_ns: int) -> Allocation:
        traded = self.venue.market
        market = Market(
            condition_id=traded.condition_id,
            slug=traded.slug,
            underlying=traded.underlying,
            yes_token=traded.yes_token,
            no_token=traded.no_token,
            tick_e4=100,
            min_size_e6=5_000_000,
            neg_risk=False,
            is_open=True,
            closes_ms=None,
        )
        mandate = Mandate(
            market=market,
            quoter=QUOTER,
            epoch=1,
            capital_e6=1_000_000_000,
            max_position_e6=1_000_000_000,
            order_size_e6=5_000_000,
        )
        return Allocation(term=1, sent_ns=now_ns, life_ns=ns(PLAN_S), mandates=(mandate,))

    def _plan(self, now_ns: int, reference: int) -> Plan:
        order = Place(ref=reference, side=Side.BUY, price_e4=1_000, size_e6=5_000_000)
        return Plan(
            market=self.venue.market.condition_id,
            term=1,
            epoch=1,
            cancels=(),
            places=(order,),
            value=1.0,
            book_sequence=1,
            book_received_ns=None,
            decided_ns=now_ns,
        )


async def _told(client: EngineClient, wake: asyncio.Event) -> list[object]:
    """Everything that is said until the plan is done."""
    told: list[object] = []
    while not any(isinstance(it, PlanDone) for it in told):
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await wake.wait()
        wake.clear()
        told += client.take()
        assert client.is_connected, "the engine has closed the connection"
    return told
