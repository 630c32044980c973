"""Answers of the sandbox beside the bodies of other clients' tests: the same names, the same JSON types.

Every body of `tests/golden/polymarket` is compared or stands in a table here with the reason why not; a body
without either fails the suite, and so does a reason that nothing needs any more.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from venue_thread import RunningVenue
from wire_client import Caller, Socket, run
from wire_shapes import differences

FOLDER = Path(__file__).parents[1] / "golden" / "polymarket"
RUST = [json.loads(line) for line in (FOLDER / "rs-clob-client-bodies.jsonl").read_text().splitlines()]
JKORF = sorted((FOLDER / "jkorf-polymarket-net").glob("*.txt"))

NOT_THE_TRADING_CORE = "a host that the trading core does not serve (Gamma, Data API, bridge)"
LATER = "builder trades belong to a later part of the sandbox"
OTHER_HOSTS = ("tests/data.rs", "tests/gamma.rs", "tests/bridge.rs")
SKIPPED = {
    "all_prices_should_succeed": "GET /prices without a body; live, the plural GET forms all answer 400",
    "last_trades_prices_should_succeed": "its client asks with GET; live, the plural GET forms all answer 400",
    "cancel_market_orders_should_succeed response": "the request's body, which its test also uses as an answer",
    "cancel_orders_should_succeed response": "an answer cut short by its author: not_canceled is missing",
    "cancel_order_should_succeed response": "written notCanceled, an alias only its own client reads",
    "cancel_order_should_accept_snake_case_not_canceled request": "written orderId, only its mock accepts it",
    "update_balance_allowance_should_succeed": "no body; every client ignores what comes",
    "builder_trades_should_succeed": LATER,
    "price_history_with_interval_should_succeed": "the history's prices are strings there and numbers live",
    "Clob-ExchangeData-GetGeographicRestrictions": "an empty body under another exchange's path",
}
# Where a body disagrees with the live wire, the field whose difference is known.
KNOWN = {
    "tick_size_should_succeed": ["$.minimum_tick_size: string expected, number found"],
    "last_trade_price_should_succeed": ["$.price: number expected, string found"],
    "simplified_markets_should_succeed": [
        "$.data[].tokens[].price: string expected, number found",
        "$.data[].rewards.min_size: string expected, number found",
        "$.data[].rewards.max_spread: string expected, number found",
    ],
    "current_rewards_should_succeed": [
        "$.data[].rewards_max_spread: string expected, number found",
        "$.data[].rewards_min_size: string expected, number found",
        "$.data[].rewards_config[].rate_per_day: string expected, number found",
        "$.data[].rewards_config[].total_rewards: string expected, number found",
    ],
    "reward_percentages_should_succeed": ["$.1: missing"],  # before the first sample nobody has a share
    "post_order_should_succeed": ["$.error_msg: missing"],
    "post_order_should_accept_transactions_hashes_alias": ["$.error_msg: missing"],
    "trade": ["$.matchtime: missing"],
    "order": ["$.associate_trades: null expected, array found"],
    "Clob-OrderUpdate": ["$.associate_trades: null expected, array found"],
    "Clob-Trading-GetOrder": [],
}


class Scene:
    """A venue with a resting order, a trade and a second wallet: every read has something to show."""

    def __init__(self, venue: RunningVenue, session: aiohttp.ClientSession, caller: Caller) -> None:
        self.venue = venue
        self.session = session
        self.caller = caller
        self.resting: dict[str, Any] = {}
        self.matched: dict[str, Any] = {}

    async def prepare(self) -> None:
        self.resting = await self.caller.place("BUY", 0.40, 10)
        self.matched = await self.caller.place("BUY", 0.47, 10)

    async def get(self, path: str, **query: str) -> Any:
        """A public read."""
        async with self.session.get(self.venue.url + path, params=query) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def post(self, path: str, body: object) -> Any:
        """A public read that takes a body."""
        async with self.session.post(self.venue.url + path, json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def signed(self, method: str, path: str, body: object = None, query: str = "") -> Any:
        """A private request."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = self.caller.headers(method, path, content) | {"Content-Type": "application/json"}
        url = self.venue.url + path + query
        async with self.session.request(method, url, data=content, headers=headers) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def user_frames(self) -> dict[str, Any]:
        """One order event and one trade event of a purchase."""
        async with self.session.ws_connect(f"{self.venue.url}/ws/user") as ws:
            socket = Socket(ws)
            await socket.send({"type": "user", "auth": self.caller.auth()})
            await socket.send("PING")
            await socket.text()
            await self.caller.place("BUY", 0.41, 10)
            order = await socket.next(event_type="order")
            await self.caller.place("BUY", 0.47, 10)
            return {"order": order, "trade": await socket.next(event_type="trade", status="MINED")}

    async def price_change(self) -> Any:
        """One price_change frame."""
        async with self.session.ws_connect(f"{self.venue.url}/ws/market") as ws:
            socket = Socket(ws)
            await socket.send({"operation": "subscribe", "assets_ids": [self.venue.market.yes_token]})
            await socket.text()
            await self.caller.place("BUY", 0.42, 10)
            return await socket.next(event_type="price_change")

    async def tick_change(self) -> Any:
        """One tick_size_change frame."""
        async with self.session.ws_connect(f"{self.venue.url}/ws/market") as ws:
            socket = Socket(ws)
            await socket.send({"type": "market", "assets_ids": [self.venue.market.yes_token]})
            await socket.text()
            body = {"market": self.venue.market.condition_id, "tick": "0.001"}
            async with self.session.post(f"{self.venue.control}/markets/tick", json=body) as response:
                assert response.status == 200, await response.text()
            return await socket.next(event_type="tick_size_change")


