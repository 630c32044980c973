"""The engine's process on virtual time: its state machine between the quoters' port, the bus and the venue.

What `rust/engine/src/shell.rs` does with sockets: quoters' frames, bus messages, answers and the user channel in
as events, actions out in their order, a Tick at least every 100 ms.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import aiohttp
import msgspec

from clawswarm.kernel.alarm import Alarm
from clawswarm.kernel.bus import Bus
from clawswarm.kernel.engine_port import Frames, send_frame
from clawswarm.kernel.process import Process
from clawswarm.lab import engine_machine as machine
from clawswarm.lab.engine_machine import Action, EngineStart, Event, OwnPart, OwnTrade
from clawswarm.lab.simulation import guard
from clawswarm.lab.simulation.network import LOCAL, Network
from clawswarm.lab.simulation.order_line import OrderLine
from clawswarm.model.errors import InvariantBroken, Retry, UserFault, WireFault
from clawswarm.model.instruments import Side
from clawswarm.model.messages import (
    Allocation,
    Beat,
    BookState,
    DeadmanFired,
    EngineRequest,
    Evidence,
    FeedHealth,
    Fill,
    HaltSwarm,
    Hello,
    Inventory,
    Plan,
    ResumeSwarm,
    Touch,
)
from clawswarm.model.units import parse_e6, parse_price_e4
from clawswarm.runtime.roster import ENGINE, SENTINELS
from clawswarm.venues.polymarket.settings import SocketSettings
from clawswarm.venues.polymarket.socket import VenueSocket

TICK_NS, BEAT_NS, NS_PER_S = 100_000_000, 500_000_000, 1_000_000_000
GUARD_RETRY_S = 0.1
USER_URL = "ws://venue/ws/user"


class Machine(Protocol):
    """What `EngineMachine` offers; a test may put something faulty in its place."""

    first_actions: list[Action]

    @property
    def next_wake_ns(self) -> int | None:
        """When the next Tick must come at the latest."""

    def handle(self, event: Event, now_ns: int) -> list[Action]:
        """Take in one event."""

    def beat(self, name: str, pid: int, now_ns: int) -> Beat:
        """Pulse and counters."""

    def unknown(self, order_ids: list[str]) -> list[str]:
        """Which of these orders it does not know as open, or possibly open."""

    def held(self, market: str) -> Inventory:
        """What is held in a market."""


MakeMachine = Callable[[bytes, EngineStart, int], Machine]


class Observer(Protocol):
    """Hears of everything that goes in and out."""

    def heard(self, event: Event) -> None:
        """An event, before it is handled."""

    def did(self, actions: list[Action]) -> None:
        """Actions, before they are carried out."""

    def settled(self) -> None:
        """An event's actions are carried out."""


class EngineAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Whose orders they are; the key is a throw-away and never prints."""

    private_key: bytes
    api_key: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return f"EngineAccount(api_key={self.api_key!r})"


class EngineProcess:
    """One life of the engine. `start` is what it knows when it has logged in."""

    def __init__(
        self,
        process: Process,
        bus: Bus,
        network: Network,
        line: OrderLine,
        account: EngineAccount,
        feed: SocketSettings,
        port: Path,
        open_session: Callable[[], aiohttp.ClientSession],
        make_machine: MakeMachine,
        observer: Observer,
    ) -> None:
        self._process, self._clock, self._network = process, process.clock, network
        self._line, self._account, self._feed_settings, self._port = line, account, feed, port
        self._open_session, self._make_machine, self._observer = open_session, make_machine, observer
        self._news = asyncio.Event()
        self._alarm = Alarm(self._news)
        self._fills = bus.ordered("fills", Fill)
        self._deadman = bus.ordered("deadman", DeadmanFired)
        self._inventories = bus.latest("inventory", Inventory)
        self._beats = bus.latest("beat", Beat)
        self._allocations = bus.latest("allocation", Allocation)
        self._halts = bus.latest("halt", HaltSwarm)
        self._resumes = bus.latest("resume", ResumeSwarm)
        self._books = bus.follower("book", SENTINELS, BookState)
        self._pulses = bus.latest("feed/*", FeedHealth)
        self._writers: dict[int, asyncio.WriteTransport] = {}
        self._connections = 0
        self._exit: int | None = None
        self._explained = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._planned_ns = 0
        self._guard: asyncio.WriteTransport | None = None
        self.machine: Machine | None = None

    async def run(self, start: EngineStart) -> None:
        """Serve until asked to stop. Raises InvariantBroken or UserFault when the machine gives up."""
        for channel in (self._allocations, self._halts, self._resumes):
            channel.listen(self._news)
        self._books.listen()
        self._books.follow(None)
        self._pulses.listen()
        start = msgspec.structs.replace(start, fills=tuple(self._fills.published()))
        self.machine = self._make_machine(self._account.private_key, start, self._clock.now_ns())
        self._line.answered = lambda number, answer: self.handle(machine.Answered(number, answer))
        self._line.fault = lambda generation, cause: self.handle(machine.RouteFault(generation, cause))
        self._carry_out(self.machine.first_actions)
        self._tasks.append(asyncio.create_task(self._follow_guard()))
        self._process.ready()
        next_tick_ns = next_beat_ns = 0
        is_asked = False
        while self._exit is None:
            wake_ns = self.machine.next_wake_ns
            self._planned_ns = next_tick_ns if wake_ns is None else min(next_tick_ns, wake_ns)
            await self._sleep_until(self._planned_ns)
            self._take_news()
            now_ns = self._clock.now_ns()
            if self._process.is_stopping and not is_asked:
                is_asked = True
                self.handle(machine.StopAsked())
            if now_ns >= self._planned_ns:
                if self._is_fed():
                    self.handle(machine.SentinelHeard())
                self.handle(machine.Tick())
            if now_ns >= next_tick_ns:
                next_tick_ns = now_ns + TICK_NS
                if self._guard is not None:
                    self._guard.write(guard.TICK)
            if now_ns >= next_beat_ns:
                next_beat_ns = now_ns + BEAT_NS
                self._beats.publish(self.beat(), self._process.name)
                self._fills.announce()
                self._deadman.announce()
            for task in self._tasks:
                if task.done():
                    task.result()
        if self._exit == 0 and self._guard is not None:
            self._guard.write(guard.LEAVING)
        for task in self._tasks:
            task.cancel()
        self._network.unlisten(str(self._port))
        if self._exit == 78:
            raise UserFault(self._explained)
        if self._exit:
            raise InvariantBroken(f"the engine ended with code {self._exit}: {self._explained}")

    def beat(self) -> Beat:
        """Its pulse, with the counters of this life."""
        if self.machine is None:
            raise InvariantBroken("the engine has not started")
        return self.machine.beat(self._process.name, self._process.pid, self._clock.now_ns())

    def handle(self, event: Event) -> None:
        """One event into the machine, its actions out."""
        if self.machine is None or self._exit is not None:
            return
        if type(event) is machine.TradeSeen or (
            type(event) is machine.Answered and type(event.answer) is machine.Trades
        ):
            # A fill is compared with the newest books.
            for book in self._books.take():
                self._carry_out(self.machine.handle(machine.BookSeen(book), self._clock.now_ns()))
        self._observer.heard(event)
        if actions := self.machine.handle(event, self._clock.now_ns()):
            self._carry_out(actions)
        wake_ns = self.machine.next_wake_ns
        if wake_ns is not None and wake_ns < self._planned_ns:
            self._news.set()
        self._observer.settled()

    def stop(self) -> None:
        """Ask it to end: it withdraws everything first."""
        self._process.is_stopping = True
        self._news.set()

    # --- inside -----------------------------------------------------------------------------------

    async def _sleep_until(self, due_ns: int) -> None:
        left_s = (due_ns - self._clock.now_ns()) / NS_PER_S
        if left_s > 0 and not self._news.is_set():
            self._alarm.set(left_s)
            await self._news.wait()
            self._alarm.clear()
        self._news.clear()

    def _take_news(self) -> None:
        """What the bus has brought, mandates first."""
        for allocation in self._allocations.take():
            self.handle(machine.Allocated(allocation))
        for halt in self._halts.take():
            self.handle(machine.HaltAsked(halt))
        for resume in self._resumes.take():
            self.handle(machine.ResumeAsked(resume))

    def _is_fed(self) -> bool:
        """Whether a sentinel has sent the pulse of a live feed."""
        return any(pulse.is_live for pulse in self._pulses.take())

    def _carry_out(self, actions: list[Action]) -> None:
        self._observer.did(actions)
        for action in actions:
            match action:
                case machine.Send(request, what):
                    self._line.send(request, what)
                case machine.SwitchRoute(generation):
                    self._line.switch(generation)
                case machine.Reply(connection, reply):
                    if (writer := self._writers.get(connection)) is not None:
                        send_frame(writer, reply)
                case machine.CloseQuoter(connection):
                    if (writer := self._writers.get(connection)) is not None:
                        writer.close()
                case machine.PublishFill(fill):
                    self._fills.publish(fill)
                case machine.PublishInventory(inventory):
                    self._inventories.publish(inventory, inventory.market)
                case machine.PublishDeadman(deadman):
                    self._deadman.publish(deadman)
                case machine.BeReady():
                    self._network.listen(str(self._port), LOCAL, self._accept)
                    self._tasks.append(asyncio.create_task(self._follow_orders()))
                case machine.Explain(sentence):
                    self._explained = sentence
                case machine.Exit(code):
                    self._exit = code
                    self._news.set()

    async def _follow_guard(self) -> None:
        """Stay connected to the guard."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                transport, echoes = await loop.create_unix_connection(lambda: _Echoes(self), guard.PORT)
            except ConnectionError:
                pass
            else:
                transport.write(guard.HELLO.pack(self._process.pid))
                self._guard = transport
                await echoes.over.wait()
            self._guard = None
            await asyncio.sleep(GUARD_RETRY_S)

    # --- quoters ----------------------------------------------------------------------------------

    def _accept(self) -> "_Quoter":
        self._connections += 1
        return _Quoter(self, self._connections)

    def greet(self, connection: int, name: str, transport: asyncio.WriteTransport) -> None:
        """A quoter has said who it is."""
        self._writers[connection] = transport
        self.handle(machine.QuoterConnected(connection, name))

    def part(self, connection: int) -> None:
        """A connection is gone."""
        if self._writers.pop(connection, None) is not None:
            self.handle(machine.QuoterClosed(connection))

    # --- the user channel -------------------------------------------------------------------------

    async def _follow_orders(self) -> None:
        account = self._account
        auth = {"apiKey": account.api_key, "secret": account.secret, "passphrase": account.passphrase}
        hello = msgspec.json.encode({"type": "user", "auth": auth, "markets": []})
        async with self._open_session() as session:
            while True:
                socket = VenueSocket(session, USER_URL, self._feed_settings, self._clock)
                is_connected = False
                try:
                    await socket.connect(hello)
                    is_connected = True
                    self.handle(machine.FeedConnected())
                    async for frame in socket.frames():
                        event = read_user_frame(frame, account.api_key)
                        if event is not None:
                            self.handle(event)
                except (Retry, WireFault) as fault:
                    self.handle(machine.FeedLost(str(fault)))
                if not is_connected:
                    await asyncio.sleep(self._feed_settings.reconnect_min_s)


