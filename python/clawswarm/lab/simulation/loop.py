"""An asyncio event loop whose clock is virtual: where nothing is left to do it jumps to the next timer.

Coroutines, tasks, timers and streams of asyncio work on it unchanged. It opens no socket, starts no thread and
never sleeps: connections go to a `Network` (network.py), the only way to the outside. What is called when is the
agenda's affair (rust/python/src/agenda.rs).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self

from clawswarm._core import Agenda

if TYPE_CHECKING:
    from clawswarm.lab.simulation.network import Network

NS_PER_S = 1_000_000_000
BEGAN_NS = 1_800_000_000 * NS_PER_S
"""Unix time at which every simulation begins: a boundary of all windows of up to fifteen minutes."""


class VirtualLoop(Agenda, asyncio.BaseEventLoop):
    """The one scheduler, and the clock of everybody in a simulation: boottime and wall clock are the same."""

    def __new__(cls) -> Self:
        """Time begins."""
        return super().__new__(cls, BEGAN_NS)

    def __init__(self) -> None:
        super().__init__()
        self.network: Network | None = None
        # Asked for at every wait: asyncio's own is a frame of Python around the same.
        self.create_future = partial(asyncio.Future, loop=self)  # type: ignore[method-assign]

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

    def stop(self) -> None:
        """End after the present callback."""
        super().stop()
        self.end_turn()

    # Where there is one thread, whoever asks is on it.
    call_soon_threadsafe = Agenda.call_soon
    _run_once = Agenda.turn
