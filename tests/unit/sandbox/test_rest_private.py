"""Private routes over HTTP: keys, held orders, batches, reads, notifications, the documented variant."""

import asyncio

import pytest
from polymarket._internal.actions.account import parse_notifications
from rest_bench import RestBench, serve
from signed_orders import SESSION_KEY, OfficialSigner
from venue_bench import VenueBench

from clawswarm.sandbox.exchange.settlement import OrderedFate
from clawswarm.sandbox.identity.sessions import SessionSigner
from clawswarm.sandbox.identity.wallets import wallets_of

OWNER, OTHER = OfficialSigner(), OfficialSigner(SESSION_KEY)
DEPOSIT = wallets_of(OWNER.address).deposit
MAKER = {"amounts": ("4800000", "10000000")}
"""Ten of the second outcome at 0.48: the other side of ten at 0.52."""


def test_keys_are_deleted_and_readonly_keys_read() -> None:
    async def scene(rest: RestBench) -> None:
        key = rest.bench.key(OWNER)
        await rest.order(OWNER, key)
        status, issued = await rest.send("POST", "/auth/readonly-api-key", None, key)
        assert status == 200
        assert await rest.get("/auth/readonly-api-keys", key) == (200, [issued["apiKey"]])
        headers = {"POLY_READONLY_API_KEY": issued["apiKey"], "POLY_ADDRESS": OWNER.address}
        async with rest.client.get("/data/orders", headers=headers) as response:
            assert (await response.json())["count"] == 1
        async with rest.client.delete("/cancel-all", headers=headers) as response:
            assert response.status == 401
        body = {"key": issued["apiKey"]}
        assert await rest.send("DELETE", "/auth/readonly-api-key", body, key) == (200, True)
        assert await rest.send("DELETE", "/auth/api-key", None, key) == (200, "OK")
        assert await rest.get("/auth/api-keys", key) == (401, {"error": "Unauthorized/Invalid api key"})

    serve(VenueBench(), scene)


def test_standing() -> None:
    async def scene(rest: RestBench) -> None:
        key, path = rest.bench.key(OWNER), "/auth/ban-status/closed-only"
        assert await rest.get(path, key) == (200, {"closed_only": False})
        rest.bench.venue.access.closed_only.add(OWNER.address.lower())
        assert await rest.get(path, key) == (200, {"closed_only": True})

    serve(VenueBench(), scene)


# --- orders -------------------------------------------------------------------------------------


async def until_held(rest: RestBench, count: int = 1) -> None:
    orders = rest.bench.venue.exchange.orders
    # The request and its answer run on this very loop: there is nothing else to wait for.
    while sum(order.status == "DELAYED" for order in orders.values()) < count:  # noqa: ASYNC110
        await asyncio.sleep(0)


def test_the_call_waits_while_an_order_is_held() -> None:
    async def scene(rest: RestBench) -> None:
        taker, maker = rest.bench.key(OWNER), rest.bench.key(OTHER)
        assert (await rest.order(OTHER, maker, rest.bench.market.no_token, **MAKER))[1]["status"] == "live"
        call = asyncio.create_task(rest.order(OWNER, taker))
        await until_held(rest)
        (order_id,) = [o.id for o in rest.bench.venue.exchange.orders.values() if o.status == "DELAYED"]
        cancel = await rest.send("DELETE", "/order", {"orderID": order_id}, taker)
        assert cancel[1]["not_canceled"] == {order_id: "order match delayed due to market conditions"}
        assert (await rest.get("/data/orders", taker))[1]["count"] == 0
        assert (await rest.get(f"/data/order/{order_id}", taker))[1]["status"] == "DELAYED"
        assert not call.done()
        rest.bench.pass_ms(250)
        status, answer = await call
        assert (status, answer["status"], answer["orderID"]) == (200, "matched", order_id)
        assert (answer["makingAmount"], answer["takingAmount"]) == ("5.2", "10")

    serve(VenueBench(taker_delay_ms=250), scene)


