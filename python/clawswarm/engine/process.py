"""The order path's process: quoters on a Unix socket, mandates from the bus, the account at the venue.

Whatever ends a quoter's right to its orders — closed connection, mandate gone, halt, this process asked to
stop — withdraws them first and asks questions later. Start-up is recovery: nothing open is left from before.
"""

import asyncio
from collections.abc import Coroutine
from pathlib import Path

import aiohttp
import msgspec
import structlog

from clawswarm.engine.account import Account, AccountEvents
from clawswarm.engine.budget import Budget
from clawswarm.engine.gate import Gate, Revoked
from clawswarm.engine.orders import OwnOrder
from clawswarm.engine.settings import EngineSettings
from clawswarm.engine.uptime import QuotingUptime
from clawswarm.kernel.bus import Bus
from clawswarm.kernel.clock import NS_PER_MS, ns
from clawswarm.kernel.engine_port import read_frame, send_frame
from clawswarm.kernel.histogram import Histogram
from clawswarm.kernel.journal import Journal
from clawswarm.kernel.process import Process
from clawswarm.model.errors import EligibilityHalt, Halt, Retry, UserFault, WireFault
from clawswarm.model.messages import (
    Allocation,
    Beat,
    BookState,
    DeadmanFired,
    EngineReply,
    EngineRequest,
    Fill,
    HaltSwarm,
    Hello,
    Inventory,
    OrderState,
    OrderUpdate,
    Plan,
    PlanDone,
    ResumeSwarm,
)
from clawswarm.venues.polymarket.instruments import list_markets
from clawswarm.venues.polymarket.order_entry import OrderEntry, sent_time_trace
from clawswarm.venues.polymarket.settings import SocketSettings
from clawswarm.venues.polymarket.signing import Wallet
from clawswarm.venues.polymarket.socket import VenueSocket
from clawswarm.venues.polymarket.user_feed import read_user_events, user_subscription
from clawswarm.venues.polymarket.wire import Trade

log = structlog.get_logger()
_decode_request = msgspec.msgpack.Decoder(EngineRequest).decode


class EngineAddresses(msgspec.Struct, frozen=True):
    """Where the engine listens, works and trades."""

    clob_url: str
    user_ws_url: str
    port: Path
    folder: Path


