"""A scripted quoter: the engine's own Python client in a process of its own, driven by lines on standard input.

`python -m benchmarks.quoter_child NAME PORT PLACE` connects to the engine, and again whenever it is lost, and
touches it from its one loop, as a quoter does. Each line in is one of the orders below, each line out its answer.
Times are CLOCK_BOOTTIME; prices stay below the touch of the bench's markets, so nothing trades.
"""

import asyncio
import ctypes
import itertools
import sys
from collections import deque
from pathlib import Path

import msgspec
import uvloop

from clawswarm.kernel.clock import NS_PER_MS, SystemClock, ns
from clawswarm.kernel.engine_port import EngineClient
from clawswarm.model.instruments import Side
from clawswarm.model.messages import BookState, OrderState, OrderUpdate, Place, Plan, PlanDone
from clawswarm.runtime.configuration import load_configuration
from clawswarm.runtime.roster import RunPlace
from clawswarm.runtime.wiring import Wiring

TOUCH_S = 0.05
RETRY_S = 0.002
PLAN_S = 30.0
SIZE_E6 = 5_000_000
_PRICES_E4 = tuple(range(1_000, 4_000, 100))
_GONE = (OrderState.CANCELLED, OrderState.FILLED, OrderState.REJECTED)


# --- orders and answers -----------------------------------------------------------------------------


class Where(msgspec.Struct, frozen=True):
    """A market with the mandate for it."""

    market: str
    epoch: int
    term: int = 1


class Quote(msgspec.Struct, frozen=True, tag=True):
    """Place so many orders and keep them; tried again while the engine refuses. Answer: Placed."""

    where: Where
    count: int


class Placed(msgspec.Struct, frozen=True, tag=True):
    """Ids of the orders that the venue acknowledged."""

    order_ids: list[str]


class Cycle(msgspec.Struct, frozen=True, tag=True):
    """Replace the one order of a market so often, a pause before each. Answer: Cycles."""

    where: Where
    count: int
    pause_s: float


class Cycles(msgspec.Struct, frozen=True, tag=True):
    """ms from the decision to the cancel's and to the new order's acknowledgement, and to both."""

    cancel: list[float]
    place: list[float]
    both: list[float]


class Load(msgspec.Struct, frozen=True, tag=True):
    """Place `per_s` orders a second in batches, each batch cancelling the one before it. Answer: Loaded."""

    where: list[Where]
    per_s: float
    seconds: float
    batch: int


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """What was sent, what the engine said of each, and ms from a plan to its last acknowledgement."""

    sent: int
    acknowledged: int
    refused: list[str]
    unacknowledged: int
    repeated: int
    cancelled: int
    uncancelled: int
    open: list[str]
    late_ms: float
    took: list[float]


class Follow(msgspec.Struct, frozen=True, tag=True):
    """Replace the one order of a market whenever the touch of its book moves, so often. Answer: Followed."""

    where: Where
    count: int


class Followed(msgspec.Struct, frozen=True, tag=True):
    """µs from the frame's arrival to the book in this process, to the decision, to the plan written."""

    received: list[float]
    decided: list[float]
    written: list[float]


class Watch(msgspec.Struct, frozen=True, tag=True):
    """Wait until the engine says that all orders of a market are gone, then quote anew. Answer: Watched.

    With `provokes` it sends one place first, with `replaces` the cancels of its orders too: they meet the fault.
    """

    where: Where
    provokes: bool = False
    replaces: bool = False


class Watched(msgspec.Struct, frozen=True, tag=True):
    """When the first word came, when all were gone, when the new order was acknowledged."""

    noticed_ns: int
    cancelled_ns: int
    quoted_ns: int


class Stick(msgspec.Struct, frozen=True, tag=True):
    """Stay in a C call that holds the interpreter's lock. No answer."""

    seconds: int


class Refused(msgspec.Struct, frozen=True, tag=True):
    """An order that could not be carried out."""

    reason: str


Order = Quote | Cycle | Load | Follow | Watch | Stick


