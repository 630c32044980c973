"""The Data API: positions, trades, portfolio value, both versions (polymarket.md §11.4).

The live service is another host; here its base address ends in `/data-api`.
"""

import base64
from binascii import Error as Base64Error
from collections.abc import Sequence
from typing import TypeVar

from aiohttp import web

from clawswarm.model.units import MICRO
from clawswarm.sandbox.data_api.objects import (
    Record,
    is_dust,
    is_redeemable,
    position_v1,
    position_v2,
    trade_v1,
    trade_v2,
)
from clawswarm.sandbox.data_api.positions import Fill, Holding, fills_of, holdings_of
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.gamma.objects import outcome_prices
from clawswarm.sandbox.gamma.query import flag, instant_ms, number, values
from clawswarm.sandbox.identity.eip712 import Malformed, checksum_address
from clawswarm.sandbox.rest.wire import answer
from clawswarm.sandbox.venue import Venue

PREFIX = "/data-api"
_LARGEST_PAGE = 1_000
_DEFAULT_PAGE = 100
_STATUSES = ("OPEN", "REDEEMABLE", "REDEEMABLE_LOST", "MERGEABLE", "CLOSED")

Item = TypeVar("Item")
Query = list[tuple[str, str]]


def _refused(name: str) -> VenueRefusal:
    return VenueRefusal(400, f"invalid query parameter: {name}")


class DataRest:
    """Handlers of the Data API."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [
            web.get(f"{PREFIX}/positions", self.positions_v1),
            web.get(f"{PREFIX}/trades", self.trades_v1),
            web.get(f"{PREFIX}/value", self.value_v1),
            web.get(f"{PREFIX}/v2/positions", self.positions_v2),
            web.get(f"{PREFIX}/v2/trades", self.trades_v2),
            web.get(f"{PREFIX}/v2/value", self.value_v2),
        ]

    async def positions_v1(self, request: web.Request) -> web.Response:
        """Open and redeemable positions of a wallet, the largest first: a bare array."""
        query = list(request.query.items())
        wallet = _wallet(query)
        markets = values(query, "market")
        threshold = number(query, "sizeThreshold")
        redeemable, mergeable = flag(query, "redeemable"), flag(query, "mergeable")
        least_e6 = round((1.0 if threshold is None else threshold) * MICRO)
        rows = [
            position_v1(wallet, held, self._price(held), self._venue.catalog, is_mergeable=can_merge)
            for held, can_merge in self._holdings(wallet)
            if held.size_e6 >= max(least_e6, 1)
            and (not markets or held.market.condition_id in markets)
            and redeemable in (None, is_redeemable(held))
            and mergeable in (None, can_merge)
        ]
        return answer(_slice(rows, query))

    async def positions_v2(self, request: web.Request) -> web.Response:
        """Positions of a wallet by status, open ones and redeemable ones unless another is asked for."""
        query = list(request.query.items())
        wallet = _wallet(query)
        markets, statuses = values(query, "condition_id"), values(query, "status")
        if any(status not in _STATUSES for status in statuses):
            raise _refused("status")
        rows = [
            position_v2(wallet, held, self._price(held), self._venue.catalog, is_mergeable=can_merge)
            for held, can_merge in self._holdings(wallet)
            if (not markets or held.market.condition_id in markets)
            and _has_status(held, can_merge, statuses[-1] if statuses else None)
        ]
        return answer(_page(rows, query))

    async def trades_v1(self, request: web.Request) -> web.Response:
        """Trades, newest first: a bare array."""
        query = list(request.query.items())
        rows = [
            trade_v1(wallet, fill, self._venue.catalog)
            for wallet, fill in self._fills(query, "market", "takerOnly")
        ]
        return answer(_slice(rows, query))

    async def trades_v2(self, request: web.Request) -> web.Response:
        """Trades, newest first."""
        query = list(request.query.items())
        rows = [
            trade_v2(wallet, fill, self._venue.catalog)
            for wallet, fill in self._fills(query, "condition_id", "taker_only")
        ]
        return answer(_page(rows, query))

    async def value_v1(self, request: web.Request) -> web.Response:
        """Worth of a wallet's positions: an array of one."""
        query = list(request.query.items())
        wallet = _wallet(query)
        return answer([{"user": wallet, "value": self._value(wallet, values(query, "market"))}])

    async def value_v2(self, request: web.Request) -> web.Response:
        """Worth of a wallet's positions."""
        query = list(request.query.items())
        wallet = _wallet(query)
        value = self._value(wallet, values(query, "condition_id"))
        return answer({"data": {"proxy_wallet": wallet, "value": value}})

    # --- inside ---------------------------------------------------------------------------------

    def _holdings(self, wallet: str) -> list[tuple[Holding, bool]]:
        """Holdings of a wallet, most valuable first, each with whether its pair is held too."""
        exchange = self._venue.exchange
        account = exchange.ledger.accounts.get(wallet)
        if account is None:
            return []
        fills = fills_of(wallet, exchange.trades_by_account.get(wallet, {}).values())
        held = holdings_of(account, fills, exchange.tokens)
        sizes = {(h.market.condition_id, h.is_yes): h.size_e6 for h in held}

        def is_paired(h: Holding) -> bool:
            other = sizes.get((h.market.condition_id, not h.is_yes), 0)
            return h.market.winner is None and h.size_e6 > 0 and other > 0

        held.sort(key=lambda h: -self._price(h) * h.size_e6)
        return [(h, is_paired(h)) for h in held]

    def _price(self, held: Holding) -> float:
        market = held.market
        prices = outcome_prices(market, self._venue.exchange.books[market.condition_id])
        return float(prices[0 if held.is_yes else 1])

    def _value(self, wallet: str, markets: list[str]) -> float:
        return sum(
            self._price(held) * held.size_e6 / MICRO
            for held, _ in self._holdings(wallet)
            if not markets or held.market.condition_id in markets
        )

    def _fills(self, query: Query, market_name: str, taker_name: str) -> list[tuple[str, Fill]]:
        """Fills of one wallet, or of all; takers' only unless the request says otherwise."""
        exchange = self._venue.exchange
        asked = values(query, "user")
        wallets = [_checked(asked[-1])] if asked else list(exchange.trades_by_account)
        markets, sides = values(query, market_name), values(query, "side")
        is_taker_only = flag(query, taker_name) is not False
        start_ms, end_ms = _seconds_ms(query, "start"), _seconds_ms(query, "end")
        found = [
            (wallet, fill)
            for wallet in wallets
            for fill in fills_of(wallet, exchange.trades_by_account.get(wallet, {}).values())
            if (fill.is_taker or not is_taker_only)
            and (not markets or fill.trade.market.condition_id in markets)
            and (not sides or ("BUY" if fill.is_buy else "SELL") in sides)
            and (start_ms is None or fill.trade.matched_ns >= start_ms * 1_000_000)
            and (end_ms is None or fill.trade.matched_ns <= end_ms * 1_000_000)
        ]
        found.sort(key=lambda item: item[1].trade.matched_ns, reverse=True)
        return found


