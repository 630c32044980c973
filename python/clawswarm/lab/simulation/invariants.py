"""What must hold whatever breaks, looked at after every event: a violation is named once, with its moment.

| invariant | what is compared |
|---|---|
| money      | all collateral of the venue with all grants ever made, to the millionth |
| intent     | every order of ours at the venue with the intents journalled before it was sent |
| owner      | all open orders of a market have one owner; no mandate table names two; a new owner is a new epoch |
| authority  | every open order with the mandates: its owner's may have ended `WITHDRAW_S` ago at most |
| cap        | position with everything open filled, and money at work, with the mandate's limits |
| window     | no request of ours met a limit of the venue's |
| band       | the net position of an underlying with the risk band |
| stale      | no order rests whose owner has heard no live sentinel for `WITHDRAW_S`; no plan is made from a |
|            | book that a newer one has replaced for `OLD_BOOK_S` |
| halt       | nothing is open `WITHDRAW_S` after a halt, until it is lifted |
| knowledge  | no order rests at the venue that the engine does not know; no holding differs for long |

`WITHDRAW_S` is what the venue's heartbeat may take at worst (10 s, looked at every 5 s) and a second.
"""

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable

import msgspec

from clawswarm.kernel.clock import Clock, ns
from clawswarm.lab import engine_machine as machine
from clawswarm.lab.engine_machine import Action, Event
from clawswarm.lab.simulation.engine import Machine
from clawswarm.lab.simulation.loop import BEGAN_NS, NS_PER_S
from clawswarm.model.messages import (
    Allocation,
    BookState,
    BusMessage,
    FeedHealth,
    HaltSwarm,
    Mandate,
    ResumeSwarm,
)
from clawswarm.model.units import PRICE_ONE_E4
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import Event as VenueEvent
from clawswarm.sandbox.exchange.events import LevelChanged, MarketResolved, OrderChanged, Trade, TradeUpdated
from clawswarm.sandbox.venue import Venue

WITHDRAW_S = 16.0
OLD_BOOK_S = 1.0
LOOK_S = 0.5
_WITHDRAW_NS, _OLD_BOOK_NS, _LOOK_NS = ns(WITHDRAW_S), ns(OLD_BOOK_S), ns(LOOK_S)
_PULSES = frozenset((machine.Tick, machine.SentinelHeard, machine.GuardSeen, machine.Touched))
_encode = msgspec.msgpack.Encoder().encode


class Broken(msgspec.Struct, frozen=True):
    """One violation: which invariant, when (virtual seconds), what was seen."""

    invariant: str
    at_s: float
    what: str


class Authority(msgspec.Struct, frozen=True):
    """Limits that the mandates do not carry."""

    band_e6: int
    """Largest net position of an underlying, in shares: each is worth a dollar at most."""
    differ_s: float
    """How long the engine may be wrong about a holding."""


