"""An asyncio event loop whose clock is virtual: where nothing is left to do it jumps to the next timer.

Coroutines, tasks, timers and streams of asyncio work on it unchanged. It opens no socket, starts no thread and
never sleeps: connections go to a `Network` (network.py), the only way to the outside.
"""

import asyncio
import heapq
from asyncio.events import Handle, TimerHandle
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, NoReturn, TypeVarTuple, Unpack

if TYPE_CHECKING:
    from clawswarm.lab.simulation.network import Network

Ts = TypeVarTuple("Ts")

NS_PER_S = 1_000_000_000
BEGAN_NS = 1_800_000_000 * NS_PER_S
"""Unix time at which every simulation begins: a boundary of all windows of up to fifteen minutes."""


class VirtualClock:
    """The clock of everybody in a simulation: boottime and wall clock are the same."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def now_ns(self) -> int:
        """Virtual unix time in ns."""
        return BEGAN_NS + self._loop.elapsed_ns

    def wall_ms(self) -> int:
        """The same in ms."""
        return (BEGAN_NS + self._loop.elapsed_ns) // 1_000_000


class VirtualLoop(asyncio.BaseEventLoop):
    """The one scheduler. `elapsed_ns` is how much virtual time has passed; equal times keep their order."""

    _ready: deque[Handle]
    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_ns = 0
        self.network: Network | None = None
        self._timers: list[tuple[int, int, TimerHandle]] = []
        self._serial = 0

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self.elapsed_ns / NS_PER_S

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        """Run a callback at a time."""
        handle = TimerHandle(when, callback, args, self, context)
        self._serial += 1
        heapq.heappush(self._timers, (round(when * NS_PER_S), self._serial, handle))
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        """Run a callback so many seconds from now."""
        return self.call_at(self.elapsed_ns / NS_PER_S + delay, callback, *args, context=context)

    async def create_unix_connection(
        self, protocol_factory: Callable[[], Any], path: str | None = None, **_options: object
    ) -> tuple[asyncio.Transport, Any]:
        """Connect to what listens at a path of the network. Raises ConnectionRefusedError."""
        if self.network is None or path is None:
            raise ConnectionRefusedError("this loop has no network")
        return await self.network.connect(protocol_factory, path)

    def run_in_executor(self, *_: object, **__: object) -> NoReturn:
        """Refused: a thread would not be repeatable."""
        raise RuntimeError("virtual time knows no threads")

    def _run_once(self) -> None:
        """Everything that is ready, else the clock jumps to the next timer."""
        ready, timers = self._ready, self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not ready and not self._stopping:
            if not timers:
                raise RuntimeError("nothing can ever happen any more: every task waits for another")
            self.elapsed_ns = max(self.elapsed_ns, timers[0][0])
        while timers and timers[0][0] <= self.elapsed_ns:
            handle = heapq.heappop(timers)[2]
            if not handle.cancelled():
                ready.append(handle)
        for _ in range(len(ready)):
            due = ready.popleft()
            if not due.cancelled():
                due._run()

    def _timer_handle_cancelled(self, _handle: TimerHandle) -> None:
        """It is left out when its time comes."""

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody needs waking."""
