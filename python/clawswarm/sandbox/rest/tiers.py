"""GET /v1/user/rate-limit-tier: the signer's tier and balances (polymarket.md §3.6; schema not published)."""

from collections.abc import Callable

from aiohttp import web

from clawswarm.sandbox.rest.wire import answer
from clawswarm.sandbox.venue import Venue

_NS_PER_S = 1_000_000_000


class TierRest:
    """The handler; needs an API key."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._now_ns = now_ns

    def routes(self) -> list[web.RouteDef]:
        """Method and path."""
        return [web.get("/v1/user/rate-limit-tier", self.tier)]

    async def tier(self, request: web.Request) -> web.Response:
        """Tier, rates, bursts and what is left of each bucket."""
        now_ns = self._now_ns()
        body, signed = await request.read(), request.method + request.rel_url.raw_path
        self._venue.keys.check_l2(request.headers, signed, body, now_ns // _NS_PER_S)
        return answer(self._venue.buckets.state(request.headers["POLY_ADDRESS"].lower(), now_ns))
