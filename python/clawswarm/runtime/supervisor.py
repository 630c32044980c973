"""The supervisor: starts every process, restarts the fallen, ends the run in order.

Order of ending: the engine first (it stops quoting, cancels everything and asks the venue until that is
confirmed), then the agents, then the sandbox. When a process falls more often than its budget allows, or only
the user can mend it, the run ends the same way with one sentence and a non-zero exit code.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog

from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S, Clock, ns
from clawswarm.model.errors import ClawFault
from clawswarm.model.messages import HaltSwarm, ResumeSwarm
from clawswarm.model.messages import SwarmState as Trading
from clawswarm.runtime.children import Child, ChildPlace, ChildState
from clawswarm.runtime.configuration import Configuration
from clawswarm.runtime.control import AgentStatus, ControlServer, SwarmStatus
from clawswarm.runtime.observer import Observer
from clawswarm.runtime.passphrase import Passphrase
from clawswarm.runtime.report import Failover
from clawswarm.runtime.roster import (
    AGENTS,
    BUS_PEERS,
    ENGINE,
    GUARD,
    SANDBOX,
    SERVICES,
    SUPERVISOR,
    RunPlace,
    kind_of,
)
from clawswarm.runtime.state_dir import StateDir
from clawswarm.runtime.wiring import Wiring

TICK_S = 0.05
RESTART_PAUSE_S = 0.2
ENGINE_STOP_S = 20.0
GUARD_STOP_S = 10.0
STOP_S = 5.0
# How long `claw halt` and `claw resume` wait for the swarm's own word.
CONTROL_S = 20.0
log = structlog.get_logger()


class SwarmState(StrEnum):
    """State of the whole swarm."""

    STARTING = "starting"
    RUNNING = "running"
    HALTED = "halted"
    STOPPING = "stopping"


class Supervisor:
    """One run of the swarm."""

    def __init__(
        self,
        configuration: Configuration,
        config_path: Path,
        state: StateDir,
        clock: Clock,
        passphrase: Passphrase | None,
    ) -> None:
        self._passphrase = passphrase
        self.configuration, self._state_dir, self._clock = configuration, state, clock
        self.run_dir = state.new_run()
        kept = self.run_dir / "config.toml"
        kept.write_bytes(config_path.read_bytes())
        place = RunPlace(str(kept.resolve()), str(self.run_dir.resolve()), str(state.socket_dir))
        place_file = self.run_dir / "place.json"
        place_file.write_bytes(msgspec.json.encode(place))
        wiring = Wiring(place, configuration)
        self._commands = {name: wiring.command(name, place_file) for name in (SANDBOX, GUARD, *BUS_PEERS[1:])}
        self._lifeline, self._lifeline_end = os.pipe()
        self._bus = wiring.bus(SUPERVISOR)
        self._halts = self._bus.latest("halt", HaltSwarm)
        self._wishes = self._bus.latest("operator", ResumeSwarm)
        self.observer = Observer(self._bus)
        self.children: dict[str, Child] = {}
        self.state = SwarmState.STARTING
        self.failovers: list[Failover] = []
        self.failure: str | None = None
        self.started_ns = clock.now_ns()
        self.first_order_s: float | None = None
        self.is_confirmed_empty = False
        self._stop = asyncio.Event()
        self._watching: list[asyncio.Task[None]] = []
        self._resuming: list[asyncio.Task[None]] = []

    @property
    def has_started(self) -> bool:
        """Whether the venue was ready and agents were started."""
        return any(name in self.children and self.children[name].starts_ns for name in AGENTS)

    def request_stop(self, failure: str | None = None) -> None:
        """Ask for an orderly end, because of a failure or because somebody wishes it."""
        self.failure = self.failure or failure
        self._stop.set()

    async def run(self, for_s: float | None, on_tick: Callable[[], None]) -> None:
        """Run until asked to stop, until `for_s` after every agent was ready, or until something gives up.

        `failure` is then None or the sentence that says why the run failed.
        """
        self.observer.start()
        control = ControlServer(self._state_dir.socket_dir / "control.sock", self._control)
        await control.start()
        self._state_dir.announce(control.path)
        try:
            await self._start_children(on_tick)
            await self._watch(for_s, on_tick)
        finally:
            self.state = SwarmState.STOPPING
            await self._stop_children()
            await control.close()

    # --- starting -------------------------------------------------------------------------------

    async def _start_children(self, on_tick: Callable[[], None]) -> None:
        place = ChildPlace(self._state_dir.socket_dir, self.run_dir / "logs")
        for name, command in self._commands.items():
            passphrase = self._passphrase if name == ENGINE else None
            self.children[name] = Child(name, command, place, self._clock, passphrase)
        sandbox = self.children[SANDBOX]
        await sandbox.spawn(self._lifeline)
        self._watching.append(asyncio.create_task(self._keep(sandbox)))
        if not await self._is_ready(sandbox, on_tick):
            return
        for name in (GUARD, ENGINE, *AGENTS):
            child = self.children[name]
            await child.spawn(self._lifeline)
            self._watching.append(asyncio.create_task(self._keep(child)))

    async def _is_ready(self, child: Child, on_tick: Callable[[], None]) -> bool:
        """Wait until a child is ready; False when the run was stopped first or the child takes too long."""
        timeout_s = self.configuration.supervision.start_timeout_s
        ends_ns = self._clock.now_ns() + ns(timeout_s)
        while not child.ready.is_set() and not self._stop.is_set():
            if self._clock.now_ns() >= ends_ns:
                self.request_stop(
                    f"{child.name} did not start within {timeout_s:g} s; its log is {child.log_path}"
                )
            on_tick()
            await first_of(child.ready.wait(), self._stop.wait(), timeout_s=TICK_S)
        return child.ready.is_set()

    # --- watching -------------------------------------------------------------------------------

    async def _keep(self, child: Child) -> None:
        """Restart one child as often as its budget allows."""
        settings = self.configuration.supervision
        while True:
            code = await child.wait()
            ended_ns = self._clock.now_ns()
            if self._stop.is_set():
                child.state = ChildState.STOPPED
                return
            child.state = ChildState.RESTARTING
            log.warning("child.ended", name=child.name, code=code)
            recent = [t for t in child.starts_ns if ended_ns - t < ns(settings.restart_window_s)]
            if child.is_bad_input(code) or child.name == SANDBOX:
                self.request_stop(child.explain(code))
                return
            if len(recent) > settings.restarts:
                window = f"{settings.restart_window_s:g} s"
                self.request_stop(
                    f"{child.explain(code)} (ended {len(recent)} times within {window}, given up)"
                )
                return
            await asyncio.sleep(RESTART_PAUSE_S)
            if self._stop.is_set():
                child.state = ChildState.STOPPED
                return
            child.restarts += 1
            cause = f"{child.name}: {child.cause(code)}"
            await child.spawn(self._lifeline)
            self._resuming.append(asyncio.create_task(self._note_resumed(child, cause, ended_ns)))

    async def _note_resumed(self, child: Child, cause: str, ended_ns: int) -> None:
        place = len(self.failovers)
        self.failovers.append(Failover(cause, None))
        await child.ready.wait()
        resumed_ms = (self._clock.now_ns() - ended_ns) / NS_PER_MS
        self.failovers[place] = Failover(cause, round(resumed_ms, 1))

    async def _watch(self, for_s: float | None, on_tick: Callable[[], None]) -> None:
        deadline_ns: int | None = None
        while not self._stop.is_set():
            await self._pause(TICK_S)
            now = self._clock.now_ns()
            self._drain()
            self._kill_hung(now)
            running = all(self.children[name].state is ChildState.RUNNING for name in (*SERVICES, *AGENTS))
            if running and self.state is SwarmState.STARTING:
                self.state = SwarmState.RUNNING
                deadline_ns = None if for_s is None else now + ns(for_s)
            if self.first_order_s is None and (self.observer.total("engine", "placed") or 0) > 0:
                self.first_order_s = (now - self.started_ns) / NS_PER_S
            if self.state in (SwarmState.RUNNING, SwarmState.HALTED):
                self.state = SwarmState.HALTED if self._is_halted() else SwarmState.RUNNING
            if deadline_ns is not None and now >= deadline_ns:
                self._stop.set()
            if self._markets_are_over():
                log.info("swarm.markets_over")
                self._stop.set()
            on_tick()

    def _markets_are_over(self) -> bool:
        allocation = self.observer.allocation
        return bool(self.observer.markets_seen) and allocation is not None and not allocation.mandates

    def _kill_hung(self, now: int) -> None:
        settings = self.configuration.supervision
        for child in self.children.values():
            if child.pid is None or child.state not in (ChildState.STARTING, ChildState.RUNNING):
                continue
            is_starting = child.state is ChildState.STARTING
            limit_s = settings.start_timeout_s if is_starting else settings.watchdog_s
            if child.silence.look(now) > ns(limit_s):
                log.warning("child.hung", name=child.name, silent_s=limit_s)
                child.kill_hung(limit_s)

    def _is_halted(self) -> bool:
        engine = self.observer.newest_beat.get(ENGINE)
        return engine is not None and engine.state == "halted"

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    # --- control --------------------------------------------------------------------------------

    async def _control(self, command: str) -> SwarmStatus:
        """Carry out one command of `claw status|halt|resume`; returns when the swarm has done it.

        A halt goes to the engine, which cancels at once, and to the orchestrator, which keeps it; only that one
        lifts it. What happens after CONTROL_S is in the status.
        """
        sent_ns = self._clock.now_ns()
        if command == "halt":
            halt = HaltSwarm(cause="operator", origin=SUPERVISOR, sent_ns=sent_ns)
            await self._until(lambda: self._has_halted(sent_ns), lambda: self._halts.publish(halt))
        elif command == "resume":
            wish = ResumeSwarm(origin="operator", sent_ns=sent_ns)
            await self._until(lambda: self._has_resumed(sent_ns), lambda: self._wishes.publish(wish))
        return self.status()

    async def _until(self, is_done: Callable[[], bool], say: Callable[[], None]) -> None:
        end_ns = self._clock.now_ns() + ns(CONTROL_S)
        while not self._stop.is_set() and not is_done() and self._clock.now_ns() < end_ns:
            say()
            await self._pause(TICK_S * 2)

    def _has_halted(self, since_ns: int) -> bool:
        engine, trading = self.observer.newest_beat.get(ENGINE), self.observer.allocation
        is_kept = trading is not None and trading.state is Trading.HALTED and trading.sent_ns > since_ns
        is_empty = engine is not None and engine.counters.get("open") == 0.0 and engine.sent_ns > since_ns
        return is_kept and is_empty and self._is_halted()

    def _has_resumed(self, since_ns: int) -> bool:
        engine, trading = self.observer.newest_beat.get(ENGINE), self.observer.allocation
        is_lifted = trading is not None and trading.state is not Trading.HALTED and trading.sent_ns > since_ns
        return is_lifted and engine is not None and engine.sent_ns > since_ns and not self._is_halted()

    def status(self) -> SwarmStatus:
        """State of the swarm, of its route, of each agent and of the services beside them."""
        children = self.children
        engine, allocation = self.observer.newest_beat.get(ENGINE), self.observer.allocation
        return SwarmStatus(
            state=self.state.value,
            trading=None if allocation is None else allocation.state.value,
            causes=() if allocation is None else allocation.causes,
            budget=None if engine is None else engine.budget,
            route=None if engine is None else engine.route,
            agents=tuple(self._status_of(children[name]) for name in AGENTS if name in children),
            services=tuple(self._status_of(children[name]) for name in SERVICES if name in children),
        )

    def _status_of(self, child: Child) -> AgentStatus:
        beat = self.observer.newest_beat.get(child.name)
        is_working = child.state is ChildState.RUNNING and beat is not None and beat.pid == child.pid
        age_s = child.age_s(self._clock.now_ns())
        return AgentStatus(
            name=child.name,
            kind=kind_of(child.name),
            pid=child.pid,
            state=beat.state if is_working and beat is not None else child.state.value,
            age_s=None if age_s is None else round(age_s, 1),
            restarts=child.restarts,
        )

    # --- ending ---------------------------------------------------------------------------------

    async def _stop_children(self) -> None:
        self._stop.set()
        for task in self._resuming:
            task.cancel()
        engine = self.children.get(ENGINE)
        sandbox = self.children.get(SANDBOX)
        if engine is not None and sandbox is not None and sandbox.pid is not None and engine.starts_ns:
            await self._stop_engine(engine)
            # After an engine that did not end in order it has work to do.
            await self._end([self.children[GUARD]], GUARD_STOP_S)
        others = [child for child in self.children.values() if child.name != SANDBOX]
        await self._end(others, STOP_S)
        if sandbox is not None:
            await self._end([sandbox], STOP_S)
        await asyncio.gather(*self._watching, *self._resuming, return_exceptions=True)
        self._drain()
        await self.observer.stop()
        self._bus.close()
        for child in self.children.values():
            child.close()
        os.close(self._lifeline)
        os.close(self._lifeline_end)

    async def _stop_engine(self, engine: Child) -> None:
        if engine.pid is None:
            # A fallen engine is started once more: its recovery withdraws everything, then it is asked to end.
            await engine.spawn(self._lifeline)
        if engine.state is ChildState.STARTING:
            timeout_s = self.configuration.supervision.start_timeout_s
            await first_of(engine.wait(), engine.ready.wait(), timeout_s=timeout_s)
        engine.terminate()
        waiting = asyncio.ensure_future(engine.wait())
        ends_ns = self._clock.now_ns() + ns(ENGINE_STOP_S)
        while not waiting.done() and self._clock.now_ns() < ends_ns:
            await asyncio.wait((waiting,), timeout=TICK_S)
            self._drain()
        if not waiting.done():
            engine.kill()
        code = await waiting
        engine.state = ChildState.STOPPED
        self.is_confirmed_empty = code == 0
        if code != 0:
            self.request_stop(
                f"{engine.explain(code)}; the venue did not confirm that every order is gone: "
                "its heartbeat cancels them within 15 s, check before starting again"
            )

    async def _end(self, children: list[Child], timeout_s: float) -> None:
        alive = [child for child in children if child.pid is not None]
        for child in alive:
            child.terminate()
        if alive:
            waits = [asyncio.ensure_future(child.wait()) for child in alive]
            await asyncio.wait(waits, timeout=timeout_s)
            for child in alive:
                child.kill()
            await asyncio.gather(*waits)

    def _drain(self) -> None:
        try:
            self.observer.drain()
        except ClawFault as fault:
            self.request_stop(f"fills could not be read: {fault}")


async def first_of(*events: Coroutine[None, None, object], timeout_s: float) -> bool:
    """Wait for the first of several; False when the time runs out before any."""
    tasks = [asyncio.ensure_future(event) for event in events]
    done, pending = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return bool(done)
