"""What outlives the orchestrator, and who may still write it."""

from pathlib import Path

import pytest

from clawswarm.agents.orchestrator.allocator import Assignment
from clawswarm.agents.orchestrator.record import DurableStore, Record
from clawswarm.agents.orchestrator.swarm_state import Standing
from clawswarm.agents.orchestrator.unwinding import Allowance
from clawswarm.model.errors import InvariantBroken, UserFault
from clawswarm.model.messages import SwarmState

ASSIGNMENTS = {"0xc": Assignment("quoter-1", 3), "0xd": Assignment("quoter-2", 1)}
HALTED = Standing({"operator": SwarmState.HALTED}, 5, 6)


def open_store(folder: Path, run: int = 1) -> DurableStore:
    return DurableStore(folder / "standing.json", folder / f"runs/{run}/orchestrator/record.json")


def test_the_first_start_has_an_empty_record(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert (store.term, store.standing, store.record) == (1, Standing(), Record())


def test_every_start_is_a_higher_term_and_knows_what_was_kept(tmp_path: Path) -> None:
    open_store(tmp_path).keep(HALTED, assignments=ASSIGNMENTS)
    for term in (2, 3):
        store = open_store(tmp_path)
        assert (store.term, store.standing) == (term, HALTED)
        assert store.record.assignments == ASSIGNMENTS


def test_another_run_has_a_record_of_its_own_and_the_same_standing(tmp_path: Path) -> None:
    open_store(tmp_path).keep(HALTED, assignments=ASSIGNMENTS)
    store = open_store(tmp_path, run=2)
    assert (store.term, store.standing, store.record) == (2, HALTED, Record())


def test_one_whose_successor_has_begun_writes_nothing(tmp_path: Path) -> None:
    old = open_store(tmp_path)
    new = open_store(tmp_path)
    new.keep(HALTED, assignments=ASSIGNMENTS)
    for change in ({"assignments": {}}, {"allowance": Allowance(used=1)}):
        with pytest.raises(InvariantBroken, match="a later orchestrator has begun"):
            old.keep(Standing(), **change)
    with pytest.raises(InvariantBroken, match="a later orchestrator has begun"):
        old.keep()
    third = open_store(tmp_path)
    assert (third.standing, third.record) == (HALTED, Record(ASSIGNMENTS))


def test_a_crash_before_the_replacement_leaves_the_old_record(tmp_path: Path) -> None:
    open_store(tmp_path).keep(HALTED, assignments=ASSIGNMENTS)
    for path in (tmp_path / "standing.json", tmp_path / "runs/1/orchestrator/record.json"):
        path.with_suffix(".new").write_bytes(b'{"term":8,"stan')
    store = open_store(tmp_path)
    assert (store.term, store.standing, store.record.assignments) == (2, HALTED, ASSIGNMENTS)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("standing", b""),
        ("standing", b'{"term":"seven"}'),
        ("standing", b'{"term":7,"standing":{"latched":{"x":"drunk"}}}'),
        ("standing", b'{"term":7,"unknown":1}'),
        ("record", b"{"),
        ("record", b"[]"),
        ("record", b'{"assignments":{"0xc":{"quoter":"quoter-1"}}}'),
        ("record", b"\xff\xfe\x00"),
        ("record", b'{"assignments":{"\xff":{"quoter":"q","epoch":1}}}'),
    ],
)
def test_a_damaged_file_is_one_sentence_with_its_remedy(tmp_path: Path, name: str, body: bytes) -> None:
    open_store(tmp_path).keep(HALTED, assignments=ASSIGNMENTS)
    path = next(tmp_path.rglob(f"{name}.json"))
    path.write_bytes(body)
    with pytest.raises(UserFault, match=rf"{name}\.json is damaged .* delete the file and start again"):
        open_store(tmp_path)


def test_a_place_that_cannot_be_written_is_one_sentence_with_its_remedy(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    # A folder where the new file should be: root may write where others may not.
    (tmp_path / "standing.new").mkdir()
    with pytest.raises(
        UserFault, match=r"cannot write .*standing\.json .* make room or give another state_dir"
    ):
        store.keep(HALTED)
