"""RTDS and PolyBolt as pure state machines: what a client's frames bring, word for word."""

import json
from collections import deque
from collections.abc import Callable

import pytest
from exchange_bench import START_NS
from hypothesis import given
from hypothesis import strategies as st

from clawswarm.sandbox.prices.board import PriceBoard
from clawswarm.sandbox.prices.feeds import ONE_USD_E18, SOURCES, CoinFeeds, Report, SeededArrivals, Source
from clawswarm.sandbox.prices.path import COINS, SeededPath
from clawswarm.sandbox.prices.polybolt import (
    CLOSE_AUTH,
    CLOSE_POLICY,
    LARGEST_FRAME_BYTES,
    MISSED_PINGS,
    MOST_AUTH_FRAMES,
    MOST_SUBSCRIPTIONS,
    QUEUE_LIMIT,
    SUBSCRIBE_FRAMES_PER_S,
    PolyBoltHub,
    PolyBoltSession,
)
from clawswarm.sandbox.prices.rtds import RtdsHub, RtdsListener
from clawswarm.sandbox.prices.ticker import PriceTicker
from clawswarm.sandbox.streams.outbox import Outbox

Json = dict[str, object]
NOW_MS = START_NS // 1_000_000
AT_S = NOW_MS // 1000
AUTH = {"apiKey": "key", "secret": "secret", "passphrase": "pass"}


def report(source: Source, symbol: str = "btc", usd: int = 65_000, at_s: int = AT_S) -> Report:
    return Report(source, symbol, at_s, usd * ONE_USD_E18 + 5 * 10**15, at_s * 1000 + 1_500)


def taken(outbox: Outbox) -> list[Json]:
    texts, outbox._texts = list(outbox._texts), deque()
    return [json.loads(text) for text in texts]


class Rtds:
    def __init__(self) -> None:
        self.board = PriceBoard()
        self.hub = RtdsHub(self.board)
        self.listener = RtdsListener("c-1")
        self.hub.listeners[self.listener] = None

    def ask(self, action: str, *subscriptions: Json) -> list[Json]:
        text = json.dumps({"action": action, "subscriptions": subscriptions})
        self.hub.hear(self.listener, text, NOW_MS + 2_000)
        return taken(self.listener.outbox)

    def publish(self, *reports: Report) -> list[Json]:
        for each in reports:
            self.board.publish(each)
        return taken(self.listener.outbox)


@pytest.mark.parametrize(
    ("source", "topic", "symbol", "exact", "extra"),
    [
        ("binance", "crypto_prices", "btcusdt", "65000.00500000", {}),
        ("chainlink", "crypto_prices_chainlink", "btc/usd", "65000005000000000000000", {}),
        ("twap30", "crypto_prices_twap_thirty", "btc/usd", "65000005000000000000000", {"window_s": 30}),
        ("twap60", "crypto_prices_twap_sixty", "btc/usd", "65000005000000000000000", {"window_s": 60}),
    ],
)
def test_rtds_topics(source: Source, topic: str, symbol: str, exact: str, extra: Json) -> None:
    rtds = Rtds()
    rtds.ask(
        "subscribe",
        {"topic": topic, "type": "update", "filters": json.dumps({"symbol": symbol}, separators=(",", ":"))},
    )
    (frame,) = rtds.publish(report(source), report(source, "eth"), report("pyth"))
    payload = {"symbol": symbol, "timestamp": AT_S * 1000, "value": 65000.005, "full_accuracy_value": exact}
    assert frame["payload"] == payload | extra
    assert (frame["topic"], frame["type"], frame["timestamp"]) == (topic, "update", AT_S * 1000 + 1_500)
    assert rtds.ask("unsubscribe", {"topic": topic, "type": "update"}) == []
    assert rtds.publish(report(source)) == []


def test_rtds_history_comes_first_and_is_mislabelled() -> None:
    rtds = Rtds()
    rtds.publish(report("chainlink", at_s=AT_S - 1), report("chainlink"), report("chainlink", "eth"))
    first, second = rtds.ask("subscribe", {"topic": "crypto_prices_chainlink", "type": "*", "filters": ""})
    assert (first["topic"], first["type"]) == ("crypto_prices", "subscribe")
    assert first["payload"] == {
        "symbol": "btc/usd",
        "data": [
            {"timestamp": (AT_S - 1) * 1000, "value": 65000.005},
            {"timestamp": AT_S * 1000, "value": 65000.005},
        ],
    }
    assert second["payload"]["symbol"] == "eth/usd"


