"""The database: what it refuses, what it says of a period, what it exports."""

import csv
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from sqlalchemy import Engine, event

from clawswarm.kernel.journal import Journal
from clawswarm.ledger.journals import FILLS, OWN, LedgerFiles, checked, take_in
from clawswarm.ledger.period import COLUMNS, MarketPeriod, export, read_period
from clawswarm.ledger.store import Cursor, LedgerStore
from clawswarm.ledger.verify import verify
from clawswarm.model.errors import UserFault
from clawswarm.model.fills import FillReport
from clawswarm.model.instruments import Side
from clawswarm.model.messages import Evidence, Outcome
from clawswarm.model.positions import AccountBalances
from clawswarm.model.units import PRICE_ONE_E4
from unit.ledger.histories import MARKETS, OPENED, OPENED_MS, SHARE, report

encode = msgspec.msgpack.Encoder().encode
MOMENTS = st.integers(OPENED_MS, OPENED_MS + 5)
# Whole cents: what a spread comes to is whole then, whatever the sizes.
FACTS = {
    "market": st.sampled_from(MARKETS),
    "evidence": st.sampled_from(Evidence),
    "matched_ms": MOMENTS,
    "outcome": st.sampled_from(Outcome),
    "side": st.sampled_from(Side),
    "price_e4": st.integers(1, 99).map(lambda cents: 100 * cents),
    "size_e6": st.integers(1, 10_000).map(lambda cents: 10_000 * cents),
    "fee_e6": st.integers(0, 1_000),
    "fair_e4": st.none() | st.integers(1, 99).map(lambda cents: 100.0 * cents),
}


@pytest.fixture
def store(tmp_path: Path) -> LedgerStore:
    return LedgerStore(tmp_path / "ledger.db")


def test_another_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    LedgerStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(UserFault, match=r"version 7 .* writes version 1; move it away") as told:
        LedgerStore(path)
    assert len(str(told.value).splitlines()) == 1


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(UserFault, match="not a database"):
        LedgerStore(path)


def test_a_ledger_that_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UserFault, match="there is no ledger"):
        LedgerStore(tmp_path / "none.db", must_exist=True)


def test_a_period_adds_up_market_by_market(store: LedgerStore) -> None:
    bought = report(1, evidence=Evidence.CONFIRMED)
    sold = report(2, side=Side.SELL, price_e4=5_200, size_e6=4 * SHARE, fair_e4=5_000.0)
    failed = report(3, evidence=Evidence.FAILED)
    unknown = report(4, market="0xb", outcome=Outcome.NO, fair_e4=None)
    later = report(5, matched_ms=OPENED_MS + 10_000)
    store.take("all", [OPENED, bought, sold, failed, unknown, later], Cursor())
    period = read_period(store, OPENED_MS, OPENED_MS + 10_000)
    first, second = period.markets
    assert (first.market, first.fills, first.failed, first.pending) == ("0xa", 2, 1, 1)
    assert (first.bought_e6, first.sold_e6, first.net_e6) == (10 * SHARE, 4 * SHARE, 6 * SHARE)
    assert first.cash_e6 == -4_800_000 + 2_080_000
    assert first.spread_e6 == 100_000 + 80_000
    assert second.spread_e6 is None, "a fair value that is not known is none"
    assert sum(market.fills for market in read_period(store, None, None).markets) == 4


def added_up(market: str, fills: list[FillReport]) -> MarketPeriod:
    """A market's fills, the plain way."""
    real = [told for told in fills if told.evidence is not Evidence.FAILED]
    bought_e6 = sum(told.size_e6 for told in real if told.side is Side.BUY)
    sold_e6 = sum(told.size_e6 for told in real if told.side is Side.SELL)
    edges = [
        told.side.sign * told.size_e6 * (round(told.fair_e4) - told.price_e4) // PRICE_ONE_E4
        for told in real
        if told.fair_e4 is not None
    ]
    return MarketPeriod(
        market=market,
        fills=len(real),
        failed=len(fills) - len(real),
        pending=sum(told.evidence.rank < Evidence.CONFIRMED.rank for told in real),
        bought_e6=bought_e6,
        sold_e6=sold_e6,
        net_e6=bought_e6 - sold_e6,
        cash_e6=sum(told.cash_e6 for told in real),
        fees_e6=sum(told.fee_e6 for told in real),
        spread_e6=sum(edges) if len(edges) == len(real) else None,
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.builds(report, st.integers(1, 99), **FACTS), max_size=30), MOMENTS)
def test_a_period_is_what_its_fills_come_to(reports: list[FillReport], until_ms: int) -> None:
    held = {told.key: told for told in reports}.values()
    by_market: dict[str, list[FillReport]] = {}
    for told in held:
        if told.matched_ms < until_ms:
            by_market.setdefault(told.market, []).append(told)
    with TemporaryDirectory() as folder:
        store = LedgerStore(Path(folder) / "ledger.db")
        store.take("all", list(held), Cursor())
        found = read_period(store, None, until_ms)
        store.close()
    assert found.markets == tuple(added_up(market, fills) for market, fills in sorted(by_market.items()))


