"""`Latest` without a bus between: the publisher's own Unix socket, for what must reach its readers at once.

    source    one slot per key, overwritten. What a reader cannot take at once waits as a key, not as a message:
              it gets the newest when it reads again, so there is never a queue of old states
    follower  reads several sources and says which keys it wants; the newest of each is sent when it connects.
              A source that ends is known at once, because the kernel closes its socket

A frame is key length u16 | message length u32 | key | message in msgpack; a follower sends message length u32 |
msgpack list of the keys it wants (nil: all), which replaces what it wanted before.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from clawswarm.model.messages import BusMessage

M = TypeVar("M", bound=BusMessage)

READ_BYTES = 1 << 16
# What the kernel holds for a reader that does not read: old states, so little.
SEND_BUFFER_BYTES = 1 << 16
BACKLOG = 64
RETRY_S = 0.05

IsUrgentOf = Callable[[str, str], bool]
"""Of a source and a key: whether its news set the event; others wait to be taken."""

_HEAD = struct.Struct("<HI")
_LENGTH = struct.Struct("<I")
_encode = msgspec.msgpack.Encoder().encode
_decode_wanted = msgspec.msgpack.Decoder(frozenset[str] | None).decode


class LatestSource:
    """The publisher's end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._slots: dict[str, bytes] = {}
        self._readers: set[_Reader] = set()
        self._listener: socket.socket | None = None

    def open(self) -> None:
        """Let followers in, from the running loop."""
        # Whoever listened here before is gone: a name belongs to one process.
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(os.fspath(self._path))
        listener.listen(BACKLOG)
        asyncio.get_running_loop().add_reader(listener.fileno(), self._accept)
        self._listener = listener

    def publish(self, message: BusMessage, key: str) -> None:
        """Overwrite the slot of `key`, and send it to every follower that wants it."""
        payload, name = _encode(message), key.encode()
        frame = self._slots[key] = _HEAD.pack(len(name), len(payload)) + name + payload
        for reader in tuple(self._readers):
            if reader.wanted is None or key in reader.wanted:
                reader.offer(key, frame)

    def keep(self, keys: Iterable[str]) -> None:
        """Forget the slots of all keys but these."""
        for gone in self._slots.keys() - set(keys):
            del self._slots[gone]

    def close(self) -> None:
        """Let every follower go."""
        for reader in tuple(self._readers):
            reader.close()
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # it went away again
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._readers.add(_Reader(connection, self._slots, self._readers))


class _Reader:
    """One follower, as its source sees it."""

    def __init__(
        self, connection: socket.socket, slots: Mapping[str, bytes], readers: "set[_Reader]"
    ) -> None:
        self.wanted: frozenset[str] | None = frozenset()
        self._connection, self._slots, self._readers = connection, slots, readers
        self._loop = asyncio.get_running_loop()
        self._heard = b""
        self._rest = b""
        self._waiting: dict[str, None] = {}
        self._loop.add_reader(connection.fileno(), self._hear)

    def offer(self, key: str, frame: bytes) -> None:
        """Send a frame, or let its key wait for the follower to read."""
        if self._rest or self._waiting:
            self._waiting[key] = None
        elif self._send(frame):
            self._loop.add_writer(self._connection.fileno(), self._drain)

    def close(self) -> None:
        """Let it go."""
        if self in self._readers:
            self._readers.discard(self)
            self._loop.remove_reader(self._connection.fileno())
            self._loop.remove_writer(self._connection.fileno())
            self._connection.close()

    def _send(self, frame: bytes) -> bool:
        """Send what fits; whether something is left."""
        try:
            sent = self._connection.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return False
        self._rest = frame[sent:]
        return bool(self._rest)

    def _drain(self) -> None:
        while True:
            frame = self._rest
            if not frame:
                if not self._waiting:
                    self._loop.remove_writer(self._connection.fileno())
                    return
                key = next(iter(self._waiting))
                del self._waiting[key]
                frame = self._slots.get(key, b"")
            if frame and (self._send(frame) or self not in self._readers):
                return

    def _hear(self) -> None:
        try:
            heard = self._connection.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if not heard:
            self.close()
            return
        self._heard += heard
        while len(self._heard) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._heard)[0]
            if len(self._heard) < end:
                return
            before, self.wanted = self.wanted, _decode_wanted(self._heard[_LENGTH.size : end])
            self._heard = self._heard[end:]
            for key in self._slots if self.wanted is None else self.wanted & self._slots.keys():
                if before is not None and key not in before:
                    self.offer(key, self._slots[key])


