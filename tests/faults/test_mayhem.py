"""Random deaths, hangs and cut sockets: the venue's own log shows no instant that should not be."""

from pathlib import Path

import pytest
from benchmarks.mayhem import Caps, judge, play

from clawswarm.sandbox.order_log import OrderChange, RequestSeen

CAPS = Caps(position_e6=100, capital_e6=100, requests=(2, 3))
OWNERS = {"0x1": "quoter-1", "0x2": "quoter-2", "0x3": "quoter-1"}


@pytest.mark.timeout(300)
def test_whatever_dies_or_hangs_nobody_trades_twice_and_no_cap_is_exceeded(tmp_path: Path) -> None:
    done, verdict = play(tmp_path, seconds=40.0, seed=7)
    # How many of each is the machine's affair.
    assert sum(done.values()) >= 5
    assert verdict.orders >= 12
    assert verdict.wrong == ()
    assert verdict.most_owners == 1


def change(at_ns: int, order_id: str, open_e6: int, matched_e6: int = 0, is_bid: bool = True) -> OrderChange:
    return OrderChange(
        at_ns=at_ns,
        kind="PLACEMENT",
        id=order_id,
        market="0xa",
        is_bid=is_bid,
        price_e4=5_000,
        open_e6=open_e6,
        matched_e6=matched_e6,
    )


def request(at_s: float, kind: str = "REQUEST") -> RequestSeen:
    return RequestSeen(at_ns=round(at_s * 1e9), kind=kind, method="POST", path="/order")


@pytest.mark.parametrize(
    ("log", "fault"),
    [
        ([change(1, "0x1", 10), change(2, "0x2", 10)], "2: orders of quoter-1, quoter-2 in 0xa"),
        ([change(1, "0x9", 10)], "1: order 0x9 is in no journal"),
        ([change(1, "0x1", 101)], "1: a position of 101 could be reached in 0xa"),
        ([change(1, "0x1", 0, 60), change(2, "0x3", 41)], "2: a position of 101 could be reached in 0xa"),
        (
            [change(1, "0x1", 100), change(2, "0x3", 100, is_bid=False), change(3, "0x3", 104, is_bid=False)],
            "3: a position of 104 could be reached in 0xa",
        ),
        ([request(0, "REFUSED")], "0: POST /order was answered 429"),
        ([request(0), request(1), request(9.9)], "3 place requests within 10 s"),
        ([request(0), request(20), request(40), request(599)], "4 place requests within 600 s"),
    ],
)
def test_the_judge_sees_what_is_wrong(log: list[OrderChange | RequestSeen], fault: str) -> None:
    assert fault in judge(log, OWNERS, CAPS).wrong


def test_the_judge_finds_nothing_where_nothing_is() -> None:
    log = [
        request(0),
        change(1, "0x1", 50),
        change(2, "0x1", 20, 30),
        change(3, "0x1", 0, 30),
        change(4, "0x2", 70),
        change(5, "0x2", 0, 0),
        request(10),
        request(20),
    ]
    assert judge(log, OWNERS, CAPS).wrong == ()
