"""What uptime is measured against, and that it excuses nothing else."""

from typing import Any

import msgspec
import pytest

from clawswarm.agents.quoter.pricing import QuadraticModel, QuadraticQuoter
from clawswarm.agents.quoter.strategy import MarketView
from clawswarm.agents.quoter.tradeable import is_tradeable
from clawswarm.model.messages import Inventory
from unit.agents.test_agents_quoter_pricing import BOOK, FLAT, MANDATE, MARKET, SHARE, seen

MODEL = QuadraticModel()
UNTRADEABLE: list[dict[str, Any]] = [
    {"bid_e4": None, "bid_size_e6": None, "bids": ()},
    {"ask_e4": None, "ask_size_e6": None, "asks": ()},
    {"bid_e4": 5_400, "bids": ((5_400, SHARE),)},
    {"bid_e4": 10, "bids": ((10, SHARE),), "tick_e4": 10},
    {"ask_e4": 9_990, "asks": ((9_990, SHARE),), "tick_e4": 10},
]


def test_a_market_with_a_sane_book_is_tradeable() -> None:
    assert is_tradeable(seen(), MODEL)
    assert is_tradeable(seen(integrity=0.1), MODEL)


@pytest.mark.parametrize("book", UNTRADEABLE)
def test_a_decided_market_is_not_and_the_strategy_agrees(book: dict[str, Any]) -> None:
    assert not is_tradeable(seen(**book), MODEL)
    assert QuadraticQuoter().decide(seen(**book)).reason is not None


@pytest.mark.parametrize("touch_e4", [300, 500, 700, 9_000, 9_200, 9_400])
def test_near_the_end_of_the_scale_both_sides_are_due_and_quoted(touch_e4: int) -> None:
    """As a five-minute market is in its last minute: nearly decided, and still jumping by cents."""
    strategy, market = QuadraticQuoter(), msgspec.structs.replace(MARKET, closes_ms=100_000)
    for second in range(70):
        bid_e4 = touch_e4 + (0, 200, 100)[second % 3]
        view = seen(
            market,
            bid_e4=bid_e4,
            ask_e4=bid_e4 + 100,
            bids=((bid_e4, 100 * SHARE),),
            asks=((bid_e4 + 100, 100 * SHARE),),
            microprice=(bid_e4 + 50) / 1e4,
            server_ms=second * 1_000,
        )
        view = msgspec.structs.replace(view, now_ns=second * 10**9)
        view = msgspec.structs.replace(view, book=msgspec.structs.replace(view.book, received_ns=view.now_ns))
        assert is_tradeable(view, MODEL)
        decision = strategy.decide(view)
        assert decision.bid is not None
        assert decision.ask is not None


@pytest.mark.parametrize(("left_s", "expected"), [(10, False), (11, True)])
def test_the_withdrawal_before_the_close_is_excused(left_s: int, expected: bool) -> None:
    market = msgspec.structs.replace(MARKET, closes_ms=left_s * 1_000)
    assert is_tradeable(seen(market), MODEL) is expected
    assert (QuadraticQuoter().decide(seen(market)).reason is None) is expected


@pytest.mark.parametrize(("held", "expected"), [(0, True), (179, True), (180, False), (-180, False)])
def test_a_position_at_its_cap_is_excused(held: int, expected: bool) -> None:
    inventory = Inventory(market="0xc", yes_e6=max(held, 0) * SHARE, no_e6=max(-held, 0) * SHARE)
    view = MarketView(BOOK, MANDATE, inventory, None, 0)
    assert is_tradeable(view, MODEL) is expected
    assert (len(QuadraticQuoter().quotes(view)) == 2) is expected


def test_a_swarm_that_only_reduces_is_excused() -> None:
    mandate = msgspec.structs.replace(MANDATE, is_reduce_only=True)
    assert not is_tradeable(MarketView(BOOK, mandate, FLAT, None, 0), MODEL)
