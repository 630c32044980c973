"""What the orchestrator must not forget, in two small files that are replaced whole.

    standing   of the state directory: the term, what only the operator lifts
    record     of the run: who owns which market under what mandate, the relayer's allowance, what the venue owed
               each day

The term is the fence: it grows with every start, and a writer whose term is not the newest writes nothing. So an
orchestrator that was stopped and wakes up after its successor has begun changes nothing.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from clawswarm.agents.orchestrator.allocator import Assignment
from clawswarm.agents.orchestrator.income import Income
from clawswarm.agents.orchestrator.swarm_state import Standing, Watermarks
from clawswarm.agents.orchestrator.unwinding import Allowance
from clawswarm.model.errors import InvariantBroken, UserFault
from clawswarm.model.messages import Mandate

T = TypeVar("T")


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Contents of the run's file; `mandates` are those published last, as they are without any brake."""

    assignments: dict[str, Assignment] = {}
    mandates: tuple[Mandate, ...] = ()
    allowance: Allowance = Allowance()
    income: Income = Income()
    watermarks: Watermarks = Watermarks()


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Contents of the state directory's file."""

    term: int = 0
    standing: Standing = Standing()


class DurableStore:
    """Both files, under one term. Raises UserFault when one is damaged or cannot be written."""

    def __init__(self, standing_path: Path, record_path: Path) -> None:
        self._standing_path, self._record_path = standing_path, record_path
        for path in (standing_path, record_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            found = _load(standing_path, Term)
            self.term, self.standing = found.term + 1, found.standing
            _save(standing_path, Term(self.term, self.standing))
            self.record = _load(record_path, Record)
            self._seen = self._sight()

    def keep(self, standing: Standing | None = None, **changes: object) -> None:
        """Change standing or record; it is on the disk when this returns.

        Raises InvariantBroken, and changes nothing, when a later orchestrator has begun.
        """
        record = msgspec.structs.replace(self.record, **changes)
        if standing in (None, self.standing) and record == self.record and self._seen == self._sight():
            return
        with self._locked():
            newest = _load(self._standing_path, Term).term
            if newest != self.term:
                raise InvariantBroken(f"a later orchestrator has begun (term {newest}, own {self.term})")
            if standing is not None and standing != self.standing:
                self.standing = standing
                _save(self._standing_path, Term(self.term, standing))
            if record != self.record:
                self.record = record
                _save(self._record_path, record)
            self._seen = self._sight()

    def _sight(self) -> tuple[int, int] | None:
        """What changes whenever the file of the term is replaced: nobody has begun while it stays."""
        try:
            found = self._standing_path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._standing_path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _load(path: Path, kind: type[T]) -> T:
    if not path.exists():
        return kind()
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise UserFault(
            f"{path} is damaged ({fault}); stop the swarm, delete the file and start again"
        ) from fault


def _save(path: Path, contents: object) -> None:
    """Replace the file; it is on the disk when this returns."""
    fresh = path.with_suffix(".new")
    try:
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(contents))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as fault:
        raise UserFault(
            f"cannot write {path} ({fault.strerror}); make room or give another state_dir"
        ) from fault
