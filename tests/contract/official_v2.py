"""Adapter of Polymarket's `py-clob-client-v2`, unmodified."""

import contextlib
from collections.abc import Iterator
from decimal import Decimal

from client_port import (
    Book,
    CancelReport,
    Credentials,
    HeartbeatMismatch,
    Limit,
    MakerFill,
    MarketFacts,
    NoAnswer,
    OpenOrder,
    Placed,
    RateLimited,
    Refused,
    RefusedLeg,
    RewardProgramme,
    Side,
    Stream,
    Trade,
)
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    ApiCreds,
    AssetType,
    BalanceAllowanceParams,
    BookParams,
    MarketOrderArgs,
    OpenOrderParams,
    OrderArgs,
    OrderMarketCancelParams,
    OrderPayload,
    OrdersScoringParams,
    OrderType,
    PostOrdersV2Args,
    TradeParams,
)
from py_clob_client_v2.exceptions import PolyApiException
from venue_thread import RunningVenue

_CHAIN_ID = 137
_DEPOSIT_WALLET = 3
_TOO_MANY_REQUESTS = 429


def connect_v2(
    venue: RunningVenue,
    private_key: str,
    *,
    wallet: str | None = None,
    nonce: int = 0,
    credentials: Credentials | None = None,
) -> "OfficialV2":
    """A client with a key; V2 has no session signers, so `wallet` must be the signer's own."""
    signature_type = 0 if wallet is None else _DEPOSIT_WALLET
    client = ClobClient(venue.url, _CHAIN_ID, key=private_key, signature_type=signature_type, funder=wallet)
    with _venue_refusals():
        if credentials is None:
            client.set_api_creds(client.create_or_derive_api_key(nonce=nonce))
        else:
            client.set_api_creds(ApiCreds(credentials.key, credentials.secret, credentials.passphrase))
    return OfficialV2(client, wallet or client.get_address(), signature_type)


