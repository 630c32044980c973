"""A TCP proxy on loopback that makes a good line bad: latency, jitter, a narrow line, resets, black holes.

One `ChaosProxy` is one listening port in front of one address; its owner changes `conditions` while it runs, or
hits single connections with `reset` and `swallow`. It looks at no byte, so TLS passes through it.

    delivery of a chunk = arrival + its time on the narrow line + latency_ms + U(0, jitter_ms), in order

A new connection pays for its handshake: its first bytes arrive a round trip later than they otherwise would, as if
SYN and SYN-ACK had crossed the line. The kernel still acknowledges what a black hole swallows, so TCP_USER_TIMEOUT
does not fire behind this proxy: a program that finds the hole has found it by itself.
"""

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import cast

import msgspec

LOOPBACK = "127.0.0.1"
# Bytes that may wait on the line in one direction before their sender is no longer read.
MOST_WAITING = 1 << 20
_RESET_NOT_FIN = struct.pack("ii", 1, 0)
_MS_PER_S = 1_000
# The event loop's timers are late by up to a millisecond: it is woken this much early and polls the rest.
_EARLY_S = 0.001


class LineConditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the line is, each way, for bytes that come in from now on.

    In a black hole bytes vanish and connections stay. One that has lost bytes never carries any again, as its
    streams have holes; one that was silent meanwhile goes on when the hole has closed.
    """

    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    bytes_per_s: float | None = None
    is_black_hole: bool = False

    def __post_init__(self) -> None:
        if not (self.latency_ms >= 0 and self.jitter_ms >= 0):
            raise ValueError("latency_ms and jitter_ms must be 0 or above")
        if self.bytes_per_s is not None and not self.bytes_per_s > 0:
            raise ValueError("bytes_per_s must be above 0, or None for a line without a limit")


class ChaosProxy:
    """One listening port. Everything happens on the running event loop."""

    def __init__(
        self, target_port: int, rng: random.Random, conditions: LineConditions | None = None
    ) -> None:
        self.conditions = conditions or LineConditions()
        self.port = 0
        self._target_port, self._rng = target_port, rng
        self._server: asyncio.Server | None = None
        self._connections: dict[ProxiedConnection, None] = {}
        self._lure: tuple[int, int, list[ProxiedConnection]] = (0, 0, [])

    @property
    def connections(self) -> list["ProxiedConnection"]:
        """Those that stand, oldest first."""
        return list(self._connections)

    async def start(self, port: int = 0) -> int:
        """Listen on a port of loopback, 0 takes a free one; the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, LOOPBACK, port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
        for connection in self.connections:
            connection.cut()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def reset(self, chosen: Iterable["ProxiedConnection"] | None = None) -> int:
        """Both ends of these connections (None: all) get a TCP reset; how many there were."""
        hit = self.connections if chosen is None else list(chosen)
        for connection in hit:
            connection.reset()
        return len(hit)

    def swallow(self, chosen: Iterable["ProxiedConnection"] | None = None) -> int:
        """These connections (None: all) stay open and never carry a byte again; how many there were."""
        hit = self.connections if chosen is None else list(chosen)
        for connection in hit:
            connection.swallow()
        return len(hit)

    def swallow_next(self, count: int, above_bytes: int) -> list["ProxiedConnection"]:
        """The next connections whose client sends more than so many bytes at once swallow these and fall silent.

        Those that have; the list grows up to `count`.
        """
        hit: list[ProxiedConnection] = []
        self._lure = (count, above_bytes, hit)
        return hit

    def see_upward(self, connection: "ProxiedConnection", sent_bytes: int) -> None:
        """So many bytes came from a client at once."""
        count, above_bytes, hit = self._lure
        if sent_bytes > above_bytes and len(hit) < count and not connection.is_swallowed:
            hit.append(connection)
            connection.swallow()

    def delay_s(self) -> float:
        """How long the next chunk is on its way, the time on a narrow line left out."""
        conditions = self.conditions
        jitter_ms = self._rng.uniform(0, conditions.jitter_ms) if conditions.jitter_ms else 0.0
        return (conditions.latency_ms + jitter_ms) / _MS_PER_S

    def _accept(self) -> asyncio.Protocol:
        return ProxiedConnection(self, self._target_port, self._connections).client


