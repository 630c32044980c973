"""Adapters of Polymarket's `polymarket-client`, unmodified: the synchronous client and the asynchronous one.

The package has no public way to name other hosts; `environment_of` uses its own private constructor with the
production values, addresses replaced. Both clients have the same methods, so one adapter serves them: it waits
for an answer where there is something to wait for.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
import inspect
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from typing import Any

import polymarket as pm
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
    StreamEvent,
    Trade,
)
from eth_account import Account
from polymarket._internal.actions.orders import market_data
from polymarket.environments import PRODUCTION, Environment, _create_environment
from polymarket.errors import (
    OrderHeartbeatMismatchError,
    RateLimitError,
    RequestRejectedError,
    TransportError,
    UserInputError,
)
from polymarket.models import ApiKeyCreds, PriceRequest
from polymarket.streams import MarketSpec, UserSpec
from venue_thread import RunningVenue

_LIMIT_S = 30
_NOBODY = "http://127.0.0.1:9"  # the discard port: a call to any other host fails at once


def environment_of(venue: RunningVenue) -> Environment:
    """The production environment with every host replaced by the venue's, or by nobody."""
    sockets = venue.url.replace("http", "ws", 1)
    config = dataclasses.replace(
        PRODUCTION._config,
        clob_url=venue.url,
        clob_market_ws_url=sockets + "/ws/market",
        clob_user_ws_url=sockets + "/ws/user",
        relayer_url=venue.url,
        gamma_url=venue.url + "/gamma",
        data_url=venue.url + "/data-api",
        rfq_url=_NOBODY,
        rpc_url=venue.url + "/rpc",
        relayer_poll_frequency_ms=50,
        rtds_ws_url=sockets + "/rtds",
        realtime_ws_url=sockets + "/polybolt/ws",
        sports_ws_url=_NOBODY,
    )
    return _create_environment(name="sandbox", config=config)


def connect_sync(
    venue: RunningVenue,
    private_key: str,
    *,
    wallet: str | None = None,
    nonce: int = 0,
    credentials: Credentials | None = None,
) -> "OfficialPc":
    """A `SecureClient`."""
    with _venue_refusals():
        api = pm.SecureClient.create(**_arguments(venue, private_key, wallet, nonce, credentials))
    return OfficialPc(api, None)


def connect_async(
    venue: RunningVenue,
    private_key: str,
    *,
    wallet: str | None = None,
    nonce: int = 0,
    credentials: Credentials | None = None,
) -> "OfficialPcAsync":
    """An `AsyncSecureClient` on an event loop of its own."""
    loop = LoopThread()
    try:
        with _venue_refusals():
            create = pm.AsyncSecureClient.create(**_arguments(venue, private_key, wallet, nonce, credentials))
            api = loop.wait(create)
    except BaseException:
        loop.close()
        raise
    return OfficialPcAsync(api, loop)


def _arguments(
    venue: RunningVenue, private_key: str, wallet: str | None, nonce: int, credentials: Credentials | None
) -> dict[str, Any]:
    known = None
    if credentials is not None:
        known = ApiKeyCreds(key=credentials.key, secret=credentials.secret, passphrase=credentials.passphrase)
    return {
        "private_key": private_key,
        "wallet": wallet or Account.from_key(private_key).address,
        "environment": environment_of(venue),
        "nonce": nonce,
        "credentials": known,
    }


