"""The account against a real HTTP server: what is under way is never forgotten."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from clawswarm.engine.account import Account, AccountEvents
from clawswarm.engine.budget import Budget
from clawswarm.engine.orders import OwnOrder
from clawswarm.engine.settings import EngineLimits
from clawswarm.kernel.clock import SystemClock
from clawswarm.model.errors import EligibilityHalt
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import OrderState, Place, Plan
from clawswarm.venues.polymarket.order_entry import OrderEntry
from clawswarm.venues.polymarket.signing import Wallet

DEV_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
MARKET = Market("0xc", "btc-updown", "BTC", "11", "22", 100, 5_000_000, False, True, None)
PLAN = Plan(
    market="0xc",
    term=1,
    epoch=1,
    cancels=(),
    places=(Place(ref=1, side=Side.BUY, price_e4=4800, size_e6=10_000_000),),
    value=1.0,
    book_sequence=1,
    book_received_ns=None,
    decided_ns=0,
)


class Venue:
    """A venue whose answer to a place waits for `answer` and whose listing shows nothing."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[tuple[int, object]] = asyncio.get_running_loop().create_future()
        self.cancelled: list[str] = []
        self.order_id = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        route, body = f"{request.method} {request.path}", await request.read()
        if route == "GET /time":
            return web.json_response(1_700_000_000)
        if route == "POST /auth/api-key":
            return web.json_response({"apiKey": "key", "secret": SECRET, "passphrase": "p"})
        if route == "POST /order":
            self.asked.set()
            status, answer = await asyncio.shield(self.answer)
            return web.json_response(answer, status=status)
        if route == "DELETE /orders":
            self.cancelled += json.loads(body)
            return web.json_response({"canceled": json.loads(body), "not_canceled": {}})
        if route == "DELETE /cancel-all":
            return web.json_response({"canceled": [], "not_canceled": {}})
        if route == "GET /data/orders":
            return web.json_response({"data": [], "next_cursor": "LTE="})
        return web.json_response({"error": "Order not found"}, status=404)


class Desk:
    """An account at a venue and what it reported."""

    def __init__(self, venue: Venue, account: Account, said: list[tuple[str, OrderState]]) -> None:
        self.venue, self.account, self.said = venue, account, said

    async def place_under_way(self) -> tuple[OwnOrder, asyncio.Task[str | None]]:
        """A place that the venue has received and not answered."""
        placing = asyncio.create_task(self.account.place(PLAN, MARKET, "quoter-1"))
        await self.venue.asked.wait()
        (own,) = self.account.orders.select()
        return own, placing

    def states(self) -> list[OrderState]:
        return [state for _, state in self.said]


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    """An account that has logged in."""
    venue, clock = Venue(), SystemClock()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", venue.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    said: list[tuple[str, OrderState]] = []
    events = AccountEvents(
        order_changed=lambda own, state, _: said.append((own.order_id, state)), filled=lambda _: None
    )
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(20):
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            entry = OrderEntry(session, url, Wallet(DEV_KEY, 137), clock)
            await entry.log_in()
            budget = Budget(EngineLimits(), clock.now_ns())
            yield Desk(venue, Account(entry, budget, clock, folder, events), said)
    finally:
        if not venue.answer.done():
            venue.answer.set_result((504, {}))
        await runner.cleanup()


def accepted(own: OwnOrder) -> tuple[int, object]:
    return 200, {"success": True, "errorMsg": "", "orderID": own.order_id, "status": "live"}


def test_a_place_under_way_outlives_a_withdrawal_of_everything(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path) as at:
            own, placing = await at.place_under_way()
            await at.account.withdraw_all(5.0)
            assert at.account.orders.get(own.order_id) is own
            at.venue.answer.set_result(accepted(own))
            assert await placing is None
            assert at.states() == [OrderState.LIVE]
            withdrawn = await at.account.withdraw(at.account.orders.select, "halt")
            assert (withdrawn, at.venue.cancelled) == (1, [own.order_id])
            assert at.states() == [OrderState.LIVE, OrderState.CANCELLED]
            assert len(at.account.orders) == 0

    asyncio.run(run())


def test_a_place_refused_for_its_region_leaves_nothing_open(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path) as at:
            _, placing = await at.place_under_way()
            at.venue.answer.set_result((403, {"error": "Trading restricted in your region"}))
            with pytest.raises(EligibilityHalt):
                await placing
            assert at.states() == [OrderState.REJECTED]
            assert len(at.account.orders) == 0
            assert at.account.counters["rejected"] == 1

    asyncio.run(run())


def test_a_place_of_unknown_fate_is_cancelled_by_its_hash_and_counts_until_then(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path) as at:
            own, placing = await at.place_under_way()
            at.venue.answer.set_result((500, {"error": "could not insert order"}))
            assert await placing is None
            assert at.states() == [OrderState.UNKNOWN]
            assert len(at.account.orders) == 1
            await at.account.withdraw(at.account.orders.select, "connection closed")
            assert set(at.venue.cancelled) == {own.order_id}
            assert at.states() == [OrderState.UNKNOWN, OrderState.CANCELLED]

    asyncio.run(run())


def test_an_intent_is_on_file_before_its_order_is_sent(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path) as at:
            own, placing = await at.place_under_way()
            assert own.order_id.encode() in (tmp_path / "intents.journal").read_bytes()
            at.venue.answer.set_result(accepted(own))
            await placing

    asyncio.run(run())