class ProxiedConnection:
    """One client's connection with the one opened for it; it is among `standing` as long as it stands."""

    def __init__(
        self, proxy: ChaosProxy, target_port: int, standing: dict["ProxiedConnection", None]
    ) -> None:
        self.is_swallowed = False
        self.upward_bytes = 0
        """What the client has sent, swallowed bytes included."""
        self.upward_largest = 0
        """The most that came from it at once since the owner last set this to 0: tells requests from probes."""
        self._proxy, self._target_port, self._standing = proxy, target_port, standing
        self._up, self._down = (_Line(proxy, self._close_when_ended) for _ in range(2))
        self.client, self._server = _End(self, self._up, self._down), _End(self, self._down, self._up)
        self._connecting: asyncio.Task[None] | None = None

    def reset(self) -> None:
        """Both ends get a TCP reset at once."""
        for end in (self.client, self._server):
            end.abort(is_reset=True)
        self._forget()

    def cut(self) -> None:
        """End it at both ends without ceremony."""
        for end in (self.client, self._server):
            end.abort(is_reset=False)
        self._forget()

    def swallow(self) -> None:
        """It stays open and never carries a byte again; what is under way is lost as well."""
        self.is_swallowed = True
        self._up.drop()
        self._down.drop()

    def accepted(self) -> None:
        """The client's end stands."""
        self._standing[self] = None
        self._connecting = asyncio.ensure_future(self._connect())
        # The kernel says that the connection stands before SYN and SYN-ACK would have crossed the line.
        self._up.hold_first(self._proxy.delay_s() + self._proxy.delay_s())

    def take(self, end: "_End", line: "_Line", data: bytes) -> None:
        """Bytes came in at one end."""
        if end is self.client:
            self.upward_bytes += len(data)
            self.upward_largest = max(self.upward_largest, len(data))
            self._proxy.see_upward(self, len(data))
        if self._proxy.conditions.is_black_hole and not self.is_swallowed:
            self.swallow()
        if not self.is_swallowed:
            line.send(data)

    def take_end(self, line: "_Line") -> None:
        """One end will send no more."""
        if not (self.is_swallowed or self._proxy.conditions.is_black_hole):
            line.send(None)

    def lose(self, fault: Exception | None) -> None:
        """One end is gone for good."""
        if self.is_swallowed or self._proxy.conditions.is_black_hole:
            # Nobody at the far end of a black hole learns of it.
            if self.client.is_gone and self._server.is_gone:
                self._forget()
        elif fault is not None:
            self.reset()
        else:
            self.cut()

    def _close_when_ended(self) -> None:
        """Both ends have said and heard everything."""
        if self._up.has_ended and self._down.has_ended:
            for end in (self.client, self._server):
                end.close()
            self._forget()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self._server, LOOPBACK, self._target_port)
        except OSError:
            self.reset()

    def _forget(self) -> None:
        self._standing.pop(self, None)
        self._up.drop()
        self._down.drop()
        if self._connecting is not None:
            self._connecting.cancel()


class _End(asyncio.Protocol):
    """A socket: what it sends goes onto `outward`, what comes off `inward` is written to it."""

    def __init__(self, connection: ProxiedConnection, outward: "_Line", inward: "_Line") -> None:
        self.is_gone = False
        self._connection, self._outward, self._inward = connection, outward, inward
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._outward.read_from(self._transport)
        if self is self._connection.client:
            self._connection.accepted()
        self._inward.write_to(self._transport)

    def data_received(self, data: bytes) -> None:
        self._connection.take(self, self._outward, data)

    def eof_received(self) -> bool:
        self._connection.take_end(self._outward)
        return True  # this end may still hear what the other has to say

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_gone = True
        self._connection.lose(exc)

    def pause_writing(self) -> None:
        self._inward.is_target_full = True
        self._inward.regulate()

    def resume_writing(self) -> None:
        self._inward.is_target_full = False
        self._inward.regulate()

    def abort(self, is_reset: bool) -> None:
        """Close it now."""
        if self._transport is None or self.is_gone:
            return
        if is_reset:
            connection: socket.socket = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_NOT_FIN)
        self.is_gone = True
        self._transport.abort()

    def close(self) -> None:
        """Close it once what is written has left."""
        if self._transport is not None:
            self.is_gone = True
            self._transport.close()


class _Line:
    """One direction: chunks in order, each at its time; None is the end of the stream."""

    def __init__(self, proxy: ChaosProxy, on_end: Callable[[], None]) -> None:
        self.has_ended = False
        self.is_target_full = False
        self._proxy, self._on_end = proxy, on_end
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[tuple[float, bytes | None]] = deque()
        self._waiting = 0
        # Loop times: before which nothing is delivered, and when the narrow line is free again.
        self._not_before_s = self._free_s = 0.0
        self._timer: asyncio.Handle | None = None
        self._source: asyncio.Transport | None = None
        self._target: asyncio.Transport | None = None

    def read_from(self, source: asyncio.Transport) -> None:
        """Where chunks come from; it is not read while too much waits."""
        self._source = source

    def write_to(self, target: asyncio.Transport) -> None:
        """Where chunks go; what has waited for it goes at its time."""
        self._target = target
        self._deliver()

    def hold_first(self, delay_s: float) -> None:
        """Put so much on top of the way of whatever sets out now."""
        self._free_s = self._loop.time() + delay_s

    def send(self, chunk: bytes | None) -> None:
        """Let a chunk, or the end of the stream, set out."""
        size = len(chunk or b"")
        leaves_s = max(self._free_s, self._loop.time())
        if (bytes_per_s := self._proxy.conditions.bytes_per_s) is not None:
            leaves_s += size / bytes_per_s
            self._free_s = leaves_s
        self._not_before_s = max(self._not_before_s, leaves_s + self._proxy.delay_s())
        self._chunks.append((self._not_before_s, chunk))
        self._waiting += size
        self.regulate()
        if len(self._chunks) == 1:
            self._deliver()

    def drop(self) -> None:
        """Lose whatever is under way."""
        self._chunks.clear()
        self._waiting = 0
        if self._timer is not None:
            self._timer.cancel()
        self.regulate()

    def regulate(self) -> None:
        """Read the source only while there is room."""
        if self._source is None or self._source.is_closing():
            return
        if self._waiting > MOST_WAITING or self.is_target_full:
            self._source.pause_reading()
        else:
            self._source.resume_reading()

    def _deliver(self) -> None:
        """Write what is due, and come back for the rest."""
        if self._target is None:
            return
        while self._chunks and self._chunks[0][0] <= self._loop.time():
            chunk = self._chunks.popleft()[1]
            if chunk is None:
                self.has_ended = True
                # An end that was reset meanwhile has nobody to tell; that it is lost will be said in a moment.
                with suppress(OSError):
                    self._target.write_eof()
                self._on_end()
            else:
                self._waiting -= len(chunk)
                self._target.write(chunk)
                self.regulate()
        if not self._chunks:
            return
        wake_s = self._chunks[0][0] - _EARLY_S
        if wake_s > self._loop.time():
            self._timer = self._loop.call_at(wake_s, self._deliver)
        else:
            self._timer = self._loop.call_soon(self._deliver)
