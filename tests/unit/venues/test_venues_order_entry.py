"""Order entry against a real HTTP server on loopback: every answer, and none, has its meaning."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from clawswarm.kernel.clock import SystemClock
from clawswarm.model.errors import EligibilityHalt, Retry, WireFault
from clawswarm.model.instruments import Side
from clawswarm.venues.polymarket.instruments import list_markets
from clawswarm.venues.polymarket.order_entry import (
    OrderEntry,
    PlaceOutcome,
    PlaceResult,
    sent_time_trace,
)
from clawswarm.venues.polymarket.signing import SignedOrder, TokenOrder, Wallet

DEV_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KEY_BODY = {"apiKey": "key-id", "secret": SECRET, "passphrase": "pass"}
VENUE_TIME_S = 1_700_000_000

ACCEPTED, REFUSED, UNKNOWN = PlaceOutcome.ACCEPTED, PlaceOutcome.REFUSED, PlaceOutcome.UNKNOWN

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def says(status: int, body: object) -> Answer:
    """An answer with a JSON body, or with these very bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=raw)

    return answer


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """The request was read, the connection breaks before an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


class Venue:
    """A venue that answers by script: the next answer of a route, the last one again and again."""

    def __init__(self) -> None:
        self._answers: dict[str, list[Answer]] = {}
        self.seen: list[tuple[str, str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.closing = asyncio.Event()
        self.on("GET /time", says(200, VENUE_TIME_S))
        self.on("POST /auth/api-key", says(200, KEY_BODY))

    def on(self, route: str, *answers: Answer) -> None:
        """Script a route."""
        self._answers[route] = list(answers)

    async def never(self, _: web.Request) -> web.StreamResponse:
        """An answer that does not come while the test lasts."""
        await self.closing.wait()
        return web.Response(status=504)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Note the request, answer by script."""
        self.seen.append((request.method, request.path, request.query_string, await request.read()))
        self.headers.append(dict(request.headers))
        answers = self._answers.get(f"{request.method} {request.path}", [says(404, {"error": "no route"})])
        return await (answers.pop(0) if len(answers) > 1 else answers[0])(request)

    def bodies(self, path: str) -> list[bytes]:
        """Bodies received on one path."""
        return [body for _, seen, _, body in self.seen if seen == path]


@asynccontextmanager
async def venue_and_entry(log_in: bool = True) -> AsyncIterator[tuple[Venue, OrderEntry]]:
    """A running venue and a session with it."""
    venue = Venue()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", venue.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    clock = SystemClock()
    try:
        async with aiohttp.ClientSession(trace_configs=[sent_time_trace(clock)]) as session:
            entry = OrderEntry(session, venue.url, Wallet(DEV_KEY, 137), clock)
            if log_in:
                await entry.log_in()
            yield venue, entry
    finally:
        venue.closing.set()
        await runner.cleanup()


def signed(entry: OrderEntry, price_e4: int = 4800) -> SignedOrder:
    return entry.sign(TokenOrder("11", Side.BUY, price_e4, 10_000_000, False, entry.venue_ms()))


def accepted(order: SignedOrder) -> dict[str, object]:
    return {"success": True, "errorMsg": "", "orderID": order.order_id, "status": "live"}


def listed(order_id: str, status: str = "LIVE") -> dict[str, str]:
    return {
        "id": order_id,
        "status": status,
        "market": "0xc",
        "asset_id": "11",
        "side": "BUY",
        "original_size": "10",
        "size_matched": "0",
        "price": "0.48",
    }


