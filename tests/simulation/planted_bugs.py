"""Bugs that are put into a swarm on purpose: the simulation must find each of them."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from clawswarm.kernel.bus import Bus, Follower, Latest, Source
from clawswarm.kernel.direct import IsUrgentOf
from clawswarm.kernel.journal import Journal
from clawswarm.lab import engine_machine as machine
from clawswarm.lab.engine_machine import Action, EngineMachine, EngineStart, Event
from clawswarm.lab.simulation.faults import ProfileName
from clawswarm.lab.simulation.swarm import Parts
from clawswarm.model.messages import Allocation, Beat, BookState, HaltSwarm, Inventory
from clawswarm.runtime.roster import ENGINE, ORCHESTRATOR, QUOTERS
from clawswarm.sandbox.exchange.accounts import Leg, Settlement
from clawswarm.sandbox.venue import Venue


class FaultyMachine:
    """The engine's machine, with something wrong between it and its shell."""

    def __init__(self, key: bytes, start: EngineStart, now_ns: int) -> None:
        self._machine = EngineMachine(key, start, now_ns)
        self.first_actions = self.act(self._machine.first_actions, now_ns)

    @property
    def next_wake_ns(self) -> int | None:
        return self._machine.next_wake_ns

    def handle(self, event: Event, now_ns: int) -> list[Action]:
        heard = self.hear(event)
        return [] if heard is None else self.act(self._machine.handle(heard, now_ns), now_ns)

    def beat(self, name: str, pid: int, now_ns: int) -> Beat:
        return self._machine.beat(name, pid, now_ns)

    def unknown(self, order_ids: list[str]) -> list[str]:
        return self._machine.unknown(order_ids)

    def held(self, market: str) -> Inventory:
        return self._machine.held(market)

    def hear(self, event: Event) -> Event | None:
        """What the machine hears of an event."""
        return event

    def act(self, actions: list[Action], now_ns: int) -> list[Action]:
        """What its shell hears of its actions."""
        return actions


class SkipsCancels(FaultyMachine):
    """Every cancel is said to be done and never sent."""

    def act(self, actions: list[Action], now_ns: int) -> list[Action]:
        passed: list[Action] = []
        for action in actions:
            if isinstance(action, machine.Send) and isinstance(action.what, machine.Cancel):
                done = machine.Cancelled(action.what.order_ids, {})
                passed += self.handle(machine.Answered(action.request, done), now_ns)
            else:
                passed.append(action)
        return passed


class DropsAcknowledgements(FaultyMachine):
    """An order that was accepted is taken for refused."""

    def hear(self, event: Event) -> Event | None:
        if isinstance(event, machine.Answered) and isinstance(event.answer, machine.Placed):
            refused = tuple(machine.Refused("lost") for _ in event.answer.results)
            return machine.Answered(event.request, machine.Placed(refused))
        return event


class ForgetsFills(FaultyMachine):
    """No trade is ever heard of."""

    def hear(self, event: Event) -> Event | None:
        if isinstance(event, machine.TradeSeen):
            return None
        if isinstance(event, machine.Answered) and isinstance(event.answer, machine.Trades):
            return machine.Answered(event.request, machine.Trades(()))
        return event


class SendsUnjournalled(FaultyMachine):
    """Orders leave without their intent being written down."""

    def act(self, actions: list[Action], now_ns: int) -> list[Action]:
        return [action for action in actions if not isinstance(action, machine.JournalIntent)]


class _Altered:
    """A Latest channel with something wrong between it and its owner."""

    def __init__(self, channel: Latest[Any]) -> None:
        self._channel = channel

    def publish(self, message: Any, key: str = "") -> None:
        self._channel.publish(message, key)

    def listen(self, changed: asyncio.Event | None = None) -> None:
        self._channel.listen(changed)

    def take(self) -> list[Any]:
        return self._channel.take()

    def close(self) -> None:
        self._channel.close()


