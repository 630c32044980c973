"""Faults that tests and people switch on by the control port; pure state, time is an argument.

Black hole: what a router that forgets a connection does. Market WebSockets open at its start never get
another byte, not even a PONG, and nothing they send is read; they stay half-open until their client gives
up (frames of the time are lost, no later one comes). New upgrades hang and complete when it ends.
"""


class FaultSwitchboard:
    """Which faults are active at a time."""

    def __init__(self) -> None:
        self.is_geoblocked = False
        self._black_hole_until_ns = 0
        self._quiet_until_ns: dict[str, int] = {}

    def open_black_hole(self, until_ns: int) -> None:
        """Swallow the market channel until a time."""
        self._black_hole_until_ns = until_ns

    def black_hole_left_ns(self, now_ns: int) -> int:
        """How long the black hole still lasts, 0 when there is none."""
        return max(0, self._black_hole_until_ns - now_ns)

    def make_quiet(self, condition_id: str, until_ns: int) -> None:
        """Pause the replay of one market until a time."""
        self._quiet_until_ns[condition_id] = until_ns

    def quiet_markets(self, now_ns: int) -> list[str]:
        """Markets whose replay pauses now."""
        return [market for market, until_ns in self._quiet_until_ns.items() if until_ns > now_ns]

    def quiet_until_ns(self, condition_id: str) -> int:
        """When the pause of a market's replay ends, 0 when there never was one."""
        return self._quiet_until_ns.get(condition_id, 0)