def hmac_of(method: str, path: str, body: bytes, timestamp: str) -> str:
    """The request signature of the fact sheet, computed here."""
    message = f"{timestamp}{method}{path}".encode() + body
    digest = hmac.new(base64.urlsafe_b64decode(SECRET), message, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()


async def placed(answer: Answer, count: int = 1) -> list[PlaceResult]:
    """Results of placing `count` orders that are answered so."""
    async with venue_and_entry() as (venue, entry):
        venue.on("POST /order", answer)
        venue.on("POST /orders", answer)
        orders = [signed(entry) for _ in range(count)]
        results, _ = await entry.place(orders)
        assert [result.order_id for result in results] == [order.order_id for order in orders]
        return results


def outcomes(results: list[PlaceResult]) -> list[PlaceOutcome]:
    return [result.outcome for result in results]


# --- log-in -----------------------------------------------------------------------------------------


def test_log_in_takes_the_venues_clock_and_the_key() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            assert (entry.key.api_key, entry.key.secret) == ("key-id", SECRET)
            assert VENUE_TIME_S * 1000 <= entry.venue_ms() < (VENUE_TIME_S + 60) * 1000
            assert VENUE_TIME_S <= int(venue.headers[1]["POLY_TIMESTAMP"]) < VENUE_TIME_S + 60
            assert "POLY_SIGNATURE" not in venue.headers[0]

    asyncio.run(run())


def test_log_in_derives_a_key_that_exists() -> None:
    async def run() -> None:
        async with venue_and_entry(log_in=False) as (venue, entry):
            venue.on("POST /auth/api-key", says(400, {"error": "Could not create api key"}))
            venue.on("GET /auth/derive-api-key", says(200, KEY_BODY))
            await entry.log_in()
            assert entry.key.api_key == "key-id"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        ("GET /time", says(200, b"soon")),
        ("GET /time", says(500, 1)),
        ("GET /time", hangs_up),
        ("POST /auth/api-key", says(500, {"error": "no"})),
        ("POST /auth/api-key", says(401, {"error": "Invalid L1 Request headers"})),
        ("POST /auth/api-key", hangs_up),
    ],
)
def test_a_log_in_that_fails_can_be_tried_again(route: str, answer: Answer) -> None:
    async def run() -> None:
        async with venue_and_entry(log_in=False) as (venue, entry):
            venue.on(route, answer)
            with pytest.raises(Retry):
                await entry.log_in()
            with pytest.raises(Retry, match="not logged in"):
                _ = entry.key

    asyncio.run(run())


@pytest.mark.parametrize("body", [b"{}", b"[]", b"\xff", b'{"apiKey":"\xff","secret":"a","passphrase":"b"}'])
def test_a_key_that_cannot_be_read_is_a_wire_fault(body: bytes) -> None:
    async def run() -> None:
        async with venue_and_entry(log_in=False) as (venue, entry):
            venue.on("POST /auth/api-key", says(200, body))
            with pytest.raises(WireFault, match="unreadable ApiKey"):
                await entry.log_in()

    asyncio.run(run())


# --- place ------------------------------------------------------------------------------------------


def test_one_order_goes_alone_and_several_go_as_an_array() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            orders = [signed(entry) for _ in range(3)]
            venue.on("POST /order", says(200, accepted(orders[0])))
            venue.on("POST /orders", says(200, [accepted(order) for order in orders[1:]]))
            began = SystemClock().now_ns()
            single, sent_ns = await entry.place(orders[:1])
            several, _ = await entry.place(orders[1:])
            assert outcomes(single + several) == [ACCEPTED] * 3
            assert venue.bodies("/order") == [orders[0].body]
            assert json.loads(venue.bodies("/orders")[0]) == [json.loads(order.body) for order in orders[1:]]
            assert sent_ns is not None
            assert began < sent_ns < SystemClock().now_ns()

    asyncio.run(run())


