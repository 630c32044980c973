"""Public REST of the venue: markets, time, version, geoblock (polymarket.md §3.6, §10, §11.2).

Books and prices are in `prices`.
"""

from collections.abc import Callable

from aiohttp import web

from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.rest.lookup import Lookup
from clawswarm.sandbox.rest.market_records import (
    Record,
    compact_record,
    full_record,
    legacy_fee_bps,
    simplified_record,
    tick_number,
)
from clawswarm.sandbox.rest.prices import PricesRest
from clawswarm.sandbox.rest.wire import answer, page, page_body
from clawswarm.sandbox.venue import Venue

_NS_PER_S = 1_000_000_000
_MARKETS_PAGE = 1000


class PublicRest:
    """Handlers that need no key."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._now_ns = now_ns
        self._lookup = Lookup(venue)
        self._prices = PricesRest(venue, now_ns)

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [
            web.get("/", self.ok),
            web.get("/ok", self.ok),
            web.get("/time", self.time),
            web.get("/version", self.version),
            web.get("/tick-size", self.tick_size),
            web.get("/tick-size/{token_id}", self.tick_size),
            web.get("/neg-risk", self.neg_risk),
            web.get("/neg-risk/{token_id}", self.neg_risk),
            web.get("/fee-rate", self.fee_rate),
            web.get("/fee-rate/{token_id}", self.fee_rate),
            web.get("/markets", self.markets),
            web.get("/simplified-markets", self.simplified_markets),
            web.get("/sampling-markets", self.sampling_markets),
            web.get("/sampling-simplified-markets", self.sampling_simplified_markets),
            web.get("/markets/{condition_id}", self.market),
            web.get("/markets-by-token/{token_id}", self.market_by_token),
            web.get("/clob-markets/{condition_id}", self.clob_market),
            web.get("/api/geoblock", self.geoblock),
            *self._prices.routes(),
        ]

    async def ok(self, _request: web.Request) -> web.Response:
        """The venue is up."""
        return answer("OK")

    async def time(self, _request: web.Request) -> web.Response:
        """Bare integer of seconds."""
        return answer(self._now_ns() // _NS_PER_S)

    async def version(self, _request: web.Request) -> web.Response:
        """Protocol version of orders."""
        return answer({"version": 2})

    async def tick_size(self, request: web.Request) -> web.Response:
        """Tick as a number."""
        return answer({"minimum_tick_size": tick_number(self._market(request))})

    async def neg_risk(self, request: web.Request) -> web.Response:
        """Which exchange contract signs."""
        return answer({"neg_risk": self._market(request).neg_risk})

    async def fee_rate(self, request: web.Request) -> web.Response:
        """Legacy base fee."""
        return answer({"base_fee": legacy_fee_bps(self._market(request))})

    async def markets(self, request: web.Request) -> web.Response:
        """Cursor page of full market records, closed ones too."""
        return self._page(request, full_record, lambda _market: True)

    async def simplified_markets(self, request: web.Request) -> web.Response:
        """Cursor page of short market records, closed ones too."""
        return self._page(request, simplified_record, lambda _market: True)

    async def sampling_markets(self, request: web.Request) -> web.Response:
        """Cursor page of full records of open markets with rewards."""
        return self._page(request, full_record, _is_sampled)

    async def sampling_simplified_markets(self, request: web.Request) -> web.Response:
        """Cursor page of short records of open markets with rewards."""
        return self._page(request, simplified_record, _is_sampled)

    async def market(self, request: web.Request) -> web.Response:
        """Full record of one market."""
        market = self._lookup.condition(request.match_info["condition_id"])
        return answer(full_record(market, self._lookup.mids(market)))

    async def clob_market(self, request: web.Request) -> web.Response:
        """Compact record of one market."""
        return answer(compact_record(self._lookup.condition(request.match_info["condition_id"])))

    async def market_by_token(self, request: web.Request) -> web.Response:
        """Condition id and tokens of the market that a token belongs to."""
        found = self._venue.exchange.tokens.get(request.match_info["token_id"])
        if found is None:
            raise refusals.market_not_found()
        market = found[0]
        return answer(
            {
                "condition_id": market.condition_id,
                "primary_token_id": market.yes_token,
                "secondary_token_id": market.no_token,
            }
        )

    async def geoblock(self, request: web.Request) -> web.Response:
        """Whether the caller's region may trade."""
        faults = self._venue.faults
        country, region = faults.place
        place = {"ip": request.remote or "", "country": country, "region": region}
        return answer({"blocked": faults.is_geoblocked, **place})

    def _market(self, request: web.Request) -> ListedMarket:
        token = request.match_info.get("token_id", request.query.get("token_id", ""))
        return self._lookup.token(token)[0]

    def _page(
        self,
        request: web.Request,
        record: Callable[[ListedMarket, tuple[float, float]], Record],
        is_listed: Callable[[ListedMarket], bool],
    ) -> web.Response:
        listed = [market for market in self._venue.exchange.markets.values() if is_listed(market)]
        chosen, next_cursor = page(listed, request.query.get("next_cursor", ""), _MARKETS_PAGE)
        data: list[object] = [record(market, self._lookup.mids(market)) for market in chosen]
        return answer(page_body(data, next_cursor, _MARKETS_PAGE))


def _is_sampled(market: ListedMarket) -> bool:
    return market.is_open and market.rewards.is_on