Ask = Callable[[Scene], Awaitable[Any]]


def _token(scene: Scene) -> str:
    return scene.venue.market.yes_token


def _tokens(scene: Scene) -> list[dict[str, str]]:
    return [{"token_id": _token(scene)}]


async def _order_event(scene: Scene) -> Any:
    return (await scene.user_frames())["order"]


async def _trade_event(scene: Scene) -> Any:
    return (await scene.user_frames())["trade"]


async def _resting(scene: Scene) -> Any:
    return scene.resting


async def _cancel(scene: Scene) -> Any:
    return await scene.signed("DELETE", "/order", {"orderID": scene.resting["orderID"]})


ANSWERS: dict[str, Ask] = {
    "midpoint_should_succeed": lambda s: s.get("/midpoint", token_id=_token(s)),
    "price_should_succeed": lambda s: s.get("/price", token_id=_token(s), side="BUY"),
    "spread_should_succeed": lambda s: s.get("/spread", token_id=_token(s)),
    "tick_size_should_succeed": lambda s: s.get("/tick-size", token_id=_token(s)),
    "neg_risk_should_succeed": lambda s: s.get("/neg-risk", token_id=_token(s)),
    "last_trade_price_should_succeed": lambda s: s.get("/last-trade-price", token_id=_token(s)),
    "simplified_markets_should_succeed": lambda s: s.get("/simplified-markets"),
    "check_geoblock_should_succeed": lambda s: s.get("/api/geoblock"),
    "check_geoblock_blocked_should_succeed": lambda s: s.get("/api/geoblock"),
    "post_order_should_succeed": _resting,
    "trades_should_succeed": lambda s: s.signed("GET", "/data/trades"),
    "is_order_scoring_should_succeed": lambda s: s.signed(
        "GET", "/order-scoring", query=f"?order_id={s.resting['orderID']}"
    ),
    "are_orders_scoring_should_succeed": lambda s: s.signed(
        "POST", "/orders-scoring", [s.resting["orderID"]]
    ),
    "earnings_for_user_for_day_should_succeed": lambda s: s.signed(
        "GET", "/rewards/user", query="?date=2026-01-01&signature_type=0"
    ),
    "reward_percentages_should_succeed": lambda s: s.signed(
        "GET", "/rewards/user/percentages", query="?signature_type=0"
    ),
    "current_rewards_should_succeed": lambda s: s.get("/rewards/markets/current"),
    "price_change_batch": lambda s: s.price_change(),
    "tick_size_change": lambda s: s.tick_change(),
    "trade": _trade_event,
    "order": _order_event,
    "Clob-Concurrent": lambda s: s.price_change(),
    "Clob-ExchangeData-GetBidAskSpreads": lambda s: s.post("/spreads", _tokens(s)),
    "Clob-ExchangeData-GetMidpointPrice": lambda s: s.get("/midpoint", token_id=_token(s)),
    "Clob-ExchangeData-GetPriceHistory": lambda s: s.get(
        "/prices-history", market=_token(s), interval="1h", fidelity="1"
    ),
    "Clob-ExchangeData-GetTokenInfo": lambda s: s.get("/book", token_id=_token(s)),
    "Clob-ExchangeData-GetTokenInfos": lambda s: s.post("/books", _tokens(s)),
    "Clob-OrderUpdate": _order_event,
    "Clob-TradeUpdate": _trade_event,
    "Clob-Trading-CancelOrder": _cancel,
    "Clob-Trading-GetOrder": lambda s: s.signed("GET", f"/data/order/{s.resting['orderID']}"),
    "Clob-Trading-PlaceOrder": _resting,
}
REQUESTS: dict[str, Ask] = {
    "midpoints_should_succeed": lambda s: s.post("/midpoints", _tokens(s)),
    "prices_should_succeed": lambda s: s.post("/prices", [_tokens(s)[0] | {"side": "BUY"}]),
    "spreads_should_succeed": lambda s: s.post("/spreads", _tokens(s)),
    "order_books_should_succeed": lambda s: s.post("/books", _tokens(s)),
    "cancel_orders_should_succeed": lambda s: s.signed("DELETE", "/orders", [s.resting["orderID"]]),
}