def test_every_private_request_is_signed_over_its_very_bytes_without_the_query() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            order = signed(entry)
            venue.on("POST /order", says(200, accepted(order)))
            venue.on("GET /data/orders", says(200, {"data": [], "next_cursor": "LTE="}))
            venue.on("DELETE /orders", says(200, {"canceled": [], "not_canceled": {}}))
            venue.on("DELETE /cancel-all", says(200, {}))
            venue.seen.clear()
            venue.headers.clear()
            await entry.place([order])
            await entry.open_orders()
            await entry.cancel(["0x1", "0x2"])
            await entry.cancel_all()
            assert len(venue.seen) == 4
            for (method, path, _, body), headers in zip(venue.seen, venue.headers, strict=True):
                timestamp = headers["POLY_TIMESTAMP"]
                assert headers["POLY_SIGNATURE"] == hmac_of(method, path, body, timestamp)
                assert headers["POLY_API_KEY"] == "key-id"
                assert VENUE_TIME_S <= int(timestamp) < VENUE_TIME_S + 60

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason"),
    [
        (500, {"error": "could not insert order"}, UNKNOWN, "500 could not insert order"),
        (502, b"<html>bad gateway</html>", UNKNOWN, "502 <html>bad gateway</html>"),
        (400, {"error": "invalid expiration"}, REFUSED, "400 invalid expiration"),
        (400, b"\xff\xfe", REFUSED, "400 \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
        (401, {"error": "Unauthorized/Invalid api key"}, REFUSED, "401 Unauthorized/Invalid api key"),
        (425, b"", REFUSED, "425 "),
        (429, {"error": "Too Many Requests"}, REFUSED, "429 Too Many Requests"),
        (503, {"error": "Trading is currently disabled"}, REFUSED, "503 Trading is currently disabled"),
        (200, {"success": False, "errorMsg": "not enough balance"}, REFUSED, "not enough balance"),
        (200, {"success": True, "errorMsg": "crosses the book", "orderID": ""}, REFUSED, "crosses the book"),
        (200, {"success": True, "orderID": "0x1", "status": "live", "errorMsg": "no"}, REFUSED, "no"),
    ],
)
def test_what_an_answer_means_for_a_place(
    status: int, body: object, outcome: PlaceOutcome, reason: str
) -> None:
    (result,) = asyncio.run(placed(says(status, body)))
    assert (result.outcome, result.reason) == (outcome, reason)


@pytest.mark.parametrize("body", [b"", b"OK", b"[]", b"null", b'{"success":"yes"}', b'{"orderID":"\xff"}'])
def test_an_answer_that_cannot_be_read_leaves_the_fate_unknown(body: bytes) -> None:
    (result,) = asyncio.run(placed(says(200, body)))
    assert result.outcome is UNKNOWN
    assert result.reason is not None
    assert result.reason.startswith("unreadable answer")


def test_a_batch_keeps_the_order_of_its_legs() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            orders = [signed(entry) for _ in range(3)]
            legs = [
                accepted(orders[0]),
                {"success": True, "errorMsg": "order crosses the book", "orderID": "", "status": ""},
                {**accepted(orders[2]), "status": "delayed"},
            ]
            venue.on("POST /orders", says(200, legs))
            results, _ = await entry.place(orders)
            assert outcomes(results) == [ACCEPTED, REFUSED, ACCEPTED]
            assert results[1].reason == "order crosses the book"

    asyncio.run(run())


def test_an_answer_list_that_is_too_short_leaves_every_fate_unknown() -> None:
    leg = {"success": True, "errorMsg": "", "orderID": "0x1", "status": "live"}
    for answered in (0, 2, 4):
        results = asyncio.run(placed(says(200, [leg] * answered), count=3))
        assert [(result.outcome, result.reason) for result in results] == [
            (UNKNOWN, f"{answered} answers")
        ] * 3


def test_a_whole_batch_shares_a_refusal() -> None:
    results = asyncio.run(placed(says(400, {"error": "Too many orders in payload"}), count=2))
    assert outcomes(results) == [REFUSED, REFUSED]


def test_no_answer_in_time_leaves_the_fate_unknown() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            venue.on("POST /order", venue.never)
            order = signed(entry)
            async with asyncio.timeout(10):
                (result,), sent_ns = await entry.place([order])
            assert (result.outcome, result.reason) == (UNKNOWN, "POST /order: TimeoutError")
            assert sent_ns is not None
            assert venue.bodies("/order") == [order.body]

    asyncio.run(run())


def test_a_broken_connection_leaves_the_fate_unknown_and_the_place_is_not_sent_again() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            first, second = signed(entry), signed(entry)
            # The second goes over the kept connection, where a client may be tempted to try again.
            venue.on("POST /order", says(200, accepted(first)), hangs_up)
            (kept,), _ = await entry.place([first])
            (broken,), _ = await entry.place([second])
            assert (kept.outcome, broken.outcome) == (ACCEPTED, UNKNOWN)
            assert venue.bodies("/order") == [first.body, second.body]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (403, "Trading restricted in your region"),
        (400, "'0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266' address banned"),
        (400, "'0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266' address in closed only mode"),
    ],
)
def test_a_refusal_of_region_or_account_is_a_halt_on_every_route(status: int, text: str) -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            refusal = says(status, {"error": text})
            for route in ("POST /order", "DELETE /orders", "GET /data/orders", "POST /v1/heartbeats"):
                venue.on(route, refusal)
            order = signed(entry)
            for call in (
                lambda: entry.place([order]),
                lambda: entry.cancel(["0x1"]),
                entry.open_orders,
                entry.heartbeat,
            ):
                with pytest.raises(EligibilityHalt, match="the venue refuses"):
                    await call()

    asyncio.run(run())


