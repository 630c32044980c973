"""Placing and cancelling orders, and the heartbeat (polymarket.md §3.1 to §3.5, §4)."""

import asyncio

import msgspec
from aiohttp import web

from clawswarm.model.units import format_e6
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import DelayEnded, Trade
from clawswarm.sandbox.exchange.matching import Placed
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.heartbeats import BeatRefused
from clawswarm.sandbox.rest.caller import Caller, decode
from clawswarm.sandbox.rest.variant import Record, documented_placement
from clawswarm.sandbox.rest.wire import answer
from clawswarm.sandbox.venue import check_order_id, refusal_of_leg

ORDERS_PER_BATCH = 15
CANCELS_PER_BATCH = 3000
DOCUMENTED_CANCELS_PER_BATCH = 1000

_NGINX_404 = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n</body>\r\n</html>\r\n"


_Wait = asyncio.Future[DelayEnded]


class _CancelBody(msgspec.Struct):
    orderID: str  # noqa: N815 - the wire's spelling


class _CancelMarketBody(msgspec.Struct):
    market: str = ""
    asset_id: str = ""


class _CancelWalletBody(msgspec.Struct):
    order_ids: list[str] | None = None
    all: bool | None = None


class _HeartbeatBody(msgspec.Struct):
    heartbeat_id: str | None


