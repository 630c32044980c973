"""The bus on virtual time: the two channels of kernel/bus.py between the processes of one simulation.

Messages are handed over as they are: they are frozen. On its way each takes its own time, and a share of them is
lost: the next one of a Latest channel makes up for it, an Ordered channel replays it from its publisher's journal.
Between two processes they stay in order, as on a link of Zenoh.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextvars import copy_context
from random import Random
from typing import Generic, TypeVar

import msgspec

from clawswarm.kernel.bus import Latest, Ordered
from clawswarm.kernel.journal import Journal
from clawswarm.kernel.ordering import Sequencer
from clawswarm.lab.simulation.loop import VirtualLoop
from clawswarm.lab.simulation.network import Lane, LineTerms, Partitions
from clawswarm.model.errors import OrderedGap
from clawswarm.model.messages import BusMessage

M = TypeVar("M", bound=BusMessage)
Sample = tuple[str, object]
Tap = Callable[[str, str, BusMessage], None]
Heard = Callable[[str, BusMessage], None]

REPLAY_TRIES = 20
REPLAY_PAUSE_S = 0.25
_SEQ = struct.Struct("<Q")
_encode = msgspec.msgpack.Encoder().encode


class Subscription:
    """Who listens to a topic; `wanted` are its parts, "*" for any."""

    def __init__(self, medium: "Medium", owner: str, topic: str, receive: Callable[[Sample], None]) -> None:
        self.owner, self.wanted, self._receive = owner, topic.split("/"), receive
        self._medium = medium
        self._lanes: dict[str, Lane[Sample]] = {}
        self.is_open = True

    def send(self, publisher: str, sample: Sample, delay_s: float, not_before_s: float) -> None:
        """Put a sample on its way."""
        lane = self._lanes.get(publisher)
        if lane is None:
            lane = Lane(self._medium.loop, self._hear, copy_context())
            self._lanes[publisher] = lane
        lane.put(sample, delay_s, not_before_s)

    def _hear(self, sample: Sample) -> None:
        if self.is_open:
            self._medium.delivered += 1
            self._receive(sample)


class Medium:
    """What carries the messages of all processes. `tap` hears of each as it is published."""

    def __init__(self, loop: VirtualLoop, seed: int, terms: LineTerms, partitions: Partitions) -> None:
        self.loop, self.terms = loop, terms
        self.delivered = 0
        self.tap: Tap | None = None
        self.journals: dict[str, list[bytes]] = {}
        self._partitions = partitions
        self._seed = seed
        self._randoms: dict[str, Random] = {}
        self._subscriptions: list[Subscription] = []
        self._audiences: dict[str, list[Subscription]] = {}

    def random(self, owner: str) -> Random:
        """The chances of one process."""
        random = self._randoms.get(owner)
        if random is None:
            random = self._randoms[owner] = Random(f"{self._seed}/bus/{owner}")
        return random

    def subscribe(self, owner: str, topic: str, receive: Callable[[Sample], None]) -> Subscription:
        """Hear a topic from now on."""
        subscription = Subscription(self, owner, topic, receive)
        self._subscriptions.append(subscription)
        self._audiences.clear()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Hear it no more."""
        subscription.is_open = False
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._audiences.clear()

    def leave(self, owner: str) -> None:
        """A process is gone."""
        for subscription in [found for found in self._subscriptions if found.owner == owner]:
            self.unsubscribe(subscription)

    def publish(self, owner: str, name: str, payload: object) -> None:
        """Send to whoever listens."""
        audience = self._audiences.get(name)
        if audience is None:
            audience = self._audiences[name] = self._audience(name)
        random, terms = self.random(owner), self.terms
        for subscription in audience:
            if terms.loss_share and random.random() < terms.loss_share:
                continue
            delay_s = terms.latency_s + random.random() * terms.jitter_s
            over_s = self._partitions.over_s(owner, subscription.owner)
            subscription.send(owner, (name, payload), delay_s, over_s)

    def _audience(self, name: str) -> list[Subscription]:
        parts = name.split("/")
        return [
            found
            for found in self._subscriptions
            if len(found.wanted) == len(parts)
            and all(want in ("*", part) for want, part in zip(found.wanted, parts, strict=True))
        ]


class VirtualBus:
    """One process's membership; after `close` it says and hears nothing."""

    def __init__(self, medium: Medium, name: str) -> None:
        self._medium, self._name = medium, name
        self.heard: Heard | None = None
        """Told of what reaches this process by a Latest channel."""

    def latest(self, topic: str, kind: type[M]) -> Latest[M]:
        """A Latest channel on `topic`."""
        return VirtualLatest[M](self._medium, self._name, topic, self.heard)

    def ordered(self, topic: str, kind: type[M], journal: Journal | None = None) -> Ordered[M]:
        """An Ordered channel; its journal is the medium's, so that it outlives its publisher."""
        return VirtualOrdered(self._medium, self._name, topic, kind)

    def close(self) -> None:
        """Leave."""
        self._medium.leave(self._name)


