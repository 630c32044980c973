"""The message bus: two kinds of channel over Eclipse Zenoh, peer to peer on Unix sockets, no broker.

`Latest`   one slot per key, overwritten: whoever reads late reads only the newest (beats, allocations). A machine
           without a turn to spare may drop a word: whoever has the last one says it again. Books go the same
           way over sockets of their sentinels (kernel/direct.py).
`Ordered`  numbered, journalled by the publisher; a hole, or a late start, is replayed from that journal
           (fills, dead-man events). A hole that nobody can fill raises OrderedGap, whose fate is halt.

Order flow never crosses the bus. Scouting is off: every process listens on a socket of its own in the swarm's
private folder and connects to those before it in the list of names; Zenoh makes lost links anew.

`Bus`, `Latest` and `Ordered` are what the agents know; a simulation wires other ones (lab/simulation/bus.py).
"""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec
import zenoh

from clawswarm.kernel.direct import IsUrgentOf, LatestFollower, LatestSource
from clawswarm.kernel.journal import Journal
from clawswarm.kernel.ordering import Sequencer
from clawswarm.model.errors import OrderedGap, WireFault
from clawswarm.model.messages import BusMessage

M = TypeVar("M", bound=BusMessage)

# A dead peer is noticed after this; Zenoh's own default of 10 s would notice a hang too late (design.md §4).
LEASE_MS = 500
# The most Zenoh takes, of 64 KiB each.
QUEUE_BATCHES = 16
REPLAY_CHUNK = 1_000
REPLAY_TRIES = 20
REPLAY_PAUSE_S = 0.25

_SEQ = struct.Struct("<Q")
_encode = msgspec.msgpack.Encoder().encode

IsUrgent = Callable[[str], bool]
"""Of a key with its topic: whether its news set the event; others wait to be taken. Asked on any thread."""


class Bus(Protocol):
    """One process's membership of a bus."""

    def latest(self, topic: str, kind: type[M]) -> "Latest[M]":
        """A Latest channel on `topic` (may end in wildcards for reading)."""
        ...

    def source(self, topic: str) -> "Source":
        """The publisher's end of a Latest channel that goes straight from process to process."""
        ...

    def follower(self, topic: str, sources: Iterable[str], kind: type[M]) -> "Follower[M]":
        """The reader's end of what `sources` publish on `topic`."""
        ...

    def ordered(self, topic: str, kind: type[M], journal: Journal | None = None) -> "Ordered[M]":
        """An Ordered channel; only its one publisher passes a journal."""
        ...

    def close(self) -> None:
        """Leave the bus; what was published before is sent first."""
        ...


class Latest(Protocol[M]):
    """One slot per key: publish overwrites, reading takes the newest of every changed key."""

    def publish(self, message: M, key: str = "") -> None:
        """Overwrite the slot `topic/key` (the topic itself without a key)."""
        ...

    def listen(self, changed: asyncio.Event | None = None, is_urgent: IsUrgent | None = None) -> None:
        """Begin to receive; `changed` (of the running loop, may be shared by channels) is set on urgent news.

        Without it nobody is woken: what comes waits to be taken.
        """
        ...

    def take(self) -> list[M]:
        """The newest message of every key that changed since the last call."""
        ...

    def close(self) -> None:
        """Stop receiving."""
        ...


class Source(Protocol):
    """The publisher's end of a direct Latest channel (kernel/direct.py)."""

    def open(self) -> None:
        """Let followers in, from the running loop."""
        ...

    def publish(self, message: BusMessage, key: str) -> None:
        """Overwrite the slot of `key`, and send it to every follower that wants it."""
        ...

    def keep(self, keys: Iterable[str]) -> None:
        """Forget the slots of all keys but these."""
        ...

    def close(self) -> None:
        """Let every follower go."""
        ...


class Follower(Protocol[M]):
    """The reader's end of direct Latest channels."""

    def listen(self, changed: asyncio.Event | None = None, is_urgent: IsUrgentOf | None = None) -> None:
        """Begin to receive; `changed` (of the running loop) is set on urgent news and by the end of a source.

        Without it nobody is woken: what comes waits to be taken.
        """
        ...

    def follow(self, keys: Iterable[str] | None) -> None:
        """Want these keys and no others; None wants all there are."""
        ...

    def take(self) -> list[M]:
        """The newest message of every key of every source that changed since the last call."""
        ...

    def lost(self) -> list[str]:
        """Sources that have ended since the last call, by name; each is looked for again."""
        ...

    def close(self) -> None:
        """Stop receiving."""
        ...


