"""The replay makes the recorded book public, and treats other people's orders as a real crowd would."""

from pathlib import Path

import pytest
from exchange_bench import SHARE, Bench
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import LevelChanged
from clawswarm.sandbox.participants import ReplayMaker, Taker, participant_account
from clawswarm.sandbox.recording import LevelsChanged, read_folder, read_recording

BID, ASK = 0, 1
Change = tuple[int, int, int]


class Stage:
    """A bench with the replay of its market."""

    def __init__(self) -> None:
        self.bench = Bench()
        account = participant_account(self.bench.exchange, "replay")
        self.maker = ReplayMaker(self.bench.exchange, self.bench.market, account)
        self.other = participant_account(self.bench.exchange, "taker")
        self.taker = Taker(self.bench.exchange, self.bench.market, self.other)

    def follow(self, *changes: Change) -> None:
        self.maker.follow([(side, price, size * SHARE) for side, price, size in changes], self.bench.now_ns)

    def take(self, side: str, shares: int, limit_e4: int) -> None:
        for event in self.taker.take(side, shares * SHARE, limit_e4, self.bench.now_ns):
            if isinstance(event, LevelChanged) and event.trade is not None:
                self.maker.note_trade(event.trade)

    def customer(self, name: str, side: str, price_e4: int, shares: int) -> Order:
        placed = self.bench.place(name, side, "YES", price_e4, shares)
        for trade in placed.trades:
            self.maker.note_trade(trade)
        return placed.order


books = st.dictionaries(st.integers(1, 99), st.integers(1, 5_000_000_000), max_size=12)
splits = st.integers(1, 100)


@given(st.lists(st.tuples(books, splits), min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
def test_with_nobody_else_the_book_is_the_recorded_one(steps: list[tuple[dict[int, int], int]]) -> None:
    stage = Stage()
    recorded: dict[tuple[bool, int], int] = {}
    for levels, split in steps:
        target = {(cents < split, cents * 100): size for cents, size in levels.items()}
        changes = [(BID if bid else ASK, price, 0) for bid, price in recorded if (bid, price) not in target]
        changes += [(BID if bid else ASK, price, size) for (bid, price), size in target.items()]
        stage.maker.follow(changes, stage.bench.now_ns)
        recorded = target
        book = stage.bench.exchange.books[stage.bench.market.condition_id]
        assert book.aggregates() == recorded
        assert stage.bench.exchange.ledger.imbalance_e6() == 0


def test_added_quantity_joins_behind_a_customer() -> None:
    stage = Stage()
    stage.follow((BID, 4500, 10), (ASK, 4700, 10))
    order = stage.customer("ann", "BUY", 4500, 10)
    stage.follow((BID, 4500, 30))
    assert stage.bench.levels()[True, 4500] == 40
    stage.take("SELL", 20, 4500)
    assert order.status == "MATCHED"


def test_removed_quantity_comes_from_behind_a_customer() -> None:
    stage = Stage()
    stage.follow((BID, 4500, 10), (ASK, 4700, 10))
    order = stage.customer("ann", "BUY", 4500, 10)
    stage.follow((BID, 4500, 30))
    stage.follow((BID, 4500, 10))
    stage.take("SELL", 10, 4500)
    assert order.matched_e6 == 0
    stage.take("SELL", 1, 4500)
    assert order.matched_e6 == SHARE


def test_one_recorded_change_is_one_public_change() -> None:
    stage = Stage()
    for shares in (10, 20, 30, 40):
        stage.follow((BID, 4500, shares))
    events = stage.maker.follow([(BID, 4500, 5 * SHARE)], stage.bench.now_ns)
    assert [event.size_e6 for event in events if isinstance(event, LevelChanged)] == [5 * SHARE]


def test_a_queue_that_shrinks_ahead_of_a_customer_moves_him_up() -> None:
    stage = Stage()
    stage.follow((BID, 4500, 10), (ASK, 4700, 10))
    order = stage.customer("ann", "BUY", 4500, 10)
    stage.follow((BID, 4500, 4))
    stage.take("SELL", 5, 4500)
    assert order.matched_e6 == SHARE


def test_an_aggressive_recorded_level_trades_with_a_customer() -> None:
    stage = Stage()
    stage.follow((BID, 4500, 10), (ASK, 4700, 10))
    order = stage.customer("ann", "BUY", 4600, 10)
    stage.follow((ASK, 4600, 25))
    assert order.status == "MATCHED"
    assert stage.bench.levels()[False, 4600] == 15


def test_what_others_took_comes_back_with_the_next_event() -> None:
    stage = Stage()
    stage.follow((BID, 4500, 10), (ASK, 4700, 10))
    stage.customer("ann", "BUY", 4700, 6)
    assert stage.bench.levels()[False, 4700] == 4
    stage.follow((BID, 4400, 1))
    assert stage.bench.levels() == {(True, 4400): 1, (True, 4500): 10, (False, 4700): 10}


def test_a_crossed_recording_never_trades_with_itself() -> None:
    stage = Stage()
    stage.follow((BID, 4500, 10), (ASK, 4700, 10))
    stage.follow((BID, 4800, 5))
    assert stage.bench.exchange.ledger.pairs_e6 == 0
    assert (True, 4800) not in stage.bench.levels()
    stage.follow((ASK, 4700, 0), (ASK, 4900, 10))
    assert stage.bench.levels() == {(True, 4500): 10, (True, 4800): 5, (False, 4900): 10}


@pytest.mark.parametrize(("side", "limit_e4"), [("BUY", 4700), ("SELL", 4500)])
def test_a_taker_closes_positions_out_of_inventory(side: str, limit_e4: int) -> None:
    stage = Stage()
    stage.follow((BID, 4500, 100), (ASK, 4700, 100))
    opposite, other_limit = ("SELL", 4500) if side == "BUY" else ("BUY", 4700)
    stage.take(opposite, 10, other_limit)
    stage.bench.settle()
    assert sum(stage.other.tokens_e6.values()) == 10 * SHARE
    stage.take(side, 10, limit_e4)
    stage.bench.settle()
    assert sum(stage.other.tokens_e6.values()) == 0
    assert stage.bench.exchange.ledger.imbalance_e6() == 0


def test_a_taker_beyond_the_book_leaves_nothing() -> None:
    stage = Stage()
    stage.follow((BID, 4500, 10), (ASK, 4700, 10))
    stage.take("BUY", 50, 4700)
    assert stage.bench.levels() == {(True, 4500): 10}


def test_nothing_happens_in_a_closed_market() -> None:
    stage = Stage()
    stage.follow((BID, 4500, 10))
    stage.bench.exchange.close_market(stage.bench.market, None, stage.bench.now_ns)
    stage.follow((BID, 4600, 10))
    stage.take("SELL", 5, 4500)
    assert stage.bench.levels() == {}


def test_the_committed_recordings_replay_exactly() -> None:
    for recorded, path in read_folder(Path(__file__).parents[3] / "data" / "sample"):
        stage = Stage()
        book = stage.bench.exchange.books[stage.bench.market.condition_id]
        expected: dict[tuple[bool, int], int] = {}
        for event in read_recording(path)[1]:
            if isinstance(event, LevelsChanged):
                expected |= {(side == BID, price): size for side, price, size in event.changes}
                expected = {key: size for key, size in expected.items() if size}
                stage.maker.follow(event.changes, stage.bench.now_ns)
                assert book.aggregates() == expected, (recorded.slug, event.at_ms)
        assert stage.bench.exchange.ledger.pairs_e6 == 0
