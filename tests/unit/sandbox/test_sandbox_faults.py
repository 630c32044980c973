"""The switchboard: which request meets which fault, and for how long."""

from clawswarm.sandbox.faults import FaultSwitchboard, RequestFault

S = 1_000_000_000


def fault(**changes: object) -> RequestFault:
    facts: dict[str, object] = {"kind": "reset", "method": "POST", "path": "/order", "until_ns": 5 * S}
    return RequestFault(**(facts | changes))


def test_a_fault_meets_its_method_and_path_only() -> None:
    board = FaultSwitchboard()
    board.add(fault())
    assert len(board.met_by("POST", "/order", 0)) == 1
    assert board.met_by("DELETE", "/order", 0) == []
    assert board.met_by("POST", "/orders", 0) == []
    board.add(fault(method="*", path="/data/"))
    assert len(board.met_by("GET", "/data/orders", 0)) == 1


def test_a_fault_ends_by_time_or_by_number() -> None:
    board = FaultSwitchboard()
    board.add(fault(requests_left=2))
    assert [len(board.met_by("POST", "/order", now)) for now in (0, 1, 2)] == [1, 1, 0]
    board.add(fault())
    assert len(board.met_by("POST", "/order", 5 * S - 1)) == 1
    assert board.met_by("POST", "/order", 5 * S) == []
    assert board.request_faults == []


def test_jitter_is_seeded_and_bounded() -> None:
    late = fault(kind="latency", latency_ms=100, jitter_ms=50)
    delays = [
        [board.delay_s(late) for _ in range(50)] for board in (FaultSwitchboard(3), FaultSwitchboard(3))
    ]
    assert delays[0] == delays[1]
    assert all(0.1 <= delay <= 0.15 for delay in delays[0])
    assert len(set(delays[0])) > 1


def test_black_holes_are_told_apart() -> None:
    board = FaultSwitchboard()
    board.open_black_hole(5 * S, "user")
    assert board.black_hole_left_ns(2 * S, "user") == 3 * S
    assert board.black_hole_left_ns(2 * S, "market") == 0
    board.clear()
    assert board.black_hole_left_ns(2 * S, "user") == 0
