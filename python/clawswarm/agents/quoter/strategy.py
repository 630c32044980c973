"""The interface of a quoting strategy: one object for lab, sandbox and later live. Pure.

In: a `MarketView`, all that may be known of one market at one instant. Out: the quotes that should rest. What to
cancel and what to place follows from that (planner.py), within the mandate, behind the engine's limits:

    class AskMore:
        SEARCH = {"ticks": (1, 2, 4)}

        def __init__(self, ticks: int = 2) -> None:
            self.ticks = ticks

        def quotes(self, view: MarketView) -> Sequence[TargetQuote] | None:
            return quote_pair(view, bid_e4=…, ask_e4=…)

One object is made for each market and may keep what it saw; the time is in the view. `SEARCH` names the values
of the parameters that `claw lab compare` tries; without it the defaults stand. A strategy that has a method
`take_fill(side, price_e4, size_e6, now_ns)` is told of its fills.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Protocol, cast

import msgspec

from clawswarm._core import ReferencePath
from clawswarm.kernel.clock import NS_PER_MS
from clawswarm.model.errors import UserFault
from clawswarm.model.instruments import Side
from clawswarm.model.messages import BookState, Inventory, Mandate, ReferencePrice
from clawswarm.model.units import PRICE_ONE_E4

SIZE_STEP_E6 = 10_000


class MarketView(msgspec.Struct, frozen=True):
    """What a strategy sees: three levels of a side, what it may do, what it holds, the underlying, the time.

    `reference` is None until a price of the underlying was seen, `path` is what was seen of it: volatility,
    averages, returns. `now_ns` is the quoter's clock. `integrity` is how far the book is believed, 1 is wholly;
    below [quoter] pull_below no strategy is asked. `own` is (is a buy, price_e4, size_e6) of each own order,
    which the book contains. `shift` is by how many logits the other outcomes of the event move this one,
    `token_usd` what an order and a cancel cost now. How the market settles, its rewards and rebates are in
    `mandate.market`.
    """

    book: BookState
    mandate: Mandate
    inventory: Inventory
    reference: ReferencePrice | None
    now_ns: int
    integrity: float = 1.0
    own: tuple[tuple[bool, int, int], ...] = ()
    path: ReferencePath | None = None
    shift: float = 0.0
    token_usd: tuple[float, float] = (0.0, 0.0)

    @property
    def venue_ms(self) -> int:
        """The venue's clock now: the book's own time and how long ago it was received."""
        age_ns = self.now_ns - self.book.received_ns
        return self.book.server_ms + (age_ns // NS_PER_MS if age_ns > 0 else 0)

    @property
    def to_close_s(self) -> float | None:
        """Seconds until the market closes, below 0 afterwards; None without an end."""
        closes_ms = self.mandate.market.closes_ms
        return None if closes_ms is None else (closes_ms - self.venue_ms) / 1_000

    @property
    def tick_e4(self) -> int:
        """The venue's tick: after a change the book knows it at once, the mandate seconds later."""
        return self.book.tick_e4


class TargetQuote(msgspec.Struct, frozen=True):
    """One order that should rest; one that already rests up to `hold_e4` (more generous) is kept instead.

    `gain_usd` is what placing it is expected to bring: by it the engine shares scarce tokens out. None: by size.
    """

    side: Side
    price_e4: int
    hold_e4: int
    size_e6: int
    gain_usd: float | None = None


class Strategy(Protocol):
    """Views of one market in, the quotes that should rest out; no clock, no I/O."""

    def quotes(self, view: MarketView) -> Sequence[TargetQuote] | None:
        """At most one quote a side; an absent side is withdrawn; None leaves every order as it is."""


MakeStrategy = Callable[[], Strategy]
"""A strategy for one more market."""


def order_size_e6(side: Side, mandate: Mandate, inventory: Inventory) -> int:
    """The mandate's order size, cut so that a fill keeps the position within its limit."""
    room_e6 = mandate.max_position_e6 - side.sign * inventory.net_e6
    if mandate.is_reduce_only:
        room_e6 = -side.sign * inventory.net_e6
    size_e6 = min(mandate.order_size_e6, room_e6)
    return max(size_e6 - size_e6 % SIZE_STEP_E6, 0)


def quote_pair(view: MarketView, bid_e4: int | None, ask_e4: int | None) -> list[TargetQuote]:
    """Quotes in the mandate's size, on the tick, never crossing; a side that cannot be is left out."""
    book, quotes = view.book, list[TargetQuote]()
    tick_e4 = view.tick_e4
    highest_e4 = PRICE_ONE_E4 - tick_e4
    if bid_e4 is not None:
        limit_e4 = highest_e4 if book.ask_e4 is None else book.ask_e4 - tick_e4
        bid_e4 = min(bid_e4, limit_e4) // tick_e4 * tick_e4
    if ask_e4 is not None:
        limit_e4 = tick_e4 if book.bid_e4 is None else book.bid_e4 + tick_e4
        ask_e4 = -(-max(ask_e4, limit_e4) // tick_e4) * tick_e4
    for side, price_e4 in ((Side.BUY, bid_e4), (Side.SELL, ask_e4)):
        size_e6 = order_size_e6(side, view.mandate, view.inventory)
        is_price = price_e4 is not None and tick_e4 <= price_e4 <= highest_e4
        if price_e4 is not None and is_price and size_e6 >= view.mandate.market.min_size_e6:
            quotes.append(TargetQuote(side, price_e4, price_e4, size_e6))
    return quotes


def load_strategy(named: str) -> Callable[..., Strategy]:
    """The class that `FILE.py:Class` or `package.module:Class` names. Raises UserFault when there is none."""
    place, _, name = named.rpartition(":")
    if not place or not name:
        raise UserFault(f"{named} names no strategy: write FILE.py:Class or package.module:Class")
    try:
        module = _load_file(Path(place)) if place.endswith(".py") else import_module(place)
        found = getattr(module, name)
    except (ImportError, OSError, SyntaxError, AttributeError) as fault:
        raise UserFault(
            f"cannot load the strategy {named} ({fault}): check the file and the class"
        ) from fault
    if not callable(getattr(found, "quotes", None)):
        raise UserFault(f"{named} has no method quotes(view): see clawswarm/agents/quoter/strategy.py")
    return cast("Callable[..., Strategy]", found)


def search_space(strategy: Callable[..., Strategy]) -> Mapping[str, Sequence[float]]:
    """The parameter values a strategy's class wants tried; empty when it names none."""
    return cast("Mapping[str, Sequence[float]]", getattr(strategy, "SEARCH", {}))


def _load_file(path: Path) -> object:
    spec = spec_from_file_location(f"strategy_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = module_from_spec(spec)
    # Where pickles of its classes look for it.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
