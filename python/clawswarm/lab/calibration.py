"""The simulated market's figures beside the recorded ones (recorded-data.md), each matched or named as not.

A recorded figure is a range where sources differ; matched means within 15 % of the range's nearer end.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from io import StringIO
from statistics import fmean, quantiles

import msgspec
from rich.console import Console
from rich.table import Table

from clawswarm.agents.quoter.strategy import MarketView, TargetQuote, quote_pair
from clawswarm.lab.accounting import settle
from clawswarm.lab.backtest import RunTerms, run_backtest
from clawswarm.lab.flows import Recording, build_flow
from clawswarm.lab.participants import FROZEN, TICK_E4, ParticipantTerms, SimulatedMarket, simulate_market
from clawswarm.model.units import MICRO
from clawswarm.sandbox.recording import LevelsChanged, TakerArrived

TOLERANCE = 0.15
DURATION_MS = 300_000
PROBE_AT_MS = 180_000
PROBE_SHARES = 5.0


class Figure(msgspec.Struct, frozen=True):
    """One line of the table."""

    name: str
    recorded_low: float
    recorded_high: float
    simulated: float
    note: str = ""

    @property
    def deviation(self) -> float:
        """Signed distance beyond the recorded range, as a share of its nearer end."""
        if self.simulated > self.recorded_high:
            return self.simulated / self.recorded_high - 1.0
        if self.simulated < self.recorded_low:
            return self.simulated / self.recorded_low - 1.0
        return 0.0

    @property
    def is_matched(self) -> bool:
        """Within the tolerance."""
        return abs(self.deviation) <= TOLERANCE


class JoinOnce:
    """The recorded maker probe: one order of 5 shares a side at the touch, 120 s before the close."""

    def __init__(self, closes_ms: int) -> None:
        self._at_ms = closes_ms - (DURATION_MS - PROBE_AT_MS)
        self._has_quoted = False

    def quotes(self, view: MarketView) -> Sequence[TargetQuote] | None:
        """Once; then the orders stand."""
        if self._has_quoted or view.book.server_ms < self._at_ms:
            return None
        self._has_quoted = True
        return quote_pair(view, view.book.bid_e4, view.book.ask_e4)


def calibrate(seeds: int, terms: ParticipantTerms = FROZEN) -> list[Figure]:
    """Simulate so many markets and measure them."""
    markets = [simulate_market(seed, DURATION_MS, terms) for seed in range(1, seeds + 1)]
    measured = [_measure(market) for market in markets]
    trades = [size for m in measured for size in m.trades]
    gaps = [gap for m in measured for gap in m.gaps_ms]
    sizes = [size for m in measured for size in m.changes]
    spreads = Counter[int]()
    for m in measured:
        spreads.update(m.spreads)
    touches = [size for m in measured for size in m.touches]
    places = Counter[str]()
    for m in measured:
        places.update(m.places)
    seconds = seeds * DURATION_MS / 1_000
    shown, placed = sum(spreads.values()), sum(places.values())

    def share(values: Sequence[float], wanted: float) -> float:
        return sum(value == wanted for value in values) / len(values)

    touch_25, touch_50, touch_75 = quantiles(touches, n=4)
    figures = [
        Figure("price changes a second", 502, 502, placed / seconds),
        Figure("touch changes a second (BBO)", 12, 16, sum(m.moves for m in measured) / seconds),
        Figure("trades a second", 11.7, 12.0, len(trades) / seconds),
        Figure("trade gap p50, ms", 38, 38, _at(gaps, 0.50)),
        Figure("trade gap p75, ms", 100, 100, _at(gaps, 0.75)),
        Figure("trade gap p95, ms", 325, 325, _at(gaps, 0.95)),
        Figure("trade size p50, shares", 6.7, 8.3, _at(trades, 0.50)),
        Figure("trade size p95, shares", 77, 100, _at(trades, 0.95)),
        Figure("trade size mean, shares", 20.6, 25.4, fmean(trades)),
        Figure("trades of exactly 5 shares", 0.13, 0.13, share(trades, 5.0)),
        Figure("level change p25, shares", 5, 5, _at(sizes, 0.25)),
        Figure("level change p50, shares", 12, 12, _at(sizes, 0.50)),
        Figure("level change p75, shares", 25, 25, _at(sizes, 0.75)),
        Figure("level change p95, shares", 54, 54, _at(sizes, 0.95)),
        Figure("level change mean, shares", 22.8, 22.8, fmean(sizes)),
        Figure("level changes of exactly 5 shares", 0.20, 0.20, share(sizes, 5.0)),
        Figure("level changes that add", 0.49, 0.49, sum(m.adds for m in measured) / placed),
        Figure("changes at the touch or inside", 0.64, 0.64, places["touch"] / placed),
        Figure("changes within 2 ticks", 0.70, 0.70, (places["touch"] + places["near"]) / placed),
        Figure("spread of 1 tick", 0.80, 0.80, spreads[1] / shown),
        Figure("spread of 2 ticks", 0.11, 0.11, spreads[2] / shown),
        Figure("spread mean, USD", 0.014, 0.014, sum(s * n for s, n in spreads.items()) / shown / 100),
        Figure("touch depth p50, shares", 124, 266, touch_50, "V2 15m to V1 5m"),
        Figure("queue ahead of a join p25", 45, 45, touch_25),
        Figure("queue ahead of a join p50", 148, 148, touch_50),
        Figure("queue ahead of a join p75", 435, 435, touch_75),
    ]
    filled, loss = _probe(markets)
    figures.append(
        Figure("joined touch order filled", 166 / 231, 166 / 231, filled, "fills modelled by its author")
    )
    figures.append(
        Figure(
            "joined touch order, loss a share, USD",
            0.07,
            0.07,
            loss,
            "held to settlement: noisy, ±0.04 recorded",
        )
    )
    return figures


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table."""
    shown = Table(title="simulated beside recorded", title_justify="left", box=None)
    for heading in ("figure", "recorded", "simulated", "off by", "", "note"):
        shown.add_column(heading, justify="left" if heading in ("figure", "", "note") else "right")
    for figure in figures:
        low, high = figure.recorded_low, figure.recorded_high
        recorded = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        verdict = "matched" if figure.is_matched else "NOT matched"
        shown.add_row(
            figure.name, recorded, f"{figure.simulated:.3g}", f"{figure.deviation:+.0%}", verdict, figure.note
        )
    console = Console(file=StringIO(), width=130)
    console.print(shown)
    output = console.file
    assert isinstance(output, StringIO)
    return output.getvalue().rstrip()


