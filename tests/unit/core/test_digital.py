"""Digital and Asian digital: against simulated paths, finite differences and the Python reference."""

import math
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawswarm._core import MarketTerms, ReferencePath, average_digital, consistent, digital
from unit.core import quoting_reference as reference

SIGMA_USD, WINDOW_S, SPAN_S, STRIKE = 4.0, 60.0, 300.0, 65_000.0
PATHS = 40_000


@dataclass(frozen=True)
class Case:
    """One instant of a window's life; averages are what was seen of them so far."""

    name: str
    to_close_s: float
    spot: float
    strike: float | None
    final: float | None


CASES = [
    Case("before both windows", 400.0, 65_010.0, None, None),
    Case("while the strike forms", 330.0, 65_020.0, 65_000.0, None),
    Case("just before the strike is fixed", 302.0, 65_020.0, 65_000.0, None),
    Case("before the final window", 150.0, 65_020.0, STRIKE, None),
    Case("at its beginning", 60.0, 64_990.0, STRIKE, None),
    Case("inside it", 30.0, 65_006.0, STRIKE, 64_998.0),
    Case("at its end", 5.0, 65_004.0, STRIKE, 64_999.9),
]


def simulated(case: Case, spot: float, seed: int) -> float:
    """Share of paths whose final average is at or above the strike.

    A Brownian path over a segment of length h from x: its end is x + W, and given W the mean of its integral is
    h·(x + W/2) with variance h³/12, so whole segments are drawn without discretisation error.
    """
    borders = [left_s for left_s in (SPAN_S + WINDOW_S, SPAN_S, WINDOW_S, 0.0) if left_s < case.to_close_s]
    rng, ups = Random(seed), 0
    seen_final_s = max(WINDOW_S - case.to_close_s, 0.0)
    seen_strike_s = min(max(WINDOW_S - (case.to_close_s - SPAN_S), 0.0), WINDOW_S)
    for _ in range(PATHS):
        price, left_s = spot, case.to_close_s
        final = (case.final or 0.0) * seen_final_s
        strike = (case.strike or 0.0) * seen_strike_s
        for border_s in borders:
            h = left_s - border_s
            moved = rng.gauss(0, SIGMA_USD * math.sqrt(h))
            area = h * (price + moved / 2) + rng.gauss(0, SIGMA_USD * math.sqrt(h**3 / 12))
            if border_s < WINDOW_S:
                final += area
            elif SPAN_S <= border_s < SPAN_S + WINDOW_S:
                strike += area
            price, left_s = price + moved, border_s
        ups += final >= strike
    return ups / PATHS


def valued(case: Case, spot: float) -> tuple[float, float]:
    found = average_digital(spot, SIGMA_USD, case.to_close_s, WINDOW_S, SPAN_S, case.strike, case.final)
    return found.probability, found.delta


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_asian_digital_agrees_with_simulated_paths(case: Case) -> None:
    probability, delta = valued(case, case.spot)
    error = 4 * math.sqrt(max(probability * (1 - probability), 1e-3) / PATHS)
    assert simulated(case, case.spot, 1) == pytest.approx(probability, abs=error)
    # The same draws on both sides: the difference is the slope, nearly free of noise.
    bump = 0.35 * SIGMA_USD * math.sqrt(case.to_close_s) + 1.0
    slope = (simulated(case, case.spot + bump, 2) - simulated(case, case.spot - bump, 2)) / (2 * bump)
    wide = (valued(case, case.spot + bump)[0] - valued(case, case.spot - bump)[0]) / (2 * bump)
    assert slope == pytest.approx(wide, abs=0.01 / bump + 0.02 * abs(wide))
    narrow = (valued(case, case.spot + 1e-4)[0] - valued(case, case.spot - 1e-4)[0]) / 2e-4
    assert delta == pytest.approx(narrow, rel=1e-4, abs=1e-9)


def test_digital_agrees_with_simulated_prices() -> None:
    sigma, r, strike = 1e-3, 900.0, 65_300.0
    found = digital(65_000.0, strike, sigma, r)
    rng, ups = Random(3), 0
    for _ in range(PATHS):
        ups += 65_000.0 * math.exp(rng.gauss(0, sigma * math.sqrt(r)) - 0.5 * sigma**2 * r) >= strike
    assert ups / PATHS == pytest.approx(found.probability, abs=0.01)


spots = st.floats(64_900, 65_100)


