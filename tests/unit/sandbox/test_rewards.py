"""Liquidity rewards: the worked examples to the cent, the rules of a sample, the payment at midnight."""

from collections.abc import Callable
from random import Random

import pytest
from exchange_bench import MS, SHARE, USD, Bench
from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.sandbox.exchange.markets import RewardTerms
from clawswarm.sandbox.exchange.scoring import is_scoring
from clawswarm.sandbox.rewards.formula import combine, sample_scores
from clawswarm.sandbox.rewards.payments import NS_PER_DAY, day_of
from clawswarm.sandbox.rewards.program import MINUTES_A_DAY, RewardProgram

MIDNIGHT_NS = 20_900 * NS_PER_DAY
DAY = day_of(MIDNIGHT_NS)
S = 10**9


class Programme:
    """A bench at midnight with a market that pays 120 dollars a day."""

    def __init__(self, v_e4: int, min_shares: int = 50, min_age_s: int = 0, seed: int = 3) -> None:
        terms = RewardTerms(
            min_size_e6=min_shares * SHARE,
            max_spread_e4=v_e4,
            min_age_s=min_age_s,
            daily_rate_e6=120 * USD,
        )
        self.bench = Bench(rewards=terms)
        self.bench.now_ns = MIDNIGHT_NS
        self.program = RewardProgram(self.bench.exchange, seed)
        self.program.advance(MIDNIGHT_NS)

    def quote(self, name: str, outcome: str, price_e4: int, shares: float) -> None:
        """A resting BUY."""
        self.bench.account(name, 100_000 * USD)
        assert self.bench.place(name, "BUY", outcome, price_e4, shares).status == "live"

    def day(self, before_sample: Callable[[int], None] = lambda _number: None) -> dict[str, int]:
        """Let the day pass, something happening before each sample; the payments by name in cents."""
        number = 0
        while (due := self.program.next_due_ns()) is not None and due < MIDNIGHT_NS + NS_PER_DAY:
            self.bench.now_ns = due - 1
            before_sample(number)
            self.program.advance(due)
            number += 1
        assert number == MINUTES_A_DAY
        assert not self.program.payments
        self.program.advance(MIDNIGHT_NS + NS_PER_DAY)
        return {p.address.removeprefix("0x"): p.amount_e6 // 10_000 for p in self.program.payments}


def test_the_example_of_the_fact_sheet() -> None:
    """v 3 ¢, mid 0.50: A Q_min 72.22, B 600 shares on one side 88.89; of 120 dollars A gets 53.79."""
    world = Programme(v_e4=300)
    world.quote("a", "YES", 4900, 200)
    world.quote("a", "YES", 4800, 100)
    world.quote("a", "NO", 4900, 150)
    world.quote("a", "NO", 4800, 50)
    world.quote("b", "YES", 4900, 600)
    assert world.day() == {"a": 5379, "b": 6620}
    before = 100_000 * USD - sum(o.locked_e6 for o in world.bench.exchange.open_orders("0xa"))
    assert world.bench.account("a").free_e6 == before + 53_793_103


def test_near_the_end_of_the_scale_only_two_sides_count() -> None:
    """By hand, v 4.5 ¢, mid 0.05.

    S(1 ¢) = (3.5/4.5)² = 0.6049, S(2 ¢) = (2.5/4.5)² = 0.3086.
    A: bid 100 at 1 ¢, ask 200 at 1 ¢ → min(60.49, 120.99) = 60.49.  B: bid 500 at 1 ¢ → 0.
    C: bid 50 at 2 ¢, ask 300 at 2 ¢ → min(15.43, 92.59) = 15.43.    A 60.49/75.93 · 120 = 95.61, C 24.39.
    """
    world = Programme(v_e4=450)
    world.quote("a", "YES", 400, 100)
    world.quote("a", "NO", 9400, 200)
    world.quote("b", "YES", 400, 500)
    world.quote("c", "YES", 300, 50)
    world.quote("c", "NO", 9300, 300)
    assert world.day() == {"a": 9560, "c": 2439}
    assert sum(p.amount_e6 for p in world.program.payments) in range(120 * USD - 2, 120 * USD + 1)


def test_a_rival_that_is_away_at_every_other_sample() -> None:
    """By hand: A 100 a side, B 300 a side at the same price in half of the samples.

    A has 1 of 720 samples and 1/4 of 720: 900 of 1440 → 75 dollars; B 3/4 of 720: 540 → 45 dollars.
    """
    world = Programme(v_e4=300)
    world.quote("a", "YES", 4900, 100)
    world.quote("a", "NO", 4900, 100)

    def dodge(number: int) -> None:
        if number % 2 == 0:
            world.quote("b", "YES", 4900, 300)
            world.quote("b", "NO", 4900, 300)
        else:
            world.bench.exchange.cancel_where("0xb", world.bench.now_ns, lambda _order: True)

    assert world.day(dodge) == {"a": 7500, "b": 4500}


def test_young_small_and_far_orders_do_not_score() -> None:
    world = Programme(v_e4=300, min_age_s=30)
    for outcome in ("YES", "NO"):
        world.quote("a", outcome, 4900, 100)
        world.quote("small", outcome, 4900, 49)
        world.quote("far", outcome, 4700, 100)
    bench, market = world.bench, world.bench.market
    book, terms = bench.exchange.books[market.condition_id], market.rewards
    born = bench.now_ns
    assert sample_scores(book, terms, born + 30 * S - 1) == {}
    assert set(sample_scores(book, terms, born + 30 * S)) == {"0xa"}
    world.quote("young", "YES", 4900, 100)
    assert set(sample_scores(book, terms, born + 30 * S)) == {"0xa", "0xyoung"}
    at_ns = born + 30 * S
    scoring = {o.account.address for o in bench.exchange.orders.values() if is_scoring(o, book, at_ns)}
    assert scoring == {
        "0xa",
        "0xyoung",
        "0xfar",
    }  # at exactly the largest distance: scoring, and worth nothing


def test_the_midpoint_is_that_of_large_levels() -> None:
    world = Programme(v_e4=300)
    world.quote("dust", "YES", 4950 // 100 * 100 + 100, 10)  # 0.50, too small to move the midpoint
    world.quote("a", "YES", 4800, 100)
    world.quote("a", "NO", 4800, 100)
    book = world.bench.exchange.books[world.bench.market.condition_id]
    # Q = 100·(2v − 2s)² on both sides, three times the smaller one.
    assert sample_scores(book, world.bench.market.rewards, world.bench.now_ns) == {
        "0xa": 3 * 100 * SHARE * 200**2
    }


def test_a_side_without_size_ends_the_sample() -> None:
    world = Programme(v_e4=300)
    world.quote("a", "YES", 4900, 100)
    assert world.day() == {}
    assert world.program.earnings(DAY, "0xa") == []


def test_an_hour_of_a_market_pays_an_hour() -> None:
    world = Programme(v_e4=300)
    world.quote("a", "YES", 4900, 100)
    world.quote("a", "NO", 4900, 100)

    def close(number: int) -> None:
        if number == 60:
            world.bench.exchange.close_market(world.bench.market, "YES", world.bench.now_ns)

    assert world.day(close) == {"a": 500}
    (earning,) = world.program.earnings(DAY, "0xa")
    assert earning.amount_e6 == 5 * USD


def test_less_than_a_dollar_is_not_paid() -> None:
    world = Programme(v_e4=300)
    for outcome in ("YES", "NO"):
        world.quote("a", outcome, 4900, 20_000)
        world.quote("b", outcome, 4900, 100)
    assert world.day() == {"a": 11940}
    (earning,) = world.program.earnings(DAY, "0xb")
    assert 0 < earning.amount_e6 < USD
    assert world.bench.exchange.ledger.imbalance_e6() == 0


def test_participants_take_their_share_and_are_not_paid() -> None:
    world = Programme(v_e4=300)
    bench = world.bench
    for is_bid in (True, False):
        bench.exchange.enter_participant(
            bench.participant_order(is_bid, 4900 if is_bid else 5100, 100 * SHARE), 1
        )
        world.quote("a", "YES" if is_bid else "NO", 4900, 100)
    assert world.day() == {"a": 6000}


def test_samples_are_one_in_each_minute_at_seconds_that_differ() -> None:
    world = Programme(v_e4=300)
    seconds = []
    for minute in range(200):
        due = world.program.next_due_ns()
        assert due is not None
        assert due // (60 * S) == MIDNIGHT_NS // (60 * S) + minute
        seconds.append(due // S % 60)
        world.program.advance(due)
    assert len(set(seconds)) > 40
    again = Programme(v_e4=300)
    assert again.program.next_due_ns() == MIDNIGHT_NS + seconds[0] * S


@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), min_size=1, max_size=8), st.booleans()
)
@settings(max_examples=100, deadline=None)
def test_joining_two_makers_never_lowers_their_score(sides: list[tuple[int, int]], is_central: bool) -> None:
    """Q_min rewards balance: one wallet with both orders has at least what two wallets have."""
    both = combine(sum(one for one, _ in sides), sum(two for _, two in sides), is_central=False)
    assert both >= sum(combine(one, two, is_central=False) for one, two in sides)
    for one, two in sides:
        assert combine(one, two, is_central=is_central) == combine(two, one, is_central=is_central)
        assert combine(one, two, is_central=True) >= combine(one, two, is_central=False)


@pytest.mark.parametrize("seed", range(3))
def test_a_day_never_pays_more_than_its_rate(seed: int) -> None:
    world, chance = Programme(v_e4=450, seed=seed), Random(seed)

    def churn(_number: int) -> None:
        if chance.random() < 0.1:
            name, outcome = chance.choice("abc"), chance.choice(("YES", "NO"))
            world.bench.exchange.cancel_where(
                f"0x{name}", world.bench.now_ns, lambda o: chance.random() < 0.5
            )
            world.bench.account(name, 100_000 * USD)
            world.bench.place(
                name, "BUY", outcome, chance.randrange(4500, 5000, 100), chance.randrange(50, 500)
            )
            world.bench.now_ns += MS

    world.day(churn)
    paid = sum(payment.amount_e6 for payment in world.program.payments)
    assert 119 * USD < paid <= 120 * USD
    assert world.bench.exchange.ledger.imbalance_e6() == 0
