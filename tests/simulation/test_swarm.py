"""The whole swarm on virtual time: what holds under every fault, that runs repeat, that planted bugs are found."""

from itertools import count
from pathlib import Path

import pytest

from clawswarm.lab.simulation.faults import ProfileName
from clawswarm.lab.simulation.outcome import Outcome
from clawswarm.lab.simulation.swarm import Parts, Simulated, simulate
from clawswarm.runtime.configuration import load_configuration
from simulation.planted_bugs import PLANTED, Planted

pytestmark = pytest.mark.timeout(600)

CONFIGURATION = load_configuration(Path(__file__).parents[2] / "config" / "sandbox.toml")
SERIES = ("btc-5m", "eth-5m")
SEEDS = 20


def play(
    seed: int, seconds: float, profile: ProfileName, gap_s: float | None = None, parts: Parts | None = None
) -> Outcome:
    asked = Simulated(
        seed=seed,
        hours=seconds / 3_600,
        profile=profile,
        mean_gap_s=gap_s,
        reconcile_s=5.0,
        series=SERIES,
    )
    return simulate(asked, CONFIGURATION, parts)


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_no_invariant_breaks_in_a_storm(seed: int) -> None:
    outcome = play(seed, 30, "storm", gap_s=4.0)
    assert outcome.invariants_broken == ()
    assert outcome.orders > 0
    assert sum(outcome.deeds.values()) > 0


def test_a_seed_repeats_and_another_does_something_else() -> None:
    hashes = [play(seed, 20, "storm", gap_s=4.0).journal_hash for seed in (5, 5, 6)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_host_that_stands_still_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    swift = play(5, 20, "storm", gap_s=4.0)
    hours_s = count(0, 3_600)
    monkeypatch.setattr("aiohttp.connector.monotonic", lambda: next(hours_s))
    assert play(5, 20, "storm", gap_s=4.0).journal_hash == swift.journal_hash


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_bug_is_found(planted: Planted) -> None:
    for seed in range(1, SEEDS + 1):
        outcome = play(seed, 45, planted.profile, gap_s=5.0, parts=planted.parts)
        if found := [broken.invariant for broken in outcome.invariants_broken]:
            assert planted.invariant in found
            return
    pytest.fail(f"{SEEDS} seeds did not find it")


def test_the_guard_ends_silent_engines_and_withdraws_what_they_left() -> None:
    outcome = play(2, 60, "processes", gap_s=3.0)
    assert outcome.invariants_broken == ()
    assert outcome.deeds["guard"] > 0, "engines that it killed"
    assert outcome.counts["guard: the engine is silent"] > 0
