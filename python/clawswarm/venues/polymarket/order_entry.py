"""Order entry over REST: one account's places, cancels, listings and heartbeat.

A place whose outcome is unknown (time-out, reset) is answered with UNKNOWN and never resent; everything that is
idempotent raises Retry instead. A refusal of region or account raises EligibilityHalt.
"""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from types import SimpleNamespace
from typing import TypeVar

import aiohttp
import msgspec

from clawswarm.kernel.clock import Clock
from clawswarm.model.errors import EligibilityHalt, Retry, WireFault
from clawswarm.venues.polymarket.signing import SignedOrder, TokenOrder, Wallet
from clawswarm.venues.polymarket.wire import (
    LAST_CURSOR,
    UNREADABLE,
    ZERO_CURSOR,
    ApiKey,
    CancelAnswer,
    ErrorAnswer,
    HeartbeatAnswer,
    OpenOrder,
    OpenOrderPage,
    OrderAnswer,
    Trade,
    TradePage,
)

PLACE_TIMEOUT_S = 2.0
REQUEST_TIMEOUT_S = 1.5
MAX_BATCH = 15
INELIGIBLE = ("restricted in your region", "address banned", "closed only mode")

P = TypeVar("P", OpenOrderPage, TradePage)
_decode_answers = msgspec.json.Decoder(list[OrderAnswer]).decode
_decode_answer = msgspec.json.Decoder(OrderAnswer).decode


class PlaceOutcome(StrEnum):
    """What is known of a place after its request."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class PlaceResult(msgspec.Struct, frozen=True):
    """Outcome of one order; `reason` when it was not accepted."""

    order_id: str
    outcome: PlaceOutcome
    reason: str | None = None


class OrderEntry:
    """One account's session with the venue's REST interface."""

    def __init__(self, session: aiohttp.ClientSession, clob_url: str, wallet: Wallet, clock: Clock) -> None:
        self._session, self._url, self._wallet, self._clock = session, clob_url, wallet, clock
        self._key: ApiKey | None = None
        self._venue_ahead_ms = 0
        self._heartbeat_id = ""

    @property
    def key(self) -> ApiKey:
        """The API key. Raises Retry before `log_in`."""
        if self._key is None:
            raise Retry("not logged in")
        return self._key

    async def log_in(self) -> None:
        """Set the venue's clock, then create the API key, or derive it when it exists."""
        status, body = await self._request("GET", "/time", private=False)
        if status != 200 or not body.strip().isdigit():
            raise Retry(f"GET /time answered {status}")
        self._venue_ahead_ms = int(body) * 1000 - self._clock.wall_ms()
        headers = self._wallet.login_headers(self._venue_s())
        status, body = await self._request("POST", "/auth/api-key", headers=headers, private=False)
        if status == 400:
            status, body = await self._request("GET", "/auth/derive-api-key", headers=headers, private=False)
        if status != 200:
            raise Retry(f"the venue gave no API key: {status} {_error_text(body)}")
        self._key = _decoded(body, ApiKey)

    def sign(self, order: TokenOrder) -> SignedOrder:
        """Sign one order for this account."""
        return self._wallet.sign_order(order, self.key)

    def venue_ms(self) -> int:
        """The venue's clock in ms."""
        return self._clock.wall_ms() + self._venue_ahead_ms

    async def place(self, orders: Sequence[SignedOrder]) -> tuple[list[PlaceResult], int | None]:
        """Send up to MAX_BATCH orders; results in their order, and when the bytes were on the socket (ns)."""
        sent = SimpleNamespace(ns=None)
        is_single = len(orders) == 1
        body = orders[0].body if is_single else b"[" + b",".join(order.body for order in orders) + b"]"
        path = "/order" if is_single else "/orders"
        try:
            status, answer = await self._request("POST", path, body, timeout_s=PLACE_TIMEOUT_S, sent=sent)
        except Retry as fault:
            return [_unknown(order, str(fault)) for order in orders], sent.ns
        if status >= 500 and status != 503:
            return [_unknown(order, f"{status} {_error_text(answer)}") for order in orders], sent.ns
        if status != 200:
            reason = f"{status} {_error_text(answer)}"
            return [_refused(order, reason) for order in orders], sent.ns
        try:
            answers = [_decode_answer(answer)] if is_single else _decode_answers(answer)
        except UNREADABLE as fault:
            return [_unknown(order, f"unreadable answer: {fault}") for order in orders], sent.ns
        if len(answers) != len(orders):
            return [_unknown(order, f"{len(answers)} answers") for order in orders], sent.ns
        return [_result(order, leg) for order, leg in zip(orders, answers, strict=True)], sent.ns

    async def cancel(self, order_ids: Sequence[str]) -> CancelAnswer:
        """Cancel by id."""
        status, body = await self._request("DELETE", "/orders", msgspec.json.encode(list(order_ids)))
        return _decoded(_must(status, body, "DELETE /orders"), CancelAnswer)

    async def cancel_all(self) -> CancelAnswer:
        """Cancel everything this key has open."""
        status, body = await self._request("DELETE", "/cancel-all")
        return _decoded(_must(status, body, "DELETE /cancel-all"), CancelAnswer)

    async def open_orders(self) -> list[OpenOrder]:
        """Every open order of this key, as the venue lists it."""
        pages = await self._pages("/data/orders", OpenOrderPage)
        return [order for page in pages for order in page.data if order.is_live]

    async def order(self, order_id: str) -> OpenOrder | None:
        """One order, None when the venue does not know it (any more)."""
        status, body = await self._request("GET", f"/data/order/{order_id}")
        if status == 404:
            return None
        return _decoded(_must(status, body, "GET /data/order"), OpenOrder)

    async def trades(self) -> list[Trade]:
        """Every trade of this account."""
        return [trade for page in await self._pages("/data/trades", TradePage) for trade in page.data]

    async def heartbeat(self) -> None:
        """Beat once on the id chain; takes the expected id from a refusal and beats again."""
        for _ in range(2):
            body = msgspec.json.encode({"heartbeat_id": self._heartbeat_id})
            status, answer = await self._request("POST", "/v1/heartbeats", body)
            if status in (200, 400):
                self._heartbeat_id = _decoded(answer, HeartbeatAnswer).heartbeat_id
            if status == 200:
                return
        raise Retry(f"heartbeat refused: {status} {_error_text(answer)}")

    async def _pages(self, path: str, kind: type[P]) -> list[P]:
        pages: list[P] = []
        cursor = ZERO_CURSOR
        while cursor != LAST_CURSOR:
            status, body = await self._request("GET", path, params={"next_cursor": cursor})
            pages.append(_decoded(_must(status, body, f"GET {path}"), kind))
            cursor = pages[-1].next_cursor
        return pages

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        private: bool = True,
        timeout_s: float = REQUEST_TIMEOUT_S,
        sent: SimpleNamespace | None = None,
    ) -> tuple[int, bytes]:
        if private:
            headers = self._wallet.request_headers(self.key, method, path, body, self._venue_s())
        if body:
            headers = {**(headers or {}), "Content-Type": "application/json"}
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(
                    method,
                    self._url + path,
                    data=body or None,
                    headers=headers,
                    params=params,
                    trace_request_ctx=sent,
                ) as answer,
            ):
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise Retry(f"{method} {path}: {type(fault).__name__}") from fault
        text = _error_text(content) if answer.status >= 400 else ""
        if any(words in text for words in INELIGIBLE):
            raise EligibilityHalt(f"the venue refuses: {text}")
        return answer.status, content

    def _venue_s(self) -> int:
        return self.venue_ms() // 1000


