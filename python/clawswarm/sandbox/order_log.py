"""The venue's own log of its customers' orders, a JSON line each: what proofs about a client are judged by.

    {"at_ns", "kind": PLACEMENT | UPDATE | CANCELLATION, "id", "market", "is_bid", "price_e4", "open_e6",
    "matched_e6"} {"at_ns", "kind": "REQUEST" | "REFUSED", "method", "path"}

Side and price are in the YES frame; `open_e6` is what can still trade, 0 once the order is gone. A REQUEST passed
the limits, a REFUSED one was answered 429. Only requests that have a window of orders or cancels are noted.
"""

from pathlib import Path

import msgspec

from clawswarm.sandbox.exchange.events import OrderChanged

_ORDER_PATHS = ("/order", "/orders", "/cancel-all", "/cancel-market-orders")


class OrderChange(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order."""

    at_ns: int
    kind: str
    id: str
    market: str
    is_bid: bool
    price_e4: int
    open_e6: int
    matched_e6: int


class RequestSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the limits let pass (REQUEST), or 429 (REFUSED)."""

    at_ns: int
    kind: str
    method: str
    path: str


class OrderLog:
    """Appends to a file, a line at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def note(self, event: OrderChanged) -> None:
        """One change of an order."""
        order = event.order
        if order.account.is_participant:
            return
        is_live = event.status == "LIVE" and event.kind != "CANCELLATION"
        self._write(
            OrderChange(
                at_ns=event.at_ns,
                kind=event.kind,
                id=order.id,
                market=order.market.condition_id,
                is_bid=order.is_bid,
                price_e4=order.yes_price_e4,
                open_e6=order.size_e6 - event.matched_e6 if is_live else 0,
                matched_e6=event.matched_e6,
            )
        )

    def note_request(self, method: str, path: str, is_refused: bool, at_ns: int) -> None:
        """One request that has met the limits."""
        if method in ("POST", "DELETE") and path in _ORDER_PATHS:
            kind = "REFUSED" if is_refused else "REQUEST"
            self._write(RequestSeen(at_ns=at_ns, kind=kind, method=method, path=path))

    def _write(self, line: OrderChange | RequestSeen) -> None:
        self._file.write(msgspec.json.encode(line) + b"\n")


def read_order_log(path: Path) -> list[OrderChange | RequestSeen]:
    """Every line of a log; a last one that is not whole is left out."""
    found: list[OrderChange | RequestSeen] = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        kind: type[OrderChange | RequestSeen] = RequestSeen if b'"method"' in line else OrderChange
        found.append(msgspec.json.decode(line, type=kind))
    return found
