"""A day of one account on virtual time: the engine's machine, the sandbox's venue, and between them an unreliable
line, as one deterministic world without sockets, clocks or threads.

Everything that happens is an entry of one queue; every chance comes from one seed. Quoters replace two quotes in
their market twice a minute, takers hit them, connections and answers are lost, quoters die, mandates move.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import ClassVar

import msgspec

from clawswarm._core import OrderSigner
from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S
from clawswarm.lab import engine_machine as machine
from clawswarm.lab.engine_machine import Action, Answer, EngineMachine, EngineStart, Event, OwnPart, OwnTrade
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import (
    Allocation,
    Evidence,
    Fill,
    Mandate,
    OrderState,
    OrderUpdate,
    Place,
    Plan,
    PlanDone,
)
from clawswarm.sandbox.exchange.events import Event as VenueEvent
from clawswarm.sandbox.exchange.events import OrderChanged, Trade, TradeUpdated
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.heartbeats import BeatRefused
from clawswarm.sandbox.participants import ReplayMaker, Taker, participant_account
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.venue import Venue

CHAIN_ID = 137
KEY = hashlib.sha256(b"a day of the engine").digest()
BEGAN_NS = 1_700_000_000 * NS_PER_S
MINUTE, HOUR = 60 * NS_PER_S, 3_600 * NS_PER_S
SHARE_E6 = 1_000_000
TICK_E4, MIN_SIZE_E6 = 100, 5 * SHARE_E6
OUTER_E4 = (4_000, 6_000)
"""Touch of everybody else; our quotes stand inside."""
QUOTERS = ("quoter-1", "quoter-2")
LOST_SHARE = 0.01
"""Of requests, and as many of answers."""
LOST_AFTER_NS = 1_500 * NS_PER_MS
# More often than a person would need to see that it holds; the engine's usual 10 s would be most of the work.
RECONCILE_NS = 10 * MINUTE


class Quoter:
    """One scripted quoter: what it believes to be live, and whether a plan is under way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.connection: int | None = None
        self.live: dict[str, str] = {}
        self.is_busy = False


