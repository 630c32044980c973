"""The venue's answers, in every variant the fact sheet knows."""

import msgspec
import pytest

from clawswarm.venues.polymarket.wire import (
    ApiKey,
    CancelAnswer,
    HeartbeatAnswer,
    OpenOrder,
    OrderAnswer,
    Trade,
)

ACCEPTED = {"success": True, "errorMsg": "", "orderID": "0x12e9", "status": "live"}


def answer(**changed: object) -> OrderAnswer:
    body = msgspec.json.encode({**ACCEPTED, "makingAmount": "", "takingAmount": "", **changed})
    return msgspec.json.decode(body, type=OrderAnswer)


@pytest.mark.parametrize("status", ["live", "matched", "delayed", "unmatched"])
def test_an_answer_without_a_fault_is_accepted(status: str) -> None:
    assert answer(status=status).is_accepted


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"errorMsg": "invalid post-only order", "orderID": ""}, "invalid post-only order"),
        ({"errorMsg": "invalid post-only order"}, "invalid post-only order"),
        ({"success": False, "errorMsg": "not enough balance / allowance"}, "not enough balance / allowance"),
        ({"error": "Trading is currently disabled"}, "Trading is currently disabled"),
        ({"orderID": ""}, "status 'live'"),
        ({"status": ""}, "status ''"),
        ({"status": "rejected"}, "status 'rejected'"),
        ({"success": False}, "status 'live'"),
    ],
)
def test_any_fault_in_an_answer_refuses_it(changed: dict[str, object], reason: str) -> None:
    assert not answer(**changed).is_accepted
    assert answer(**changed).reason == reason


def test_an_answer_without_any_key_is_refused() -> None:
    assert not msgspec.json.decode(b"{}", type=OrderAnswer).is_accepted


@pytest.mark.parametrize("status", ["LIVE", "ORDER_STATUS_LIVE", "DELAYED", "ORDER_STATUS_UNMATCHED"])
def test_prefixed_and_plain_states_of_a_live_order(status: str) -> None:
    assert order(status).is_live


@pytest.mark.parametrize(
    "status", ["MATCHED", "ORDER_STATUS_CANCELED", "CANCELED_EXPIRED_ORDER", "INVALID", ""]
)
def test_states_of_an_order_that_cannot_trade(status: str) -> None:
    assert not order(status).is_live


def order(status: str) -> OpenOrder:
    return OpenOrder("0x1", status, "0xc", "11", "BUY", "10", "0", "0.48")


@pytest.mark.parametrize(
    ("status", "is_failed"),
    [("FAILED", True), ("TRADE_STATUS_FAILED", True), ("RETRYING", False), ("TRADE_STATUS_MINED", False)],
)
def test_only_a_failed_trade_has_failed(status: str, is_failed: bool) -> None:
    assert Trade("t", "0x9", "0xc", "11", "BUY", "5", "0.48", status).is_failed is is_failed


def test_a_cancel_answer_may_lack_either_half() -> None:
    assert msgspec.json.decode(b"{}", type=CancelAnswer) == CancelAnswer()
    whole = msgspec.json.decode(b'{"canceled":["0x1"],"not_canceled":{"0x2":"gone"}}', type=CancelAnswer)
    assert (whole.canceled, whole.not_canceled) == (("0x1",), {"0x2": "gone"})


def test_a_refused_heartbeat_names_the_expected_id_in_either_shape() -> None:
    for word in ("error", "error_msg"):
        body = msgspec.json.encode({word: "Invalid Heartbeat ID", "heartbeat_id": "next"})
        assert msgspec.json.decode(body, type=HeartbeatAnswer).heartbeat_id == "next"


def test_an_api_key_does_not_print() -> None:
    key = msgspec.json.decode(b'{"apiKey":"id","secret":"hush","passphrase":"quiet"}', type=ApiKey)
    for text in (repr(key), str(key), f"{key}", repr([key]), f"{key!r}"):
        assert "hush" not in text
        assert "quiet" not in text
