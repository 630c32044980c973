"""The guard's process on virtual time: the state machine of `claw-guard` between its engines and the venue.

What `rust/engine/src/guard.rs` does with sockets: engines say hello (the number of their life), tick and leave on
the guard's port; echoes, the end of an engine, cancel-all and listings go out until nothing is open.
"""

import asyncio
import struct
from collections.abc import Callable

from clawswarm._core import Guard
from clawswarm.kernel.clock import ns
from clawswarm.kernel.process import Process
from clawswarm.lab import engine_machine as machine
from clawswarm.lab.simulation.network import LOCAL, Network
from clawswarm.lab.simulation.order_line import OrderLine

PORT = "guard.port"
# Half as often as in a real run, as every loop here; an engine is silent after 0.3 s.
LOOK_S = 0.1
HELLO = struct.Struct("<Q")
TICK, LEAVING = b"t", b"l"
_WORDS = {TICK[0]: "tick", LEAVING[0]: "leaving"}


class GuardProcess:
    """One life of the guard. `kill` ends a life of the engine for certain; `reported` hears what was withdrawn."""

    def __init__(
        self,
        process: Process,
        network: Network,
        line: OrderLine,
        silence_s: float,
        kill: Callable[[int], None],
        reported: Callable[[str], None],
    ) -> None:
        self._process, self._clock, self._network, self._line = process, process.clock, network, line
        self._kill, self._reported = kill, reported
        self._guard = Guard(ns(silence_s))
        self._engines: dict[int, tuple[int, asyncio.WriteTransport]] = {}
        self._connections = self._asked = 0
        self._is_dead = self._is_cancelling = False

    async def run(self) -> None:
        """Guard until the simulation ends."""
        self._line.answered = self._take_answer
        self._network.listen(PORT, LOCAL, self._accept)
        self._process.ready()
        while True:
            await asyncio.sleep(LOOK_S)
            if self._network.is_held(self._process.name):
                # It hangs: what engines say meanwhile is read before anybody counts as silent.
                continue
            now_ns = self._clock.now_ns()
            if self._is_dead:
                self._is_dead = False
                self._carry_out(self._guard.dead(now_ns))
            self._carry_out(self._guard.look(now_ns))

    def _carry_out(self, actions: list[tuple[str, int, str]]) -> None:
        for kind, number, text in actions:
            match kind:
                case "arm" | "echo":
                    if (engine := self._engines.get(number)) is not None:
                        engine[1].write(TICK)
                case "kill":
                    self._is_dead = True
                    if (engine := self._engines.get(number)) is not None:
                        self._kill(engine[0])
                case "cancel all":
                    self._ask(machine.CancelAll())
                case "list":
                    self._ask(machine.ListOrders())
                case "report":
                    self._reported(text)

    def _ask(self, request: machine.Request) -> None:
        # One at a time is under way.
        self._is_cancelling = isinstance(request, machine.CancelAll)
        self._asked += 1
        self._line.send(self._asked, request)

    def _take_answer(self, _number: int, answer: machine.Answer) -> None:
        now_ns = self._clock.now_ns()
        if self._is_cancelling:
            count = len(answer.cancelled) if isinstance(answer, machine.Cancelled) else None
            self._carry_out(self._guard.cancelled(count, now_ns))
        else:
            count = len(answer.order_ids) if isinstance(answer, machine.Orders) else None
            self._carry_out(self._guard.listed(count, now_ns))

    def hear(self, word: str, connection: int) -> None:
        """An engine says something, or its connection is gone."""
        self._carry_out(self._guard.hear(word, connection, self._clock.now_ns()))

    def meet(self, connection: int, life: int, transport: asyncio.WriteTransport) -> None:
        """An engine says hello."""
        self._engines[connection] = life, transport
        self.hear("hello", connection)

    def part(self, connection: int) -> None:
        """A connection is gone."""
        self.hear("closed", connection)
        self._engines.pop(connection, None)

    def _accept(self) -> "_Engine":
        self._connections += 1
        return _Engine(self, self._connections)


class _Engine(asyncio.Protocol):
    """The guard's side of an engine's connection: a hello, then words of one letter."""

    _transport: asyncio.WriteTransport

    def __init__(self, guard: GuardProcess, connection: int) -> None:
        self._guard, self._connection = guard, connection
        self._hello: bytes | None = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._hello is not None:
            self._hello += data
            if len(self._hello) < HELLO.size:
                return
            (life,), data = HELLO.unpack_from(self._hello), self._hello[HELLO.size :]
            self._hello = None
            self._guard.meet(self._connection, life, self._transport)
        for word in data:
            self._guard.hear(_WORDS[word], self._connection)

    def connection_lost(self, _fault: Exception | None) -> None:
        self._guard.part(self._connection)