@given(spots, st.floats(2e-5, 2e-4), st.floats(1, 90_000))
def test_sensitivities_of_the_digital_are_its_finite_differences(spot: float, sigma: float, r: float) -> None:
    found = digital(spot, STRIKE, sigma, r)
    step, wide = 1e-3, 0.05
    up, down = (digital(spot + s, STRIKE, sigma, r).probability for s in (step, -step))
    assert found.delta == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-8)
    above, below = (digital(spot + s, STRIKE, sigma, r).delta for s in (wide, -wide))
    assert found.gamma == pytest.approx((above - below) / (2 * wide), rel=1e-2, abs=1e-7)
    more, less = (digital(spot, STRIKE, sigma * (1 + s), r).probability for s in (1e-6, -1e-6))
    assert found.vega == pytest.approx((more - less) / (2e-6 * sigma), rel=1e-3, abs=1e-2)
    assert found.probability == pytest.approx(reference.digital(spot, STRIKE, sigma, r), abs=1e-9)


@given(
    spot=spots,
    sigma=st.floats(0.5, 10),
    r=st.floats(0.5, 1_000),
    window=st.sampled_from([30.0, 60.0]),
    strike=spots,
    final=spots,
    is_listed=st.booleans(),
)
def test_asian_digital_equals_the_reference_and_its_finite_differences(
    spot: float, sigma: float, r: float, window: float, strike: float, final: float, is_listed: bool
) -> None:
    span = None if is_listed else 300.0
    found = average_digital(spot, sigma, r, window, span, strike, final)
    probability, delta = reference.average_digital(spot, sigma, r, window, span, strike, final)
    assert found.probability == pytest.approx(probability, abs=1e-9)
    assert found.delta == pytest.approx(delta, abs=1e-9)
    more, less = (
        average_digital(spot, sigma * (1 + s), r, window, span, strike, final).probability
        for s in (1e-6, -1e-6)
    )
    assert found.vega == pytest.approx((more - less) / (2e-6 * sigma), rel=1e-3, abs=1e-5)
    up, down = (average_digital(spot + s, sigma, r, window, span, strike, final).delta for s in (1e-4, -1e-4))
    assert found.gamma == pytest.approx((up - down) / 2e-4, rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("left_s", [60.0, 300.0, 360.0])
def test_phases_meet_without_a_step(left_s: float) -> None:
    """At a phase's border the averages seen so far are those of the border: nothing, or all of the strike."""
    spot, so_far = 65_010.0, 65_004.0
    before, after = (
        average_digital(spot, SIGMA_USD, left_s + shift, WINDOW_S, SPAN_S, so_far, spot).probability
        for shift in (1e-7, -1e-7)
    )
    assert before == pytest.approx(after, abs=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        (math.nan, 4.0, 100.0, 60.0, None, STRIKE),
        (STRIKE, 0.0, 100.0, 60.0, None, STRIKE),
        (STRIKE, 4.0, 0.0, 60.0, None, STRIKE),
        (STRIKE, 4.0, -5.0, 60.0, None, STRIKE),
        (STRIKE, 4.0, 100.0, 60.0, None, None),
        (STRIKE, 4.0, 30.0, 60.0, None, STRIKE),
        (STRIKE, 4.0, 330.0, 60.0, 300.0, None),
    ],
)
def test_what_is_not_known_has_no_value(arguments: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"known|positive|ended"):
        average_digital(*arguments)


# --- the path of the underlying ---------------------------------------------------------------------


def walk(seed: int, seconds: int, gap: float = 0.0) -> tuple[ReferencePath, list[tuple[int, float]]]:
    rng, path, usd, told = Random(seed), ReferencePath(), 65_000.0, []
    for second in range(seconds):
        usd *= math.exp(rng.gauss(0, 0.5e-4))
        if rng.random() >= gap:
            assert path.take(usd, second * 1_000)
            told.append((second * 1_000, usd))
    return path, told


@pytest.mark.parametrize("gap", [0.0, 0.3])
def test_volatility_is_that_of_the_walk_with_or_without_holes(gap: float) -> None:
    path, _ = walk(1, 1_500, gap)
    assert path.volatility == pytest.approx(0.5e-4, rel=0.12)