def test_a_period_is_read_from_its_index_alone(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path / "ledger.db")
    plans = []

    def explain(connection: Any, _cursor: object, statement: str, told: Any, *_rest: object) -> None:
        plan = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", told)
        plans.extend(step[3] for step in plan if "fills" in step[3])

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        read_period(store, None, OPENED_MS)
        store.oldest_pending_ms()
    finally:
        event.remove(Engine, "before_cursor_execute", explain)
    sums, oldest = plans
    assert "COVERING INDEX fills_by_kind" in sums
    assert "INDEX fills_pending" in oldest


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_export_has_every_fill(store: LedgerStore, tmp_path: Path, ending: str) -> None:
    store.take("all", [OPENED, report(1), report(2, fair_e4=None, evidence=Evidence.FAILED)], Cursor())
    path = tmp_path / f"fills.{ending}"
    assert export(store, path, None, None) == 2
    if ending == "csv":
        rows = list(csv.DictReader(path.open()))
        assert rows[0]["size_e6"] == str(10 * SHARE)
        assert rows[1]["fair_e4"] == ""
    else:
        rows = parquet.read_table(path).to_pylist()
        assert (rows[0]["size_e6"], rows[1]["fair_e4"]) == (10 * SHARE, None)
    assert tuple(rows[0]) == COLUMNS
    assert [row["evidence"] for row in rows] == ["MATCHED", "FAILED"]
    assert (rows[0]["outcome"], rows[0]["side"], rows[0]["market"]) == ("YES", "BUY", "0xa")


def test_an_export_has_a_known_ending(store: LedgerStore, tmp_path: Path) -> None:
    with pytest.raises(UserFault, match=r"neither in \.csv nor in \.parquet"):
        export(store, tmp_path / "fills.xls", None, None)
    with pytest.raises(UserFault, match="cannot write"):
        export(store, tmp_path / "nowhere" / "fills.csv", None, None)


def test_only_the_engine_knows_whose_a_fill_was(store: LedgerStore) -> None:
    stranger = report(1, owner="", fair_e4=None, evidence=Evidence.CONFIRMED)
    store.take("all", [OPENED, stranger], Cursor())
    store.take("all", [report(1, evidence=Evidence.MATCHED)], Cursor())
    (market,) = read_period(store, None, None).markets
    assert (market.pending, market.spread_e6) == (0, 100_000)


def written(run_dir: Path, reports: list[FillReport]) -> LedgerFiles:
    """The own journal of a run."""
    files = LedgerFiles(run_dir)
    journal = Journal(files.own)
    for entry in (OPENED, *reports):
        journal.append(encode(entry))
    journal.close()
    return files


def test_a_torn_tail_waits_and_nothing_before_it_is_lost(tmp_path: Path) -> None:
    files = written(tmp_path, [report(1), report(2)])
    whole = files.own.read_bytes()
    store = LedgerStore(files.database)
    for end in range(len(whole) - 60, len(whole)):
        files.own.write_bytes(whole[:end])
        cursor = take_in(store, files, OWN, Cursor())
        assert len(store.evidence([report(1).key, report(2).key])) == 1
    files.own.write_bytes(whole)
    take_in(store, files, OWN, cursor)
    assert len(store.evidence([report(1).key, report(2).key])) == 2


def test_a_journal_that_lost_what_was_read_is_read_again(tmp_path: Path) -> None:
    files = written(tmp_path, [report(1), report(2)])
    store = LedgerStore(files.database)
    cursor = take_in(store, files, OWN, Cursor())
    assert checked(cursor, files.own) == cursor == store.cursor(OWN)
    # The power went off: the last record is gone, and another takes its place.
    files.own.write_bytes(files.own.read_bytes()[: cursor.last_start])
    journal = Journal(files.own)
    journal.append(encode(report(30, size_e6=SHARE)))
    journal.append(encode(report(4)))
    journal.close()
    take_in(store, files, OWN, checked(cursor, files.own))
    assert len(store.evidence(report(number).key for number in (1, 2, 30, 4))) == 4


def test_a_record_of_another_version_is_named(tmp_path: Path) -> None:
    files = LedgerFiles(tmp_path)
    journal = Journal(files.fills)
    journal.append(encode({"type": "Fill", "trade_id": "t"}))
    with pytest.raises(UserFault, match=r"byte 0 of .*fills\.journal"):
        take_in(LedgerStore(files.database), files, FILLS, Cursor())


def test_verify_finds_what_was_changed_behind_its_back(tmp_path: Path) -> None:
    files = written(tmp_path, [report(1, evidence=Evidence.CONFIRMED)])
    store = LedgerStore(files.database)
    take_in(store, files, OWN, Cursor())
    right = AccountBalances(95_200_000, {"0xa:YES": 13 * SHARE})
    assert verify(store, files, None).is_ok
    assert verify(store, files, right).is_ok
    wrong = verify(store, files, AccountBalances(95_200_001, {"0xa:YES": 13 * SHARE}))
    assert [check.asset for check in wrong.assets if not check.is_inside] == ["cash"]
    with sqlite3.connect(files.database) as connection:
        connection.execute("UPDATE balances SET settled_e6 = settled_e6 - 1 WHERE asset = '0xa:YES'")
    found = verify(store, files, None)
    assert not found.is_ok
    assert [check.asset for check in found.assets if not check.is_derived] == ["0xa:YES"]
