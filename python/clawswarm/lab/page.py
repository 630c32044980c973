"""A comparison as text for a terminal, and as one HTML page that needs nothing else (plots are inline SVG)."""

from collections.abc import Iterable, Sequence
from html import escape
from io import StringIO

import msgspec
from rich.console import Console
from rich.table import Table

from clawswarm.lab.accounting import HORIZONS_S
from clawswarm.lab.compare import Comparison, Paired, Score
from clawswarm.lab.plots import Bar, Series, interval_plot, line_plot, scatter_plot, split_plot

_COLOURS = ("#1f6feb", "#d9822b", "#3a9d5d", "#9b51a8")
_STYLE = """
:root{color-scheme:light}body{font:15px/1.5 system-ui,sans-serif;color:#1c2733;background:#fff;margin:2rem auto;
max-width:74rem;padding:0 1rem}h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin:2rem 0 .3rem}
p{max-width:48rem}table{border-collapse:collapse;font-size:.85rem;margin:.6rem 0}th,td{padding:.25rem .6rem;
border-bottom:1px solid #dde3ea;text-align:right;white-space:nowrap}th:first-child,td:first-child{text-align:left}
.scroll{overflow-x:auto}.verdict{background:#f3f6fa;border-left:4px solid #1f6feb;padding:.5rem .9rem}
.warnings{color:#7a4b00}.plots{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}figcaption{font-size:.85rem;
color:#52606d;max-width:31rem}svg text{font:12px system-ui,sans-serif;fill:#1c2733}
"""


def table(found: Comparison) -> str:
    """The scores and the paired differences as tables."""
    console = Console(file=StringIO(), width=170)
    scores = Table(title="mean over all recordings and seeds, USD a market", title_justify="left", box=None)
    for heading in _SCORE_HEADINGS:
        scores.add_column(heading, justify="left" if heading == "strategy" else "right")
    for score in found.scores:
        scores.add_row(*_score_cells(score))
    paired = Table(title="candidate minus baseline", title_justify="left", box=None)
    for heading in _PAIRED_HEADINGS:
        paired.add_column(heading, justify="left" if heading == "baseline" else "right")
    for pair in found.paired:
        paired.add_row(*_paired_cells(pair))
    console.print(scores)
    console.print(paired)
    for warning in found.warnings:
        console.print(f"note: {warning}")
    output = console.file
    assert isinstance(output, StringIO)
    return output.getvalue().rstrip()


def page(found: Comparison) -> str:
    """The whole result as one page."""
    colours = {c.name: _COLOURS[n % len(_COLOURS)] for n, c in enumerate(found.contestants)}
    contestants = [
        (
            c.name,
            c.strategy,
            ", ".join(f"{k} {v:g}" for k, v in c.parameters.items()) or "none",
            str(c.trials),
        )
        for c in found.contestants
    ]
    recordings = [
        (
            note.slug,
            note.era,
            f"{note.minutes:g}",
            str(note.levels),
            "in-sample" if note.is_in_sample else "unseen",
            "partial" if note.is_partial else "whole",
            ", ".join(note.synthetic) or "none",
        )
        for note in found.recordings
    ]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width,initial-scale=1'>",
        f"<title>claw lab compare</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(found.candidate)}</h1>",
        f"<p>Against {len(found.contestants) - 1} baselines on {len(found.recordings)} recordings, "
        f"{found.seeds} paired seeds each, taker delay {' and '.join(map(str, found.taker_delays_ms))} ms; "
        f"capital {found.terms.capital_usd:g} USD and at most {found.terms.max_position_shares:g} shares a "
        "market for everybody, the same order budget, the same number of search trials.</p>",
        "<div class='verdict'>"
        + "".join(f"<div>{escape(_verdict(p))}</div>" for p in found.paired)
        + "</div>",
        "<ul class='warnings'>" + "".join(f"<li>{escape(w)}</li>" for w in found.warnings) + "</ul>",
        "<h2>Paired differences</h2><p>Risk-adjusted PnL is PnL less the largest drawdown, USD a market. The "
        "interval is of the median, by bootstrap over recordings.</p>",
        "<div class='plots'>",
        _figure(
            _intervals(found.paired), "Candidate minus baseline; right of the line the candidate is better."
        ),
        "</div>",
        _html_table(_PAIRED_HEADINGS, (_paired_cells(pair) for pair in found.paired)),
        "<h2>Where the money came from</h2><div class='plots'>",
        *(
            _figure(
                _splits(found.scores, delay_ms),
                f"Mean PnL of a market by source, taker delay {delay_ms} ms; the tick marks the sum.",
            )
            for delay_ms in found.taker_delays_ms
        ),
        "</div>",
        _html_table(_SCORE_HEADINGS, map(_score_cells, found.scores)),
        "<h2>Markouts</h2><div class='plots'>",
        *(
            _figure(
                line_plot(
                    [
                        Series(s.strategy, colours[s.strategy], list(s.markouts_per_share.values()))
                        for s in found.scores
                        if s.taker_delay_ms == delay_ms and s.markouts_per_share is not None
                    ],
                    [f"{horizon_s:g} s" for horizon_s in HORIZONS_S],
                    "USD a share",
                ),
                f"Fair value later minus our price, signed, taker delay {delay_ms} ms. Below 0 the fill was bad.",
            )
            for delay_ms in found.taker_delays_ms
        ),
        "</div><h2>Recording by recording</h2><div class='plots'>",
        *(
            _figure(
                _scatter(found, name, colours[name]),
                f"Each dot is one recording at one delay: candidate against {name}. Above the line it did better.",
            )
            for name in [c.name for c in found.contestants if c.name != "candidate"]
        ),
        "</div><h2>Strategies and their parameters</h2>",
        _html_table(("name", "strategy", "parameters found", "points tried"), contestants),
        "<h2>Recordings</h2>",
        _html_table(
            ("market", "era", "minutes", "levels a side", "tuned on", "book", "synthetic streams"), recordings
        ),
        "<h2>Terms of every run</h2>",
        _html_table(
            ("term", "value"), [(k, f"{v:g}" if isinstance(v, float) else str(v)) for k, v in _terms(found)]
        ),
        "</body></html>\n",
    ]
    return "\n".join(parts)


