"""Messages on the wire: every kind survives both codecs and tells itself apart."""

import msgspec
import pytest

from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import (
    Allocation,
    Beat,
    BusMessage,
    EngineReply,
    EngineRequest,
    Evidence,
    Fill,
    Hello,
    Inventory,
    Mandate,
    OrderState,
    OrderUpdate,
    Outcome,
    Place,
    Plan,
    PlanDone,
)

MARKET = Market("0xc", "btc-updown", "BTC", "11", "22", 100, 5_000_000, False, True, None)
FILL = Fill(
    trade_id="t",
    order_id="o",
    bucket_index=0,
    evidence=Evidence.MATCHED,
    matched_ms=0,
    outcome=Outcome.YES,
    market="0xc",
    underlying="BTC",
    owner="quoter-1",
    side=Side.SELL,
    price_e4=5200,
    size_e6=5_000_000,
    fee_e6=0,
    fair_e4=None,
    yes_e6=0,
    no_e6=5_000_000,
    seen_ns=7,
)
MANDATE = Mandate(market=MARKET, quoter="quoter-1", epoch=3, capital_e6=1, max_position_e6=2, order_size_e6=3)
PLAN = Plan(
    market="0xc",
    term=1,
    epoch=3,
    cancels=("o",),
    places=(Place(ref=1, side=Side.BUY, price_e4=4800, size_e6=5_000_000),),
    value=2.5,
    book_sequence=4,
    book_received_ns=5,
    decided_ns=6,
)


@pytest.mark.parametrize(
    "message",
    [
        FILL,
        Allocation(term=1, sent_ns=2, life_ns=3, mandates=(MANDATE,)),
        Inventory(market="0xc", yes_e6=4, no_e6=1),
        Beat(name="a", kind="k", pid=1, state="s", sent_ns=2, counters={"x": 1.0}, histograms={"h": {3: 4}}),
    ],
)
def test_bus_messages_survive_the_wire(message: BusMessage) -> None:
    packed = msgspec.msgpack.encode(message)
    assert msgspec.msgpack.decode(packed, type=BusMessage) == message


def test_engine_messages_survive_the_wire() -> None:
    for request in (Hello(name="quoter-1"), PLAN):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=EngineRequest) == request
    replies: list[EngineReply] = [
        OrderUpdate(
            market="0xc",
            ref=1,
            order_id="o",
            state=OrderState.UNKNOWN,
            side=Side.BUY,
            price_e4=4800,
            remaining_e6=5,
            reason=None,
        ),
        PlanDone(market="0xc", decided_ns=6, refused="capital"),
        Inventory(market="0xc", yes_e6=4, no_e6=1),
    ]
    for reply in replies:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=EngineReply) == reply


def test_every_message_carries_the_wire_version() -> None:
    assert msgspec.to_builtins(FILL)["v"] == 1


def test_a_message_of_another_kind_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(FILL), type=EngineRequest)


def test_net_inventory_is_yes_minus_no() -> None:
    assert Inventory(market="0xc", yes_e6=4, no_e6=10).net_e6 == -6