class OfficialV2:
    """`VenueClient` over a `ClobClient`."""

    name = "py-clob-client-v2"
    has_streams = False
    sees_headers = False
    local_refusal = Exception
    rejection = PolyApiException
    rate_limit_rejection = PolyApiException
    heartbeat_rejection = PolyApiException

    def __init__(self, client: ClobClient, address: str, signature_type: int) -> None:
        self.client = client
        self.address = address
        self.signature_type = signature_type
        self.credentials = Credentials(
            client.creds.api_key, client.creds.api_secret, client.creds.api_passphrase
        )

    def close(self) -> None:
        """Nothing to close: the client's connection pool is the module's."""

    # --- keys and money -------------------------------------------------------------------------

    def api_keys(self) -> list[str]:
        with _venue_refusals():
            return list(self.client.get_api_keys()["apiKeys"])

    def delete_key(self) -> None:
        with _venue_refusals():
            assert self.client.delete_api_key() == "OK"

    def is_closed_only(self) -> bool:
        with _venue_refusals():
            answer = self.client.get_closed_only_mode()["closed_only"]
        assert isinstance(answer, bool)
        return answer

    def collateral(self) -> Decimal:
        return self._balance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))

    def shares(self, token: str) -> Decimal:
        return self._balance(BalanceAllowanceParams(asset_type=AssetType.CONDITIONAL, token_id=token))

    def _balance(self, params: BalanceAllowanceParams) -> Decimal:
        with _venue_refusals():
            self.client.update_balance_allowance(params)
            return Decimal(self.client.get_balance_allowance(params)["balance"]) / 1_000_000

    # --- orders ---------------------------------------------------------------------------------

    def place(self, order: Limit) -> Placed:
        kind = OrderType.GTC if order.expires_s is None else OrderType.GTD
        with _venue_refusals():
            answer = self.client.create_and_post_order(
                _args(order), order_type=kind, post_only=order.is_post_only
            )
        return _placed(answer)

    def place_market(
        self, token: str, side: Side, amount: str, order_type: str, worst_price: str | None = None
    ) -> Placed:
        kind = OrderType.FOK if order_type == "FOK" else OrderType.FAK
        args = MarketOrderArgs(
            token_id=token, side=side, amount=float(amount), price=float(worst_price or 0), order_type=kind
        )
        with _venue_refusals():
            answer = self.client.create_and_post_market_order(args, order_type=kind)
        return _placed(answer)

    def place_batch(self, orders: list[Limit]) -> list[Placed | RefusedLeg]:
        with _venue_refusals():
            signed = [self.client.create_order(_args(order)) for order in orders]
            legs = [
                PostOrdersV2Args(one, OrderType.GTC if order.expires_s is None else OrderType.GTD)
                for one, order in zip(signed, orders, strict=True)
            ]
            answers = self.client.post_orders(legs, post_only=any(order.is_post_only for order in orders))
        return [RefusedLeg(a["errorMsg"]) if a["errorMsg"] else _placed(a) for a in answers]

    def place_twice(self, order: Limit) -> Placed:
        """Post the same signed order two times; the answer of the second."""
        with _venue_refusals():
            signed = self.client.create_order(_args(order))
            self.client.post_order(signed, OrderType.GTC)
            return _placed(self.client.post_order(signed, OrderType.GTC))

    def cancel(self, order_id: str) -> CancelReport:
        with _venue_refusals():
            return _report(self.client.cancel_order(OrderPayload(orderID=order_id)))

    def cancel_many(self, order_ids: list[str]) -> CancelReport:
        with _venue_refusals():
            return _report(self.client.cancel_orders(order_ids))

    def cancel_market(self, market: str | None = None, token: str | None = None) -> CancelReport:
        params = OrderMarketCancelParams(market=market or "", asset_id=token or "")
        with _venue_refusals():
            return _report(self.client.cancel_market_orders(params))

    def cancel_all(self) -> CancelReport:
        with _venue_refusals():
            return _report(self.client.cancel_all())

    # --- reads ----------------------------------------------------------------------------------

    def open_orders(self, market: str | None = None, token: str | None = None) -> list[OpenOrder]:
        params = OpenOrderParams(market=market, asset_id=token)
        with _venue_refusals():
            return [_open_order(item) for item in self.client.get_open_orders(params)]

    def order(self, order_id: str) -> OpenOrder:
        with _venue_refusals():
            return _open_order(self.client.get_order(order_id))

    def trades(self, trade_id: str | None = None) -> list[Trade]:
        with _venue_refusals():
            return [_trade(item) for item in self.client.get_trades(TradeParams(id=trade_id))]

    def is_scoring(self, order_ids: list[str]) -> dict[str, bool]:
        with _venue_refusals():
            return dict(self.client.are_orders_scoring(OrdersScoringParams(orderIds=order_ids)))

    def reward_programmes(self) -> dict[str, RewardProgramme]:
        return {item["condition_id"]: _programme(item) for item in self.client.get_current_rewards()}

    def reward_programme(self, market: str) -> RewardProgramme:
        (item,) = self.client.get_raw_rewards_for_market(market)
        return _programme(item)

    def earnings(self, date: str) -> dict[str, Decimal]:
        found = self.client.get_earnings_for_user_for_day(date)
        return {item["condition_id"]: Decimal(str(item["earnings"])) for item in found}

    def total_earnings(self, date: str) -> Decimal:
        (item,) = self.client.get_total_earnings_for_user_for_day(date)
        return Decimal(str(item["earnings"]))

    def reward_percentages(self) -> dict[str, float]:
        return dict(self.client.get_reward_percentages())

    def earnings_in_markets(self, date: str) -> dict[str, tuple[Decimal, float]]:
        found = self.client.get_user_earnings_and_markets_config(date)
        return {
            item["condition_id"]: (
                sum((Decimal(str(e["earnings"])) for e in item["earnings"]), Decimal(0)),
                item["earning_percentage"],
            )
            for item in found
        }

    def book(self, token: str) -> Book:
        with _venue_refusals():
            return self._book(self.client.get_order_book(token))

    def books(self, tokens: list[str]) -> list[Book]:
        with _venue_refusals():
            answer = self.client.get_order_books([BookParams(token_id=token) for token in tokens])
        return [self._book(item) for item in answer]

    def _book(self, raw: dict[str, object]) -> Book:
        def levels(side: str) -> tuple[tuple[Decimal, Decimal], ...]:
            return tuple((Decimal(level["price"]), Decimal(level["size"])) for level in raw[side])

        return Book(
            token=raw["asset_id"],
            bids=levels("bids"),
            asks=levels("asks"),
            tick=Decimal(raw["tick_size"]),
            min_size=Decimal(raw["min_order_size"]),
            is_neg_risk=raw["neg_risk"],
            last_trade=Decimal(raw["last_trade_price"]) if raw["last_trade_price"] else None,
            sent_hash=raw["hash"],
            computed_hash=self.client.get_order_book_hash(dict(raw)),
        )

    def midpoint(self, token: str) -> Decimal:
        with _venue_refusals():
            return Decimal(self.client.get_midpoint(token)["mid"])

    def midpoints(self, tokens: list[str]) -> dict[str, Decimal]:
        with _venue_refusals():
            answer = self.client.get_midpoints([BookParams(token_id=token) for token in tokens])
        return {token: Decimal(mid) for token, mid in answer.items()}

    def price(self, token: str, side: Side) -> Decimal:
        with _venue_refusals():
            return Decimal(self.client.get_price(token, side)["price"])

    def prices(self, token: str) -> dict[str, Decimal]:
        asked = [BookParams(token_id=token, side=side) for side in ("BUY", "SELL")]
        with _venue_refusals():
            answer = self.client.get_prices(asked)
        return {side: Decimal(price) for side, price in answer[token].items()}

    def spread(self, token: str) -> Decimal:
        with _venue_refusals():
            return Decimal(self.client.get_spread(token)["spread"])

    def spreads(self, tokens: list[str]) -> dict[str, Decimal]:
        with _venue_refusals():
            answer = self.client.get_spreads([BookParams(token_id=token) for token in tokens])
        return {token: Decimal(spread) for token, spread in answer.items()}

    def last_trade(self, token: str) -> tuple[Decimal, Side] | None:
        with _venue_refusals():
            answer = self.client.get_last_trade_price(token)
        return (Decimal(answer["price"]), answer["side"]) if answer["side"] else None

    def last_trades(self, tokens: list[str]) -> dict[str, tuple[Decimal, Side]]:
        with _venue_refusals():
            answer = self.client.get_last_trades_prices([BookParams(token_id=token) for token in tokens])
        return {item["token_id"]: (Decimal(item["price"]), item["side"]) for item in answer}

    def facts(self, market: str, token: str) -> MarketFacts:
        with _venue_refusals():
            tick, is_neg_risk = self.client.get_tick_size(token), self.client.get_neg_risk(token)
            assert self.client.get_fee_rate_bps(token) in (0, 1000)
            exponent = self.client.get_fee_exponent(token)
            record = self.client.get_clob_market_info(market)
        rate = record.get("fd", {}).get("r", 0)
        return MarketFacts(Decimal(tick), is_neg_risk, Decimal(str(rate)), Decimal(str(exponent)))

    def heartbeat(self, heartbeat_id: str = "") -> str:
        with _venue_refusals():
            return str(self.client.post_heartbeat(heartbeat_id)["heartbeat_id"])

    def market_stream(self, tokens: list[str], *, has_custom_features: bool = False) -> Stream:
        raise NotImplementedError

    def user_stream(self, markets: list[str] | None = None) -> Stream:
        raise NotImplementedError


