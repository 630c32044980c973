"""The engine's way to the venue and back: requests and answers in flight, each with a fate of its own.

What stands before the venue's REST handlers stands here too, in the same order (sandbox/rest/gate.py): the planted
faults, the request windows, the engine's mode, the signer's bucket. A request of a route that was given up fails
at once on this side; on the other it may still arrive, as bytes that were on the line.
"""

from collections.abc import Callable
from random import Random

import msgspec

from clawswarm.kernel.clock import NS_PER_MS, NS_PER_S, Clock, ns
from clawswarm.lab import engine_machine as machine
from clawswarm.lab.simulation.loop import VirtualLoop
from clawswarm.lab.simulation.network import LineTerms, Partitions
from clawswarm.model.instruments import Side
from clawswarm.model.messages import Evidence
from clawswarm.sandbox.exchange.events import Trade
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.faults import RequestFault
from clawswarm.sandbox.identity.heartbeats import BeatRefused
from clawswarm.sandbox.identity.keys import ApiKey
from clawswarm.sandbox.rest.gate import BUCKETS
from clawswarm.sandbox.rest.modes import ModeRefusal
from clawswarm.sandbox.venue import Venue

GIVEN_UP_S = 1.5
ADDRESS = "127.0.0.1"
_PATHS: dict[type, tuple[str, str]] = {
    machine.CancelAll: ("DELETE", "/cancel-all"),
    machine.ListOrders: ("GET", "/data/orders"),
    machine.ListTrades: ("GET", "/data/trades"),
    machine.LookUp: ("GET", "/data/order/"),
    machine.Heartbeat: ("POST", "/v1/heartbeats"),
    machine.AskRegion: ("GET", "/api/geoblock"),
}

Done = Callable[[int, machine.Answer], None]
Fault = Callable[[int, machine.Cause], None]


class _Flight(msgspec.Struct, eq=False):
    """One request under way."""

    number: int
    what: machine.Request
    method: str
    path: str
    generation: int
    is_answered: bool = False
    is_dropped: bool = False