class Monitor:
    """Watches one simulation from outside: the bus, the engine's events and actions, the venue's events."""

    def __init__(self, clock: Clock, venue: Venue, wallet: str, api_key: str, authority: Authority) -> None:
        self._clock, self._venue, self._wallet, self._api_key = clock, venue, wallet, api_key
        self._authority = authority
        self.broken: list[Broken] = []
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.limited: Callable[[], int] = lambda: 0
        self.machine: Machine | None = None
        self._hash = hashlib.sha256()
        self._intents: dict[str, machine.Intent] = {}
        self._mandates: dict[tuple[str, str], tuple[Mandate, int]] = {}
        """(market, owner) → the newest mandate and when it ends."""
        self._owners: dict[str, tuple[str, int, int]] = {}
        self._term = 0
        self._position_e6: Counter[str] = Counter()
        self._counted: dict[str, bool] = {}
        self._halted_ns: int | None = None
        self._fed_ns: dict[str, int] = {}
        self._books: dict[str, dict[str, deque[tuple[int, int]]]] = {}
        """Market → sentinel → sequences that reached quoters and when, the newest of `OLD_BOOK_S` ago first."""
        self._differ_since_ns: dict[str, int] = {}
        self._known: set[str] = set()
        self._fills: set[tuple[str, str]] = set()
        self._next_look_ns = 0
        self._is_changed = False
        self._changed_markets: set[str] = set()
        """Whose orders, position or mandate have changed since they were looked at."""
        self._earlier: frozenset[str] = frozenset()
        self._life_ns = 0
        """When the engine's present life began, or its last one ended."""
        venue.on_events = self._note_venue

    @property
    def digest(self) -> str:
        """Hash of everything the engine heard and did, and of everything the venue reported."""
        whole = self._hash.copy()
        whole.update(self._venue.journal.digest().encode())
        return whole.hexdigest()

    @property
    def is_halting(self) -> bool:
        """Whether an operator has halted the swarm and not resumed it."""
        return self._halted_ns is not None

    def is_held(self, invariant: str, is_held: bool, what: str, *seen: object) -> None:
        """Note a violation, `what` with what was `seen`; each kind once: one bug breaks it again and again."""
        if is_held or invariant in self._known:
            return
        self._known.add(invariant)
        at_s = (self._clock.now_ns() - BEGAN_NS) / NS_PER_S
        self.broken.append(Broken(invariant, at_s, what.format(*seen)))

    # --- the bus ----------------------------------------------------------------------------------

    def published(self, owner: str, name: str, message: BusMessage) -> None:
        """A message leaves its publisher."""
        self.counts["bus messages"] += 1
        # Messages have no subclasses: of most, `isinstance` with msgspec's metaclass costs four times as much.
        if type(message) is Allocation:
            self._note_allocation(message)
        elif type(message) is HaltSwarm:
            self._halted_ns = self._halted_ns or self._clock.now_ns()
        elif type(message) is ResumeSwarm:
            self._halted_ns = None

    def delivered(self, owner: str, message: BusMessage) -> None:
        """A message reaches a quoter."""
        if type(message) is BookState:
            self._fed_ns[owner] = now_ns = self._clock.now_ns()
            self._note_book(message, now_ns)
        elif type(message) is FeedHealth and message.is_live:
            self._fed_ns[owner] = self._clock.now_ns()

    def _note_book(self, book: BookState, now_ns: int) -> None:
        seen = self._books.setdefault(book.market, {}).setdefault(book.source, deque())
        if seen and book.sequence < seen[-1][0]:
            seen.clear()  # a sentinel that was started anew counts anew
        if not seen or book.sequence > seen[-1][0]:
            seen.append((book.sequence, now_ns))
        while len(seen) > 1 and seen[1][1] <= now_ns - _OLD_BOOK_NS:
            seen.popleft()

    def _note_allocation(self, allocation: Allocation) -> None:
        if allocation.term < self._term:
            return
        self._is_changed = True
        self._term = allocation.term
        markets = Counter(mandate.market.condition_id for mandate in allocation.mandates)
        self._changed_markets.update(market for market, _ in self._mandates)
        self._changed_markets.update(markets)
        doubled = [market for market, count in markets.items() if count > 1]
        self.is_held("owner", not doubled, "a mandate table names {} twice", doubled)
        ends_ns = allocation.sent_ns + allocation.life_ns
        for mandate in allocation.mandates:
            market = mandate.market.condition_id
            owner, epoch, _ = self._owners.get(market, (mandate.quoter, mandate.epoch, 0))
            is_same = owner == mandate.quoter
            self.is_held(
                "owner",
                is_same or mandate.epoch > epoch,
                "{} went from {} without a new epoch",
                market,
                owner,
            )
            self._owners[market] = (mandate.quoter, mandate.epoch, ends_ns)
            self._mandates[market, mandate.quoter] = (mandate, ends_ns)
        # What the newest table leaves out has ended.
        for (market, quoter), (mandate, until_ns) in list(self._mandates.items()):
            is_listed = market in markets and self._owners[market][0] == quoter
            if not is_listed and until_ns > allocation.sent_ns:
                self._mandates[market, quoter] = (mandate, allocation.sent_ns)
            elif until_ns < allocation.sent_ns - ns(600.0):
                del self._mandates[market, quoter]

    # --- the engine -------------------------------------------------------------------------------

    def heard(self, event: Event) -> None:
        """The engine is about to handle this."""
        self.counts["engine events"] += 1
        if type(event) in _PULSES:
            return
        self._hash.update(_encode((self._clock.now_ns(), event)))
        if type(event) is machine.PlanSent and event.plan.places:
            self._check_book(event.plan.market, event.plan.book_sequence)

    def did(self, actions: list[Action]) -> None:
        """The engine is about to do this."""
        self._hash.update(_encode((self._clock.now_ns(), actions)))
        self._is_changed = True
        for action in actions:
            if type(action) is machine.JournalIntent:
                self._intents[action.intent.order_id] = action.intent
                self.counts["orders"] += 1
            elif type(action) is machine.PublishFill:
                # Told again with each evidence of its settlement.
                self._fills.add((action.fill.trade_id, action.fill.order_id))
                self.counts["fills"] = len(self._fills)
            elif type(action) is machine.PublishDeadman:
                self.counts[f"withdrawn: {action.deadman.cause.partition(':')[0]}"] += 1

    def settled(self) -> None:
        """The engine has handled an event."""
        if self._is_changed or self._clock.now_ns() >= self._next_look_ns:
            self.look()

    def _check_book(self, market: str, sequence: int) -> None:
        old_ns = self._clock.now_ns() - _OLD_BOOK_NS
        known = [books[0] for books in self._books.get(market, {}).values()]
        is_old = bool(known) and all(sequence < newer and at_ns <= old_ns for newer, at_ns in known)
        self.is_held("stale", not is_old, "a plan for {} is from book {}: {}", market, sequence, known)

    # --- the venue --------------------------------------------------------------------------------

    def _note_venue(self, events: list[VenueEvent]) -> None:
        is_own = False
        self.counts["venue events"] += len(events)
        for event in events:
            if type(event) is OrderChanged:
                if event.order.owner == self._api_key:
                    is_own = True
                    self._changed_markets.add(event.order.market.condition_id)
                    if event.kind == "PLACEMENT":
                        self._note_placed(event.order)
            elif type(event) is TradeUpdated:
                is_own |= self._note_trade(event.trade, event.status)
            elif type(event) is MarketResolved:
                self.counts["resolved"] += 1
                self._position_e6.pop(event.market.condition_id, None)
                self._books.pop(event.market.condition_id, None)
            elif type(event) is not LevelChanged:
                self.counts[type(event).__name__] += 1
        imbalance_e6 = self._venue.exchange.ledger.imbalance_e6()
        self.is_held("money", imbalance_e6 == 0, "{} millionths were made or lost", imbalance_e6)
        if is_own:
            self.look()

    def _note_placed(self, order: Order) -> None:
        self.counts["placed"] += 1
        self.is_held("intent", order.id in self._intents, "{} was sent without an intent", order.id)
        halted_ns = self._halted_ns
        is_late = halted_ns is not None and self._clock.now_ns() - halted_ns > _WITHDRAW_NS
        self.is_held("halt", not is_late, "{} was placed after a halt", order.id)

    def _note_trade(self, trade: Trade, status: str) -> bool:
        own = [fill for fill in trade.makers if fill.order.owner == self._api_key]
        if not own:
            return False
        self._changed_markets.add(trade.market.condition_id)
        self.counts[f"trades {status}"] += 1
        sign = {"MATCHED": 1, "FAILED": -1}.get(status, 0)
        for fill in own if sign else ():
            buys = fill.order.is_yes == fill.order.is_buy
            self._position_e6[trade.market.condition_id] += sign * (fill.size_e6 if buys else -fill.size_e6)
        return True

    # --- everything at once -----------------------------------------------------------------------

    def look(self) -> None:
        """Compare what is open with what is allowed: what changed after each change, all of it as time passes."""
        now_ns, self._is_changed = self._clock.now_ns(), False
        is_whole = now_ns >= self._next_look_ns
        if orders := self._venue.exchange.open_by_account.get(self._wallet):
            self._check_open(orders, now_ns, is_whole)
        self._changed_markets.clear()
        limited = self.limited()
        self.is_held("window", limited == 0, "{} requests met a limit of the venue", limited)
        if is_whole:
            self._next_look_ns = now_ns + _LOOK_NS
            self._check_positions()
            self._check_holdings(now_ns)

    def _check_open(self, orders: dict[str, Order], now_ns: int, is_whole: bool) -> None:
        by_market: dict[str, list[tuple[Order, machine.Intent]]] = {}
        if is_whole or self._changed_markets:
            for order in orders.values():
                market = order.market.condition_id
                intent = self._intents.get(order.id) if is_whole or market in self._changed_markets else None
                if intent is not None:
                    by_market.setdefault(market, []).append((order, intent))
        halted_ns = self._halted_ns
        is_late = halted_ns is not None and now_ns - halted_ns > _WITHDRAW_NS
        self.is_held("halt", not is_late, "{} orders are open after a halt", len(orders))
        for market, found in by_market.items():
            self._check_market(market, found, now_ns)
        if self.machine is not None:
            unknown = self.machine.unknown(list(orders))
            lost = [order_id for order_id in unknown if self._is_old(orders[order_id], now_ns)]
            self.is_held("knowledge", not lost, "the engine does not know {}", lost)

    def _is_old(self, order: Order, now_ns: int) -> bool:
        """Whether this life of the engine placed it, or has had the time to withdraw it."""
        return order.id not in self._earlier or now_ns - self._life_ns > _WITHDRAW_NS

    def new_life(self) -> None:
        """The engine starts anew: what an earlier life placed it learns from the venue."""
        self._earlier, self._life_ns = frozenset(self._intents), self._clock.now_ns()
        self.machine = None

    def _check_market(self, market: str, found: list[tuple[Order, machine.Intent]], now_ns: int) -> None:
        owners = {intent.owner for _, intent in found}
        self.is_held("owner", len(owners) == 1, "{} have orders in {}", owners, market)
        for owner in owners:
            mandate, ends_ns = self._mandates.get((market, owner), (None, 0))
            is_allowed = now_ns <= ends_ns + _WITHDRAW_NS
            self.is_held("authority", is_allowed, "{} has orders in {} without a mandate", owner, market)
            fed_ns = self._fed_ns.get(owner, now_ns)
            is_fed = now_ns - fed_ns <= _WITHDRAW_NS
            self.is_held("stale", is_fed, "{} quotes {} and has heard no sentinel", owner, market)
            if mandate is not None:
                self._check_caps(market, mandate, found)

    def _check_caps(self, market: str, mandate: Mandate, found: list[tuple[Order, machine.Intent]]) -> None:
        net_e6 = self._position_e6[market]
        bought = sold = stake_e6 = 0
        for order, _ in found:
            size_e6, price_e4 = order.remaining_e6, order.yes_price_e4
            if order.is_bid:
                bought += size_e6
                stake_e6 += price_e4 * size_e6 // PRICE_ONE_E4
            else:
                sold += size_e6
                stake_e6 += (PRICE_ONE_E4 - price_e4) * size_e6 // PRICE_ONE_E4
        worst_e6 = max(net_e6 + bought, sold - net_e6)
        if worst_e6 > max(net_e6, -net_e6, 0):
            self.is_held(
                "cap",
                worst_e6 <= mandate.max_position_e6,
                "{} could be held in {}, {} is allowed",
                worst_e6,
                market,
                mandate.max_position_e6,
            )
        self.is_held(
            "cap",
            stake_e6 <= mandate.capital_e6,
            "{} is at stake in {}, {} is allowed",
            stake_e6,
            market,
            mandate.capital_e6,
        )

    def _check_positions(self) -> None:
        net: Counter[str] = Counter()
        markets = self._venue.exchange.markets
        for market, position_e6 in self._position_e6.items():
            net[markets[market].underlying] += position_e6
        for underlying, net_e6 in net.items():
            self.is_held("band", abs(net_e6) <= self._authority.band_e6, "{} net of {}", net_e6, underlying)

    def _check_holdings(self, now_ns: int) -> None:
        """What the engine holds is what the venue will have delivered, but for what is on its way."""
        if self.machine is None:
            return
        for market, position_e6 in self._position_e6.items():
            held = self.machine.held(market)
            if held.yes_e6 - held.no_e6 == position_e6:
                self._differ_since_ns.pop(market, None)
                continue
            since_ns = self._differ_since_ns.setdefault(market, now_ns)
            self.is_held(
                "knowledge",
                now_ns - since_ns <= ns(self._authority.differ_s),
                "the engine holds {} of {}, the venue says {}",
                held.net_e6,
                market,
                position_e6,
            )
