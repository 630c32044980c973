"""Whatever several accounts do: money is conserved, no book is crossed, the queue is served in order."""

import hashlib

import pytest
from exchange_bench import MS, USD, Bench
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.model.errors import InvariantBroken
from clawswarm.sandbox.exchange.accounts import Account, lock_e6
from clawswarm.sandbox.exchange.book import BookSide, Order
from clawswarm.sandbox.exchange.events import Event, LevelChanged, OrderChanged
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.exchange.rules import ExchangeRules
from clawswarm.sandbox.exchange.settlement import OrderedFate

NAMES = ("ann", "bob", "cid")

places = st.tuples(
    st.just("place"),
    st.sampled_from(NAMES),
    st.sampled_from(("BUY", "SELL")),
    st.sampled_from(("YES", "NO")),
    st.integers(40, 60).map(lambda cents: cents * 100),
    st.integers(500, 4000).map(lambda hundredths: hundredths / 100),
    st.sampled_from(("GTC", "GTC", "GTC", "GTD", "FOK", "FAK")),
    st.booleans(),
)
cancels = st.tuples(st.just("cancel"), st.integers(0, 1000))
ticks = st.tuples(st.just("advance"), st.integers(1, 100_000))
# Participants are not bound to hundredths of a share, so their dust takes part in the rounding.
dust = st.tuples(st.just("dust"), st.booleans(), st.integers(40, 60), st.integers(1, 9_999_999))
fates = st.tuples(st.just("fate"), st.sampled_from(("confirm", "retry", "fail")))
money = st.tuples(st.just("money"), st.sampled_from(NAMES), st.integers(-400, 400))
pairs = st.tuples(st.just("pairs"), st.sampled_from(NAMES), st.integers(-300, 300))
delays = st.tuples(st.just("delay"), st.sampled_from((0, 50, 250)))
steps = st.one_of(places, places, places, cancels, ticks, dust, fates, money, pairs, delays)
programs = st.lists(steps, min_size=10, max_size=60)
self_trades = st.sampled_from(("allow", "cancel-newest", "cancel-oldest"))


def run(bench: Bench, program: list[tuple[object, ...]]) -> list[Event]:
    events: list[Event] = []
    for name in NAMES:
        bench.give_tokens(name, 300)
    for step in program:
        events += one_step(bench, step)
        check(bench)
    return events


def one_step(bench: Bench, step: tuple[object, ...]) -> list[Event]:
    kind, *rest = step
    if kind == "advance":
        bench.now_ns += int(str(rest[0])) * MS
        return bench.exchange.advance(bench.now_ns)
    if kind == "cancel":
        alive = [o for name in NAMES for o in bench.exchange.open_orders(f"0x{name}")]
        return bench.exchange.cancel(alive[rest[0] % len(alive)], bench.now_ns) if alive else []
    if kind == "dust":
        return place_dust(bench, *rest)
    if kind == "fate":
        bench.exchange.settling.ordered.append(OrderedFate(rest[0]))
        return []
    if kind == "delay":
        bench.market.taker_delay_ms = rest[0]
        return []
    if kind in ("money", "pairs"):
        return move_money(bench, kind, *rest)
    name, side, outcome, price, shares, order_type, is_post_only = rest
    expires_s = bench.now_ns // 10**9 + 200 if order_type == "GTD" else 0
    try:
        return bench.place(
            name, side, outcome, price, shares,
            order_type=order_type, is_post_only=is_post_only, expires_s=expires_s,
        ).events  # fmt: skip
    except VenueRefusal:
        return []


def move_money(bench: Bench, kind: str, name: str, usd: int) -> list[Event]:
    """Money or pairs come into a wallet or leave it, as far as it has them."""
    account, tokens = bench.account(name), (bench.market.yes_token, bench.market.no_token)
    if kind == "money":
        bench.exchange.ledger.grant(account, max(usd * USD, -account.collateral_e6))
    else:
        held = min(account.tokens_e6.get(token, 0) for token in tokens)
        size = max(-held, min(usd * USD, account.collateral_e6))
        bench.exchange.ledger.split(account, tokens, size)
    return bench.exchange.recheck_funds(account, bench.now_ns)


def place_dust(bench: Bench, is_bid: bool, cents: int, size_e6: int) -> list[Event]:
    order = bench.participant_order(is_bid, cents * 100, size_e6)
    return bench.exchange.enter_participant(order, bench.now_ns)