@contextlib.contextmanager
def _venue_refusals() -> Iterator[None]:
    try:
        yield
    except PolyApiException as fault:
        if fault.status_code is None:
            raise NoAnswer(fault.error_msg) from fault
        body = fault.error_msg if isinstance(fault.error_msg, dict) else {"error": fault.error_msg}
        if "heartbeat_id" in body:
            raise HeartbeatMismatch(body["heartbeat_id"]) from fault
        if fault.status_code == _TOO_MANY_REQUESTS:
            raise RateLimited(body["error"]) from fault
        raise Refused(
            fault.status_code,
            body["error"],
            code=body.get("code"),
            retry_after_s=body.get("retry_after_seconds"),
        ) from fault


def _args(order: Limit) -> OrderArgs:
    return OrderArgs(
        token_id=order.token,
        price=float(order.price),
        size=float(order.size),
        side=order.side,
        expiration=order.expires_s or 0,
    )


def _programme(item: dict[str, list[dict[str, object]]]) -> RewardProgramme:
    (config,) = item["rewards_config"]
    values = config["rate_per_day"], item["rewards_max_spread"], item["rewards_min_size"]
    return RewardProgramme(*(Decimal(str(value)) for value in values))


def _placed(answer: dict[str, object]) -> Placed:
    assert answer["success"] is True
    assert answer["errorMsg"] == ""
    return Placed(
        order_id=answer["orderID"],
        status=answer["status"],
        making=Decimal(answer["makingAmount"] or 0),
        taking=Decimal(answer["takingAmount"] or 0),
        trade_ids=tuple(answer.get("tradeIDs", ())),
    )


def _report(answer: dict[str, object]) -> CancelReport:
    return CancelReport(tuple(answer["canceled"]), answer["not_canceled"])


def _open_order(raw: dict[str, object]) -> OpenOrder:
    return OpenOrder(
        id=raw["id"],
        status=raw["status"],
        market=raw["market"],
        token=raw["asset_id"],
        side=raw["side"],
        price=Decimal(raw["price"]),
        original_size=Decimal(raw["original_size"]),
        size_matched=Decimal(raw["size_matched"]),
        order_type=raw["order_type"],
        owner=raw["owner"],
        maker_address=raw["maker_address"],
        outcome=raw["outcome"],
    )


def _trade(raw: dict[str, object]) -> Trade:
    return Trade(
        id=raw["id"],
        status=raw["status"],
        taker_order_id=raw["taker_order_id"],
        token=raw["asset_id"],
        side=raw["side"],
        price=Decimal(raw["price"]),
        size=Decimal(raw["size"]),
        trader_side=raw["trader_side"],
        transaction_hash=raw["transaction_hash"] or None,
        makers=tuple(
            MakerFill(m["order_id"], Decimal(m["price"]), Decimal(m["matched_amount"]), m["side"])
            for m in raw["maker_orders"]
        ),
    )
