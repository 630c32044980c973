"""Ordered delivery as a pure state machine: sequence numbers in, messages in order and replay wishes out.

One `Sequencer` follows one publisher. A message ahead of its turn waits (bounded); the missing ones are asked
for again; what cannot be had is an OrderedGap, whose fate is halt.
"""

from dataclasses import dataclass, field

from clawswarm.model.errors import OrderedGap

MAX_WAITING = 100_000


@dataclass
class Sequencer:
    """Position in one publisher's stream. `next_seq` is the number delivered next."""

    next_seq: int = 1
    waiting: dict[int, bytes] = field(default_factory=dict)
    highest_known: int = 0

    def offer(self, seq: int, body: bytes) -> list[bytes]:
        """Take message `seq`; return what can be delivered now, in order. Duplicates vanish.

        Raises OrderedGap when more than MAX_WAITING messages wait for a missing one.
        """
        self.highest_known = max(self.highest_known, seq)
        if seq < self.next_seq or seq in self.waiting:
            return []
        self.waiting[seq] = body
        if len(self.waiting) > MAX_WAITING:
            raise OrderedGap(f"{len(self.waiting)} messages wait for number {self.next_seq}")
        ready = []
        while (body_ready := self.waiting.pop(self.next_seq, None)) is not None:
            ready.append(body_ready)
            self.next_seq += 1
        return ready

    def note_last(self, seq: int) -> None:
        """The publisher says `seq` is its newest: a lost tail shows here.

        Raises OrderedGap when it knew more before: its journal is damaged and its next numbers are used up.
        """
        if seq < self.highest_known:
            raise OrderedGap(f"the publisher has {seq} messages and had {self.highest_known} before")
        self.highest_known = seq

    def missing(self) -> tuple[int, int] | None:
        """The first hole as (first, last), None when nothing is missing."""
        if self.next_seq > self.highest_known:
            return None
        if not self.waiting:
            return self.next_seq, self.highest_known
        return self.next_seq, min(self.waiting) - 1