def test_legs_of_a_batch_are_held_side_by_side() -> None:
    async def scene(rest: RestBench) -> None:
        taker, maker = rest.bench.key(OWNER), rest.bench.key(OTHER)
        await rest.order(OTHER, maker, rest.bench.market.no_token, **MAKER)
        legs = [
            rest.body(OWNER, taker, order_type="FOK"),
            rest.body(OWNER, taker, amounts=("100", "10000000")),
            rest.body(OWNER, taker, amounts=("4000000", "10000000")),
            rest.body(OWNER, taker, order_type="FOK"),
        ]
        call = asyncio.create_task(rest.send("POST", "/orders", legs, taker))
        await until_held(rest, 2)
        rest.bench.pass_ms(250)
        status, answers = await call
        assert status == 200
        assert [leg["status"] for leg in answers] == ["matched", "", "live", ""]
        assert "breaks minimum tick size rule" in answers[1]["errorMsg"]
        assert answers[3]["errorMsg"].startswith("order couldn't be fully filled.")

    serve(VenueBench(taker_delay_ms=250), scene)


def test_a_held_order_that_finds_nobody_is_refused_at_the_end() -> None:
    async def scene(rest: RestBench) -> None:
        taker, maker = rest.bench.key(OWNER), rest.bench.key(OTHER)
        await rest.order(OTHER, maker, rest.bench.market.no_token, **MAKER)
        call = asyncio.create_task(rest.order(OWNER, taker, order_type="FAK"))
        await until_held(rest)
        await rest.send("DELETE", "/cancel-all", None, maker)
        rest.bench.pass_ms(250)
        status, answer = await call
        assert status == 400
        assert answer["error"].startswith("no orders found to match with FAK order.")

    serve(VenueBench(taker_delay_ms=250), scene)


def test_a_seconds_delay_answers_delayed_at_once() -> None:
    async def scene(rest: RestBench) -> None:
        rest.bench.market.seconds_delay = 3
        taker, maker = rest.bench.key(OWNER), rest.bench.key(OTHER)
        await rest.order(OTHER, maker, rest.bench.market.no_token, **MAKER)
        _, answer = await rest.order(OWNER, taker)
        assert (answer["success"], answer["status"], answer["makingAmount"]) == (True, "delayed", "")
        rest.bench.pass_ms(3000)
        assert (await rest.get(f"/data/order/{answer['orderID']}", taker))[1]["status"] == "MATCHED"

    serve(VenueBench(), scene)


def test_wallet_orders_across_keys() -> None:
    async def scene(rest: RestBench) -> None:
        owner, session = rest.bench.key(OWNER), rest.bench.key(OTHER)
        rest.bench.venue.sessions.authorize(
            SessionSigner(OTHER.address, DEPOSIT, OWNER.address, valid_until_s=rest.bench.now_s + 60)
        )
        placed = await rest.order(OWNER, owner, maker=DEPOSIT, signature_type=3)
        order_id = placed[1]["orderID"]
        await rest.order(OWNER, owner)
        status, page = await rest.get("/data/wallet-open-orders", session)
        assert (status, [order["id"] for order in page["data"]], page["next_cursor"]) == (200, [order_id], "")
        listed = await rest.get("/v1/user/session-signers", owner)
        assert [signer["address"] for signer in listed[1]["signers"]] == [OTHER.address]
        path, body = "/cancel-wallet-orders", {"order_ids": [order_id]}
        if not rest.bench.venue.settings.is_wallet_cancel_routed:
            assert (await rest.send("DELETE", path, body, owner))[0] == 404
            return
        assert (await rest.send("DELETE", path, body, session))[0] == 403
        assert (await rest.send("DELETE", path, {"all": True, "order_ids": []}, owner))[0] == 400
        assert (await rest.send("DELETE", path, {}, owner))[0] == 400
        assert (await rest.send("DELETE", f"/v1/gateway{path}", body, owner))[1]["canceled"] == [order_id]

    for routed in (False, True):
        serve(VenueBench(is_wallet_cancel_routed=routed), scene)


