"""The engine's port: length-prefixed msgpack over a Unix socket, and the quoter's client for it.

The engine owns keys and orders; a quoter sends Plans and receives OrderUpdates. The dead-man switch is the
connection and the touch: closed or late, the engine cancels everything this quoter has open.
"""

import asyncio
import struct
from abc import ABC, abstractmethod
from collections import deque
from pathlib import Path
from typing import cast

import msgspec
import structlog

from clawswarm.model.errors import WireFault
from clawswarm.model.messages import EngineReply, EngineRequest, Hello, Touch

log = structlog.get_logger()
_LENGTH = struct.Struct("<I")
MAX_FRAME = 1 << 20
_encode = msgspec.msgpack.Encoder().encode
_decode_reply = msgspec.msgpack.Decoder(EngineReply).decode


def send_frame(writer: asyncio.StreamWriter | asyncio.WriteTransport, message: msgspec.Struct) -> None:
    """Queue one message for sending."""
    body = _encode(message)
    writer.write(_LENGTH.pack(len(body)) + body)


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """Next frame, None when the peer has closed. Raises WireFault on an absurd length."""
    try:
        length = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))[0]
        if length > MAX_FRAME:
            raise WireFault(f"a frame of {length} bytes on the engine's port")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


class Frames(asyncio.Protocol, ABC):
    """One side of a connection, told of each frame in the callback that brings it: no task waits for frames.

    One that is absurdly long, or that `take` cannot read, ends the connection.
    """

    transport: asyncio.WriteTransport

    def __init__(self, name: str) -> None:
        self._name, self._rest = name, b""

    @abstractmethod
    def take(self, frame: bytes) -> None:
        """A frame has come. May raise WireFault or msgspec.MsgspecError."""

    @abstractmethod
    def lost(self) -> None:
        """The connection is gone."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport's word."""
        # uvloop's transports are none of asyncio's classes.
        self.transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """The transport's word."""
        data, at = self._rest + data, 0
        try:
            while len(data) - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(data, at)
                if length > MAX_FRAME:
                    raise WireFault(f"a frame of {length} bytes on the engine's port")
                begins, ends = at + _LENGTH.size, at + _LENGTH.size + length
                if ends > len(data):
                    break
                self.take(data[begins:ends])
                at = ends
        except (WireFault, msgspec.MsgspecError, UnicodeDecodeError) as fault:
            log.warning("engine_port.bad_frame", name=self._name, reason=str(fault))
            self.transport.close()
        self._rest = data[at:]

    def connection_lost(self, _fault: Exception | None) -> None:
        """The transport's word."""
        self.lost()


class _Connection(Frames):
    """A quoter's side, with the replies that it has not taken yet."""

    def __init__(self, name: str, wake: asyncio.Event) -> None:
        super().__init__(name)
        self._wake = wake
        self.replies: deque[EngineReply] = deque()

    def take(self, frame: bytes) -> None:
        self.replies.append(_decode_reply(frame))
        self._wake.set()

    def lost(self) -> None:
        self._wake.set()


class EngineClient:
    """A quoter's connection. `wake` is set when replies wait or the connection is gone."""

    def __init__(self, path: Path, name: str, wake: asyncio.Event) -> None:
        self._path, self._name, self._wake = path, name, wake
        self._connection: _Connection | None = None

    @property
    def is_connected(self) -> bool:
        """Whether plans can be sent."""
        # A failed write closes the connection at once; `lost` comes later.
        return self._connection is not None and not self._connection.transport.is_closing()

    async def try_connect(self) -> bool:
        """Connect and say who is calling; False when the engine is not there (yet).

        Replies of an earlier connection are dropped: its orders are gone.
        """
        self._connection = None
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_unix_connection(
                lambda: _Connection(self._name, self._wake), str(self._path)
            )
        except OSError:
            return False
        send_frame(connection.transport, Hello(name=self._name))
        self._connection = connection
        return True

    def send(self, request: EngineRequest) -> None:
        """Send a plan. Raises WireFault when not connected."""
        if self._connection is None or not self.is_connected:
            raise WireFault("the engine is not connected")
        send_frame(self._connection.transport, request)

    def touch(self, book_sequence: int) -> None:
        """Say, from the work loop alone, that it has handled books up to this one, or a pulse after it."""
        if self._connection is not None and self.is_connected:
            send_frame(self._connection.transport, Touch(book_sequence=book_sequence))

    def take(self) -> list[EngineReply]:
        """Replies since the last call, in order."""
        if self._connection is None or not self._connection.replies:
            return []
        replies = list(self._connection.replies)
        self._connection.replies.clear()
        return replies