class VirtualLatest(Generic[M]):
    """One slot per key."""

    def __init__(self, medium: Medium, owner: str, topic: str, heard: Heard | None) -> None:
        self._medium, self._owner, self._topic, self._heard = medium, owner, topic, heard
        self._sent: dict[str, M] = {}
        self._slots: dict[str, M] = {}
        self._subscription: Subscription | None = None

    def publish(self, message: M, key: str = "") -> None:
        """Overwrite the slot `topic/key`."""
        name = f"{self._topic}/{key}" if key else self._topic
        self._sent[name] = message
        if self._medium.tap is not None:
            self._medium.tap(self._owner, name, message)
        self._medium.publish(self._owner, name, message)

    def repeat(self, keys: Iterable[str]) -> None:
        """Send the slots of `keys` once more and forget the others."""
        names = {f"{self._topic}/{key}": None for key in keys}
        self._sent = {name: message for name, message in self._sent.items() if name in names}
        for name, message in self._sent.items():
            self._medium.publish(self._owner, name, message)

    def listen(self, changed: asyncio.Event) -> None:
        """Begin to receive."""

        def received(sample: Sample) -> None:
            name, message = sample
            self._slots[name] = message  # type: ignore[assignment]  # a topic has one kind of message
            changed.set()
            if self._heard is not None:
                self._heard(self._owner, message)  # type: ignore[arg-type]

        self._subscription = self._medium.subscribe(self._owner, self._topic, received)

    def take(self) -> list[M]:
        """The newest message of every key that changed since the last call."""
        if not self._slots:
            return []
        taken = list(self._slots.values())
        self._slots.clear()
        return taken

    def close(self) -> None:
        """Stop receiving."""
        if self._subscription is not None:
            self._medium.unsubscribe(self._subscription)


class VirtualOrdered(Generic[M]):
    """Numbered messages, replayed where one was lost."""

    def __init__(self, medium: Medium, owner: str, topic: str, kind: type[M]) -> None:
        self._medium, self._owner, self._topic = medium, owner, topic
        self._decode = msgspec.msgpack.Decoder(kind).decode

    def publish(self, message: M) -> None:
        """Journal the message, then send it."""
        journal, body = self._journal(), _encode(message)
        journal.append(body)
        if self._medium.tap is not None:
            self._medium.tap(self._owner, self._topic, message)
        self._medium.publish(self._owner, self._topic, _SEQ.pack(len(journal)) + body)

    def announce(self) -> None:
        """Say the newest number."""
        self._medium.publish(self._owner, self._topic, _SEQ.pack(len(self._journal())))

    def published(self) -> list[M]:
        """Everything published so far."""
        return [self._decode(body) for body in self._journal()]

    async def messages(self) -> AsyncIterator[M]:
        """Yield every message in order. Raises OrderedGap when one is lost for good."""
        inbox: asyncio.Queue[bytes] = asyncio.Queue()
        subscription = self._medium.subscribe(
            self._owner,
            self._topic,
            lambda sample: inbox.put_nowait(sample[1]),  # type: ignore[arg-type]  # one kind a topic
        )
        sequencer = Sequencer()
        try:
            while True:
                payload = await inbox.get()
                seq, body = _SEQ.unpack_from(payload)[0], payload[_SEQ.size :]
                ready = sequencer.offer(seq, body) if body else []
                if not body:
                    sequencer.note_last(seq)
                for one in ready:
                    yield self._decode(one)
                if sequencer.missing() is not None:
                    for one in await self._replayed(sequencer):
                        yield self._decode(one)
        finally:
            self._medium.unsubscribe(subscription)

    async def _replayed(self, sequencer: Sequencer) -> list[bytes]:
        """What fills the holes, and what waited behind them."""
        ready: list[bytes] = []
        for _ in range(REPLAY_TRIES):
            await asyncio.sleep(2 * self._medium.terms.latency_s)
            while (hole := sequencer.missing()) is not None:
                found = self._journal()[hole[0] - 1 : hole[1]]
                for seq, body in enumerate(found, hole[0]):
                    ready += sequencer.offer(seq, body)
                if not found:
                    break
            else:
                return ready
            await asyncio.sleep(REPLAY_PAUSE_S)
        raise OrderedGap(f"messages {sequencer.missing()} of {self._topic} are lost")

    def _journal(self) -> list[bytes]:
        return self._medium.journals.setdefault(self._topic, [])