def check(bench: Bench) -> None:
    exchange, ledger, market = bench.exchange, bench.exchange.ledger, bench.market
    tokens = (market.yes_token, market.no_token)
    assert ledger.imbalance_e6() == 0
    assert ledger.house.collateral_e6 >= 0
    for token in tokens:
        held = sum(account.tokens_e6.get(token, 0) for account in ledger.accounts.values())
        assert held + ledger.in_flight_e6.get(token, 0) == ledger.pairs_e6
    alive = [order for order in exchange.orders.values() if order.status in ("LIVE", "DELAYED")]
    for account in ledger.accounts.values():
        assert account.collateral_e6 >= 0
        assert all(size >= 0 for size in account.tokens_e6.values())
        if account.is_participant:
            continue
        own = [order for order in alive if order.account is account]
        assert account.reserved_e6 == sum(order.locked_e6 for order in own if order.is_buy)
        for token in tokens:
            sales = [order for order in own if not order.is_buy and order.token == token]
            assert account.reserved_tokens_e6.get(token, 0) == sum(order.locked_e6 for order in sales)
        check_reservations(account, own)
    book = exchange.books[market.condition_id]
    assert not book.is_crossed()
    for side in (book.bids, book.asks):
        check_side(side)


def check_reservations(account: Account, own: list[Order]) -> None:
    """Exactly what each resting order may still cost, and never more than there is."""
    for order in own:
        if order.status == "LIVE":
            cost = lock_e6(order.price_e4, order.remaining_e6) if order.is_buy else order.remaining_e6
            assert order.locked_e6 == cost
    resting = [order for order in own if order.status == "LIVE"]
    if len(resting) == len(own):
        assert account.free_e6 >= 0
        assert all(account.free_tokens_e6(token) >= 0 for token in account.reserved_tokens_e6)


def check_side(side: BookSide) -> None:
    for level in side.best_first():
        orders = list(level.orders.values())
        assert level.total_e6 == sum(o.remaining_e6 for o in orders)
        assert all(o.remaining_e6 > 0 and o.status == "LIVE" for o in orders)
        assert all(o.remaining_e6 == o.size_e6 - o.matched_e6 for o in orders)


@given(programs, self_trades)
@settings(max_examples=150, deadline=None)
def test_money_books_and_reservations(program: list[tuple[object, ...]], self_trade: str) -> None:
    bench = Bench(ExchangeRules(self_trade=self_trade), fee_rate_e4=700)
    run(bench, program)
    bench.market.taker_delay_ms = 0
    for _ in range(4):
        bench.settle()
        check(bench)
    ledger = bench.exchange.ledger
    assert all(amount == 0 for amount in ledger.in_flight_e6.values())


@given(programs)
@settings(max_examples=60, deadline=None)
def test_money_where_proceeds_come_at_once(program: list[tuple[object, ...]]) -> None:
    bench = Bench(ExchangeRules(proceeds_at="matched"), fee_rate_e4=700)
    for name in NAMES:
        bench.give_tokens(name, 300)
    for step in program:
        one_step(bench, step)
        ledger, market = bench.exchange.ledger, bench.market
        assert ledger.imbalance_e6() == 0
        for token in (market.yes_token, market.no_token):
            assert sum(a.tokens_e6.get(token, 0) for a in ledger.accounts.values()) == ledger.pairs_e6
        assert not bench.exchange.books[market.condition_id].is_crossed()


@given(programs)
@settings(max_examples=40, deadline=None)
def test_same_program_same_events(program: list[tuple[object, ...]]) -> None:
    assert digest(run(Bench(fee_rate_e4=700), program)) == digest(run(Bench(fee_rate_e4=700), program))


def digest(events: list[Event]) -> str:
    lines = []
    for event in events:
        if isinstance(event, OrderChanged):
            lines.append(f"{event.kind} {event.order.id} {event.matched_e6} {event.status} {event.at_ns}")
        elif isinstance(event, LevelChanged):
            trade = event.trade.id if event.trade else None
            lines.append(f"{event.is_bid} {event.price_e4} {event.size_e6} {trade} {event.at_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.integers(5, 30)), min_size=1, max_size=8),
    st.lists(st.integers(5, 40), min_size=1, max_size=6),
    st.sets(st.integers(0, 7)),
)
@settings(max_examples=100, deadline=None)
def test_the_queue_is_served_first_come_first_served(
    makers: list[tuple[str, int]], takes: list[int], cancelled: set[int]
) -> None:
    bench = Bench()
    queue = [bench.place(name, "BUY", "NO", 5000, shares).order for name, shares in makers]
    for index in cancelled:
        if index < len(queue):
            bench.exchange.cancel(queue[index], bench.now_ns)
    queue = [order for order in queue if order.status == "LIVE"]
    bench.account("taker", 10_000 * USD)
    for shares in takes:
        if bench.levels():
            bench.place("taker", "BUY", "YES", 5000, shares, order_type="FAK")
        fills = [order.matched_e6 == order.size_e6 for order in queue]
        assert fills == sorted(fills, reverse=True)
        assert sum(0 < order.matched_e6 < order.size_e6 for order in queue) <= 1


def test_only_participants_bypass_admission() -> None:
    bench = Bench()
    order = bench.place("ann", "BUY", "YES", 5000, 10).order
    with pytest.raises(InvariantBroken):
        bench.exchange.enter_participant(order, bench.now_ns)
