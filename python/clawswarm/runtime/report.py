"""The report contract (design.md §12): what one run did, measured. A figure that was not measured is null."""

from pathlib import Path

import msgspec

from clawswarm.kernel.histogram import Histogram


class Percentiles(msgspec.Struct, frozen=True):
    """Percentiles of one latency; null without measurements."""

    p50: float | None
    p99: float | None
    p999: float | None
    n: int


class Orders(msgspec.Struct, frozen=True):
    """Order counts; `open_at_end` is what the venue listed last, null when it could not be asked."""

    placed: int | None
    cancelled: int | None
    filled: int | None
    rejected: int | None
    open_at_end: int | None


class Latency(msgspec.Struct, frozen=True):
    """feed_to_quoter: frame read → state in the quoter, of the sentinel it quotes from. tick_to_wire: frame read →
    order on the socket. cycle: decision → cancels and places acknowledged."""

    feed_to_quoter_us: Percentiles
    tick_to_wire_us: Percentiles
    cycle_ms: Percentiles


class Governor(msgspec.Struct, frozen=True):
    """Use of the venue's limits.

    Place requests against the windows; the signer's tier at the end; the most cancel tokens that were owed; plans
    whose places got tokens and plans for which none came in time, with what both were worth (plan's value ×
    weight).
    """

    limit_600s: int
    max_600s: int | None
    limit_10s: int
    max_10s: int | None
    utilisation: float | None
    tier: str | None
    cancel_reserve: int | None
    most_cancel_debt: int | None
    served: int | None
    outbid: int | None
    served_value: float | None
    outbid_value: float | None


class Trading(msgspec.Struct, frozen=True):
    """Seconds in each of the swarm's states, and every cause that was named for one."""

    seconds: dict[str, float]
    causes: tuple[str, ...]


class Risk(msgspec.Struct, frozen=True):
    """Largest net delta of an underlying over capital, and time spent outside the band."""

    band: float
    max_abs_ratio: float | None
    time_outside_s: float | None
    hedges: int | None


class Pnl(msgspec.Struct, frozen=True):
    """Profit and loss in USD: `total` marks positions to the last book, `spread` is the edge at each fill,
    `inventory` the rest; `rebates` and `rewards` are what the venue shows for the run's days; it pays
    a day from a dollar on."""

    spread: float | None
    rebates: float | None
    rewards: float | None
    funding: float | None
    hedge: float | None
    fees: float | None
    inventory: float | None
    total: float | None


class Failover(msgspec.Struct, frozen=True):
    """A process that was lost, and how long until its successor was ready (null: not before the end)."""

    cause: str
    resumed_ms: float | None


class Deadman(msgspec.Struct, frozen=True):
    """Orders withdrawn because their owner lost its right to them."""

    cause: str
    cancelled: int
    ms: float


class Inference(msgspec.Struct, frozen=True):
    """Decisions of the local model."""

    decisions: int | None = None
    misses: int | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None


class Report(msgspec.Struct, frozen=True):
    """What `claw up --report FILE` writes."""

    mode: str
    duration_s: float
    agents: dict[str, int]
    markets: int
    orders: Orders
    latency: Latency
    governor: Governor
    risk: Risk
    pnl_usd: Pnl
    quoting_uptime: float | None
    failovers: tuple[Failover, ...]
    deadman: tuple[Deadman, ...]
    inference: Inference
    warnings: tuple[str, ...]
    trading: Trading


def percentiles(histogram: Histogram, unit: float = 1.0) -> Percentiles:
    """p50, p99 and p99.9 of a histogram, divided by `unit`."""

    def at(share: float) -> float | None:
        value = histogram.percentile(share)
        return None if value is None else round(value / unit, 3)

    return Percentiles(at(0.5), at(0.99), at(0.999), histogram.n)


def write_report(report: Report, path: Path) -> None:
    """Write the report as indented JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