def play(venue: RunningVenue, scene_of: Callable[[Scene], Awaitable[None]]) -> None:
    async def scene(session: aiohttp.ClientSession) -> None:
        prepared = Scene(venue, session, await asyncio.to_thread(Caller, venue))
        await prepared.prepare()
        await scene_of(prepared)

    run(venue, scene)


def label(body: dict[str, Any]) -> str:
    """Name of a body's test, with its role where one test has two."""
    return f"{body['test']} {body['role']}" if f"{body['test']} {body['role']}" in SKIPPED else body["test"]


def compared() -> list[tuple[str, object]]:
    """Bodies that have an answer here."""
    found = [(b["test"], b["body"]) for b in RUST if b["role"] != "request" and b["test"] in ANSWERS]
    found += [(file.stem, jkorf_body(file)) for file in JKORF if file.stem in ANSWERS]
    return found


def jkorf_body(file: Path) -> object:
    """The answer of a request file, or the first update of a subscription file."""
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    if not lines[0].startswith(">"):
        return json.loads("\n".join(lines[3:]))
    text = "\n".join(line for line in lines if not line.startswith(">")).removeprefix("=")
    return json.JSONDecoder().raw_decode(text.lstrip("1234 \n"))[0]


@pytest.mark.parametrize(
    ("name", "body"), compared(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_answers_have_the_shape(venue: RunningVenue, name: str, body: object) -> None:
    async def scene(prepared: Scene) -> None:
        answer = await ANSWERS[name](prepared)
        assert list(differences(body, answer)) == KNOWN.get(name, [])

    play(venue, scene)


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_are_taken(venue: RunningVenue, name: str) -> None:
    async def scene(prepared: Scene) -> None:
        assert await REQUESTS[name](prepared)

    play(venue, scene)


def test_a_matched_order_has_the_shape(venue: RunningVenue) -> None:
    name = "post_order_should_accept_transactions_hashes_alias"
    (body,) = (b["body"] for b in RUST if b["test"] == name)

    async def scene(prepared: Scene) -> None:
        assert list(differences(body, prepared.matched)) == KNOWN[name]

    play(venue, scene)


def test_every_body_is_compared_or_has_a_reason() -> None:
    named = {label(body) for body in RUST if body["file"] not in OTHER_HOSTS} | {file.stem for file in JKORF}
    held = {*ANSWERS, *REQUESTS, "post_order_should_accept_transactions_hashes_alias"}
    assert named - held - set(SKIPPED) == set()
    assert set(SKIPPED) <= named
    assert held <= named
    assert {body["file"] for body in RUST} - {"tests/clob.rs", "tests/websocket.rs"} == set(OTHER_HOSTS)