class _Measured(msgspec.Struct):
    trades: list[float] = []
    gaps_ms: list[float] = []
    changes: list[float] = []
    touches: list[float] = []
    spreads: Counter[int] = msgspec.field(default_factory=Counter)
    places: Counter[str] = msgspec.field(default_factory=Counter)
    adds: int = 0
    moves: int = 0


def _measure(simulated: SimulatedMarket) -> _Measured:
    measured = _Measured()
    levels: tuple[dict[int, int], dict[int, int]] = ({}, {})
    last_trade_ms: int | None = None
    opened, bid, ask = False, 0, 0
    for event in simulated.events:
        if isinstance(event, TakerArrived):
            measured.trades.append(event.size_e6 / MICRO)
            if last_trade_ms is not None:
                measured.gaps_ms.append(event.at_ms - last_trade_ms)
            last_trade_ms = event.at_ms
        elif isinstance(event, LevelsChanged):
            is_trade = event.at_ms == last_trade_ms
            for side, price_e4, size_e6 in event.changes:
                before_e6 = levels[side].get(price_e4, 0)
                if opened and not is_trade:
                    measured.changes.append(abs(size_e6 - before_e6) / MICRO)
                    measured.adds += size_e6 > before_e6
                    away = (bid - price_e4 if side == 0 else price_e4 - ask) // TICK_E4
                    measured.places["touch" if away <= 0 else "near" if away <= 2 else "far"] += 1
                if size_e6:
                    levels[side][price_e4] = size_e6
                else:
                    levels[side].pop(price_e4, None)
            if not levels[0] or not levels[1]:
                continue
            touch = max(levels[0]), min(levels[1])
            measured.moves += opened and touch != (bid, ask)
            (bid, ask), opened = touch, True
            measured.spreads[(ask - bid) // TICK_E4] += 1
            measured.touches += [levels[0][bid] / MICRO, levels[1][ask] / MICRO]
    return measured


def _probe(markets: Sequence[SimulatedMarket]) -> tuple[float, float]:
    """Share of the joined orders that filled, and what a filled share lost by the settlement."""
    terms = RunTerms(order_size_shares=PROBE_SHARES, taker_delay_ms=0)
    fills = shares = pnl = 0.0
    for simulated in markets:
        market = build_flow(Recording(simulated.market, simulated.events), None)
        make = partial(JoinOnce, simulated.market.duration_ms)
        outcome = settle(market, run_backtest(market, make, terms, simulated.market.seed), terms)
        fills += outcome.shares / PROBE_SHARES
        shares += outcome.shares
        pnl += outcome.pnl_usd
    return fills / (2 * len(markets)), -pnl / shares if shares else 0.0


def _at(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
