"""Feeds that die and feeds that are merely quiet."""

from collections.abc import Callable

from clawswarm.kernel.clock import SystemClock, ns
from clawswarm.kernel.silence import Silence
from faults.swarm_run import SwarmRun, eventually

# Detection 0.5 s; the rest is a busy machine's. Shorter than the silence.
PULLED_S = 8.0
SILENCE_S = 12.0

# A moving reference moves quotes: between cancel and place there may be none, but not for long.
REPLACED_S = 1.5
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
    clock = SystemClock()
    bare = Silence(clock.now_ns())

    def is_over() -> bool:
        if run.open_orders(market):
            bare.hear(clock.now_ns())
        assert bare.look(clock.now_ns()) < ns(REPLACED_S), "a quiet market keeps its quotes"
        return run.control("GET", "/faults")["quiet"] == []

    eventually(is_over, 30, "the quiet time ends")
    code, _ = run.finish()
    assert code == 0
