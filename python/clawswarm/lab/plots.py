"""Four small plots as SVG text. Pure: numbers in, markup out."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

import msgspec

_WIDTH, _HEIGHT = 500, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 12, 12, 44
_GRID = "#dde3ea"
_STEPS = 5


class Series(msgspec.Struct, frozen=True):
    """One line."""

    name: str
    colour: str
    values: list[float]


class Bar(msgspec.Struct, frozen=True):
    """One stacked bar: parts above and below zero."""

    name: str
    parts: list[float]


class _Scale:
    """Values → pixels, with round marks."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        low, high = min(0.0, *values), max(0.0, *values)
        span = (high - low) or 1.0
        step = 10.0 ** floor(log10(span / _STEPS))
        step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= _STEPS)
        self._low, self._high = floor(low / step) * step, ceil(high / step) * step
        if self._low == self._high:
            self._high += step
        self._first, self._last = first, last
        count = round((self._high - self._low) / step)
        self.marks = [self._low + number * step for number in range(count + 1)]

    def at(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return round(self._first + share * (self._last - self._first), 1)


def interval_plot(rows: Sequence[tuple[str, float, float, float]], unit: str) -> str:
    """(name, low, middle, high) as whiskers around a dot, one row each."""
    left, height = 190, _TOP + 34 * len(rows) + _BOTTOM
    scale = _Scale([value for _, *values in rows for value in values], left, _WIDTH - _RIGHT)
    parts = _vertical_grid(scale, height, unit, (left + _WIDTH) / 2)
    for number, (name, low, middle, high) in enumerate(rows):
        y = _TOP + 34 * number + 17
        parts += [
            _text(left - 8, y + 4, name, "end"),
            _line(scale.at(low), y, scale.at(high), y, "#1f6feb", 2),
            f"<circle cx='{scale.at(middle)}' cy='{y}' r='5' fill='#1f6feb'/>",
        ]
    return _svg(parts, height)


def split_plot(bars: Sequence[Bar], names: Sequence[str], colours: Sequence[str], unit: str) -> str:
    """Stacked bars with a mark at the sum, and a legend."""
    ups = [sum(part for part in bar.parts if part > 0) for bar in bars]
    downs = [sum(part for part in bar.parts if part < 0) for bar in bars]
    scale = _Scale([*ups, *downs], _HEIGHT - _BOTTOM, _TOP + 22)
    parts = _horizontal_grid(scale, unit)
    parts += _legend(names, colours)
    pitch = (_WIDTH - _LEFT - _RIGHT) / max(len(bars), 1)
    for number, bar in enumerate(bars):
        x, up, down = _LEFT + pitch * (number + 0.25), 0.0, 0.0
        for part, colour in zip(bar.parts, colours, strict=True):
            start = up if part > 0 else down
            ends = scale.at(start), scale.at(start + part)
            parts.append(
                f"<rect x='{x:.1f}' y='{min(ends)}' width='{pitch / 2:.1f}' "
                f"height='{abs(ends[0] - ends[1]):.1f}' fill='{colour}'/>"
            )
            up, down = (up + part, down) if part > 0 else (up, down + part)
        total = scale.at(sum(bar.parts))
        parts.append(_line(x - 6, total, x + pitch / 2 + 6, total, "#1c2733", 2.5))
        parts.append(_text(x + pitch / 4, _HEIGHT - _BOTTOM + 18, bar.name, "middle"))
    return _svg(parts, _HEIGHT)


def line_plot(series: Sequence[Series], labels: Sequence[str], unit: str) -> str:
    """Lines over named, evenly spaced points."""
    scale = _Scale([v for line in series for v in line.values] or [0.0], _HEIGHT - _BOTTOM, _TOP + 22)
    parts = _horizontal_grid(scale, unit)
    parts += _legend([line.name for line in series], [line.colour for line in series])
    pitch = (_WIDTH - _LEFT - _RIGHT - 40) / max(len(labels) - 1, 1)
    places = [_LEFT + 20 + pitch * number for number in range(len(labels))]
    for x, label in zip(places, labels, strict=True):
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, label, "middle"))
    for line in series:
        points = [(x, scale.at(value)) for x, value in zip(places, line.values, strict=True)]
        path = " ".join(f"{x:.1f},{y}" for x, y in points)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{line.colour}' stroke-width='2'/>")
        parts += [f"<circle cx='{x:.1f}' cy='{y}' r='3' fill='{line.colour}'/>" for x, y in points]
    return _svg(parts, _HEIGHT)


def scatter_plot(dots: Sequence[tuple[float, float]], colour: str, across: str, up: str) -> str:
    """Dots on two axes of one scale, with the line where both are equal."""
    height, values = 340, [value for dot in dots for value in dot] or [0.0]
    horizontal = _Scale(values, _LEFT, _WIDTH - _RIGHT)
    vertical = _Scale(values, height - _BOTTOM, _TOP)
    parts = _horizontal_grid(vertical, up, height)
    parts += _vertical_grid(horizontal, height, across, (_LEFT + _WIDTH) / 2)
    ends = horizontal.marks[0], horizontal.marks[-1]
    parts.append(
        _line(
            horizontal.at(ends[0]),
            vertical.at(ends[0]),
            horizontal.at(ends[1]),
            vertical.at(ends[1]),
            "#8a97a5",
            1,
        )
    )
    for x, y in dots:
        parts.append(
            f"<circle cx='{horizontal.at(x)}' cy='{vertical.at(y)}' r='4' fill='{colour}' fill-opacity='0.6'/>"
        )
    return _svg(parts, height)


def _horizontal_grid(scale: _Scale, unit: str, height: float = _HEIGHT) -> list[str]:
    parts = [_text(14, height / 2, unit, "middle", f" transform='rotate(-90 14 {height / 2})'")]
    for mark in scale.marks:
        y = scale.at(mark)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y, "#52606d" if mark == 0 else _GRID, 1))
        parts.append(_text(_LEFT - 6, y + 4, f"{mark:.4g}", "end"))
    return parts


def _vertical_grid(scale: _Scale, height: float, unit: str, middle: float) -> list[str]:
    parts = [_text(middle, height - 6, unit, "middle")]
    for mark in scale.marks:
        x = scale.at(mark)
        parts.append(_line(x, _TOP, x, height - _BOTTOM, "#52606d" if mark == 0 else _GRID, 1))
        parts.append(_text(x, height - _BOTTOM + 16, f"{mark:.4g}", "middle"))
    return parts


def _legend(names: Sequence[str], colours: Sequence[str]) -> list[str]:
    parts, x = [], float(_LEFT)
    for name, colour in zip(names, colours, strict=True):
        parts.append(f"<rect x='{x:.0f}' y='6' width='10' height='10' fill='{colour}'/>")
        parts.append(_text(x + 14, 15, name, "start"))
        x += 30 + 6.6 * len(name)
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' "
        f"stroke-width='{width}'/>"
    )


def _text(x: float, y: float, text: str, anchor: str, extra: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'{extra}>{escape(text)}</text>"


def _svg(parts: Sequence[str], height: float) -> str:
    return (
        f"<svg viewBox='0 0 {_WIDTH} {height:.0f}' width='{_WIDTH}' height='{height:.0f}' role='img'>"
        + "".join(parts)
        + "</svg>"
    )
