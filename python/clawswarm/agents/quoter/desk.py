"""The quoter's state machine: messages and the time in, Plans out. Pure.

One plan a market is under way at a time; while the engine works on it the newest book simply waits. A message
makes the markets that it concerns due; what only time changes is found by a review of all of them. So the work
of one message does not grow with the number of markets held.
"""

from collections.abc import Sequence

import msgspec

from clawswarm._core import ReferencePath
from clawswarm.agents.quoter.outcomes import shift_logits
from clawswarm.agents.quoter.planner import OpenQuote, plan_changes
from clawswarm.agents.quoter.pricing import QuadraticQuoter, QuoterSettings
from clawswarm.agents.quoter.sources import BookSources
from clawswarm.agents.quoter.strategy import MakeStrategy, MarketView, Strategy, TargetQuote
from clawswarm.agents.quoter.tradeable import is_tradeable
from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S
from clawswarm.model.instruments import SETTLEMENT_FEED, Market, Side
from clawswarm.model.messages import (
    Allocation,
    BookState,
    EngineReply,
    FeedHealth,
    Inventory,
    Mandate,
    OrderState,
    OrderUpdate,
    Place,
    Plan,
    PlanDone,
    ReferencePrice,
    TokenPrice,
)
from clawswarm.model.units import MICRO, notional_e6

# After the gate's refusal (budget, limits, halt) nothing changes for a while; after the venue's refusal of an
# order the same book would lead to the same refusal: a newer one ends this pause.
REFUSED_PAUSE_NS = NS_PER_S // 4
REVIEW_NS = 20 * NS_PER_MS
RATE_PAUSE_NS = NS_PER_S // 20
# To go through an enumeration itself costs a tenth of a decision.
_BUY = Side.BUY


class _Refused(msgspec.Struct, frozen=True):
    """A pause after a refusal; of a book (None: of whatever book), until a time."""

    book_received_ns: int | None
    until_ns: int
    cancels_ns: int = 0
    """Until when even cancels wait: they were refused, and refusals come back within a millisecond."""