def test_jumps_that_come_alone_do_not_hide_the_next_ones() -> None:
    rng, path, usd = Random(3), ReferencePath(), 65_000.0
    for second in range(600):
        is_jump = second >= 60 and second % 10 == 0
        log_return = rng.gauss(0, 0.5e-4) + (20e-4 if is_jump else 0.0) * (-1) ** (second // 10)
        usd *= math.exp(log_return)
        if is_jump:
            assert path.volatility == pytest.approx(0.5e-4, rel=0.35)
        path.take(usd, second * 1_000)


def test_a_market_that_has_become_wilder_is_believed_within_seconds() -> None:
    path, told = walk(4, 300)
    rng, usd = Random(5), told[-1][1]
    for second in range(300, 330):
        usd *= math.exp(rng.choice((-1, 1)) * 10e-4)
        path.take(usd, second * 1_000)
    volatility = path.volatility
    assert volatility is not None
    assert volatility > 2e-4


def test_an_average_is_that_of_a_step_function() -> None:
    path, told = walk(2, 400, 0.2)
    held = {}
    usd = 0.0
    prices = dict(told)
    for ms in range(0, 400_000, 1_000):
        usd = prices.get(ms, usd)
        held[ms] = usd
    for begin, end in ((10_000, 70_000), (100_000, 101_000), (300_000, 360_000)):
        mean = sum(held[ms] for ms in range(begin, end, 1_000)) / ((end - begin) // 1_000)
        assert path.average(begin, end) == pytest.approx(mean, rel=1e-12)
    assert path.average(50_000, 50_000) == path.at(50_000)


def test_an_average_that_was_mostly_missed_is_none() -> None:
    path = ReferencePath()
    assert path.average(0, 60_000) is None
    path.take(65_000.0, 30_000)
    assert path.average(0, 60_000) is None
    assert path.average(28_000, 60_000) == 65_000.0
    assert (path.at(29_999), path.log_return(1_000)) == (None, None)


@pytest.mark.parametrize(("usd", "ms"), [(math.nan, 2_000), (0.0, 2_000), (-1.0, 2_000), (1.0, 1_000)])
def test_an_unusable_or_old_price_is_not_taken(usd: float, ms: int) -> None:
    path = ReferencePath()
    assert path.take(65_000.0, 1_000)
    assert not path.take(usd, ms)
    assert path.last == (1_000, 65_000.0)


@pytest.mark.parametrize("window_s", [0, 30, 60])
def test_a_market_is_valued_by_what_its_path_showed(window_s: int) -> None:
    """Strike and final average are read from the path, at every instant of the market's life."""
    path, closes_ms, opens_ms = ReferencePath(), 400_000, 100_000
    terms = MarketTerms(
        rule="price", closes_ms=closes_ms, min_size_e6=1, rebate=0.0, window_s=window_s, opens_ms=opens_ms
    )
    rng, usd, last = Random(5), 65_000.0, None
    for ms in range(0, closes_ms, 1_000):
        usd *= math.exp(rng.gauss(0, 0.5e-4))
        path.take(usd, ms)
        found = terms.value(path, ms + 500)
        if ms < 15_000:
            continue
        assert found is not None
        if ms + 500 <= opens_ms - window_s * 1_000:
            assert found.probability == pytest.approx(0.5, abs=1e-9)
        if last is not None:
            assert abs(found.probability - last) < 0.6
        last = found.probability
    strike = path.average(opens_ms - window_s * 1_000, opens_ms)
    final = path.average(closes_ms - window_s * 1_000, closes_ms)
    assert strike is not None
    assert final is not None
    assert (last > 0.5) == (final >= strike)
    assert terms.value(path, closes_ms + 1) is None
    assert terms.value(path, closes_ms - 1 + 0) is not None


def test_an_old_reference_price_values_nothing() -> None:
    path, _ = walk(6, 100)
    terms = MarketTerms(rule="price", closes_ms=10**6, min_size_e6=1, rebate=0.0, strike_usd=65_000.0)
    assert terms.value(path, 105_000) is not None
    assert terms.value(path, 120_000) is None


# --- outcomes that exclude each other ---------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(-8, 8), st.floats(1e-6, 4)), min_size=2, max_size=12))
def test_exclusive_outcomes_sum_to_one_and_the_surer_moves_less(opinions: list[tuple[float, float]]) -> None:
    logits, variances = [x for x, _ in opinions], [v for _, v in opinions]
    moved = consistent(logits, variances)
    assert sum(map(reference.expit, moved)) == pytest.approx(1.0, abs=1e-9)
    shifts = [after - before for after, before in zip(moved, logits, strict=True)]
    for shift, variance in zip(shifts, variances, strict=True):
        assert shift * variances[0] == pytest.approx(shifts[0] * variance, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("logits", "variances"), [([0.0], [1.0]), ([0.0, math.nan], [1.0, 1.0]), ([0.0, 1.0], [1.0, 0.0])]
)
def test_opinions_that_cannot_be_used_are_refused(logits: list[float], variances: list[float]) -> None:
    with pytest.raises(ValueError, match="variances"):
        consistent(logits, variances)
