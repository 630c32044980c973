"""Market channel and price streams: subscriptions out, events in, nonsense refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.model.errors import Retry, UserFault, WireFault
from clawswarm.venues.polymarket.feed import market_change, market_subscription
from clawswarm.venues.polymarket.prices import (
    Heard,
    PolyBolt,
    PolyBoltCredentials,
    PriceTick,
    Rtds,
    read_polybolt_key,
)

steady = settings(deadline=None, derandomize=True)

TICK = {
    "topic": "crypto_prices_chainlink",
    "type": "update",
    "timestamp": 1776808414700,
    "payload": {"symbol": "btc/usd", "timestamp": 1776808414000, "value": 75123.456789},
}


def frame(value: object) -> bytes:
    return json.dumps(value).encode()


def changed(base: dict[str, object], **changes: object) -> bytes:
    return frame({**base, **changes})


def rtds(body: bytes) -> tuple[PriceTick, ...]:
    heard = Rtds().hear(body)
    assert not heard.answers
    assert heard.lost == 0
    return heard.ticks


@pytest.mark.parametrize(
    ("topic", "symbol", "tick"),
    [
        ("crypto_prices", "btcusdt", ("binance", "BTC")),
        ("crypto_prices_chainlink", "eth/usd", ("chainlink", "ETH")),
        ("crypto_prices_twap_thirty", "btc/usd", ("twap30", "BTC")),
        ("crypto_prices_twap_sixty", "hype/usd", ("twap60", "HYPE")),
    ],
)
def test_every_feed_of_rtds_is_read(topic: str, symbol: str, tick: tuple[str, str]) -> None:
    payload = {"symbol": symbol, "timestamp": 1776808414000, "value": 75123.456789, "window_s": 30}
    (read,) = rtds(changed(TICK, topic=topic, payload=payload))
    assert read == PriceTick(*tick, 75_123_456_789, 1_776_808_414_000)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        changed(TICK, topic="equity_prices"),
        changed(TICK, type="subscribe"),
        changed(TICK, payload={"symbol": "btc/usd", "timestamp": 1}),
        changed(TICK, payload={"symbol": "btc/usd", "data": [{"timestamp": 1, "value": 2.0}]}),
    ],
)
def test_what_is_no_price_update_is_left_out(body: bytes) -> None:
    assert rtds(body) == ()


NONSENSE = [
    b"",
    b"[]",
    b"PONG",
    changed(TICK, payload={"symbol": "btc/usd", "timestamp": 1, "value": "75123"}),
    frame(TICK).replace(b"75123.456789", b"1e305"),
    frame(TICK).replace(b"75123.456789", b"-1e305"),
    frame(TICK).replace(b"75123.456789", b"NaN"),
    frame(TICK).replace(b"btc", b"\xff"),
]


@pytest.mark.parametrize("body", NONSENSE)
def test_nonsense_on_the_price_stream_is_a_wire_fault(body: bytes) -> None:
    with pytest.raises(WireFault, match="price stream"):
        rtds(body)


@steady
@given(st.binary(max_size=60), st.integers(0, 200))
def test_damaged_frames_of_the_price_streams_raise_nothing_else(noise: bytes, place: int) -> None:
    for whole, hear in ((frame(TICK), Rtds().hear), (update(1), PolyBolt(KEY, ("btc",)).hear)):
        for body in (noise, whole[:place], whole[:place] + noise + whole[place + len(noise) :]):
            try:
                hear(body)
            except (WireFault, Retry):
                continue


# --- PolyBolt -------------------------------------------------------------------------------------

KEY = PolyBoltCredentials("key-id", "c2VjcmV0", "words")


def update(seq: int, channel: str = "price.crypto", **changes: object) -> bytes:
    payload = {"symbol": "btcusd", "source": "pyth", "timestamp": 1000 * seq, "value": 100.5 + seq}
    return frame({"v": 1, "channel": channel, "seq": seq, "ts": 7, "payload": payload, **changes})


def operations(answers: tuple[bytes, ...]) -> list[tuple[str, list[str]]]:
    read = [json.loads(answer) for answer in answers]
    return [(entry["op"], sorted({each["channel"] for each in entry["subscriptions"]})) for entry in read]


def test_polybolt_is_subscribed_to_once_it_knows_the_key_and_both_providers_are_asked_for() -> None:
    stream = PolyBolt(KEY, ("btc", "eth"))
    assert json.loads(stream.hello()) == {
        "op": "auth",
        "rid": "auth",
        "auth": {"apiKey": "key-id", "secret": "c2VjcmV0", "passphrase": "words"},
    }
    answers = stream.hear(b'{"op":"authed","rid":"auth"}').answers
    assert operations(answers) == [
        ("subscribe", ["price.crypto"]),
        ("subscribe", ["price.crypto.twap"]),
    ]
    entries = [each["filter"] for answer in answers for each in json.loads(answer)["subscriptions"]]
    assert {"symbol": "ethusd", "provider": "chainlink"} in entries
    assert {"symbol": "btcusd", "window_seconds": 60} in entries
    assert len(entries) == 6
    assert stream.hear(b'{"op":"subscribed","rid":"x","channel":"price.crypto"}') == Heard()
    assert stream.hear(b'{"op":"pong"}') == Heard()


def test_polybolt_prices_are_read_with_their_feed_and_a_snapshot_is_history() -> None:
    stream = PolyBolt(KEY, ("btc",))
    snapshot = {"symbol": "btcusd", "source": "chainlink", "data": [{"timestamp": 1, "value": 2.5}]}
    assert stream.hear(update(1, snapshot=True, payload=snapshot)).ticks == (
        PriceTick("chainlink", "BTC", 2_500_000, 1),
    )
    average = {"symbol": "btcusd", "source": "chainlink", "timestamp": 9, "value": 3, "window_seconds": 60}
    heard = stream.hear(update(1, channel="price.crypto.twap", payload=average))
    assert heard == Heard((PriceTick("twap60", "BTC", 3_000_000, 9),))


def test_a_hole_in_the_numbers_of_a_channel_is_mended_by_subscribing_it_anew() -> None:
    stream = PolyBolt(KEY, ("btc",))
    anew = [("unsubscribe", ["price.crypto"]), ("subscribe", ["price.crypto"])]
    assert stream.hear(update(1)).answers == ()
    assert stream.hear(update(1)) == Heard(), "a frame that came twice says nothing"
    hole = stream.hear(update(4))
    assert (hole.lost, operations(hole.answers)) == (2, anew)
    assert hole.ticks, "what came is not thrown away"
    assert stream.hear(update(5)).answers == ()
    dropped = stream.hear(update(6, dropped=3))
    assert (dropped.lost, operations(dropped.answers)) == (3, anew)
    assert stream.hear(update(2, channel="price.crypto.twap")).lost == 1, "each channel counts for itself"


def test_a_refusal_of_polybolt_is_tried_again_later_and_nonsense_is_a_wire_fault() -> None:
    with pytest.raises(Retry, match="auth_invalid"):
        PolyBolt(KEY, ("btc",)).hear(b'{"op":"error","rid":"auth","code":"auth_invalid"}')
    for body in (b"", b"[]", update(1).replace(b"101.5", b"NaN"), update(1).replace(b"101.5", b'"1"')):
        with pytest.raises(WireFault, match="price stream"):
            PolyBolt(KEY, ("btc",)).hear(body)


def test_a_polybolt_key_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(frame({"apiKey": "key-id", "secret": "c2VjcmV0", "passphrase": "words"}))
    assert read_polybolt_key(path) == KEY
    assert "c2VjcmV0" not in repr(KEY)
    for content in (b"{}", b'{"apiKey":"c2VjcmV0"', b"\xffc2VjcmV0"):
        path.write_bytes(content)
        with pytest.raises(UserFault, match="cannot read the PolyBolt key") as raised:
            read_polybolt_key(path)
        assert "c2VjcmV0" not in str(raised.value)
    with pytest.raises(UserFault, match="cannot read the PolyBolt key"):
        read_polybolt_key(tmp_path / "none.json")


# --- subscriptions --------------------------------------------------------------------------------


def test_subscriptions_of_the_market_channel_and_the_price_stream() -> None:
    assert json.loads(market_subscription(["11", "22"])) == {
        "type": "market",
        "assets_ids": ["11", "22"],
        "custom_feature_enabled": True,
    }
    assert json.loads(market_change("unsubscribe", ["11"]))["operation"] == "unsubscribe"
    assert json.loads(Rtds().hello()) == {
        "action": "subscribe",
        "subscriptions": [
            {"topic": "crypto_prices", "type": "update", "filters": ""},
            {"topic": "crypto_prices_chainlink", "type": "update", "filters": ""},
            {"topic": "crypto_prices_twap_thirty", "type": "update", "filters": ""},
            {"topic": "crypto_prices_twap_sixty", "type": "update", "filters": ""},
        ],
    }
