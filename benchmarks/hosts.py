"""More hosts on a bench: an engine and its guard each, with an account of their own, on the bench's venue and bus.

Their quoter is played here. All of a host's processes are killed in one go, guard first: it must not see its
engine go. What is left of a host then is what its venue holds.
"""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import msgspec

from benchmarks.measure import NotMeasured
from benchmarks.quoter_child import SIZE_E6, Where
from benchmarks.rig import START_S, Part, Rig
from clawswarm.kernel.clock import ns
from clawswarm.kernel.engine_port import EngineClient
from clawswarm.model.instruments import Side
from clawswarm.model.messages import OrderState, OrderUpdate, Place, Plan, PlanDone
from clawswarm.runtime.roster import BUS_PEERS, ENGINE, GUARD, RunPlace
from clawswarm.runtime.wiring import Wiring

TOUCH_S = 0.05
_PRICE_E4 = 1_000
# Twenty engines that ask every 50 ms are more than one simulated venue answers: they would leave their routes.
_SELDOM = {"probe_s": 0.5, "silence_s": 1.0, "pause_s": 5.0}


class Host:
    """One of them; `quoter` must hold the mandate of the market that it quotes."""

    def __init__(self, rig: Rig, number: int, quoter: str) -> None:
        self._clock = rig.clock
        name = f"host-{number}"
        sockets, run_dir = rig.socket_dir / name, rig.run_dir / name / "runs/1"
        sockets.mkdir()
        run_dir.mkdir(parents=True)
        place = RunPlace("", str(run_dir), str(sockets))
        wiring = Wiring(place, rig.configuration)
        commands = {part: wiring.command(part, run_dir) for part in (GUARD, ENGINE)}
        trust = {"ca_file": rig.ca_file}
        # The same bus and authority as everybody else on the bench.
        on_bus = {"name": name, "socket_dir": str(rig.socket_dir), "earlier_peers": BUS_PEERS}
        for command, changed in ((commands[GUARD], {}), (commands[ENGINE], on_bus | _SELDOM)):
            path = Path(command[1])
            path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | changed | trust))
        self._parts = [Part(part, command, sockets, run_dir) for part, command in commands.items()]
        self._client = EngineClient(sockets / "engine.port", quoter, asyncio.Event())
        self._touching: asyncio.Task[None] | None = None

    async def start(self, lifeline: int) -> None:
        """Start both and connect."""
        for part in self._parts:
            await part.spawn(lifeline)
        async with asyncio.timeout(START_S):
            for part in self._parts:
                await part.ready.wait()
        if not await self._client.try_connect():
            raise NotMeasured("the engine of a host takes no quoter")
        self._touching = asyncio.create_task(self._touch())

    async def quote(self, where: Where) -> str:
        """Id of one order, once it rests at the venue."""
        end_ns, reference, refused = self._clock.now_ns() + ns(START_S), 0, "no answer"
        while self._clock.now_ns() < end_ns:
            reference += 1
            place = Place(ref=reference, side=Side.BUY, price_e4=_PRICE_E4, size_e6=SIZE_E6)
            self._client.send(
                Plan(
                    market=where.market,
                    term=where.term,
                    epoch=where.epoch,
                    cancels=(),
                    places=(place,),
                    value=1.0,
                    book_sequence=1,
                    book_received_ns=None,
                    decided_ns=self._clock.now_ns(),
                )
            )
            await asyncio.sleep(0.1)
            for reply in self._client.take():
                if isinstance(reply, OrderUpdate) and reply.state is OrderState.LIVE:
                    return reply.order_id
                refused = (reply.refused if isinstance(reply, PlanDone) else None) or refused
        raise NotMeasured(f"a host had no order accepted within {START_S:g} s: {refused}")

    def kill(self) -> None:
        """Every process of it, at once."""
        for part in self._parts:
            if part.pid is not None:
                os.kill(part.pid, signal.SIGKILL)
        if self._touching is not None:
            self._touching.cancel()

    async def close(self) -> None:
        """Nothing is left of it."""
        self.kill()
        for part in self._parts:
            await part.wait()
            part.close()
        if self._touching is not None:
            with suppress(asyncio.CancelledError):
                await self._touching

    async def _touch(self) -> None:
        while True:
            self._client.touch(1)
            await asyncio.sleep(TOUCH_S)
