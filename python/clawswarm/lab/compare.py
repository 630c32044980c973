"""A candidate against the baselines: same flow, same capital, same budget, same search, paired seeds.

1. Search: each strategy tries at most TRIALS points of its own space on the tuning recordings (one seed, one
   delay, seeds that the comparison does not use); the best by risk-adjusted PnL is kept.
2. Comparison: every strategy runs on every recording, seed and taker delay. A pair is the candidate and a
   baseline on the same flow.
3. The median of the paired difference has a 90 % interval by bootstrap over recordings (seeds of one recording
   share its outcome, so they are no independent draws); so has the difference in adverse selection a share, which
   is a ratio of sums.

A recording that was tuned on is marked in-sample. Losses are reported as they are.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import fmean, median

import msgspec

from clawswarm.agents.quoter.strategy import load_strategy, search_space
from clawswarm.lab.accounting import HORIZONS_S, Outcome, settle
from clawswarm.lab.backtest import RunTerms, run_backtest
from clawswarm.lab.baselines import BASELINES
from clawswarm.lab.flows import build_flow, load_recording
from clawswarm.model.errors import UserFault
from clawswarm.sandbox.recording import read_folder

TRIALS = 12
SEARCH_SEED = 1_000_001
SEARCH_DELAY_MS = 250
DELAYS_MS = (0, 250)
DRAWS = 1_000
LOW, HIGH = 0.05, 0.95

Parameters = dict[str, float]


class Contestant(msgspec.Struct, frozen=True):
    """A strategy with the parameters its search found."""

    name: str
    strategy: str
    parameters: Parameters
    trials: int


class RecordingNote(msgspec.Struct, frozen=True):
    """What a reader must know of one recording."""

    slug: str
    era: str
    minutes: float
    levels: int
    is_partial: bool
    is_in_sample: bool
    synthetic: tuple[str, ...]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy at one delay: means over all recordings and seeds, USD a market."""

    strategy: str
    taker_delay_ms: int
    pnl_usd: float
    risk_adjusted_usd: float
    spread_usd: float
    rebates_usd: float
    rewards_usd: float
    inventory_usd: float
    adverse_selection_usd: float
    adverse_selection_per_share: float | None
    markouts_per_share: dict[str, float] | None
    drawdown_usd: float
    worst_drawdown_usd: float
    fills: float
    shares: float
    orders: float
    rejected: float
    refused: float
    two_sided_uptime: float


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """Candidate minus baseline over all pairs at one delay, USD a market (adverse selection: USD a share)."""

    baseline: str
    taker_delay_ms: int
    pairs: int
    recordings: int
    risk_adjusted_median: float
    risk_adjusted_low: float
    risk_adjusted_high: float
    pnl: float
    pnl_low: float
    pnl_high: float
    adverse_selection_per_share: float | None
    adverse_low: float | None
    adverse_high: float | None


class RecordingScore(msgspec.Struct, frozen=True):
    """Mean PnL over the seeds of one recording."""

    slug: str
    strategy: str
    taker_delay_ms: int
    pnl_usd: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result."""

    candidate: str
    contestants: list[Contestant]
    recordings: list[RecordingNote]
    seeds: int
    taker_delays_ms: list[int]
    terms: RunTerms
    scores: list[Score]
    paired: list[Paired]
    by_recording: list[RecordingScore]
    warnings: list[str]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to compare."""

    candidate: str
    data: Path
    tune: Path
    seeds: int = 10
    allow_partial: bool = False
    workers: int = 0
    terms: RunTerms = RunTerms()


class _Task(msgspec.Struct, frozen=True):
    path: Path
    contestants: list[Contestant]
    seeds: list[int]
    delays_ms: list[int]
    terms: RunTerms
    allow_partial: bool


class _Result(msgspec.Struct, frozen=True):
    slug: str
    strategy: str
    delay_ms: int
    seed: int
    outcome: Outcome


def compare(request: Request, tell: Callable[[str], None]) -> Comparison:
    """Search, run and pair; `tell` hears of the progress. Raises UserFault for what cannot be run."""
    names = {"candidate": request.candidate, **BASELINES}
    for strategy in names.values():
        load_strategy(strategy)
    recordings = read_folder(request.data)
    tuning = read_folder(request.tune)
    usable = [(market, path) for market, path in recordings if _is_usable(path, request.allow_partial, tell)]
    if not usable:
        raise UserFault(
            f"{request.data} has no recording with enough levels: pass --partial to run them marked"
        )
    contestants = [
        _search(name, strategy, [path for _, path in tuning], request, tell)
        for name, strategy in names.items()
    ]
    seeds = list(range(1, request.seeds + 1))
    tasks = [
        _Task(path, contestants, seeds, list(DELAYS_MS), request.terms, request.allow_partial)
        for _, path in usable
    ]
    results: list[_Result] = []
    for number, found in enumerate(_run_all(tasks, request.workers), 1):
        results += found
        tell(f"compared on {number} of {len(tasks)} recordings")
    tuned_slugs = {market.slug for market, _ in tuning}
    # The sample relabels its underlyings (btc1-…): the window of a slug says which recording it is.
    tuned_windows = {slug.rpartition("-")[2] for slug in tuned_slugs}
    notes = [
        RecordingNote(
            slug=market.slug,
            era=market.era,
            minutes=market.duration_ms / 60_000,
            levels=market.depth_levels,
            is_partial=load_recording(path, allow_partial=True).is_partial,
            is_in_sample=market.slug.rpartition("-")[2] in tuned_windows,
            synthetic=market.synthetic,
        )
        for market, path in usable
    ]
    return Comparison(
        candidate=request.candidate,
        contestants=contestants,
        recordings=notes,
        seeds=request.seeds,
        taker_delays_ms=list(DELAYS_MS),
        terms=request.terms,
        scores=[_score(c.name, delay, results) for c in contestants for delay in DELAYS_MS],
        paired=[_pair(name, delay, results) for name in BASELINES for delay in DELAYS_MS],
        by_recording=_by_recording(results),
        warnings=_warnings(notes),
    )


