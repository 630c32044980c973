"""One market of a quoter: what is known of it, which orders rest, which plan is under way. Pure."""

import msgspec

from clawswarm._core import ReferencePath
from clawswarm.agents.quoter.planner import OpenQuote
from clawswarm.agents.quoter.sources import MarketBooks
from clawswarm.agents.quoter.strategy import Strategy
from clawswarm.kernel.clock import NS_PER_S
from clawswarm.model.instruments import SETTLEMENT_FEED, Side
from clawswarm.model.messages import (
    BookState,
    Inventory,
    Mandate,
    OrderState,
    OrderUpdate,
    PlanDone,
    ReferencePrice,
)

# After the gate's refusal (budget, limits, halt) nothing changes for a while; after the venue's refusal of an
# order the same book would lead to the same refusal: a newer one ends this pause.
REFUSED_PAUSE_NS = NS_PER_S // 4
RATE_PAUSE_NS = NS_PER_S // 20
# To look a member of an enumeration up costs a tenth of a decision.
_BUY = Side.BUY


class _Refused(msgspec.Struct, frozen=True):
    """A pause after a refusal; of a book (None: of whatever book), until a time."""

    book_received_ns: int | None
    until_ns: int
    cancels_ns: int = 0
    """Until when even cancels wait: they were refused, and refusals come back within a millisecond."""


class Holding(msgspec.Struct, eq=False):
    """A market, mandated or not."""

    market: str
    books: MarketBooks
    mandate: Mandate | None = None
    strategy: Strategy | None = None
    inventory: Inventory | None = None
    feed: str = SETTLEMENT_FEED
    reference: ReferencePrice | None = None
    path: ReferencePath | None = None
    event: tuple[MarketBooks, ...] = ()
    """Books of the outcomes that exclude each other, this one's among them."""
    orders: dict[int, OpenQuote] = {}
    resting: tuple[OpenQuote, ...] = ()
    """Those that the venue has acknowledged."""
    own: tuple[tuple[bool, int, int], ...] = ()
    """All of them, as a strategy sees them."""
    has_cancels: bool | None = None
    """Whether the plan that is under way has any; None: none is under way."""
    refused: _Refused | None = None
    judged: BookState | None = None
    """The book that the last decision was of."""
    judged_ns: int = 0
    """When it was received."""
    integrity: float = 1.0
    """How far it was believed."""
    content_until_ns: int = 0
    """Until when that decision stands unless something is heard."""
    is_untradeable: bool = False
    has_ended: bool = False
    """Whether its mandate was taken away."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do in a market without a mandate, and nothing to remember.

        The engine tells what is held with a mandate's first table, at times before that table itself is heard.
        """
        is_idle = not self.orders and self.has_cancels is None
        return is_idle and (self.has_ended or self.inventory is None)

    def end(self) -> None:
        """Another's market now: what is remembered of it ends with its mandate."""
        if self.mandate is not None:
            self.has_ended, self.inventory = True, None
        self.mandate = self.strategy = None
        self.is_untradeable = False

    def take_update(self, update: OrderUpdate, now_ns: int) -> None:
        """An order of ours changed."""
        self._tell_fill(update, self.orders.get(update.ref), now_ns)
        if update.state in (OrderState.LIVE, OrderState.UNKNOWN):
            self.orders[update.ref] = OpenQuote(
                update.ref, update.order_id, update.side, update.price_e4, update.remaining_e6
            )
        else:
            self.orders.pop(update.ref, None)
            # The engine names an order that it does not have by its id alone.
            for ref in [ref for ref, order in self.orders.items() if order.order_id == update.order_id]:
                del self.orders[ref]
            if update.state is OrderState.REJECTED:
                self.refused = _Refused(self.judged_ns, now_ns + REFUSED_PAUSE_NS)
        self._list_orders()

    def _list_orders(self) -> None:
        self.resting = tuple([order for order in self.orders.values() if order.order_id])
        self.own = tuple(
            [(order.side is _BUY, order.price_e4, order.remaining_e6) for order in self.orders.values()]
        )

    def _tell_fill(self, update: OrderUpdate, known: OpenQuote | None, now_ns: int) -> None:
        take_fill = getattr(self.strategy, "take_fill", None)
        if take_fill is None or known is None or update.state not in (OrderState.LIVE, OrderState.FILLED):
            return
        filled_e6 = known.remaining_e6 - (0 if update.state is OrderState.FILLED else update.remaining_e6)
        if filled_e6 > 0:
            take_fill(known.side, known.price_e4, filled_e6, now_ns)

    def take_done(self, done: PlanDone, now_ns: int) -> None:
        """The engine has worked the plan off, or refused it."""
        if done.refused is not None:
            # Outbid for a token: the next one comes within milliseconds.
            pause_ns = RATE_PAUSE_NS if done.refused.startswith("rate:") else REFUSED_PAUSE_NS
            cancels_ns = now_ns + RATE_PAUSE_NS if self.has_cancels else 0
            self.refused = _Refused(None, now_ns + pause_ns, cancels_ns)
        self.has_cancels = None

    def engine_lost(self) -> None:
        """The engine cancels everything of ours, and says nothing any more."""
        self.orders.clear()
        self._list_orders()
        self.has_cancels = self.inventory = None

    def is_pausing(self, received_ns: int, now_ns: int, *, has_cancels: bool) -> bool:
        """Whether a plan made of a book would only be refused again."""
        refused = self.refused
        if refused is None or now_ns >= refused.until_ns:
            return False
        if has_cancels:
            return now_ns < refused.cancels_ns
        return refused.book_received_ns in (None, received_ns)
