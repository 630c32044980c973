"""What stands before every handler of the venue's port: planted faults, rate limits, engine modes.

A request passes, in this order: the faults that a test planted, the request windows of its address, the engine's
mode, its signer's token bucket; then its handler answers, and its answer may still be lost.
"""

import asyncio
import socket
import struct
from collections.abc import Callable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from clawswarm.sandbox.exchange.refusals import VenueRefusal, payload_too_large
from clawswarm.sandbox.faults import RequestFault
from clawswarm.sandbox.rest.buckets import BucketKind, Charge
from clawswarm.sandbox.rest.modes import ModeRefusal
from clawswarm.sandbox.rest.wire import answer
from clawswarm.sandbox.venue import Venue

_NS_PER_S = 1_000_000_000
_POLL_S = 0.02
_RESET_NOT_FIN = struct.pack("ii", 1, 0)
# Hosts of their own on the real venue: not swallowed with the REST interface; streams are not counted either.
_NOT_COUNTED = ("/ws/", "/rtds", "/polybolt", "/api/geoblock", "/rpc")
_NOT_CLOB = (*_NOT_COUNTED, "/gamma/", "/data-api/")
_SWEEPING = (
    "/cancel-all",
    "/cancel-market-orders",
    "/cancel-wallet-orders",
    "/v1/gateway/cancel-wallet-orders",
)
BUCKETS: dict[tuple[str, str], BucketKind] = {
    ("POST", "/order"): "order",
    ("POST", "/orders"): "order",
    ("DELETE", "/order"): "cancel",
    ("DELETE", "/orders"): "cancel",
    **{("DELETE", path): "cancel" for path in _SWEEPING},
}
"""Which of its signer's token buckets a request is taken from; others cost nothing."""
_CDN_PAGE = """<!DOCTYPE html>
<html lang="en-US"><head><title>Attention Required! | Cloudflare</title></head>
<body><h1>Sorry, you have been blocked</h1><p>You are unable to access polymarket.com</p></body></html>
"""


class _CancelCount(msgspec.Struct):
    canceled: list[str]