class Ordered(Protocol[M]):
    """Numbered messages of one or more publishers, delivered in each publisher's order, from its first on."""

    def publish(self, message: M) -> None:
        """Journal the message, then send it."""
        ...

    def announce(self) -> None:
        """Say the newest number, so that a lost tail is noticed; call about once a second."""
        ...

    def published(self) -> list[M]:
        """Everything in the own journal: what a restarted publisher has said before."""
        ...

    def messages(self) -> AsyncIterator[M]:
        """Yield every message of the topic in order; raises OrderedGap when one is lost for good."""
        ...


class ZenohBus:
    """One process's membership of the swarm's bus."""

    def __init__(self, name: str, peers: Sequence[str], folder: Path) -> None:
        """Join as `name`; `peers` is the full list of names, the same in every process."""
        earlier = peers[: peers.index(name)]
        settings = {
            "mode": "peer",
            "listen/endpoints": [_endpoint(folder, name)],
            "connect/endpoints": [_endpoint(folder, peer) for peer in earlier],
            "connect/timeout_ms": -1,
            "connect/exit_on_failure": False,
            "connect/retry": {"period_init_ms": 50, "period_max_ms": 250, "period_increase_factor": 1.5},
            "open/return_conditions/connect_scouted": False,
            "scouting/multicast/enabled": False,
            "scouting/gossip/enabled": False,
            "transport/link/tx/lease": LEASE_MS,
            "transport/link/tx/keep_alive": 4,
            "transport/link/tx/queue/size/data": QUEUE_BATCHES,
        }
        configuration = zenoh.Config()
        for key, value in settings.items():
            configuration.insert_json5(key, json.dumps(value))
        self._session = zenoh.open(configuration)
        self._name, self._folder = name, folder

    def latest(self, topic: str, kind: type[M]) -> Latest[M]:
        """A Latest channel on `topic` (may end in wildcards for reading)."""
        return ZenohLatest(self._session, topic, kind)

    def source(self, topic: str) -> Source:
        """The publisher's end of a Latest channel on a socket of this process."""
        return LatestSource(_socket(self._folder, self._name, topic))

    def follower(self, topic: str, sources: Iterable[str], kind: type[M]) -> Follower[M]:
        """The reader's end of the sockets that `sources` publish `topic` on."""
        return LatestFollower({name: _socket(self._folder, name, topic) for name in sources}, kind)

    def ordered(self, topic: str, kind: type[M], journal: Journal | None = None) -> Ordered[M]:
        """An Ordered channel; only its one publisher passes a journal."""
        return ZenohOrdered(self._session, topic, kind, journal)

    def close(self) -> None:
        """Leave the bus; what was published before is sent first."""
        self._session.close()


def _endpoint(folder: Path, name: str) -> str:
    return f"unixsock-stream/{folder / name}.bus"


def _socket(folder: Path, name: str, topic: str) -> Path:
    return folder / f"{name}.{topic}"


class ZenohLatest(Generic[M]):
    """A Latest channel over Zenoh."""

    def __init__(self, session: zenoh.Session, topic: str, kind: type[M]) -> None:
        self._session = session
        self._topic = topic
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._publishers: dict[str, zenoh.Publisher] = {}
        self._slots: dict[str, bytes] = {}
        self._subscriber: zenoh.Subscriber[None] | None = None

    def publish(self, message: M, key: str = "") -> None:
        """Overwrite the slot `topic/key` (the topic itself without a key)."""
        name = f"{self._topic}/{key}" if key else self._topic
        publisher = self._publishers.get(name)
        if publisher is None:
            # Not express: a message that waits then shares a batch with those behind it. As batches of their own
            # they fill the queue on a busy machine, and what is dropped is the newest.
            publisher = self._session.declare_publisher(name, congestion_control=zenoh.CongestionControl.DROP)
            self._publishers[name] = publisher
        publisher.put(_encode(message))

    def listen(self, changed: asyncio.Event | None = None, is_urgent: IsUrgent | None = None) -> None:
        """Begin to receive; `changed` (of the running loop, may be shared by channels) is set on urgent news."""
        loop = asyncio.get_running_loop()

        def received(sample: zenoh.Sample) -> None:
            key = str(sample.key_expr)
            is_first = not self._slots
            self._slots[key] = sample.payload.to_bytes()
            if changed is None or not (is_urgent is None or is_urgent(key)):
                return
            if is_first or not changed.is_set():
                _call_soon(loop, changed)

        self._subscriber = self._session.declare_subscriber(self._topic, received)

    def take(self) -> list[M]:
        """The newest message of every key that changed since the last call."""
        taken = []
        while self._slots:
            _, payload = self._slots.popitem()
            taken.append(self._decode(payload))
        return taken

    def close(self) -> None:
        """Stop receiving."""
        if self._subscriber is not None:
            self._subscriber.undeclare()
            self._subscriber = None


