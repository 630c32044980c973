"""A period of the ledger: what was traded, market by market, and how the position moved; exported row by row.

In the YES frame a fill at p, with f fair when it was seen, earns side·(f − p)·size of spread; the rest of a fill's
worth is what the inventory made of it. A fill that failed is none.
"""

import csv
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Integer, Select, and_, case, cast, func, select

from clawswarm.ledger import schema
from clawswarm.ledger.store import LedgerStore
from clawswarm.model.errors import UserFault
from clawswarm.model.messages import Evidence, Outcome
from clawswarm.model.units import PRICE_ONE_E4

ROWS_AT_ONCE = 50_000
_EVIDENCE = tuple(Evidence)
COLUMNS = (
    "trade_id",
    "order_id",
    "bucket_index",
    "evidence",
    "matched_ms",
    "market",
    "owner",
    "outcome",
    "side",
    "price_e4",
    "size_e6",
    "fee_e6",
    "cash_e6",
    "fair_e4",
)


class MarketPeriod(msgspec.Struct, frozen=True):
    """One market in a period; money and shares in 1e-6.

    `spread_e6` is null when a fill had no fair value; `net_e6` is the change of YES less NO.
    """

    market: str
    fills: int
    failed: int
    pending: int
    bought_e6: int
    sold_e6: int
    net_e6: int
    cash_e6: int
    fees_e6: int
    spread_e6: int | None


class FlowPeriod(msgspec.Struct, frozen=True):
    """Merges, redemptions, adjustments of a period, by kind."""

    kind: str
    count: int
    cash_e6: int


class Period(msgspec.Struct, frozen=True):
    """What `claw report` prints; [from_ms, until_ms) on the venue's clock, null is unbounded."""

    from_ms: int | None
    until_ms: int | None
    markets: tuple[MarketPeriod, ...]
    flows: tuple[FlowPeriod, ...]


def read_period(store: LedgerStore, from_ms: int | None, until_ms: int | None) -> Period:
    """Add a period up. Raises UserFault when the database cannot be used."""
    flows, batches = schema.flows, schema.batches
    # Summed in the order of an index first: a sort by market would cost more than all the sums.
    kinds = _kinds(from_ms, until_ms).subquery().c
    is_real = kinds.evidence != Evidence.FAILED.rank

    def total(condition: Any, value: Any) -> Any:
        return func.coalesce(func.sum(case((condition, value), else_=0)), 0)

    edge = func.sum(case((is_real, kinds.edge), else_=0.0)) / PRICE_ONE_E4
    unfair = func.sum(case((is_real, kinds.fills - kinds.fair), else_=0))
    statement = select(
        kinds.market,
        total(is_real, kinds.fills),
        total(~is_real, kinds.fills),
        total(kinds.evidence < Evidence.CONFIRMED.rank, kinds.fills),
        total(and_(is_real, kinds.side > 0), kinds.size_e6),
        total(and_(is_real, kinds.side < 0), kinds.size_e6),
        total(is_real, kinds.size_e6 * kinds.side),
        total(is_real, kinds.cash_e6),
        total(is_real, kinds.fee_e6),
        case((unfair == 0, cast(func.round(edge), Integer)), else_=None),
    ).group_by(kinds.market)
    happened = select(flows.c.kind, func.count(), func.sum(flows.c.cash_e6)).outerjoin(
        batches, batches.c.batch == flows.c.batch
    )
    counted = func.coalesce(batches.c.evidence, Evidence.CONFIRMED.rank) == Evidence.CONFIRMED.rank
    grouped = happened.where(counted, *_within(flows.c.at_ms, from_ms, until_ms)).group_by(flows.c.kind)
    names = store.market_names()
    markets = [MarketPeriod(names[number], *rest) for number, *rest in store.read(statement)]
    return Period(
        from_ms=from_ms,
        until_ms=until_ms,
        markets=tuple(sorted(markets, key=lambda row: row.market)),
        flows=tuple(FlowPeriod(*row) for row in store.read(grouped.order_by(flows.c.kind))),
    )


def _kinds(from_ms: int | None, until_ms: int | None) -> Select[Any]:
    """Sums over the fills of one market, evidence and side."""
    fills = schema.fills.c
    kind = (fills.market, fills.evidence, fills.side)
    edge = fills.size_e6 * fills.side * (fills.fair_e4 - fills.price_e4)
    sums = {"size_e6": fills.size_e6, "cash_e6": fills.cash_e6, "fee_e6": fills.fee_e6, "edge": edge}
    return (
        select(
            *kind,
            func.count().label("fills"),
            func.count(fills.fair_e4).label("fair"),
            *(func.sum(value).label(name) for name, value in sums.items()),
        )
        .where(*_within(fills.matched_ms, from_ms, until_ms))
        .group_by(*kind)
    )


def export(store: LedgerStore, path: Path, from_ms: int | None, until_ms: int | None) -> int:
    """Write a period's fills, failed ones included, as CSV or Parquet; how many there were.

    Raises:
        UserFault: the ending is neither .csv nor .parquet, or the file cannot be written.
    """
    writers: dict[str, Callable[[Path, Iterator[list[tuple[Any, ...]]]], int]] = {
        ".csv": _write_csv,
        ".parquet": _write_parquet,
    }
    write = writers.get(path.suffix)
    if write is None:
        raise UserFault(f"{path} ends neither in .csv nor in .parquet; name the export one of them")
    fills = schema.fills
    statement = (
        select(fills).where(*_within(fills.c.matched_ms, from_ms, until_ms)).order_by(fills.c.matched_ms)
    )
    names = store.market_names()
    pages = store.stream(statement, ROWS_AT_ONCE)
    try:
        return write(path, ([_exported(row, names[row.market]) for row in page] for page in pages))
    except OSError as fault:
        raise UserFault(f"cannot write {path} ({fault.strerror}); choose another place") from fault


def _exported(row: Any, market: str) -> tuple[Any, ...]:
    """In the order of COLUMNS, ranks and signs in words."""
    return (
        row.trade_id,
        row.order_id,
        row.bucket_index,
        _EVIDENCE[row.evidence].value,
        row.matched_ms,
        market,
        row.owner,
        (Outcome.YES if row.is_yes else Outcome.NO).value,
        "BUY" if row.side > 0 else "SELL",
        row.price_e4,
        row.size_e6,
        row.fee_e6,
        row.cash_e6,
        row.fair_e4,
    )


def _write_csv(path: Path, pages: Iterator[list[tuple[Any, ...]]]) -> int:
    count = 0
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for page in pages:
            writer.writerows(page)
            count += len(page)
    return count


def _write_parquet(path: Path, pages: Iterator[list[tuple[Any, ...]]]) -> int:
    # Heavy to load, no other part of the ledger needs it, and it ships no usable types.
    pa: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    texts = {"trade_id", "order_id", "evidence", "market", "owner", "outcome", "side"}
    kinds = [
        pa.string() if name in texts else pa.float64() if name == "fair_e4" else pa.int64()
        for name in COLUMNS
    ]
    layout = pa.schema(list(zip(COLUMNS, kinds, strict=True)))
    count = 0
    with parquet.ParquetWriter(path, layout) as writer:
        for page in pages:
            columns = list(zip(*page, strict=True))
            arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
            writer.write_table(pa.table(arrays, schema=layout))
            count += len(page)
    return count


def _within(moment: Any, from_ms: int | None, until_ms: int | None) -> list[Any]:
    conditions = []
    if from_ms is not None:
        conditions.append(moment >= from_ms)
    if until_ms is not None:
        conditions.append(moment < until_ms)
    return conditions
