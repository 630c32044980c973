"""The bus: real members over Unix sockets in one process, and what happens when messages are lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from clawswarm.kernel.bus import Bus, Ordered, ZenohBus
from clawswarm.kernel.journal import Journal
from clawswarm.model.errors import OrderedGap, WireFault
from clawswarm.model.messages import DeadmanFired, Inventory

PEERS = ("writer", "reader")
AGAIN_S = 0.02


def event(number: int) -> DeadmanFired:
    return DeadmanFired(
        cause=f"cause {number}", victim="v", cancelled=number, elapsed_ms=0.5, fired_ns=number
    )


def held(market: str, yes_e6: int) -> Inventory:
    return Inventory(market=market, yes_e6=yes_e6, no_e6=0)


async def a_moment_or(news: asyncio.Event) -> None:
    """Wait for `news`, but not for long: links take a moment, then the caller asks again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(AGAIN_S):
            await news.wait()


@contextmanager
def member(name: str, folder: Path) -> Iterator[Bus]:
    """One membership of the bus."""
    bus = ZenohBus(name, PEERS, folder)
    try:
        yield bus
    finally:
        bus.close()


class Reading:
    """A reader of an ordered channel and what it has received."""

    def __init__(self, channel: Ordered[DeadmanFired]) -> None:
        self._channel = channel
        self.received: list[DeadmanFired] = []
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for message in self._channel.messages():
                self.received.append(message)
                self._news.set()
        finally:
            self._news.set()

    async def until(self, count: int, nudge: Callable[[], None]) -> list[int]:
        """Numbers received, once there are `count`; `nudge` is repeated until then."""
        async with asyncio.timeout(60):
            while len(self.received) < count and not self.task.done():
                nudge()
                self._news.clear()
                await a_moment_or(self._news)
        if self.task.done():
            self.task.result()
        return [message.cancelled for message in self.received]


@asynccontextmanager
async def reading(bus: Bus) -> AsyncIterator[Reading]:
    """Read the topic `events` until the block ends."""
    reader = Reading(bus.ordered("events", DeadmanFired))
    try:
        yield reader
    finally:
        reader.task.cancel()
        await asyncio.gather(reader.task, return_exceptions=True)


def test_latest_overwrites_and_delivers_the_newest_of_every_key(socket_dir: Path) -> None:
    async def run(writer: Bus, reader: Bus) -> None:
        changed = asyncio.Event()
        slots = reader.latest("inventory/*", Inventory)
        slots.listen(changed)
        out = writer.latest("inventory", Inventory)
        async with asyncio.timeout(60):
            while not slots.take():
                out.publish(held("a", 0), "a")
                await a_moment_or(changed)
            for number in range(1, 501):
                out.publish(held("a", number), "a")
                out.publish(held("b", -number), "b")
            # On a machine without a turn to spare the last word may be dropped: publishers say theirs again.
            newest = {"a": 0, "b": 0}
            while newest != {"a": 500, "b": -500}:
                await a_moment_or(changed)
                changed.clear()
                taken = slots.take()
                assert len(taken) == len({slot.market for slot in taken})
                for slot in taken:
                    assert abs(slot.yes_e6) >= abs(newest[slot.market]), (
                        "an older word never follows a newer one"
                    )
                    newest[slot.market] = slot.yes_e6
                out.publish(held("a", 500), "a")
                out.publish(held("b", -500), "b")

    with member("writer", socket_dir) as writer, member("reader", socket_dir) as reader:
        asyncio.run(run(writer, reader))


def test_latest_wakes_its_reader_for_every_news_after_it_was_taken(socket_dir: Path) -> None:
    async def run(writer: Bus, reader: Bus) -> None:
        changed = asyncio.Event()
        slots = reader.latest("inventory/*", Inventory)
        slots.listen(changed)
        out = writer.latest("inventory", Inventory)
        async with asyncio.timeout(60):
            while not slots.take():
                out.publish(held("a", 0), "a")
                await a_moment_or(changed)
            for number in range(1, 20):
                out.publish(held("a", number), "a")
                newest = 0
                while newest != number:
                    await changed.wait()
                    changed.clear()
                    newest = max((slot.yes_e6 for slot in slots.take()), default=newest)

    with member("writer", socket_dir) as writer, member("reader", socket_dir) as reader:
        asyncio.run(run(writer, reader))


