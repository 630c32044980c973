"""The lab tells right from wrong: nothing earns nothing, joining the touch loses, seeing the future wins."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Foresight, JoinTheTouch, Nothing
from test_strategy_desk import quoted_by

from clawswarm._core import Flow, Replay
from clawswarm.agents.quoter.strategy import MakeStrategy, load_strategy, search_space
from clawswarm.lab.accounting import Outcome, settle
from clawswarm.lab.backtest import LabFill, Run, RunTerms, run_backtest
from clawswarm.lab.flows import Recording, build_flow, load_recording
from clawswarm.model.errors import UserFault
from clawswarm.model.instruments import Side
from clawswarm.sandbox.recording import read_folder, read_recording, write_recording

SAMPLE = Path(__file__).parents[3] / "data" / "sample"
EXAMPLE = Path(__file__).parents[3] / "docs" / "lab" / "leaning_quoter.py"
RECORDINGS = [load_recording(path) for _, path in read_folder(SAMPLE)]
FIVE_MINUTES = [recording for recording in RECORDINGS if recording.market.duration_ms == 300_000]
DELAYS_MS = (0, 250)


def play(recording: Recording, make: MakeStrategy, delay_ms: int, seed: int = 1) -> Outcome:
    flow, terms = build_flow(recording, seed), RunTerms(taker_delay_ms=delay_ms)
    return settle(flow, run_backtest(flow, make, terms, seed), terms)


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
def test_an_empty_strategy_earns_exactly_nothing(delay_ms: int) -> None:
    for recording in RECORDINGS:
        outcome = play(recording, Nothing, delay_ms)
        assert (outcome.pnl_usd, outcome.drawdown_usd, outcome.orders, outcome.fills) == (0, 0, 0, 0)


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
def test_always_joining_the_touch_loses_as_it_did_in_the_recording(delay_ms: int) -> None:
    outcomes = [play(recording, JoinTheTouch, delay_ms) for recording in RECORDINGS]
    assert sum(outcome.pnl_usd for outcome in outcomes) < 0
    for outcome in outcomes:
        assert outcome.fills > 100
        assert outcome.adverse_selection_usd > outcome.spread_usd + outcome.rebates_usd, "what it dies of"


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
def test_seeing_a_tenth_of_a_second_ahead_makes_money(delay_ms: int) -> None:
    """In the 5-minute recordings: the others have a book each 1 to 8 s, where 100 ms show nothing."""
    for recording in FIVE_MINUTES:
        fair = build_flow(recording, 1).fair
        outcome = play(recording, lambda fair=fair: Foresight(fair), delay_ms)
        assert outcome.pnl_usd > 0
        assert outcome.fills > 50


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    recording = FIVE_MINUTES[0]
    first, again, other = (play(recording, JoinTheTouch, 250, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_messages_take_their_time_in_both_directions() -> None:
    flow = Flow()
    flow.levels(0, [(0, 4_900, 10_000_000), (1, 5_100, 10_000_000)])
    flow.taker(20, "SELL", 20_000_000, 4_900)
    flow.taker(40, "SELL", 20_000_000, 4_900)
    replay = Replay(flow, tick_e4=100, min_size_e6=5_000_000, ends_ns=100, feed_ns=7, order_ns=18)
    assert (replay.step(), replay.now_ns, replay.bid_e4) == (1, 7, 4_900)
    # It arrives at 25, after the first taker and before the second.
    replay.place("BUY", 4_900, 5_000_000, True)
    seen = []
    while kind := replay.step():
        if kind == 2 and replay.report is not None:
            seen.append((replay.now_ns, replay.report.state))
    assert seen == [(32, "live"), (47, "filled")]
    assert [fill.venue_ns for fill in replay.fills] == [40]


def test_a_strategy_sees_depth_and_flow_as_a_sentinel_shows_them() -> None:
    flow = Flow()
    bids = [(4_900, 10_000_000), (4_800, 20_000_000), (4_700, 30_000_000), (4_600, 40_000_000)]
    asks = [(5_100, 10_000_000), (5_200, 10_000_000), (5_300, 10_000_000)]
    flow.levels(0, [*((0, *level) for level in bids), *((1, *level) for level in asks)])
    # Eighty of the hundred that stand, in two prints.
    flow.taker(1_000_000_000, "SELL", 80_000_000, 4_600)
    replay = Replay(flow, tick_e4=100, min_size_e6=5_000_000, ends_ns=2_000_000_000, feed_ns=7)
    assert replay.step() == 1
    assert replay.top == (bids[:3], asks, 100)
    assert replay.features == (0.5, 0.0, pytest.approx(1 / 3), 0.0, 0.0, None, None)
    while replay.step():
        pass
    assert replay.top == ([(4_600, 20_000_000)], asks, 100)
    _, imbalance, _, order_flow, trade_flow, _, sweep = replay.features
    assert imbalance == pytest.approx(1 / 3)
    assert (order_flow, trade_flow) == (pytest.approx(-10.0), pytest.approx(-80.0))
    assert sweep == ("SELL", 80_000_000, 1_000_000_007)


def test_no_position_beyond_its_limit_and_no_money_beyond_the_capital() -> None:
    terms = RunTerms(max_position_shares=60, capital_usd=30)
    for recording in FIVE_MINUTES:
        net, fills = 0, run_backtest(build_flow(recording, 1), JoinTheTouch, terms, 1).fills
        assert fills
        for fill in fills:
            net += fill.side.sign * fill.size_e6
            assert abs(net) <= 60_000_000


def test_a_recording_of_the_touch_alone_is_refused_or_marked(tmp_path: Path) -> None:
    market, events = read_recording(next(SAMPLE.glob("*.claw")))
    path = tmp_path / "touch.claw"
    write_recording(path, msgspec.structs.replace(market, depth_levels=1), events)
    with pytest.raises(UserFault, match=r"1 level\(s\) a side.*--partial"):
        load_recording(path)
    assert play(load_recording(path, allow_partial=True), Nothing, 0).is_partial


fills = st.lists(
    st.builds(
        LabFill,
        side=st.sampled_from(Side),
        price_e4=st.integers(100, 9_900),
        size_e6=st.integers(1, 10**9),
        venue_ns=st.integers(0, 299 * 10**9),
    ),
    max_size=20,
)


@given(fills)
@settings(max_examples=100, deadline=None)
def test_the_parts_of_the_profit_add_up_to_the_cash_and_the_settlement(found: list[LabFill]) -> None:
    flow, terms = build_flow(FIVE_MINUTES[0], None), RunTerms()
    found.sort(key=lambda fill: fill.venue_ns)
    outcome = settle(flow, Run(tuple(found), 0, 0, 0, {}, 0), terms)
    assert flow.final_e4 is not None
    paid = sum(f.side.sign * f.size_e6 * (flow.final_e4 - f.price_e4) for f in found) / 1e10
    parts = outcome.spread_usd + outcome.rebates_usd + outcome.inventory_usd - outcome.adverse_selection_usd
    assert outcome.pnl_usd == pytest.approx(paid + outcome.rebates_usd, abs=1e-9)
    assert parts == pytest.approx(outcome.pnl_usd, abs=1e-6)


def test_the_documented_example_fits_fifty_lines_and_runs_in_the_lab_and_at_the_swarms_desk() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 50
    make = load_strategy(f"{EXAMPLE}:LeaningQuoter")
    assert search_space(make)
    assert play(FIVE_MINUTES[0], make, 250).fills > 0
    assert {place.side for plan in quoted_by(make) for place in plan.places} == set(Side)


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("nothing", "names no strategy"),
        ("no/such/file.py:Quoter", "cannot load"),
        (f"{EXAMPLE}:Nobody", "cannot load"),
        (f"{EXAMPLE}:PRICE_ONE", "no method quotes"),
    ],
)
def test_what_is_no_strategy_is_refused_in_a_sentence(named: str, says: str) -> None:
    with pytest.raises(UserFault, match=says):
        load_strategy(named)
