"""The lab's matching in Rust and the sandbox's in Python report the same, event by event.

Both get the same random flow: recorded books, takers, our own orders and cancels, with and without taker delay.
"""

from random import Random

import pytest
from exchange_bench import MS, SHARE, START_NS, USD, Bench

from clawswarm._core import MatchingMarket
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.events import Event, LevelChanged, OrderChanged
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.participants import ReplayMaker, Taker, participant_account

FLOWS, STEPS = 1_000, 60
MIN_SIZE_E6 = 5 * SHARE
Told = tuple[str, int, str, int, int, int]
REFUSALS = (
    ("tick", "off the tick"),
    ("post-only", "post-only order would cross"),
    ("crosses", "post-only order would cross"),
    ("minimum", "below the minimum size"),
)


class Sandbox:
    """The sandbox's exchange and participants behind the calls and words of MatchingMarket."""

    def __init__(self, taker_delay_ms: int) -> None:
        self.bench = Bench(taker_delay_ms=taker_delay_ms)
        exchange, market = self.bench.exchange, self.bench.market
        self.maker = ReplayMaker(exchange, market, participant_account(exchange, "replay"))
        self.taker = Taker(exchange, market, participant_account(exchange, "taker"))
        self.account = self.bench.account("us", 10_000_000 * USD)
        self.orders: list[Order | None] = []

    def follow(self, changes: list[tuple[int, int, int]]) -> list[Told]:
        return self._told(self.maker.follow(changes, self.bench.now_ns))

    def take(self, side: str, size_e6: int, limit_e4: int, now_ns: int) -> list[Told]:
        return self._told(self.taker.take(side, size_e6, limit_e4, now_ns))

    def place(self, side: str, price_e4: int, size_e6: int, is_post_only: bool, now_ns: int) -> list[Told]:
        # A sale of YES without shares is a purchase of NO.
        outcome, own_price = ("YES", price_e4) if side == "BUY" else ("NO", 10_000 - price_e4)
        request = self.bench.request("BUY", outcome, own_price, size_e6, is_post_only=is_post_only)
        number = len(self.orders)
        try:
            placed = self.bench.exchange.place(self.account, request, now_ns)
        except VenueRefusal as refusal:
            self.orders.append(None)
            reason = next(word for part, word in REFUSALS if part in refusal.text.lower())
            return [(reason, number, "", 0, 0, 0)]
        self.orders.append(placed.order)
        return self._told(placed.events)

    def cancel(self, number: int) -> list[Told]:
        order = self.orders[number]
        if order is None or order.id not in self.bench.exchange.open_by_account.get("0xus", {}):
            return [("not open", number, "", 0, 0, 0)]
        left = order.remaining_e6
        told = self._told(self.bench.exchange.cancel(order, self.bench.now_ns))
        return [*told, ("cancelled", number, "", 0, 0, left)]

    def advance(self, now_ns: int) -> list[Told]:
        return self._told(self.bench.exchange.advance(now_ns))

    def _told(self, events: list[Event]) -> list[Told]:
        told: list[Told] = []
        for event in events:
            if isinstance(event, OrderChanged) and event.status == "DELAYED":
                if event.order.account is self.account:
                    told.append(("held", self._number(event.order), "", 0, 0, 0))
            elif isinstance(event, LevelChanged):
                told += self._of_level(event)
        return told

    def _of_level(self, event: LevelChanged) -> list[Told]:
        side = "BUY" if event.is_bid else "SELL"
        level = ("level", 0, side, event.price_e4, event.size_e6, 0)
        if event.trade is None:
            return [level]
        told: list[Told] = []
        aggressor = "SELL" if event.is_bid else "BUY"
        for fill in event.trade.makers:
            if fill.order.account is self.account:
                told.append(("made", self._number(fill.order), side, event.price_e4, fill.size_e6, 0))
        if event.trade.taker.account is self.account:
            number = self._number(event.trade.taker)
            told.append(("took", number, aggressor, event.price_e4, event.trade.size_e6, 0))
        self.maker.note_trade(event.trade)
        return [*told, ("traded", 0, aggressor, event.price_e4, event.trade.size_e6, 0), level]

    def _number(self, order: Order) -> int:
        # An order trades while it is being placed, before it has joined the list.
        known = (number for number, placed in enumerate(self.orders) if placed is order)
        return next(known, len(self.orders))