def test_latest_wakes_its_reader_for_urgent_keys_alone_and_keeps_the_others(socket_dir: Path) -> None:
    async def run(writer: Bus, reader: Bus) -> None:
        changed, fenced = asyncio.Event(), asyncio.Event()
        slots, fence = reader.latest("inventory/*", Inventory), reader.latest("fence", Inventory)
        slots.listen(changed, lambda key: key == "inventory/urgent")
        fence.listen(fenced)
        out = writer.latest("inventory", Inventory)
        async with asyncio.timeout(60):
            while not fenced.is_set():
                out.publish(held("calm", 1), "calm")
                writer.latest("fence", Inventory).publish(held("fence", 0))
                await a_moment_or(fenced)
            assert not changed.is_set()
            out.publish(held("urgent", 2), "urgent")
            await changed.wait()
            assert {slot.market for slot in slots.take()} == {"calm", "urgent"}

    with member("writer", socket_dir) as writer, member("reader", socket_dir) as reader:
        asyncio.run(run(writer, reader))


def test_latest_without_an_event_keeps_what_comes_until_it_is_taken(socket_dir: Path) -> None:
    async def run(writer: Bus, reader: Bus) -> None:
        slots, out = reader.latest("inventory/*", Inventory), writer.latest("inventory", Inventory)
        slots.listen()
        found: list[Inventory] = []
        async with asyncio.timeout(60):
            while not found:
                out.publish(held("a", 1), "a")
                await a_moment_or(asyncio.Event())
                found = slots.take()
        assert found == [held("a", 1)]

    with member("writer", socket_dir) as writer, member("reader", socket_dir) as reader:
        asyncio.run(run(writer, reader))


def test_latest_is_deaf_once_closed(socket_dir: Path) -> None:
    async def run(writer: Bus, reader: Bus) -> None:
        changed, fenced = asyncio.Event(), asyncio.Event()
        slots, fence = reader.latest("inventory/*", Inventory), reader.latest("fence", Inventory)
        slots.listen(changed)
        fence.listen(fenced)
        slots.close()
        async with asyncio.timeout(60):
            while not fenced.is_set():
                writer.latest("inventory", Inventory).publish(held("a", 1), "a")
                writer.latest("fence", Inventory).publish(held("fence", 0))
                await a_moment_or(fenced)
        assert slots.take() == []

    with member("writer", socket_dir) as writer, member("reader", socket_dir) as reader:
        asyncio.run(run(writer, reader))


def test_a_late_joiner_gets_everything_from_the_first(socket_dir: Path, tmp_path: Path) -> None:
    async def run(writer: Bus) -> None:
        channel = writer.ordered("events", DeadmanFired, Journal(tmp_path / "events.journal"))
        for number in range(1, 6):
            channel.publish(event(number))
        with member("reader", socket_dir) as bus:
            async with reading(bus) as reader:
                assert await reader.until(5, channel.announce) == [1, 2, 3, 4, 5]
                channel.publish(event(6))
                assert await reader.until(6, channel.announce) == [1, 2, 3, 4, 5, 6]
                assert reader.received == [event(number) for number in range(1, 7)]

    with member("writer", socket_dir) as writer:
        asyncio.run(run(writer))


def test_a_replay_longer_than_one_answer_is_complete(socket_dir: Path, tmp_path: Path) -> None:
    async def run(writer: Bus, bus: Bus) -> None:
        channel = writer.ordered("events", DeadmanFired, Journal(tmp_path / "events.journal"))
        for number in range(1, 2_301):
            channel.publish(event(number))
        async with reading(bus) as reader:
            assert await reader.until(2_300, channel.announce) == list(range(1, 2_301))

    with member("writer", socket_dir) as writer, member("reader", socket_dir) as bus:
        asyncio.run(run(writer, bus))


