"""The comparison is fair and says what it knows: same search, paired runs, honest intervals, one page."""

import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.agents.quoter.strategy import load_strategy, search_space
from clawswarm.lab.accounting import Outcome
from clawswarm.lab.baselines import BASELINES, SWARM_QUOTER
from clawswarm.lab.compare import TRIALS, Comparison, Request, compare, cost_interval, interval, trial_points
from clawswarm.lab.page import page, table
from clawswarm.model.errors import UserFault
from clawswarm.sandbox.recording import LevelsChanged, read_recording, write_recording

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "data" / "sample"
SHORT_MS = 40_000


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of the sample, cut to 40 s."""
    folder = tmp_path_factory.mktemp("short")
    for path in sorted(SAMPLE.glob("*.claw"))[:2]:
        market, events = read_recording(path)
        cut = [event for event in events if event.at_ms < SHORT_MS]
        write_recording(folder / path.name, msgspec.structs.replace(market, duration_ms=SHORT_MS), cut)
    return folder


@pytest.fixture(scope="module")
def found(short: Path) -> Comparison:
    told: list[str] = []
    request = Request(candidate=SWARM_QUOTER, data=short, tune=short, seeds=3, workers=1)
    return compare(request, told.append)


def test_every_strategy_searches_the_same_number_of_points() -> None:
    for strategy in (SWARM_QUOTER, *BASELINES.values()):
        assert len(trial_points(search_space(load_strategy(strategy)))) == TRIALS


def test_a_larger_space_gets_no_more_trials_and_always_the_same() -> None:
    space = {"a": tuple(map(float, range(10))), "b": tuple(map(float, range(10)))}
    assert len(trial_points(space)) == TRIALS
    assert trial_points(space) == trial_points(space)
    assert trial_points({}) == [{}]


def test_each_pair_is_one_flow_and_each_baseline_is_paired_at_both_delays(found: Comparison) -> None:
    assert [(p.baseline, p.taker_delay_ms, p.pairs) for p in found.paired] == [
        (name, delay_ms, 6) for name in BASELINES for delay_ms in (0, 250)
    ]
    for pair in found.paired:
        assert pair.risk_adjusted_low <= pair.risk_adjusted_median <= pair.risk_adjusted_high
        if pair.adverse_low is not None and pair.adverse_high is not None:
            assert pair.adverse_low <= pair.adverse_high
    assert all(note.is_in_sample for note in found.recordings)


def test_a_candidate_that_is_the_baseline_differs_by_nothing(short: Path) -> None:
    request = Request(candidate=BASELINES["fixed spread"], data=short, tune=short, seeds=2, workers=1)
    for pair in compare(request, lambda _line: None).paired:
        if pair.baseline == "fixed spread":
            differences = (
                pair.risk_adjusted_low,
                pair.risk_adjusted_median,
                pair.risk_adjusted_high,
                pair.pnl,
            )
            assert differences == (0, 0, 0, 0)


def test_the_page_is_one_file_that_loads_nothing(found: Comparison) -> None:
    html = page(found)
    assert html.count("<svg") >= 6
    for foreign in ("http://", "https://", "<script", "<link", "src=", "url("):
        assert foreign not in html
    for contestant in found.contestants:
        assert contestant.name in html
        assert contestant.name in table(found)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=5), min_size=1, max_size=8))
def test_an_interval_holds_its_median_and_stays_within_the_data(clusters: list[list[float]]) -> None:
    values = [value for cluster in clusters for value in cluster]
    middle, low, high = interval(clusters, Random(1))
    assert min(values) <= low <= high <= max(values)
    assert min(values) <= middle <= max(values)


def trades(cost_usd: float, shares: float) -> Outcome:
    known = dict.fromkeys(Outcome.__struct_fields__, 0) | {"markouts_usd": {}, "is_partial": False}
    return Outcome(**(known | {"adverse_selection_usd": cost_usd, "shares": shares}))


def test_the_cost_of_a_share_is_a_ratio_of_sums_and_none_without_trades() -> None:
    cheap, dear, idle = trades(1.0, 100.0), trades(9.0, 300.0), trades(0.0, 0.0)
    assert cost_interval([[(cheap, dear)], [(idle, dear)]], Random(1))[0] == pytest.approx(0.01 - 0.03)
    middle, low, high = cost_interval([[(cheap, dear)], [(dear, cheap)]], Random(1))
    assert middle == 0.0
    assert low is not None
    assert high is not None
    assert low < 0.0 < high
    assert cost_interval([[(idle, dear)]], Random(1)) == (None, None, None)


def test_touch_only_recordings_are_skipped_by_name_and_refused_when_nothing_is_left(tmp_path: Path) -> None:
    market, _ = read_recording(next(SAMPLE.glob("*.claw")))
    touch = msgspec.structs.replace(market, depth_levels=1, duration_ms=1_000)
    write_recording(tmp_path / "touch.claw", touch, [LevelsChanged(0, ((0, 4_900, 1), (1, 5_100, 1)))])
    told: list[str] = []
    with pytest.raises(UserFault, match="--partial"):
        compare(Request(candidate=SWARM_QUOTER, data=tmp_path, tune=tmp_path), told.append)
    assert "touch.claw" in told[0]


def claw(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clawswarm", "lab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=110)


def test_the_command_prints_json_and_writes_the_page(short: Path, tmp_path: Path) -> None:
    html = tmp_path / "page.html"
    example = "docs/lab/leaning_quoter.py:LeaningQuoter"
    folders = ("--data", str(short), "--tune", str(short))
    done = claw("compare", "--candidate", example, *folders, "--seeds", "1", "--json", "--html", str(html))
    assert done.returncode == 0, done.stderr
    decoded = msgspec.json.decode(done.stdout, type=Comparison)
    assert decoded.candidate == example
    assert html.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("compare", "--data", "/nowhere"), "no folder of recordings at /nowhere"),
        (("compare", "--candidate", "nobody.py:X"), "cannot load the strategy"),
        (("compare", "--html", "/nowhere/page.html"), "cannot write /nowhere/page.html"),
        (("convert", "/nowhere", "/tmp/never"), "no folder at /nowhere"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: tuple[str, ...], says: str) -> None:
    done = claw(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_convert_names_what_it_skips(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "in" / name).mkdir(parents=True)
    done = claw("convert", str(tmp_path / "in"), str(tmp_path / "out"))
    assert done.returncode == 2
    for name in ("one", "two"):
        assert f"in/{name}" in done.stdout.replace("\n", "")
