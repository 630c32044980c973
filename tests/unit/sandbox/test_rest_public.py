"""Public routes over HTTP: books, prices, last trades, histories, market listings."""

import pytest
from rest_bench import RestBench, serve
from signed_orders import SESSION_KEY, OfficialSigner
from venue_bench import NO_TOKEN, YES_TOKEN, VenueBench

from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.price_history import PriceHistory, parse_query

OWNER, OTHER = OfficialSigner(), OfficialSigner(SESSION_KEY)
UNKNOWN = "9" * 70


async def quote(rest: RestBench) -> None:
    """A book of 0.45 / 0.47 on the first outcome."""
    key = rest.bench.key(OWNER)
    await rest.order(OWNER, key, amounts=("4500000", "10000000"))
    await rest.order(OWNER, key, NO_TOKEN, amounts=("5300000", "10000000"))


def test_prices() -> None:
    async def scene(rest: RestBench) -> None:
        await quote(rest)
        both = [{"token_id": YES_TOKEN}, {"token_id": NO_TOKEN}, {"token_id": UNKNOWN}]
        assert await rest.get("/midpoint", token_id=YES_TOKEN) == (200, {"mid": "0.46"})
        assert (await rest.send("POST", "/midpoints", both))[1] == {YES_TOKEN: "0.46", NO_TOKEN: "0.54"}
        assert await rest.get("/spread", token_id=NO_TOKEN) == (200, {"spread": "0.02"})
        assert (await rest.send("POST", "/spreads", both))[1] == {YES_TOKEN: "0.02", NO_TOKEN: "0.02"}
        assert (await rest.get("/price", token_id=YES_TOKEN, side="BUY"))[1] == {"price": "0.45"}
        assert (await rest.get("/price", token_id=YES_TOKEN, side="SELL"))[1] == {"price": "0.47"}
        sides = [{"token_id": YES_TOKEN, "side": side} for side in ("BUY", "SELL")]
        asked = [*sides, {"token_id": NO_TOKEN}]
        assert (await rest.send("POST", "/prices", asked))[1] == {
            YES_TOKEN: {"BUY": "0.45", "SELL": "0.47"},
            NO_TOKEN: {"SELL": "0.55"},
        }
        assert len((await rest.send("POST", "/books", both))[1]) == 2

    serve(VenueBench(), scene)


def test_a_taker_reads_the_other_side_of_the_book() -> None:
    async def scene(rest: RestBench) -> None:
        await quote(rest)
        assert (await rest.get("/price", token_id=YES_TOKEN, side="BUY"))[1] == {"price": "0.47"}

    serve(VenueBench(price_side="taker"), scene)


def test_refusals() -> None:
    async def scene(rest: RestBench) -> None:
        assert await rest.get("/book", token_id="x") == (400, {"error": "Invalid token id"})
        no_book = {"error": "No orderbook exists for the requested token id"}
        assert await rest.get("/price", token_id=UNKNOWN, side="BUY") == (404, no_book)
        assert await rest.get("/midpoint", token_id=YES_TOKEN) == (404, no_book)
        assert await rest.get("/price", token_id=YES_TOKEN) == (400, {"error": "Invalid side"})
        for path in ("/books", "/midpoints", "/prices", "/spreads", "/last-trades-prices"):
            assert await rest.get(path, token_ids=YES_TOKEN) == (400, {"error": "Invalid payload"})
        many = [{"token_id": YES_TOKEN}] * 501
        assert await rest.send("POST", "/midpoints", many) == (400, {"error": "Payload exceeds the limit"})
        assert (await rest.get("/markets/0x12"))[1] == {"error": "Invalid market"}
        assert (await rest.get("/clob-markets/0x" + "12" * 32)) == (404, {"error": "market not found"})

    serve(VenueBench(), scene)


def test_last_trades_and_facts_by_path() -> None:
    async def scene(rest: RestBench) -> None:
        assert (await rest.get("/last-trade-price", token_id=YES_TOKEN))[1] == {"price": "0.5", "side": ""}
        await quote(rest)
        await rest.order(OTHER, rest.bench.key(OTHER), amounts=("4700000", "10000000"))
        last = {"price": "0.47", "side": "BUY"}
        assert (await rest.get("/last-trade-price", token_id=YES_TOKEN))[1] == last
        body = [{"token_id": YES_TOKEN}]
        assert (await rest.send("POST", "/last-trades-prices", body))[1] == [{"token_id": YES_TOKEN} | last]
        for path, value in (("tick-size", 0.01), ("neg-risk", False), ("fee-rate", 0)):
            by_path, by_query = (
                await rest.get(f"/{path}/{YES_TOKEN}"),
                await rest.get(f"/{path}", token_id=YES_TOKEN),
            )
            assert by_path == by_query
            assert list(by_path[1].values()) == [value]

    serve(VenueBench(), scene)


