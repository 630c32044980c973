"""The live terminal view and the printed report: pictures of state, no state of their own."""

import itertools
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from clawswarm.console.names import shortened
from clawswarm.kernel.clock import NS_PER_S
from clawswarm.model.instruments import Market
from clawswarm.model.messages import BudgetState, Mandate
from clawswarm.model.units import MICRO
from clawswarm.runtime.control import SwarmStatus
from clawswarm.runtime.report import Governor, Percentiles, Report, Trading
from clawswarm.runtime.roster import ENGINE
from clawswarm.runtime.supervisor import Supervisor

STATE_STYLES = {"running": "green", "halted": "bold red", "starting": "yellow", "stopping": "yellow"}
WIDE, LABEL_WIDTH = 120, 16
GOOD_STATES = {"quoting", "live", "allocating", "watching"}


def live_view(supervisor: Supervisor, now_ns: int, width: int) -> RenderableType:
    """The whole screen; narrow terminals get the agents in short and the markets below them."""
    state = supervisor.state.value
    elapsed_s = (now_ns - supervisor.started_ns) / NS_PER_S
    title = Text.assemble(
        ("OpenClaw Swarm", "bold"), "  ", (state, STATE_STYLES[state]), f"  {elapsed_s:5.1f} s"
    )
    counts = Text(_counts(supervisor))
    if width < WIDE:
        parts: tuple[RenderableType, ...] = (counts, _agents_in_short(supervisor), _markets(supervisor))
    else:
        body = Table.grid(padding=(0, 2))
        body.add_row(_agents(supervisor), _markets(supervisor))
        parts = (counts, body)
    return Panel(Group(*parts, _footer(supervisor)), title=title, border_style="dim")


def progress_line(supervisor: Supervisor, now_ns: int) -> str:
    """One line for outputs that are no terminal."""
    elapsed_s = (now_ns - supervisor.started_ns) / NS_PER_S
    up = sum(agent.pid is not None for agent in supervisor.status().agents)
    return f"{elapsed_s:6.1f} s  {supervisor.state.value:<9} {up}/11 agents  {_counts(supervisor)}"


def process_lines(supervisor: Supervisor) -> str:
    """Every agent with its process id, for outputs that are no terminal."""
    agents = [f"{agent.name} {agent.pid}" for agent in supervisor.status().agents]
    return "\n".join("         " + "  ".join(agents[n : n + 4]) for n in range(0, len(agents), 4))


def _counts(supervisor: Supervisor) -> str:
    engine = supervisor.observer.newest_beat.get(ENGINE)
    if engine is None:
        return "no orders yet"
    counts = engine.counters
    return (
        f"orders: {counts['placed']:.0f} placed, {counts['cancelled']:.0f} cancelled, "
        f"{counts['open']:.0f} open, {counts['filled']:.0f} fills, {counts['rejected']:.0f} rejected"
    )


def _agents(supervisor: Supervisor) -> Table:
    table = Table(title="agents", title_justify="left", box=None, padding=(0, 1))
    for heading in ("name", "pid", "state", "age", "restarts"):
        table.add_column(heading, justify="left" if heading in ("name", "state") else "right")
    for agent in supervisor.status().agents:
        style = "green" if agent.state in GOOD_STATES else "yellow"
        table.add_row(
            agent.name,
            "–" if agent.pid is None else str(agent.pid),
            Text(agent.state, style=style),
            "–" if agent.age_s is None else f"{agent.age_s:.0f} s",
            Text(str(agent.restarts), style="red" if agent.restarts else "dim"),
        )
    return table


def _agents_in_short(supervisor: Supervisor) -> Table:
    table = Table.grid(padding=(0, 2))
    cells = []
    for agent in supervisor.status().agents:
        style = "green" if agent.state in GOOD_STATES else "yellow"
        pid = "–" if agent.pid is None else str(agent.pid)
        cells.append(Text.assemble(f"{agent.name:<14} {pid:>7} ", (agent.state, style)))
    for left, right in itertools.zip_longest(cells[::2], cells[1::2]):
        table.add_row(left, right)
    return table