def test_a_page_of_wallet_orders_may_be_empty_with_more_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawswarm.sandbox.rest.reads.READ_PAGE", 2)

    async def scene(rest: RestBench) -> None:
        key = rest.bench.key(OWNER)
        ids = []
        for cents in (40, 41, 42):
            amounts = (str(cents * 100_000), "10000000")
            placed = await rest.order(OWNER, key, maker=DEPOSIT, signature_type=3, amounts=amounts)
            ids.append(placed[1]["orderID"])
        await rest.send("DELETE", "/orders", ids[1:], key)
        _, first = await rest.get("/data/wallet-open-orders", key)
        assert first["data"] == []
        _, second = await rest.get("/data/wallet-open-orders", key, cursor=first["next_cursor"])
        assert ([order["id"] for order in second["data"]], second["next_cursor"]) == (ids[:1], "")

    serve(VenueBench(), scene)


def test_scoring_needs_size_and_nearness() -> None:
    async def scene(rest: RestBench) -> None:
        taker, maker = rest.bench.key(OWNER), rest.bench.key(OTHER)
        await rest.order(OTHER, maker, rest.bench.market.no_token, amounts=("40000000", "100000000"))
        near = await rest.order(OWNER, taker, amounts=("55000000", "100000000"))
        small = await rest.order(OWNER, taker, amounts=("5500000", "10000000"))
        far = await rest.order(OWNER, taker, amounts=("40000000", "100000000"))
        ids = [answer["orderID"] for _, answer in (near, small, far)]
        assert await rest.send("POST", "/orders-scoring", [*ids, "0x00"], taker) == (
            200,
            {ids[0]: True, ids[1]: False, ids[2]: False, "0x00": False},
        )
        assert await rest.get("/order-scoring", taker, order_id=ids[0]) == (200, {"scoring": True})
        assert await rest.get("/order-scoring", maker, order_id=ids[0]) == (200, {"scoring": False})

    serve(VenueBench(), scene)


# --- accounts -----------------------------------------------------------------------------------


def test_balances_by_signature_type() -> None:
    async def scene(rest: RestBench) -> None:
        key = rest.bench.key(OWNER)
        rest.bench.venue.exchange.ledger.grant(rest.bench.venue.trading.account(DEPOSIT), 5)
        path = "/balance-allowance"
        for kind, balance in (("0", 10_000_000_000), ("3", 10_000_000_005), ("1", 10_000_000_000)):
            status, answer = await rest.get(path, key, asset_type="COLLATERAL", signature_type=kind)
            assert (status, answer["balance"]) == (200, str(balance))
        bad = [{"asset_type": "X"}, {"asset_type": "COLLATERAL", "signature_type": "4"}, {}]
        assert [(await rest.get(path, key, **query))[0] for query in bad] == [400] * 3
        token = rest.bench.market.yes_token
        _, answer = await rest.get(path, key, asset_type="CONDITIONAL", token_id=token)
        assert answer["balance"] == "0"

    serve(VenueBench(), scene)


def test_notifications_parse_in_the_official_client() -> None:
    async def scene(rest: RestBench) -> None:
        taker, maker = rest.bench.key(OWNER), rest.bench.key(OTHER)
        rest.bench.venue.exchange.settling.ordered.append(OrderedFate("fail"))
        await rest.order(OTHER, maker, rest.bench.market.no_token, **MAKER)
        await rest.order(OWNER, taker)
        resting = await rest.order(OWNER, taker, amounts=("4000000", "10000000"))
        await rest.send("DELETE", "/order", {"orderID": resting[1]["orderID"]}, taker)
        rest.bench.pass_ms(3000)
        exchange = rest.bench.venue.exchange
        rest.bench.venue.publish(exchange.close_market(rest.bench.market, "YES", rest.bench.now_ns))
        _, listed = await rest.get("/notifications", taker, signature_type="0")
        assert [notice.type for notice in parse_notifications(listed)] == [4, 8, 1, 2]
        assert listed[3]["payload"]["trade_id"] == next(iter(exchange.trades))
        dropped = f"{listed[0]['id']},{listed[1]['id']}"
        headers = rest.headers(taker, "DELETE", "/notifications")
        async with rest.client.delete("/notifications", params={"ids": dropped}, headers=headers) as response:
            assert await response.json() == "OK"
        assert [notice["type"] for notice in (await rest.get("/notifications", taker))[1]] == [1, 2]
        assert len((await rest.get("/notifications", maker))[1]) == 3

    serve(VenueBench(), scene)