def trial_points(space: Mapping[str, Sequence[float]]) -> list[Parameters]:
    """At most TRIALS points of a space, the same ones each time; one empty point for an empty space."""
    points = [dict(zip(space, values, strict=True)) for values in product(*space.values())]
    return points if len(points) <= TRIALS else Random(SEARCH_SEED).sample(points, TRIALS)


def interval(clusters: Sequence[Sequence[float]], rng: Random) -> tuple[float, float, float]:
    """Median of all values with its 90 % interval, drawn over clusters and then within each."""
    drawn = []
    for _ in range(DRAWS):
        chosen = rng.choices(clusters, k=len(clusters))
        drawn.append(median(value for cluster in chosen for value in rng.choices(cluster, k=len(cluster))))
    drawn.sort()
    middle = median(value for cluster in clusters for value in cluster)
    return middle, drawn[int(LOW * DRAWS)], drawn[min(int(HIGH * DRAWS), DRAWS - 1)]


def cost_interval(
    clusters: Sequence[Sequence[tuple[Outcome, Outcome]]], rng: Random
) -> tuple[float | None, float | None, float | None]:
    """Difference in adverse selection a share with its 90 % interval, drawn over clusters; None without trades."""

    def difference(chosen: Sequence[Sequence[tuple[Outcome, Outcome]]]) -> float | None:
        pairs = [pair for cluster in chosen for pair in cluster]
        own, other = (_cost_per_share([pair[place] for pair in pairs]) for place in (0, 1))
        return None if own is None or other is None else round(own - other, 6)

    draws = (difference(rng.choices(clusters, k=len(clusters))) for _ in range(DRAWS))
    drawn = sorted(draw for draw in draws if draw is not None)
    if not drawn:
        return None, None, None
    return difference(clusters), drawn[int(LOW * len(drawn))], drawn[int(HIGH * len(drawn))]


def _cost_per_share(outcomes: Sequence[Outcome]) -> float | None:
    shares = sum(outcome.shares for outcome in outcomes)
    return sum(outcome.adverse_selection_usd for outcome in outcomes) / shares if shares else None


def _is_usable(path: Path, allow_partial: bool, tell: Callable[[str], None]) -> bool:
    try:
        load_recording(path, allow_partial)
    except UserFault as fault:
        tell(f"skipped: {fault}")
        return False
    return True


def _search(
    name: str, strategy: str, paths: Sequence[Path], request: Request, tell: Callable[[str], None]
) -> Contestant:
    points = trial_points(search_space(load_strategy(strategy)))
    trials = [Contestant(str(number), strategy, point, 0) for number, point in enumerate(points)]
    tasks = [_Task(path, trials, [SEARCH_SEED], [SEARCH_DELAY_MS], request.terms, True) for path in paths]
    totals = [0.0] * len(points)
    if len(points) > 1:
        for found in _run_all(tasks, request.workers):
            for result in found:
                totals[int(result.strategy)] += result.outcome.risk_adjusted_usd
    best = max(range(len(points)), key=lambda number: totals[number])
    tell(f"searched {name}: {points[best]} is the best of {len(points)}")
    return Contestant(name, strategy, points[best], len(points))


def _run_all(tasks: Sequence[_Task], workers: int) -> Iterator[list[_Result]]:
    workers = workers or len(os.sched_getaffinity(0))
    if workers == 1 or len(tasks) == 1:
        yield from map(_run_task, tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_run_task, tasks)


def _run_task(task: _Task) -> list[_Result]:
    recording = load_recording(task.path, allow_partial=True)
    results = []
    for seed in task.seeds:
        flow = build_flow(recording, seed)
        for delay_ms in task.delays_ms:
            terms = msgspec.structs.replace(task.terms, taker_delay_ms=delay_ms)
            for contestant in task.contestants:
                make = partial(load_strategy(contestant.strategy), **contestant.parameters)
                outcome = settle(flow, run_backtest(flow, make, terms, seed), terms)
                results.append(_Result(recording.market.slug, contestant.name, delay_ms, seed, outcome))
    return results


