"""Latest over the publisher's own socket: real sockets in one process, and followers that do not read."""

import asyncio
import struct
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from clawswarm.kernel.direct import LatestFollower, LatestSource
from clawswarm.model.messages import Inventory

LIMIT_S = 60.0


def held(market: str, yes_e6: int) -> Inventory:
    return Inventory(market=market, yes_e6=yes_e6, no_e6=0)


class Ends:
    """A follower of the sources `a` and `b`, and what it has taken."""

    def __init__(self, folder: Path) -> None:
        self.paths = {name: folder / f"{name}.held" for name in ("a", "b")}
        self.follower = LatestFollower(self.paths, Inventory)
        self.news = asyncio.Event()
        self.taken: list[Inventory] = []
        self.lost: list[str] = []
        self.follower.listen(self.news)

    def source(self, name: str) -> LatestSource:
        source = LatestSource(self.paths[name])
        source.open()
        return source

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while True:
                self.taken += self.follower.take()
                self.lost += self.follower.lost()
                if condition():
                    return
                await self.news.wait()
                self.news.clear()

    def newest(self) -> dict[str, int]:
        return {message.market: message.yes_e6 for message in self.taken}


def test_what_was_said_before_reaches_whoever_comes_later_and_only_what_it_wants(tmp_path: Path) -> None:
    async def run() -> None:
        ends = Ends(tmp_path)
        ends.follower.follow(["x", "y"])
        source = ends.source("a")
        for market, size in (("x", 1), ("z", 1), ("x", 2)):
            source.publish(held(market, size), market)
        await ends.until(lambda: ends.newest() == {"x": 2})
        source.publish(held("y", 3), "y")
        await ends.until(lambda: ends.newest() == {"x": 2, "y": 3})
        ends.follower.follow(["z"])
        await ends.until(lambda: ends.newest() == {"x": 2, "y": 3, "z": 1})
        source.publish(held("x", 9), "x")
        source.publish(held("z", 4), "z")
        await ends.until(lambda: ends.newest() == {"x": 2, "y": 3, "z": 4})
        ends.follower.close()
        source.close()

    asyncio.run(run())


def test_what_is_not_urgent_wakes_nobody_and_waits_for_what_is(tmp_path: Path) -> None:
    async def run() -> None:
        path, news, heard = tmp_path / "a.held", asyncio.Event(), asyncio.Event()
        asked: list[tuple[str, str]] = []

        def is_urgent(name: str, key: str) -> bool:
            asked.append((name, key))
            heard.set()
            return key == "x"

        source = LatestSource(path)
        source.open()
        follower = LatestFollower({"a": path}, Inventory)
        follower.listen(news, is_urgent)
        follower.follow(None)
        async with asyncio.timeout(LIMIT_S):
            source.publish(held("y", 1), "y")
            await heard.wait()
            assert not news.is_set()
            source.publish(held("x", 2), "x")
            await news.wait()
            assert asked == [("a", "y"), ("a", "x")]
            assert {message.market for message in follower.take()} == {"x", "y"}
            news.clear()
            source.close()
            await news.wait()
            assert follower.lost() == ["a"]
        follower.close()

    asyncio.run(run())


def test_who_does_not_read_finds_little_of_the_past_and_the_newest_of_each_key(tmp_path: Path) -> None:
    """A follower by hand: what it finds on the wire is what the kernel held, then the newest."""

    async def run() -> None:
        path, said = tmp_path / "a.held", 20_000
        source = LatestSource(path)
        source.open()
        reader, writer = await asyncio.open_unix_connection(path, limit=1 << 22)
        wanted = msgspec.msgpack.encode(["first", "x", "y"])
        writer.write(len(wanted).to_bytes(4, "little") + wanted)
        source.publish(held("first", 0), "first")
        async with asyncio.timeout(LIMIT_S):
            assert (await read_one(reader)).market == "first"
            # Nothing awaits here: the kernel's buffer fills, then keys wait.
            for size in range(1, said + 1):
                source.publish(held("x", size), "x")
                source.publish(held("y", size), "y")
            newest: dict[str, int] = {}
            count = 0
            while list(newest.values()) != [said, said]:
                message = await read_one(reader)
                newest[message.market] = message.yes_e6
                count += 1
        assert 2 <= count < said // 4
        writer.close()
        source.close()

    asyncio.run(run())


async def read_one(reader: asyncio.StreamReader) -> Inventory:
    key_length, length = struct.unpack("<HI", await reader.readexactly(6))
    body = await reader.readexactly(key_length + length)
    return msgspec.msgpack.decode(body[key_length:], type=Inventory)


def test_the_end_of_a_source_is_known_and_its_successor_is_found(tmp_path: Path) -> None:
    async def run() -> None:
        ends = Ends(tmp_path)
        ends.follower.follow(None)
        first, other = ends.source("a"), ends.source("b")
        first.publish(held("x", 1), "x")
        other.publish(held("y", 1), "y")
        await ends.until(lambda: ends.newest() == {"x": 1, "y": 1})
        first.close()
        await ends.until(lambda: ends.lost == ["a"])
        successor = ends.source("a")
        successor.publish(held("x", 2), "x")
        await ends.until(lambda: ends.newest() == {"x": 2, "y": 1})
        assert ends.lost == ["a"]
        ends.follower.close()
        successor.close()
        other.close()

    asyncio.run(run())


def test_keys_that_are_not_kept_are_not_sent_to_whoever_comes_later(tmp_path: Path) -> None:
    async def run() -> None:
        ends = Ends(tmp_path)
        source = ends.source("a")
        for market in ("x", "y"):
            source.publish(held(market, 1), market)
        source.keep(["y", "never said"])
        ends.follower.follow(None)
        await ends.until(lambda: bool(ends.taken))
        assert ends.newest() == {"y": 1}
        ends.follower.close()
        source.close()

    asyncio.run(run())


@given(
    messages=st.lists(st.tuples(st.text("xyzé", min_size=1, max_size=3), st.integers(1, 2**60)), min_size=1),
    pauses=st.lists(st.booleans()),
)
def test_whatever_is_said_the_newest_of_every_key_arrives(
    messages: list[tuple[str, int]], pauses: list[bool]
) -> None:
    async def run(folder: Path) -> None:
        ends = Ends(folder)
        ends.follower.follow(None)
        source = ends.source("b")
        for (market, size), pause in zip_longest(messages, pauses[: len(messages)], fillvalue=False):
            source.publish(held(market, size), market)
            if pause:
                await asyncio.sleep(0)
        await ends.until(lambda: ends.newest() == dict(messages))
        ends.follower.close()
        source.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
