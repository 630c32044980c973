"""The bus on virtual time: the two channels of kernel/bus.py between the processes of one simulation.

Messages are handed over as they are: they are frozen. On its way each takes its own time, and a share of them is
lost: the next one of a Latest channel makes up for it, an Ordered channel replays it from its publisher's journal.
Between two processes they stay in order, as on a link of Zenoh. What wakes nobody needs no timer: it lies in a
`Letterbox` until its reader looks, who sees what has come by then.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextvars import copy_context
from random import Random
from typing import Generic, TypeVar

import msgspec

from clawswarm._core import Lane, Letterbox, LetterLane
from clawswarm.kernel.bus import Follower, IsUrgent, Latest, Ordered, Source
from clawswarm.kernel.direct import IsUrgentOf
from clawswarm.kernel.journal import Journal
from clawswarm.kernel.ordering import Sequencer
from clawswarm.lab.simulation.loop import VirtualLoop
from clawswarm.lab.simulation.network import LineTerms, Partitions
from clawswarm.model.errors import OrderedGap
from clawswarm.model.messages import BusMessage

M = TypeVar("M", bound=BusMessage)
Sample = tuple[str, object]
Tap = Callable[[str, str, BusMessage], None]
Heard = Callable[[str, BusMessage], None]
Receive = Callable[[Sample], None]
Way = Lane[Sample] | LetterLane[Sample]

REPLAY_TRIES = 20
REPLAY_PAUSE_S = 0.25
_SEQ = struct.Struct("<Q")
_encode = msgspec.msgpack.Encoder().encode


class Subscription:
    """Who listens to a topic; `wanted` are its parts, "*" for any. Nobody is woken for what goes into a `box`."""

    def __init__(
        self, medium: "Medium", owner: str, topic: str, receive: Receive, box: Letterbox[Sample] | None = None
    ) -> None:
        self.owner, self.wanted, self._receive = owner, topic.split("/"), receive
        self._medium, self._box = medium, box
        self._lanes: dict[str, Way] = {}
        self.is_open = True

    def lane(self, publisher: str) -> Way:
        """On which a publisher's samples arrive in their order."""
        lane = self._lanes.get(publisher)
        if lane is None:
            if self._box is None:
                lane = Lane(self._medium.loop, self._hear, copy_context())
            else:
                lane = LetterLane(self._box, self._hear)
            self._lanes[publisher] = lane
        return lane

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
        self._audiences: dict[tuple[str, str], list[tuple[str, Way]]] = {}
        """By publisher and topic: whoever listens, and the way there."""
        self.sources: dict[tuple[str, str], VirtualSource] = {}
        """By topic and owner."""
        self.followers: list[VirtualFollower[BusMessage]] = []

    def random(self, owner: str) -> Random:
        """The chances of one process."""
        random = self._randoms.get(owner)
        if random is None:
            random = self._randoms[owner] = Random(f"{self._seed}/bus/{owner}")
        return random

    def subscribe(
        self, owner: str, topic: str, receive: Receive, box: Letterbox[Sample] | None = None
    ) -> Subscription:
        """Hear a topic from now on."""
        subscription = Subscription(self, owner, topic, receive, box)
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
        self.followers = [follower for follower in self.followers if follower.owner != owner]
        for source in [source for (_, name), source in self.sources.items() if name == owner]:
            source.close()

    def publish(self, owner: str, name: str, payload: object) -> None:
        """Send to whoever listens."""
        audience = self._audiences.get((owner, name))
        if audience is None:
            audience = self._audiences[owner, name] = self._audience(owner, name)
        if not audience:
            return
        terms, chance, sample = self.terms, self.random(owner).random, (name, payload)
        for reader, lane in audience:
            if not terms.loss_share or chance() >= terms.loss_share:
                delay_s = terms.latency_s + chance() * terms.jitter_s
                lane.put(sample, delay_s, self._partitions.over_s(owner, reader))

    def carry(self, owner: str, reader: str, lane: Way, sample: Sample) -> None:
        """Put one sample on its way."""
        delay_s = self.terms.latency_s + self.random(owner).random() * self.terms.jitter_s
        lane.put(sample, delay_s, self._partitions.over_s(owner, reader))

    def _audience(self, owner: str, name: str) -> list[tuple[str, Way]]:
        parts = name.split("/")
        return [
            (found.owner, found.lane(owner))
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

    def source(self, topic: str) -> Source:
        """The publisher's end of a direct Latest channel."""
        return VirtualSource(self._medium, self._name, topic)

    def follower(self, topic: str, sources: Iterable[str], kind: type[M]) -> Follower[M]:
        """The reader's end of direct Latest channels."""
        return VirtualFollower[M](self._medium, self._name, topic, tuple(sources), self.heard)

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
        self._slots: dict[str, M] = {}
        self._box: Letterbox[Sample] | None = None
        self._subscription: Subscription | None = None

    def publish(self, message: M, key: str = "") -> None:
        """Overwrite the slot `topic/key`."""
        name = f"{self._topic}/{key}" if key else self._topic
        if self._medium.tap is not None:
            self._medium.tap(self._owner, name, message)
        self._medium.publish(self._owner, name, message)

    def listen(self, changed: asyncio.Event | None = None, is_urgent: IsUrgent | None = None) -> None:
        """Begin to receive."""

        def received(sample: Sample) -> None:
            name, message = sample
            self._slots[name] = message  # type: ignore[assignment]  # a topic has one kind of message
            if changed is not None and (is_urgent is None or is_urgent(name)):
                changed.set()
            if self._heard is not None:
                self._heard(self._owner, message)  # type: ignore[arg-type]

        self._box = Letterbox[Sample](self._medium.loop) if changed is None else None
        self._subscription = self._medium.subscribe(self._owner, self._topic, received, self._box)

    def take(self) -> list[M]:
        """The newest message of every key that changed since the last call."""
        if self._box is not None:
            self._box.collect()
        if not self._slots:
            return []
        taken = list(self._slots.values())
        self._slots.clear()
        return taken

    def close(self) -> None:
        """Stop receiving."""
        if self._subscription is not None:
            self._medium.unsubscribe(self._subscription)


class VirtualSource:
    """The publisher's end of a direct Latest channel: a stream, so late but never lost."""

    def __init__(self, medium: Medium, owner: str, topic: str) -> None:
        self._medium, self._owner, self._topic = medium, owner, topic
        self.slots: dict[str, BusMessage] = {}

    def open(self) -> None:
        """Let followers in."""
        self._medium.sources[self._topic, self._owner] = self

    def publish(self, message: BusMessage, key: str) -> None:
        """Overwrite the slot of `key`, and send it to every follower that wants it."""
        self.slots[key] = message
        if self._medium.tap is not None:
            self._medium.tap(self._owner, f"{self._topic}/{key}", message)
        for follower in self._medium.followers:
            follower.offer(self._topic, self._owner, key, message)

    def keep(self, keys: Iterable[str]) -> None:
        """Forget the slots of all keys but these."""
        kept = set(keys)
        self.slots = {key: message for key, message in self.slots.items() if key in kept}

    def close(self) -> None:
        """Let every follower go."""
        self._medium.sources.pop((self._topic, self._owner), None)
        for follower in self._medium.followers:
            follower.lose(self._topic, self._owner)


class VirtualFollower(Generic[M]):
    """The reader's end of direct Latest channels."""

    def __init__(
        self, medium: Medium, owner: str, topic: str, sources: tuple[str, ...], heard: Heard | None
    ) -> None:
        self.owner = owner
        self._medium, self._topic, self._sources, self._heard = medium, topic, sources, heard
        self._wanted: frozenset[str] | None = frozenset()
        self._slots: dict[tuple[str, str], M] = {}
        self._box: Letterbox[Sample] | None = None
        self._changed: asyncio.Event | None = None
        self._is_urgent: IsUrgentOf | None = None
        self._lost: list[str] = []
        self._links: dict[str, Subscription] = {}

    def listen(self, changed: asyncio.Event | None = None, is_urgent: IsUrgentOf | None = None) -> None:
        """Begin to receive."""
        self._changed, self._is_urgent = changed, is_urgent
        self._box = Letterbox[Sample](self._medium.loop) if changed is None else None
        self._links = {
            name: Subscription(self._medium, self.owner, self._topic, self._receiver(name), self._box)
            for name in self._sources
        }
        self._medium.followers.append(self)  # type: ignore[arg-type]  # it only takes messages of its own topic

    def follow(self, keys: Iterable[str] | None) -> None:
        """Want these keys and no others; None wants all there are."""
        before, self._wanted = self._wanted, None if keys is None else frozenset(keys)
        for name in self._links:
            source = self._medium.sources.get((self._topic, name))
            for key, message in source.slots.items() if source is not None else ():
                if before is not None and key not in before:
                    self.offer(self._topic, name, key, message)

    def offer(self, topic: str, name: str, key: str, message: BusMessage) -> None:
        """What a source sends."""
        link = self._links.get(name)
        if topic != self._topic or link is None or (self._wanted is not None and key not in self._wanted):
            return
        self._medium.carry(name, self.owner, link.lane(name), (key, message))

    def lose(self, topic: str, name: str) -> None:
        """A source has ended."""
        if topic == self._topic and name in self._links:
            self._lost.append(name)
            self._wake()

    def take(self) -> list[M]:
        """The newest message of every key of every source that changed since the last call."""
        if self._box is not None:
            self._box.collect()
        if not self._slots:
            return []
        taken = list(self._slots.values())
        self._slots.clear()
        return taken

    def lost(self) -> list[str]:
        """Sources that have ended since the last call."""
        lost, self._lost = self._lost, []
        return lost

    def close(self) -> None:
        """Stop receiving."""
        for link in self._links.values():
            link.is_open = False
        self._links = {}

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    def _receiver(self, name: str) -> Receive:
        def received(sample: Sample) -> None:
            key, message = sample
            self._slots[name, key] = message  # type: ignore[assignment]  # a topic has one kind of message
            if self._is_urgent is None or self._is_urgent(name, key):
                self._wake()
            if self._heard is not None:
                self._heard(self.owner, message)  # type: ignore[arg-type]

        return received


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