def sent_time_trace(clock: Clock) -> aiohttp.TraceConfig:
    """Trace that notes in a request's context (a SimpleNamespace) when its body was on the socket."""
    trace = aiohttp.TraceConfig()

    async def note(_session: object, context: SimpleNamespace, _parameters: object) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx.ns = clock.now_ns()

    trace.on_request_chunk_sent.append(note)
    return trace


def _must(status: int, body: bytes, what: str) -> bytes:
    if status != 200:
        raise Retry(f"{what} answered {status} {_error_text(body)}")
    return body


S = TypeVar("S", bound=msgspec.Struct)


def _decoded(body: bytes, kind: type[S]) -> S:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as fault:
        raise WireFault(f"unreadable {kind.__name__}: {fault}") from fault


def _error_text(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=ErrorAnswer).error
    except UNREADABLE:
        return body[:120].decode(errors="replace")


def _unknown(order: SignedOrder, reason: str) -> PlaceResult:
    return PlaceResult(order.order_id, PlaceOutcome.UNKNOWN, reason)


def _refused(order: SignedOrder, reason: str) -> PlaceResult:
    return PlaceResult(order.order_id, PlaceOutcome.REFUSED, reason)


def _result(order: SignedOrder, leg: OrderAnswer) -> PlaceResult:
    if leg.is_accepted:
        return PlaceResult(order.order_id, PlaceOutcome.ACCEPTED)
    return _refused(order, leg.reason)
