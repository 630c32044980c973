"""Feeds that die and feeds that are merely quiet."""

from collections.abc import Callable

from faults.swarm_run import SwarmRun, eventually

DETECTION_S = 0.5
REACTION_S = 1.0


def test_black_hole_pulls_every_quote_and_brings_them_back(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=6)
    run.control("POST", "/faults/black-hole", {"channel": "market", "seconds": 5})
    eventually(lambda: run.open_orders() == {}, DETECTION_S + REACTION_S, "every quote is pulled")
    run.until_quoting(markets=6)
    code, _ = run.finish()
    assert code == 0


def test_a_quiet_market_keeps_its_quotes(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=6)
    market = next(iter(run.owners()))
    run.control("POST", "/faults/quiet", {"market": market, "seconds": 5})
    run.until_quoting(markets=6)
    quiet = run.open_orders(market)
    assert quiet

    def is_over() -> bool:
        assert run.open_orders(market).keys() == quiet.keys(), "a quiet market keeps its quotes"
        return run.control("GET", "/faults")["quiet"] == []

    eventually(is_over, 10, "the quiet time ends")
    code, _ = run.finish()
    assert code == 0
