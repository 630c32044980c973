"""Connections in memory on virtual time: streams of bytes with seeded latency, jitter, loss and cuts.

A stream is what TCP makes of a bad line: nothing is missing or out of order in it, a lost packet is a pause of one
retransmission, a partition holds everything back until it ends, and a cut resets the connection. What is written
at one moment is one packet. Messages on different connections overtake each other.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any

import msgspec

from clawswarm._core import Lane
from clawswarm.lab.simulation.loop import VirtualLoop

NOBODY = "venue"
OWNER: ContextVar[str] = ContextVar("owner", default=NOBODY)
"""The process in whose name the present task runs."""
RETRANSMITTED_S = 0.2


def context_of(owner: str) -> Context:
    """A context in which everything runs in the name of a process."""
    context = Context()
    context.run(OWNER.set, owner)
    return context


class LineTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What one way takes: `latency_s` plus up to `jitter_s`; `loss_share` of packets are sent twice."""

    latency_s: float
    jitter_s: float
    loss_share: float = 0.0


LOCAL = LineTerms(latency_s=0.000_05, jitter_s=0.000_1)
REMOTE = LineTerms(latency_s=0.006, jitter_s=0.018)
"""One way to the venue, 12 ms plus up to 18 ms there and back halves (market-science.md)."""


