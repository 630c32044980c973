"""Market channel and price stream: subscriptions out, events in, nonsense refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.model.errors import WireFault
from clawswarm.venues.polymarket.feed import (
    ReferenceTick,
    market_change,
    market_subscription,
    read_reference,
    reference_subscription,
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


def test_a_price_update_is_read() -> None:
    assert read_reference(frame(TICK)) == ReferenceTick("BTC", 75_123_456_789, 1_776_808_414_000)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        changed(TICK, topic="crypto_prices"),
        changed(TICK, type="subscribe"),
        changed(TICK, payload={"symbol": "btc/usd", "timestamp": 1}),
        changed(TICK, payload={"symbol": "btc/usd", "data": [{"timestamp": 1, "value": 2.0}]}),
    ],
)
def test_what_is_no_price_update_is_left_out(body: bytes) -> None:
    assert read_reference(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"PONG",
        changed(TICK, payload={"symbol": "btc/usd", "timestamp": 1, "value": "75123"}),
        frame(TICK).replace(b"75123.456789", b"1e305"),
        frame(TICK).replace(b"75123.456789", b"-1e305"),
        frame(TICK).replace(b"75123.456789", b"NaN"),
        frame(TICK).replace(b"btc", b"\xff"),
    ],
)
def test_nonsense_on_the_price_stream_is_a_wire_fault(body: bytes) -> None:
    with pytest.raises(WireFault, match="price stream"):
        read_reference(body)


@steady
@given(st.binary(max_size=60), st.integers(0, 200))
def test_damaged_frames_of_the_price_stream_raise_nothing_else(noise: bytes, place: int) -> None:
    whole = frame(TICK)
    for body in (noise, whole[:place], whole[:place] + noise + whole[place + len(noise) :]):
        try:
            read_reference(body)
        except WireFault:
            continue


def test_subscriptions_of_the_market_channel_and_the_price_stream() -> None:
    assert json.loads(market_subscription(["11", "22"])) == {
        "type": "market",
        "assets_ids": ["11", "22"],
        "custom_feature_enabled": True,
    }
    assert json.loads(market_change("unsubscribe", ["11"]))["operation"] == "unsubscribe"
    assert json.loads(reference_subscription()) == {
        "action": "subscribe",
        "subscriptions": [{"topic": "crypto_prices_chainlink", "type": "update", "filters": ""}],
    }