@pytest.mark.parametrize(
    "subscriptions",
    [
        [{"topic": "crypto_prices_chainlink", "filters": '{"symbol": "btc/usd"}'}],
        [{"topic": "crypto_prices_chainlink"}, {"topic": "weather"}],
        [{"topic": "crypto_prices_chainlink", "filters": "btc/usd"}],
        [{"topic": "crypto_prices_chainlink", "filters": '{"symbol":"BTC/USD"}'}],
        [{"topic": "comments"}],
    ],
)
def test_rtds_subscriptions_that_are_silently_nothing(subscriptions: list[Json]) -> None:
    rtds = Rtds()
    assert rtds.ask("subscribe", *subscriptions) == []
    assert rtds.publish(report("chainlink")) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"action":1}', '{"action":"dance"}', "[" * 10_000])
def test_rtds_nonsense_is_ignored(text: str) -> None:
    rtds = Rtds()
    rtds.hub.hear(rtds.listener, text, NOW_MS)
    assert rtds.publish(report("chainlink")) == []


class Bolt:
    def __init__(self) -> None:
        self.board = PriceBoard()
        self.hub = PolyBoltHub(self.board)
        self.session = PolyBoltSession(self.board, lambda auth: auth.secret == "secret", self.hub.refusals)
        self.hub.sessions.add(self.session)
        self.now_ms = NOW_MS + 2_000

    def say(self, op: str, rid: str | None = "1", **fields: object) -> list[Json]:
        body = {"op": op, **fields} | ({} if rid is None else {"rid": rid})
        self.session.hear(json.dumps(body), self.now_ms)
        return taken(self.session.outbox)

    def open(self) -> None:
        assert self.say("auth", auth=AUTH) == [{"op": "authed", "rid": "1"}]

    def subscribe(self, channel: str, **wanted: object) -> list[Json]:
        return self.say("subscribe", subscriptions=[{"channel": channel, "filter": wanted}])

    def publish(self, *reports: Report) -> list[Json]:
        for each in reports:
            self.board.publish(each)
        return taken(self.session.outbox)


def test_polybolt_snapshot_updates_and_sequence() -> None:
    bolt = Bolt()
    bolt.open()
    bolt.publish(report("pyth", at_s=AT_S - 1), report("pyth", usd=65_001))
    answer, snapshot = bolt.subscribe("price.crypto", symbol="btcusd")
    assert answer == {"op": "subscribed", "rid": "1", "channel": "price.crypto"}
    assert (snapshot["v"], snapshot["seq"], snapshot["snapshot"]) == (1, 1, True)
    assert snapshot["payload"]["source"] == "pyth"
    assert [point["full_accuracy_value"] for point in snapshot["payload"]["data"]] == [
        "65000.005",
        "65001.005",
    ]
    first, second = bolt.publish(
        report("pyth"), report("chainlink"), report("pyth", "eth"), report("pyth", at_s=AT_S + 1)
    )
    assert (first["seq"], second["seq"]) == (2, 3)
    assert "snapshot" not in first
    assert first["payload"] == {
        "symbol": "btcusd", "source": "pyth", "timestamp": AT_S * 1000, "value": 65000.005,
        "full_accuracy_value": "65000.005", "received_at": AT_S * 1000 + 1_500, "is_carried_forward": False,
    }  # fmt: skip
    assert bolt.say(
        "unsubscribe", "2", subscriptions=[{"channel": "price.crypto", "filter": {"symbol": "btcusd"}}]
    ) == [{"op": "unsubscribed", "rid": "2", "channel": "price.crypto"}]
    assert bolt.publish(report("pyth")) == []


def test_polybolt_providers_and_averages() -> None:
    bolt = Bolt()
    bolt.open()
    bolt.subscribe("price.crypto", symbol="btcusd", provider="chainlink")
    bolt.subscribe("price.crypto.twap", symbol="btcusd", window_seconds=60)
    spot, average = bolt.publish(report("chainlink"), report("twap60"), report("twap30"), report("pyth"))
    assert (spot["channel"], spot["payload"]["source"]) == ("price.crypto", "chainlink")
    assert "received_at" not in spot["payload"]
    assert (average["channel"], average["payload"]["window_seconds"]) == ("price.crypto.twap", 60)
    assert average["seq"] == 2, "a sequence for each channel: its snapshot was 1"


