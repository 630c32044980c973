"""Private REST of the venue: keys, orders, cancels, reads, heartbeats (polymarket.md §2 to §4)."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from clawswarm.model.units import format_e6
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.matching import Placed
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.auth import ApiKey, is_uint
from clawswarm.sandbox.identity.eip712 import EXCHANGE_V2, NEG_RISK_EXCHANGE_V2
from clawswarm.sandbox.identity.heartbeats import BeatRefused
from clawswarm.sandbox.rest.wire import answer, page, page_body
from clawswarm.sandbox.streams.user_frames import order_record, trade_record
from clawswarm.sandbox.venue import Venue, check_order_id, refusal_of_leg

_NS_PER_S = 1_000_000_000
_Body = TypeVar("_Body")
_ORDERS_PER_BATCH = 15
_CANCELS_PER_BATCH = 3000
_READ_PAGE = 500
_UNLIMITED = str(2**256 - 1)


class _CancelBody(msgspec.Struct):
    orderID: str  # noqa: N815 - the wire's spelling


class _CancelMarketBody(msgspec.Struct):
    market: str = ""
    asset_id: str = ""


class _HeartbeatBody(msgspec.Struct):
    heartbeat_id: str | None


class PrivateRest:
    """Handlers that need a wallet's proof or an API key."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._now_ns = now_ns

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [
            web.post("/auth/api-key", self.create_key),
            web.get("/auth/derive-api-key", self.derive_key),
            web.get("/auth/api-keys", self.list_keys),
            web.post("/order", self.place),
            web.post("/orders", self.place_batch),
            web.delete("/order", self.cancel),
            web.delete("/orders", self.cancel_batch),
            web.delete("/cancel-market-orders", self.cancel_market),
            web.delete("/cancel-all", self.cancel_all),
            web.get("/data/orders", self.orders),
            web.get("/data/order/{order_id}", self.order),
            web.get("/data/trades", self.trades),
            web.get("/balance-allowance", self.balance),
            web.get("/balance-allowance/update", self.balance),
            web.post("/v1/heartbeats", self.heartbeat),
        ]

    # --- keys -----------------------------------------------------------------------------------

    async def create_key(self, request: web.Request) -> web.Response:
        """Issue a wallet's key (L1)."""
        return _credentials(self._venue.create_key(request.headers, self._now_ns()))

    async def derive_key(self, request: web.Request) -> web.Response:
        """Return a wallet's key again (L1)."""
        return _credentials(self._venue.keys.derive(request.headers, self._now_ns() // _NS_PER_S))

    async def list_keys(self, request: web.Request) -> web.Response:
        """Ids of the wallet's keys."""
        key, _ = await self._authorize(request)
        return answer({"apiKeys": self._venue.keys.keys_of(key.address)})

    # --- orders ---------------------------------------------------------------------------------

    async def place(self, request: web.Request) -> web.Response:
        """Enter one order."""
        key, body = await self._authorize(request)
        return answer(_placed_body(self._venue.place(key, body, self._now_ns())))

    async def place_batch(self, request: web.Request) -> web.Response:
        """Enter up to 15 orders; each has its own result, in order."""
        key, body = await self._authorize(request)
        if self._venue.faults.is_geoblocked:
            raise refusals.region_restricted()
        legs = _decode(body, list[msgspec.Raw], refusals.invalid_order_payload)
        if not legs:
            raise refusals.invalid_order_payload()
        if len(legs) > _ORDERS_PER_BATCH:
            raise refusals.too_many_orders(len(legs), _ORDERS_PER_BATCH)
        results = []
        for leg in legs:
            try:
                results.append(_placed_body(self._venue.place(key, leg, self._now_ns())))
            except VenueRefusal as refusal:
                results.append(refusal_of_leg(refusal))
        return answer(results)

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel one order."""
        key, body = await self._authorize(request)
        order_id = check_order_id(_decode(body, _CancelBody, refusals.invalid_order_payload).orderID)
        return answer(self._venue.cancel_ids(key, [order_id], self._now_ns()))

    async def cancel_batch(self, request: web.Request) -> web.Response:
        """Cancel up to 3,000 orders."""
        key, body = await self._authorize(request)
        order_ids = _decode(body, list[str], refusals.invalid_order_payload)
        if len(order_ids) > _CANCELS_PER_BATCH:
            raise refusals.too_many_cancels(_CANCELS_PER_BATCH)
        wanted = [check_order_id(order_id) for order_id in order_ids]
        return answer(self._venue.cancel_ids(key, wanted, self._now_ns()))

    async def cancel_market(self, request: web.Request) -> web.Response:
        """Cancel every order of this key in a market, a token, or both."""
        key, body = await self._authorize(request)
        target = _decode(body, _CancelMarketBody, refusals.invalid_order_payload)
        if not target.market and not target.asset_id:
            raise refusals.invalid_order_payload()
        report = self._venue.cancel_where(
            key,
            self._now_ns(),
            lambda order: (
                target.market in ("", order.market.condition_id) and target.asset_id in ("", order.token)
            ),
        )
        return answer(report)

    async def cancel_all(self, request: web.Request) -> web.Response:
        """Cancel every order of this key."""
        key, _ = await self._authorize(request)
        return answer(self._venue.cancel_where(key, self._now_ns(), lambda _order: True))

    # --- reads ----------------------------------------------------------------------------------

    async def orders(self, request: web.Request) -> web.Response:
        """Live orders of this key, oldest first."""
        key, _ = await self._authorize(request)
        query = request.query
        found = [
            order
            for order in self._venue.exchange.open_orders(key.address)
            if order.owner == key.key
            and query.get("id", "") in ("", order.id)
            and query.get("market", "") in ("", order.market.condition_id)
            and query.get("asset_id", "") in ("", order.token)
        ]
        chosen, next_cursor = page(found, query.get("next_cursor", ""), _READ_PAGE)
        return answer(page_body([order_record(order) for order in chosen], next_cursor, _READ_PAGE))

    async def order(self, request: web.Request) -> web.Response:
        """One order of this key, finished ones included while they are remembered."""
        key, _ = await self._authorize(request)
        order = self._venue.exchange.orders.get(request.match_info["order_id"])
        if order is None or order.owner != key.key:
            raise refusals.order_not_found()
        return answer(order_record(order))

    async def trades(self, request: web.Request) -> web.Response:
        """Trades of this wallet, newest first."""
        key, _ = await self._authorize(request)
        query = request.query
        after, before = _seconds(query.get("after")), _seconds(query.get("before"))
        found = [
            trade
            for trade in reversed(self._venue.exchange.trades_by_account.get(key.address, {}).values())
            if query.get("id", "") in ("", trade.id)
            and query.get("market", "") in ("", trade.market.condition_id)
            and query.get("asset_id", "") in ("", trade.taker.token)
            and (after is None or trade.matched_ns // _NS_PER_S >= after)
            and (before is None or trade.matched_ns // _NS_PER_S <= before)
            and query.get("maker_address", key.address).lower() == key.address.lower()
        ]
        chosen, next_cursor = page(found, query.get("next_cursor", ""), _READ_PAGE)
        data: list[object] = [trade_record(trade, key.key, key.address) for trade in chosen]
        return answer(page_body(data, next_cursor, _READ_PAGE))

    async def balance(self, request: web.Request) -> web.Response:
        """Balance in base units and the allowances, which the sandbox grants without limit."""
        key, _ = await self._authorize(request)
        query = request.query
        if query.get("signature_type", "0") != "0":
            raise refusals.invalid_signature_type()
        account = self._venue.exchange.ledger.accounts[key.address]
        match query.get("asset_type"):
            case "COLLATERAL":
                balance = account.collateral_e6
            case "CONDITIONAL":
                token = query.get("token_id", "")
                if token not in self._venue.exchange.tokens:
                    raise refusals.invalid_token()
                balance = account.tokens_e6.get(token, 0)
            case _:
                raise VenueRefusal(400, "Invalid asset type")
        allowances = {EXCHANGE_V2: _UNLIMITED, NEG_RISK_EXCHANGE_V2: _UNLIMITED}
        return answer({"balance": str(balance), "allowances": allowances})

    async def heartbeat(self, request: web.Request) -> web.Response:
        """Keep this key's orders alive for another ten seconds."""
        key, body = await self._authorize(request)
        sent = _decode(body, _HeartbeatBody, refusals.invalid_payload).heartbeat_id or ""
        try:
            return answer({"heartbeat_id": self._venue.heartbeats.beat(key.key, sent, self._now_ns())})
        except BeatRefused as refused:
            return answer({"error_msg": str(refused), "heartbeat_id": refused.expected}, status=400)

    async def _authorize(self, request: web.Request) -> tuple[ApiKey, bytes]:
        body = await request.read()
        signed = request.method + request.rel_url.raw_path
        now_s = self._now_ns() // _NS_PER_S
        return self._venue.keys.check_l2(request.headers, signed, body, now_s), body


def _decode(body: bytes, kind: type[_Body], refusal: Callable[[], VenueRefusal]) -> _Body:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise refusal() from fault


def _seconds(text: str | None) -> int | None:
    if not text:
        return None
    if not is_uint(text):
        raise VenueRefusal(400, "Invalid trade params payload")
    return int(text)


def _credentials(key: ApiKey) -> web.Response:
    return answer({"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase})


def _placed_body(placed: Placed) -> dict[str, object]:
    body: dict[str, object] = {
        "success": True,
        "errorMsg": "",
        "orderID": placed.order.id,
        "status": placed.status,
        "makingAmount": "",
        "takingAmount": "",
    }
    if placed.trades:
        shares, money = format_e6(placed.order.matched_e6), format_e6(placed.money_e6)
        making, taking = (money, shares) if placed.order.is_buy else (shares, money)
        body |= {"makingAmount": making, "takingAmount": taking}
        body |= {"tradeIDs": [trade.id for trade in placed.trades], "transactionsHashes": []}
    return body
