"""What the orchestrator must not forget. One small file, replaced whole.

Its term, who owns which market, which pairs it took out to merge, what it used of the relayer's allowance, what
the venue owed it each day.
"""

import os
from pathlib import Path

import msgspec

from clawswarm.agents.orchestrator.allocator import Assignment
from clawswarm.agents.orchestrator.income import Income
from clawswarm.agents.orchestrator.unwinding import Allowance
from clawswarm.model.errors import UserFault


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Contents of the file."""

    term: int = 0
    assignments: dict[str, Assignment] = {}
    merged_e6: dict[str, int] = {}
    allowance: Allowance = Allowance()
    income: Income = Income()


def load(path: Path) -> Record:
    """Read the record, an empty one on the first start. Raises UserFault when it is damaged."""
    if not path.exists():
        return Record()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise UserFault(
            f"{path} is damaged ({fault}); stop the swarm, delete the file and start again"
        ) from fault


def save(path: Path, record: Record) -> None:
    """Replace the file; it is on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(record))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