class QuoterDesk:
    """Every market of one quoter."""

    def __init__(
        self, name: str, settings: QuoterSettings, make_strategy: MakeStrategy | None = None
    ) -> None:
        self._name, self._settings = name, settings
        self._make_strategy = make_strategy or (
            lambda: QuadraticQuoter(settings.model, settings.widen_below, settings.widen_factor)
        )
        self._strategies: dict[str, Strategy] = {}
        self._references: dict[str, ReferencePrice] = {}
        self._paths: dict[tuple[str, str], ReferencePath] = {}
        self._sources = BookSources(settings.feed_timeout_s)
        self._term = 0
        self._sent_ns = 0
        self._expires_ns = 0
        self._mandates: dict[str, Mandate] = {}
        self._events: dict[str, list[str]] = {}
        self._concerned: dict[str, set[str]] = {}
        self._due: set[str] = set()
        self._next_review_ns = self._reviewed_ns = 0
        self._untradeable: set[str] = set()
        self._untradeable_ns = 0
        self._inventory: dict[str, Inventory] = {}
        self._open: dict[str, dict[int, OpenQuote]] = {}
        self._under_way: dict[str, bool] = {}
        """Markets with a plan under way, and whether it has cancels."""
        self._refused: dict[str, _Refused] = {}
        self._judged: dict[str, int] = {}
        self._shadow_price = 0.0
        self._next_ref = 1

    @property
    def markets(self) -> set[str]:
        """Markets whose books this quoter needs: its own, and those whose outcomes exclude one of them."""
        return self._mandates.keys() | {market for event in self._events.values() for market in event}

    @property
    def untradeable_s(self) -> float:
        """Market-seconds in which a mandated market could not be quoted on both sides, whoever quoted it."""
        return self._untradeable_ns / NS_PER_S

    def take_allocation(self, allocation: Allocation) -> None:
        """A mandate table; an older one changes nothing."""
        if (allocation.term, allocation.sent_ns) <= (self._term, self._sent_ns):
            return
        self._term, self._sent_ns = allocation.term, allocation.sent_ns
        self._expires_ns = allocation.sent_ns + allocation.life_ns
        self._mandates = {m.market.condition_id: m for m in allocation.mandates if m.quoter == self._name}
        self._concerned = {}
        for market, mandate in self._mandates.items():
            self._concerned.setdefault(mandate.market.underlying, set()).add(market)
        self._events = {
            underlying: [
                m.market.condition_id for m in allocation.mandates if m.market.underlying == underlying
            ]
            for underlying in self._concerned
            if any(self._mandates[market].market.outcomes > 1 for market in self._concerned[underlying])
        }
        self._sources.forget(self.markets)
        self._due |= self._mandates.keys() | self._open.keys()
        for market in self._strategies.keys() - self._mandates.keys():
            # What a strategy remembers ends with its mandate.
            del self._strategies[market]

    def take_health(self, health: FeedHealth) -> None:
        """A pulse of one sentinel."""
        if self._sources.take_health(health):
            self._due |= self._mandates.keys()

    def take_book(self, book: BookState, now_ns: int) -> bool:
        """A state of one market; False when it only repeats what is known."""
        self._due.add(book.market)
        return self._sources.take_book(book, now_ns)

    def source_lost(self, source: str, now_ns: int) -> None:
        """A sentinel has ended."""
        self._sources.lose(source, now_ns)
        self._due |= self._mandates.keys()

    def disagreements(self, now_ns: int) -> list[tuple[str, str]]:
        """(market, sentinel) that should ask the venue for its book now."""
        return self._sources.disagreements(now_ns)

    def concerns(self, underlying: str) -> bool:
        """Whether a market of this quoter moves with it."""
        return underlying in self._concerned

    def take_reference(self, reference: ReferencePrice) -> None:
        """A price of an underlying."""
        underlying = reference.underlying
        path = self._paths.setdefault((underlying, reference.feed), ReferencePath())
        # Both sentinels tell the same prices: the first one counts.
        if path.take(reference.value_e6 / MICRO, reference.source_ms):
            if reference.feed == SETTLEMENT_FEED:
                self._references[underlying] = reference
            self._due |= self._concerned.get(underlying, set())

    def take_reply(self, reply: EngineReply, now_ns: int) -> None:
        """What the engine says."""
        if isinstance(reply, TokenPrice):
            self._shadow_price = reply.shadow_price
            return
        self._due.add(reply.market)
        if isinstance(reply, Inventory):
            self._inventory[reply.market] = reply
        elif isinstance(reply, PlanDone):
            has_cancels = self._under_way.pop(reply.market, False)
            if reply.refused is not None:
                # Outbid for a token: the next one comes within milliseconds.
                pause_ns = RATE_PAUSE_NS if reply.refused.startswith("rate:") else REFUSED_PAUSE_NS
                cancels_ns = now_ns + RATE_PAUSE_NS if has_cancels else 0
                self._refused[reply.market] = _Refused(None, now_ns + pause_ns, cancels_ns)
        else:
            self._take_update(reply, now_ns)

    def _take_update(self, update: OrderUpdate, now_ns: int) -> None:
        quotes = self._open.setdefault(update.market, {})
        self._tell_fill(update, quotes.get(update.ref), now_ns)
        if update.state in (OrderState.LIVE, OrderState.UNKNOWN):
            quotes[update.ref] = OpenQuote(
                update.ref, update.order_id, update.side, update.price_e4, update.remaining_e6
            )
            return
        quotes.pop(update.ref, None)
        # The engine names an order that it does not have by its id alone.
        for ref in [ref for ref, quote in quotes.items() if quote.order_id == update.order_id]:
            del quotes[ref]
        if update.state is OrderState.REJECTED:
            book_received_ns = self._judged.get(update.market, 0)
            self._refused[update.market] = _Refused(book_received_ns, now_ns + REFUSED_PAUSE_NS)

    def _tell_fill(self, update: OrderUpdate, known: OpenQuote | None, now_ns: int) -> None:
        take_fill = getattr(self._strategies.get(update.market), "take_fill", None)
        if take_fill is None or known is None or update.state not in (OrderState.LIVE, OrderState.FILLED):
            return
        filled_e6 = known.remaining_e6 - (0 if update.state is OrderState.FILLED else update.remaining_e6)
        if filled_e6 > 0:
            take_fill(known.side, known.price_e4, filled_e6, now_ns)

    def engine_lost(self) -> None:
        """The connection closed: the engine cancels everything of ours, and says nothing any more."""
        self._open.clear()
        self._under_way.clear()
        self._inventory.clear()

    def plans(self, now_ns: int) -> list[Plan]:
        """What to send to the engine now."""
        is_review = now_ns >= self._next_review_ns or now_ns >= self._expires_ns
        if is_review:
            self._next_review_ns = now_ns + REVIEW_NS
            self._untradeable &= self._mandates.keys()
            self._untradeable_ns += len(self._untradeable) * (now_ns - self._reviewed_ns)
            self._reviewed_ns = now_ns
            if now_ns >= self._expires_ns:
                self._mandates = {}
            self._due |= self._mandates.keys() | {m for m, quotes in self._open.items() if quotes}
        plans = []
        for market in sorted(self._due - self._under_way.keys()):
            self._due.discard(market)
            if (plan := self._plan(market, now_ns, is_review=is_review)) is not None:
                self._under_way[market] = bool(plan.cancels)
                plans.append(plan)
        return plans

    def _note_tradeable(self, market: str, view: MarketView | None) -> None:
        """Sampled at the reviews; a market that cannot be seen is not excused."""
        if view is None or is_tradeable(view, self._settings.model):
            self._untradeable.discard(market)
        else:
            self._untradeable.add(market)

    def _strategy(self, market: str) -> Strategy:
        strategy = self._strategies.get(market)
        if strategy is None:
            strategy = self._strategies[market] = self._make_strategy()
        return strategy

    def _is_pausing(self, market: str, received_ns: int, now_ns: int, *, has_cancels: bool) -> bool:
        refused = self._refused.get(market)
        if refused is None or now_ns >= refused.until_ns:
            return False
        if has_cancels:
            return now_ns < refused.cancels_ns
        return refused.book_received_ns in (None, received_ns)

    def _shift(self, market: Market, now_ns: int) -> float:
        """By how many logits the other outcomes of the market's event move it."""
        event = self._events.get(market.underlying, [])
        books = [self._sources.best(outcome, now_ns) for outcome in event]
        return shift_logits(market, books)

    def _plan(self, market: str, now_ns: int, *, is_review: bool) -> Plan | None:
        mandate = self._mandates.get(market)
        known = self._open.get(market)
        every = () if known is None else known.values()
        quotes = [quote for quote in every if quote.order_id]
        book = self._sources.best(market, now_ns)
        inventory = self._inventory.get(market)
        if book is None and self._sources.is_healing(market, now_ns):
            return None
        targets: Sequence[TargetQuote] | None = ()
        view, tick_e4 = None, 1
        if mandate is not None and book is not None and inventory is not None:
            integrity = self._sources.integrity(book, now_ns)
            if integrity >= self._settings.pull_below:
                underlying, settlement = mandate.market.underlying, mandate.market.settlement
                feed = SETTLEMENT_FEED if settlement is None else settlement.feed
                own = tuple([(quote.side is _BUY, quote.price_e4, quote.remaining_e6) for quote in every])
                view = MarketView(
                    book=book,
                    mandate=mandate,
                    inventory=inventory,
                    reference=self._references.get(underlying),
                    now_ns=now_ns,
                    integrity=integrity,
                    own=own,
                    path=self._paths.get((underlying, feed)),
                    shift=self._shift(mandate.market, now_ns) if mandate.market.outcomes > 1 else 0.0,
                    token_usd=(self._shadow_price / mandate.weight if mandate.weight else 0.0, 0.0),
                )
                tick_e4 = book.tick_e4
                targets = self._strategy(market).quotes(view)
        if is_review:
            self._note_tradeable(market, view)
        if targets is None:
            return None
        changes = plan_changes(targets, quotes, tick_e4, self._settings.requote_ticks)
        received_ns = book.received_ns if book is not None else 0
        is_tick = received_ns not in (0, self._judged.get(market))
        self._judged[market] = received_ns
        if self._is_pausing(market, received_ns, now_ns, has_cancels=bool(changes.cancels)):
            return None
        if not changes.cancels and not changes.places:
            return None
        value = sum(map(_worth, changes.places))
        weight = 1.0 if mandate is None else mandate.weight
        if not changes.cancels and value * weight < self._shadow_price * len(changes.places):
            # Others are worth more at the moment: the engine would let it wait in vain.
            return None
        places = []
        for target in changes.places:
            places.append(
                Place(ref=self._next_ref, side=target.side, price_e4=target.price_e4, size_e6=target.size_e6)
            )
            self._next_ref += 1
        return Plan(
            market=market,
            term=self._term,
            epoch=mandate.epoch if mandate is not None else 0,
            cancels=tuple(quote.order_id for quote in changes.cancels),
            places=tuple(places),
            value=value,
            book_sequence=book.sequence if book is not None else 0,
            book_received_ns=received_ns if is_tick else None,
            decided_ns=now_ns,
            tick_e4=book.tick_e4 if book is not None else None,
        )


def _worth(target: TargetQuote) -> float:
    if target.gain_usd is not None:
        return target.gain_usd
    return notional_e6(target.price_e4, target.size_e6) / MICRO
