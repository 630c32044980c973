"""Any strategy at the swarm's own desk: what it may return, what it sees, when it is forgotten."""

from collections.abc import Sequence

import msgspec

from clawswarm.agents.quoter.desk import QuoterDesk
from clawswarm.agents.quoter.pricing import QuoterSettings
from clawswarm.agents.quoter.strategy import MakeStrategy, MarketView, TargetQuote, quote_pair
from clawswarm.model.instruments import Market, Side
from clawswarm.model.messages import (
    Allocation,
    BookState,
    FeedHealth,
    Inventory,
    Mandate,
    Plan,
    ReferencePrice,
)

SHARE = 1_000_000
NOW_NS = 10**12
MARKET = Market("0xc", "btc-updown", "BTC", "yes", "no", 100, 5 * SHARE, False, True, 300_000)
MANDATE = Mandate(
    market=MARKET,
    quoter="quoter-1",
    epoch=3,
    capital_e6=1_000 * SHARE,
    max_position_e6=200 * SHARE,
    order_size_e6=20 * SHARE,
)
SETTINGS = QuoterSettings(
    requote_ticks=1,
    feed_timeout_s=0.5,
    widen_below=0.8,
    widen_factor=2.0,
    pull_below=0.4,
)
BOOK = BookState(
    market="0xc",
    source="sentinel-1",
    sequence=1,
    epoch=0,
    received_ns=NOW_NS,
    server_ms=1_000,
    tick_e4=100,
    bid_e4=4_900,
    bid_size_e6=50 * SHARE,
    ask_e4=5_200,
    ask_size_e6=50 * SHARE,
    bids=((4_900, 50 * SHARE),),
    asks=((5_200, 50 * SHARE),),
    microprice=0.505,
    imbalance=0.0,
    depth_imbalance=0.0,
    order_flow=0.0,
    trade_flow=0.0,
    volatility=None,
    sweep=None,
    fingerprint=1,
    proven_ms=0,
    integrity=1.0,
    is_valid=True,
    reason=None,
)
FLAT = Inventory(market="0xc", yes_e6=0, no_e6=0)


class Recorder:
    """Quotes what it is told to and keeps every view."""

    def __init__(self, answer: Sequence[int | None] | None) -> None:
        self.answer, self.views = answer, list[MarketView]()

    def quotes(self, view: MarketView) -> Sequence[TargetQuote] | None:
        self.views.append(view)
        return None if self.answer is None else quote_pair(view, *self.answer)


def new_desk(make: MakeStrategy) -> QuoterDesk:
    desk = QuoterDesk("quoter-1", SETTINGS, make)
    desk.take_allocation(Allocation(term=1, sent_ns=NOW_NS, life_ns=10**10, mandates=(MANDATE,)))
    desk.take_health(
        FeedHealth(
            source="sentinel-1", sent_ns=NOW_NS, is_live=True, last_frame_ns=NOW_NS, markets=1, reason=None
        )
    )
    desk.take_reply(FLAT, NOW_NS)
    return desk


def quoted_by(make: MakeStrategy) -> list[Plan]:
    """The plans of a strategy's first book."""
    desk = new_desk(make)
    desk.take_book(BOOK, NOW_NS)
    return desk.plans(NOW_NS)


def test_what_a_strategy_returns_is_what_the_engine_is_asked_for() -> None:
    (plan,) = quoted_by(lambda: Recorder((5_000, 5_100)))
    assert [(p.side, p.price_e4, p.size_e6) for p in plan.places] == [
        (Side.BUY, 5_000, 20 * SHARE),
        (Side.SELL, 5_100, 20 * SHARE),
    ]


def test_no_strategy_is_asked_about_a_book_that_is_not_believed() -> None:
    strategy = Recorder((5_000, 5_100))
    desk = new_desk(lambda: strategy)
    desk.take_book(msgspec.structs.replace(BOOK, integrity=0.2, reason="touch"), NOW_NS)
    assert desk.plans(NOW_NS) == []
    assert strategy.views == []


def test_none_leaves_everything_as_it_is() -> None:
    assert quoted_by(lambda: Recorder(None)) == []


def test_a_pair_never_crosses_and_lies_on_the_tick() -> None:
    (plan,) = quoted_by(lambda: Recorder((5_290, 4_810)))
    assert [p.price_e4 for p in plan.places] == [5_100, 5_000]


def test_a_strategy_sees_the_reference_once_there_is_one() -> None:
    strategy = Recorder((None, None))
    desk = new_desk(lambda: strategy)
    desk.take_book(BOOK, NOW_NS)
    desk.plans(NOW_NS)
    reference = ReferencePrice(
        underlying="BTC",
        feed="chainlink",
        source="s",
        value_e6=1,
        source_ms=1,
        received_ns=1,
        is_synthetic=True,
    )
    desk.take_reference(reference)
    desk.plans(NOW_NS)
    assert [view.reference for view in strategy.views] == [None, reference]


def test_what_a_strategy_remembers_ends_with_its_mandate() -> None:
    made: list[Recorder] = []

    def make() -> Recorder:
        made.append(Recorder((None, None)))
        return made[-1]

    desk = new_desk(make)
    desk.take_book(BOOK, NOW_NS)
    for sent_ns, mandates in ((NOW_NS + 1, ()), (NOW_NS + 2, (MANDATE,))):
        desk.plans(NOW_NS)
        desk.take_allocation(Allocation(term=1, sent_ns=sent_ns, life_ns=10**10, mandates=mandates))
    # The engine tells what is held with each table of mandates.
    desk.take_reply(FLAT, NOW_NS)
    desk.take_book(BOOK, NOW_NS)
    desk.plans(NOW_NS)
    assert len(made) == 2
