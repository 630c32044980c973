"""The engine's port: length-prefixed msgpack over a Unix socket, and the quoter's client for it.

The engine owns keys and orders; a quoter sends Plans and receives OrderUpdates. The dead-man switch is the
connection and the touch: closed or late, the engine cancels everything this quoter has open.
"""

import asyncio
import struct
from collections import deque
from pathlib import Path

import msgspec
import structlog

from clawswarm.model.errors import WireFault
from clawswarm.model.messages import EngineReply, EngineRequest, Hello, Touch

log = structlog.get_logger()
_LENGTH = struct.Struct("<I")
MAX_FRAME = 1 << 20
_encode = msgspec.msgpack.Encoder().encode
_decode_reply = msgspec.msgpack.Decoder(EngineReply).decode


def send_frame(writer: asyncio.StreamWriter, message: msgspec.Struct) -> None:
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


class EngineClient:
    """A quoter's connection. `wake` is set when replies wait or the connection is gone."""

    def __init__(self, path: Path, name: str, wake: asyncio.Event) -> None:
        self._path, self._name, self._wake = path, name, wake
        self._replies: deque[EngineReply] = deque()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether plans can be sent."""
        # A failed write closes the connection at once; its reader hears of that later.
        return self._writer is not None and not self._writer.is_closing()

    async def try_connect(self) -> bool:
        """Connect and say who is calling; False when the engine is not there (yet).

        Replies of an earlier connection are dropped: its orders are gone.
        """
        self._replies.clear()
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._path))
        except OSError:
            return False
        send_frame(writer, Hello(name=self._name))
        self._writer = writer
        self._reading = asyncio.create_task(self._read(reader, writer))
        return True

    def send(self, request: EngineRequest) -> None:
        """Send a plan. Raises WireFault when not connected."""
        if self._writer is None or not self.is_connected:
            raise WireFault("the engine is not connected")
        send_frame(self._writer, request)

    def touch(self, book_sequence: int) -> None:
        """Say, from the work loop alone, that it has handled books up to this one, or a pulse after it."""
        if self._writer is not None and self.is_connected:
            send_frame(self._writer, Touch(book_sequence=book_sequence))

    def take(self) -> list[EngineReply]:
        """Replies since the last call, in order."""
        replies = list(self._replies)
        self._replies.clear()
        return replies

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (frame := await read_frame(reader)) is not None:
                self._replies.append(_decode_reply(frame))
                self._wake.set()
        except (WireFault, msgspec.MsgspecError, UnicodeDecodeError) as fault:
            log.warning("engine_port.bad_frame", name=self._name, reason=str(fault))
        finally:
            writer.close()
            if self._writer is writer:
                self._writer = None
            self._wake.set()
