"""Records into one transaction of the ledger's database: what is new of them, and how balances change by it."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, case, func, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert

from clawswarm.ledger import schema
from clawswarm.ledger.entries import (
    CASH,
    OUTCOME_EVIDENCE,
    Adjusted,
    AnyEntry,
    BatchEnded,
    BatchIntended,
    BatchSent,
    Opened,
    action_effects,
    fill_effects,
)
from clawswarm.ledger.projection import Changes, holds, is_before, joined
from clawswarm.model.errors import InvariantBroken
from clawswarm.model.fills import FillReport, token_asset
from clawswarm.model.messages import Evidence, FillKey, Outcome

IDS_AT_ONCE = 900
_EVIDENCE = tuple(Evidence)

_OF_TRADES = select(
    schema.fills.c.trade_id, schema.fills.c.order_id, schema.fills.c.bucket_index, schema.fills.c.evidence
).where(schema.fills.c.trade_id.in_(bindparam("ids", expanding=True)))
# As text with rows of values, for a named parameter a column costs more than the row's insertion.
_INSERT = str(insert(schema.fills).compile(dialect=sqlite.dialect()))
# Whose fill it was and what was fair only the engine knows, whoever reported it first.
_TELL = (
    update(schema.fills)
    .where(
        schema.fills.c.trade_id == bindparam("t"),
        schema.fills.c.order_id == bindparam("o"),
        schema.fills.c.bucket_index == bindparam("b"),
    )
    .values(
        evidence=bindparam("e"),
        owner=case((schema.fills.c.owner == "", bindparam("w")), else_=schema.fills.c.owner),
        fair_e4=func.coalesce(schema.fills.c.fair_e4, bindparam("f")),
    )
)


class Intake:
    """Records into one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._changes = Changes()

    def take(self, entries: Sequence[AnyEntry]) -> None:
        # What opens the ledger decides which fills count, and batches come before what is said of them.
        reports = []
        for entry in entries:
            match entry:
                case FillReport():
                    reports.append(entry)
                case Opened():
                    self._open(entry)
                case Adjusted():
                    self._adjust(entry)
                case BatchIntended():
                    self._intend(entry)
                case BatchSent(batch=batch, transaction_id=transaction_id):
                    self._update_batch(batch, transaction_id=transaction_id)
                case BatchEnded():
                    self._end(entry)
        if reports:
            self._take_fills(reports)
        self._write_balances()

    def _open(self, entry: Opened) -> None:
        values = {"wallet": entry.wallet, "at_ms": entry.at_ms, "cash_e6": entry.cash_e6}
        if self._is_new(insert(schema.opening).values(values)):
            self._changes.move({**entry.tokens_e6, CASH: entry.cash_e6 or 0}, None, Evidence.CONFIRMED)

    def _adjust(self, entry: Adjusted) -> None:
        is_cash = entry.asset == CASH
        market, _, outcome = entry.asset.partition(":")
        values = {
            "id": f"adjusted {entry.asset} {entry.at_ms}",
            "batch": None,
            "kind": "adjustment",
            "market": "" if is_cash else market,
            "yes_e6": entry.amount_e6 if outcome == Outcome.YES else 0,
            "no_e6": entry.amount_e6 if outcome == Outcome.NO else 0,
            "cash_e6": entry.amount_e6 if is_cash else 0,
            "cause": entry.cause,
            "at_ms": entry.at_ms,
        }
        if self._is_new(insert(schema.flows).values(values)):
            self._changes.move({entry.asset: entry.amount_e6}, None, Evidence.CONFIRMED)

    def _intend(self, entry: BatchIntended) -> None:
        row = {"batch": entry.batch, "nonce": entry.nonce, "transaction_id": None, "at_ms": entry.at_ms}
        row["evidence"] = Evidence.MATCHED.rank
        if not self._is_new(insert(schema.batches).values(row)):
            return
        for number, action in enumerate(entry.actions):
            flow = {
                "id": f"{entry.batch} {number}",
                "batch": entry.batch,
                "kind": action.kind.value,
                "market": action.market,
                "yes_e6": -action.yes_e6,
                "no_e6": -action.no_e6,
                "cash_e6": action.worth_e6,
                "cause": "",
                "at_ms": entry.at_ms,
            }
            self._connection.execute(insert(schema.flows).values(flow))
            self._changes.move(action_effects(action), None, Evidence.MATCHED)

    def _end(self, entry: BatchEnded) -> None:
        after = OUTCOME_EVIDENCE[entry.outcome]
        batches, flows = schema.batches, schema.flows
        rank = self._connection.execute(
            select(batches.c.evidence).where(batches.c.batch == entry.batch)
        ).scalar_one_or_none()
        if rank is None:
            raise InvariantBroken(f"the batch {entry.batch} ended and was never intended")
        before = _EVIDENCE[rank]
        if not holds(before, after):
            return
        self._update_batch(entry.batch, evidence=after.rank)
        for market, yes_e6, no_e6, cash_e6 in self._connection.execute(
            select(flows.c.market, flows.c.yes_e6, flows.c.no_e6, flows.c.cash_e6).where(
                flows.c.batch == entry.batch
            )
        ):
            tokens = {token_asset(market, Outcome.YES): yes_e6, token_asset(market, Outcome.NO): no_e6}
            self._changes.move({**tokens, CASH: cash_e6}, before, after)

    def _update_batch(self, batch: str, **values: object) -> None:
        self._connection.execute(
            update(schema.batches).where(schema.batches.c.batch == batch).values(**values)
        )

    def _is_new(self, statement: Any) -> bool:
        return self._connection.execute(statement.on_conflict_do_nothing()).rowcount == 1

    def _take_fills(self, reports: Sequence[FillReport]) -> None:
        opened_ms = self._connection.execute(select(schema.opening.c.at_ms)).scalar() or 0
        held = joined(reports)
        known = known_evidence(self._connection, list(held))
        numbers = self._market_numbers({report.market for report in held.values()})
        fresh, told = [], []
        for key, report in held.items():
            before = known.get(key)
            if before is not None and (report.owner or holds(before, report.evidence)):
                told.append(
                    {
                        "t": key[0],
                        "o": key[1],
                        "b": key[2],
                        "e": max(before.rank, report.evidence.rank),
                        "w": report.owner,
                        "f": report.fair_e4,
                    }
                )
            if not holds(before, report.evidence):
                continue
            is_counted, effects = not is_before(report, opened_ms), fill_effects(report)
            if is_counted:
                self._changes.move(effects, before, report.evidence)
            if before is None:
                fresh.append(_row(report, numbers[report.market], effects[CASH], is_counted))
        if fresh:
            self._connection.exec_driver_sql(_INSERT, fresh)
        if told:
            self._connection.execute(_TELL, told)

    def _market_numbers(self, names: set[str]) -> dict[str, int]:
        table = schema.markets
        new = insert(table).on_conflict_do_nothing()
        self._connection.execute(new, [{"market": name} for name in sorted(names)])
        rows = self._connection.execute(select(table.c.market, table.c.number))
        return {name: number for name, number in rows if name in names}

    def _write_balances(self) -> None:
        table = schema.balances
        for asset, change in self._changes.by_asset.items():
            values = {"asset": asset, **msgspec.structs.asdict(change)}
            statement = insert(table).values(values)
            risen = {
                name: table.c[name] + statement.excluded[name] for name in ("settled_e6", "in_e6", "out_e6")
            }
            self._connection.execute(statement.on_conflict_do_update(index_elements=["asset"], set_=risen))


def known_evidence(connection: Connection, keys: Sequence[FillKey]) -> dict[FillKey, Evidence]:
    """What the table knows of these fills."""
    wanted = set(keys)
    ids = list({key[0] for key in keys})
    found: dict[FillKey, Evidence] = {}
    for first in range(0, len(ids), IDS_AT_ONCE):
        some = {"ids": ids[first : first + IDS_AT_ONCE]}
        for trade_id, order_id, bucket_index, rank in connection.execute(_OF_TRADES, some):
            if (key := (trade_id, order_id, bucket_index)) in wanted:
                found[key] = _EVIDENCE[rank]
    return found


def _row(report: FillReport, market: int, cash_e6: int, is_counted: bool) -> tuple[object, ...]:
    """In the order of the table's columns."""
    return (
        report.trade_id,
        report.order_id,
        report.bucket_index,
        report.evidence.rank,
        report.matched_ms,
        market,
        report.owner,
        int(report.outcome is Outcome.YES),
        report.side.sign,
        report.price_e4,
        report.size_e6,
        report.fee_e6,
        cash_e6,
        report.fair_e4,
        int(is_counted),
    )
