"""Queues to sockets, and what a fault does to all connections of a channel.

A consumer that lets its outbox fill is disconnected, as a venue does with slow consumers.
"""

import asyncio
from collections import deque

OUTBOX_LIMIT = 20_000


class Outbox:
    """Texts on their way to one socket, in order.

    `closing_code` ends the connection with this code; `is_swallowed`: a black hole has it.
    """

    def __init__(self) -> None:
        self.has_overflowed = False
        self.is_swallowed = False
        self.closing_code: int | None = None
        self._is_last = False
        self._texts: deque[str] = deque()
        self._is_filled = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether the connection is still to be written to."""
        return not self.has_overflowed and (self.closing_code is None or self._is_last)

    @property
    def is_finished(self) -> bool:
        """Whether a close was ordered behind the last text and all texts are gone."""
        return self._is_last and not self._texts

    @property
    def count(self) -> int:
        """Texts that wait."""
        return len(self._texts)

    def put(self, text: str) -> None:
        """Queue a text; beyond the limit the connection is given up."""
        if self.is_swallowed:
            return
        if len(self._texts) >= OUTBOX_LIMIT:
            self.has_overflowed = True
        else:
            self._texts.append(text)
        self._is_filled.set()

    def swallow(self) -> None:
        """Lose everything from here on."""
        self.is_swallowed = True
        self._texts.clear()

    def close(self, code: int) -> None:
        """End the connection with a code; what is queued is lost."""
        self.closing_code, self._is_last = code, False
        self._is_filled.set()

    def close_after(self, code: int) -> None:
        """End the connection with a code once everything queued is sent."""
        if self.closing_code is None:
            self.closing_code, self._is_last = code, True
        self._is_filled.set()

    async def take(self) -> list[str]:
        """Wait for texts and return all of them."""
        await self._is_filled.wait()
        self._is_filled.clear()
        texts = list(self._texts)
        self._texts.clear()
        return texts


class Connections:
    """The open connections of every channel."""

    def __init__(self) -> None:
        self._outboxes: dict[str, set[Outbox]] = {}

    def add(self, channel: str, outbox: Outbox) -> None:
        """A connection opened."""
        self._outboxes.setdefault(channel, set()).add(outbox)

    def discard(self, channel: str, outbox: Outbox) -> None:
        """A connection ended."""
        self._outboxes.get(channel, set()).discard(outbox)

    def count(self, channel: str) -> int:
        """Open connections of a channel."""
        return len(self._outboxes.get(channel, ()))

    def swallow(self, channel: str) -> None:
        """Cut every open connection off without closing it."""
        for outbox in self._outboxes.get(channel, ()):
            outbox.swallow()

    def close(self, channel: str, code: int) -> int:
        """Close every open connection; return how many there were."""
        outboxes = self._outboxes.get(channel, set())
        for outbox in outboxes:
            outbox.close(code)
        return len(outboxes)