def _has_status(held: Holding, can_merge: bool, status: str | None) -> bool:
    match status:
        case "CLOSED":
            return not held.size_e6
        case "OPEN":
            return not is_dust(held) and held.market.winner is None
        case "REDEEMABLE":
            return is_redeemable(held)
        case "REDEEMABLE_LOST":
            return is_redeemable(held) and held.market.payout_e6(held.is_yes) == 0
        case "MERGEABLE":
            return can_merge
    return not is_dust(held)


def _wallet(query: Query) -> str:
    found = values(query, "user")
    if not found:
        raise VenueRefusal(400, "required query param 'user' not provided")
    return _checked(found[-1])


def _checked(text: str) -> str:
    try:
        return checksum_address(text)
    except Malformed as fault:
        raise _refused("user") from fault


def _seconds_ms(query: Query, name: str) -> int | None:
    found = values(query, name)
    if found and found[-1].isdigit():
        return int(found[-1]) * 1000
    return instant_ms(query, name)


def _limit(query: Query) -> int:
    asked = number(query, "limit")
    return _DEFAULT_PAGE if asked is None else int(min(max(asked, 1), _LARGEST_PAGE))


def _slice(rows: Sequence[Item], query: Query) -> list[Item]:
    offset = int(max(number(query, "offset") or 0, 0))
    return list(rows[offset : offset + _limit(query)])


def _page(rows: Sequence[Record], query: Query) -> Record:
    """The envelope of the second version: `has_more` and `next_cursor` agree."""
    cursors = values(query, "cursor")
    try:
        begin = int(base64.urlsafe_b64decode(cursors[-1])) if cursors else 0
    except (ValueError, Base64Error) as fault:
        raise _refused("cursor") from fault
    end = begin + _limit(query)
    has_more = end < len(rows)
    cursor = base64.urlsafe_b64encode(str(end).encode()).decode() if has_more else None
    return {"data": list(rows[begin:end]), "pagination": {"has_more": has_more, "next_cursor": cursor}}
