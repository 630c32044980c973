"""What makes a row null, what a row shows, and the accounts of a load; no figure is measured here."""

import io
import subprocess
import sys
import tomllib

import msgspec
import pytest
from benchmarks import measure
from benchmarks.measure import Missing, NotMeasured, Observation, Row, observe, row_of
from benchmarks.order_path import _account
from benchmarks.quoter_child import Loaded
from benchmarks.rig import CONFIGURATION, _toml
from benchmarks.run import WIDTH, below, table
from benchmarks.swarm_quotes import Jump, endangered
from rich.console import Console

from clawswarm.runtime.configuration import load_configuration
from clawswarm.sandbox.order_log import OrderChange

LONGEST_NAME = "engine.failover_blackhole_rtt40"
GOOD = Loaded(
    sent=10,
    acknowledged=10,
    refused=[],
    unacknowledged=0,
    repeated=0,
    cancelled=9,
    uncancelled=0,
    open=["a", "b"],
    late_ms=0.0,
    took=[1.0],
)
_BURN = """
import time
while time.process_time() < 0.5:
    pass
print("burnt", flush=True)
input()
"""


def test_a_busy_machine_gives_no_figure_but_a_reason() -> None:
    row = row_of("engine.x", "ms", Observation([1.0, 2.0], {"one": [1.0, 2.0]}), other_cores=0.2)
    assert (row.p50, row.p99, row.max, row.splits) == (None, None, None, ())
    assert row.reason == "other processes used 20% of a core"


def test_the_longest_sample_is_told_by_its_stages() -> None:
    stages = {"detection": [1.0, 7.0, 2.0], "cancel": [1.0, 2.0, 3.0]}
    row = row_of("engine.x", "ms", Observation([2.0, 9.0, 5.0], stages), other_cores=0.0)
    assert row.max == 9.0
    assert [(split.name, split.p50, split.at_max) for split in row.splits] == [
        ("detection", 2.0, 7.0),
        ("cancel", 2.0, 2.0),
    ]
    assert "  max 9 ms = detection 7 + cancel 2" in below(row)


def test_what_does_not_exist_is_asked_for_once() -> None:
    asked = []

    def run() -> Observation:
        asked.append(1)
        raise Missing("there is no guard")

    row = observe("engine.x", "ms", run)
    assert len(asked) == 1
    assert row.p50 is None
    assert row.reason is not None
    assert row.reason.startswith("there is no guard")


def test_a_living_child_is_its_own() -> None:
    before = measure._descendants_s()
    child = subprocess.Popen(
        [sys.executable, "-c", _BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "burnt\n"
    used_s = measure._descendants_s() - before
    child.communicate("\n")
    assert used_s > 0.4


def test_names_are_never_cut_and_no_line_is_too_long() -> None:
    row = Row(LONGEST_NAME, "orders/s", 20_000, 12345.678, 98765.432, "a peer", 1234.56, 0.0123, 0.0, None)
    row = msgspec.structs.replace(row, notes=("word " * 60,), max=1.0)
    shown = io.StringIO()
    Console(file=shown, width=WIDTH).print(table([row]))
    assert LONGEST_NAME in shown.getvalue()
    assert "98765" in shown.getvalue()
    lines = [*shown.getvalue().splitlines(), *below(row)]
    assert max(len(line.rstrip()) for line in lines) <= WIDTH


def test_a_load_of_which_every_order_is_known_counts() -> None:
    _account(GOOD, {"a", "b"}, events=2 * (10 + 1 + 9))


@pytest.mark.parametrize(
    ("changed", "still_open", "events"),
    [
        ({"unacknowledged": 1, "acknowledged": 9}, {"a", "b"}, 40),
        ({"repeated": 1}, {"a", "b"}, 40),
        ({"uncancelled": 1}, {"a", "b"}, 40),
        ({"refused": ["rate"]}, {"a", "b"}, 40),
        ({}, {"a"}, 40),
        ({}, {"a", "b", "c"}, 40),
        ({}, {"a", "b"}, 42),
    ],
)
def test_a_load_with_one_order_astray_does_not(
    changed: dict[str, object], still_open: set[str], events: int
) -> None:
    with pytest.raises(NotMeasured):
        _account(msgspec.structs.replace(GOOD, **changed), still_open, events)


def test_the_bench_writes_the_configuration_it_has_read() -> None:
    settings = msgspec.json.decode(msgspec.json.encode(load_configuration(CONFIGURATION)))
    assert tomllib.loads("\n".join(_toml(settings))) == _without_none(settings)


def _without_none(table_: dict[str, object]) -> dict[str, object]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table_.items()
        if value is not None
    }


def test_a_jump_endangers_what_it_moves_towards() -> None:
    def change(at_ms: int, order_id: str, is_bid: bool, open_e6: int) -> OrderChange:
        return OrderChange(
            at_ns=at_ms * 1_000_000, kind="UPDATE", id=order_id, market="0x1", is_bid=is_bid, price_e4=5_000,
            open_e6=open_e6, matched_e6=0,
        )  # fmt: skip

    log = [
        change(0, "gone before", False, 5), change(1, "bid", True, 5), change(2, "ask", False, 5),
        change(3, "gone before", False, 0), change(4, "stays", False, 5),
        change(30, "placed after", False, 5), change(60, "ask", False, 0), change(200, "bid", True, 0),
    ]  # fmt: skip
    assert endangered(log, [Jump(10_000_000, is_up=True)]) == [50.0, 1_190.0]
    assert endangered(log, [Jump(10_000_000, is_up=False)]) == [190.0]
    assert endangered([], [Jump(10_000_000, is_up=True)]) == []
