"""The simulated market is a recording like any other, and its figures stand beside the recorded ones."""

from itertools import pairwise
from pathlib import Path

from strategies import Nothing

from clawswarm.lab.backtest import RunTerms, run_backtest
from clawswarm.lab.calibration import Figure
from clawswarm.lab.flows import Recording, build_flow
from clawswarm.lab.participants import simulate_market
from clawswarm.sandbox.recording import LevelsChanged, TakerArrived, read_recording, write_recording

SHORT_MS = 20_000


def test_a_simulated_market_is_written_and_read_like_a_recording(tmp_path: Path) -> None:
    simulated = simulate_market(3, SHORT_MS)
    path = tmp_path / "simulated.claw"
    write_recording(path, simulated.market, simulated.events)
    market, events = read_recording(path)
    assert (market, list(events)) == (simulated.market, simulated.events)
    assert set(market.synthetic) == {"book", "reference", "takers"}


def test_the_same_seed_gives_the_same_market_and_another_another() -> None:
    assert simulate_market(3, SHORT_MS) == simulate_market(3, SHORT_MS)
    assert simulate_market(3, SHORT_MS).events != simulate_market(4, SHORT_MS).events


def test_the_simulated_book_is_never_crossed_and_takers_meet_it() -> None:
    levels: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for event in simulate_market(5, SHORT_MS).events:
        if isinstance(event, LevelsChanged):
            for side, price_e4, size_e6 in event.changes:
                assert 0 < price_e4 < 10_000
                levels[side][price_e4] = size_e6
                if not size_e6:
                    del levels[side][price_e4]
            if levels[0] and levels[1]:
                assert max(levels[0]) < min(levels[1])
        elif isinstance(event, TakerArrived):
            opposite = levels[1] if event.side == "BUY" else levels[0]
            best = min(opposite) if event.side == "BUY" else max(opposite)
            assert best <= event.limit_e4 if event.side == "BUY" else best >= event.limit_e4


def test_times_are_in_order_and_it_replays() -> None:
    simulated = simulate_market(6, SHORT_MS)
    assert all(first.at_ms <= second.at_ms for first, second in pairwise(simulated.events))
    flow = build_flow(Recording(simulated.market, simulated.events), None)
    assert run_backtest(flow, Nothing, RunTerms(), 1).fills == ()


def test_a_figure_within_fifteen_percent_of_the_recorded_range_is_matched() -> None:
    assert Figure("in", 10, 20, 15).deviation == 0
    assert Figure("near", 10, 20, 22.9).is_matched
    assert not Figure("far", 10, 20, 23.1).is_matched
    assert not Figure("low", 10, 20, 8.4).is_matched
