"""The venue's dead-man switch: one chain of heartbeat ids per key, or per account (polymarket.md §4).

Opt-in with the first accepted beat. Without an accepted beat for the timeout, the next sweep reports the key;
its orders are then cancelled and its registration is gone. A refused beat does not count.
"""

import hashlib
from uuid import UUID

import msgspec


class BeatRefused(Exception):
    """The id is not the expected one."""

    def __init__(self, expected: str) -> None:
        super().__init__("Invalid Heartbeat ID")
        self.expected = expected


class _Chain(msgspec.Struct):
    expected: str
    accepted_ns: int
    beats: int


class HeartbeatRegister:
    """Chains of all keys; time is an argument."""

    def __init__(self, timeout_ns: int, sweep_ns: int, seed: int) -> None:
        self._timeout_ns = timeout_ns
        self._sweep_ns = sweep_ns
        self._seed = seed
        self._chains: dict[str, _Chain] = {}
        self._next_sweep_ns = 0

    def beat(self, key: str, heartbeat_id: str, now_ns: int) -> str:
        """Accept a beat and return the id of the next one. Raises BeatRefused."""
        chain = self._chains.get(key)
        if heartbeat_id != (expected := chain.expected if chain else ""):
            raise BeatRefused(expected)
        beats = chain.beats + 1 if chain else 1
        digest = hashlib.sha256(f"beat:{self._seed}:{key}:{now_ns}:{beats}".encode()).digest()
        issued = str(UUID(bytes=digest[:16], version=4))
        self._chains[key] = _Chain(expected=issued, accepted_ns=now_ns, beats=beats)
        return issued

    def beat_without_id(self, key: str, now_ns: int) -> None:
        """Accept a beat of the older interface; the id expected next is then the empty one."""
        chain = self._chains.get(key)
        beats = chain.beats + 1 if chain else 1
        self._chains[key] = _Chain(expected="", accepted_ns=now_ns, beats=beats)

    def sweep(self, now_ns: int) -> list[str]:
        """Keys that fell silent, unregistered; looks only once per sweep interval."""
        if now_ns < self._next_sweep_ns:
            return []
        self._next_sweep_ns = now_ns + self._sweep_ns
        silent = [k for k, chain in self._chains.items() if now_ns - chain.accepted_ns > self._timeout_ns]
        for key in silent:
            del self._chains[key]
        return silent

    def next_sweep_ns(self) -> int | None:
        """When to call `sweep` again, None while nobody is registered."""
        return self._next_sweep_ns if self._chains else None
