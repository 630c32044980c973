"""Feeds that die and feeds that are merely quiet."""

from collections.abc import Callable

from faults.swarm_run import SwarmRun, eventually

# Detection 0.5 s; the rest is a busy machine's. Shorter than the silence.
PULLED_S = 8.0
SILENCE_S = 12.0

# As it was, its places without its cancels or the other way round, both.
PLAN_STEPS = 3
ACQUAINTED = 5_000


def test_black_hole_pulls_every_quote_and_brings_them_back(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=6)
    run.control("POST", "/faults/black-hole", {"channel": "market", "seconds": SILENCE_S})
    eventually(lambda: run.open_orders() == {}, PULLED_S, "every quote is pulled")
    run.until_quoting(markets=6)
    code, _ = run.finish()
    assert code == 0


def test_a_quiet_market_keeps_its_quotes(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=6)
    # Until then the sentinels do not know how long this market's usual silences are.
    known = run.control("GET", "/journal")["events"] + ACQUAINTED
    eventually(lambda: run.control("GET", "/journal")["events"] > known, 60, "the market is known")
    market = next(iter(run.owners()))
    run.control("POST", "/faults/quiet", {"market": market, "seconds": 5})
    run.until_quoting(markets=6)
    seen = [run.open_orders(market).keys()]

    def is_over() -> bool:
        orders = run.open_orders(market).keys()
        assert orders, "a quiet market keeps its quotes"
        if orders != seen[-1]:
            seen.append(orders)
        assert len(seen) <= PLAN_STEPS, "nothing but the plan that was under way changes them"
        return run.control("GET", "/faults")["quiet"] == []

    eventually(is_over, 30, "the quiet time ends")
    code, _ = run.finish()
    assert code == 0
