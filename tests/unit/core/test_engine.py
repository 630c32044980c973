"""The binding of the engine's machine: what goes in comes out as the same words, and nonsense is refused."""

import hashlib

import msgspec
import pytest

from clawswarm._core import Engine
from clawswarm.lab import engine_machine as machine
from clawswarm.lab.engine_machine import EngineMachine, EngineStart
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import Allocation, Mandate, OrderState, OrderUpdate, Place, Plan, PlanDone

KEY = hashlib.sha256(b"a test key").digest()
NOW_NS = 1_000_000_000_000
MARKET = Market(
    condition_id="0x" + "c" * 64,
    slug="btc",
    underlying="BTC",
    yes_token="1" * 77,
    no_token="2" * 77,
    tick_e4=100,
    min_size_e6=5_000_000,
    neg_risk=False,
    is_open=True,
    closes_ms=None,
)
START = EngineStart(
    chain_id=137, api_key="key", venue_ms=1_700_000_000_000, seed=1, markets=(MARKET,), tier="standard"
)
MANDATE = Mandate(
    market=MARKET,
    quoter="quoter-1",
    epoch=1,
    capital_e6=10**9,
    max_position_e6=10**9,
    order_size_e6=5_000_000,
)
PLAN = Plan(
    market=MARKET.condition_id,
    term=1,
    epoch=1,
    cancels=(),
    places=(Place(ref=7, side=Side.BUY, price_e4=4_800, size_e6=5_000_000),),
    value=1.0,
    book_sequence=1,
    book_received_ns=None,
    decided_ns=NOW_NS,
)


def settle(engine: EngineMachine, actions: list[machine.Action], now_ns: int) -> list[machine.Action]:
    """Let an empty venue answer every request, and those that follow; all that was done."""
    done, left = list[machine.Action](), list(actions)
    while left:
        action = left.pop(0)
        done.append(action)
        if isinstance(action, machine.Send):
            left += engine.handle(machine.Answered(action.request, empty(action.what)), now_ns)
    return done


def empty(what: machine.Request) -> machine.Answer:
    """What a venue without orders answers."""
    match what:
        case machine.ListOrders():
            return machine.Orders(())
        case machine.ListTrades():
            return machine.Trades(())
        case machine.Heartbeat():
            return machine.HeartbeatTaken(True, "next")
        case machine.AskRegion():
            return machine.Region(False)
        case _:
            return machine.Cancelled((), {})


def started() -> EngineMachine:
    """An engine that has recovered and follows its feed."""
    engine = EngineMachine(KEY, START, NOW_NS)
    done, now_ns = settle(engine, engine.first_actions, NOW_NS), NOW_NS
    while machine.BeReady() not in done:
        now_ns += machine.TICK_NS
        assert now_ns < NOW_NS + 100 * machine.TICK_NS
        done = settle(engine, engine.handle(machine.Tick(), now_ns), now_ns)
    settle(engine, engine.handle(machine.FeedConnected(), now_ns), now_ns)
    return engine


def test_a_plan_becomes_a_journalled_signed_order_and_its_outcome_the_quoters() -> None:
    engine = started()
    engine.handle(machine.QuoterConnected(1, "quoter-1"), NOW_NS)
    allocation = Allocation(term=1, sent_ns=NOW_NS, life_ns=10**12, mandates=(MANDATE,))
    engine.handle(machine.Allocated(allocation), NOW_NS)
    journalled, sent = engine.handle(machine.PlanSent(1, PLAN), NOW_NS)
    assert isinstance(journalled, machine.JournalIntent)
    assert isinstance(sent, machine.Send)
    assert isinstance(sent.what, machine.Place)
    order = sent.what.orders[0]
    assert order.order_id == journalled.intent.order_id
    assert msgspec.json.decode(order.body)["owner"] == "key"
    assert [open_.is_unknown for open_ in engine.open_orders()] == [True]
    told = engine.handle(machine.Answered(sent.request, machine.Placed((machine.Accepted(),))), NOW_NS)
    replies = [action.reply for action in told if isinstance(action, machine.Reply)]
    assert isinstance(replies[0], OrderUpdate)
    assert (replies[0].state, replies[0].ref) == (OrderState.LIVE, 7)
    assert isinstance(replies[1], PlanDone)
    assert replies[1].refused is None
    assert engine.beat("engine", 1, NOW_NS).counters["placed"] == 1
    assert (engine.held(MARKET.condition_id).yes_e6, engine.held(MARKET.condition_id).no_e6) == (0, 0)


@pytest.mark.parametrize(
    "message", [b"", b"\xc1", msgspec.msgpack.encode({"type": "Nonsense"}), msgspec.msgpack.encode(7)]
)
def test_what_is_no_event_is_refused(message: bytes) -> None:
    engine, _ = Engine.start(KEY, msgspec.msgpack.encode(START), NOW_NS)
    with pytest.raises(ValueError, match=r"."):
        engine.handle(message, NOW_NS)


def test_what_cannot_be_started_is_refused_without_showing_the_key() -> None:
    wrong_tier = msgspec.structs.replace(START, tier="tin")
    wrong_chain = msgspec.structs.replace(START, chain_id=1)
    for key, start, words in ((KEY, wrong_tier, "tin"), (KEY, wrong_chain, "chain 1"), (b"1", START, "key")):
        with pytest.raises(ValueError, match=words) as refused:
            EngineMachine(key, start, NOW_NS)
        assert KEY.hex() not in str(refused.value)
    engine, _ = Engine.start(KEY, msgspec.msgpack.encode(START), NOW_NS)
    assert KEY.hex() not in repr(engine)