class OrderLine:
    """Carries one engine's requests; `answered` and `fault` are told on this side."""

    def __init__(
        self, loop: VirtualLoop, clock: Clock, venue: Venue, partitions: Partitions, random: Random
    ) -> None:
        self._loop, self._clock, self._venue, self._partitions = loop, clock, venue, partitions
        self._random = random
        self.terms: LineTerms | None = None
        self.owner = ""
        self.key: ApiKey | None = None
        self.wallet = ""
        self.answered: Done = _nobody
        self.fault: Fault = _nobody
        self.limited = 0
        """Requests that the venue's limits refused."""
        self.served = 0
        self._generation = 0
        self._flights: dict[int, _Flight] = {}
        self._own_trades: dict[str, tuple[str, machine.OwnTrade]] = {}

    def reset(self) -> None:
        """The process behind this line is gone: what it asked has no asker any more."""
        self.answered = self.fault = _nobody
        self._generation = 0
        for flight in self._flights.values():
            flight.is_answered = True
            flight.is_dropped = self._random.random() < 0.5
        self._flights.clear()

    def switch(self, generation: int) -> None:
        """Give up what is under way on earlier connections."""
        self._generation = generation
        for flight in [each for each in self._flights.values() if each.generation < generation]:
            flight.is_dropped = self._random.random() < 0.5
            self._finish(flight, machine.Failed("the connection was given up"), None)

    def send(self, number: int, what: machine.Request) -> None:
        """Put a request on its way; it is answered exactly once."""
        method, path = _path_of(what)
        flight = _Flight(number, what, method, path, self._generation)
        self._flights[number] = flight
        self._loop.call_later(GIVEN_UP_S, self._give_up, flight)
        if not self._is_lost():
            self._after_hop(lambda: self._arrive(flight))

    # --- on the line ------------------------------------------------------------------------------

    def _is_lost(self) -> bool:
        return self.terms is not None and self._random.random() < self.terms.loss_share

    def _after_hop(self, deed: Callable[[], None]) -> None:
        terms = self.terms
        delay_s = 0.0 if terms is None else terms.latency_s + self._random.random() * terms.jitter_s
        at_s = max(self._loop.time() + delay_s, self._partitions.over_s(self.owner, "venue"))
        self._loop.call_at(at_s, deed)

    def _give_up(self, flight: _Flight) -> None:
        if not flight.is_answered:
            flight.is_dropped = self._random.random() < 0.5
            self._finish(flight, machine.Failed("no answer"), machine.Transport("no answer"))

    def _finish(self, flight: _Flight, answer: machine.Answer, cause: machine.Cause | None) -> None:
        if flight.is_answered:
            return
        flight.is_answered = True
        self._flights.pop(flight.number, None)
        answered, fault = self.answered, self.fault
        if cause is not None:
            fault(flight.generation, cause)
        answered(flight.number, answer)

    def _back(self, flight: _Flight, answer: machine.Answer, cause: machine.Cause | None = None) -> None:
        if not self._is_lost():
            self._after_hop(lambda: self._finish(flight, answer, cause))

    # --- before the venue's door --------------------------------------------------------------------

    def _arrive(self, flight: _Flight) -> None:
        if flight.is_dropped:
            return
        faults, now_ns = self._venue.faults, self._clock.now_ns()
        if flight.path != "/api/geoblock" and faults.black_hole_left_ns(now_ns, "rest"):
            return  # until the client gives up
        met = faults.met_by(flight.method, flight.path, now_ns)
        late_s = sum(faults.delay_s(fault) for fault in met if fault.kind == "latency")
        if late_s:
            self._loop.call_later(late_s, self._admit, flight, met)
        else:
            self._admit(flight, met)

    def _admit(self, flight: _Flight, met: list[RequestFault]) -> None:
        if flight.is_dropped:
            return
        self.served += 1
        kinds = {fault.kind: fault for fault in met}
        if "reset" in kinds:
            self._back(flight, machine.Failed("reset"), machine.Transport("connection reset"))
        elif "cdn-page" in kinds:
            self._refuse(flight, 403, "a page of the CDN", machine.CdnPage())
        elif (wrong := kinds.get("status")) is not None:
            self._refuse(flight, wrong.status, wrong.text, _cause_of(wrong.status))
        else:
            self._serve_within_limits(flight, kinds.get("lost-reply"))

    def _serve_within_limits(self, flight: _Flight, lost: RequestFault | None) -> None:
        now_ns = self._clock.now_ns()
        wait_ns = self._venue.windows.admit(ADDRESS, flight.method, flight.path, now_ns)
        if wait_ns:
            self._throttle(flight, wait_ns)
            return
        kind = BUCKETS.get((flight.method, flight.path))
        if kind is not None and self.key is not None:
            try:
                self._venue.modes.check_request(kind == "cancel", now_ns)
            except ModeRefusal as refusal:
                self._refuse(flight, refusal.status, refusal.text, _cause_of_mode(refusal))
                return
            charge = self._venue.buckets.charge(self.key.address.lower(), kind, _cost_of(flight.what), now_ns)
            if charge.is_refused:
                self._throttle(flight, charge.wait_ns)
                return
        answer, cause = self._serve(flight.what, now_ns)
        if lost is None:
            self._back(flight, answer, cause)
        elif not lost.is_silent:
            self._back(flight, machine.Failed("reset"), machine.Transport("connection reset"))

    def _throttle(self, flight: _Flight, wait_ns: int) -> None:
        self.limited += 1
        self._refuse(flight, 429, "Too Many Requests", machine.Throttled(wait_ns))

    def _refuse(self, flight: _Flight, status: int, text: str, cause: machine.Cause | None) -> None:
        """As rust/engine/src/places.rs reads the texts that the sandbox has: a server error leaves a fate open."""
        answer: machine.Answer = machine.Failed(f"{status} {text}")
        if isinstance(flight.what, machine.Place) and (status < 500 or status == 503):
            answer = machine.Placed((machine.Refused(f"{status} {text}"),) * len(flight.what.orders))
        self._back(flight, answer, cause)

    # --- the venue ----------------------------------------------------------------------------------

    def _serve(self, what: machine.Request, now_ns: int) -> tuple[machine.Answer, machine.Cause | None]:
        """What the venue does and says."""
        venue, key = self._venue, self.key
        if key is None:
            return machine.Failed("not logged in"), None
        match what:
            case machine.Place(orders):
                return self._place(orders, key, now_ns)
            case machine.Cancel(order_ids):
                report = venue.cancel_ids(key, list(order_ids), now_ns)
            case machine.CancelAll():
                report = venue.cancel_where(key, now_ns, lambda _order: True)
                venue.buckets.debit_cancels(key.address.lower(), len(report.canceled), now_ns)
            case machine.ListOrders():
                return machine.Orders(tuple(order.id for order in venue.open_customer_orders())), None
            case machine.LookUp(order_id):
                order = venue.exchange.orders.get(order_id)
                return machine.IsLive(order is not None and order.status == "LIVE"), None
            case machine.ListTrades(after_s):
                trades = venue.exchange.trades_by_account.get(self.wallet, {}).values()
                since_ns = (after_s or 0) * NS_PER_S
                recent = [trade for trade in trades if trade.matched_ns >= since_ns]
                return machine.Trades(tuple(self._own_trade(trade, key.key) for trade in recent)), None
            case machine.Heartbeat(id=sent):
                try:
                    return machine.HeartbeatTaken(True, venue.beat(key, sent, now_ns)), None
                except BeatRefused as refused:
                    return machine.HeartbeatTaken(False, refused.expected), None
            case machine.AskRegion():
                return machine.Region(is_blocked=venue.faults.is_geoblocked), None
        return machine.Cancelled(tuple(report.canceled), report.not_canceled), None

    def _own_trade(self, trade: Trade, api_key: str) -> machine.OwnTrade:
        """Made once for each status: every comparison lists all trades there ever were."""
        known = self._own_trades.get(trade.id)
        if known is None or known[0] != trade.status:
            known = self._own_trades[trade.id] = (trade.status, own_trade(trade, api_key))
        return known[1]

    def _place(
        self, orders: tuple[machine.SignedOrder, ...], key: ApiKey, now_ns: int
    ) -> tuple[machine.Answer, machine.Cause | None]:
        results: list[machine.Accepted | machine.Refused | machine.Unknown] = []
        for order in orders:
            try:
                self._venue.place(key, order.body.encode(), now_ns)
            except ModeRefusal as refusal:
                results.append(machine.Refused(refusal.text))
                if len(orders) == 1:
                    return machine.Placed(tuple(results)), _cause_of_mode(refusal)
            except VenueRefusal as refusal:
                if self._venue.faults.is_geoblocked:
                    return machine.Ineligible(refusal.text), None
                if refusal.status >= 500:
                    results.append(machine.Unknown(refusal.text))
                else:
                    results.append(machine.Refused(refusal.text))
            else:
                results.append(machine.Accepted())
        return machine.Placed(tuple(results)), None