class Engine:
    """One account's order path."""

    def __init__(
        self,
        process: Process,
        bus: Bus,
        wallet: Wallet,
        settings: EngineSettings,
        feed: SocketSettings,
        addresses: EngineAddresses,
    ) -> None:
        self._process, self._clock = process, process.clock
        self._wallet, self._settings, self._feed, self._addresses = wallet, settings, feed, addresses
        self._gate = Gate()
        self._uptime = QuotingUptime()
        self._budget = Budget(settings.limits, self._clock.now_ns())
        self._cycle_us = Histogram()
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._withdrawing: dict[str, int] = {}
        self._halted: str | None = None
        self._user_feed_is_live = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._plans: set[asyncio.Task[None]] = set()
        self._fault: Exception | None = None
        folder = addresses.folder
        self._fills = bus.ordered("fills", Fill, Journal(folder / "fills.journal"))
        self._deadman = bus.ordered("deadman", DeadmanFired, Journal(folder / "deadman.journal"))
        self._allocations = bus.latest("allocation", Allocation)
        self._halts = bus.latest("halt", HaltSwarm)
        self._resumes = bus.latest("resume", ResumeSwarm)
        self._books = bus.latest("book/*/*", BookState)
        self._fair: dict[str, BookState] = {}
        self._beats = bus.latest("beat", Beat)
        self._inventories = bus.latest("inventory", Inventory)

    async def run(self) -> None:
        """Serve until asked to stop; returns only when the venue has confirmed that nothing is open."""
        trace = sent_time_trace(self._clock)
        connector = aiohttp.TCPConnector(limit=16, keepalive_timeout=60)
        async with aiohttp.ClientSession(trace_configs=[trace], connector=connector) as session:
            entry = OrderEntry(session, self._addresses.clob_url, self._wallet, self._clock)
            events = AccountEvents(order_changed=self._order_changed, filled=self._filled)
            account = Account(entry, self._budget, self._clock, self._addresses.folder, events)
            account.fair_e4 = self._fair_e4
            self._account, self._entry, self._session = account, entry, session
            await self._recover()
            server = await asyncio.start_unix_server(self._serve_quoter, str(self._addresses.port))
            for channel in (self._allocations, self._halts, self._resumes):
                channel.listen(self._process.wake)
            self._books.listen(asyncio.Event())
            self._start(self._follow_user_feed(session))
            self._process.ready()
            try:
                await self._work()
            finally:
                server.close()
                await self._leave()
        if self._fault is not None:
            raise self._fault

    async def _recover(self) -> None:
        """Log in, withdraw whatever an earlier life left, take over inventory, learn the markets."""
        while True:
            try:
                await self._entry.log_in()
                self._account.know(await list_markets(self._session, self._addresses.clob_url))
                await self._account.withdraw_all(self._settings.withdraw_timeout_s)
                self._account.restore(self._fills.published())
                await self._account.reconcile()
                return
            except (Retry, WireFault) as fault:
                log.warning("engine.recover.retry", reason=str(fault))
                if not await self._process.tick():
                    raise UserFault(f"the venue does not answer: {fault}") from fault

    async def _work(self) -> None:
        next_beat_ns = next_heartbeat_ns = 0
        next_reconcile_ns = self._clock.now_ns() + ns(self._settings.reconcile_s)
        while await self._process.tick():
            now = self._clock.now_ns()
            if self._fault is not None:
                return
            self._take_bus(now)
            self._uptime.sample(
                [mandate.market.condition_id for mandate in self._gate.mandates], self._account.orders, now
            )
            if now >= next_heartbeat_ns:
                next_heartbeat_ns = now + ns(self._settings.heartbeat_s)
                self._start(self._heartbeat())
            if now >= next_reconcile_ns:
                next_reconcile_ns = now + ns(self._settings.reconcile_s)
                self._start(self._reconcile())
            if now >= next_beat_ns:
                next_beat_ns = now + ns(0.5)
                self._publish_beat("halted" if self._halted else "running")
                self._fills.announce()
                self._deadman.announce()

    def _take_bus(self, now: int) -> None:
        revoked: list[Revoked] = []
        for allocation in self._allocations.take():
            revoked += self._gate.install(allocation)
            for mandate in self._gate.mandates:
                self._reply(mandate.quoter, self._account.inventories.of(mandate.market.condition_id))
        revoked += self._gate.expire(now)
        for halt in self._halts.take():
            self._halt(halt.cause)
        for resume in self._resumes.take():
            if self._halted is not None:
                log.info("engine.resumed", origin=resume.origin)
                self._halted = None
        for ended in revoked:
            self._withdraw(ended.quoter, ended.market, ended.cause)

    def _halt(self, cause: str) -> None:
        if self._halted is None:
            self._halted = cause
            log.warning("engine.halted", cause=cause)
            self._start(self._withdraw_everything("all", f"halt: {cause}"))

    # --- quoters --------------------------------------------------------------------------------

    async def _serve_quoter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = ""
        try:
            while (frame := await read_frame(reader)) is not None:
                request = _decode_request(frame)
                if isinstance(request, Hello):
                    name = request.name
                    if (old := self._writers.get(name)) is not None:
                        old.close()
                    self._writers[name] = writer
                elif self._writers.get(name) is writer:
                    self._plans.add(plan := self._start(self._carry_out(name, request)))
                    plan.add_done_callback(self._plans.discard)
        except (msgspec.MsgspecError, WireFault) as fault:
            log.warning("engine.port.bad_frame", quoter=name, reason=str(fault))
        finally:
            writer.close()
            if name and self._writers.get(name) is writer:
                del self._writers[name]
                if not self._process.is_stopping:
                    self._withdraw(name, None, "connection closed")

    async def _carry_out(self, quoter: str, plan: Plan) -> None:
        resting = self._account.orders.select(market=plan.market)
        refused = self._refusal(quoter, plan)
        try:
            chosen = [order for order in resting if order.order_id in plan.cancels and order.owner == quoter]
            # A place may cross or need the collateral of a cancelled order, so cancels are acknowledged first.
            await self._account.cancel(chosen)
            if plan.places and refused is None:
                # The mandate may have ended, or a fill come, while the cancels were under way.
                refused, mandate = self._refusal(quoter, plan), self._gate.mandate(plan.market)
                if refused is None and mandate is not None:
                    refused = await self._account.place(plan, mandate.market, quoter)
                if refused is None:
                    self._cycle_us.add((self._clock.now_ns() - plan.decided_ns) // 1_000)
        except (Retry, WireFault) as fault:
            refused = f"the venue did not answer: {fault}"
        except Halt as fault:
            self._escalate(fault)
            refused = str(fault)
        if not self._process.is_stopping and self._closed_reason(quoter) is not None:
            self._withdraw(quoter, None, "lost its right while a plan was under way")
        self._reply(quoter, PlanDone(market=plan.market, decided_ns=plan.decided_ns, refused=refused))

    def _refusal(self, quoter: str, plan: Plan) -> str | None:
        resting = self._account.orders.select(market=plan.market)
        held = self._account.inventories.of(plan.market)
        return self._closed_reason(quoter) or self._gate.refusal(plan, quoter, resting, held)

    def _closed_reason(self, quoter: str) -> str | None:
        if self._process.is_stopping:
            return "stopping"
        if self._halted is not None:
            return f"halted: {self._halted}"
        if not self._user_feed_is_live:
            return "the user feed is down: fills could not be seen"
        if self._withdrawing.get(quoter):
            return "orders of this quoter are being withdrawn"
        return None if quoter in self._writers else "the quoter is gone"

    def _order_changed(self, order: OwnOrder, state: OrderState, reason: str | None) -> None:
        self._reply(
            order.owner,
            OrderUpdate(
                market=order.market,
                ref=order.ref,
                order_id=order.order_id,
                state=state,
                side=order.side,
                price_e4=order.price_e4,
                remaining_e6=order.remaining_e6,
                reason=reason,
            ),
        )

    def _filled(self, fill: Fill) -> None:
        self._fills.publish(fill)
        held = self._account.inventories.of(fill.market)
        self._inventories.publish(held, fill.market)
        mandate = self._gate.mandate(fill.market)
        if mandate is not None:
            self._reply(mandate.quoter, held)

    def _fair_e4(self, market: str) -> float | None:
        for book in self._books.take():
            self._fair[book.market] = book
        newest = self._fair.get(market)
        if newest is None or newest.microprice is None or not newest.is_valid:
            return None
        return newest.microprice * 10_000

    def _reply(self, quoter: str, message: EngineReply) -> None:
        writer = self._writers.get(quoter)
        if writer is not None and not writer.is_closing():
            send_frame(writer, message)

    # --- withdrawal -----------------------------------------------------------------------------

    def _withdraw(self, quoter: str, market: str | None, cause: str) -> None:
        if self._account.orders.select(quoter, market):
            self._start(self._withdraw_orders(quoter, market, cause))

    async def _withdraw_orders(self, quoter: str, market: str | None, cause: str) -> None:
        began = self._clock.now_ns()
        self._withdrawing[quoter] = self._withdrawing.get(quoter, 0) + 1
        try:
            count = await self._account.withdraw(lambda: self._account.orders.select(quoter, market), cause)
        finally:
            self._withdrawing[quoter] -= 1
        self._report_deadman(cause, quoter, count, began)

    async def _withdraw_everything(self, victim: str, cause: str) -> None:
        began = self._clock.now_ns()
        try:
            count = await self._account.withdraw_all(self._settings.withdraw_timeout_s)
        except Halt as fault:
            self._escalate(fault)
            return
        self._report_deadman(cause, victim, count, began)

    def _report_deadman(self, cause: str, victim: str, count: int, began_ns: int) -> None:
        now = self._clock.now_ns()
        elapsed_ms = (now - began_ns) / NS_PER_MS
        log.warning("engine.deadman", cause=cause, victim=victim, cancelled=count, ms=round(elapsed_ms, 1))
        self._deadman.publish(
            DeadmanFired(cause=cause, victim=victim, cancelled=count, elapsed_ms=elapsed_ms, fired_ns=now)
        )

    async def _leave(self) -> None:
        # A place under way would land after the last listing: each has its answer (or time-out) first.
        await asyncio.gather(*self._plans, return_exceptions=True)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._account.withdraw_all(self._settings.withdraw_timeout_s)
        self._publish_beat("stopped")
        for writer in tuple(self._writers.values()):
            writer.close()

    # --- venue ----------------------------------------------------------------------------------

    async def _follow_user_feed(self, session: aiohttp.ClientSession) -> None:
        socket = VenueSocket(session, self._addresses.user_ws_url, self._feed, self._clock)
        while True:
            try:
                await socket.connect(user_subscription(self._entry.key))
                await self._account.reconcile()
                self._user_feed_is_live = True
                async for frame in socket.frames():
                    for event in read_user_events(frame):
                        if isinstance(event, Trade):
                            self._account.take_trade(event)
                        else:
                            self._account.take_order_event(event)
            except (Retry, WireFault) as fault:
                log.warning("engine.user_feed.lost", reason=str(fault))
            if self._user_feed_is_live:
                self._user_feed_is_live = False
                await self._withdraw_everything("all", "user feed lost")
            await asyncio.sleep(self._feed.reconnect_min_s)

    async def _heartbeat(self) -> None:
        try:
            await self._entry.heartbeat()
        except (Retry, WireFault) as fault:
            log.warning("engine.heartbeat.failed", reason=str(fault))

    async def _reconcile(self) -> None:
        try:
            await self._account.reconcile()
        except (Retry, WireFault) as fault:
            log.warning("engine.reconcile.failed", reason=str(fault))

    # --- bookkeeping ----------------------------------------------------------------------------

    def _start(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            if isinstance(fault, Halt):
                self._escalate(fault)
            elif self._fault is None and isinstance(fault, Exception):
                self._fault = fault
                self._process.wake.set()

    def _escalate(self, fault: Halt) -> None:
        cause = f"eligibility: {fault}" if isinstance(fault, EligibilityHalt) else str(fault)
        log.error("engine.halt", cause=cause)
        self._process.explain(cause)
        self._halt(cause)

    def _publish_beat(self, state: str) -> None:
        account, budget = self._account, self._budget
        self._beats.publish(
            Beat(
                name=self._process.name,
                kind="engine",
                pid=self._process.pid,
                state=state,
                sent_ns=self._clock.now_ns(),
                counters={
                    **account.counters,
                    "open": float(len(account.orders)),
                    "max_10s": float(budget.window_10s.highest),
                    "max_600s": float(budget.window_600s.highest),
                    "mandated_s": self._uptime.mandated_s,
                    "two_sided_s": self._uptime.two_sided_s,
                },
                histograms={
                    "tick_to_wire_us": account.tick_to_wire_us.counts,
                    "cycle_us": self._cycle_us.counts,
                },
            ),
            self._process.name,
        )