class OrdersRest:
    """Handlers that change orders."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._venue = caller.venue

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [
            web.post("/order", self.place),
            web.post("/orders", self.place_batch),
            web.delete("/order", self.cancel),
            web.delete("/orders", self.cancel_batch),
            web.delete("/cancel-market-orders", self.cancel_market),
            web.delete("/cancel-all", self.cancel_all),
            web.delete("/cancel-wallet-orders", self.cancel_wallet),
            web.delete("/v1/gateway/cancel-wallet-orders", self.cancel_wallet),
            web.post("/v1/heartbeats", self.heartbeat),
            web.post("/heartbeats", self.legacy_heartbeat),
        ]

    # --- placing --------------------------------------------------------------------------------

    async def place(self, request: web.Request) -> web.Response:
        """Enter one order; the answer of a held one waits until its delay is over."""
        key, body = await self._caller.authorize(request)
        placed = self._venue.place(key, body, self._caller.now_ns())
        return answer(await self._outcome(placed, self._wait(placed)))

    async def place_batch(self, request: web.Request) -> web.Response:
        """Enter up to 15 orders side by side; each has its own result, in order."""
        key, body = await self._caller.authorize(request)
        if self._venue.faults.is_geoblocked:
            raise refusals.region_restricted()
        legs = decode(body, list[msgspec.Raw], refusals.invalid_order_payload)
        if not legs:
            raise refusals.invalid_order_payload()
        if len(legs) > ORDERS_PER_BATCH:
            raise refusals.too_many_orders(len(legs), ORDERS_PER_BATCH)
        entered: list[Placed | VenueRefusal] = []
        for leg in legs:
            try:
                entered.append(self._venue.place(key, leg, self._caller.now_ns()))
            except VenueRefusal as refusal:
                entered.append(refusal)
        # All waits begin before any of them: no held leg can end unheard.
        waits = [None if isinstance(one, VenueRefusal) else self._wait(one) for one in entered]
        return answer([await self._leg(one, wait) for one, wait in zip(entered, waits, strict=True)])

    async def _leg(self, entered: Placed | VenueRefusal, wait: _Wait | None) -> Record:
        if isinstance(entered, VenueRefusal):
            return refusal_of_leg(entered)
        try:
            return await self._outcome(entered, wait)
        except VenueRefusal as refusal:
            return refusal_of_leg(refusal)

    def _wait(self, placed: Placed) -> _Wait | None:
        """Begin to wait for a held order whose caller is to wait."""
        order = placed.order
        if order.status != "DELAYED" or not order.market.taker_delay_ms:
            return None
        released: _Wait = asyncio.get_running_loop().create_future()

        def tell(ended: DelayEnded) -> None:
            if not released.done():
                released.set_result(ended)

        self._venue.trading.when_released(order.id, tell)
        return released

    async def _outcome(self, placed: Placed, wait: _Wait | None) -> Record:
        """The answer to an accepted order. Raises what a held order was thrown out with."""
        if wait is None:
            return self._shown(placed_body(placed.order, placed.trades, placed.money_e6))
        ended = await wait
        if ended.refusal is not None:
            raise ended.refusal
        return self._shown(placed_body(ended.order, ended.trades, ended.money_e6))

    def _shown(self, body: Record) -> Record:
        return documented_placement(body) if self._caller.is_documented else body

    # --- cancelling -----------------------------------------------------------------------------

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel one order."""
        key, body = await self._caller.authorize(request)
        order_id = check_order_id(decode(body, _CancelBody, refusals.invalid_order_payload).orderID)
        return answer(self._venue.cancel_ids(key, [order_id], self._caller.now_ns()))

    async def cancel_batch(self, request: web.Request) -> web.Response:
        """Cancel up to 3,000 orders (1,000 in the older documentation)."""
        key, body = await self._caller.authorize(request)
        wanted = self._order_ids(decode(body, list[str], refusals.invalid_order_payload))
        return answer(self._venue.cancel_ids(key, wanted, self._caller.now_ns()))

    async def cancel_market(self, request: web.Request) -> web.Response:
        """Cancel every order of this key in a market, a token, or both."""
        key, body = await self._caller.authorize(request)
        target = decode(body, _CancelMarketBody, refusals.invalid_order_payload)
        if not target.market and not target.asset_id:
            raise refusals.invalid_order_payload()
        report = self._venue.cancel_where(
            key,
            self._caller.now_ns(),
            lambda order: (
                target.market in ("", order.market.condition_id) and target.asset_id in ("", order.token)
            ),
        )
        return answer(report)

    async def cancel_all(self, request: web.Request) -> web.Response:
        """Cancel every order of this key."""
        key, _ = await self._caller.authorize(request)
        return answer(self._venue.cancel_where(key, self._caller.now_ns(), lambda _order: True))

    async def cancel_wallet(self, request: web.Request) -> web.Response:
        """Cancel orders of the owner's deposit wallet across keys; documented, but not routed live."""
        if not self._venue.settings.is_wallet_cancel_routed:
            return web.Response(text=_NGINX_404, status=404, content_type="text/html")
        key, body = await self._caller.authorize(request)
        asked = decode(body, _CancelWalletBody, refusals.invalid_order_payload)
        if (asked.order_ids is None) == (asked.all is not True):
            raise refusals.invalid_order_payload()
        wanted = None if asked.order_ids is None else self._order_ids(asked.order_ids)
        return answer(self._venue.cancel_wallet(key, wanted, self._caller.now_ns()))

    def _order_ids(self, order_ids: list[str]) -> list[str]:
        limit = DOCUMENTED_CANCELS_PER_BATCH if self._caller.is_documented else CANCELS_PER_BATCH
        if len(order_ids) > limit:
            raise refusals.too_many_cancels(limit)
        return [check_order_id(order_id) for order_id in order_ids]

    # --- heartbeat ------------------------------------------------------------------------------

    async def heartbeat(self, request: web.Request) -> web.Response:
        """Keep orders alive for another ten seconds."""
        key, body = await self._caller.authorize(request)
        sent = decode(body, _HeartbeatBody, refusals.invalid_payload).heartbeat_id or ""
        try:
            return answer({"heartbeat_id": self._venue.beat(key, sent, self._caller.now_ns())})
        except BeatRefused as refused:
            name = "error" if self._caller.is_documented else "error_msg"
            return answer({name: str(refused), "heartbeat_id": refused.expected}, status=400)

    async def legacy_heartbeat(self, request: web.Request) -> web.Response:
        """The beat without an id chain that one documentation page still shows."""
        key, _ = await self._caller.authorize(request)
        scope = self._venue.access.heartbeat_scope(key.key)
        self._venue.heartbeats.beat_without_id(scope, self._caller.now_ns())
        return answer({"status": "ok"})


def placed_body(order: Order, trades: tuple[Trade, ...], money_e6: int) -> Record:
    """The answer to an accepted order."""
    status = {"LIVE": "live", "DELAYED": "delayed"}.get(order.status, "unmatched")
    body: Record = {
        "success": True,
        "errorMsg": "",
        "orderID": order.id,
        "status": "matched" if trades else status,
        "makingAmount": "",
        "takingAmount": "",
    }
    if trades:
        shares, money = format_e6(sum(trade.size_e6 for trade in trades)), format_e6(money_e6)
        making, taking = (money, shares) if order.is_buy else (shares, money)
        body |= {"makingAmount": making, "takingAmount": taking}
        body |= {"tradeIDs": [trade.id for trade in trades], "transactionsHashes": []}
    return body
