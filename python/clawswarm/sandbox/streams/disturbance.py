"""What may happen to a channel's frames between the venue and its clients. Pure: time and randomness are given.

Two sources, in this order:
- faults that a test switches on: stall (frames wait, PONGs still flow), gap (frames are lost), duplicate, reorder,
  and what the channel itself knows how to garble (corrupt-level, crossed-book);
- the venue's own disorder (recorded-data.md fact 8: 18.5 % of neighbouring messages step back in server time),
  when a setting asks for it: a frame changes places with the next younger one.
"""

from collections.abc import Callable
from random import Random
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

FeedFaultKind = Literal["stall", "gap", "duplicate", "reorder", "corrupt-level", "crossed-book"]

_NS_PER_MS = 1_000_000
# How long a frame waits for a younger one to change places with.
_LONGEST_HOLD_NS = 20 * _NS_PER_MS
_MOST_HELD_SHARE = 0.9


class Timed(Protocol):
    """A frame that carries venue time and says whom it concerns."""

    @property
    def at_ms(self) -> int:
        """Server time in the frame."""
        ...

    @property
    def tokens(self) -> tuple[str, ...]:
        """Tokens it is about, none where it is about no token."""
        ...


F = TypeVar("F", bound=Timed)


class FeedFault(msgspec.Struct):
    """An active fault: ends after so many frames (None: any number) and at `until_ns` at the latest.

    With `tokens` it meets their frames alone.
    """

    kind: FeedFaultKind
    until_ns: int
    frames_left: int | None = None
    tokens: tuple[str, ...] | None = None

    def is_over(self, now_ns: int) -> bool:
        """Whether it has done its work."""
        return now_ns >= self.until_ns or self.frames_left == 0

    def concerns(self, frame: Timed) -> bool:
        """Whether it meets this frame."""
        return self.tokens is None or not set(self.tokens).isdisjoint(frame.tokens)


class Disorder(Generic[F]):
    """Lets frames change places until the wanted share of neighbours steps back in time."""

    def __init__(self, share: float, random: Random) -> None:
        self._share = share
        self._random = random
        self._held: tuple[F, int] | None = None
        self._holds, self._swaps = 1, 1

    def pass_on(self, frames: list[F], now_ns: int) -> list[F]:
        """Frames that leave now."""
        if not self._share:
            return frames
        passed: list[F] = []
        for frame in frames:
            if self._held is not None:
                older, self._held = self._held[0], None
                if frame.at_ms > older.at_ms:
                    self._swaps += 1
                    passed += [frame, older]
                else:
                    passed += [older, frame]
            elif self._random.random() < self._hold_share():
                self._holds += 1
                self._held = (frame, now_ns + _LONGEST_HOLD_NS)
            else:
                passed.append(frame)
        return passed

    def release(self, now_ns: int) -> list[F]:
        """The held frame, once it has waited too long."""
        if self._held is None or self._held[1] > now_ns:
            return []
        frame, self._held = self._held[0], None
        return [frame]

    def due_ns(self) -> int | None:
        """When `release` has something."""
        return None if self._held is None else self._held[1]

    def _hold_share(self) -> float:
        # A hold takes two frames and, where the next is younger, makes one step back: share = q·r / (1 + q).
        younger = self._swaps / self._holds
        if younger <= self._share:
            return _MOST_HELD_SHARE
        return min(_MOST_HELD_SHARE, self._share / (younger - self._share))


class Disturbance(Generic[F]):
    """The way of one channel's frames. `garble` makes corrupt-level and crossed-book frames, None elsewhere."""

    def __init__(
        self,
        disorder: Disorder[F],
        random: Random,
        garble: Callable[[F, FeedFaultKind], list[F] | None] | None = None,
    ) -> None:
        self._disorder = disorder
        self._random = random
        self._garble = garble
        self._faults: list[FeedFault] = []
        self._stalled: list[F] = []
        self._shuffled: list[F] = []

    @property
    def can_garble(self) -> bool:
        """Whether this channel has levels to falsify."""
        return self._garble is not None

    def start(self, fault: FeedFault) -> None:
        """Switch a fault on; a second of its kind replaces the first."""
        self._faults = [other for other in self._faults if other.kind != fault.kind]
        self._faults.append(fault)

    def clear(self) -> None:
        """End every fault; what was held leaves with the next `release`."""
        self._faults.clear()

    def active(self, now_ns: int) -> list[FeedFault]:
        """Faults that are on."""
        return [fault for fault in self._faults if not fault.is_over(now_ns)]

    def pass_on(self, frames: list[F], now_ns: int) -> list[F]:
        """Frames that leave now, in their order."""
        if self._is_calm:
            return self._disorder.pass_on(frames, now_ns)
        passed = self._take_held(now_ns)
        for frame in frames:
            passed += self._through_faults(frame, now_ns)
        return self._disorder.pass_on(passed, now_ns)

    def release(self, now_ns: int) -> list[F]:
        """Held frames whose time has come."""
        if self._is_calm:
            return self._disorder.release(now_ns)
        return self._disorder.pass_on(self._take_held(now_ns), now_ns) + self._disorder.release(now_ns)

    def due_ns(self) -> int | None:
        """When `release` has something."""
        if self._is_calm:
            return self._disorder.due_ns()
        dues = [fault.until_ns for fault in self._faults if fault.kind in ("stall", "reorder")]
        if (self._stalled or self._shuffled) and not dues:
            dues.append(0)
        if (due := self._disorder.due_ns()) is not None:
            dues.append(due)
        return min(dues, default=None)

    @property
    def _is_calm(self) -> bool:
        return not (self._faults or self._stalled or self._shuffled)

    def _take_held(self, now_ns: int) -> list[F]:
        self._faults = self.active(now_ns)
        kinds = {fault.kind for fault in self._faults}
        taken: list[F] = []
        if self._shuffled and "reorder" not in kinds:
            self._random.shuffle(self._shuffled)
            taken, self._shuffled = self._shuffled, []
        if "stall" in kinds:
            self._stalled += taken
            return []
        stalled, self._stalled = self._stalled, []
        return stalled + taken

    def _through_faults(self, frame: F, now_ns: int) -> list[F]:
        frames = [frame]
        for fault in self._faults:
            if fault.is_over(now_ns) or not fault.concerns(frame):
                continue
            match fault.kind:
                case "gap":
                    frames = []
                case "duplicate":
                    frames += frames
                case "reorder":
                    self._shuffled += frames
                    frames = []
                case "stall":
                    self._stalled += frames
                    frames = []
                case garbled:
                    made = self._garble(frames[0], garbled) if self._garble and frames else None
                    if made is None:
                        continue
                    frames = made
            if fault.frames_left is not None:
                fault.frames_left -= 1
        if self._shuffled and any(
            fault.kind == "reorder" and fault.is_over(now_ns) for fault in self._faults
        ):
            frames += self._take_held(now_ns)
        return frames