class Failed(Exception):
    """The sentence that becomes a Refused."""


# --- the quoter -------------------------------------------------------------------------------------


class ScriptedQuoter:
    """Its connection, and what the engine has said of its orders."""

    def __init__(self, name: str, port: Path, place_file: Path) -> None:
        self._name, self._place_file = name, place_file
        self._clock = SystemClock()
        self._wake = asyncio.Event()
        self._client = EngineClient(port, name, self._wake)
        self._refs, self._prices = itertools.count(1), itertools.cycle(_PRICES_E4)
        self._live: dict[str, str] = {}
        self._lines: deque[bytes] = deque()
        self._book_sequence = 0
        self._touched_ns = 0

    async def run(self) -> None:
        """Obey until the input ends."""
        reading = asyncio.create_task(self._read_lines())
        decode = msgspec.json.Decoder(Order).decode
        while not (reading.done() and not self._lines):
            await self._updates()
            while self._lines:
                await self._obey(decode(self._lines.popleft()))

    async def _read_lines(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        while line := await reader.readline():
            self._lines.append(line)
            self._wake.set()
        self._wake.set()

    async def _obey(self, order: Order) -> None:
        try:
            if isinstance(order, Quote):
                _say(Placed([await self._quote(order.where) for _ in range(order.count)]))
            elif isinstance(order, Cycle):
                _say(await self._cycle(order))
            elif isinstance(order, Load):
                _say(await self._load(order))
            elif isinstance(order, Follow):
                _say(await self._follow(order))
            elif isinstance(order, Watch):
                _say(await self._watch(order))
            else:
                # PyDLL, unlike CDLL, keeps the lock through the call.
                ctypes.PyDLL(None).sleep(order.seconds)
        except Failed as fault:
            _say(Refused(str(fault)))

    # --- the loop -------------------------------------------------------------------------------

    async def _updates(self, timeout_s: float = TOUCH_S) -> list[OrderUpdate | PlanDone]:
        """What the engine says next; touches it, and connects where there is no connection."""
        if not self._client.is_connected:
            self._live.clear()  # the orders of a lost connection are withdrawn
            if not await self._client.try_connect():
                await asyncio.sleep(RETRY_S)
                return []
        if not self._wake.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()
        self._touch()
        replies = [reply for reply in self._client.take() if isinstance(reply, OrderUpdate | PlanDone)]
        for reply in replies:
            if isinstance(reply, OrderUpdate):
                if reply.state is OrderState.LIVE:
                    self._live[reply.order_id] = reply.market
                elif reply.state in _GONE:
                    self._live.pop(reply.order_id, None)
        return replies

    def _touch(self) -> None:
        now = self._clock.now_ns()
        touch = getattr(self._client, "touch", None)
        if touch is not None and now - self._touched_ns > ns(TOUCH_S) // 2:
            self._touched_ns = now
            touch(self._book_sequence)

    def _send(self, where: Where, cancels: list[str], count: int, received_ns: int | None = None) -> Plan:
        places = tuple(
            Place(ref=next(self._refs), side=Side.BUY, price_e4=next(self._prices), size_e6=SIZE_E6)
            for _ in range(count)
        )
        plan = Plan(
            market=where.market,
            term=where.term,
            epoch=where.epoch,
            cancels=tuple(cancels),
            places=places,
            value=1.0,
            book_sequence=self._book_sequence,
            book_received_ns=received_ns,
            decided_ns=self._clock.now_ns(),
        )
        self._client.send(plan)
        return plan

    # --- what it can do -------------------------------------------------------------------------

    async def _quote(self, where: Where) -> str:
        """Id of one new order, once it is live."""
        end_ns = self._clock.now_ns() + ns(PLAN_S)
        refused = "no answer"
        while self._clock.now_ns() < end_ns:
            if not self._client.is_connected:
                await self._updates()
                continue
            plan = self._send(where, [], 1)
            live, is_done = None, False
            while not is_done and self._client.is_connected and self._clock.now_ns() < end_ns:
                for reply in await self._updates():
                    if isinstance(reply, PlanDone):
                        is_done = is_done or reply.decided_ns == plan.decided_ns
                        refused = reply.refused or refused
                    elif reply.ref == plan.places[0].ref:
                        live = reply.order_id if reply.state is OrderState.LIVE else None
                        refused = reply.reason or refused
            if live is not None:
                return live
            await asyncio.sleep(RETRY_S)
        raise Failed(f"no order was accepted within {PLAN_S:g} s: {refused}")

    async def _cycle(self, order: Cycle) -> Cycles:
        """Replace one order, again and again."""
        current = await self._quote(order.where)
        done = Cycles([], [], [])
        for _ in range(order.count):
            due_ns = self._clock.now_ns() + ns(order.pause_s)
            while (left_ns := due_ns - self._clock.now_ns()) > 0:
                await self._updates(left_ns / 1e9)
            plan = self._send(order.where, [current], 1)
            current = await self._until_replaced(plan, current, done)
        return done

    async def _until_replaced(self, plan: Plan, old: str, done: Cycles) -> str:
        """Wait for both acknowledgements of a replacing plan; the new order's id."""
        cancelled_ms = placed_ms = None
        new = ""
        end_ns = plan.decided_ns + ns(PLAN_S)
        while cancelled_ms is None or placed_ms is None:
            for reply in await self._updates():
                took_ms = (self._clock.now_ns() - plan.decided_ns) / NS_PER_MS
                if isinstance(reply, PlanDone):
                    if reply.refused is not None:
                        raise Failed(f"the engine refused a plan: {reply.refused}")
                elif reply.order_id == old and reply.state is OrderState.CANCELLED:
                    cancelled_ms = took_ms
                elif reply.ref == plan.places[0].ref and reply.state is OrderState.LIVE:
                    placed_ms, new = took_ms, reply.order_id
                elif reply.ref == plan.places[0].ref:
                    raise Failed(f"an order was {reply.state}: {reply.reason}")
            if self._clock.now_ns() > end_ns:
                raise Failed("a cycle had no end")
        done.cancel.append(cancelled_ms)
        done.place.append(placed_ms)
        done.both.append(max(cancelled_ms, placed_ms))
        return new

    async def _load(self, order: Load) -> Loaded:
        """Plans on schedule over all markets in turn; whatever becomes of each."""
        plans = round(order.per_s * order.seconds / order.batch)
        interval_ns = round(order.batch / order.per_s * 1e9)
        count = _Count()
        await self._quote(order.where[0])  # everything is warm and allowed
        began_ns, late_ns = self._clock.now_ns() + ns(0.1), 0
        for number in range(plans):
            due_ns = began_ns + number * interval_ns
            while (left_ns := due_ns - self._clock.now_ns()) > 0:
                count.take(await self._updates(left_ns / 1e9), self._clock.now_ns())
            late_ns = max(late_ns, -left_ns)
            where = order.where[number % len(order.where)]
            live = [order_id for order_id, market in self._live.items() if market == where.market]
            # Once each, even if a cancel is not acknowledged when its market's turn comes again.
            count.sent(self._send(where, [old for old in live if old not in count.cancelling], order.batch))
        end_ns = self._clock.now_ns() + ns(5.0)
        while (count.waiting or count.uncancelled) and self._clock.now_ns() < end_ns:
            count.take(await self._updates(), self._clock.now_ns())
        return count.result(list(self._live), late_ns / NS_PER_MS)

    async def _follow(self, order: Follow) -> Followed:
        """One plan for each new state of the book."""
        place = msgspec.json.decode(self._place_file.read_bytes(), type=RunPlace)
        bus = Wiring(place, load_configuration(Path(place.config))).bus(self._name)
        books = bus.follower("book", ("sentinel-1",), BookState)
        books.listen(self._wake)
        books.follow((order.where.market,))
        current = await self._quote(order.where)
        followed, unused = Followed([], [], []), Cycles([], [], [])
        touch = {_touch_of(book) for book in books.take()}
        while len(followed.written) < order.count:
            # Own orders move the book as well, but not its touch.
            fresh = [book for book in books.take() if _touch_of(book) not in touch]
            if not fresh:
                await self._updates()
            for book in fresh:
                received_ns = self._clock.now_ns()
                touch = {_touch_of(book)}
                self._book_sequence = book.sequence
                plan = self._send(order.where, [current], 1, book.received_ns)
                written_ns = self._clock.now_ns()
                followed.received.append((received_ns - book.received_ns) / 1_000)
                followed.decided.append((plan.decided_ns - book.received_ns) / 1_000)
                followed.written.append((written_ns - book.received_ns) / 1_000)
                current = await self._until_replaced(plan, current, unused)
        books.close()
        bus.close()
        return followed

    async def _watch(self, order: Watch) -> Watched:
        """Quote again as soon as the engine lets us, once everything is gone."""
        where, noticed_ns = order.where, 0
        if order.provokes:
            live = [order_id for order_id, market in self._live.items() if market == where.market]
            self._send(where, live if order.replaces else [], 1)
        while where.market in self._live.values():
            for reply in await self._updates():
                if isinstance(reply, OrderUpdate) and not noticed_ns:
                    noticed_ns = self._clock.now_ns()
        cancelled_ns = self._clock.now_ns()
        await self._quote(where)
        return Watched(noticed_ns, cancelled_ns, self._clock.now_ns())


class _Count:
    """Of the orders of a load: what was sent, and what came back for each."""

    def __init__(self) -> None:
        self.waiting: set[int] = set()
        self.cancelling: set[str] = set()
        self.uncancelled: set[str] = set()
        self._plans: dict[int, Plan] = {}
        self._acknowledged: set[int] = set()
        self._sent = self._repeated = 0
        self._refused: list[str] = []
        self._took: list[float] = []

    def sent(self, plan: Plan) -> None:
        """A plan has left."""
        self._sent += len(plan.places)
        self._plans[plan.decided_ns] = plan
        self.waiting.update(place.ref for place in plan.places)
        self.cancelling.update(plan.cancels)
        self.uncancelled.update(plan.cancels)

    def take(self, replies: list[OrderUpdate | PlanDone], now_ns: int) -> None:
        """What the engine has said."""
        for reply in replies:
            if isinstance(reply, PlanDone):
                if reply.refused is not None:
                    self._refused.append(reply.refused)
                if self._plans.pop(reply.decided_ns, None) is not None:
                    self._took.append((now_ns - reply.decided_ns) / NS_PER_MS)
            elif reply.state is OrderState.LIVE:
                self._repeated += reply.ref in self._acknowledged
                self._acknowledged.add(reply.ref)
                self.waiting.discard(reply.ref)
            elif reply.state is OrderState.CANCELLED:
                self.uncancelled.discard(reply.order_id)
            else:
                self._refused.append(f"{reply.state}: {reply.reason}")

    def result(self, still_open: list[str], late_ms: float) -> Loaded:
        """All of it."""
        return Loaded(
            sent=self._sent,
            acknowledged=len(self._acknowledged),
            refused=self._refused[:5],
            unacknowledged=len(self.waiting),
            repeated=self._repeated,
            cancelled=len(self.cancelling) - len(self.uncancelled),
            uncancelled=len(self.uncancelled),
            open=still_open,
            late_ms=round(late_ms, 2),
            took=self._took,
        )


def _touch_of(book: BookState) -> tuple[int | None, ...]:
    return book.bid_e4, book.bid_size_e6, book.ask_e4, book.ask_size_e6


def _say(answer: msgspec.Struct) -> None:
    print(msgspec.json.encode(answer).decode(), flush=True)


def main() -> None:
    """Entry point."""
    name, port, place_file = sys.argv[1:4]
    uvloop.run(ScriptedQuoter(name, Path(port), Path(place_file)).run())


if __name__ == "__main__":
    main()