@pytest.mark.parametrize(
    ("channel", "wanted", "code"),
    [
        ("price.gold", {"symbol": "btcusd"}, "bad_channel"),
        ("price.crypto", {}, "bad_filter"),
        ("price.crypto", {"symbol": "btcusd", "provider": "binance"}, "bad_filter"),
        ("price.crypto.twap", {"symbol": "btcusd"}, "bad_filter"),
        ("price.crypto.twap", {"symbol": "btcusd", "window_seconds": 30}, "bad_filter"),
    ],
)
def test_polybolt_refuses_what_it_does_not_know(channel: str, wanted: Json, code: str) -> None:
    bolt = Bolt()
    bolt.open()
    assert bolt.subscribe(channel, **wanted) == [
        {"op": "error", "rid": "1", "code": code, "channel": channel}
    ]


def test_polybolt_answers_each_entry_in_order() -> None:
    bolt = Bolt()
    bolt.open()
    entries = [
        {"channel": "price.crypto", "filter": {"symbol": "btcusd"}},
        {"channel": "nothing", "filter": {}},
        {"channel": "price.equity", "filter": {"symbol": "aapl"}},
    ]
    answers = [frame["op"] for frame in bolt.say("subscribe", subscriptions=entries) if "op" in frame]
    assert answers == ["subscribed", "error", "subscribed"]


def test_polybolt_without_a_key() -> None:
    bolt = Bolt()
    (refused,) = bolt.subscribe("price.crypto", symbol="btcusd")
    assert refused["code"] == "auth_required"
    assert bolt.subscribe("price.polymarket")[0]["op"] == "subscribed"
    assert bolt.say("auth", auth=AUTH | {"secret": "wrong"})[0]["code"] == "auth_invalid"
    bolt.hub.refusals.append("auth_unavailable")
    assert bolt.say("auth", auth=AUTH)[0]["code"] == "auth_unavailable"
    for _ in range(MOST_AUTH_FRAMES - 2):
        bolt.say("auth", auth=AUTH | {"secret": "wrong"})
    assert bolt.say("auth", auth=AUTH)[0]["code"] == "auth_attempts"
    assert bolt.session.outbox.closing_code == CLOSE_AUTH
    assert "wrong" not in repr(bolt.session.__dict__)


def test_polybolt_limits() -> None:
    bolt = Bolt()
    bolt.open()
    many = [{"channel": "price.equity", "filter": {"symbol": f"s{n}"}} for n in range(MOST_SUBSCRIPTIONS + 1)]
    answers = bolt.say("subscribe", subscriptions=many)
    assert [frame.get("code") for frame in answers] == [None] * MOST_SUBSCRIPTIONS + ["sub_limit"]
    for _ in range(SUBSCRIBE_FRAMES_PER_S - 1):
        assert bolt.subscribe("price.equity", symbol="s1")[0]["op"] == "subscribed"
    assert bolt.subscribe("price.equity", symbol="s1")[0]["code"] == "rate_limited"
    bolt.now_ms += 1_001
    assert bolt.subscribe("price.equity", symbol="s1")[0]["op"] == "subscribed"
    assert bolt.session.outbox.closing_code is None
    for _ in range(SUBSCRIBE_FRAMES_PER_S + 10):
        bolt.subscribe("price.equity", symbol="s1")
    assert bolt.session.outbox.closing_code == CLOSE_POLICY


def test_polybolt_large_frames_and_silent_clients() -> None:
    bolt = Bolt()
    bolt.session.hear("x" * (LARGEST_FRAME_BYTES + 1), NOW_MS)
    assert bolt.session.outbox.closing_code == CLOSE_POLICY
    bolt = Bolt()
    assert [bolt.session.ping() for _ in range(MISSED_PINGS + 1)] == [True] * MISSED_PINGS + [False]
    assert bolt.say("ping", None) == [{"op": "pong"}]
    assert bolt.session.missed_pings == 0


def test_a_slow_polybolt_client_is_told_what_it_lost() -> None:
    bolt = Bolt()
    bolt.open()
    bolt.subscribe("price.crypto", symbol="btcusd")
    for second in range(QUEUE_LIMIT + 3):
        bolt.board.publish(report("pyth", at_s=AT_S + second))
    kept = taken(bolt.session.outbox)
    assert len(kept) == QUEUE_LIMIT
    (late,) = bolt.publish(report("pyth", at_s=AT_S + 5_000))
    assert late["dropped"] == 3