class LoopThread:
    """An event loop in a thread; `wait` runs a coroutine there."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The coroutine's result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=3 * _LIMIT_S)

    def close(self) -> None:
        """Stop the loop."""
        self.wait(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=_LIMIT_S)
        self.loop.close()


class OfficialPc:
    """`VenueClient` over a `SecureClient`, or over an `AsyncSecureClient` when there is a loop."""

    name = "polymarket-client"
    has_streams = False
    sees_headers = True
    local_refusal = UserInputError
    rejection = RequestRejectedError
    rate_limit_rejection = RateLimitError
    heartbeat_rejection = OrderHeartbeatMismatchError

    def __init__(self, api: Any, loop: LoopThread | None) -> None:
        self.api = api
        self.loop = loop
        self.address = str(api.wallet)
        self.signature_type = 0 if api.wallet_type == "EOA" else 3
        known = api.credentials
        self.credentials = Credentials(known.key, known.secret, known.passphrase)

    def close(self) -> None:
        """Close the client's connections, and its loop."""
        self._do(self.api.close)
        if self.loop is not None:
            self.loop.close()

    def _do(self, call: Callable[..., Any], *args: Any, **names: Any) -> Any:
        with _venue_refusals():
            if self.loop is None:
                return call(*args, **names)

            async def ask() -> Any:
                answer = call(*args, **names)
                return await answer if inspect.isawaitable(answer) else answer

            return self.loop.wait(ask())

    def _all(self, paginate: Callable[..., Any], **names: Any) -> list[Any]:
        if self.loop is None:
            return list(self._do(lambda: list(paginate(**names).iter_items())))

        async def collect() -> list[Any]:
            return [item async for item in paginate(**names).iter_items()]

        return list(self._do(collect))

    # --- keys and money -------------------------------------------------------------------------

    def api_keys(self) -> list[str]:
        return list(self._do(self.api.fetch_api_keys))

    def delete_key(self) -> None:
        self._do(self.api.delete_api_key)

    def is_closed_only(self) -> bool:
        answer = self._do(self.api.get_closed_only_mode)
        assert isinstance(answer, bool)
        return answer

    def collateral(self) -> Decimal:
        answer = self._do(self.api.get_balance_allowance, asset_type="COLLATERAL")
        assert all(allowance > 0 for allowance in answer.allowances.values())
        return Decimal(answer.balance) / 1_000_000

    def shares(self, token: str) -> Decimal:
        answer = self._do(self.api.get_balance_allowance, asset_type="CONDITIONAL", asset_id=token)
        return Decimal(answer.balance) / 1_000_000

    # --- orders ---------------------------------------------------------------------------------

    def place(self, order: Limit) -> Placed:
        return _placed(self._do(self.api.place_limit_order, **_fields(order)))

    def place_market(
        self, token: str, side: Side, amount: str, order_type: str, worst_price: str | None = None
    ) -> Placed:
        names = {"asset_id": token, "side": side, "order_type": order_type}
        names |= {"amount": amount} if side == "BUY" else {"shares": amount}
        if worst_price is not None:
            names["max_price" if side == "BUY" else "min_price"] = worst_price
        return _placed(self._do(self.api.place_market_order, **names))

    def place_batch(self, orders: list[Limit]) -> list[Placed | RefusedLeg]:
        signed = [self._do(self.api.create_limit_order, **_fields(order)) for order in orders]
        answers = self._do(self.api.post_orders, signed)
        return [_placed(answer) if answer.ok else RefusedLeg(answer.message) for answer in answers]

    def place_twice(self, order: Limit) -> Placed:
        """Post the same signed order two times; the answer of the second."""
        signed = self._do(self.api.create_limit_order, **_fields(order))
        _placed(self._do(self.api.post_order, signed))
        return _placed(self._do(self.api.post_order, signed))

    def cancel(self, order_id: str) -> CancelReport:
        return _report(self._do(self.api.cancel_order, order_id=order_id))

    def cancel_many(self, order_ids: list[str]) -> CancelReport:
        return _report(self._do(self.api.cancel_orders, order_ids=order_ids))

    def cancel_market(self, market: str | None = None, token: str | None = None) -> CancelReport:
        return _report(self._do(self.api.cancel_market_orders, market=market, asset_id=token))

    def cancel_all(self) -> CancelReport:
        return _report(self._do(self.api.cancel_all))

    # --- reads ----------------------------------------------------------------------------------

    def open_orders(self, market: str | None = None, token: str | None = None) -> list[OpenOrder]:
        return [
            _open_order(item) for item in self._all(self.api.list_open_orders, market=market, asset_id=token)
        ]

    def order(self, order_id: str) -> OpenOrder:
        return _open_order(self._do(self.api.get_order, order_id=order_id))

    def trades(self, trade_id: str | None = None) -> list[Trade]:
        return [_trade(item) for item in self._all(self.api.list_account_trades, id=trade_id)]

    def is_scoring(self, order_ids: list[str]) -> dict[str, bool]:
        answer = dict(self._do(self.api.get_orders_scoring, order_ids=order_ids))
        one = self._do(self.api.get_order_scoring, order_id=order_ids[0])
        assert answer[order_ids[0]] is one
        return answer

    def reward_programmes(self) -> dict[str, RewardProgramme]:
        return {item.condition_id: _programme(item) for item in self._all(self.api.list_current_rewards)}

    def reward_programme(self, market: str) -> RewardProgramme:
        (item,) = self._all(self.api.list_market_rewards, condition_id=market)
        assert len(item.tokens) == 2
        return _programme(item)

    def earnings(self, date: str) -> dict[str, Decimal]:
        found = self._all(self.api.list_user_earnings_for_day, date=date)
        assert all(
            item.maker_address == self.address and item.date.date().isoformat() == date for item in found
        )
        return {item.condition_id: item.earnings for item in found}

    def total_earnings(self, date: str) -> Decimal:
        (item,) = self._do(self.api.get_total_earnings_for_user_for_day, date=date)
        assert item.native_earnings == item.earnings
        return Decimal(item.earnings)

    def reward_percentages(self) -> dict[str, float]:
        return dict(self._do(self.api.get_reward_percentages))

    def earnings_in_markets(self, date: str) -> dict[str, tuple[Decimal, float]]:
        found = self._all(self.api.list_user_earnings_and_markets_config, date=date)
        return {
            item.condition_id: (sum((e.earnings for e in item.earnings), Decimal(0)), item.earning_percentage)
            for item in found
        }

    def book(self, token: str) -> Book:
        return book_of(self._do(self.api.get_order_book, asset_id=token))

    def books(self, tokens: list[str]) -> list[Book]:
        return [book_of(item) for item in self._do(self.api.get_order_books, asset_ids=tokens)]

    def midpoint(self, token: str) -> Decimal:
        return Decimal(self._do(self.api.get_midpoint, asset_id=token))

    def midpoints(self, tokens: list[str]) -> dict[str, Decimal]:
        return dict(self._do(self.api.get_midpoints, asset_ids=tokens))

    def price(self, token: str, side: Side) -> Decimal:
        return Decimal(self._do(self.api.get_price, asset_id=token, side=side))

    def prices(self, token: str) -> dict[str, Decimal]:
        asked = [PriceRequest(token, "BUY"), PriceRequest(token, "SELL")]
        return dict(self._do(self.api.get_prices, requests=asked)[token])

    def spread(self, token: str) -> Decimal:
        return Decimal(self._do(self.api.get_spread, asset_id=token))

    def spreads(self, tokens: list[str]) -> dict[str, Decimal]:
        return dict(self._do(self.api.get_spreads, asset_ids=tokens))

    def last_trade(self, token: str) -> tuple[Decimal, Side] | None:
        answer = self._do(self.api.get_last_trade_price, asset_id=token)
        return None if answer is None else (answer.price, answer.side)

    def last_trades(self, tokens: list[str]) -> dict[str, tuple[Decimal, Side]]:
        answer = self._do(self.api.get_last_trade_prices, asset_ids=tokens)
        return {item.asset_id: (item.price, item.side) for item in answer}

    def facts(self, market: str, token: str) -> MarketFacts:
        suffix = "_sync" if self.loop is None else ""

        def ask(name: str, **names: str) -> Any:
            return self._do(getattr(market_data, name + suffix), self.api._ctx, **names)

        assert ask("resolve_condition_by_token", token_id=token) == market
        info = ask("fetch_market_info", condition_id=market)
        assert token in info.token_ids
        tick = ask("fetch_tick_size", token_id=token)
        assert info.tick_size == tick
        assert info.neg_risk == ask("fetch_neg_risk", token_id=token)
        return MarketFacts(tick, info.neg_risk, info.fee_info.rate, info.fee_info.exponent)

    def heartbeat(self, heartbeat_id: str = "") -> str:
        return str(self._do(self.api.send_order_heartbeat, heartbeat_id=heartbeat_id).heartbeat_id)

    def market_stream(self, tokens: list[str], *, has_custom_features: bool = False) -> Stream:
        raise NotImplementedError

    def user_stream(self, markets: list[str] | None = None) -> Stream:
        raise NotImplementedError


