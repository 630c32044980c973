"""The ledger is the same whatever the order of its records, however often they come, wherever it was cut off."""

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.ledger.entries import CASH, AnyEntry, BatchEnded
from clawswarm.ledger.projection import Balance, derive
from clawswarm.ledger.store import Cursor, LedgerStore
from clawswarm.model.errors import InvariantBroken
from clawswarm.model.fills import FillReport
from clawswarm.model.instruments import Side
from clawswarm.model.messages import Evidence, Outcome
from clawswarm.model.positions import BatchOutcome
from unit.ledger.histories import OPENED, OPENED_MS, SHARE, lives, plain_sum, report

steady = settings(deadline=None, derandomize=True, max_examples=60)


def mixed(found: list[list[AnyEntry]], random: Random) -> list[AnyEntry]:
    """What opens the ledger first; batches keep their own order, fills come in any, and everything comes again."""
    waiting = [list(life) for life in found[1:]]
    for life in waiting:
        if isinstance(life[0], FillReport):
            random.shuffle(life)
    told: list[AnyEntry] = [*found[0]]
    while any(waiting):
        told.append(random.choice([life for life in waiting if life]).pop(0))
        if random.random() < 0.3:
            told.append(random.choice(told))
    return told


def read(store: LedgerStore) -> dict[str, Balance]:
    return {asset: held for asset, held in store.balances().items() if held != Balance()}


def agrees(held: dict[str, Balance], found: list[list[AnyEntry]]) -> None:
    expected = {asset: both for asset, both in plain_sum(found).items() if both != (0, 0)}
    told = {asset: (balance.settled_e6, balance.expected_e6) for asset, balance in held.items()}
    assert {asset: both for asset, both in told.items() if both != (0, 0)} == expected


@given(lives(), st.integers(0, 2**32), st.integers(1, 9))
@steady
def test_any_order_any_repetition_any_batches(found: list[list[AnyEntry]], seed: int, size: int) -> None:
    told = mixed(found, Random(seed))
    with TemporaryDirectory() as folder:
        store = LedgerStore(Path(folder) / "ledger.db")
        for start in range(0, len(told), size):
            store.take("all", told[start : start + size], Cursor(start, start + size))
            if start % 2:
                # Cut off and opened again: the journal is read on from a place that it has passed already.
                store.close()
                store = LedgerStore(Path(folder) / "ledger.db")
        agrees(read(store), found)
        store.close()


@given(lives(), st.integers(0, 2**32))
@steady
def test_the_journals_alone_give_the_same(found: list[list[AnyEntry]], seed: int) -> None:
    told = mixed(found, Random(seed))
    once = list(dict.fromkeys(map(_Same, told)))
    agrees(derive(same.entry for same in once), found)


class _Same:
    """An entry that equals its repetition."""

    def __init__(self, entry: AnyEntry) -> None:
        self.entry = entry

    def __hash__(self) -> int:
        return hash(repr(self.entry))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.entry == other.entry


def test_what_a_fill_moves(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path / "ledger.db")
    sale_of_no = report(2, outcome=Outcome.NO, side=Side.BUY, price_e4=4_801, size_e6=3, fee_e6=2)
    store.take("all", [OPENED, report(1), sale_of_no], Cursor())
    held = store.balances()
    assert held["0xa:YES"] == Balance(settled_e6=3 * SHARE, in_e6=10 * SHARE)
    assert (held["0xa:YES"].low_e6, held["0xa:YES"].high_e6) == (3 * SHARE, 13 * SHARE)
    assert held["0xa:NO"] == Balance(out_e6=-3)
    # 10 × 0.48 paid; 3e-6 × 0.5199 rounded down received, less the fee.
    assert held[CASH] == Balance(settled_e6=100 * SHARE, out_e6=-4_800_000 - 1)
    store.take("all", [report(1, evidence=Evidence.CONFIRMED)], Cursor())
    assert store.balances()["0xa:YES"] == Balance(settled_e6=13 * SHARE)


def test_a_fill_before_the_opening_is_recorded_and_not_counted(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path / "ledger.db")
    early = report(1, matched_ms=OPENED_MS - 1_000)
    same_second = report(2, matched_ms=OPENED_MS // 1_000 * 1_000)
    store.take("all", [OPENED, early, same_second], Cursor())
    assert store.balances()["0xa:YES"].expected_e6 == 13 * SHARE
    assert len(store.evidence([early.key, same_second.key])) == 2


def test_a_batch_that_nobody_intended_cannot_end(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path / "ledger.db")
    with pytest.raises(InvariantBroken, match="never intended"):
        store.take("all", [BatchEnded(batch="b", outcome=BatchOutcome.FAILED, at_ms=1)], Cursor())