class Gate:
    """The middleware of the venue's port."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._now_ns = now_ns
        self._longest_wait_ns = round(venue.settings.window_wait_s * _NS_PER_S)

    def middleware(self) -> Middleware:
        """What aiohttp calls with each request."""

        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self.admit(request, handler)

        return gate

    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let one request through, or do to it what a fault, a limit or a mode asks for."""
        faults, now_ns = self._venue.faults, self._now_ns()
        is_clob = not request.path.startswith(_NOT_CLOB)
        if is_clob and faults.black_hole_left_ns(now_ns, "rest"):
            return await self._swallow(request, lambda now: faults.black_hole_left_ns(now, "rest") > 0)
        met = faults.met_by(request.method, request.path, now_ns)
        for fault in met:
            if (early := await self._stopped_by(request, fault)) is not None:
                return early
        is_counted = not request.path.startswith(_NOT_COUNTED)
        response = await (self._limited(request, handler) if is_counted else answered(request, handler))
        lost = next((fault for fault in met if fault.kind == "lost-reply"), None)
        if lost is None:
            return response
        return await self._swallow(request, lambda now: lost.is_silent and now < lost.until_ns)

    # --- faults ---------------------------------------------------------------------------------

    async def _stopped_by(self, request: web.Request, fault: RequestFault) -> web.StreamResponse | None:
        match fault.kind:
            case "latency":
                await asyncio.sleep(self._venue.faults.delay_s(fault))
            case "reset":
                return _cut(request)
            case "cdn-page":
                return web.Response(text=_CDN_PAGE, status=403, content_type="text/html")
            case "status":
                return answer({"error": fault.text}, status=fault.status)
            case "lost-reply":
                return None
        return None

    async def _swallow(self, request: web.Request, lasts: Callable[[int], bool]) -> web.StreamResponse:
        """Say nothing while it lasts or the client waits, then cut the connection."""
        # Polled, since the control port may end a fault early.
        while lasts(self._now_ns()) and not _is_gone(request):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        return _cut(request)

    # --- limits ---------------------------------------------------------------------------------

    async def _limited(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if (wait_ns := await self._wait_for_window(request)) > 0:
            self._log(request, is_refused=True)
            return _too_many_requests(wait_ns)
        kind = BUCKETS.get((request.method, request.path))
        if kind is None:
            return await answered(request, handler)
        try:
            self._venue.modes.check_request(kind == "cancel", self._now_ns())
        except ModeRefusal as refusal:
            return refused(refusal)
        signer = request.headers.get("POLY_ADDRESS", "").lower()
        if self._venue.buckets.enforcement == "off" or not signer:
            return await answered(request, handler)
        return await self._charged(request, handler, kind, signer)

    async def _wait_for_window(self, request: web.Request) -> int:
        """Hold an over-limit request back; the remaining wait in ns when that takes too long, else 0."""
        began_ns = now_ns = self._now_ns()
        while True:
            address = request.remote or ""
            wait_ns = self._venue.windows.admit(address, request.method, request.path, now_ns)
            if wait_ns == 0 or now_ns + wait_ns - began_ns > self._longest_wait_ns:
                return wait_ns
            await asyncio.sleep(wait_ns / _NS_PER_S)
            now_ns = self._now_ns()

    async def _charged(
        self, request: web.Request, handler: Handler, kind: BucketKind, signer: str
    ) -> web.StreamResponse:
        """Take the request's cost from the signer's bucket; a request that proves nobody costs nothing."""
        buckets = self._venue.buckets
        try:
            cost = await _cost(request)
        except web.HTTPRequestEntityTooLarge:
            return refused(payload_too_large())
        now_ns = self._now_ns()
        charge = buckets.charge(signer, kind, cost, now_ns)
        self._log(request, is_refused=charge.is_refused)
        if charge.is_refused:
            refusal = _too_many_requests(charge.wait_ns)
            refusal.headers.update(charge.headers(now_ns))
            return refusal
        response = await answered(request, handler)
        if response.status == 401:
            buckets.give_back(signer, kind, cost, self._now_ns())
            return response
        if request.path in _SWEEPING and response.status == 200:
            charge = self._debited(charge, signer, response)
        response.headers.update(charge.headers(self._now_ns()))
        return response

    def _log(self, request: web.Request, is_refused: bool) -> None:
        if self._venue.order_log is not None:
            self._venue.order_log.note_request(request.method, request.path, is_refused, self._now_ns())

    def _debited(self, charge: Charge, signer: str, response: web.StreamResponse) -> Charge:
        if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
            return charge
        count = len(msgspec.json.decode(response.body, type=_CancelCount).canceled)
        remaining = self._venue.buckets.debit_cancels(signer, count, self._now_ns())
        return msgspec.structs.replace(charge, remaining=remaining)


async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's answer; every refusal as the venue's JSON, aiohttp's own (404, 405, 413) included."""
    try:
        return await handler(request)
    except VenueRefusal as refusal:
        return refused(refusal)
    except web.HTTPRequestEntityTooLarge:
        return refused(payload_too_large())
    except web.HTTPException as fault:
        return answer({"error": fault.reason}, status=fault.status)


def refused(refusal: VenueRefusal) -> web.Response:
    """A refusal as the venue writes it."""
    if not isinstance(refusal, ModeRefusal):
        return answer({"error": refusal.text}, status=refusal.status)
    response = answer({"error": refusal.text, **refusal.details}, status=refusal.status)
    response.headers.update(refusal.headers)
    return response


async def _cost(request: web.Request) -> int:
    """Orders or cancels a request stands for; a malformed body costs one."""
    if request.path != "/orders":
        return 1
    try:
        return max(1, len(msgspec.json.decode(await request.read(), type=list[msgspec.Raw])))
    except (msgspec.MsgspecError, RecursionError):
        return 1


def _too_many_requests(wait_ns: int) -> web.Response:
    response = answer({"error": "Too Many Requests"}, status=429)
    response.headers["Retry-After"] = str(max(1, -(-wait_ns // _NS_PER_S)))
    return response


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _cut(request: web.Request) -> web.Response:
    """End the connection with a TCP reset; what is returned is never sent."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_NOT_FIN)
        request.transport.abort()
    return web.Response()
