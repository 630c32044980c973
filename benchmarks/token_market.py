"""Quoters of unequal demand, the engine's own machine and the venue's limits, on virtual time: who gets the
tokens?

Every quoter always has a plan for each of its markets: it places an order, and where enough rest there it cancels
them. What a plan is worth is drawn at random around its quoter's own mean. A request arrives within ± `JITTER_NS`
of
its nominal time, and the sandbox's own windows and buckets, which share no code with the engine, judge it there.

    efficiency   value that was served ÷ value of the best choice of as many of the plans that were offered

A swarm whose plans all name the same value is served in the order of arrival: that is the peer.
"""

import hashlib
import heapq
from array import array
from collections import deque
from collections.abc import Callable
from random import Random

import msgspec

from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S
from clawswarm.lab import engine_machine as machine
from clawswarm.lab.engine_machine import EngineMachine, EngineStart
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import (
    Allocation,
    Mandate,
    OrderState,
    OrderUpdate,
    Place,
    Plan,
    PlanDone,
)
from clawswarm.sandbox.rest.buckets import SignerBuckets
from clawswarm.sandbox.rest.windows import OLDER, RequestWindows

JITTER_NS = 50 * NS_PER_MS
QUOTERS = tuple(f"quoter-{number}" for number in range(1, 7))
MEAN_VALUES = (1.0, 1.5, 2.0, 4.0, 8.0, 16.0)
RESTING = 4
BEGAN_NS = 1_700_000_000 * NS_PER_S
SHARE_E6 = 1_000_000
_KEY = hashlib.sha256(b"a market for tokens").digest()
_ADDRESS, _SIGNER = "127.0.0.1", "0x1"
_PLENTY_E6 = 10**13


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; `most_600s` are place requests as the venue counts them, in any 600 s."""

    seconds: float
    placed: int
    most_600s: int
    most_10s: int
    refused_by_venue: int
    refused_cancels: int
    longest_cancel_ms: float
    served_value: float
    best_value: float
    value_of_quoters: dict[str, float]

    @property
    def efficiency(self) -> float:
        """Share of the value that could have been served."""
        return self.served_value / self.best_value if self.best_value else 0.0


class TokenMarket:
    """The world. `run` plays it."""

    def __init__(self, tier: str, seed: int, markets_each: int = 2, is_told: bool = True) -> None:
        self._rng, self._tier, self._is_told = Random(seed), tier, is_told
        self.now_ns = BEGAN_NS
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = self._references = 0
        self._windows, self._buckets = RequestWindows(OLDER), SignerBuckets(tier, "enforce")
        self._markets = [_market(number) for number in range(len(QUOTERS) * markets_each)]
        self._open: dict[str, dict[str, None]] = {m.condition_id: {} for m in self._markets}
        self._market_of: dict[str, str] = {}
        self._plans: dict[str, tuple[float, int]] = {}
        self._arrivals: dict[int, deque[int]] = {10: deque(), 600: deque()}
        self._most = {10: 0, 600: 0}
        self._placed = self._refused = self._refused_cancels = 0
        self._longest_cancel_ns = 0
        self._offered = array("d")
        self._value_of = dict.fromkeys(QUOTERS, 0.0)
        self._served = 0
        start = EngineStart(
            chain_id=137, api_key="key", venue_ms=BEGAN_NS // NS_PER_MS, seed=seed,
            markets=tuple(self._markets), tier=tier, reconcile_ns=600 * NS_PER_S,
        )  # fmt: skip
        self._engine = EngineMachine(_KEY, start, self.now_ns)
        self._tick_ns = self.now_ns
        self._act(self._engine.first_actions)

    def run(self, seconds: float) -> Outcome:
        """Play so long from when everybody quotes."""
        self._until(self.now_ns + 5 * NS_PER_S)
        self._handle(machine.FeedConnected())
        self._until(self.now_ns + 2 * NS_PER_S)
        for number, name in enumerate(QUOTERS):
            self._handle(machine.QuoterConnected(number, name))
        self._renew()
        for number in range(len(self._markets)):
            self._in(self._rng.randrange(100 * NS_PER_MS), lambda number=number: self._offer(number))
        began_ns = self.now_ns
        self._until(began_ns + round(seconds * NS_PER_S))
        best = sum(sorted(self._offered, reverse=True)[: self._served])
        return Outcome(
            seconds=(self.now_ns - began_ns) / NS_PER_S, placed=self._placed,
            most_600s=self._most[600], most_10s=self._most[10],
            refused_by_venue=self._refused, refused_cancels=self._refused_cancels,
            longest_cancel_ms=self._longest_cancel_ns / NS_PER_MS,
            served_value=sum(self._value_of.values()), best_value=best, value_of_quoters=self._value_of,
        )  # fmt: skip

    # --- time -----------------------------------------------------------------------------------

    def _in(self, delay_ns: int, deed: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (self.now_ns + delay_ns, self._serial, deed))

    def _until(self, end_ns: int) -> None:
        while True:
            wake_ns = self._engine.next_wake_ns
            tick_ns = self._tick_ns if wake_ns is None else min(self._tick_ns, wake_ns)
            first_ns = min(self._queue[0][0], tick_ns) if self._queue else tick_ns
            if first_ns > end_ns:
                self.now_ns = end_ns
                return
            self.now_ns = max(self.now_ns, first_ns)
            if self._queue and self._queue[0][0] <= self.now_ns:
                heapq.heappop(self._queue)[2]()
            else:
                self._tick_ns = self.now_ns + machine.TICK_NS
                self._handle(machine.Tick())

    # --- the engine's shell ---------------------------------------------------------------------

    def _handle(self, event: machine.Event) -> None:
        self._act(self._engine.handle(event, self.now_ns))

    def _act(self, actions: list[machine.Action]) -> None:
        for action in actions:
            match action:
                case machine.JournalIntent(intent):
                    self._market_of[intent.order_id] = intent.market
                case machine.Send(request, what):
                    self._send(request, what)
                case machine.Reply(connection, reply):
                    self._hear(connection, reply)

    def _send(self, request: int, what: machine.Request) -> None:
        """It arrives up to twice the jitter after the earliest moment, and is answered there and then."""
        lag_ns = self._rng.randrange(2 * JITTER_NS)
        if isinstance(what, machine.Place):
            market = self._market_of[what.orders[0].order_id]
            quoter = QUOTERS[self._markets_index(market) % len(QUOTERS)]
            self._value_of[quoter] += self._plans[market][0]
            self._served += 1
        self._in(lag_ns, lambda: self._handle(machine.Answered(request, self._serve(what))))

    # --- the venue ------------------------------------------------------------------------------

    def _serve(self, what: machine.Request) -> machine.Answer:
        match what:
            case machine.Place(orders):
                path = "/orders" if len(orders) > 1 else "/order"
                if not self._admits("POST", path, "order", len(orders)):
                    return machine.Placed((machine.Refused("429"),) * len(orders))
                self._count_place()
                for order in orders:
                    self._open[self._market_of[order.order_id]][order.order_id] = None
                return machine.Placed((machine.Accepted(),) * len(orders))
            case machine.Cancel(order_ids):
                path = "/orders" if len(order_ids) > 1 else "/order"
                if not self._admits("DELETE", path, "cancel", len(order_ids)):
                    return machine.Failed("429")
                gone = tuple(i for i in order_ids if self._open[self._market_of[i]].pop(i, 0) is None)
                self._forget(gone)
                return machine.Cancelled(gone, {i: "not found" for i in order_ids if i not in gone})
            case machine.CancelAll():
                everything = tuple(i for held in self._open.values() for i in held)
                for held in self._open.values():
                    held.clear()
                return machine.Cancelled(everything, {})
            case machine.ListOrders():
                return machine.Orders(tuple(i for held in self._open.values() for i in held))
            case machine.LookUp(order_id):
                return machine.IsLive(order_id in self._open[self._market_of[order_id]])
            case machine.ListTrades():
                return machine.Trades(())
            case machine.Heartbeat():
                return machine.HeartbeatTaken(True, "next")
        return machine.Region(is_blocked=False)

    def _admits(self, method: str, path: str, kind: str, cost: int) -> bool:
        is_held = self._windows.admit(_ADDRESS, method, path, self.now_ns) > 0
        charge = self._buckets.charge(_SIGNER, "order" if kind == "order" else "cancel", cost, self.now_ns)
        self._refused += is_held or charge.is_refused
        return not is_held and not charge.is_refused

    def _forget(self, gone: tuple[str, ...]) -> None:
        """The user channel says it, in a moment; then nobody speaks of these orders again."""
        for order_id in gone:
            del self._market_of[order_id]
            event = machine.OrderCancelled(order_id, "CANCELED")
            self._in(5 * NS_PER_MS, lambda event=event: self._handle(event))

    def _count_place(self) -> None:
        self._placed += 1
        for span_s, times in self._arrivals.items():
            times.append(self.now_ns)
            while times[0] <= self.now_ns - span_s * NS_PER_S:
                times.popleft()
            self._most[span_s] = max(self._most[span_s], len(times))

    # --- the quoters ----------------------------------------------------------------------------

    def _renew(self) -> None:
        mandates = tuple(
            Mandate(
                market=market, quoter=QUOTERS[number % len(QUOTERS)], epoch=1, capital_e6=_PLENTY_E6,
                max_position_e6=_PLENTY_E6, order_size_e6=5 * SHARE_E6,
            )
            for number, market in enumerate(self._markets)
        )  # fmt: skip
        table = Allocation(term=1, sent_ns=self.now_ns, life_ns=10 * NS_PER_S, mandates=mandates)
        self._handle(machine.Allocated(table))
        self._in(5 * NS_PER_S, self._renew)

    def _markets_index(self, market: str) -> int:
        return int(market[2:], 16)

    def _offer(self, number: int) -> None:
        market = self._markets[number].condition_id
        resting = tuple(self._open[market])
        value = self._rng.lognormvariate(0.0, 1.0) * MEAN_VALUES[number % len(QUOTERS)]
        self._references += 1
        self._plans[market] = (value, self.now_ns)
        self._offered.append(value)
        side = Side.BUY if self._references % 2 else Side.SELL
        plan = Plan(
            market=market, term=1, epoch=1, cancels=resting if len(resting) >= RESTING else (),
            places=(Place(ref=self._references, side=side, price_e4=3_000 if side is Side.BUY else 7_000,
                          size_e6=5 * SHARE_E6),),
            value=value if self._is_told else 1.0, book_sequence=1, book_received_ns=None,
            decided_ns=self.now_ns,
        )  # fmt: skip
        self._handle(machine.PlanSent(number % len(QUOTERS), plan))

    def _hear(self, connection: int, reply: object) -> None:
        if isinstance(reply, PlanDone):
            if reply.refused is not None and not reply.refused.startswith("rate:"):
                raise AssertionError(f"{QUOTERS[connection]}: {reply.refused}")
            if reply.refused is not None and " cancel" in reply.refused:
                self._refused_cancels += 1
            number = self._markets_index(reply.market)
            self._in(NS_PER_MS, lambda: self._offer(number))
        elif isinstance(reply, OrderUpdate) and reply.state is OrderState.CANCELLED:
            asked_ns = self._plans[reply.market][1]
            self._longest_cancel_ns = max(self._longest_cancel_ns, self.now_ns - asked_ns)


def _market(number: int) -> Market:
    return Market(
        condition_id=f"0x{number:064x}", slug=f"market-{number}", underlying="BTC",
        yes_token=str(10**76 + 2 * number), no_token=str(10**76 + 2 * number + 1), tick_e4=100,
        min_size_e6=5 * SHARE_E6, neg_risk=False, is_open=True, closes_ms=None,
    )  # fmt: skip