class LatestFollower(Generic[M]):
    """The reader's end of several sources."""

    def __init__(self, paths: Mapping[str, Path], kind: type[M]) -> None:
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._wanted: frozenset[str] | None = frozenset()
        self._lost: list[str] = []
        self._links = [_Link(name, path, self._lost) for name, path in paths.items()]

    def listen(self, changed: asyncio.Event | None = None, is_urgent: IsUrgentOf | None = None) -> None:
        """Begin to receive; `changed` (of the running loop) is set on urgent news and by the end of a source."""
        for link in self._links:
            link.open(changed, is_urgent)

    def follow(self, keys: Iterable[str] | None) -> None:
        """Want these keys and no others; None wants all there are."""
        wanted = None if keys is None else frozenset(keys)
        if wanted != self._wanted:
            self._wanted = wanted
            for link in self._links:
                link.want(wanted)

    def take(self) -> list[M]:
        """The newest message of every key of every source that changed since the last call."""
        taken = []
        for link in self._links:
            slots = link.slots
            while slots:
                _, payload = slots.popitem()
                taken.append(self._decode(payload))
        return taken

    def lost(self) -> list[str]:
        """Sources that have ended since the last call, by name; each is looked for again."""
        lost = self._lost[:]
        self._lost.clear()
        return lost

    def close(self) -> None:
        """Stop receiving."""
        for link in self._links:
            link.close()


class _Link:
    """The connection to one source, made anew whenever it ends."""

    def __init__(self, name: str, path: Path, lost: list[str]) -> None:
        self.slots: dict[bytes, bytes] = {}
        self._name, self._path, self._lost = name, path, lost
        self._wanted: frozenset[str] | None = frozenset()
        self._connection: socket.socket | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._heard = self._unsaid = b""

    def open(self, changed: asyncio.Event | None, is_urgent: IsUrgentOf | None) -> None:
        self._loop, self._changed, self._is_urgent = asyncio.get_running_loop(), changed, is_urgent
        self._connect()

    def want(self, wanted: frozenset[str] | None) -> None:
        self._wanted = wanted
        if self._connection is not None:
            self._say()

    def close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        if self._connection is not None:
            self._loop.remove_reader(self._connection.fileno())
            self._loop.remove_writer(self._connection.fileno())
            self._connection.close()
            self._connection = None

    def _connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            connection.connect(os.fspath(self._path))
        except OSError:  # it does not listen yet
            connection.close()
            self._retry = self._loop.call_later(RETRY_S, self._connect)
            return
        self._connection, self._heard, self._unsaid = connection, b"", b""
        self._loop.add_reader(connection.fileno(), self._read)
        self._say()

    def _say(self) -> None:
        body = _encode(None if self._wanted is None else sorted(self._wanted))
        self._unsaid += _LENGTH.pack(len(body)) + body
        self._write()

    def _write(self) -> None:
        if self._connection is None:
            return
        try:
            self._unsaid = self._unsaid[self._connection.send(self._unsaid) :]
        except BlockingIOError:
            pass  # a source that hangs must not hang its followers
        except OSError:
            self._end()
            return
        if self._unsaid:
            self._loop.add_writer(self._connection.fileno(), self._write)
        else:
            self._loop.remove_writer(self._connection.fileno())

    def _read(self) -> None:
        if self._connection is None:
            return
        try:
            data = self._connection.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        if self._heard:
            data = self._heard + data
        at, end, is_urgent = 0, len(data), False
        while at + _HEAD.size <= end:
            key_length, length = _HEAD.unpack_from(data, at)
            body = at + _HEAD.size + key_length
            if body + length > end:
                break
            key = data[at + _HEAD.size : body]
            self.slots[key] = data[body : body + length]
            at = body + length
            is_urgent = is_urgent or self._is_urgent is None or self._is_urgent(self._name, key.decode())
        self._heard = data[at:]
        if is_urgent:
            self._wake()

    def _end(self) -> None:
        self.close()
        self.slots.clear()
        self._lost.append(self._name)
        self._wake()
        self._retry = self._loop.call_later(RETRY_S, self._connect)

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