def test_a_message_that_never_reached_the_wire_is_found_by_the_announcement(
    socket_dir: Path, tmp_path: Path
) -> None:
    async def run(writer: Bus, bus: Bus) -> None:
        journal = Journal(tmp_path / "events.journal")
        channel = writer.ordered("events", DeadmanFired, journal)
        channel.publish(event(1))
        async with reading(bus) as reader:
            await reader.until(1, channel.announce)
            # A publisher that dies between its journal and its socket leaves exactly this.
            journal.append(msgspec.msgpack.encode(event(2)))
            journal.append(msgspec.msgpack.encode(event(3)))
            assert await reader.until(3, channel.announce) == [1, 2, 3]
            journal.append(msgspec.msgpack.encode(event(4)))
            channel.publish(event(5))
            assert await reader.until(5, lambda: None) == [1, 2, 3, 4, 5]

    with member("writer", socket_dir) as writer, member("reader", socket_dir) as bus:
        asyncio.run(run(writer, bus))


def test_a_restarted_publisher_continues_with_its_journal(socket_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "events.journal"

    async def run(bus: Bus) -> None:
        async with reading(bus) as reader:
            with member("writer", socket_dir) as first_life:
                journal = Journal(path)
                channel = first_life.ordered("events", DeadmanFired, journal)
                for number in (1, 2, 3):
                    channel.publish(event(number))
                await reader.until(3, channel.announce)
                journal.close()
            with member("writer", socket_dir) as second_life:
                channel = second_life.ordered("events", DeadmanFired, Journal(path))
                assert channel.published() == [event(1), event(2), event(3)]
                channel.publish(event(4))
                assert await reader.until(4, channel.announce) == [1, 2, 3, 4]

    with member("reader", socket_dir) as bus:
        asyncio.run(run(bus))


def test_a_journal_truncated_between_two_lives_is_a_gap(socket_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "events.journal"

    async def run(bus: Bus) -> None:
        async with reading(bus) as reader:
            with member("writer", socket_dir) as first_life:
                journal = Journal(path)
                channel = first_life.ordered("events", DeadmanFired, journal)
                for number in (1, 2, 3):
                    channel.publish(event(number))
                await reader.until(3, channel.announce)
                journal.close()
            with path.open("r+b") as file:
                file.truncate(path.stat().st_size - 1)
            with member("writer", socket_dir) as second_life:
                channel = second_life.ordered("events", DeadmanFired, Journal(path))
                with pytest.raises(OrderedGap, match="has 2 messages and had 3"):
                    await reader.until(4, channel.announce)

    with member("reader", socket_dir) as bus:
        asyncio.run(run(bus))


def test_messages_that_nobody_can_replay_are_a_gap(socket_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "events.journal"

    async def run(writer: Bus, bus: Bus) -> None:
        channel = writer.ordered("events", DeadmanFired, Journal(path))
        for number in (1, 2, 3):
            channel.publish(event(number))
        # The disk loses the last record under the running publisher, which goes on counting it.
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 1)
        async with reading(bus) as reader:
            with pytest.raises(OrderedGap, match=r"messages \(3, 3\) of events are lost"):
                await reader.until(3, channel.announce)
            assert [message.cancelled for message in reader.received] == [1, 2]

    with member("writer", socket_dir) as writer, member("reader", socket_dir) as bus:
        asyncio.run(run(writer, bus))


def test_only_the_holder_of_the_journal_publishes(socket_dir: Path) -> None:
    with member("writer", socket_dir) as bus:
        channel = bus.ordered("events", DeadmanFired)
        for forbidden in (lambda: channel.publish(event(1)), channel.announce, channel.published):
            with pytest.raises(WireFault, match="another process"):
                forbidden()
