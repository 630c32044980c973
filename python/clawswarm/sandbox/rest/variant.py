"""Answers as the documentation shows them, where the live venue answers otherwise (polymarket.md §3.6, §12).

Each function takes the live answer and returns the documented one.
"""

from decimal import Decimal

import msgspec

Record = dict[str, object]

_MICRO = Decimal(1_000_000)
_SIZES = ("size", "original_size", "size_matched", "matched_amount", "makingAmount", "takingAmount")


def documented_order(live: Record) -> Record:
    """Prefixed status, sizes in base units."""
    return _in_base_units(live) | {"status": f"ORDER_STATUS_{live['status']}"}


def documented_trade(live: Record) -> Record:
    """Prefixed status, sizes in base units."""
    makers = live["maker_orders"]
    assert isinstance(makers, list)
    changed = {
        "status": f"TRADE_STATUS_{live['status']}",
        "maker_orders": [_in_base_units(maker) for maker in makers],
    }
    return _in_base_units(live) | changed


def documented_placement(live: Record) -> Record:
    """Amounts in base units."""
    return _in_base_units(live)


def documented_book(live: str) -> Record:
    """Levels best first."""
    book: Record = msgspec.json.decode(live)
    for side in ("bids", "asks"):
        levels = book[side]
        assert isinstance(levels, list)
        book[side] = levels[::-1]
    return book


def as_number(text: str) -> float:
    """A price as a JSON number."""
    return float(text)


def _in_base_units(live: Record) -> Record:
    changed: Record = {}
    for name in _SIZES:
        value = live.get(name)
        if isinstance(value, str) and value:
            changed[name] = str(int(Decimal(value) * _MICRO))
    return live | changed