class ZenohOrdered(Generic[M]):
    """An Ordered channel over Zenoh."""

    def __init__(self, session: zenoh.Session, topic: str, kind: type[M], journal: Journal | None) -> None:
        self._session = session
        self._topic = topic
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._journal = journal
        self._queryable: zenoh.Queryable[None] | None = None
        if journal is not None:
            self._publisher = session.declare_publisher(
                topic, congestion_control=zenoh.CongestionControl.BLOCK, express=True
            )
            self._queryable = session.declare_queryable(f"replay/{topic}", self._replay)

    def publish(self, message: M) -> None:
        """Journal the message, then send it."""
        journal = self._own_journal()
        body = _encode(message)
        self._publisher.put(_SEQ.pack(journal.append(body)) + body)

    def announce(self) -> None:
        """Say the newest number, so that a lost tail is noticed; call about once a second."""
        journal = self._own_journal()
        self._publisher.put(_SEQ.pack(journal.last_seq))

    def published(self) -> list[M]:
        """Everything in the own journal: what a restarted publisher has said before."""
        journal = self._own_journal()
        return [self._decode(body) for _, body in journal.read(1, journal.last_seq)]

    async def messages(self) -> AsyncIterator[M]:
        """Yield every message of the topic in order; raises OrderedGap when one is lost for good."""
        loop = asyncio.get_running_loop()
        inbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

        def received(sample: zenoh.Sample) -> None:
            item = (str(sample.key_expr), sample.payload.to_bytes())
            try:
                loop.call_soon_threadsafe(inbox.put_nowait, item)
            except RuntimeError:
                return  # the loop is closed: this process is going

        subscriber = self._session.declare_subscriber(self._topic, received)
        sequencers: dict[str, Sequencer] = {}
        try:
            while True:
                key, payload = await inbox.get()
                sequencer = sequencers.setdefault(key, Sequencer())
                for body in _offer(sequencer, payload):
                    yield self._decode(body)
                if sequencer.missing() is not None:
                    async for body in self._fill_holes(key, sequencer):
                        yield self._decode(body)
        finally:
            subscriber.undeclare()

    async def _fill_holes(self, key: str, sequencer: Sequencer) -> AsyncIterator[bytes]:
        for _ in range(REPLAY_TRIES):
            while (hole := sequencer.missing()) is not None:
                first, last = hole[0], min(hole[1], hole[0] + REPLAY_CHUNK - 1)
                replayed = await asyncio.to_thread(self._ask_replay, key, first, last)
                for seq, body in replayed:
                    for ready in sequencer.offer(seq, body):
                        yield ready
                if not replayed:
                    break
            else:
                return
            await asyncio.sleep(REPLAY_PAUSE_S)
        raise OrderedGap(
            f"messages {sequencer.missing()} of {key} are lost: their publisher does not replay them"
        )

    def _ask_replay(self, key: str, first: int, last: int) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        for reply in self._session.get(f"replay/{key}?first={first};last={last}", timeout=1.0):
            if reply.ok is not None:
                found += msgspec.msgpack.decode(reply.ok.payload.to_bytes(), type=list[tuple[int, bytes]])
        return found

    def _replay(self, query: zenoh.Query) -> None:
        journal = self._own_journal()
        first, last = query.parameters.get("first"), query.parameters.get("last")
        with query:
            if first is None or last is None or not (first.isdigit() and last.isdigit()):
                query.reply_err("replay needs first and last")
                return
            found = list(journal.read(max(int(first), 1), int(last)))
            query.reply(f"replay/{self._topic}", _encode(found))

    def _own_journal(self) -> Journal:
        if self._journal is None:
            raise WireFault(f"{self._topic} is published by another process")
        return self._journal


def _offer(sequencer: Sequencer, payload: bytes) -> list[bytes]:
    seq, body = _SEQ.unpack_from(payload)[0], payload[_SEQ.size :]
    if body:
        return sequencer.offer(seq, body)
    sequencer.note_last(seq)
    return []


def _call_soon(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(changed.set)
    except RuntimeError:
        return  # the loop is closed: this process is going