def same_words(told: list[Told]) -> list[Told]:
    """What both report: the sandbox has no word for resting, and tells what is left of an order elsewhere."""
    shown = [event for event in told if event[0] != "rested"]
    return [(*event[:5], event[5] if event[0] == "cancelled" else 0) for event in shown]


def draw_changes(rng: Random, mid: int) -> list[tuple[int, int, int]]:
    """A recorded change; the caller moves the middle, so sides meet our orders and levels swap sides."""
    changes = []
    for _ in range(rng.randint(1, 6)):
        side = rng.randint(0, 1)
        distance = rng.randint(1, 4)
        price = (mid - distance if side == 0 else mid + distance) * 100
        changes.append((side, price, rng.choice((0, 1, 5, 10, 25, 40)) * SHARE))
    # What the middle has passed is gone: a recorded book is never crossed.
    stale = [(0, price * 100, 0) for price in range(mid, mid + 6)]
    stale += [(1, price * 100, 0) for price in range(mid - 5, mid + 1)]
    return changes + stale


def test_a_thousand_random_flows_are_told_alike() -> None:
    seen: set[str] = set()
    for seed in range(FLOWS):
        seen |= run_flow(seed)
    words = {"level", "traded", "made", "took", "held", "cancelled", *(word for _, word in REFUSALS)}
    assert words <= seen, f"the flows never showed {words - seen}"


def run_flow(seed: int) -> set[str]:
    rng = Random(seed)
    delay_ms = rng.choice((0, 0, 250))
    sandbox, own = Sandbox(delay_ms), MatchingMarket(100, MIN_SIZE_E6, delay_ms * MS)
    placed, mid, seen = 0, 50, set[str]()
    for step in range(STEPS):
        sandbox.bench.now_ns += rng.choice((0, 20, 100, 300)) * MS
        now_ns = sandbox.bench.now_ns
        theirs, ours = sandbox.advance(now_ns), own.advance(now_ns)
        assert same_words(ours) == theirs, f"seed {seed}, step {step}: end of a delay"
        seen |= {event[0] for event in ours}
        action = rng.choices(("follow", "take", "place", "cancel"), (4, 3, 4, 1))[0]
        if action == "follow":
            mid = min(max(mid + rng.choice((-2, -1, 0, 0, 1, 2)), 40), 60)
            changes = draw_changes(rng, mid)
            theirs, ours = sandbox.follow(changes), own.follow(changes)
        elif action == "take":
            side, size_e6 = rng.choice(("BUY", "SELL")), rng.randint(1, 60) * SHARE
            limit = (mid + rng.randint(-3, 3)) * 100
            theirs, ours = sandbox.take(side, size_e6, limit, now_ns), own.take(side, size_e6, limit, now_ns)
        elif action == "place":
            side, post_only = rng.choice(("BUY", "SELL")), rng.random() < 0.6
            price = (mid + rng.randint(-3, 3)) * 100 + rng.choice((0, 0, 0, 0, 0, 10))
            size_e6 = rng.choice((1, 5, 5, 8, 20, 30)) * SHARE
            order = (side, price, size_e6, post_only, now_ns)
            theirs, ours = sandbox.place(*order), own.place(*order)
            placed += 1
        else:
            if not placed:
                continue
            number = rng.randrange(placed)
            theirs, ours = sandbox.cancel(number), own.cancel(number)
        assert same_words(ours) == theirs, f"seed {seed}, step {step}: {action}"
        seen |= {event[0] for event in ours}
    return seen


@pytest.mark.parametrize("delay_ms", [0, 250])
def test_the_queue_before_an_order_is_what_stood_there_first(delay_ms: int) -> None:
    own = MatchingMarket(100, MIN_SIZE_E6, delay_ms * MS)
    own.follow([(0, 4_500, 10 * SHARE), (1, 4_700, 10 * SHARE)])
    own.place("BUY", 4_500, 5 * SHARE, True, START_NS)
    own.follow([(0, 4_500, 30 * SHARE)])
    assert own.ahead_e6(0) == 10 * SHARE
    own.follow([(0, 4_500, 4 * SHARE)])
    assert own.ahead_e6(0) == 4 * SHARE
    own.take("SELL", 6 * SHARE, 4_500, START_NS)
    made = [event for event in own.advance(START_NS + 250 * MS) if event[0] == "made"]
    assert (own.ahead_e6(0), bool(made)) == (0, delay_ms > 0)
