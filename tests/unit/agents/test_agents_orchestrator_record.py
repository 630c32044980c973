"""The orchestrator's record: its term and its assignments outlive it."""

from pathlib import Path

import pytest

from clawswarm.agents.orchestrator.allocator import Assignment
from clawswarm.agents.orchestrator.record import Record, load, save
from clawswarm.model.errors import UserFault

RECORD = Record(7, {"0xc": Assignment("quoter-1", 3), "0xd": Assignment("quoter-2", 1)})


def test_the_first_start_has_an_empty_record(tmp_path: Path) -> None:
    assert load(tmp_path / "record.json") == Record(0, {})


def test_a_record_survives(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator" / "record.json"
    save(path, RECORD)
    assert load(path) == RECORD


def test_every_start_is_a_higher_term(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    for term in (1, 2, 3):
        recorded = load(path)
        save(path, Record(recorded.term + 1, recorded.assignments))
        assert load(path).term == term


def test_the_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    save(path, RECORD)
    save(path, Record(8, {}))
    assert load(path) == Record(8, {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_a_crash_before_the_replacement_leaves_the_old_record(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    save(path, RECORD)
    path.with_suffix(".new").write_bytes(b'{"term":8,"assi')
    assert load(path) == RECORD
    save(path, Record(8, {}))
    assert load(path) == Record(8, {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"term":"seven"}',
        b'{"term":7,"assignments":{"0xc":{"quoter":"quoter-1"}}}',
        b'{"term":7,"unknown":1}',
        b"\xff\xfe\x00",
        b'{"term":7,"assignments":{"\xff":{"quoter":"q","epoch":1}}}',
    ],
)
def test_a_damaged_record_is_one_sentence_with_its_remedy(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(body)
    with pytest.raises(UserFault, match=r"record\.json is damaged .* delete the file and start again"):
        load(path)