def test_trades_by_filter_and_page() -> None:
    async def scene(rest: RestBench) -> None:
        taker, maker = rest.bench.key(OWNER), rest.bench.key(OTHER)
        await rest.order(OTHER, maker, rest.bench.market.no_token, amounts=("9600000", "20000000"))
        for _ in range(2):
            await rest.order(OWNER, taker)
            rest.bench.pass_ms(2000)
        _, mine = await rest.get("/data/trades", taker, next_cursor="MA==")
        assert (mine["count"], mine["next_cursor"]) == (2, "LTE=")
        newest, oldest = mine["data"]
        assert int(newest["match_time"]) > int(oldest["match_time"])
        assert {trade["trader_side"] for trade in mine["data"]} == {"TAKER"}
        _, theirs = await rest.get("/data/trades", maker, id=newest["id"])
        assert [trade["trader_side"] for trade in theirs["data"]] == ["MAKER"]
        _, after = await rest.get("/data/trades", taker, after=newest["match_time"])
        assert [trade["id"] for trade in after["data"]] == [newest["id"]]
        _, nobody = await rest.get("/data/trades", taker, maker_address="0x" + "11" * 20)
        assert nobody["data"] == []
        for query in ({"next_cursor": "LTE="}, {"after": "x"}, {"market": "0x12"}, {"asset_id": "x"}):
            assert (await rest.get("/data/trades", taker, **query))[0] == 400
        assert (await rest.get("/data/orders", taker, market="0x12"))[1] == {
            "error": "invalid order params payload"
        }

    serve(VenueBench(), scene)


def test_the_documented_variant() -> None:
    async def scene(rest: RestBench) -> None:
        taker, maker = rest.bench.key(OWNER), rest.bench.key(OTHER)
        await rest.order(OTHER, maker, rest.bench.market.no_token, amounts=("9600000", "20000000"))
        _, answer = await rest.order(OWNER, taker)
        assert (answer["makingAmount"], answer["takingAmount"]) == ("5200000", "10000000")
        _, orders = await rest.get("/data/orders", maker)
        (order,) = orders["data"]
        assert (order["status"], order["size_matched"]) == ("ORDER_STATUS_LIVE", "10000000")
        _, trades = await rest.get("/data/trades", taker)
        (trade,) = trades["data"]
        assert (trade["status"], trade["size"]) == ("TRADE_STATUS_MATCHED", "10000000")
        assert trade["maker_orders"][0]["matched_amount"] == "10000000"
        beat = {"heartbeat_id": "wrong"}
        assert (await rest.send("POST", "/v1/heartbeats", beat, taker))[1]["error"] == "Invalid Heartbeat ID"
        ids = ["0x" + "12" * 32] * 1001
        assert (await rest.send("DELETE", "/orders", ids, taker))[1] == {
            "error": "Too many orders in payload, max allowed: 1000"
        }

    serve(VenueBench(variant="documented"), scene)


def test_the_heartbeat_without_ids() -> None:
    async def scene(rest: RestBench) -> None:
        key = rest.bench.key(OWNER)
        assert await rest.send("POST", "/heartbeats", None, key) == (200, {"status": "ok"})
        status, answer = await rest.send("POST", "/v1/heartbeats", {"heartbeat_id": "x"}, key)
        assert (status, answer["heartbeat_id"]) == (400, "")

    serve(VenueBench(), scene)
