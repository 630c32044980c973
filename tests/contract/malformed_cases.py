"""Generator of requests that are wrong in exactly one way, from a seed.

Every case names what must come back: `refusal`, a 4xx with the venue's error body, or `legs`, a 200 whose legs
each carry an error. Nothing here may place an order: what is not spoilt is signed for amounts that are.
"""

import base64
import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from raw_wire import Case
from wire_client import Caller

Json = Any
MORE_THAN_A_BATCH = 16
DEEP = 2_000
PLURALS = ("/books", "/midpoints", "/prices", "/spreads", "/last-trades-prices")
WALLET_CANCELS = ("/cancel-wallet-orders", "/v1/gateway/cancel-wallet-orders")

NO_TEXT = (None, 7, -1, 1.5, True, [], {}, ["x"], {"x": 1})
NO_NUMBER = ("", "x", "-1", "1.5", "0x10", "٣", "1e3", " 1", "9" * 79, *NO_TEXT)
NO_TOKEN = ("", "x", "-1", "1.5", "0x10", "٣", "9" * 79, "5", "123456789", "💩", "a" * 500)
NO_HEX = ("", "0x", "0xzz", "zz" * 32, "0x" + "g" * 40, "0x12", "0x" + "1" * 39, "0x" + "1" * 41, "💩")
NO_CURSOR = ("LTE=", "####", "LTU=", "=", "💩", "a", "MA", base64.b64encode(b"x").decode(), "LTE=LTE=")
NOT_JSON = (b"", b"{", b"}", b"nul", b"'x'", b"\xff\xfe", b"\x00", b"{]", b'{"a":}', b"NaN", b"[1,]", b'{"a"')
WRONG_TOP = (b"null", b"true", b"7", b'"x"', b"1e999", b'"\\ud800"')


