"""Private reads: orders, trades, scoring, balances, notifications (polymarket.md §2.5, §3.6)."""

import base64
from collections.abc import Iterator, Mapping

from aiohttp import web

from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.accounts import COLLATERAL, Account
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import Trade
from clawswarm.sandbox.exchange.scoring import is_scoring
from clawswarm.sandbox.identity.eip712 import EXCHANGE_V2, EXCHANGE_V3, NEG_RISK_EXCHANGE_V2
from clawswarm.sandbox.identity.keys import is_uint
from clawswarm.sandbox.identity.wallets import wallets_of
from clawswarm.sandbox.notices import Notice, notice_record, order_payload
from clawswarm.sandbox.rest.caller import Caller, Reader, decode
from clawswarm.sandbox.rest.market_records import full_record
from clawswarm.sandbox.rest.variant import Record, documented_order, documented_trade
from clawswarm.sandbox.rest.wire import answer, decode_cursor, page, page_body
from clawswarm.sandbox.streams.user_frames import order_record, trade_record

READ_PAGE = 500

_NS_PER_S = 1_000_000_000
_CONDITION_LENGTH = 66
_UNLIMITED = str(2**256 - 1)


class ReadsRest:
    """Handlers that read what belongs to a signer."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._venue = caller.venue

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [
            web.get("/data/orders", self.orders),
            web.get("/data/order/{order_id}", self.order),
            web.get("/data/pre-migration-orders", self.pre_migration_orders),
            web.get("/data/wallet-open-orders", self.wallet_orders),
            web.get("/data/trades", self.trades),
            web.get("/order-scoring", self.scoring),
            web.post("/orders-scoring", self.scorings),
            web.get("/balance-allowance", self.balance),
            web.get("/balance-allowance/update", self.refresh),
            web.get("/notifications", self.notifications),
            web.delete("/notifications", self.drop_notifications),
        ]

    # --- orders ---------------------------------------------------------------------------------

    async def orders(self, request: web.Request) -> web.Response:
        """Live orders of this key, oldest first."""
        reader, query = await self._caller.reader(request), request.query
        if not _is_filter(query):
            raise refusals.invalid_order_params()
        found = [
            order
            for wallet in self._wallets(reader)
            for order in self._venue.exchange.open_orders(wallet)
            if self._caller.is_own(reader, order)
            and query.get("id", "") in ("", order.id)
            and query.get("market", "") in ("", order.market.condition_id)
            and query.get("asset_id", "") in ("", order.token)
        ]
        found.sort(key=lambda order: order.created_ns)
        chosen, next_cursor = page(found, query.get("next_cursor", ""), READ_PAGE)
        return answer(page_body([self._order(order) for order in chosen], next_cursor, READ_PAGE))

    async def order(self, request: web.Request) -> web.Response:
        """One order of this key, finished ones included while they are remembered."""
        reader = await self._caller.reader(request)
        order = self._venue.exchange.orders.get(request.match_info["order_id"].lower())
        if order is None or not self._caller.is_own(reader, order):
            raise refusals.order_not_found()
        return answer(self._order(order))

    async def wallet_orders(self, request: web.Request) -> web.Response:
        """Live orders of the deposit wallet whatever key placed them, newest first.

        Pages run over everything the wallet ever placed: one may be short or empty while more follow.
        """
        reader = await self._caller.reader(request)
        wallet = self._venue.access.deposit_wallet(reader.address)
        placed = list(reversed(self._venue.exchange.records.orders_by_account.get(wallet, {}).values()))
        offset = decode_cursor(request.query.get("cursor", ""))
        end = offset + READ_PAGE
        live = [self._order(order) for order in placed[offset:end] if order.status == "LIVE"]
        next_cursor = base64.b64encode(str(end).encode()).decode() if end < len(placed) else ""
        return answer(page_body(list[object](live), next_cursor, READ_PAGE))

    async def pre_migration_orders(self, request: web.Request) -> web.Response:
        """Orders from before the cut-over of 2026-04-28: it wiped them all."""
        await self._caller.reader(request)
        chosen, next_cursor = page(list[object](), request.query.get("next_cursor", ""), READ_PAGE)
        return answer(page_body(list(chosen), next_cursor, READ_PAGE))

    async def scoring(self, request: web.Request) -> web.Response:
        """Whether an order earns rewards now."""
        key, _ = await self._caller.authorize(request)
        reader = Reader(key.address, key.key)
        return answer({"scoring": self._is_scoring(reader, request.query.get("order_id", ""))})

    async def scorings(self, request: web.Request) -> web.Response:
        """Which of several orders earn rewards now."""
        key, body = await self._caller.authorize(request)
        reader = Reader(key.address, key.key)
        asked = decode(body, list[str], refusals.invalid_payload)
        return answer({order_id: self._is_scoring(reader, order_id) for order_id in asked})

    def _is_scoring(self, reader: Reader, order_id: str) -> bool:
        order = self._venue.exchange.orders.get(order_id)
        if order is None or not self._caller.is_own(reader, order):
            return False
        return is_scoring(order, self._venue.exchange.books[order.market.condition_id], self._caller.now_ns())

    def _order(self, order: Order) -> Record:
        record = order_record(order)
        return documented_order(record) if self._caller.is_documented else record

    # --- trades ---------------------------------------------------------------------------------

    async def trades(self, request: web.Request) -> web.Response:
        """Trades of the signer's wallets, newest first; a session signer sees only its own."""
        reader, query = await self._caller.reader(request), request.query
        if not _is_filter(query):
            raise refusals.invalid_trade_params()
        after, before = _seconds(query.get("after")), _seconds(query.get("before"))
        found = [
            (trade, order)
            for trade, order in self._own_trades(reader, query)
            if query.get("market", "") in ("", trade.market.condition_id)
            and query.get("asset_id", "") in ("", trade.taker.token)
            and (after is None or trade.matched_ns // _NS_PER_S >= after)
            and (before is None or trade.matched_ns // _NS_PER_S <= before)
        ]
        chosen, next_cursor = page(found, query.get("next_cursor", ""), READ_PAGE)
        data: list[object] = [self._trade(trade, order) for trade, order in chosen]
        return answer(page_body(data, next_cursor, READ_PAGE))

    def _own_trades(self, reader: Reader, query: Mapping[str, str]) -> Iterator[tuple[Trade, Order]]:
        """(trade, the reader's order in it), newest first."""
        exchange, asked_maker = self._venue.exchange, query.get("maker_address", "").lower()
        wallets = [w for w in self._wallets(reader) if asked_maker in ("", w.lower())]
        trade_id = query.get("id", "")
        if trade_id:
            trade = exchange.trades.get(trade_id)
            candidates = [] if trade is None else [trade]
        else:
            by_wallet = [exchange.trades_by_account.get(wallet, {}).values() for wallet in wallets]
            candidates = [trade for trades in by_wallet for trade in reversed(trades)]
            if sum(bool(trades) for trades in by_wallet) > 1:
                candidates.sort(key=lambda trade: -trade.matched_ns)
        is_session = self._venue.sessions.get(reader.address) is not None
        for trade in candidates:
            for order in (trade.taker, *(fill.order for fill in trade.makers)):
                is_mine = order.account.address in wallets
                if is_mine and (not is_session or self._caller.is_own(reader, order)):
                    yield trade, order
                    break

    def _trade(self, trade: Trade, order: Order) -> Record:
        record = trade_record(trade, order.owner, order.account.address)
        return documented_trade(record) if self._caller.is_documented else record

    # --- accounts -------------------------------------------------------------------------------

    async def balance(self, request: web.Request) -> web.Response:
        """Balance in base units and the allowances of a wallet, as the trading engine knows them."""
        account, token = await self._asset(request)
        is_v2 = request.query.get("asset_type") == "CONDITIONAL-V2"
        spenders = (EXCHANGE_V3,) if is_v2 else (EXCHANGE_V2, NEG_RISK_EXCHANGE_V2)
        allowance = _allowance(account, token == COLLATERAL)
        balance = str(account.seen_e6(token))
        return answer({"balance": balance, "allowances": dict.fromkeys(spenders, allowance)})

    async def refresh(self, request: web.Request) -> web.Response:
        """Let the trading engine read the chain anew."""
        account, token = await self._asset(request)
        self._venue.refresh_balance(account, token, self._caller.now_ns())
        return await self.balance(request)

    async def _asset(self, request: web.Request) -> tuple[Account, str]:
        """The wallet and the token (COLLATERAL for pUSD) that a request asks about."""
        key, _ = await self._caller.authorize(request)
        query = request.query
        wallet = self._venue.access.wallet_of_type(key, query.get("signature_type", "0"))
        account = self._venue.trading.account(wallet)
        asset_type, token = query.get("asset_type"), query.get("token_id", "")
        if asset_type == "COLLATERAL":
            return account, COLLATERAL
        if asset_type not in ("CONDITIONAL", "CONDITIONAL-V2"):
            raise refusals.invalid_asset_type()
        if token not in self._venue.exchange.tokens:
            raise refusals.invalid_token()
        return account, token

    async def notifications(self, request: web.Request) -> web.Response:
        """What happened to the wallet's orders, newest first."""
        key, _ = await self._caller.authorize(request)
        wallet = self._venue.access.wallet_of_type(key, request.query.get("signature_type", "0"))
        return answer([self._notice(notice) for notice in self._venue.notices.of_account(wallet)])

    async def drop_notifications(self, request: web.Request) -> web.Response:
        """Forget notifications by id."""
        key, _ = await self._caller.authorize(request)
        ids = [text for text in request.query.get("ids", "").split(",") if text]
        if not ids or not all(is_uint(text) for text in ids):
            raise refusals.invalid_payload()
        for wallet in self._wallets(Reader(key.address, key.key)):
            self._venue.notices.drop(wallet, {int(text) for text in ids})
        return answer("OK")

    def _notice(self, notice: Notice) -> Record:
        if notice.order is not None:
            return notice_record(notice, order_payload(notice, notice.order))
        market = notice.market
        assert market is not None
        legacy = {"icon": "", "image": "", "fpmm": "", "eventSlug": market.slug}
        event = self._venue.catalog.by_condition[market.condition_id].event
        return notice_record(notice, full_record(market, (0.5, 0.5), event) | legacy)

    def _wallets(self, reader: Reader) -> tuple[str, ...]:
        session = self._venue.sessions.get(reader.address)
        return wallets_of(reader.address).all() if session is None else (session.wallet, reader.address)


def _allowance(account: Account, is_collateral: bool) -> str:
    if is_collateral:
        return _UNLIMITED if account.allowance_e6 is None else str(account.allowance_e6)
    return _UNLIMITED if account.is_approved else "0"


def _is_filter(query: Mapping[str, str]) -> bool:
    """Whether market and asset, where given, look like ids."""
    market, asset = query.get("market", ""), query.get("asset_id", "")
    is_market = not market or (market.startswith("0x") and len(market) == _CONDITION_LENGTH)
    return is_market and (not asset or is_uint(asset))


def _seconds(text: str | None) -> int | None:
    if not text:
        return None
    if not is_uint(text):
        raise refusals.invalid_trade_params()
    return int(text)