def _score(name: str, delay_ms: int, results: Sequence[_Result]) -> Score:
    found = [r.outcome for r in results if r.strategy == name and r.delay_ms == delay_ms]
    shares = sum(outcome.shares for outcome in found)

    def mean(of: Callable[[Outcome], float]) -> float:
        return round(fmean(of(outcome) for outcome in found), 4)

    def per_share(of: Callable[[Outcome], float]) -> float:
        return round(sum(of(outcome) for outcome in found) / shares, 6)

    def markout(horizon: str) -> Callable[[Outcome], float]:
        return lambda outcome: outcome.markouts_usd[horizon]

    horizons = [f"{horizon_s:g}" for horizon_s in HORIZONS_S]
    return Score(
        strategy=name,
        taker_delay_ms=delay_ms,
        pnl_usd=mean(lambda o: o.pnl_usd),
        risk_adjusted_usd=mean(lambda o: o.risk_adjusted_usd),
        spread_usd=mean(lambda o: o.spread_usd),
        rebates_usd=mean(lambda o: o.rebates_usd),
        rewards_usd=mean(lambda o: o.rewards_usd),
        inventory_usd=mean(lambda o: o.inventory_usd),
        adverse_selection_usd=mean(lambda o: o.adverse_selection_usd),
        adverse_selection_per_share=per_share(lambda o: o.adverse_selection_usd) if shares else None,
        markouts_per_share={h: per_share(markout(h)) for h in horizons} if shares else None,
        drawdown_usd=mean(lambda o: o.drawdown_usd),
        worst_drawdown_usd=round(max(outcome.drawdown_usd for outcome in found), 4),
        fills=mean(lambda o: o.fills),
        shares=mean(lambda o: o.shares),
        orders=mean(lambda o: o.orders),
        rejected=mean(lambda o: o.rejected),
        refused=mean(lambda o: o.refused),
        two_sided_uptime=mean(lambda o: o.two_sided_uptime),
    )


def _pair(baseline: str, delay_ms: int, results: Sequence[_Result]) -> Paired:
    of = {(r.strategy, r.slug, r.seed): r.outcome for r in results if r.delay_ms == delay_ms}
    risk: dict[str, list[float]] = {}
    pnl: dict[str, list[float]] = {}
    for (strategy, slug, seed), outcome in of.items():
        if strategy == "candidate":
            other = of[baseline, slug, seed]
            risk.setdefault(slug, []).append(outcome.risk_adjusted_usd - other.risk_adjusted_usd)
            pnl.setdefault(slug, []).append(outcome.pnl_usd - other.pnl_usd)
    rng = Random(f"{baseline}/{delay_ms}")
    middle, low, high = interval(list(risk.values()), rng)
    pnl_middle, pnl_low, pnl_high = interval(list(pnl.values()), rng)
    costs: dict[str, list[tuple[Outcome, Outcome]]] = {}
    for (strategy, slug, seed), outcome in of.items():
        if strategy == "candidate":
            costs.setdefault(slug, []).append((outcome, of[baseline, slug, seed]))
    adverse, adverse_low, adverse_high = cost_interval(list(costs.values()), rng)
    return Paired(
        baseline=baseline,
        taker_delay_ms=delay_ms,
        pairs=sum(map(len, risk.values())),
        recordings=len(risk),
        risk_adjusted_median=round(middle, 4),
        risk_adjusted_low=round(low, 4),
        risk_adjusted_high=round(high, 4),
        pnl=round(pnl_middle, 4),
        pnl_low=round(pnl_low, 4),
        pnl_high=round(pnl_high, 4),
        adverse_selection_per_share=adverse,
        adverse_low=adverse_low,
        adverse_high=adverse_high,
    )


def _by_recording(results: Sequence[_Result]) -> list[RecordingScore]:
    found: dict[tuple[str, str, int], list[float]] = {}
    for r in results:
        found.setdefault((r.slug, r.strategy, r.delay_ms), []).append(r.outcome.pnl_usd)
    return [RecordingScore(*key, round(fmean(values), 4)) for key, values in found.items()]


def _warnings(notes: Sequence[RecordingNote]) -> list[str]:
    warnings = [
        "liquidity rewards are at an assumed rate (terms), since no recording states its market's; orders below "
        "the program's minimum size score nothing"
    ]
    synthetic = sorted({stream for note in notes for stream in note.synthetic})
    if synthetic:
        warnings.append(
            f"synthetic in some recordings: {', '.join(synthetic)}; takers are drawn anew for each seed, and a "
            "synthetic reference leads the recorded book, so a strategy that reads it is flattered"
        )
    for word, count in (
        ("were tuned on (in-sample)", sum(note.is_in_sample for note in notes)),
        ("show the touch alone or little more (partial)", sum(note.is_partial for note in notes)),
    ):
        if count:
            warnings.append(f"{count} of {len(notes)} recordings {word}")
    return warnings