@pytest.mark.parametrize("text", ["", "[]", "{", '{"op":5}', '{"op":"dance"}', '{"op":"auth","auth":5}'])
def test_polybolt_nonsense_is_refused(text: str) -> None:
    bolt = Bolt()
    bolt.session.hear(text, NOW_MS)
    assert taken(bolt.session.outbox)[0]["code"] == "bad_op"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["op", "rid", "auth", "subscriptions", "channel", "filter", "symbol", "action", "topic"]
            ),
            inner
            | st.sampled_from(
                ["subscribe", "unsubscribe", "auth", "price.crypto", "crypto_prices", "btcusd"]
            ),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.lists(JSON.map(json.dumps) | st.text(st.characters(codec="utf-8")), max_size=12))
def test_nothing_a_client_says_breaks_a_stream(texts: list[str]) -> None:
    bolt, rtds = Bolt(), Rtds()
    bolt.open()
    for text in texts:
        bolt.session.hear(text, NOW_MS)
        rtds.hub.hear(rtds.listener, text, NOW_MS)
    assert all("op" in frame or frame["v"] == 1 for frame in taken(bolt.session.outbox))
    rtds.publish(report("chainlink"), report("binance"))
    bolt.publish(report("pyth"))


class AllHearing:
    """A stream that is told of every source, or of some."""

    def __init__(self, tell: Callable[[Report], None], sources: tuple[Source, ...] = SOURCES) -> None:
        self.tell, self.sources = tell, sources

    def publish(self, report: Report) -> None:
        self.tell(report)

    def hears(self, source: Source) -> bool:
        return source in self.sources


def test_the_ticker_publishes_in_time_and_order() -> None:
    board = PriceBoard()
    feeds = CoinFeeds("btc", SeededPath(1, COINS["btc"]), SeededArrivals(1, "btc"))
    ticker = PriceTicker(board, {"btc": feeds})
    seen: list[tuple[int, Report]] = []

    board.streams.append(AllHearing(lambda report: seen.append((now_ns, report))))
    now_ns = START_NS
    ticker.open(now_ns)
    while (due := ticker.next_due_ns()) is not None and due <= START_NS + 60 * 10**9:
        now_ns = max(now_ns, due)
        assert ticker.step(now_ns)
    assert all(at_ns == each.published_ms * 1_000_000 for at_ns, each in seen)
    binance = [each.at_s for _, each in seen if each.source == "binance"]
    assert binance == list(range(AT_S, AT_S + len(binance)))
    assert 59 <= len(binance) <= 60
    assert not ticker.step(now_ns)
    history = board.history("chainlink", "btc", now_ns // 1_000_000, 120)
    assert history[0].at_s < AT_S, "what came before the start is known too"
    assert all(each.published_ms <= now_ns // 1_000_000 for each in history)


def test_the_ticker_makes_what_is_heard_and_what_is_on_its_way_by_then() -> None:
    board, told, all_told = PriceBoard(), list[Report](), list[Report]()
    whole = PriceBoard()
    feeds = CoinFeeds("btc", SeededPath(1, COINS["btc"]), SeededArrivals(1, "btc"))
    late = AllHearing(told.append, ())
    board.streams.append(late)
    whole.streams.append(AllHearing(all_told.append))
    tickers = [PriceTicker(each, {"btc": feeds}) for each in (board, whole)]

    def play(until_s: int) -> None:
        for ticker in tickers:
            while (due := ticker.next_due_ns()) is not None and due < until_s * 10**9:
                assert ticker.step(due)

    for ticker in tickers:
        ticker.open(START_NS)
    play(AT_S + 10)
    assert told == [] != all_told
    all_told.clear()
    late.sources = ("chainlink", "pyth")
    play(AT_S + 20)
    assert told == [each for each in all_told if each.source in late.sources]
    assert any(each.at_s < AT_S + 10 for each in told), "it was on its way"


def test_a_stream_hears_what_its_connections_asked_for() -> None:
    rtds, bolt = Rtds(), Bolt()
    assert not any(hub.hears(source) for hub in (rtds.hub, bolt.hub) for source in SOURCES)
    rtds.ask("subscribe", {"topic": "crypto_prices_chainlink", "type": "update", "filters": ""})
    bolt.open()
    bolt.subscribe("price.crypto", symbol="btcusd", provider="pyth")
    assert [source for source in SOURCES if rtds.hub.hears(source)] == ["chainlink"]
    assert [source for source in SOURCES if bolt.hub.hears(source)] == ["pyth"]
    rtds.ask("unsubscribe", {"topic": "crypto_prices_chainlink", "type": "update"})
    assert not rtds.hub.hears("chainlink")
