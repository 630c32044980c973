"""How long someone has been silent, in time that we were awake ourselves; the twin of `rust/core/src/silence.rs`.

A process that was stopped, or a machine that stood still, finds old deadlines behind it and the words of the
others still unsaid. So each look counts `MOST_AT_ONCE_NS` at most: silence is what was listened to.
"""

from clawswarm.kernel.clock import NS_PER_MS

MOST_AT_ONCE_NS = 100 * NS_PER_MS


class Silence:
    """Somebody who has to speak now and then. Look often, and after everything that waited was read."""

    def __init__(self, now_ns: int) -> None:
        self._silent_ns, self._looked_ns = 0, now_ns

    def hear(self, now_ns: int) -> None:
        """They have spoken."""
        self._silent_ns, self._looked_ns = 0, max(self._looked_ns, now_ns)

    def look(self, now_ns: int) -> int:
        """Nanoseconds of silence so far."""
        self._silent_ns += min(max(now_ns - self._looked_ns, 0), MOST_AT_ONCE_NS)
        self._looked_ns = max(self._looked_ns, now_ns)
        return self._silent_ns
