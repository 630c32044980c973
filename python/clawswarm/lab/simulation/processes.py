"""The processes of a simulation: what a supervisor does with operating-system processes, with tasks.

Each runs in a context of its own that says in whose name its tasks, connections and subscriptions are. Killing one
resets its connections, silences it on the bus and cancels its tasks; what it knew is lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, cast

import structlog

from clawswarm.kernel.process import Process
from clawswarm.lab.simulation.bus import Medium, VirtualBus
from clawswarm.lab.simulation.loop import VirtualLoop
from clawswarm.lab.simulation.network import NOBODY, OWNER, Network, context_of
from clawswarm.model.errors import ClawFault

Main = Callable[[Process, VirtualBus], Awaitable[None]]
Crashed = Callable[[str, BaseException], None]

RESTART_S = 0.5
# Half as often as in a real run: whoever must speak within 0.5 s still does, and a day takes two thirds as long.
TICK_S = 0.2
log = structlog.get_logger()


class Processes:
    """All of them. `crashed` hears of each that ended by a failure."""

    def __init__(self, loop: VirtualLoop, network: Network, medium: Medium, crashed: Crashed) -> None:
        self._loop, self._network, self._medium = loop, network, medium
        self._crashed = crashed
        self._mains: dict[str, Main] = {}
        self._tasks: dict[str, dict[asyncio.Task[Any], None]] = {}
        self._lives = 0
        self.processes: dict[str, Process] = {}
        loop.set_task_factory(cast(Any, self._make_task))

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any],
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        """A task, remembered by its owner: who is killed loses all of them."""
        task = asyncio.Task(coroutine, loop=loop, context=context)
        owner = OWNER.get() if context is None else context.get(OWNER, NOBODY)
        if owner != NOBODY:
            tasks = self._tasks.setdefault(owner, {})
            tasks[task] = None
            task.add_done_callback(lambda done: tasks.pop(done, None))
        return task

    def start(self, name: str, main: Main) -> None:
        """Start a process, and start it anew whenever it ends."""
        self._mains[name] = main
        self._spawn(name)

    def kill(self, name: str, down_s: float) -> None:
        """End it at once; it comes back after so long."""
        self._end(name)
        self._loop.call_later(down_s, self._spawn, name)

    def end_all(self) -> None:
        """The simulation is over."""
        for name in list(self._mains):
            self._end(name)
        self._mains.clear()

    def _end(self, name: str) -> None:
        self.processes.pop(name, None)
        self._network.kill(name)
        self._medium.leave(name)
        for task in list(self._tasks.get(name, ())):
            task.cancel()

    def _spawn(self, name: str) -> None:
        if name not in self._mains or name in self.processes:
            return
        self._lives += 1
        process = Process(name, self._loop, TICK_S)
        process.pid = self._lives
        self.processes[name] = process
        context = context_of(name)
        context.run(self._loop.create_task, self._live(name, process))

    async def _live(self, name: str, process: Process) -> None:
        bus = VirtualBus(self._medium, name)
        try:
            await self._mains[name](process, bus)
        except asyncio.CancelledError:
            raise
        except ClawFault as fault:
            log.warning("simulation.process.failed", name=name, reason=str(fault))
            self._crashed(name, fault)
        except Exception as fault:  # noqa: BLE001 - the supervisor's place: whatever it was, it is reported
            self._crashed(name, fault)
        if self.processes.get(name) is process and not process.is_stopping:
            # Not from inside: that would cancel the task that does it.
            self._loop.call_soon(self.kill, name, RESTART_S, context=Context())