class _DoublesMandates(_Altered):
    """The first mandate of every table is given to another quoter as well."""

    def publish(self, message: Any, key: str = "") -> None:
        if isinstance(message, Allocation) and message.mandates:
            first = message.mandates[0]
            other = next(name for name in QUOTERS if name != first.quoter)
            double = msgspec.structs.replace(first, quoter=other)
            message = msgspec.structs.replace(message, mandates=(*message.mandates, double))
        self._channel.publish(message, key)


class _QuotesOldBooks:
    """Of every market and sentinel the first book is the last one that is ever looked at."""

    def __init__(self, channel: Follower[Any]) -> None:
        self._channel = channel
        self._first: dict[tuple[str, str], BookState] = {}

    def take(self) -> list[Any]:
        taken = self._channel.take()
        for book in taken:
            if book.is_valid:
                self._first.setdefault((book.market, book.source), book)
        return [self._first.get((book.market, book.source), book) for book in taken]

    def listen(self, changed: asyncio.Event | None = None, is_urgent: IsUrgentOf | None = None) -> None:
        self._channel.listen(changed, is_urgent)

    def follow(self, keys: Iterable[str] | None) -> None:
        self._channel.follow(keys)

    def lost(self) -> list[str]:
        return self._channel.lost()

    def close(self) -> None:
        self._channel.close()


class _HearsNothing(_Altered):
    """What arrives is never looked at."""

    def take(self) -> list[Any]:
        self._channel.take()
        return []


class AlteredBus:
    """A bus that gives out altered channels of one kind of message."""

    def __init__(self, bus: Bus, kind: type, alter: Callable[[Any], Any]) -> None:
        self._bus, self._kind, self._alter = bus, kind, alter

    def latest(self, topic: str, kind: Any) -> Any:
        channel = self._bus.latest(topic, kind)
        return self._alter(channel) if kind is self._kind else channel

    def source(self, topic: str) -> Source:
        return self._bus.source(topic)

    def follower(self, topic: str, sources: Iterable[str], kind: Any) -> Any:
        channel = self._bus.follower(topic, sources, kind)
        return self._alter(channel) if kind is self._kind else channel

    def ordered(self, topic: str, kind: Any, journal: Journal | None = None) -> Any:
        return self._bus.ordered(topic, kind, journal)

    def close(self) -> None:
        self._bus.close()


def _doubling(name: str, bus: Bus) -> Bus:
    return AlteredBus(bus, Allocation, _DoublesMandates) if name == ORCHESTRATOR else bus


def _looking_back(name: str, bus: Bus) -> Bus:
    return AlteredBus(bus, BookState, _QuotesOldBooks) if name in QUOTERS else bus


def _deaf_to_halts(name: str, bus: Bus) -> Bus:
    # Either of them alone would have everything withdrawn.
    return AlteredBus(bus, HaltSwarm, _HearsNothing) if name in (ENGINE, ORCHESTRATOR) else bus


def _mint(venue: Venue) -> None:
    """Whoever pays a fee gets a millionth back."""
    ledger = venue.exchange.ledger
    charge = ledger.charge

    def charge_too_little(settlement: Settlement, taker: Leg, fee_e6: int) -> int:
        taken = charge(settlement, taker, fee_e6)
        taker.account.collateral_e6 += 1
        return taken

    ledger.charge = charge_too_little


class Planted(msgspec.Struct, frozen=True):
    """A bug, and the invariant that it breaks."""

    parts: Parts
    invariant: str
    profile: ProfileName = "none"


PLANTED = {
    "skips a cancel": Planted(Parts(make_machine=SkipsCancels), "knowledge"),
    "drops an acknowledgement": Planted(Parts(make_machine=DropsAcknowledgements), "knowledge"),
    "forgets fills": Planted(Parts(make_machine=ForgetsFills), "knowledge"),
    "ignores a halt": Planted(Parts(alter_bus=_deaf_to_halts), "halt", "operator"),
    "sends what is not journalled": Planted(Parts(make_machine=SendsUnjournalled), "intent"),
    "doubles a mandate": Planted(Parts(alter_bus=_doubling), "owner"),
    "quotes an old book": Planted(Parts(alter_bus=_looking_back), "stale"),
    "mints money": Planted(Parts(alter_venue=_mint), "money"),
}