_SCORE_HEADINGS = (
    "strategy",
    "delay ms",
    "PnL",
    "spread",
    "rebates",
    "rewards",
    "inventory",
    "adverse",
    "adverse/share",
    "drawdown",
    "worst",
    "fills",
    "orders",
    "rejected",
    "refused",
    "two-sided",
)
_PAIRED_HEADINGS = (
    "baseline",
    "delay ms",
    "risk-adjusted",
    "90 % interval",
    "PnL",
    "90 % interval",
    "adverse/share",
    "interval",
    "pairs",
)


def _score_cells(score: Score) -> tuple[str, ...]:
    return (
        score.strategy,
        str(score.taker_delay_ms),
        f"{score.pnl_usd:+.2f}",
        f"{score.spread_usd:+.2f}",
        f"{score.rebates_usd:+.2f}",
        f"{score.rewards_usd:+.2f}",
        f"{score.inventory_usd:+.2f}",
        f"{-score.adverse_selection_usd:+.2f}",
        _or_null(score.adverse_selection_per_share, "{:.4f}"),
        f"{score.drawdown_usd:.2f}",
        f"{score.worst_drawdown_usd:.2f}",
        f"{score.fills:.0f}",
        f"{score.orders:.0f}",
        f"{score.rejected:.0f}",
        f"{score.refused:.0f}",
        f"{score.two_sided_uptime:.0%}",
    )


def _paired_cells(pair: Paired) -> tuple[str, ...]:
    return (
        pair.baseline,
        str(pair.taker_delay_ms),
        f"{pair.risk_adjusted_median:+.2f}",
        f"[{pair.risk_adjusted_low:+.2f}, {pair.risk_adjusted_high:+.2f}]",
        f"{pair.pnl:+.2f}",
        f"[{pair.pnl_low:+.2f}, {pair.pnl_high:+.2f}]",
        _or_null(pair.adverse_selection_per_share, "{:+.4f}"),
        f"[{_or_null(pair.adverse_low, '{:+.4f}')}, {_or_null(pair.adverse_high, '{:+.4f}')}]",
        f"{pair.pairs} on {pair.recordings}",
    )


def _or_null(value: float | None, shape: str) -> str:
    return "null" if value is None else shape.format(value)


def _verdict(pair: Paired) -> str:
    if pair.risk_adjusted_low > 0:
        word = "better than"
    elif pair.risk_adjusted_high < 0:
        word = "worse than"
    else:
        word = "not told apart from"
    return (
        f"{word} {pair.baseline} at {pair.taker_delay_ms} ms: {pair.risk_adjusted_median:+.2f} USD a market "
        f"(90 % interval {pair.risk_adjusted_low:+.2f} to {pair.risk_adjusted_high:+.2f})"
    )


def _intervals(paired: Sequence[Paired]) -> str:
    return interval_plot(
        [
            (
                f"{p.baseline}, {p.taker_delay_ms} ms",
                p.risk_adjusted_low,
                p.risk_adjusted_median,
                p.risk_adjusted_high,
            )
            for p in paired
        ],
        "USD a market",
    )


def _splits(scores: Sequence[Score], delay_ms: int) -> str:
    return split_plot(
        [
            Bar(
                score.strategy,
                [score.spread_usd, score.rebates_usd, score.inventory_usd, -score.adverse_selection_usd],
            )
            for score in scores
            if score.taker_delay_ms == delay_ms
        ],
        ("spread", "rebates", "inventory", "adverse selection"),
        ("#3a9d5d", "#8fc9a3", "#6c8ebf", "#c0504d"),
        "USD a market",
    )


def _scatter(found: Comparison, baseline: str, colour: str) -> str:
    of = {(r.strategy, r.slug, r.taker_delay_ms): r.pnl_usd for r in found.by_recording}
    dots = [
        (of[baseline, slug, delay_ms], pnl_usd)
        for (strategy, slug, delay_ms), pnl_usd in of.items()
        if strategy == "candidate"
    ]
    return scatter_plot(dots, colour, f"{baseline}, USD", "candidate, USD")


def _terms(found: Comparison) -> Iterable[tuple[str, object]]:
    # The delay is what the comparison varies.
    return ((k, v) for k, v in msgspec.structs.asdict(found.terms).items() if k != "taker_delay_ms")


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _html_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='scroll'><table><tr>{head}</tr>{body}</table></div>"
