"""An hour in which the engine is killed at one chosen point, and starts again from what its journals hold.

A point lies before every action that the machine wants done, and inside every write: the record is torn there.
What was sent before the kill still reaches the venue; its answer reaches nobody. Beside that the line duplicates
and reorders what the user feed says, invents fills, and settlements fail.
"""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import msgspec

from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S
from clawswarm.kernel.journal import Journal
from clawswarm.lab import engine_machine as machine
from clawswarm.lab.engine_machine import Action, Answer, Event, OwnPart, OwnTrade
from clawswarm.model.instruments import Side
from clawswarm.model.messages import Evidence, Fill
from simulation.engine_day import MINUTE, SHARE_E6, Day

PLAYED_HOURS = 0.1
WRITTEN = (machine.JournalIntent, machine.PublishFill)
_encode = msgspec.msgpack.Encoder().encode
_decode_fill = msgspec.msgpack.Decoder(Fill).decode


class MortalDay(Day):
    """`marks` names every point that was passed; at number `kill_at` the engine dies."""

    reconcile_ns = 10 * NS_PER_S
    venue_settings: ClassVar[dict[str, object]] = {
        "settlement_retry_share": 0.1,
        "settlement_fail_share": 0.1,
        "mined_after_ms": 2_000,
        "confirmed_after_ms": 5_000,
    }

    def __init__(self, seed: int, folder: Path, kill_at: int | None = None) -> None:
        self.folder, self.kill_at = folder, kill_at
        self.marks: list[str] = []
        self.killed_at: str | None = None
        self.ghosts = 0
        self._life, self._is_dead = 1, False
        self._open_journals()
        super().__init__(seed)
        self.began_with_e6 = self.account.collateral_e6

    # --- life and death -------------------------------------------------------------------------

    def _open_journals(self) -> None:
        self._intents = Journal(self.folder / "engine" / "intents.journal")
        self._fills = Journal(self.folder / "engine" / "fills.journal")

    def _mark(self, name: str) -> bool:
        """Pass a point; True when the engine dies here."""
        self.marks.append(name)
        if self.killed_at is None and len(self.marks) - 1 == self.kill_at:
            self.killed_at = name
            return True
        return False

    def _die(self) -> None:
        self._is_dead = True
        self._life += 1
        self._feed_life += 1
        self._is_feed_up = False
        for quoter in self.quoters:
            quoter.connection = None
        self._intents.close()
        self._fills.close()
        self._in(NS_PER_S, self._rise)

    def _wake_ns(self) -> int | None:
        return None if self._is_dead else super()._wake_ns()

    def _rise(self) -> None:
        self._is_dead = False
        self._open_journals()
        fills = tuple(_decode_fill(record) for _, record in self._fills.read(1, self._fills.last_seq))
        self._start_engine(self._seed + self._life, fills)

    def _of_this_life(self, deed: Callable[[], None]) -> Callable[[], None]:
        life = self._life
        return lambda: deed() if life == self._life else None

    # --- the shell, mortal ----------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        if self._is_dead:
            return
        if self._mark(f"heard {_name(event)}"):
            self._die()
        else:
            super().handle(event)

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            name = _name(action)
            is_written = isinstance(action, WRITTEN)
            if self._mark(f"before {name}") or (is_written and self._write(action, name)):
                self._die()
                return
            super()._carry_out([action])

    def _write(self, action: machine.JournalIntent | machine.PublishFill, name: str) -> bool:
        is_intent = isinstance(action, machine.JournalIntent)
        journal = self._intents if is_intent else self._fills
        record = _encode(action.intent if isinstance(action, machine.JournalIntent) else action.fill)
        if self._mark(f"torn {name}"):
            journal._file.write(record[: len(record) // 2])
            journal._file.flush()
            return True
        journal.append(record)
        return self._mark(f"after {name}")

    def _answer(self, request: int, answer: Answer, delay_ns: int) -> None:
        self._in(delay_ns, self._of_this_life(lambda: self.handle(machine.Answered(request, answer))))

    def _connect_feed(self) -> None:
        if not self._is_dead:
            super()._connect_feed()

    def _connect_quoter(self, number: int) -> None:
        if not self._is_dead:
            super()._connect_quoter(number)

    def _lose_feed(self) -> None:
        if not self._is_dead:
            super()._lose_feed()

    # --- a bad line -----------------------------------------------------------------------------

    def _heard_if_alive(self, event: Event, life: int) -> Callable[[], None]:
        deliver = super()._heard_if_alive(event, life)

        def badly() -> None:
            if isinstance(event, machine.TradeSeen) and self._rng.random() < 0.3:
                # Again, and later than what follows it.
                self._in(self._rng.randrange(NS_PER_S, 8 * NS_PER_S), deliver)
            if isinstance(event, machine.TradeSeen) and self._rng.random() < 0.1:
                self._in(0, lambda: self._invent(event.trade))
            deliver()

        return badly

    def _invent(self, trade: OwnTrade) -> None:
        """A fill that the venue never made."""
        if self._is_over or self._is_dead or not self._is_feed_up:
            return
        self.ghosts += 1
        (part, *_) = trade.parts
        part = OwnPart(part.order_id, part.token_id, Side.BUY, part.price_e4, SHARE_E6)
        ghost = msgspec.structs.replace(
            trade,
            id=f"ghost-{self.ghosts}",
            evidence=Evidence.MATCHED,
            matched_ms=self.now_ns // NS_PER_MS,
            parts=(part,),
        )
        self.handle(machine.TradeSeen(ghost))

    def play(self) -> None:
        """Play, then let settlements end and ghosts be found out."""
        self.run(PLAYED_HOURS)
        self._until(self.now_ns + 3 * MINUTE)


def _name(thing: object) -> str:
    if isinstance(thing, machine.Send):
        return f"Send {type(thing.what).__name__}"
    if isinstance(thing, machine.Answered):
        return f"Answered {type(thing.answer).__name__}"
    if isinstance(thing, machine.TradeSeen):
        return f"TradeSeen {thing.trade.evidence.value}"
    return type(thing).__name__
