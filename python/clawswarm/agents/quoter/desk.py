"""The quoter's state machine: messages and the time in, Plans out. Pure.

One plan a market is under way at a time; while the engine works on it the newest book simply waits. A message
makes the markets due whose decision it can change; what only time changes is found by a review of all of them,
which asks a strategy again where its book is another one or believed otherwise, or a while has passed. So the work
of one message does not grow with the number of markets held, and a book told twice is thought about once.
"""

from clawswarm._core import ReferencePath
from clawswarm.agents.quoter.holding import Holding
from clawswarm.agents.quoter.outcomes import shift_logits
from clawswarm.agents.quoter.planner import Changes, plan_changes
from clawswarm.agents.quoter.pricing import QuadraticQuoter, QuoterSettings
from clawswarm.agents.quoter.sources import BookSources
from clawswarm.agents.quoter.strategy import MakeStrategy, MarketView, TargetQuote
from clawswarm.agents.quoter.tradeable import is_tradeable
from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S
from clawswarm.model.instruments import SETTLEMENT_FEED
from clawswarm.model.messages import (
    Allocation,
    BookState,
    EngineReply,
    FeedHealth,
    Inventory,
    Mandate,
    Place,
    Plan,
    PlanDone,
    ReferencePrice,
    TokenPrice,
)
from clawswarm.model.units import MICRO, notional_e6

REVIEW_NS = 20 * NS_PER_MS
# How long a strategy is content with a decision that nothing but time could change.
CONTENT_NS = 250 * NS_PER_MS


