"""The ledger's database: batches of records in, balances out; one transaction a batch, on the disk at its end.

Taking in the same record twice, or records in another order, changes nothing (projection.py): after a crash the
journals are simply read on from where the last transaction ended.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError

from clawswarm.ledger import schema
from clawswarm.ledger.entries import AnyEntry, Opened
from clawswarm.ledger.intake import Intake, known_evidence
from clawswarm.ledger.projection import Balance
from clawswarm.model.messages import Evidence, FillKey


class Cursor(msgspec.Struct, frozen=True):
    """Begin and end of the last record of a journal that was taken in; 0, 0 before the first."""

    last_start: int = 0
    last_end: int = 0


class OpenBatch(msgspec.Struct, frozen=True):
    """A batch of the relayer whose end is not known."""

    batch: str
    nonce: int
    transaction_id: str | None
    at_ms: int


class LedgerStore:
    """One account's ledger. Every method raises UserFault when the database cannot be used."""

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        self._path = path
        self._engine = schema.open_database(path, must_exist=must_exist)

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def take(self, journal: str, entries: Sequence[AnyEntry], cursor: Cursor) -> None:
        """Take in records of a journal, and remember up to where."""
        try:
            with self._engine.begin() as connection:
                Intake(connection).take(entries)
                values = {"journal": journal, **msgspec.structs.asdict(cursor)}
                statement = insert(schema.cursors).values(values)
                connection.execute(statement.on_conflict_do_update(index_elements=["journal"], set_=values))
        except DBAPIError as fault:
            raise schema.unusable(self._path, fault) from fault

    def cursor(self, journal: str) -> Cursor:
        """Up to where a journal was taken in."""
        table = schema.cursors
        rows = self.read(select(table.c.last_start, table.c.last_end).where(table.c.journal == journal))
        return Cursor(*rows[0]) if rows else Cursor()

    def opened(self) -> Opened | None:
        """When and with which collateral the ledger began; the tokens are among the balances."""
        table = schema.opening
        rows = self.read(select(table.c.wallet, table.c.at_ms, table.c.cash_e6))
        return Opened(wallet=rows[0][0], at_ms=rows[0][1], cash_e6=rows[0][2], tokens_e6={}) if rows else None

    def balances(self) -> dict[str, Balance]:
        """Every asset that ever moved."""
        table = schema.balances
        rows = self.read(select(table.c.asset, table.c.settled_e6, table.c.in_e6, table.c.out_e6))
        return {asset: Balance(settled, in_, out) for asset, settled, in_, out in rows}

    def evidence(self, keys: Iterable[FillKey]) -> dict[FillKey, Evidence]:
        """What is known of these fills."""
        with self._engine.connect() as connection:
            return known_evidence(connection, list(keys))

    def market_names(self) -> dict[int, str]:
        """Condition ids by their numbers in the table of fills."""
        table = schema.markets
        return dict(map(tuple, self.read(select(table.c.number, table.c.market))))

    def oldest_pending_ms(self) -> int | None:
        """When the oldest fill was matched whose settlement has no end yet."""
        table = schema.fills
        rows = self.read(
            select(table.c.matched_ms).where(schema.IS_PENDING).order_by(table.c.matched_ms).limit(1)
        )
        return rows[0][0] if rows else None

    def open_batches(self) -> list[OpenBatch]:
        """Batches of the relayer whose end is not known, the oldest first."""
        table = schema.batches
        rows = self.read(
            select(table.c.batch, table.c.nonce, table.c.transaction_id, table.c.at_ms)
            .where(table.c.evidence == Evidence.MATCHED.rank)
            .order_by(table.c.at_ms)
        )
        return [OpenBatch(*row) for row in rows]

    def merged_e6(self) -> dict[str, int]:
        """Pairs by market that were merged, or may have been."""
        flows, batches = schema.flows, schema.batches
        rows = self.read(
            select(flows.c.market, flows.c.cash_e6)
            .join(batches, batches.c.batch == flows.c.batch)
            .where(flows.c.kind == "merge", batches.c.evidence != Evidence.FAILED.rank)
        )
        merged: dict[str, int] = {}
        for market, pairs_e6 in rows:
            merged[market] = merged.get(market, 0) + pairs_e6
        return merged

    def read(self, statement: Any) -> list[Any]:
        """Every row of a statement."""
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(statement))
        except DBAPIError as fault:
            raise schema.unusable(self._path, fault) from fault

    def stream(self, statement: Any, rows: int) -> Iterator[Sequence[Any]]:
        """The rows of a statement, so many at once."""
        try:
            with self._engine.connect() as connection:
                yield from connection.execution_options(yield_per=rows).execute(statement).partitions()
        except DBAPIError as fault:
            raise schema.unusable(self._path, fault) from fault
