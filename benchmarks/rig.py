"""The order path as it runs, on a bench: sandbox, engine (and its guard), two sentinels, scripted quoters.

Every process is the real one, started through the runtime's own wiring with a configuration made from
config/sandbox.toml, so a setting that changes there changes here. Scripted are the orchestrator (this process: it
publishes the mandates on the real bus) and the quoters (processes of their own, see quoter_child.py). Where a line
is asked for, the engine reaches the venue through the chaos proxy; the truth comes over the control port.
"""

import asyncio
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec

from benchmarks.measure import NotMeasured
from benchmarks.ports import free_ports
from benchmarks.quoter_child import Order, Refused
from benchmarks.recordings import MIN_SIZE_E6, Flow, record
from clawswarm.kernel.bus import Bus
from clawswarm.kernel.clock import SystemClock, ns
from clawswarm.kernel.process import LIFELINE_VARIABLE
from clawswarm.model.instruments import Market
from clawswarm.model.messages import Allocation, Beat, DeadmanFired, Mandate
from clawswarm.runtime import roster
from clawswarm.runtime.configuration import Configuration, load_configuration
from clawswarm.runtime.roster import ENGINE, SANDBOX, SENTINELS, SUPERVISOR, RunPlace
from clawswarm.runtime.wiring import Wiring
from clawswarm.sandbox.chaos_proxy import ChaosProxy, LineConditions
from clawswarm.sandbox.scenario import load_playbacks
from clawswarm.sandbox.settings import CA_FILE

CONFIGURATION = Path(__file__).parents[1] / "config/sandbox.toml"
GUARD: str | None = getattr(roster, "GUARD", None)
"""None while there is no guard."""
START_S = 30.0
POLL_S = 0.002
CAPITAL_E6 = 2_000_000_000

T = TypeVar("T")


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What is on the bench. `line`: the engine's way to the venue; None is none in between."""

    markets: int = 1
    tier: str = "standard"
    line: LineConditions | None = None
    mandate_life_s: float = 10.0
    changes_per_s: int = 0
    """How often the first market's book moves."""
    flow: Flow | None = None
    """Of every market, with moves of the touch."""
    series: tuple[str, ...] = ()
    """Whose coins have prices."""
    reconcile_s: float | None = None
    switches_per_day: int = 1
    silence_s: float | None = None
    strategy: str | None = None
    has_order_log: bool = False
    renew_s: float = 0.1