class OfficialPcAsync(OfficialPc):
    """The asynchronous client, the only one with streams."""

    name = "polymarket-client async"
    has_streams = True

    def market_stream(self, tokens: list[str], *, has_custom_features: bool = False) -> Stream:
        spec = MarketSpec(asset_ids=tokens, custom_feature_enabled=has_custom_features)
        handle = self._do(self.api.subscribe, spec)
        return _PcStream(self, handle, lambda: self.api._get_market_manager().dropped_events)

    def user_stream(self, markets: list[str] | None = None) -> Stream:
        handle = self._do(self.api.subscribe, UserSpec(markets=markets))
        return _PcStream(self, handle, lambda: self.api._get_user_manager().dropped_events)


class _PcStream:
    def __init__(self, client: OfficialPcAsync, handle: Any, malformed: Callable[[], int]) -> None:
        self._client = client
        self._handle = handle
        self._malformed = malformed

    def next(self, kind: str) -> StreamEvent:
        """The next event of a kind."""

        async def wait() -> StreamEvent:
            async with asyncio.timeout(_LIMIT_S):
                async for event in self._handle:
                    if event.type == kind:
                        return StreamEvent(event.type, event.payload.model_dump())
            raise AssertionError(f"the stream ended before a {kind}")

        event = self._client._do(wait)
        assert isinstance(event, StreamEvent)
        return event

    @property
    def lost(self) -> int:
        """Malformed events of the connection and events this handle's queue had no room for."""
        return int(self._malformed()) + int(self._handle.dropped)


