"""The two journals that the ledger is made of, read on from a cursor."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from clawswarm.kernel.journal import read_on
from clawswarm.ledger.entries import AnyEntry
from clawswarm.ledger.store import Cursor, LedgerStore
from clawswarm.model.errors import UserFault
from clawswarm.model.fills import report_of
from clawswarm.model.messages import Fill

RECORDS_AT_ONCE = 10_000
FILLS = "fills"
OWN = "ledger"
_decode_fill = msgspec.msgpack.Decoder(Fill).decode
_decode_entry = msgspec.msgpack.Decoder(AnyEntry).decode


class LedgerFiles:
    """Where a run keeps what the ledger is made of, and the ledger."""

    def __init__(self, run_dir: Path) -> None:
        self.fills = run_dir / "engine" / "fills.journal"
        self.own = run_dir / "orchestrator" / "ledger.journal"
        self.database = run_dir / "orchestrator" / "ledger.db"

    def path(self, journal: str) -> Path:
        """File of a journal."""
        return self.fills if journal == FILLS else self.own


def checked(cursor: Cursor, path: Path) -> Cursor:
    """The cursor if the record it stands behind is still there, else the beginning.

    A power failure may take from a journal what was read before; reading it all again changes nothing.
    """
    behind = next(read_on(path, cursor.last_start), None)
    return cursor if behind is not None and behind[1] == cursor.last_end else Cursor()


def entries(path: Path, journal: str, cursor: Cursor) -> Iterator[tuple[Cursor, AnyEntry]]:
    """Records behind the cursor, each with the cursor behind it. Raises UserFault when one cannot be read."""
    for start, end, record in read_on(path, cursor.last_end):
        try:
            entry = report_of(_decode_fill(record)) if journal == FILLS else _decode_entry(record)
        except msgspec.MsgspecError as fault:
            raise UserFault(
                f"the record at byte {start} of {path} is unreadable ({fault}); it was written by another "
                "version of this program: start with another state_dir"
            ) from fault
        yield Cursor(start, end), entry


def take_in(store: LedgerStore, files: LedgerFiles, journal: str, cursor: Cursor) -> Cursor:
    """Take in everything behind the cursor, batch after batch; the cursor behind it."""
    stream = entries(files.path(journal), journal, cursor)
    while batch := list(islice(stream, RECORDS_AT_ONCE)):
        cursor = batch[-1][0]
        store.take(journal, [entry for _, entry in batch], cursor)
    return cursor