class _Echoes(asyncio.Protocol):
    """The engine's side of its connection to the guard; every letter of it is an echo."""

    def __init__(self, engine: EngineProcess) -> None:
        self._engine = engine
        self.over = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        for _ in data:
            self._engine.handle(machine.GuardSeen())

    def connection_lost(self, _fault: Exception | None) -> None:
        self.over.set()


class _Quoter(Frames):
    """The engine's side of a quoter's connection."""

    def __init__(self, engine: EngineProcess, connection: int) -> None:
        super().__init__(ENGINE)
        self._engine, self._connection = engine, connection

    def take(self, frame: bytes) -> None:
        match _decode_request(frame):
            case Touch(book_sequence=sequence):
                self._engine.handle(machine.Touched(self._connection, sequence))
            case Plan() as plan:
                self._engine.handle(machine.PlanSent(self._connection, plan))
            case Hello(name=name):
                self._engine.greet(self._connection, name, self.transport)

    def lost(self) -> None:
        self._engine.part(self._connection)


class _UserPart(msgspec.Struct, frozen=True):
    order_id: str
    owner: str
    matched_amount: str
    price: str
    asset_id: str
    side: Side


class _UserFrame(msgspec.Struct, frozen=True):
    event_type: str = ""
    type: str = ""
    id: str = ""
    market: str = ""
    status: str = ""
    match_time: str = "0"
    maker_orders: list[_UserPart] = []


_decode_request = msgspec.msgpack.Decoder(EngineRequest).decode
_decode_user = msgspec.json.Decoder(_UserFrame).decode


def read_user_frame(frame: bytes, api_key: str) -> Event | None:
    """One event of the user channel; None for what an engine does not need. Raises WireFault."""
    try:
        found = _decode_user(frame)
    except msgspec.MsgspecError as fault:
        raise WireFault(f"user channel: {fault}") from fault
    if found.event_type == "order" and found.type == "CANCELLATION":
        return machine.OrderCancelled(found.id, found.status)
    if found.event_type != "trade":
        return None
    parts = tuple(
        OwnPart(
            part.order_id,
            part.asset_id,
            part.side,
            parse_price_e4(part.price),
            parse_e6(part.matched_amount),
        )
        for part in found.maker_orders
        if part.owner == api_key
    )
    return machine.TradeSeen(
        OwnTrade(
            id=found.id,
            market=found.market,
            evidence=Evidence(found.status),
            matched_ms=int(found.match_time) * 1_000,
            parts=parts,
        )
    )
