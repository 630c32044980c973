"""The report: exactly the contract's keys, and null for what was not measured."""

import json
from pathlib import Path
from typing import Any

from clawswarm.kernel.histogram import Histogram
from clawswarm.runtime.profit import profit
from clawswarm.runtime.report import (
    Deadman,
    Failover,
    Governor,
    Inference,
    Latency,
    Orders,
    Percentiles,
    Report,
    Risk,
    Trading,
    percentiles,
    write_report,
)

# design.md §12, key by key.
PERCENTILES = {"p50", "p99", "p999", "n"}
CONTRACT: dict[str, Any] = {
    "mode": None,
    "duration_s": None,
    "agents": {"orchestrator", "sentinel", "quoter", "risk_manager"},
    "markets": None,
    "orders": {"placed", "cancelled", "filled", "rejected", "open_at_end"},
    "latency": {"feed_to_quoter_us", "tick_to_wire_us", "cycle_ms"},
    "governor": {
        *("limit_600s", "max_600s", "limit_10s", "max_10s", "utilisation"),
        # Beyond the contract: buckets, debt, and what the scarce tokens went to.
        *("tier", "cancel_reserve", "most_cancel_debt", "served", "outbid", "served_value", "outbid_value"),
    },
    "risk": {"band", "max_abs_ratio", "time_outside_s", "hedges"},
    "pnl_usd": {"spread", "rebates", "rewards", "funding", "hedge", "fees", "inventory", "total"},
    "quoting_uptime": None,
    "failovers": None,
    "deadman": None,
    "inference": {"decisions", "misses", "p50_ms", "p99_ms"},
    "warnings": None,
    "trading": {"seconds", "causes"},
}


def report() -> Report:
    """A run in which nothing was measured but its accidents."""
    nothing = percentiles(Histogram())
    return Report(
        mode="sandbox",
        duration_s=60.0,
        agents={"orchestrator": 1, "sentinel": 2, "quoter": 6, "risk_manager": 2},
        markets=4,
        orders=Orders(None, None, None, None, None),
        latency=Latency(nothing, nothing, nothing),
        governor=Governor(36_000, None, 3_500, *(None,) * 9),
        risk=Risk(0.05, None, None, None),
        pnl_usd=profit([], {}),
        quoting_uptime=None,
        failovers=(Failover("quoter-1: signal 9", 312.5), Failover("sentinel-1: exit code 1", None)),
        deadman=(Deadman("connection closed", 2, 12.5),),
        inference=Inference(),
        warnings=("takers are synthetic",),
        trading=Trading({}, ()),
    )


def written(folder: Path) -> dict[str, Any]:
    path = folder / "reports" / "report.json"
    write_report(report(), path)
    return json.loads(path.read_text())


def test_the_keys_are_the_contracts_and_in_its_order(tmp_path: Path) -> None:
    body = written(tmp_path)
    assert list(body) == list(CONTRACT)
    for name, keys in CONTRACT.items():
        if keys is not None:
            assert set(body[name]) == keys, name
    for latency in body["latency"].values():
        assert set(latency) == PERCENTILES
    assert [set(failover) for failover in body["failovers"]] == [{"cause", "resumed_ms"}] * 2
    assert [set(event) for event in body["deadman"]] == [{"cause", "cancelled", "ms"}]
    assert body["warnings"] == ["takers are synthetic"]


def test_what_was_not_measured_is_null_never_zero(tmp_path: Path) -> None:
    body = written(tmp_path)
    assert set(body["orders"].values()) == {None}
    assert body["latency"]["cycle_ms"] == {"p50": None, "p99": None, "p999": None, "n": 0}
    assert body["governor"]["max_600s"] is None
    assert body["quoting_uptime"] is None
    assert body["failovers"][1]["resumed_ms"] is None
    assert set(body["inference"].values()) == {None}


def test_the_file_is_for_people_too(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    assert text.endswith("}\n")
    assert '\n  "mode": "sandbox"' in text


def test_percentiles_are_in_the_wanted_unit() -> None:
    histogram = Histogram()
    for value in [1_000] * 90 + [16_000] * 10:
        histogram.add(value)
    measured = percentiles(histogram, 1000.0)
    assert measured.n == 100
    assert measured.p50 is not None
    assert measured.p99 is not None
    assert abs(measured.p50 - 1.0) <= 1 / 16
    assert abs(measured.p99 - 16.0) <= 1
    assert percentiles(Histogram()) == Percentiles(None, None, None, 0)