def _programme(item: Any) -> RewardProgramme:
    (config,) = item.rewards_config
    return RewardProgramme(config.rate_per_day, Decimal(str(item.rewards_max_spread)), item.rewards_min_size)


def book_of(book: Any) -> Book:
    """A book of the client's model, its hash computed from the model alone."""

    def levels(side: Any) -> tuple[tuple[Decimal, Decimal], ...]:
        return tuple((level.price, level.size) for level in side)

    def rows(side: Any) -> list[dict[str, str]]:
        return [{"price": str(level.price), "size": str(level.size)} for level in side]

    hashed = {
        "market": book.condition_id,
        "asset_id": book.asset_id,
        "timestamp": str(round(book.timestamp.timestamp() * 1000)),
        "hash": "",
        "bids": rows(book.bids),
        "asks": rows(book.asks),
        "min_order_size": str(book.min_order_size),
        "tick_size": str(book.tick_size),
        "neg_risk": book.neg_risk,
        "last_trade_price": "" if book.last_trade_price is None else str(book.last_trade_price),
    }
    text = json.dumps(hashed, separators=(",", ":"), ensure_ascii=False)
    return Book(
        token=book.asset_id,
        bids=levels(book.bids),
        asks=levels(book.asks),
        tick=book.tick_size,
        min_size=book.min_order_size,
        is_neg_risk=book.neg_risk,
        last_trade=book.last_trade_price,
        sent_hash=book.hash,
        computed_hash=hashlib.sha1(text.encode()).hexdigest(),
    )


@contextlib.contextmanager
def _venue_refusals() -> Iterator[None]:
    try:
        yield
    except OrderHeartbeatMismatchError as fault:
        raise HeartbeatMismatch(fault.heartbeat_id) from fault
    except RequestRejectedError as fault:
        raise Refused(
            fault.status,
            str(fault),
            code=fault.code,
            retry_after_s=fault.retry_after,
            restriction=fault.restriction,
        ) from fault
    except TransportError as fault:
        raise NoAnswer(str(fault)) from fault
    except RateLimitError as fault:
        limit = fault.rate_limit
        raise RateLimited(
            str(fault),
            retry_after_s=fault.retry_after,
            remaining=None if limit is None else limit.remaining,
            tier=None if limit is None else limit.tier,
        ) from fault


def _fields(order: Limit) -> dict[str, Any]:
    return {
        "asset_id": order.token,
        "side": order.side,
        "price": order.price,
        "size": order.size,
        "post_only": order.is_post_only,
        "expiration": order.expires_s,
    }


def _placed(answer: Any) -> Placed:
    if not answer.ok:
        raise Refused(200, answer.message, code=answer.code)
    return Placed(
        str(answer.order_id), answer.status, answer.making_amount, answer.taking_amount, answer.trade_ids
    )


def _report(answer: Any) -> CancelReport:
    return CancelReport(tuple(map(str, answer.canceled)), {str(k): v for k, v in answer.not_canceled.items()})


def _open_order(order: Any) -> OpenOrder:
    return OpenOrder(
        id=order.id,
        status=order.status,
        market=order.condition_id,
        token=order.asset_id,
        side=order.side,
        price=order.price,
        original_size=order.original_size,
        size_matched=order.size_matched,
        order_type=order.order_type,
        owner=order.owner,
        maker_address=order.maker_address,
        outcome=order.outcome,
    )


def _trade(trade: Any) -> Trade:
    return Trade(
        id=trade.id,
        status=trade.status,
        taker_order_id=trade.taker_order_id,
        token=trade.asset_id,
        side=trade.side,
        price=trade.price,
        size=trade.size,
        trader_side=trade.trader_side,
        transaction_hash=trade.transaction_hash,
        makers=tuple(
            MakerFill(fill.order_id, fill.price, fill.matched_amount, fill.side)
            for fill in trade.maker_orders
        ),
    )
