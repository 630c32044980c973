"""kill -9 of the engine at every kind of point, several times each: no books differ by a micro-unit afterwards.

The venue's own accounts are the truth; the engine, and the ledger made of the engine's journal, must equal them.
"""

from collections import defaultdict
from pathlib import Path

import pytest

from clawswarm.ledger.entries import CASH, Opened
from clawswarm.ledger.journals import FILLS, OWN, LedgerFiles, take_in
from clawswarm.ledger.projection import Balance
from clawswarm.ledger.store import Cursor, LedgerStore
from clawswarm.ledger.verify import verify
from clawswarm.model.positions import AccountBalances
from simulation.engine_day import BEGAN_NS
from simulation.mortal_engine import MortalDay

pytestmark = pytest.mark.timeout(900)
SEED = 5
STAGES = {
    "decision": ("heard PlanSent", "before JournalIntent"),
    "intent": ("torn JournalIntent", "after JournalIntent"),
    "send": ("before Send Place", "before Send Cancel"),
    "ack": ("heard Answered Placed", "heard Answered Cancelled", "heard Answered Failed"),
    "fill": ("heard TradeSeen MATCHED", "heard TradeSeen FAILED", "heard TradeSeen RETRYING"),
    "write": ("before PublishFill", "torn PublishFill", "after PublishFill", "before PublishInventory"),
    "recovery": ("before Send CancelAll", "before BeReady", "heard FeedConnected"),
}
KILLS_OF_A_KIND = 4


def test_books_are_equal_wherever_the_engine_was_killed(tmp_path: Path) -> None:
    living = MortalDay(SEED, tmp_path / "living")
    living.play()
    agree(living, tmp_path / "living")
    assert living.ghosts > 0
    points = chosen(living.marks)
    named = {living.marks[point] for point in points}
    for stage, names in STAGES.items():
        assert named.issuperset(names), f"{stage}: {set(names) - named}"
    assert len(points) >= 50
    for point in points:
        folder = tmp_path / str(point)
        day = MortalDay(SEED, folder, kill_at=point)
        day.play()
        assert day.killed_at == living.marks[point]
        try:
            agree(day, folder)
        except AssertionError as fault:
            raise AssertionError(f"killed at point {point}, {day.killed_at}: {fault}") from fault


def chosen(marks: list[str]) -> list[int]:
    """Of every kind of point the first, the last, and some between."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(marks):
        places[name].append(place)
    found = []
    for several in places.values():
        count = min(KILLS_OF_A_KIND, len(several))
        found += [several[round(step * (len(several) - 1) / max(count - 1, 1))] for step in range(count)]
    return sorted(found)


def agree(day: MortalDay, folder: Path) -> None:
    """Open orders, positions and cash of engine and ledger are the venue's."""
    assert not day.explained
    venue = {order.id: order.remaining_e6 for order in day.venue.open_customer_orders()}
    engine = {order.order_id: order.remaining_e6 for order in day.engine.open_orders()}
    assert engine == venue
    assert day.venue.exchange.orders.keys() <= day.intents.keys(), "an order without an intent"
    held = day.account.tokens_e6
    for market in day.markets:
        own = day.engine.held(market.condition_id)
        assert (own.yes_e6, own.no_e6) == (held.get(market.yes_token, 0), held.get(market.no_token, 0))
    files = LedgerFiles(folder)
    store = LedgerStore(files.database)
    opened = Opened(wallet="", at_ms=BEGAN_NS // 1_000_000, cash_e6=day.began_with_e6, tokens_e6={})
    store.take(OWN, [opened], Cursor())
    take_in(store, files, FILLS, Cursor())
    balances = store.balances()
    tokens_e6 = {
        f"{market.condition_id}:{outcome}": held.get(token, 0)
        for market in day.markets
        for outcome, token in (("YES", market.yes_token), ("NO", market.no_token))
    }
    expected = {CASH: day.account.collateral_e6, **tokens_e6}
    assert {asset: balances.get(asset, Balance()) for asset in expected} == {
        asset: Balance(settled_e6=amount_e6) for asset, amount_e6 in expected.items()
    }
    store.close()


def test_verify_says_so_too(tmp_path: Path) -> None:
    day = MortalDay(SEED, tmp_path)
    day.play()
    files = LedgerFiles(tmp_path)
    store = LedgerStore(files.database)
    take_in(store, files, FILLS, Cursor())
    cash_e6 = day.account.collateral_e6 - day.began_with_e6
    assert verify(store, files, AccountBalances(cash_e6, {})).is_ok
