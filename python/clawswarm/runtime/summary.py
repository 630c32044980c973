"""What the supervisor saw → the report."""

from pathlib import Path

from clawswarm.model.positions import DayIncome
from clawswarm.model.units import MICRO
from clawswarm.runtime.engine import EngineLimits, guard_withdrawals
from clawswarm.runtime.observer import Observer
from clawswarm.runtime.profit import profit
from clawswarm.runtime.report import (
    Deadman,
    Governor,
    Inference,
    Latency,
    Orders,
    Report,
    Risk,
    Trading,
    percentiles,
)
from clawswarm.runtime.roster import AGENT_KINDS, AGENTS, ENGINE, GUARD, ORCHESTRATOR, kind_of
from clawswarm.runtime.supervisor import Supervisor
from clawswarm.sandbox.recording import read_folder


def build_report(supervisor: Supervisor, duration_s: float) -> Report:
    """The report of a finished run."""
    observer, configuration = supervisor.observer, supervisor.configuration
    limits = configuration.engine.limits
    started = [
        name for name in AGENTS if supervisor.children.get(name) and supervisor.children[name].starts_ns
    ]
    withdrawals = [*observer.deadman, *guard_withdrawals(supervisor.run_dir / GUARD)]
    withdrawals.sort(key=lambda event: event.fired_ns)
    return Report(
        mode=configuration.mode,
        duration_s=round(duration_s, 1),
        agents={kind: sum(kind_of(name) == kind for name in started) for kind in AGENT_KINDS},
        markets=len(observer.markets_seen),
        orders=_orders(observer, supervisor.is_confirmed_empty),
        latency=Latency(
            feed_to_quoter_us=percentiles(observer.histogram("quoter", "feed_to_quoter_us")),
            tick_to_wire_us=percentiles(observer.histogram("engine", "tick_to_wire_us")),
            cycle_ms=percentiles(observer.histogram("engine", "cycle_us"), 1000.0),
        ),
        governor=_governor(observer, limits),
        trading=Trading(
            {state: round(seconds, 1) for state, seconds in observer.trading_s.items()},
            tuple(observer.causes_seen),
        ),
        risk=Risk(
            band=configuration.risk.band,
            max_abs_ratio=_rounded(observer.largest("risk_manager", "max_abs_ratio")),
            time_outside_s=_rounded(observer.total("risk_manager", "time_outside_s")),
            hedges=None,
        ),
        pnl_usd=profit(list(observer.fills.values()), observer.marks_e4, _income(observer)),
        quoting_uptime=_uptime(observer),
        failovers=tuple(supervisor.failovers),
        deadman=tuple(Deadman(e.cause, e.cancelled, round(e.elapsed_ms, 1)) for e in withdrawals),
        inference=Inference(),
        warnings=tuple(_warnings(supervisor)),
    )


def _uptime(observer: Observer) -> float | None:
    """Two-sided share of the time in which mandated markets were tradeable (agents/quoter/tradeable.py)."""
    mandated_s, two_sided_s = observer.total("engine", "mandated_s"), observer.total("engine", "two_sided_s")
    if mandated_s is None or two_sided_s is None:
        return None
    # A quoter that does not run excuses nothing: its markets count as tradeable.
    tradeable_s = mandated_s - (observer.total("quoter", "untradeable_s") or 0.0)
    return round(min(two_sided_s / tradeable_s, 1.0), 4) if tradeable_s > 0 else None


def _income(observer: Observer) -> DayIncome | None:
    """What the orchestrator last read; it remembers over its restarts."""
    beat = observer.newest_beat.get(ORCHESTRATOR)
    if beat is None or "rewards_usd" not in beat.counters:
        return None
    rewards, rebates = beat.counters["rewards_usd"], beat.counters["rebates_usd"]
    return DayIncome(rewards_e6=round(rewards * MICRO), rebates_e6=round(rebates * MICRO))


def _governor(observer: Observer, limits: EngineLimits) -> Governor:
    budgets = observer.budgets()
    max_600s = _whole(observer.largest("engine", "max_600s"))
    newest = observer.newest_beat.get(ENGINE)
    last = None if newest is None else newest.budget
    return Governor(
        limit_600s=limits.place_requests_600s,
        max_600s=max_600s,
        limit_10s=limits.place_requests_10s,
        max_10s=_whole(observer.largest("engine", "max_10s")),
        utilisation=None if max_600s is None else round(max_600s / limits.place_requests_600s, 4),
        tier=None if last is None else last.tier,
        cancel_reserve=None if last is None else last.cancel_reserve,
        most_cancel_debt=max((budget.most_debt for budget in budgets), default=None),
        served=sum(budget.served[0] for budget in budgets) if budgets else None,
        outbid=sum(budget.served[1] for budget in budgets) if budgets else None,
        served_value=sum(budget.value[0] for budget in budgets) if budgets else None,
        outbid_value=sum(budget.value[1] for budget in budgets) if budgets else None,
    )


def _orders(observer: Observer, is_confirmed: bool) -> Orders:
    return Orders(
        placed=_whole(observer.total("engine", "placed")),
        cancelled=_whole(observer.total("engine", "cancelled")),
        filled=_whole(observer.total("engine", "filled")),
        rejected=_whole(observer.total("engine", "rejected")),
        open_at_end=0 if is_confirmed else None,
    )


def _warnings(supervisor: Supervisor) -> list[str]:
    sandbox = supervisor.configuration.sandbox
    slugs: dict[tuple[tuple[str, ...], int], list[str]] = {}
    for market, _ in read_folder(Path(sandbox.data)) if sandbox.data else ():
        if market.synthetic:
            slugs.setdefault((market.synthetic, market.seed), []).append(market.slug)
    warnings = [
        f"{' and '.join(streams)} are synthetic (seed {seed}), not recorded, in {', '.join(markets)}"
        for (streams, seed), markets in slugs.items()
    ]
    if made_up := (*sandbox.series, *sandbox.standing):
        warnings.append(
            f"prices, makers and takers are synthetic (seed {sandbox.seed}), not recorded, in {', '.join(made_up)}"
        )
    warnings += _idleness(supervisor)
    return warnings if supervisor.failure is None else [*warnings, supervisor.failure]


def _idleness(supervisor: Supervisor) -> list[str]:
    """A run that placed nothing says what a strategist would look at first."""
    observer = supervisor.observer
    if observer.total("engine", "placed") != 0:
        return []
    if not (markets := len(observer.markets_seen)):
        return ["no order was placed: no market was open long enough to be quoted"]
    share_usd = supervisor.configuration.orchestrator.capital_usd / markets
    return [f"no order was placed; capital_usd gives each of {markets} markets {share_usd:,.2f} USD"]


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