def own_trade(trade: Trade, api_key: str) -> machine.OwnTrade:
    """A trade as its maker's engine reads it."""
    return machine.OwnTrade(
        id=trade.id,
        market=trade.market.condition_id,
        evidence=Evidence(trade.status),
        matched_ms=trade.matched_ns // NS_PER_MS,
        parts=tuple(
            machine.OwnPart(
                fill.order.id, fill.order.token, Side(fill.order.side), fill.price_e4, fill.size_e6
            )
            for fill in trade.makers
            if fill.order.owner == api_key
        ),
    )


def _nobody(*_: object) -> None:
    """Nobody hears it."""


def _path_of(what: machine.Request) -> tuple[str, str]:
    if isinstance(what, machine.Place):
        return "POST", "/order" if len(what.orders) == 1 else "/orders"
    if isinstance(what, machine.Cancel):
        return "DELETE", "/order" if len(what.order_ids) == 1 else "/orders"
    return _PATHS[type(what)]


def _cost_of(what: machine.Request) -> int:
    if isinstance(what, machine.Place):
        return len(what.orders)
    return len(what.order_ids) if isinstance(what, machine.Cancel) else 1


def _cause_of(status: int) -> machine.Cause | None:
    if status == 429:
        return machine.Throttled()
    if status in (407, 502, 504) or 520 <= status <= 527:
        return machine.Transport(f"answer {status}")
    return machine.Throttled() if status == 503 else None


def _cause_of_mode(refusal: ModeRefusal) -> machine.Cause:
    if refusal.status == 425:
        return machine.Restarting()
    if "post-only" in refusal.text:
        wait_s = refusal.details.get("retry_after_seconds")
        return machine.PostOnly(ns(wait_s) if isinstance(wait_s, int | float) else None)
    return machine.CancelOnly() if "cancel-only" in refusal.text else machine.Disabled()
