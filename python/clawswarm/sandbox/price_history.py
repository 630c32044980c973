"""The price of every market as GET /prices-history gives it: one point a second at most, the middle of the touch.

Pure; in: time and touch in the YES frame, out: points of either token (polymarket.md §3.6).
"""

from collections import deque

import msgspec

from clawswarm.model.units import PRICE_ONE_E4
from clawswarm.sandbox.exchange import refusals

KEPT = 100_000
CAPPED = 4_300
"""Points of one answer at most, the newest."""

_MINUTE_S = 60
_INTERVALS_S = {"1h": 3_600, "6h": 21_600, "1d": 86_400, "1w": 604_800, "1m": 2_592_000}
_COARSEST = {"1m": 10, "1w": 5}
_LONGEST_S = 16 * 86_400


class HistoryQuery(msgspec.Struct, frozen=True):
    """What of a history is asked for; `fidelity` is minutes between points."""

    start_s: int | None
    end_s: int | None
    interval: str
    fidelity: int


def parse_query(query: dict[str, str]) -> HistoryQuery:
    """Check the filters, word for word as the venue refuses them."""
    if not query.get("market"):
        raise refusals.invalid_history_filter("the 'market' (asset id) is mandatory")
    interval = query.get("interval", "")
    if interval not in ("", "max", "all", *_INTERVALS_S):
        known = "'1m', '1w', '1d', '6h', '1h'"
        raise refusals.invalid_history_filter(f"the 'interval' value is unknown. Known values: {known}")
    start, end, fidelity = (_seconds(query, name) for name in ("startTs", "endTs", "fidelity"))
    coarsest = _COARSEST.get(interval, 1)
    if (fidelity or 1) < coarsest:
        raise refusals.invalid_history_filter(f"minimum 'fidelity' for '{interval}' range is {coarsest}")
    if start is None and (end is not None or not interval):
        raise refusals.invalid_history_filter("'startTs' or 'interval' is mandatory")
    if start is not None and end is not None and end - start > _LONGEST_S:
        raise refusals.invalid_history_filter("'startTs' and 'endTs' interval is too long")
    return HistoryQuery(start, end, interval, fidelity or 1)


def _seconds(query: dict[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise refusals.invalid_history_filter(f"the '{name}' value is invalid")
    return int(text)


class PriceHistory:
    """Points of all markets."""

    def __init__(self) -> None:
        self._points: dict[str, deque[tuple[int, int]]] = {}

    def note(self, condition_id: str, at_s: int, bid_e4: int | None, ask_e4: int | None) -> None:
        """Keep the middle of the touch; the last of a second counts."""
        points = self._points.setdefault(condition_id, deque(maxlen=KEPT))
        middle = ((bid_e4 or 0) + (PRICE_ONE_E4 if ask_e4 is None else ask_e4)) // 2
        if points and points[-1][0] >= at_s:
            points[-1] = (points[-1][0], middle)
        else:
            points.append((at_s, middle))

    def points(
        self, condition_id: str, is_yes: bool, asked: HistoryQuery, now_s: int
    ) -> list[dict[str, object]]:
        """The points asked for, oldest first; the venue appends the present one even after `end_s`."""
        known = self._points.get(condition_id, ())
        start = asked.start_s
        if start is None:
            start = now_s - _INTERVALS_S.get(asked.interval, now_s)
        end = now_s if asked.end_s is None else asked.end_s
        step, next_s, chosen = asked.fidelity * _MINUTE_S, 0, []
        for at_s, middle in known:
            if start <= at_s <= end and at_s >= next_s:
                chosen.append((at_s, middle))
                next_s = at_s + step
        if known:
            chosen.append((now_s, known[-1][1]))
        return [
            {"t": at_s, "p": (middle if is_yes else PRICE_ONE_E4 - middle) / PRICE_ONE_E4}
            for at_s, middle in chosen[-CAPPED:]
        ]