def test_a_forbidden_log_in_is_a_halt() -> None:
    async def run() -> None:
        async with venue_and_entry(log_in=False) as (venue, entry):
            venue.on("POST /auth/api-key", says(403, {"error": "Trading restricted in your region"}))
            with pytest.raises(EligibilityHalt):
                await entry.log_in()

    asyncio.run(run())


# --- cancels and listings ---------------------------------------------------------------------------


def test_cancels_name_their_orders_and_report_both_halves() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            answer = {"canceled": ["0x1"], "not_canceled": {"0x2": "order can't be found"}}
            venue.on("DELETE /orders", says(200, answer))
            venue.on("DELETE /cancel-all", says(200, {"canceled": ["0x3"], "not_canceled": {}}))
            cancelled = await entry.cancel(["0x1", "0x2"])
            assert (cancelled.canceled, cancelled.not_canceled) == (("0x1",), {"0x2": "order can't be found"})
            assert (await entry.cancel_all()).canceled == ("0x3",)
            assert venue.bodies("/orders") == [b'["0x1","0x2"]']

    asyncio.run(run())


@pytest.mark.parametrize("answer", [says(500, {"error": "x"}), says(425, b""), hangs_up])
def test_what_is_idempotent_is_retried(answer: Answer) -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            for route in ("DELETE /orders", "DELETE /cancel-all", "GET /data/orders", "GET /data/order/0x1"):
                venue.on(route, answer)
            for call in (
                lambda: entry.cancel(["0x1"]),
                entry.cancel_all,
                entry.open_orders,
                lambda: entry.order("0x1"),
            ):
                with pytest.raises(Retry):
                    await call()

    asyncio.run(run())


def test_a_cancel_without_an_answer_is_retried() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            venue.on("DELETE /orders", venue.never)
            async with asyncio.timeout(10):
                with pytest.raises(Retry, match="DELETE /orders: TimeoutError"):
                    await entry.cancel(["0x1"])

    asyncio.run(run())


def test_listings_are_read_to_the_last_page_and_no_further() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            pages = [
                {"data": [listed("0x1"), listed("0x2", "MATCHED")], "next_cursor": "MQ=="},
                {"data": [], "next_cursor": "Mg=="},
                {"data": [listed("0x3", "ORDER_STATUS_LIVE")], "next_cursor": "LTE="},
            ]
            venue.on("GET /data/orders", *(says(200, page) for page in pages))
            assert [order.id for order in await entry.open_orders()] == ["0x1", "0x3"]
            queries = [query for _, path, query, _ in venue.seen if path == "/data/orders"]
            assert queries == ["next_cursor=MA%3D%3D", "next_cursor=MQ%3D%3D", "next_cursor=Mg%3D%3D"] or (
                queries == ["next_cursor=MA==", "next_cursor=MQ==", "next_cursor=Mg=="]
            )

    asyncio.run(run())


def test_a_listing_that_breaks_off_is_no_listing() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            first = {"data": [listed("0x1")], "next_cursor": "MQ=="}
            venue.on("GET /data/orders", says(200, first), says(500, {"error": "x"}))
            with pytest.raises(Retry):
                await entry.open_orders()
            venue.on("GET /data/orders", says(200, {"data": [{"id": "0x1"}], "next_cursor": "LTE="}))
            with pytest.raises(WireFault):
                await entry.open_orders()

    asyncio.run(run())


def test_one_order_is_asked_for_by_its_id() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            venue.on("GET /data/order/0x1", says(200, listed("0x1")))
            venue.on("GET /data/order/0x2", says(404, {"error": "Order not found"}))
            known = await entry.order("0x1")
            assert known is not None
            assert known.is_live
            assert await entry.order("0x2") is None

    asyncio.run(run())


