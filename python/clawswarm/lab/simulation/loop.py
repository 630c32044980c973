"""An asyncio event loop whose clock is virtual: where nothing is left to do it jumps to the next timer.

Coroutines, tasks, timers and streams of asyncio work on it unchanged. It opens no socket, starts no thread and
never sleeps: connections go to a `Network` (network.py), the only way to the outside.
"""

import asyncio
from asyncio.events import Handle, TimerHandle
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, NoReturn, TypeVarTuple, Unpack

import msgspec

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


class Due(msgspec.Struct, eq=False):
    """A callback and its time: what asyncio's handles offer, made in C, for a day has a hundred million.

    `run` is the context's own, `call` the callback with its arguments.
    """

    run: Callable[..., object]
    call: tuple[Any, ...] | None
    at_s: float = 0.0

    def cancel(self) -> None:
        """It is left out when its time comes."""
        self.call = None

    def cancelled(self) -> bool:
        """Whether it is left out."""
        return self.call is None

    def when(self) -> float:
        """Its time."""
        return self.at_s


class VirtualLoop(asyncio.BaseEventLoop):
    """The one scheduler. `elapsed_ns` is how much virtual time has passed; equal times keep their order."""

    _ready: deque[Due]
    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_ns = 0
        self.network: Network | None = None
        self._timers: list[tuple[int, int, Due]] = []
        self._serial = 0

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self.elapsed_ns / NS_PER_S

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Handle:
        """Run a callback after everything that is ready already."""
        due = Due((copy_context() if context is None else context).run, (callback, *args))
        self._ready.append(due)
        return due  # type: ignore[return-value]  # a handle to whoever asks

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        """Run a callback at a time."""
        due = Due((copy_context() if context is None else context).run, (callback, *args), when)
        self._serial += 1
        heappush(self._timers, (round(when * NS_PER_S), self._serial, due))
        return due  # type: ignore[return-value]  # a handle to whoever asks

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        """Run a callback so many seconds from now."""
        return self.call_at(self.elapsed_ns / NS_PER_S + delay, callback, *args, context=context)

    def arrival(self, callback: Callable[[], object], context: Context) -> Due:
        """A callback that nobody will cancel and that `arrive_at` may run any number of times."""
        return Due(context.run, (callback,))

    def arrive_at(self, when: float, arrival: Due) -> None:
        """Run an arrival at a time."""
        self._serial += 1
        heappush(self._timers, (round(when * NS_PER_S), self._serial, arrival))

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
        """Everything that is ready, and whenever nothing is, the clock jumps to the next timer."""
        ready, timers = self._ready, self._timers
        while not self._stopping:
            if ready:
                due = ready.popleft()
                call = due.call
                if call is None:
                    continue
            elif timers:
                at_ns, _, due = heappop(timers)
                call = due.call
                if call is None:
                    continue
                if at_ns > self.elapsed_ns:
                    self.elapsed_ns = at_ns
            else:
                raise RuntimeError("nothing can ever happen any more: every task waits for another")
            try:
                due.run(*call)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as fault:  # noqa: BLE001 - the place where asyncio itself does so
                self.call_exception_handler({"message": "callback failed", "exception": fault})

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody needs waking."""
