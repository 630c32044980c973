"""Faults that tests and people switch on by the control port; pure state, time and randomness are arguments.

Three kinds: faults of requests (by method and path), faults of whole channels, and a few of the venue itself.

Black hole: what a router that forgets a connection does. Connections open at its start never get another byte,
not even a PONG, and nothing they send is read; they stay half-open until their client gives up. New ones hang
until it ends. `rest` swallows requests instead: each is read, never acted on, and cut off when the hole ends.
"""

from collections import deque
from random import Random
from typing import Literal

import msgspec

_NS_PER_MS = 1_000_000

Channel = Literal["market", "user", "rtds", "polybolt", "rest"]
RequestFaultKind = Literal["latency", "reset", "cdn-page", "lost-reply", "status"]


class RequestFault(msgspec.Struct, kw_only=True):
    """One fault of requests; `path` ending in `/` is a prefix, `method` "*" is any.

    `requests_left` None means as many as come before `until_ns`.
    """

    kind: RequestFaultKind
    method: str
    path: str
    until_ns: int
    requests_left: int | None = None
    latency_ms: float = 0
    jitter_ms: float = 0
    status: int = 0
    text: str = ""
    is_silent: bool = False

    def applies(self, method: str, path: str, now_ns: int) -> bool:
        """Whether a request meets this fault now."""
        if now_ns >= self.until_ns or self.requests_left == 0 or self.method not in ("*", method):
            return False
        return path == self.path or (self.path.endswith("/") and path.startswith(self.path))


class FaultSwitchboard:
    """Which faults are active at a time."""

    def __init__(self, seed: int = 0) -> None:
        self.is_geoblocked = False
        self.place = ("IE", "L")
        """Country and region that the geoblock page tells."""
        self.request_faults: list[RequestFault] = []
        self.engine_errors: deque[str] = deque()
        """Texts that the next orders are refused with."""
        self._random = Random(seed)
        self._black_hole_until_ns: dict[str, int] = {}
        self._quiet_until_ns: dict[str, int] = {}

    # --- requests -------------------------------------------------------------------------------

    def add(self, fault: RequestFault) -> None:
        """Switch a fault of requests on."""
        self.request_faults.append(fault)

    def met_by(self, method: str, path: str, now_ns: int) -> list[RequestFault]:
        """The faults a request meets, each counted once; spent ones are forgotten."""
        if not self.request_faults:
            return []
        met = [fault for fault in self.request_faults if fault.applies(method, path, now_ns)]
        for fault in met:
            if fault.requests_left is not None:
                fault.requests_left -= 1
        self.request_faults = self.active(now_ns)
        return met

    def active(self, now_ns: int) -> list[RequestFault]:
        """Faults of requests that are still to be met."""
        return [f for f in self.request_faults if f.until_ns > now_ns and f.requests_left != 0]

    def delay_s(self, fault: RequestFault) -> float:
        """How long a latency fault holds this request."""
        return (fault.latency_ms + self._random.uniform(0, fault.jitter_ms)) / 1000

    # --- channels and markets -------------------------------------------------------------------

    def open_black_hole(self, until_ns: int, channel: Channel = "market") -> None:
        """Swallow a channel until a time."""
        self._black_hole_until_ns[channel] = until_ns

    def black_hole_left_ns(self, now_ns: int, channel: Channel = "market") -> int:
        """How long the black hole still lasts, 0 when there is none."""
        return max(0, self._black_hole_until_ns.get(channel, 0) - now_ns)

    def make_quiet(self, condition_id: str, until_ns: int) -> None:
        """Pause the replay of one market until a time."""
        self._quiet_until_ns[condition_id] = until_ns

    def quiet_markets(self, now_ns: int) -> list[str]:
        """Markets whose replay pauses now."""
        return [market for market, until_ns in self._quiet_until_ns.items() if until_ns > now_ns]

    def quiet_until_ns(self, condition_id: str) -> int:
        """When the pause of a market's replay ends, 0 when there never was one."""
        return self._quiet_until_ns.get(condition_id, 0)

    def clear(self) -> None:
        """Switch every fault off."""
        self.is_geoblocked, self.place = False, ("IE", "L")
        self.request_faults.clear()
        self.engine_errors.clear()
        self._black_hole_until_ns.clear()
        self._quiet_until_ns.clear()