def _markets(supervisor: Supervisor) -> Table:
    table = Table(
        title="markets (YES frame; USD, position in shares, UTC)",
        title_justify="left",
        box=None,
        padding=(0, 1),
    )
    for heading in ("market", "quoter", "bid", "ask", "position", "reference"):
        table.add_column(heading, justify="left" if heading in ("market", "quoter") else "right")
    allocation = supervisor.observer.allocation
    for mandate in sorted(allocation.mandates if allocation else (), key=lambda m: m.market.slug):
        table.add_row(*_market_row(supervisor, mandate))
    return table


def _market_row(supervisor: Supervisor, mandate: Mandate) -> tuple[RenderableType, ...]:
    observer, market = supervisor.observer, mandate.market
    book = observer.books.get(market.condition_id)
    held = observer.inventories.get(market.condition_id)
    reference = observer.references.get(market.underlying)
    is_good = book is not None and book.is_valid
    bid = f"{book.bid_e4 / 10_000:.3f}" if book is not None and book.bid_e4 is not None else "–"
    ask = f"{book.ask_e4 / 10_000:.3f}" if book is not None and book.ask_e4 is not None else "–"
    net = 0.0 if held is None else held.net_e6 / MICRO
    return (
        _label(market),
        mandate.quoter,
        Text(bid, style="" if is_good else "dim"),
        Text(ask, style="" if is_good else "dim"),
        Text(f"{net:+.1f}", style="green" if net > 0 else "red" if net < 0 else "dim"),
        "–" if reference is None else f"{reference.value_e6 / MICRO:,.1f}",
    )


def _label(market: Market) -> str:
    """A window by its series and the time of its close; several of one series are open at once."""
    coin, updown, rest = market.slug.partition("-updown")
    if not updown or market.closes_ms is None:
        return shortened(market.slug, LABEL_WIDTH)
    closes = datetime.fromtimestamp(market.closes_ms / 1_000, UTC)
    return f"{coin}{rest.rpartition('-')[0]} {closes:%H:%M}"


def _footer(supervisor: Supervisor) -> Text:
    observer = supervisor.observer
    largest = max((exposure.ratio for exposure in observer.exposures.values()), default=None)
    band = supervisor.configuration.risk.band
    exposure = (
        "no exposure yet"
        if largest is None
        else f"largest net delta {_percent(largest)} of capital (band {_percent(band)})"
    )
    first = (
        "" if supervisor.first_order_s is None else f"  ·  first order after {supervisor.first_order_s:.1f} s"
    )
    events = f"  ·  {len(observer.deadman)} withdrawals" if observer.deadman else ""
    return Text(
        f"{exposure}{first}{events}\nreference prices and takers are synthetic; Ctrl-C stops in order",
        style="dim",
    )


def show_status(swarm: SwarmStatus) -> None:
    """Print what `claw status` knows."""
    console = Console(highlight=False)
    console.print(f"swarm: {swarm.state}", soft_wrap=True)
    if swarm.trading is not None:
        causes = f" ({'; '.join(swarm.causes)})" if swarm.causes else ""
        console.print(f"trading: {swarm.trading}{causes}", soft_wrap=True, markup=False)
    table = Table(box=None)
    for heading in ("name", "kind", "pid", "state", "age (s)", "restarts"):
        table.add_column(heading)
    for agent in (*swarm.agents, *swarm.services):
        pid = "–" if agent.pid is None else str(agent.pid)
        age = "–" if agent.age_s is None else f"{agent.age_s:g}"
        table.add_row(agent.name, agent.kind, pid, agent.state, age, str(agent.restarts))
    console.print(table)
    if swarm.budget is not None:
        console.print(_budget_table(swarm.budget))


def _budget_table(budget: BudgetState) -> Table:
    """The engine's use of the venue's limits: windows, buckets, debt, reserve, price of a token."""
    now, most, limit = budget.places
    debt = max(0, -budget.cancel_tokens)
    rows = {
        "order requests in 10 s, 600 s": f"{now[0]} of {limit[0]} (most {most[0]}), "
        f"{now[1]} of {limit[1]} (most {most[1]}, {most[1] / limit[1]:.1%})",
        "order tokens": f"{budget.order_tokens} of {budget.order_burst} (tier {budget.tier})",
        "cancel tokens": f"{budget.cancel_tokens} of {budget.cancel_burst}, {budget.cancel_reserve} in reserve, "
        f"debt {debt} (most {budget.most_debt})",
        "price of a token": f"{budget.shadow_price:g}, scarcity {budget.scarcity:.2f}, {budget.queued} plans wait",
        "plans served / outbid": f"{budget.served[0]} / {budget.served[1]}",
    }
    table = Table(title="limits", title_justify="left", box=None, show_header=False)
    for name, value in rows.items():
        table.add_row(Text(name, style="dim"), value)
    return table


