"""An event that is set when nothing else has set it by a time: the timeout of a work loop, put off at each turn.

A loop that turns a hundred times in its timeout would make and cancel as many timers; here one is pending at most,
and only where it ends too early another follows.
"""

import asyncio


class Alarm:
    """Sets `event` at the time that was named last."""

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._armed_s = 0.0
        self._due_s: float | None = None

    def set(self, delay_s: float) -> None:
        """Set the event so many seconds from now, and not when it was to be set before."""
        self._due_s = None
        self.hasten(delay_s)

    def hasten(self, delay_s: float) -> None:
        """Set the event so many seconds from now, unless it is to be set earlier."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        due_s = loop.time() + delay_s
        if self._due_s is not None and self._due_s <= due_s:
            return
        self._due_s = due_s
        if self._timer is None or due_s < self._armed_s:
            if self._timer is not None:
                self._timer.cancel()
            self._arm(loop, due_s)

    def clear(self) -> None:
        """Leave the event alone."""
        self._due_s = None

    def _arm(self, loop: asyncio.AbstractEventLoop, due_s: float) -> None:
        self._armed_s = due_s
        self._timer = loop.call_at(due_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._due_s is None or self._loop is None:
            return
        if self._due_s > self._armed_s:
            self._arm(self._loop, self._due_s)
        else:
            self._due_s = None
            self._event.set()
