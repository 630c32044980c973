"""Virtual time, connections in memory, the bus of a simulation: order, delay, loss, cuts, and that runs repeat."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from itertools import pairwise

import pytest

from clawswarm._core import Lane
from clawswarm.kernel.engine_port import read_frame, send_frame
from clawswarm.lab.simulation.bus import Medium, VirtualBus
from clawswarm.lab.simulation.loop import VirtualLoop
from clawswarm.lab.simulation.network import NOBODY, LineTerms, Network, Partitions
from clawswarm.model.messages import DeadmanFired, HaltSwarm, Touch

BAD = LineTerms(latency_s=0.01, jitter_s=0.05, loss_share=0.2)
LOSSY = LineTerms(latency_s=0.001, jitter_s=0.01, loss_share=0.3)
World = Callable[[VirtualLoop, Partitions], Awaitable[list[tuple[float, object]]]]


def play(world: World) -> list[tuple[float, object]]:
    async def main() -> list[tuple[float, object]]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return await world(loop, Partitions())

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def test_a_year_of_sleep_takes_no_time_and_timers_keep_their_order() -> None:
    async def world(loop: VirtualLoop, _: Partitions) -> list[tuple[float, object]]:
        seen: list[tuple[float, object]] = []
        for number in range(5):
            loop.call_at(10.0, lambda number=number: seen.append((loop.time(), number)))
        await asyncio.sleep(365 * 86_400)
        return [*seen, (loop.time(), "woke")]

    assert play(world) == [*((10.0, number) for number in range(5)), (365 * 86_400.0, "woke")]


def test_a_world_in_which_nothing_can_happen_any_more_is_an_error() -> None:
    async def world(loop: VirtualLoop, _: Partitions) -> list[tuple[float, object]]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(RuntimeError, match="nothing can ever happen"):
        play(world)


def test_what_was_cancelled_is_left_out_and_what_fails_is_reported() -> None:
    async def world(loop: VirtualLoop, _: Partitions) -> list[tuple[float, object]]:
        seen: list[tuple[float, object]] = []
        loop.set_exception_handler(lambda _, told: seen.append((loop.time(), repr(told["exception"]))))
        loop.call_later(2.0, seen.append, (2.0, "kept"))
        timer = loop.call_at(9.0, seen.append, (9.0, "cancelled"))
        ready = loop.call_soon(seen.append, (0.0, "cancelled"))
        assert (timer.when(), timer.cancelled(), ready.cancelled()) == (9.0, False, False)
        timer.cancel()
        ready.cancel()
        assert timer.cancelled()
        assert ready.cancelled()
        loop.call_at(1.0, lambda: 1 // 0)
        await asyncio.sleep(3.0)
        return [*seen, (loop.time(), "woke")]

    failed = (1.0, "ZeroDivisionError('integer division or modulo by zero')")
    assert play(world) == [failed, (2.0, "kept"), (3.0, "woke")]


def test_a_loop_that_nobody_holds_is_garbage_whatever_it_was_about_to_do() -> None:
    class Held:
        """Something that a callback holds, and that holds the loop."""

    def leave() -> weakref.ref[Held]:
        loop, held = VirtualLoop(), Held()
        held.__dict__["loop"] = loop
        loop.call_soon(lambda: held)
        loop.call_later(1.0, lambda: held)
        Lane(loop, lambda item: (held, item), copy_context()).put(held, 1.0)
        loop.close()
        return weakref.ref(held)

    left = leave()
    gc.collect()
    assert left() is None


async def streamed(loop: VirtualLoop, partitions: Partitions) -> list[tuple[float, object]]:
    """A hundred touches over a bad line that is held back for two seconds in between and cut at the end."""
    network = Network(loop, 7, partitions)
    heard: list[tuple[float, object]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (frame := await read_frame(reader)) is not None:
            heard.append((loop.time(), frame))
        heard.append((loop.time(), None))
        writer.close()

    serving: list[asyncio.Task[None]] = []

    def accept() -> asyncio.StreamReaderProtocol:
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serving.append(asyncio.create_task(serve(reader, writer)))

        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), connected)

    network.listen("port", BAD, accept)
    _, writer = await asyncio.open_unix_connection("port")
    for number in range(100):
        if number == 50:
            partitions.cut_off(NOBODY, loop.time() + 2)
        send_frame(writer, Touch(book_sequence=number))
        await asyncio.sleep(0.02)
    await asyncio.sleep(5)
    assert network.cut(NOBODY, NOBODY) > 0
    await asyncio.sleep(1)
    return heard


def test_a_stream_is_late_but_whole_and_in_order_and_repeats() -> None:
    first, second = play(streamed), play(streamed)
    assert first == second
    *frames, last = first
    assert len(frames) == 100
    assert last[1] is None, "the cut was noticed"
    times = [at_s for at_s, _ in first]
    assert times == sorted(times)
    gaps = [later - earlier for earlier, later in pairwise(times[:-1])]
    assert max(gaps) > 1.5, "the partition held everything back"


def test_nobody_listening_refuses_a_connection() -> None:
    async def world(loop: VirtualLoop, partitions: Partitions) -> list[tuple[float, object]]:
        Network(loop, 1, partitions)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_unix_connection("nowhere")
        return []

    assert play(world) == []


def test_an_ordered_channel_replays_what_the_bus_has_lost() -> None:
    async def world(loop: VirtualLoop, partitions: Partitions) -> list[tuple[float, object]]:
        medium = Medium(loop, 3, LOSSY, partitions)
        publisher = VirtualBus(medium, "engine").ordered("deadman", DeadmanFired)
        reader = VirtualBus(medium, "reader").ordered("deadman", DeadmanFired)
        heard: list[tuple[float, object]] = []

        async def read() -> None:
            async for message in reader.messages():
                heard.append((loop.time(), message.cancelled))

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        for number in range(200):
            publisher.publish(
                DeadmanFired(cause="test", victim="q", cancelled=number, elapsed_ms=0.0, fired_ns=number)
            )
            await asyncio.sleep(0.01)
        for _ in range(20):
            publisher.announce()
            await asyncio.sleep(0.5)
        reading.cancel()
        return heard

    found = play(world)
    assert [number for _, number in found] == list(range(200))
    assert found == play(world)


def test_what_wakes_nobody_is_found_once_it_has_arrived() -> None:
    slow = LineTerms(latency_s=1.0, jitter_s=0.0)

    async def world(loop: VirtualLoop, partitions: Partitions) -> list[tuple[float, object]]:
        medium = Medium(loop, 3, slow, partitions)
        halts = VirtualBus(medium, "reader").latest("halt", HaltSwarm)
        halts.listen()
        operator = VirtualBus(medium, "operator").latest("halt", HaltSwarm)
        heard: list[tuple[float, object]] = []
        for number in range(4):
            operator.publish(HaltSwarm(cause=str(number), origin="test", sent_ns=number))
            await asyncio.sleep(0.6)
            heard.append((loop.time(), [halt.cause for halt in halts.take()]))
        halts.close()
        await asyncio.sleep(2.0)
        return [*heard, (loop.time(), halts.take())]

    assert [found for _, found in play(world)] == [[], ["0"], ["1"], ["2"], []]