class Rig:
    """One bench; an asynchronous context."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.clock = SystemClock()
        self.markets: list[Market] = []
        self.is_renewing = True
        self.expires_ns = 0
        self.fired: list[DeadmanFired] = []
        self.engine_beat: Beat | None = None
        self._beat_heard = asyncio.Event()
        self.quoters: dict[str, Quoter] = {}
        self.proxy: ChaosProxy | None = None
        self._children: dict[str, Part] = {}
        self._owners: dict[str, tuple[str, int]] = {}
        self._epoch = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self._bus: Bus | None = None

    async def __aenter__(self) -> "Rig":
        self._folder = Path(tempfile.mkdtemp(prefix="claw-bench-"))
        self.order_log = self._folder / "orders.log"
        self.lifeline, self._lifeline_end = os.pipe()
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        for quoter in self.quoters.values():
            await quoter.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for child in self._children.values():
            await self._end(child)
        if self.proxy is not None:
            await self.proxy.close()
        if self._session is not None:
            await self._session.close()
        if self._bus is not None:
            self._bus.close()
        os.close(self.lifeline)
        os.close(self._lifeline_end)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _start(self) -> None:
        configuration = self._configuration()
        sockets, run_dir = self._folder / "s", self._folder / "state/runs/1"
        sockets.mkdir()
        (run_dir / "logs").mkdir(parents=True)
        place = RunPlace(str(self._folder / "config.toml"), str(run_dir), str(sockets))
        self._place_file = run_dir / "place.json"
        self._place_file.write_bytes(msgspec.json.encode(place))
        self._wiring = Wiring(place, configuration)
        self.port = sockets / "engine.port"
        self.socket_dir, self.run_dir, self._log_dir = sockets, run_dir, run_dir / "logs"
        self.configuration = configuration
        self.ca_file = str(run_dir / SANDBOX / CA_FILE)
        self._control = f"http://127.0.0.1:{configuration.sandbox.control_port}"
        self._session = aiohttp.ClientSession()
        self._bus = bus = self._wiring.bus(SUPERVISOR)
        self._allocations = bus.latest("allocation", Allocation)
        tasks = (self._renew(), self._hear_beats(bus), self._hear_deadman(bus))
        self._tasks += [asyncio.create_task(task) for task in tasks]
        await self.start_child(SANDBOX)
        engine = self._wiring
        if self.setting.line is not None:
            self.proxy = ChaosProxy(configuration.sandbox.port, random.Random(1))
            await self.proxy.start()
            behind = msgspec.structs.replace(configuration.sandbox, port=self.proxy.port)
            engine = Wiring(place, msgspec.structs.replace(configuration, sandbox=behind))
        self._engine_wiring = engine
        await self.start_services()
        if self.proxy is not None and self.setting.line is not None:
            self.proxy.conditions = self.setting.line

    async def start_services(self) -> None:
        """Start sentinels, guard and engine, those that do not run; wait until they are ready."""
        names = [*SENTINELS, *([GUARD] if GUARD is not None else []), ENGINE]
        for name in names:
            if self._children.get(name) is None or self._children[name].pid is None:
                await self.start_child(name, is_awaited=False)
        for name in names:
            await self._until_ready(self._children[name])

    # --- processes ------------------------------------------------------------------------------

    async def start_child(self, name: str, is_awaited: bool = True) -> None:
        """Start one process of the swarm, or start it anew."""
        child = self._children.get(name)
        if child is None:
            wiring = self._engine_wiring if name == ENGINE else self._wiring
            command = wiring.command(name, self._place_file)
            child = Part(name, command, self.socket_dir, self._log_dir)
            self._children[name] = child
        await child.spawn(self.lifeline)
        if is_awaited:
            await self._until_ready(child)

    async def add_quoter(self, name: str, *markets: int) -> "Quoter":
        """Start a scripted quoter (in place of one that has ended) and give it these markets, and only these."""
        quoter = Quoter(name, self.port, self._place_file)
        self.quoters[name] = quoter
        await quoter.start()
        self.grant(name, *markets)
        return quoter

    def grant(self, name: str, *markets: int) -> int:
        """Give a quoter these markets, and only these; their epoch."""
        self._epoch += 1
        for market, (owner, _) in list(self._owners.items()):
            if owner == name:
                del self._owners[market]
        for index in markets:
            self._owners[self.markets[index].condition_id] = (name, self._epoch)
        self.allocate()
        return self._epoch

    def assign(self, markets_of: Mapping[str, Iterable[int]]) -> None:
        """Give these quoters, whoever they are, these markets."""
        self._epoch += 1
        for name, indices in markets_of.items():
            for index in indices:
                self._owners[self.markets[index].condition_id] = (name, self._epoch)
        self.allocate()

    @property
    def bus(self) -> Bus:
        """The swarm's bus."""
        assert self._bus is not None
        return self._bus

    def pid(self, name: str) -> int:
        """Process id of a running child."""
        pid = self._children[name].pid
        if pid is None:
            raise NotMeasured(f"{name} has ended by itself: {self._last_words(name)}")
        return pid

    async def ended(self, name: str) -> None:
        """Wait until a process that was killed is gone."""
        await self._children[name].wait()

    def epoch(self, market: int) -> int:
        """Epoch of a market's mandate."""
        return self._owners[self.markets[market].condition_id][1]

    async def _until_ready(self, child: "Part") -> None:
        ready, ended = asyncio.ensure_future(child.ready.wait()), asyncio.ensure_future(child.wait())
        await asyncio.wait((ready, ended), timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not ready.done():
            ready.cancel()
            raise NotMeasured(f"{child.name} did not start: {self._last_words(child.name)}")

    def _last_words(self, name: str) -> str:
        child = self._children[name]
        lines = child.log_path.read_text(errors="replace").splitlines()
        return child.status or (lines[-1] if lines else "it said nothing")

    async def _end(self, child: "Part") -> None:
        if (pid := child.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            await child.wait()
        child.close()

    # --- configuration --------------------------------------------------------------------------

    def _configuration(self) -> Configuration:
        """The sandbox's configuration with ports, markets and limits of this bench, written for its children."""
        setting = self.setting
        data = self._folder / "data"
        for number in range(setting.markets):
            is_moving = setting.flow is not None
            flow = setting.flow or Flow(per_s=setting.changes_per_s if number == 0 else 0)
            record(data / f"bench-{number:02}.claw", flow, number if is_moving else None)
        table: dict[str, Any] = msgspec.to_builtins(load_configuration(CONFIGURATION))
        port, control_port = free_ports(2)
        table["state_dir"] = str(self._folder / "state")
        table["sandbox"] |= {
            "data": str(data), "port": port, "control_port": control_port, "takers": False,
            "default_tier": setting.tier,
        }  # fmt: skip
        if setting.has_order_log:
            table["sandbox"]["order_log"] = str(self.order_log)
        table["sandbox"] |= {"series": list(setting.series), "price_gaps": False}
        if setting.strategy is not None:
            table["quoter"]["strategy"] = setting.strategy
        if setting.silence_s is not None:
            table["engine"]["silence_s"] = setting.silence_s
        table["engine"]["limits"]["tier"] = setting.tier
        table["engine"]["switches_per_day"] = setting.switches_per_day
        if setting.reconcile_s is not None:
            table["engine"]["reconcile_s"] = setting.reconcile_s
        path = self._folder / "config.toml"
        path.write_text("\n".join(_toml(table)))
        configuration = load_configuration(path)
        listed = [playback.market for playback in load_playbacks(configuration.sandbox)]
        self.markets = [
            Market(
                condition_id=market.condition_id,
                slug=market.slug,
                underlying=market.underlying,
                yes_token=market.yes_token,
                no_token=market.no_token,
                tick_e4=market.tick_e4,
                min_size_e6=market.min_size_e6,
                neg_risk=market.neg_risk,
                is_open=True,
                closes_ms=None,
            )
            for market in sorted(listed, key=lambda market: market.slug)
        ]
        return configuration

    # --- the bus --------------------------------------------------------------------------------

    def allocate(self) -> None:
        """Publish the mandate table now."""
        life_ns, now = ns(self.setting.mandate_life_s), self.clock.now_ns()
        by_id = {market.condition_id: market for market in self.markets}
        mandates = tuple(
            Mandate(
                market=by_id[market],
                quoter=owner,
                epoch=epoch,
                capital_e6=CAPITAL_E6,
                max_position_e6=CAPITAL_E6,
                order_size_e6=MIN_SIZE_E6,
            )
            for market, (owner, epoch) in self._owners.items()
        )
        self._allocations.publish(Allocation(term=1, sent_ns=now, life_ns=life_ns, mandates=mandates))
        self.expires_ns = now + life_ns

    async def _renew(self) -> None:
        while True:
            if self.is_renewing:
                self.allocate()
            await asyncio.sleep(self.setting.renew_s)

    async def _hear_beats(self, bus: Bus) -> None:
        changed = asyncio.Event()
        beats = bus.latest(f"beat/{ENGINE}", Beat)
        beats.listen(changed)
        while True:
            await changed.wait()
            changed.clear()
            for beat in beats.take():
                self.engine_beat = beat
            self._beat_heard.set()

    async def _hear_deadman(self, bus: Bus) -> None:
        async for fired in bus.ordered("deadman", DeadmanFired).messages():
            self.fired.append(fired)

    async def fired_after(self, since_ns: int, victim: str, within_s: float = 1.0) -> DeadmanFired | None:
        """What the engine says of a withdrawal that began after a time; None when it says nothing."""
        end_ns = self.clock.now_ns() + ns(within_s)
        while self.clock.now_ns() < end_ns:
            for fired in self.fired:
                if fired.fired_ns > since_ns and fired.victim in (victim, "all"):
                    return fired
            await asyncio.sleep(POLL_S)
        return None

    async def beat_after(self, since_ns: int) -> Beat:
        """The engine's next word about itself."""
        try:
            async with asyncio.timeout(START_S):
                while (beat := self.engine_beat) is None or beat.sent_ns <= since_ns:
                    self._beat_heard.clear()
                    await self._beat_heard.wait()
        except TimeoutError:
            raise NotMeasured(f"the engine was silent for {START_S:g} s") from None
        return beat

    # --- the venue's own truth ------------------------------------------------------------------

    async def truth(self, path: str) -> Any:
        """What the control port says."""
        assert self._session is not None
        try:
            async with self._session.get(self._control + path) as answer:
                return msgspec.json.decode(await answer.read())
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise NotMeasured(f"the sandbox does not answer: {fault!r}") from fault

    async def steer(self, path: str, body: dict[str, object]) -> None:
        """Ask the control port for a fault."""
        assert self._session is not None
        async with self._session.post(self._control + path, json=body) as answer:
            if answer.status != 200:
                raise NotMeasured(f"the control port refuses {path}: {await answer.text()}")

    async def open_orders(self) -> dict[str, str]:
        """Every open order: its id and its market."""
        return {order["id"]: order["market"] for order in await self.truth("/open-orders")}

    async def until_open(self, wanted: Callable[[dict[str, str]], bool], within_s: float) -> bool:
        """Ask until the open orders are as wanted; False when they are not in time."""
        end_ns = self.clock.now_ns() + ns(within_s)
        while not wanted(await self.open_orders()):
            if self.clock.now_ns() > end_ns:
                return False
            await asyncio.sleep(POLL_S)
        return True


class Part:
    """One process of the swarm, spawned as its supervisor does: own session, lifeline, sd_notify."""

    def __init__(self, name: str, command: list[str], socket_dir: Path, log_dir: Path) -> None:
        self.name, self.log_path = name, log_dir / f"{name}.log"
        self.status: str | None = None
        self.ready = asyncio.Event()
        self._command, self._address = command, socket_dir / f"{name}.notify"
        self._process: asyncio.subprocess.Process | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self._address))
        asyncio.get_running_loop().add_reader(self._socket, self._notified)

    @property
    def pid(self) -> int | None:
        """Its process id while it lives."""
        if self._process is None or self._process.returncode is not None:
            return None
        return self._process.pid

    async def spawn(self, lifeline: int) -> None:
        """Start it, or start it anew."""
        self.ready.clear()
        self.status = None
        environment = {"NOTIFY_SOCKET": str(self._address), LIFELINE_VARIABLE: str(lifeline)}
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=os.environ | environment,
                pass_fds=(lifeline,),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def wait(self) -> None:
        """Until it has ended."""
        if self._process is not None:
            await self._process.wait()

    def close(self) -> None:
        """Give up its notify socket."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _notified(self) -> None:
        with suppress(BlockingIOError):
            while True:
                for line in self._socket.recv(4096).decode(errors="replace").splitlines():
                    key, _, value = line.partition("=")
                    if key == "READY":
                        self.ready.set()
                    elif key == "STATUS":
                        self.status = value


class Quoter:
    """A scripted quoter in a process of its own; orders go in and answers come out as lines of JSON."""

    def __init__(self, name: str, port: Path, place_file: Path) -> None:
        self.name = name
        self._arguments = (name, str(port), str(place_file))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def start(self) -> None:
        """Start it; it connects to the engine by itself."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.quoter_child", *self._arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 26,
        )  # fmt: skip

    def tell(self, order: Order) -> None:
        """Order something."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")

    async def answer(self, kind: type[T], within_s: float = START_S) -> T:
        """The next answer."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(within_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise NotMeasured(f"{self.name} did not finish within {within_s:g} s") from None
        if not line:
            raise NotMeasured(f"{self.name} ended by itself")
        answer = msgspec.json.decode(line, type=kind | Refused)
        if isinstance(answer, Refused):
            raise NotMeasured(answer.reason)
        return answer

    async def ask(self, order: Order, kind: type[T], within_s: float = START_S) -> T:
        """Order something and wait for the answer."""
        self.tell(order)
        return await self.answer(kind, within_s)

    async def close(self) -> None:
        """End it, whatever it does."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


def _toml(table: dict[str, Any], name: str = "") -> list[str]:
    """A table of settings as TOML; None is left out."""
    lines = [f"[{name}]"] if name else []
    plain = {key: value for key, value in table.items() if value is not None and not isinstance(value, dict)}
    lines += [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += _toml(value, f"{name}.{key}" if name else key)
    return lines


def cpu_and_memory(pid: int) -> tuple[float, int]:
    """CPU seconds so far and resident KiB of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return ticks / os.sysconf("SC_CLK_TCK"), int(resident.split()[1])
