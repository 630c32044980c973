"""User channel and price stream: subscriptions out, events in, nonsense refused."""

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
from clawswarm.venues.polymarket.user_feed import read_user_events, user_subscription
from clawswarm.venues.polymarket.wire import ApiKey, Trade, UserOrder

steady = settings(deadline=None, derandomize=True)

ORDER = {
    "event_type": "order",
    "type": "PLACEMENT",
    "id": "0x12e9",
    "owner": "key",
    "market": "0xc",
    "asset_id": "11",
    "side": "BUY",
    "original_size": "10",
    "size_matched": "",
    "price": "0.48",
    "status": "LIVE",
    "associate_trades": None,
    "timestamp": "1776808414710",
}
TRADE = {
    "event_type": "trade",
    "type": "TRADE",
    "id": "t-1",
    "taker_order_id": "0x9",
    "market": "0xc",
    "asset_id": "11",
    "side": "SELL",
    "size": "10",
    "price": "0.48",
    "status": "MATCHED",
    "transaction_hash": None,
    "trader_side": "MAKER",
    "maker_orders": [
        {
            "order_id": "0x12e9",
            "owner": "key",
            "matched_amount": "5",
            "price": "0.48",
            "asset_id": "11",
            "side": "BUY",
            "fee_rate_bps": "",
        }
    ],
}
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


def test_an_object_is_one_event() -> None:
    assert read_user_events(frame(ORDER)) == [UserOrder("0x12e9", "PLACEMENT", "LIVE", "")]
    (trade,) = read_user_events(frame(TRADE))
    assert isinstance(trade, Trade)
    assert (trade.id, trade.maker_orders[0].matched_amount, trade.trader_side) == ("t-1", "5", "MAKER")


def test_an_array_keeps_its_order_and_leaves_unknown_events_out() -> None:
    events = read_user_events(b"  " + frame([TRADE, {"event_type": "news", "id": 7}, ORDER, {}]))
    assert [type(event) for event in events] == [Trade, UserOrder]


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"event_type":"news"}', b'{"type":"PLACEMENT"}'])
def test_frames_without_a_known_event_are_empty(body: bytes) -> None:
    assert read_user_events(body) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"PONG",
        b"null",
        b"17",
        b'"order"',
        b"[17]",
        b"[[]]",
        b'{"event_type":7}',
        b'{"event_type":"order"}',
        b'{"event_type":"trade","id":"t"}',
        b'{"event_type":"order"',
        b"\xff\xfe",
        b'{"event_type":"\xff"}',
    ],
)
def test_nonsense_on_the_user_channel_is_a_wire_fault(body: bytes) -> None:
    with pytest.raises(WireFault, match="user channel"):
        read_user_events(body)


@steady
@given(st.binary(max_size=60), st.integers(0, 400))
def test_damaged_frames_of_the_user_channel_raise_nothing_else(noise: bytes, place: int) -> None:
    whole = frame([ORDER, TRADE])
    for body in (noise, whole[:place], whole[:place] + noise + whole[place + len(noise) :]):
        try:
            read_user_events(body)
        except WireFault:
            continue


def test_the_user_subscription_carries_the_key_and_no_market() -> None:
    key = ApiKey("id", "hush", "quiet")
    assert json.loads(user_subscription(key)) == {
        "type": "user",
        "auth": {"apiKey": "id", "secret": "hush", "passphrase": "quiet"},
        "markets": [],
    }


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