def test_trades_are_read_page_by_page() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            trade = {
                "id": "t-1",
                "taker_order_id": "0x9",
                "market": "0xc",
                "asset_id": "11",
                "side": "SELL",
                "size": "10",
                "price": "0.48",
                "status": "CONFIRMED",
                "maker_orders": [],
            }
            pages = [
                {"data": [trade], "next_cursor": "MQ=="},
                {"data": [{**trade, "id": "t-2"}], "next_cursor": "LTE="},
            ]
            venue.on("GET /data/trades", *(says(200, page) for page in pages))
            assert [trade.id for trade in await entry.trades()] == ["t-1", "t-2"]

    asyncio.run(run())


# --- heartbeats -------------------------------------------------------------------------------------


def test_heartbeats_form_a_chain_of_ids() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            answers = [says(200, {"heartbeat_id": f"id-{n}"}) for n in range(1, 4)]
            venue.on("POST /v1/heartbeats", *answers)
            for _ in range(3):
                await entry.heartbeat()
            sent = [json.loads(body)["heartbeat_id"] for body in venue.bodies("/v1/heartbeats")]
            assert sent == ["", "id-1", "id-2"]

    asyncio.run(run())


def test_a_refused_heartbeat_beats_again_with_the_expected_id() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            venue.on(
                "POST /v1/heartbeats",
                says(400, {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": "expected"}),
                says(200, {"heartbeat_id": "next"}),
                says(200, {"heartbeat_id": "after"}),
            )
            await entry.heartbeat()
            await entry.heartbeat()
            sent = [json.loads(body)["heartbeat_id"] for body in venue.bodies("/v1/heartbeats")]
            assert sent == ["", "expected", "next"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (says(400, {"error": "Invalid Heartbeat ID", "heartbeat_id": "x"}), Retry),
        (says(500, {"error": "x"}), Retry),
        (hangs_up, Retry),
        (says(400, b"no"), WireFault),
    ],
)
def test_a_heartbeat_that_stays_refused_is_told(answer: Answer, fault: type[Exception]) -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, entry):
            venue.on("POST /v1/heartbeats", answer)
            with pytest.raises(fault):
                await entry.heartbeat()
            assert len(venue.bodies("/v1/heartbeats")) <= 2

    asyncio.run(run())


# --- markets ----------------------------------------------------------------------------------------


def record(number: int) -> dict[str, object]:
    return {
        "condition_id": f"0x{number}",
        "market_slug": f"btc-updown-{number}",
        "tokens": [{"token_id": "11", "outcome": "Up"}, {"token_id": "22", "outcome": "Down"}],
        "minimum_order_size": 5,
        "minimum_tick_size": 0.01,
        "neg_risk": False,
        "active": True,
        "closed": False,
        "accepting_orders": True,
    }


def test_markets_are_read_page_by_page() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, _), aiohttp.ClientSession() as session:
            pages = [
                {"data": [record(1)], "next_cursor": "MQ=="},
                {"data": [record(2)], "next_cursor": "LTE="},
            ]
            venue.on("GET /markets", *(says(200, page) for page in pages))
            assert [m.condition_id for m in await list_markets(session, venue.url)] == ["0x1", "0x2"]

    asyncio.run(run())


def test_a_market_of_another_kind_hides_no_other() -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, _), aiohttp.ClientSession() as session:
            page = {"data": [{**record(1), "tokens": []}, record(2)], "next_cursor": "LTE="}
            venue.on("GET /markets", says(200, page))
            assert [m.condition_id for m in await list_markets(session, venue.url)] == ["0x2"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (says(500, b""), Retry),
        (hangs_up, Retry),
        (says(200, b"{}"), WireFault),
        (says(200, b'{"data":[],"next_cursor":"\xff"}'), WireFault),
    ],
)
def test_a_market_listing_that_fails_says_how(answer: Answer, fault: type[Exception]) -> None:
    async def run() -> None:
        async with venue_and_entry() as (venue, _), aiohttp.ClientSession() as session:
            venue.on("GET /markets", answer)
            with pytest.raises(fault):
                await list_markets(session, venue.url)

    asyncio.run(run())
