"""The timeout of a work loop that is put off at each turn: when it sets its event, and with how many timers."""

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import given
from hypothesis import strategies as st

from clawswarm.kernel.alarm import Alarm
from clawswarm.lab.simulation.loop import VirtualLoop

World = Callable[[Alarm, asyncio.Event], Awaitable[list[float]]]


def play(world: World) -> list[float]:
    async def main() -> list[float]:
        event = asyncio.Event()
        return await world(Alarm(event), event)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def now_s() -> float:
    return asyncio.get_running_loop().time()


@given(st.lists(st.tuples(st.sampled_from(["set", "hasten"]), st.integers(1, 50)), min_size=1, max_size=20))
def test_it_rings_when_it_was_last_told_to(steps: list[tuple[str, int]]) -> None:
    async def world(alarm: Alarm, event: asyncio.Event) -> list[float]:
        due_ms = None
        for at_ms, (how, delay_ms) in enumerate(steps):
            asked_ms = at_ms + delay_ms
            due_ms = asked_ms if how == "set" or due_ms is None else min(due_ms, asked_ms)
            (alarm.set if how == "set" else alarm.hasten)(delay_ms / 1_000)
            await asyncio.sleep(1e-3)
            if due_ms <= at_ms + 1:
                break
        assert due_ms is not None
        await event.wait()
        return [round(now_s(), 9), due_ms / 1_000]

    rung_s, due_s = play(world)
    assert rung_s == due_s


def test_one_that_is_cleared_leaves_the_event_alone() -> None:
    async def world(alarm: Alarm, event: asyncio.Event) -> list[float]:
        alarm.set(1)
        alarm.clear()
        await asyncio.sleep(10)
        was_set = event.is_set()
        alarm.set(1)
        await event.wait()
        return [was_set, now_s()]

    assert play(world) == [False, 11.0]


def test_a_loop_of_many_turns_needs_few_timers() -> None:
    async def world(alarm: Alarm, _event: asyncio.Event) -> list[float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        made: list[float] = []
        call_at = loop.call_at

        def counted(when: float, *args: object, **keywords: object) -> asyncio.TimerHandle:
            made.append(when)
            return call_at(when, *args, **keywords)  # type: ignore[arg-type]

        loop.call_at = counted  # type: ignore[method-assign]
        for _ in range(1_000):
            alarm.set(0.2)
        return made

    assert len(play(world)) == 1
