"""What every private route shares: who is asking, and what the body says."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.keys import ApiKey
from clawswarm.sandbox.venue import Venue

_NS_PER_S = 1_000_000_000
_Body = TypeVar("_Body")


class Reader(msgspec.Struct, frozen=True):
    """Someone who may read: a signer, and its key unless the read-only key was shown."""

    address: str
    key: str | None


class Caller:
    """Proves requests of one venue."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self.venue = venue
        self.now_ns = now_ns

    @property
    def is_documented(self) -> bool:
        """Whether answers follow the documentation where the live venue does not."""
        return self.venue.settings.variant == "documented"

    async def authorize(self, request: web.Request) -> tuple[ApiKey, bytes]:
        """The key that signed the request, and the body (L2)."""
        body = await request.read()
        signed = request.method + request.rel_url.raw_path
        return self.venue.keys.check_l2(request.headers, signed, body, self.now_ns() // _NS_PER_S), body

    async def reader(self, request: web.Request) -> Reader:
        """Who reads: by L2 headers or by a read-only key."""
        if "POLY_READONLY_API_KEY" in request.headers:
            return Reader(self.venue.keys.check_readonly(request.headers), None)
        key, _ = await self.authorize(request)
        return Reader(key.address, key.key)

    def is_own(self, reader: Reader, order: Order) -> bool:
        """Whether an order was placed with the reader's key (any key of the signer for a read-only key)."""
        if reader.key is not None:
            return order.owner == reader.key
        return self.venue.keys.address_of(order.owner) == reader.address


def decode(body: bytes, kind: type[_Body], refusal: Callable[[], VenueRefusal]) -> _Body:
    """The body as a type, or the refusal."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise refusal() from fault
