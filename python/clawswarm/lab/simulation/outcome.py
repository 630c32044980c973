"""What came of a simulation, as JSON and as a table for people."""

import msgspec

from clawswarm.lab.simulation.invariants import Broken


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; counts are of the whole run, `quoting_uptime` the two-sided share of mandated time."""

    seed: int
    hours: float
    faults: str
    journal_hash: str
    resolved: int
    redeemed: int
    merged: int
    orders: int
    fills: int
    quoting_uptime: float | None
    invariants_broken: tuple[Broken, ...]
    events: int
    events_per_s: float
    wall_s: float
    cpu_s: float
    deeds: dict[str, int]
    counts: dict[str, int]


def table(outcome: Outcome) -> str:
    """The outcome for a terminal."""
    uptime = outcome.quoting_uptime
    lines = [
        f"seed {outcome.seed}, {outcome.hours:g} virtual hours, faults {outcome.faults}",
        f"journal hash    {outcome.journal_hash}",
        f"markets         {outcome.resolved} resolved",
        f"positions       {outcome.merged} merged, {outcome.redeemed} redeemed",
        f"orders          {outcome.orders}, {outcome.fills} fills",
        f"quoting uptime  {'not measured' if uptime is None else f'{uptime:.1%}'}",
        f"events          {outcome.events:,} in {outcome.wall_s:.1f} s: {outcome.events_per_s:,.0f} a second",
        f"processor time  {outcome.cpu_s:.1f} s",
        "what went wrong " + (", ".join(f"{n} × {name}" for name, n in outcome.deeds.items()) or "nothing"),
    ]
    for broken in outcome.invariants_broken:
        lines.append(f"BROKEN {broken.invariant} at {broken.at_s:.3f} s: {broken.what}")
    if not outcome.invariants_broken:
        lines.append("invariants      all held")
    return "\n".join(lines)