class Partitions:
    """Until when a process hears and says nothing: it hangs, or its host is cut off."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}

    def cut_off(self, name: str, until_s: float) -> None:
        """Hold back whatever goes to or from it."""
        self._until_s[name] = until_s

    def over_s(self, first: str, second: str) -> float:
        """When both can be reached."""
        if not self._until_s:
            return 0.0
        return max(self._until_s.get(first, 0.0), self._until_s.get(second, 0.0))


class _Close(msgspec.Struct, frozen=True):
    """The end of a stream; with a reset or in order."""

    is_reset: bool


class End(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, network: "Network", context: Context, terms: LineTerms, random: Random) -> None:
        super().__init__()
        self._network, self._context, self._terms, self._chance = network, context, terms, random.random
        self._loop = network.loop
        self.owner = context[OWNER]
        self._lane: Lane[list[bytes] | _Close] = Lane(network.loop, self._arrived, context)
        self._packet: list[bytes] = []
        self._packet_ns = -1
        self._protocol: Any = None
        self.peer: End | None = None
        self._held: deque[list[bytes] | _Close] | None = None
        self._is_closing = self._is_lost = False

    # --- what asyncio's protocols ask for ---------------------------------------------------------

    def set_protocol(self, protocol: Any) -> None:
        """Whom to hand what arrives."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """The present protocol."""
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing is known but the other side's address."""
        return ("127.0.0.1", 0) if name == "peername" else default

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._is_closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        if self._is_closing or not data:
            return
        now_ns = self._loop.elapsed_ns
        # Nothing arrives at the moment it is sent, so the packet of this moment has not left.
        if self._packet_ns == now_ns:
            self._packet.append(bytes(data))
            return
        self._packet, self._packet_ns = [bytes(data)], now_ns
        self._send(self._packet)

    def can_write_eof(self) -> bool:
        """Half-closed connections are not needed."""
        return False

    def get_write_buffer_size(self) -> int:
        """Everything is on the line at once."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def pause_reading(self) -> None:
        """Hold back what arrives."""
        if self._held is None:
            self._held = deque()

    def resume_reading(self) -> None:
        """Hand over what was held back, and go on."""
        held, self._held = self._held, None
        for item in held or ():
            self._arrived(item)

    def is_reading(self) -> bool:
        """Whether what arrives is handed over."""
        return self._held is None and not self._is_closing

    def close(self) -> None:
        """End in order: what was written arrives."""
        self._end(_Close(is_reset=False))

    def abort(self) -> None:
        """Reset."""
        self._end(_Close(is_reset=True))

    # --- inside -----------------------------------------------------------------------------------

    def _end(self, how: _Close) -> None:
        if self._is_closing:
            return
        self._send(how)
        self._is_closing = True
        self._network.forget(self)
        self._network.loop.call_soon(self._lose, None, context=self._context)

    def open(self, factory: Callable[[], Any]) -> None:
        """Give the connection its protocol."""
        self._context.run(self._open, factory)

    def _open(self, factory: Callable[[], Any]) -> None:
        self._protocol = factory()
        self._protocol.connection_made(self)

    def _send(self, item: list[bytes] | _Close) -> None:
        peer, terms, chance = self.peer, self._terms, self._chance
        if peer is None:
            return
        delay_s = terms.latency_s + chance() * terms.jitter_s
        if terms.loss_share and chance() < terms.loss_share:
            delay_s += RETRANSMITTED_S
        peer._lane.put(item, delay_s, self._network.partitions.over_s(self.owner, peer.owner))

    def _arrived(self, item: list[bytes] | _Close) -> None:
        if self._is_closing:
            return
        if self._held is not None:
            self._held.append(item)
        elif isinstance(item, list):
            self._protocol.data_received(b"".join(item))
        else:
            self._is_closing = True
            self._network.forget(self)
            if item.is_reset:
                self._lose(ConnectionResetError("the connection was reset"))
            else:
                self._protocol.eof_received()
                self._lose(None)

    def _lose(self, fault: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._protocol.connection_lost(fault)


class Network:
    """What listens where, and every open connection."""

    def __init__(self, loop: VirtualLoop, seed: int, partitions: Partitions) -> None:
        self.loop, self.partitions = loop, partitions
        self._seed = seed
        self._listeners: dict[str, tuple[str, LineTerms, Callable[[], Any]]] = {}
        self._ends: dict[End, None] = {}
        self._connections = 0
        loop.network = self

    def listen(self, path: str, terms: LineTerms, factory: Callable[[], Any]) -> None:
        """Serve a path in the name of the present process, in place of whoever did before."""
        self._listeners[path] = (OWNER.get(), terms, factory)

    def is_held(self, name: str) -> bool:
        """Whether a process hears and says nothing now."""
        return self.partitions.over_s(name, name) > self.loop.time()

    def unlisten(self, path: str) -> None:
        """Serve it no more."""
        self._listeners.pop(path, None)

    async def connect(self, factory: Callable[[], Any], path: str) -> tuple[asyncio.Transport, Any]:
        """A connection of the present process. Raises ConnectionRefusedError when nobody listens."""
        found = self._listeners.get(path)
        if found is None:
            raise ConnectionRefusedError(f"nobody listens at {path}")
        server, terms, serve = found
        self._connections += 1
        random = Random(f"{self._seed}/connection/{self._connections}")
        own_context = copy_context()
        own_context.run(OWNER.set, OWNER.get())
        client_end = End(self, own_context, terms, random)
        server_end = End(self, context_of(server), terms, random)
        client_end.peer, server_end.peer = server_end, client_end
        there_and_back_s = 2 * (terms.latency_s + random.random() * terms.jitter_s)
        blocked_s = self.partitions.over_s(client_end.owner, server) - self.loop.time()
        await asyncio.sleep(max(there_and_back_s, blocked_s))
        if self._listeners.get(path) != found:
            raise ConnectionRefusedError(f"nobody listens at {path} any more")
        for end, make in ((server_end, serve), (client_end, factory)):
            self._ends[end] = None
            end.open(make)
        return client_end, client_end.get_protocol()

    def forget(self, end: End) -> None:
        """A connection has ended here."""
        self._ends.pop(end, None)

    def kill(self, owner: str) -> None:
        """Reset every connection of a process that is gone."""
        for end in [end for end in self._ends if end.owner == owner]:
            end.abort()

    def cut(self, first: str, second: str) -> int:
        """Reset every connection between two; returns how many there were."""
        cut = [
            end
            for end in self._ends
            if end.owner == first and end.peer is not None and end.peer.owner == second
        ]
        for end in cut:
            end.abort()
        return len(cut)
