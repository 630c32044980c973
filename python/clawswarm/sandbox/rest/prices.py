"""Books and prices: single tokens by GET, many by POST (polymarket.md §3.6).

The plural GET forms answer 400 live. In a POST, tokens without an open market or without a price are left out.
"""

from collections.abc import Callable

import msgspec
from aiohttp import web

from clawswarm.model.units import PRICE_ONE_E4, format_price, format_scaled
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.identity.keys import is_uint
from clawswarm.sandbox.price_history import parse_query
from clawswarm.sandbox.rest.caller import decode
from clawswarm.sandbox.rest.lookup import Listed, Lookup
from clawswarm.sandbox.rest.variant import as_number, documented_book
from clawswarm.sandbox.rest.wire import answer, answer_text
from clawswarm.sandbox.venue import Venue

MOST_TOKENS = 500

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_SIDES = ("BUY", "SELL")


class _Asked(msgspec.Struct):
    token_id: str
    side: str | msgspec.UnsetType = msgspec.UNSET


class PricesRest:
    """Handlers of books and prices."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._now_ns = now_ns
        self._lookup = Lookup(venue)
        self._is_documented = venue.settings.variant == "documented"

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        plural = ("/books", "/midpoints", "/prices", "/spreads", "/last-trades-prices")
        return [
            web.get("/book", self.book),
            web.post("/books", self.books),
            web.get("/midpoint", self.midpoint),
            web.post("/midpoints", self.midpoints),
            web.get("/price", self.price),
            web.post("/prices", self.prices),
            web.get("/spread", self.spread),
            web.post("/spreads", self.spreads),
            web.get("/last-trade-price", self.last_trade),
            web.post("/last-trades-prices", self.last_trades),
            web.get("/prices-history", self.history),
            *[web.get(path, self.plural_get) for path in plural],
        ]

    async def plural_get(self, _request: web.Request) -> web.Response:
        """Documented, refused live whatever the encoding."""
        raise refusals.invalid_payload()

    async def book(self, request: web.Request) -> web.Response:
        """Order book of a token, worst level first, with its hash."""
        text = self._book(self._one(request))
        return answer(documented_book(text)) if self._is_documented else answer_text(text)

    async def books(self, request: web.Request) -> web.Response:
        """Order books of several tokens, in the order asked."""
        texts = [self._book(listed) for _, listed in await self._many(request)]
        if self._is_documented:
            return answer([documented_book(text) for text in texts])
        return answer_text(f"[{','.join(texts)}]")

    async def midpoint(self, request: web.Request) -> web.Response:
        """Middle of the touch; 404 while a side is empty."""
        middle = self._middle(self._one(request))
        if middle is None:
            raise refusals.no_orderbook()
        return answer({"mid_price" if self._is_documented else "mid": middle})

    async def midpoints(self, request: web.Request) -> web.Response:
        """Middles of several tokens."""
        return answer(_present({asked.token_id: self._middle(at) for asked, at in await self._many(request)}))

    async def price(self, request: web.Request) -> web.Response:
        """Best price of a side; which side of the book that is, is a setting."""
        listed, side = self._one(request), request.query.get("side", "")
        if side not in _SIDES:
            raise refusals.invalid_side()
        price = self._price(listed, side)
        if price is None:
            raise refusals.no_orderbook()
        return answer({"price": as_number(price) if self._is_documented else price})

    async def prices(self, request: web.Request) -> web.Response:
        """Best prices of several tokens; one without a side means SELL, as live."""
        found: dict[str, dict[str, object]] = {}
        for asked, listed in await self._many(request):
            side = "SELL" if asked.side is msgspec.UNSET else asked.side
            if side not in _SIDES:
                raise refusals.invalid_side()
            price = self._price(listed, side)
            if price is not None:
                shown = as_number(price) if self._is_documented else price
                found.setdefault(asked.token_id, {})[side] = shown
        return answer(found)

    async def spread(self, request: web.Request) -> web.Response:
        """Width of the touch; 404 while a side is empty."""
        spread = self._spread(self._one(request))
        if spread is None:
            raise refusals.no_orderbook()
        return answer({"spread": spread})

    async def spreads(self, request: web.Request) -> web.Response:
        """Widths of several tokens."""
        return answer(_present({asked.token_id: self._spread(at) for asked, at in await self._many(request)}))

    async def last_trade(self, request: web.Request) -> web.Response:
        """Last trade of the market, in the taker's token as the stream tells it; "0.5" before the first."""
        market, _ = self._one(request)
        if market.last_trade_e4 is None:
            return answer({"price": "0.5", "side": ""})
        return answer({"price": format_price(market.last_trade_e4), "side": market.last_trade_side})

    async def last_trades(self, request: web.Request) -> web.Response:
        """Last trades of several tokens, those that have one."""
        return answer(
            [
                {
                    "token_id": asked.token_id,
                    "price": format_price(market.last_trade_e4),
                    "side": market.last_trade_side,
                }
                for asked, (market, _) in await self._many(request)
                if market.last_trade_e4 is not None
            ]
        )

    async def history(self, request: web.Request) -> web.Response:
        """Past prices of a token."""
        asked = parse_query(dict(request.query))
        found = self._venue.exchange.tokens.get(request.query["market"])
        if found is None:
            return answer({"history": []})
        market, is_yes = found
        now_s = self._now_ns() // _NS_PER_S
        return answer({"history": self._venue.history.points(market.condition_id, is_yes, asked, now_s)})

    # --- inside ---------------------------------------------------------------------------------

    def _one(self, request: web.Request) -> Listed:
        return self._lookup.token(request.query.get("token_id", ""))

    async def _many(self, request: web.Request) -> list[tuple[_Asked, Listed]]:
        asked = decode(await request.read(), list[_Asked], refusals.invalid_payload)
        if len(asked) > MOST_TOKENS:
            raise refusals.payload_too_large()
        if not all(is_uint(one.token_id) for one in asked):
            raise refusals.invalid_token()
        found = [(one, self._lookup.known(one.token_id)) for one in asked]
        return [(one, listed) for one, listed in found if listed is not None]

    def _book(self, listed: Listed) -> str:
        market, is_yes = listed
        return self._lookup.text(market).summary(is_yes, market.updated_ns // _NS_PER_MS)[1]

    def _middle(self, listed: Listed) -> str | None:
        bid, ask = self._lookup.touch(listed)
        return None if bid is None or ask is None else format_scaled(5 * (bid + ask), 10 * PRICE_ONE_E4)

    def _spread(self, listed: Listed) -> str | None:
        bid, ask = self._lookup.touch(listed)
        return None if bid is None or ask is None else format_price(ask - bid)

    def _price(self, listed: Listed, side: str) -> str | None:
        bid, ask = self._lookup.touch(listed)
        is_bid = (side == "BUY") == (self._venue.settings.price_side == "book")
        price = bid if is_bid else ask
        return None if price is None else format_price(price)


def _present(prices: dict[str, str | None]) -> dict[str, str]:
    return {token: price for token, price in prices.items() if price is not None}
