"""Request windows per client address, as the venue's edge counts them (polymarket.md §6.1). Pure: time is given.

A window never lets more than `limit` requests through in any span of its length. The edge holds an
over-limit request back for a while before it refuses it, so `admit` answers how long to wait, not yes or no.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

_NS_PER_S = 1_000_000_000
_SHORT_S, _MINUTE_S, _LONG_S = 10, 60, 600
# Paths with an id in them never end.
_REMEMBERED_PATHS = 1_000


class Rule(msgspec.Struct, frozen=True):
    """One line of the published table: requests that share a count. A path ending in `/` is a prefix."""

    name: str
    method: str | None
    paths: tuple[str, ...]
    per_10s: int
    per_600s: int | None = None
    per_60s: int | None = None

    def applies(self, method: str, path: str) -> bool:
        """Whether a request counts here."""
        if self.method is not None and method != self.method:
            return False
        return any(path == known or (known.endswith("/") and path.startswith(known)) for known in self.paths)


def _shared() -> tuple[Rule, ...]:
    """Lines that both published sets have in common."""
    return (
        Rule("all", None, ("/",), 15_000),
        Rule("clob", None, ("/",), 9_000),
        Rule("DELETE /cancel-all", "DELETE", ("/cancel-all",), 250, 6_000),
        *(Rule(path, "GET", (path,), 1_500) for path in ("/book", "/price", "/midpoint")),
        *(Rule(path, "POST", (path,), 500) for path in ("/books", "/prices", "/midpoints")),
        Rule("/prices-history", None, ("/prices-history",), 1_000),
        Rule("/tick-size", None, ("/tick-size", "/tick-size/"), 200),
        Rule("ledger", "GET", ("/data/orders", "/data/trades", "/data/order/", "/notifications"), 900),
        Rule("/data/orders", "GET", ("/data/orders",), 500),
        Rule("/data/trades", "GET", ("/data/trades",), 500),
        Rule("/notifications", None, ("/notifications",), 125),
        Rule("/balance-allowance", None, ("/balance-allowance",), 200),
        Rule("/balance-allowance/update", None, ("/balance-allowance/update",), 50),
        Rule("api keys", None, ("/auth/",), 100),
        Rule("/ok", None, ("/ok",), 100),
        Rule("/submit", "POST", ("/submit",), 25, per_60s=25),
        Rule("gamma", None, ("/gamma/",), 4_000),
        Rule(
            "gamma listings",
            None,
            ("/gamma/events", "/gamma/events/", "/gamma/markets", "/gamma/markets/"),
            900,
        ),
        Rule("gamma /events", None, ("/gamma/events", "/gamma/events/"), 500),
        Rule("gamma /markets", None, ("/gamma/markets", "/gamma/markets/"), 300),
        Rule("data v1", None, ("/data-api/",), 1_000),
        Rule("data v1 /trades", None, ("/data-api/trades",), 200),
        Rule("data v1 /positions", None, ("/data-api/positions",), 150),
        Rule("data v2", None, ("/data-api/v2/",), 800),
        Rule("data v2 /trades", None, ("/data-api/v2/trades",), 300),
        Rule("data v2 /positions", None, ("/data-api/v2/positions",), 200),
    )


OLDER = (
    Rule("POST /order", "POST", ("/order",), 3_500, 36_000),
    Rule("DELETE /order", "DELETE", ("/order",), 3_000, 30_000),
    Rule("POST /orders", "POST", ("/orders",), 1_000, 15_000),
    Rule("DELETE /orders", "DELETE", ("/orders",), 1_000, 15_000),
    Rule("DELETE /cancel-market-orders", "DELETE", ("/cancel-market-orders",), 1_000, 1_500),
    *_shared(),
)
"""Until about May 2026; design.md §7 plans for these."""

SEPTEMBER_2026 = (
    Rule("POST /order", "POST", ("/order",), 5_000, 120_000),
    Rule("DELETE /order", "DELETE", ("/order",), 5_000, 120_000),
    Rule("POST /orders", "POST", ("/orders",), 2_000, 21_000),
    Rule("DELETE /orders", "DELETE", ("/orders",), 2_000, 15_000),
    Rule("DELETE /cancel-market-orders", "DELETE", ("/cancel-market-orders",), 1_500, 21_000),
    *_shared(),
)
"""As published on 2026-09-16."""

WINDOW_SETS: dict[str, tuple[Rule, ...]] = {"older": OLDER, "2026-09": SEPTEMBER_2026, "off": ()}


class Window:
    """At most `limit` admissions in any span of `span_ns`."""

    __slots__ = ("_span_ns", "_times")

    def __init__(self, limit: int, span_ns: int) -> None:
        self._span_ns = span_ns
        self._times: deque[int] = deque(maxlen=limit)

    def wait_ns(self, now_ns: int) -> int:
        """How long until one more fits; 0 when it fits now."""
        times = self._times
        if len(times) < (times.maxlen or 0):
            return 0
        return max(0, times[0] + self._span_ns - now_ns)

    def add(self, now_ns: int) -> None:
        """Count an admission; call it only after `wait_ns` said 0."""
        self._times.append(now_ns)


class RequestWindows:
    """The windows of every client address."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._windows: dict[tuple[str, str], tuple[Window, ...]] = {}
        self._applying: dict[tuple[str, str], tuple[Rule, ...]] = {}

    def admit(self, address: str, method: str, path: str, now_ns: int) -> int:
        """Count the request in all its windows and return 0, or count nothing and return the wait in ns."""
        windows = [
            window for rule in self._rules_of(method, path) for window in self._windows_of(address, rule)
        ]
        wait_ns = max((window.wait_ns(now_ns) for window in windows), default=0)
        if wait_ns == 0:
            for window in windows:
                window.add(now_ns)
        return wait_ns

    def _rules_of(self, method: str, path: str) -> tuple[Rule, ...]:
        found = self._applying.get((method, path))
        if found is None:
            found = tuple(rule for rule in self._rules if rule.applies(method, path))
            if len(self._applying) < _REMEMBERED_PATHS:
                self._applying[method, path] = found
        return found

    def _windows_of(self, address: str, rule: Rule) -> tuple[Window, ...]:
        windows = self._windows.get((address, rule.name))
        if windows is None:
            windows = (Window(rule.per_10s, _SHORT_S * _NS_PER_S),)
            if rule.per_60s is not None:
                windows += (Window(rule.per_60s, _MINUTE_S * _NS_PER_S),)
            if rule.per_600s is not None:
                windows += (Window(rule.per_600s, _LONG_S * _NS_PER_S),)
            self._windows[address, rule.name] = windows
        return windows