class Cases:
    """An endless supply of malformed requests."""

    def __init__(self, caller: Caller, good_order: dict[str, Json], seed: int) -> None:
        self._caller = caller
        self._order = good_order
        self._random = random.Random(seed)
        self._market = caller.venue.market
        self._makers: tuple[tuple[int, Callable[[], Case]], ...] = (
            (30, self._spoilt_order),
            (10, self._spoilt_batch),
            (10, self._unreadable_body),
            (10, self._wrong_shape),
            (10, self._bad_token),
            (6, self._bad_path),
            (6, self._bad_cursor),
            (8, self._bad_l2),
            (4, self._bad_l1),
            (6, self._wrong_method),
            (4, self._bad_query),
            (6, self._bad_listing),
            (5, self._bad_income),
            (5, self._bad_relayer),
        )

    def __iter__(self) -> Iterator[Case]:
        weights, makers = zip(*self._makers, strict=True)
        while True:
            yield self._random.choices(makers, weights)[0]()

    # --- kinds ----------------------------------------------------------------------------------

    def _spoilt_order(self) -> Case:
        return self._signed("POST", "/order", _dumps(self._spoilt_message()))

    def _spoilt_message(self) -> Json:
        """A signed order with one thing wrong."""
        message = copy.deepcopy(self._order)
        order = message["order"]
        pick = self._random
        name, values = pick.choice(
            (
                ("salt", (None, "x", -1, 1.5, [], {}, True, 2**300)),
                ("maker", (*NO_TEXT, *NO_HEX, "0x" + "11" * 20)),
                ("signer", (*NO_TEXT, *NO_HEX, "0x" + "11" * 20)),
                ("tokenId", (*NO_TEXT, *NO_TOKEN, self._market.no_token)),
                ("makerAmount", (*NO_NUMBER, "0", "4000001", str(2**256))),
                ("takerAmount", (*NO_NUMBER, "0", "10000001", str(2**256))),
                ("side", (*NO_TEXT, "", "buy", "SELL", "0")),
                ("expiration", (7, -1, 1.5, True, [], {}, "x", "-1", "5", "9" * 79)),
                ("signatureType", (None, "0", -1, 1, 2, 3, 4, 99, 1.5, True, [])),
                ("timestamp", (*NO_NUMBER, "1", "0")),
                ("metadata", (7, [], {}, "0x", "0x12", "x", "0x" + "zz" * 32, "0x" + "11" * 32)),
                ("builder", (7, [], {}, "0x", "0x12", "x", "0x" + "zz" * 32, "0x" + "11" * 32)),
                ("signature", (*NO_TEXT, *NO_HEX, "0x" + "00" * 65, "0x" + "11" * 317, "0x" + "6492" * 16)),
                ("signature", (self._flipped(order["signature"]),)),
                ("owner", (*NO_TEXT, "", "x", "00000000-0000-4000-8000-000000000000")),
                ("orderType", (None, 7, [], {}, "", "gtc", "IOC", "MARKET", "💩")),
                ("postOnly", (7, "yes", [], {}, 1.5)),
                ("deferExec", (7, "no", [], {}, 1.5)),
                ("order", (None, 7, "x", [], {}, [[]])),
            )
        )
        value = pick.choice(values)
        if name == "expiration" and value is None:
            value = "x"
        target = order if name in order else message
        if pick.random() < 0.1 and name not in ("expiration", "orderType", "postOnly", "deferExec"):
            # An order signed without metadata or builder has zeros there: leaving them out is no mistake.
            name = name if name not in ("metadata", "builder") else "signature"
            (order if name in order else message).pop(name)
        else:
            target[name] = value
        return message

    def _flipped(self, signature: str) -> str:
        raw = bytearray.fromhex(signature[2:])
        raw[self._random.randrange(64)] ^= 1 << self._random.randrange(8)
        return "0x" + raw.hex()

    def _spoilt_batch(self) -> Case:
        pick = self._random
        count = pick.randint(1, 3)
        legs = [
            self._spoilt_message() if pick.random() < 0.8 else pick.choice((None, 7, "x", [], {}))
            for _ in range(count)
        ]
        if pick.random() < 0.1:
            legs = [{}] * MORE_THAN_A_BATCH
            return self._signed("POST", "/orders", _dumps(legs))
        return self._signed("POST", "/orders", _dumps(legs), is_legs=True)

    def _unreadable_body(self) -> Case:
        """A body that is no JSON: cut short, nested too deep or garbage."""
        pick = self._random
        method, path, good, is_private = pick.choice(self._bodies())
        how = pick.randrange(5)
        if how == 0:
            body = good[: pick.randrange(len(good))]
        elif how == 1:
            body = pick.choice((b"[" * DEEP, b'{"a":' * DEEP, b"[" * DEEP + b"]" * DEEP, b"[[" * 20_000))
        elif how == 2:
            body = pick.choice(NOT_JSON)
        elif how == 3:
            body = b"\xff" + pick.randbytes(pick.randrange(200))
        else:
            cut = pick.randrange(len(good))
            body = good[:cut] + b"\x00" + good[cut:]
        if is_private:
            return self._signed(method, path, body)
        return Case(method, path, body)

    def _bodies(self) -> list[tuple[str, str, bytes, bool]]:
        """Every route with a body: method, path, a good body, whether it is signed."""
        token, order_id = self._market.yes_token, "0x" + "12" * 32
        tokens = [{"token_id": token, "side": "BUY"}]
        market = {"market": self._market.condition_id, "asset_id": token}
        return [
            ("POST", "/order", _dumps(self._order), True),
            ("POST", "/orders", _dumps([self._order]), True),
            ("DELETE", "/order", _dumps({"orderID": order_id}), True),
            ("DELETE", "/orders", _dumps([order_id]), True),
            ("DELETE", "/cancel-market-orders", _dumps(market), True),
            ("POST", "/v1/heartbeats", _dumps({"heartbeat_id": "x"}), True),
            ("POST", "/orders-scoring", _dumps([order_id]), True),
            ("DELETE", "/auth/readonly-api-key", b'{"key":"x"}', True),
            *(("DELETE", path, b'{"all":true}', True) for path in WALLET_CANCELS),
            *(("POST", path, _dumps(tokens), False) for path in PLURALS),
        ]

    def _wrong_shape(self) -> Case:
        """A body that is JSON, but not what the route takes."""
        pick = self._random
        bad_ids = (None, 7, [], {}, "", "x", "0x12", "0" * 66, "0x" + "zz" * 32, "0x" + "1" * 63)
        choices: list[tuple[str, str, Json, bool]] = [
            ("DELETE", "/order", {"orderID": pick.choice(bad_ids)}, True),
            ("DELETE", "/order", pick.choice(([], {}, {"orderId": "0x" + "12" * 32})), True),
            ("DELETE", "/orders", [pick.choice(bad_ids)], True),
            ("DELETE", "/orders", pick.choice(({}, "x", [["0x" + "12" * 32]], ["0x" + "12" * 32] * 3001)), True),
            ("DELETE", "/cancel-market-orders", pick.choice((
                {}, [], {"market": 7}, {"asset_id": []}, {"market": None}, {"market": "", "asset_id": ""},
            )), True),
            ("POST", "/v1/heartbeats", pick.choice((
                {}, [], {"heartbeat_id": 7}, {"heartbeat_id": "wrong"}, {"heartbeat_id": []}, {"id": ""},
            )), True),
            ("POST", "/orders-scoring", pick.choice(({}, [7], [None], [["x"]])), True),
            ("DELETE", "/auth/readonly-api-key", pick.choice(({}, [], {"key": 7}, {"key": None})), True),
            ("DELETE", pick.choice(WALLET_CANCELS), pick.choice((
                {}, [], {"all": False}, {"all": 7}, {"order_ids": "x"}, {"order_ids": [7]},
                {"order_ids": ["0x12"]}, {"all": True, "order_ids": []},
            )), True),
            ("POST", pick.choice(PLURALS), pick.choice((
                {}, {"token_id": "5"}, [7], [None], [[]], [{}], [{"token_id": 7}], [{"token_id": None}],
                [{"token": "5"}], [{"token_id": "x", "side": "BUY"}], [{"token_id": "-1", "side": "BUY"}],
                [{"token_id": self._market.yes_token, "side": "BUY"}] * 501,
            )), False),
            ("POST", "/prices", [{
                "token_id": self._market.yes_token, "side": pick.choice((7, None, "", "buy", "HOLD", [])),
            }], False),
        ]  # fmt: skip
        method, path, body, is_private = pick.choice(choices)
        raw = pick.choice(WRONG_TOP) if pick.random() < 0.15 else _dumps(body)
        return self._signed(method, path, raw) if is_private else Case(method, path, raw)

    def _bad_token(self) -> Case:
        path, extra = self._random.choice(
            (
                *((path, "") for path in ("/book", "/midpoint", "/spread", "/tick-size", "/neg-risk")),
                ("/fee-rate", ""),
                ("/last-trade-price", ""),
                ("/price", "&side=BUY"),
            )
        )
        token = self._random.choice(NO_TOKEN)
        if self._random.random() < 0.1:
            # The plural reads take no GET, whatever they ask for.
            return Case("GET", f"{self._random.choice(PLURALS)}?token_ids={self._market.yes_token}")
        return Case("GET", f"{path}?token_id={quote(token)}{extra}")

    def _bad_path(self) -> Case:
        pick = self._random
        condition = pick.choice(
            (*NO_HEX[3:], "0x" + "00" * 32, "0x" + "ab" * 32, "..%2f..", "%00", "a" * 5_000)
        )
        token = pick.choice([token for token in NO_TOKEN if token])
        if pick.random() < 0.15:
            return self._signed("GET", "/data/order/" + quote(condition))
        if pick.random() < 0.1:
            return Case("GET", pick.choice(("/ws/market", "/ws/user", "/rtds", "/polybolt/ws")))
        prefix, name = pick.choice((
            ("/markets/", condition),
            ("/clob-markets/", condition),
            ("/markets-by-token/", token),
            ("/tick-size/", token),
            ("/neg-risk/", token),
            ("/fee-rate/", token),
            ("/", pick.choice(("nowhere", "orderz", "book/", "wp-login.php", "%ff%fe", "a" * 4_000, "data"))),
        ))  # fmt: skip
        return Case("GET", prefix + quote(name, safe="%/"))

    def _bad_cursor(self) -> Case:
        cursor = quote(self._random.choice(NO_CURSOR))
        public = ("/markets", "/simplified-markets", "/sampling-markets", "/sampling-simplified-markets")
        path = self._random.choice((*public, "/data/orders", "/data/trades", "/data/wallet-open-orders"))
        if path in public:
            return Case("GET", f"{path}?next_cursor={cursor}")
        name = "cursor" if path == "/data/wallet-open-orders" else "next_cursor"
        return self._signed("GET", path, query=f"?{name}={cursor}")

    def _bad_query(self) -> Case:
        pick = self._random
        number = quote(str(pick.choice(("x", "-1", "1.5", "9" * 400, "💩", "0x1"))))
        return pick.choice(
            (
                self._signed("GET", "/data/trades", query=f"?{pick.choice(('after', 'before'))}={number}"),
                self._signed(
                    "GET", "/balance-allowance", query="?asset_type=" + pick.choice(("", "GOLD", "%00"))
                ),
                self._signed("GET", "/balance-allowance", query="?asset_type=CONDITIONAL&token_id=5"),
                self._signed(
                    "GET", "/balance-allowance", query=f"?asset_type=COLLATERAL&signature_type={number}"
                ),
                self._signed("GET", "/balance-allowance/update", query="?asset_type=GOLD"),
                self._signed(
                    "GET", "/notifications", query="?signature_type=" + pick.choice(("x", "9", "-1"))
                ),
                self._signed("DELETE", "/notifications", query="?ids=" + pick.choice(("", "x", "1,x", "-1"))),
                Case("GET", "/prices-history?market=" + pick.choice(("", "x", "-1"))),
                Case(
                    "GET",
                    f"/prices-history?market={self._market.yes_token}&"
                    + pick.choice(
                        (
                            "",
                            "interval=1y",
                            "interval=",
                            "startTs=x&endTs=1",
                            "interval=1h&fidelity=x",
                            "interval=1m&fidelity=1",
                            "endTs=5",
                        )
                    ),
                ),
                Case(
                    "GET",
                    f"/price?token_id={self._market.yes_token}&side=" + pick.choice(("", "buy", "HOLD")),
                ),
            )
        )

    def _bad_listing(self) -> Case:
        """The metadata service and the Data API: a wrong filter, an unknown name, no wallet."""
        pick = self._random
        word = quote(pick.choice(("x", "nan", "inf", "1e999", "💩", "²", "0x1", "%00", "9" * 400 + "x")))
        user = "user=0x" + "11" * 20
        filters = (
            f"limit={word}", "limit=-1", f"offset={word}", "offset=2001", "offset=-1", f"order={word}",
            f"closed={word}", f"active={word}", f"ascending={word}", f"after_cursor={word}",
            "after_cursor=aWQ6LTE%3D", "after_cursor=aWQ6OTk5OTk5OTk5", f"end_date_min={word}",
            f"end_date_max={word}", "&".join(["id=1"] * 101),
        )  # fmt: skip
        listing = pick.choice(("markets", "markets/keyset", "events", "events/keyset"))
        name = quote(pick.choice(("x", "-1", "💩", "a" * 2_000, "3", "..%2f..")), safe="%")
        one = pick.choice((
            "/gamma/markets/{}", "/gamma/markets/slug/{}", "/gamma/markets/{}/tags", "/gamma/events/{}",
            "/gamma/events/slug/{}", "/gamma/events/{}/tags",
        ))  # fmt: skip
        data = pick.choice((
            "positions", f"positions?user={word}", f"positions?{user}&sizeThreshold={word}",
            f"positions?{user}&redeemable={word}", f"positions?{user}&limit={word}", f"trades?user={word}",
            f"trades?takerOnly={word}", f"trades?offset={word}", "value", f"value?user={word}", "v2/positions",
            f"v2/positions?{user}&status={word}", f"v2/positions?{user}&cursor={word}", f"v2/trades?user={word}",
            f"v2/trades?start={word}", "v2/trades?cursor=LTE%3D", "v2/value", f"v2/value?user={word}",
        ))  # fmt: skip
        target = pick.choice(
            (f"/gamma/{listing}?{pick.choice(filters)}", one.format(name), f"/data-api/{data}")
        )
        return Case("GET", target)

    def _bad_income(self) -> Case:
        """Rewards and rebates: a day that is none, a page that is none, a wallet that is none."""
        pick = self._random
        date = quote(str(pick.choice(("", "x", "2026-13-01", "-1", "9" * 400, "💩"))))
        kind = quote(str(pick.choice(("x", "9", "-1", "1.5"))))
        cursor, size = quote(pick.choice(NO_CURSOR)), quote(pick.choice(("0", "501", "x", "-1", "9" * 400)))
        condition = quote(pick.choice((*NO_HEX[3:], "0x" + "00" * 32)), safe="%/")
        return pick.choice(
            (
                Case("GET", f"/rewards/markets/current?next_cursor={cursor}"),
                Case("GET", f"/rewards/markets/multi?page_size={size}"),
                Case("GET", f"/rewards/markets/{condition}"),
                self._signed("GET", "/rewards/user", query=f"?date={date}"),
                self._signed("GET", "/rewards/user/total", query=f"?date={date}"),
                self._signed("GET", "/rewards/user/markets", query=f"?date=2026-01-01&signature_type={kind}"),
                self._signed("GET", "/rewards/user/percentages", query=f"?signature_type={kind}"),
                Case("GET", f"/rebates/current?date={date}&maker_address={self._order['order']['maker']}"),
                Case(
                    "GET", "/rebates/current?date=2026-01-01&maker_address=" + pick.choice(("", "x", "0x12"))
                ),
            )
        )

    def _bad_relayer(self) -> Case:
        """The relayer: nobody submits, nobody's wallet, no such transaction."""
        pick = self._random
        address = quote(str(pick.choice(("", "x", "0x12", "0x" + "zz" * 20, "9" * 400))))
        headers = pick.choice(
            (
                {},
                {"RELAYER_API_KEY": "x", "RELAYER_API_KEY_ADDRESS": "x"},
                {"RELAYER_API_KEY": "x", "RELAYER_API_KEY_ADDRESS": "0x" + "11" * 20},
                {"POLY_BUILDER_API_KEY": "x", "POLY_BUILDER_TIMESTAMP": "-1"},
            )
        )
        return pick.choice(
            (
                Case("POST", "/submit", pick.choice((b"", b"{}", b"[]", b"\xff")), headers),
                Case("DELETE", "/auth/builder-api-key", b"", headers),
                Case("GET", f"/deployed?address={address}"),
                Case("GET", f"/nonce?address={address}"),
                Case("GET", f"/v1/account/transactions/params?address={address}"),
                Case("GET", f"/v1/account/transactions/params?type=GOLD&address=0x{'11' * 20}"),
                Case("GET", "/v1/account/transactions/" + pick.choice(("x", "0", "a" * 4_000))),
                Case("GET", f"/data-api/v2/approvals?user={address}"),
            )
        )

    def _bad_l2(self) -> Case:
        pick = self._random
        method, path, body = pick.choice(
            (
                ("GET", "/auth/api-keys", b""),
                ("DELETE", "/auth/api-key", b""),
                ("GET", "/auth/ban-status/closed-only", b""),
                ("POST", "/order", _dumps(self._order)),
                ("POST", "/orders", _dumps([self._order])),
                ("DELETE", "/order", _dumps({"orderID": "0x" + "12" * 32})),
                ("DELETE", "/orders", b"[]"),
                ("DELETE", "/cancel-all", b""),
                ("DELETE", "/cancel-market-orders", b'{"market":"x"}'),
                ("GET", "/data/orders", b""),
                ("GET", "/data/order/0x12", b""),
                ("GET", "/data/trades", b""),
                ("GET", "/balance-allowance", b""),
                ("GET", "/balance-allowance/update", b""),
                ("POST", "/v1/heartbeats", b'{"heartbeat_id":""}'),
                ("GET", "/order-scoring", b""),
                ("POST", "/orders-scoring", b"[]"),
                ("POST", "/auth/readonly-api-key", b""),
                ("GET", "/auth/readonly-api-keys", b""),
                ("DELETE", "/auth/readonly-api-key", b'{"key":"x"}'),
                ("GET", "/v1/user/session-signers", b""),
                ("POST", "/auth/builder-api-key", b""),
                ("GET", "/auth/builder-api-key", b""),
                ("GET", "/v1/user/rate-limit-tier", b""),
                *(("DELETE", path, b'{"all":true}') for path in WALLET_CANCELS),
                ("POST", "/heartbeats", b""),
                ("GET", "/data/wallet-open-orders", b""),
                ("GET", "/data/pre-migration-orders", b""),
                ("GET", "/notifications", b""),
                ("DELETE", "/notifications", b""),
            )
        )
        headers = self._caller.headers(method, path, body)
        return Case(method, path, body, self._spoilt_headers(headers))

    def _bad_l1(self) -> Case:
        method, path = self._random.choice((("POST", "/auth/api-key"), ("GET", "/auth/derive-api-key")))
        headers = dict(self._caller.official._l1_headers(nonce=0))
        return Case(method, path, b"", self._spoilt_headers({k: str(v) for k, v in headers.items()}))

    def _spoilt_headers(self, headers: dict[str, str]) -> dict[str, str]:
        """Leave one header out, or put something else into it."""
        pick = self._random
        # A missing nonce means nonce 0, the one that is signed here.
        name = pick.choice([name for name in headers if name != "POLY_NONCE"])
        if pick.random() < 0.2:
            return {key: value for key, value in headers.items() if key != name}
        wrong = pick.choice(
            ("", "x", "0", "-1", "9" * 79, "9" * 5_000, "\xff\xfe", "é", "0x" + "00" * 65, "=", "A==")
        )
        if wrong.lstrip("0") == headers[name].lstrip("0"):
            wrong = "x"
        return headers | {name: wrong}

    def _wrong_method(self) -> Case:
        path, right = self._random.choice(
            (
                ("/book", "GET"), ("/order", "POST DELETE"), ("/orders", "POST DELETE"), ("/cancel-all", "DELETE"),
                ("/data/orders", "GET"), ("/data/trades", "GET"), ("/v1/heartbeats", "POST"), ("/time", "GET"),
                ("/auth/derive-api-key", "GET"), ("/cancel-market-orders", "DELETE"), ("/markets", "GET"),
                ("/", "GET"), ("/ok", "GET"), ("/version", "GET"), ("/api/geoblock", "GET"),
                ("/books", "GET POST"),
            )
        )  # fmt: skip
        wrong = [
            m for m in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE") if m not in right.split()
        ]
        method = self._random.choice(wrong)
        return Case(method, path, b"{}" if method in ("POST", "PUT", "PATCH") else b"")

    def _signed(
        self, method: str, path: str, body: bytes = b"", *, query: str = "", is_legs: bool = False
    ) -> Case:
        headers = self._caller.headers(method, path, body)
        return Case(method, path + query, body, headers, is_legs)


def _dumps(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