class Day:
    """The world. `run` plays it; afterwards its attributes tell what happened."""

    reconcile_ns = RECONCILE_NS
    venue_settings: ClassVar[dict[str, object]] = {}

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng = Random(seed)
        self.now_ns = BEGAN_NS
        self.counts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.exit_code: int | None = None
        self.explained: list[str] = []
        self.intents: dict[str, machine.Intent] = {}
        self._hash = hashlib.sha256()
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = self._connections = self._references = 0
        self._is_over = False
        self._own_trades: dict[tuple[str, str], OwnTrade] = {}
        self._feed_life = 0
        self._is_feed_up = False
        self._feed_free_ns = 0
        self._epochs = [1, 1]
        self._owners = [0, 1]
        self._tick_ns = self.now_ns
        self.quoters = [Quoter(name) for name in QUOTERS]
        self._open_venue(seed)
        signer = OrderSigner(KEY, CHAIN_ID, 0, None)
        self.key = self.venue.create_key(signer.login_headers(self.now_ns // NS_PER_S, 0), self.now_ns)
        self.account = self.venue.exchange.ledger.accounts[self.key.address]
        self._start_engine(seed)

    def _start_engine(self, seed: int, fills: tuple[Fill, ...] = ()) -> None:
        start = EngineStart(
            chain_id=CHAIN_ID,
            api_key=self.key.key,
            venue_ms=self.now_ns // NS_PER_MS,
            seed=seed,
            markets=tuple(self.markets),
            fills=fills,
            reconcile_ns=self.reconcile_ns,
        )
        self.engine = EngineMachine(KEY, start, self.now_ns)
        self._carry_out(self.engine.first_actions)

    def _open_venue(self, seed: int) -> None:
        """Two markets with somebody else's wide book."""
        base = SandboxSettings(data="", port=0, control_port=0, seed=seed, single_key=True)
        self.venue = _HeardVenue(msgspec.structs.replace(base, **self.venue_settings), self._hear)
        exchange = self.venue.exchange
        maker, taker = (participant_account(exchange, name) for name in ("replay", "taker"))
        self.markets, self._takers = list[Market](), list[Taker]()
        for number in range(2):
            listed = ListedMarket(
                condition_id="0x" + hashlib.sha256(f"condition {number}".encode()).hexdigest(),
                question_id="0x" + hashlib.sha256(f"question {number}".encode()).hexdigest(),
                slug=f"market-{number}",
                question=f"market {number}",
                underlying="BTC",
                yes_token=str(10**76 + 2 * number),
                no_token=str(10**76 + 2 * number + 1),
                tick_e4=TICK_E4,
                min_size_e6=MIN_SIZE_E6,
                fee_rate_e4=0,
                end_ms=2 * BEGAN_NS // NS_PER_MS,
            )
            self.venue.publish(exchange.list_market(listed, self.now_ns))
            levels = [(side, price, 10**12) for side, price in enumerate(OUTER_E4)]
            self.venue.publish(ReplayMaker(exchange, listed, maker).follow(levels, self.now_ns))
            self._takers.append(Taker(exchange, listed, taker))
            self.markets.append(
                Market(
                    condition_id=listed.condition_id,
                    slug=listed.slug,
                    underlying=listed.underlying,
                    yes_token=listed.yes_token,
                    no_token=listed.no_token,
                    tick_e4=TICK_E4,
                    min_size_e6=MIN_SIZE_E6,
                    neg_risk=False,
                    is_open=True,
                    closes_ms=None,
                )
            )

    # --- time -----------------------------------------------------------------------------------

    def run(self, hours: float) -> str:
        """Play so many hours, let everything come to rest, and return the hash of all that was done."""
        for number in range(2):
            self._in(NS_PER_S, lambda number=number: self._quote_on(number))
            self._in(HOUR, lambda number=number: self._lose_quoter(number))
        for start_ns, deed in (
            (NS_PER_S, self._take),
            (HOUR, self._lose_feed),
            (6 * HOUR, self._move_mandates),
        ):
            self._in(start_ns, deed)
        self._renew()
        self._count_money()
        end_ns = BEGAN_NS + round(hours * HOUR)
        self._until(end_ns)
        self._is_over = True
        self._until(end_ns + MINUTE)
        return self._hash.hexdigest()

    def stop(self) -> None:
        """Ask the engine to end, and give it a minute."""
        self.handle(machine.StopAsked())
        self._until(self.now_ns + MINUTE)

    def _until(self, end_ns: int) -> None:
        due_ns = self.venue.next_due_ns()
        while self.exit_code is None:
            wake_ns = self._wake_ns()
            tick_ns = self._tick_ns if wake_ns is None else min(self._tick_ns, wake_ns)
            first_ns = min(self._queue[0][0], tick_ns)
            if due_ns is not None and due_ns <= first_ns:
                first_ns = due_ns
            if first_ns > end_ns:
                break
            self.now_ns = max(self.now_ns, first_ns)
            if due_ns is not None and due_ns <= self.now_ns:
                self.venue.advance(self.now_ns)
            elif self._queue[0][0] <= self.now_ns:
                heapq.heappop(self._queue)[2]()
            else:
                self._tick_ns = self.now_ns + machine.TICK_NS
                self.handle(machine.Tick())
                continue  # what the engine does about it reaches the venue later
            due_ns = self.venue.next_due_ns()

    def _wake_ns(self) -> int | None:
        return self.engine.next_wake_ns

    def _in(self, delay_ns: int, deed: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (self.now_ns + delay_ns, self._serial, deed))

    def _around(self, mean_ns: int) -> int:
        return round(mean_ns * self._rng.uniform(0.5, 1.5))

    def _hop(self) -> int:
        return self._rng.randrange(2 * NS_PER_MS, 20 * NS_PER_MS)

    # --- the engine's shell ---------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """One event into the machine, its actions out."""
        if actions := self.engine.handle(event, self.now_ns):
            self._carry_out(actions)

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            self._hash.update(f"{self.now_ns} {action!r}\n".encode())
            self.counts[type(action).__name__] += 1
            match action:
                case machine.JournalIntent(intent):
                    self.intents[intent.order_id] = intent
                case machine.Send(request, what):
                    self._send(request, what)
                case machine.Reply(connection, reply):
                    self._tell(connection, reply)
                case machine.CloseQuoter(connection):
                    self._disconnect(connection)
                case machine.BeReady():
                    self._in(self._hop(), self._connect_feed)
                    for number in range(2):
                        self._in(self._hop(), lambda number=number: self._connect_quoter(number))
                case machine.Explain(sentence):
                    self.explained.append(sentence)
                case machine.Exit(code):
                    self.exit_code = code

    def _send(self, request: int, what: machine.Request) -> None:
        """A request arrives or not, its answer arrives or not; the engine hears of it once."""
        fate = self._rng.random()
        if fate < LOST_SHARE:
            self._answer(request, machine.Failed("the request was lost"), LOST_AFTER_NS)
        elif fate < 2 * LOST_SHARE:
            self._in(self._hop(), lambda: self._serve(what) and None)
            self._answer(request, machine.Failed("the answer was lost"), LOST_AFTER_NS)
        else:
            self._in(self._hop(), lambda: self._answer(request, self._serve(what), self._hop()))

    def _answer(self, request: int, answer: Answer, delay_ns: int) -> None:
        self._in(delay_ns, lambda: self.handle(machine.Answered(request, answer)))

    # --- the venue ------------------------------------------------------------------------------

    def _serve(self, what: machine.Request) -> Answer:
        """What the venue does and says."""
        venue, now_ns = self.venue, self.now_ns
        match what:
            case machine.Place(orders):
                return machine.Placed(tuple(self._place(order) for order in orders))
            case machine.Cancel(order_ids):
                report = venue.cancel_ids(self.key, list(order_ids), now_ns)
            case machine.CancelAll():
                report = venue.cancel_where(self.key, now_ns, lambda _order: True)
            case machine.ListOrders():
                return machine.Orders(tuple(order.id for order in venue.open_customer_orders()))
            case machine.LookUp(order_id):
                order = venue.exchange.orders.get(order_id)
                return machine.IsLive(order is not None and order.status == "LIVE")
            case machine.ListTrades(after_s):
                trades = venue.exchange.trades_by_account.get(self.account.address, {}).values()
                since_ns = (after_s or 0) * NS_PER_S
                own = (
                    self._own_trade(trade, trade.status) for trade in trades if trade.matched_ns >= since_ns
                )
                return machine.Trades(tuple(own))
            case machine.Heartbeat(id=sent):
                try:
                    return machine.HeartbeatTaken(True, venue.beat(self.key, sent, now_ns))
                except BeatRefused as refused:
                    return machine.HeartbeatTaken(False, refused.expected)
            case machine.AskRegion():
                return machine.Region(is_blocked=False)
        return machine.Cancelled(tuple(report.canceled), report.not_canceled)

    def _place(self, order: machine.SignedOrder) -> machine.Accepted | machine.Refused:
        assert order.order_id in self.intents, "an order was sent before its intent was journalled"
        try:
            placed = self.venue.place(self.key, order.body.encode(), self.now_ns)
        except VenueRefusal as refusal:
            return machine.Refused(refusal.text)
        assert placed.order.id == order.order_id, "the venue hashes the order to another id"
        return machine.Accepted()

    def _own_trade(self, trade: Trade, status: str) -> OwnTrade:
        if (known := self._own_trades.get((trade.id, status))) is not None:
            return known
        parts = tuple(
            OwnPart(fill.order.id, fill.order.token, Side(fill.order.side), fill.price_e4, fill.size_e6)
            for fill in trade.makers
            if fill.order.owner == self.key.key
        )
        own = OwnTrade(
            id=trade.id,
            market=trade.market.condition_id,
            evidence=Evidence(status),
            matched_ms=trade.matched_ns // NS_PER_MS,
            parts=parts,
        )
        self._own_trades[trade.id, status] = own
        return own

    def _hear(self, events: list[VenueEvent]) -> None:
        """The user channel: in order, a moment later, and lost while it is down."""
        for event in events:
            heard: Event | None = None
            if isinstance(event, OrderChanged):
                if event.kind == "CANCELLATION" and event.order.owner == self.key.key:
                    heard = machine.OrderCancelled(event.order.id, event.status)
            elif isinstance(event, TradeUpdated):
                trade = self._own_trade(event.trade, event.status)
                heard = machine.TradeSeen(trade) if trade.parts else None
            if heard is not None and self._is_feed_up:
                self._feed_free_ns = max(self._feed_free_ns, self.now_ns + self._hop())
                self._in(self._feed_free_ns - self.now_ns, self._heard_if_alive(heard, self._feed_life))

    def _heard_if_alive(self, event: Event, life: int) -> Callable[[], None]:
        def deliver() -> None:
            if self._is_feed_up and self._feed_life == life:
                self.handle(event)

        return deliver

    def _connect_feed(self) -> None:
        self._is_feed_up = True
        self.handle(machine.FeedConnected())

    def _lose_feed(self) -> None:
        if self._is_over:
            return
        self._feed_life += 1
        self._is_feed_up = False
        self.counts["feed lost"] += 1
        self.handle(machine.FeedLost("the line broke"))
        self._in(2 * NS_PER_S, self._connect_feed)
        self._in(self._around(HOUR), self._lose_feed)

    def _count_money(self) -> None:
        assert self.venue.exchange.ledger.imbalance_e6() == 0, "money was made or lost"
        self._in(HOUR, self._count_money)

    # --- everybody else -------------------------------------------------------------------------

    def _take(self) -> None:
        """Somebody takes liquidity, ours first."""
        if self._is_over:
            return
        side = self._rng.choice(("BUY", "SELL"))
        size_e6 = self._rng.randrange(3, 30) * SHARE_E6
        taker = self._rng.choice(self._takers)
        self.venue.publish(taker.take(side, size_e6, OUTER_E4[side == "BUY"], self.now_ns))
        self._in(self._around(MINUTE // 3), self._take)

    def _renew(self) -> None:
        mandates = tuple(
            Mandate(
                market=market,
                quoter=QUOTERS[owner],
                epoch=epoch,
                capital_e6=2_000 * SHARE_E6,
                max_position_e6=500 * SHARE_E6,
                order_size_e6=20 * SHARE_E6,
            )
            for market, owner, epoch in zip(self.markets, self._owners, self._epochs, strict=True)
        )
        allocation = Allocation(term=1, sent_ns=self.now_ns, life_ns=10 * NS_PER_S, mandates=mandates)
        self.handle(machine.Allocated(allocation))
        self._in(2 * NS_PER_S, self._renew)

    def _move_mandates(self) -> None:
        """Both markets change hands."""
        self._owners.reverse()
        self._epochs = [epoch + 1 for epoch in self._epochs]
        self._in(6 * HOUR, self._move_mandates)

    # --- quoters --------------------------------------------------------------------------------

    def _connect_quoter(self, number: int) -> None:
        quoter = self.quoters[number]
        self._connections += 1
        quoter.connection, quoter.is_busy = self._connections, False
        quoter.live.clear()
        self.handle(machine.QuoterConnected(self._connections, quoter.name))

    def _lose_quoter(self, number: int) -> None:
        """It dies, and comes back later."""
        quoter = self.quoters[number]
        if self._is_over:
            return
        if quoter.connection is not None:
            connection, quoter.connection = quoter.connection, None
            self.counts["quoter lost"] += 1
            self.handle(machine.QuoterClosed(connection))
            self._in(5 * NS_PER_S, lambda: self._connect_quoter(number))
        self._in(self._around(2 * HOUR), lambda: self._lose_quoter(number))

    def _disconnect(self, connection: int) -> None:
        for quoter in self.quoters:
            if quoter.connection == connection:
                quoter.connection = None

    def _tell(self, connection: int, reply: object) -> None:
        quoter = next((each for each in self.quoters if each.connection == connection), None)
        if quoter is None:
            return
        if isinstance(reply, PlanDone):
            quoter.is_busy = False
            self.refusals[(reply.refused or "none").partition(":")[0]] += 1
        elif isinstance(reply, OrderUpdate):
            self.counts[f"order {reply.state}"] += 1
            if reply.state in (OrderState.LIVE, OrderState.UNKNOWN):
                quoter.live[reply.order_id] = reply.market
            else:
                quoter.live.pop(reply.order_id, None)

    def _quote_on(self, number: int) -> None:
        """Replace whatever is out by two quotes at other prices, where this quoter holds the market."""
        if self._is_over:
            return
        self._in(self._around(MINUTE // 2), lambda: self._quote_on(number))
        quoter, market = self.quoters[number], self.markets[self._owners.index(number)]
        if quoter.connection is None or quoter.is_busy:
            return
        middle = self._rng.randrange(44, 57) * TICK_E4
        places = []
        for side in (Side.BUY, Side.SELL):
            self._references += 1
            away = self._rng.randrange(1, 3) * TICK_E4
            size_e6 = self._rng.choice((5, 10, 20)) * SHARE_E6
            places.append(
                Place(ref=self._references, side=side, price_e4=middle - side.sign * away, size_e6=size_e6)
            )
        plan = Plan(
            market=market.condition_id,
            term=1,
            epoch=self._epochs[self._owners.index(number)],
            cancels=tuple(order for order, where in quoter.live.items() if where == market.condition_id),
            places=tuple(places),
            value=1.0,
            book_sequence=1,
            book_received_ns=None,
            decided_ns=self.now_ns,
        )
        quoter.is_busy = True
        self.counts["plans"] += 1
        self.handle(machine.PlanSent(quoter.connection, plan))


class _HeardVenue(Venue):
    """The sandbox's venue, and somebody who hears every event."""

    def __init__(self, settings: SandboxSettings, hear: Callable[[list[VenueEvent]], None]) -> None:
        self._heard_by = hear
        super().__init__(settings)

    def publish(self, events: list[VenueEvent]) -> None:
        super().publish(events)
        self._heard_by(events)
