"""Public REST of the venue: books, markets, time, geoblock (polymarket.md §3.6, §10, §11.2)."""

from collections.abc import Callable

from aiohttp import web

from clawswarm.model.units import PRICE_ONE_E4, format_price, format_scaled
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.identity.auth import is_uint
from clawswarm.sandbox.rest.market_records import compact_record, full_record, legacy_fee_bps, tick_number
from clawswarm.sandbox.rest.wire import answer, answer_text, page, page_body
from clawswarm.sandbox.streams.book_text import BookText
from clawswarm.sandbox.venue import Venue

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_MARKETS_PAGE = 1000
_CONDITION_LENGTH = 66


class PublicRest:
    """Handlers that need no key."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._now_ns = now_ns

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [
            web.get("/", self.ok),
            web.get("/ok", self.ok),
            web.get("/time", self.time),
            web.get("/version", self.version),
            web.get("/book", self.book),
            web.get("/midpoint", self.midpoint),
            web.get("/tick-size", self.tick_size),
            web.get("/neg-risk", self.neg_risk),
            web.get("/fee-rate", self.fee_rate),
            web.get("/markets", self.markets),
            web.get("/markets/{condition_id}", self.market),
            web.get("/markets-by-token/{token_id}", self.market_by_token),
            web.get("/clob-markets/{condition_id}", self.clob_market),
            web.get("/api/geoblock", self.geoblock),
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

    async def book(self, request: web.Request) -> web.Response:
        """Order book of a token, worst level first, with its hash."""
        market, is_yes = self._market_of(request)
        _, text = self._text(market).summary(is_yes, market.updated_ns // _NS_PER_MS)
        return answer_text(text)

    async def midpoint(self, request: web.Request) -> web.Response:
        """Middle of the touch; 404 while a side is empty."""
        market, is_yes = self._market_of(request)
        bid, ask = self._text(market).touch(is_yes)
        if bid is None or ask is None:
            raise refusals.no_orderbook()
        return answer({"mid": format_scaled(5 * (bid + ask), 10 * PRICE_ONE_E4)})

    async def tick_size(self, request: web.Request) -> web.Response:
        """Tick as a number."""
        market, _ = self._market_of(request)
        return answer({"minimum_tick_size": tick_number(market)})

    async def neg_risk(self, request: web.Request) -> web.Response:
        """Which exchange contract signs."""
        market, _ = self._market_of(request)
        return answer({"neg_risk": market.neg_risk})

    async def fee_rate(self, request: web.Request) -> web.Response:
        """Legacy base fee."""
        market, _ = self._market_of(request)
        return answer({"base_fee": legacy_fee_bps(market)})

    async def markets(self, request: web.Request) -> web.Response:
        """Cursor page of full market records."""
        listed = list(self._venue.exchange.markets.values())
        chosen, next_cursor = page(listed, request.query.get("next_cursor", ""), _MARKETS_PAGE)
        data: list[object] = [full_record(market, self._mids(market)) for market in chosen]
        return answer(page_body(data, next_cursor, _MARKETS_PAGE))

    async def market(self, request: web.Request) -> web.Response:
        """Full record of one market."""
        market = self._by_condition(request)
        return answer(full_record(market, self._mids(market)))

    async def clob_market(self, request: web.Request) -> web.Response:
        """Compact record of one market."""
        return answer(compact_record(self._by_condition(request)))

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
        is_blocked = self._venue.faults.is_geoblocked
        country, region = ("US", "NY") if is_blocked else ("IE", "L")
        return answer(
            {"blocked": is_blocked, "ip": request.remote or "", "country": country, "region": region}
        )

    def _market_of(self, request: web.Request) -> tuple[ListedMarket, bool]:
        token = request.query.get("token_id", "")
        if not is_uint(token):
            raise refusals.invalid_token()
        return self._venue.exchange.market_of(token)

    def _by_condition(self, request: web.Request) -> ListedMarket:
        condition_id = request.match_info["condition_id"]
        market = self._venue.exchange.markets.get(condition_id)
        if market is None:
            is_shaped = condition_id.startswith("0x") and len(condition_id) == _CONDITION_LENGTH
            raise refusals.market_not_found() if is_shaped else refusals.invalid_market()
        return market

    def _text(self, market: ListedMarket) -> BookText:
        return self._venue.market_hub.frames.books[market.condition_id]

    def _mids(self, market: ListedMarket) -> tuple[float, float]:
        """Prices of both outcomes: the middle, or 1 and 0 after the end."""
        if market.winner is not None:
            return (1.0, 0.0) if market.winner == "YES" else (0.0, 1.0)
        bid, ask = self._text(market).touch(is_yes=True)
        middle = ((bid or 0) + (PRICE_ONE_E4 if ask is None else ask)) // 2
        return float(format_price(middle)), float(format_price(PRICE_ONE_E4 - middle))