def report_table(report: Report) -> Table:
    """The report as a person reads it."""
    orders, pnl, risk, governor = report.orders, report.pnl_usd, report.risk, report.governor
    rows = {
        "mode, duration": f"{report.mode}, {report.duration_s:g} s",
        "agents": ", ".join(_counted(count, kind) for kind, count in report.agents.items()),
        "markets": str(report.markets),
        "trading": _trading(report.trading),
        "two-sided quoting": _percent(report.quoting_uptime),
        "orders placed / cancelled": f"{_number(orders.placed)} / {_number(orders.cancelled)}",
        "fills / orders rejected": f"{_number(orders.filled)} / {_number(orders.rejected)}",
        "orders open at end": _number(orders.open_at_end),
        "feed → quoter": _latency(report.latency.feed_to_quoter_us, "µs"),
        "tick → wire": _latency(report.latency.tick_to_wire_us, "µs"),
        "cancel/replace cycle": _latency(report.latency.cycle_ms, "ms"),
        "order requests, most in 10 s": f"{_number(governor.max_10s)} of {governor.limit_10s}",
        "order requests, most in 600 s": f"{_number(governor.max_600s)} of {governor.limit_600s}",
        "order tokens": _tokens(governor),
        "largest net delta": f"{_percent(risk.max_abs_ratio)} of capital (band {_percent(risk.band)})",
        "time outside the band": _number(risk.time_outside_s, " s"),
        "PnL, marked to the last book": f"{_usd(pnl.total)} USD = spread {_usd(pnl.spread)}, inventory "
        f"{_usd(pnl.inventory)}, fees {_usd(pnl.fees)}, rebates {_usd(pnl.rebates)}, rewards {_usd(pnl.rewards)}",
        "processes lost": _listed([f"{f.cause}, {_returned(f.resumed_ms)}" for f in report.failovers]),
        "orders withdrawn": _listed([f"{d.cause}: {d.cancelled} in {d.ms:g} ms" for d in report.deadman]),
    }
    table = Table(title="Report", title_justify="left", box=None, show_header=False, padding=(0, 2))
    for name, value in rows.items():
        table.add_row(Text(name, style="dim"), value)
    for warning in report.warnings:
        table.add_row(Text("note", style="yellow"), warning)
    return table


def _number(value: float | None, unit: str = "") -> str:
    return "not measured" if value is None else f"{value:.10g}{unit}"


def _returned(resumed_ms: float | None) -> str:
    return "not back before the end" if resumed_ms is None else f"back after {resumed_ms:g} ms"


def _usd(value: float | None) -> str:
    return "not measured" if value is None else f"{value:+,.4f}"


def _percent(share: float | None) -> str:
    return "not measured" if share is None else f"{share * 100:.3g} %"


def _counted(count: int, kind: str) -> str:
    return f"{count} {kind.replace('_', ' ')}{'' if count == 1 else 's'}"


def _latency(latency: Percentiles, unit: str) -> str:
    if latency.p50 is None or latency.p99 is None:
        return "not measured"
    return f"p50 {latency.p50:g} {unit}, p99 {latency.p99:g} {unit} (n = {latency.n})"


def _trading(trading: Trading) -> str:
    times = ", ".join(f"{state} {seconds:g} s" for state, seconds in trading.seconds.items())
    return "\n".join([times or "not measured", *trading.causes])


def _tokens(governor: Governor) -> str:
    if governor.tier is None:
        return "not measured"
    share = ""
    if governor.served_value is not None and governor.outbid_value:
        part = governor.served_value / (governor.served_value + governor.outbid_value)
        share = f" with {part:.1%} of the value"
    plans = f"{_number(governor.served)} plans served{share}, {_number(governor.outbid)} outbid"
    debt = f"{_number(governor.most_cancel_debt)} at most, {_number(governor.cancel_reserve)} kept"
    return f"tier {governor.tier}: {plans}; cancel debt {debt}"


def _listed(items: list[str]) -> str:
    return "none" if not items else "\n".join(items)