class QuoterDesk:
    """Every market of one quoter."""

    def __init__(
        self, name: str, settings: QuoterSettings, make_strategy: MakeStrategy | None = None
    ) -> None:
        self._name, self._settings = name, settings
        self._make_strategy = make_strategy or (
            lambda: QuadraticQuoter(settings.model, settings.widen_below, settings.widen_factor)
        )
        self._references: dict[str, ReferencePrice] = {}
        self._paths: dict[tuple[str, str], ReferencePath] = {}
        self._first_told: dict[tuple[str, str], str] = {}
        """By underlying and feed: the sentinel that told the newest price before the other one."""
        self._sources = BookSources(settings.feed_timeout_s)
        self._term = 0
        self._sent_ns = 0
        self._expires_ns = 0
        self._table: tuple[Mandate, ...] = ()
        self._needed: set[str] = set()
        """Whose books are told since the newest table, be it still in force or not."""
        self._holdings: dict[str, Holding] = {}
        self._mandated: dict[str, Holding] = {}
        self._events: dict[str, list[str]] = {}
        self._concerned: dict[str, list[Holding]] = {}
        self._due: set[Holding] = set()
        self._next_review_ns = self._reviewed_ns = 0
        self._untradeable_ns = 0
        self._shadow_price = 0.0
        self._next_ref = 1

    @property
    def markets(self) -> set[str]:
        """Markets whose books this quoter needs: its own, and those whose outcomes exclude one of them."""
        return self._mandated.keys() | {market for event in self._events.values() for market in event}

    @property
    def untradeable_s(self) -> float:
        """Market-seconds in which a mandated market could not be quoted on both sides, whoever quoted it."""
        return self._untradeable_ns / NS_PER_S

    def _of(self, market: str) -> Holding:
        held = self._holdings.get(market)
        if held is None:
            held = self._holdings[market] = Holding(market, self._sources.of(market))
        return held

    def take_allocation(self, allocation: Allocation) -> bool:
        """A mandate table; False when it only renews what is known. An older one changes nothing."""
        if (allocation.term, allocation.sent_ns) <= (self._term, self._sent_ns):
            return False
        self._term, self._sent_ns = allocation.term, allocation.sent_ns
        self._expires_ns = allocation.sent_ns + allocation.life_ns
        if allocation.mandates == self._table:
            return False
        self._table = allocation.mandates
        mandates = {m.market.condition_id: m for m in allocation.mandates if m.quoter == self._name}
        self._mandated = {market: self._of(market) for market in mandates}
        self._events = {
            underlying: [
                m.market.condition_id for m in allocation.mandates if m.market.underlying == underlying
            ]
            for underlying in {m.market.underlying for m in mandates.values() if m.market.outcomes > 1}
        }
        needed = self._needed = self.markets
        for held in self._holdings.values():
            if held.market not in mandates:
                held.end()
            if held.market not in needed:
                # Nobody tells its books any more: should it come back, these would be old ones.
                held.books.clear()
        self._holdings = {
            market: held for market, held in self._holdings.items() if market in needed or not held.is_done
        }
        self._sources.forget(needed | self._holdings.keys())
        self._concerned = {}
        for market, held in self._mandated.items():
            mandate = mandates[market]
            if mandate != held.mandate:
                self._due.add(held)
            held.mandate, held.has_ended = mandate, False
            underlying, settlement = mandate.market.underlying, mandate.market.settlement
            held.feed = SETTLEMENT_FEED if settlement is None else settlement.feed
            held.reference = self._references.get(underlying)
            held.path = self._paths.get((underlying, held.feed))
            held.event = tuple(self._sources.of(outcome) for outcome in self._events.get(underlying, ()))
            self._concerned.setdefault(underlying, []).append(held)
        self._due.intersection_update(self._holdings.values())
        self._due.update(held for held in self._holdings.values() if held.orders and held.mandate is None)
        return True

    def take_health(self, health: FeedHealth) -> None:
        """A pulse of one sentinel."""
        if self._sources.take_health(health):
            self._due.update(self._mandated.values())

    def quotes_from(self, source: str, market: str) -> bool:
        """Whether a sentinel's book of a market may change a quote at once.

        The other one says the same of it, earlier or later: that is looked at in the next turn.
        """
        held = self._holdings.get(market)
        return held is None or held.books.may_choose(source)

    def take_book(self, book: BookState, now_ns: int) -> bool:
        """A state of one market; whether it is the one to quote by now."""
        if book.market not in self._needed:
            # It was under way when the market went to another.
            return False
        held = self._of(book.market)
        if not held.books.take(book, now_ns):
            return False
        best = held.books.best(now_ns)
        if best is not held.judged:
            self._due.add(held)
        return best is book

    def source_lost(self, source: str, now_ns: int) -> None:
        """A sentinel has ended."""
        self._sources.lose(source, now_ns)
        self._due.update(self._mandated.values())

    def disagreements(self, now_ns: int) -> list[tuple[str, str]]:
        """(market, sentinel) that should ask the venue for its book now."""
        return self._sources.disagreements(now_ns)

    @property
    def feeds(self) -> set[str]:
        """Feeds of the prices that its markets move and settle with."""
        return {SETTLEMENT_FEED, *(held.feed for held in self._mandated.values())}

    def concerns(self, feed: str, underlying: str, source: str) -> bool:
        """Whether a market of this quoter moves, or settles, with that price, and this sentinel tells it first.

        Who told the last one second most likely repeats the other: a price of it that is new all the same waits
        for the next turn, and from then on it is the first.
        """
        if self._first_told.get((underlying, feed), source) != source:
            return False
        held = self._concerned.get(underlying, ())
        return any(feed in (SETTLEMENT_FEED, it.feed) for it in held)

    def take_reference(self, reference: ReferencePrice) -> None:
        """A price of an underlying."""
        underlying, feed = reference.underlying, reference.feed
        path = self._paths.setdefault((underlying, feed), ReferencePath())
        # Both sentinels tell the same prices: the first one counts.
        if not path.take(reference.value_e6 / MICRO, reference.source_ms):
            return
        self._first_told[underlying, feed] = reference.source
        if feed == SETTLEMENT_FEED:
            self._references[underlying] = reference
        for held in self._concerned.get(underlying, ()):
            if feed not in (SETTLEMENT_FEED, held.feed):
                continue
            held.reference = self._references.get(underlying)
            if held.feed == feed:
                held.path = path
            self._due.add(held)

    def take_reply(self, reply: EngineReply, now_ns: int) -> None:
        """What the engine says."""
        if isinstance(reply, TokenPrice):
            self._shadow_price = reply.shadow_price
            return
        held = self._of(reply.market)
        self._due.add(held)
        if isinstance(reply, Inventory):
            held.inventory = reply
        elif isinstance(reply, PlanDone):
            held.take_done(reply, now_ns)
        else:
            held.take_update(reply, now_ns)

    def engine_lost(self) -> None:
        """The connection closed: the engine cancels everything of ours, and says nothing any more."""
        for held in self._holdings.values():
            held.engine_lost()

    def plans(self, now_ns: int) -> list[Plan]:
        """What to send to the engine now."""
        if now_ns >= self._next_review_ns or now_ns >= self._expires_ns:
            self._review(now_ns)
        ready = [held for held in self._due if held.has_cancels is None]
        if len(ready) > 1:
            ready.sort(key=_market)
        plans = []
        for held in ready:
            self._due.discard(held)
            if (plan := self._plan(held, now_ns)) is not None:
                held.has_cancels = bool(plan.cancels)
                plans.append(plan)
        return plans

    def _review(self, now_ns: int) -> None:
        self._next_review_ns = now_ns + REVIEW_NS
        untradeable = sum(held.is_untradeable for held in self._mandated.values())
        self._untradeable_ns += untradeable * (now_ns - self._reviewed_ns)
        self._reviewed_ns = now_ns
        if now_ns >= self._expires_ns:
            for held in self._mandated.values():
                held.mandate, held.has_ended = None, True
                self._due.add(held)
            self._mandated, self._table = {}, ()
        for held in self._holdings.values():
            if (held.mandate is not None or held.orders) and self._is_stale(held, now_ns):
                self._due.add(held)

    def _is_stale(self, held: Holding, now_ns: int) -> bool:
        """Whether time may have changed what was decided of a market."""
        if now_ns >= held.content_until_ns or held.event:
            return True
        book = held.books.best(now_ns)
        return book is not held.judged or (
            book is not None and held.books.integrity(book, now_ns) != held.integrity
        )

    def _view(self, held: Holding, book: BookState | None, now_ns: int) -> MarketView | None:
        """What the strategy sees; None where there is nothing to quote by."""
        mandate, inventory = held.mandate, held.inventory
        if mandate is None or inventory is None or book is None:
            return None
        held.integrity = integrity = held.books.integrity(book, now_ns)
        if integrity < self._settings.pull_below:
            return None
        shift = 0.0
        if mandate.market.outcomes > 1:
            # The other outcomes of the event move this one.
            shift = shift_logits(mandate.market, [books.best(now_ns) for books in held.event])
        return MarketView(
            book,
            mandate,
            inventory,
            held.reference,
            now_ns,
            integrity,
            held.own,
            held.path,
            shift,
            (self._shadow_price / mandate.weight if mandate.weight else 0.0, 0.0),
        )

    def _plan(self, held: Holding, now_ns: int) -> Plan | None:
        book = held.books.best(now_ns)
        if book is None and held.books.is_healing(now_ns):
            return None
        view = self._view(held, book, now_ns)
        # A market that cannot be seen is not excused.
        held.is_untradeable = view is not None and not is_tradeable(view, self._settings.model)
        received_ns = 0 if book is None else book.received_ns
        is_tick = received_ns not in (0, held.judged_ns)
        held.judged, held.judged_ns = book, received_ns
        held.content_until_ns = now_ns + CONTENT_NS
        if view is None:
            changes = Changes(held.resting, ())
        else:
            if held.strategy is None:
                held.strategy = self._make_strategy()
            targets = held.strategy.quotes(view)
            if targets is None:
                return None
            changes = plan_changes(targets, held.resting, view.tick_e4, self._settings.requote_ticks)
        cancels = changes.cancels
        if not cancels and not changes.places:
            return None
        # From here on something is wanted: whatever holds it back now is looked at again soon.
        held.content_until_ns = now_ns
        if held.is_pausing(received_ns, now_ns, has_cancels=bool(cancels)):
            return None
        mandate = held.mandate
        value = sum(map(_worth, changes.places))
        weight = 1.0 if mandate is None else mandate.weight
        if not cancels and value * weight < self._shadow_price * len(changes.places):
            # Others are worth more at the moment: the engine would let it wait in vain.
            return None
        return Plan(
            market=held.market,
            term=self._term,
            epoch=0 if mandate is None else mandate.epoch,
            cancels=tuple([quote.order_id for quote in cancels]),
            places=tuple(map(self._place, changes.places)),
            value=value,
            book_sequence=0 if book is None else book.sequence,
            book_received_ns=received_ns if is_tick else None,
            decided_ns=now_ns,
            tick_e4=None if book is None else book.tick_e4,
        )

    def _place(self, target: TargetQuote) -> Place:
        ref = self._next_ref
        self._next_ref += 1
        return Place(ref=ref, side=target.side, price_e4=target.price_e4, size_e6=target.size_e6)


def _market(held: Holding) -> str:
    return held.market


def _worth(target: TargetQuote) -> float:
    if target.gain_usd is not None:
        return target.gain_usd
    return notional_e6(target.price_e4, target.size_e6) / MICRO