def test_market_listings() -> None:
    async def scene(rest: RestBench) -> None:
        market = rest.bench.market
        for path in ("/markets", "/simplified-markets", "/sampling-markets", "/sampling-simplified-markets"):
            _, page = await rest.get(path)
            assert (page["count"], page["next_cursor"], page["limit"]) == (1, "LTE=", 1000)
            assert page["data"][0]["rewards"]["min_size"] == 50
        rest.bench.venue.publish(rest.bench.venue.exchange.close_market(market, "YES", rest.bench.now_ns))
        assert (await rest.get("/sampling-markets"))[1]["data"] == []
        _, page = await rest.get("/simplified-markets")
        record = page["data"][0]
        assert (record["closed"], record["accepting_orders"]) == (True, False)
        assert [token["winner"] for token in record["tokens"]] == [True, False]
        error = {"error": "next item should be greater than or equal to 0"}
        assert await rest.get("/markets", next_cursor="LTE=") == (400, error)

    serve(VenueBench(), scene)


def test_the_compact_record() -> None:
    async def scene(rest: RestBench) -> None:
        _, record = await rest.get(f"/clob-markets/{rest.bench.market.condition_id}")
        assert (record["itode"], record["ao"], record["mts"], record["mos"]) == (True, True, 0.01, 5)
        assert record["fd"] == {"r": 0.07, "e": 1, "to": True}
        assert record["r"] == {"mi": 50, "ma": 4.5, "e": True, "moas": 0}
        assert "sd" not in record

    serve(VenueBench(taker_delay_ms=250, fee_rate_e4=700), scene)


def test_the_documented_variant() -> None:
    async def scene(rest: RestBench) -> None:
        await quote(rest)
        key = rest.bench.key(OTHER)
        await rest.order(OTHER, key, amounts=("4000000", "10000000"))
        _, book = await rest.get("/book", token_id=YES_TOKEN)
        assert [level["price"] for level in book["bids"]] == ["0.45", "0.4"]
        assert (await rest.get("/midpoint", token_id=YES_TOKEN))[1] == {"mid_price": "0.46"}
        assert (await rest.get("/price", token_id=YES_TOKEN, side="BUY"))[1] == {"price": 0.45}

    serve(VenueBench(variant="documented"), scene)


# --- histories ----------------------------------------------------------------------------------


def test_a_history_has_a_point_now() -> None:
    async def scene(rest: RestBench) -> None:
        await quote(rest)
        began = rest.bench.now_s
        rest.bench.pass_ms(120_000)
        _, answer = await rest.get("/prices-history", market=YES_TOKEN, interval="1h")
        assert answer == {"history": [{"t": began, "p": 0.46}, {"t": began + 120, "p": 0.46}]}
        _, other = await rest.get("/prices-history", market=NO_TOKEN, startTs="1", endTs="2")
        assert other == {"history": [{"t": began + 120, "p": 0.54}]}
        assert (await rest.get("/prices-history", market=UNKNOWN, interval="max"))[1] == {"history": []}

    serve(VenueBench(), scene)


def test_points_are_as_coarse_as_asked() -> None:
    history = PriceHistory()
    for at_s in range(1_000, 1_600, 10):
        history.note("c", at_s, 4000, 4000 + at_s - 1_000)
    asked = parse_query({"market": "1", "interval": "max", "fidelity": "5"})
    points = history.points("c", True, asked, 2_000)
    assert [point["t"] for point in points] == [1_000, 1_300, 2_000]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, "invalid filters: the 'market' (asset id) is mandatory"),
        (
            {"market": "1", "interval": "2h"},
            "the 'interval' value is unknown. Known values: '1m', '1w', '1d'",
        ),
        ({"market": "1", "interval": "1m"}, "minimum 'fidelity' for '1m' range is 10"),
        ({"market": "1", "interval": "1w", "fidelity": "4"}, "minimum 'fidelity' for '1w' range is 5"),
        ({"market": "1", "endTs": "5"}, "'startTs' or 'interval' is mandatory"),
        (
            {"market": "1", "startTs": "1", "endTs": "1700000000"},
            "'startTs' and 'endTs' interval is too long",
        ),
        ({"market": "1", "startTs": "x"}, "the 'startTs' value is invalid"),
    ],
)
def test_filters_of_a_history(query: dict[str, str], text: str) -> None:
    with pytest.raises(VenueRefusal) as refused:
        parse_query(query)
    assert text in refused.value.text
