"""The quoter of one market behind `clawswarm._core`: equal to the Python reference, and right by itself."""

import math
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawswarm._core import (
    Decision,
    MarketQuoter,
    MarketTerms,
    QuoterModel,
    ReferencePath,
    reward_income,
    reward_scores,
)
from clawswarm.agents.quoter.pricing import QuadraticModel
from unit.core.quoting_reference import Reference, Rewards, Situation, beyond, expit, logit

SHARE = 1_000_000
NS = 1_000_000_000
MODEL = QuadraticModel(
    skew=0.25,
    widen_linear=0.02,
    widen_quadratic=0.06,
    uncertainty_weight=0.5,
    fill_rate=2.0,
    pick_off=0.0,
    presence=0.0,
    change_usd=0.002,
)
SITUATION = Situation(
    now_ns=NS,
    venue_ms=0,
    bids=((4_900, 100 * SHARE), (4_800, 200 * SHARE), (4_700, 300 * SHARE)),
    asks=((5_000, 100 * SHARE), (5_100, 200 * SHARE), (5_200, 300 * SHARE)),
    tick_e4=100,
    flow=0.0,
    sweep=None,
    doubt=1.0,
    net_e6=0,
    max_position_e6=200 * SHARE,
    order_size_e6=20 * SHARE,
    capital_e6=500 * SHARE,
    own=(),
    shift=0.0,
    tokens=(0.0, 0.0),
)


def quoter(**changed: float) -> MarketQuoter:
    return MarketQuoter(QuoterModel(**(msgspec.structs.asdict(MODEL) | changed)))


def terms(**changed: Any) -> MarketTerms:
    known = {"rule": "event", "closes_ms": None, "min_size_e6": 5 * SHARE, "rebate": 0.014}
    return MarketTerms(**(known | changed))


def asked(
    of: MarketQuoter, market: MarketTerms, seen: Situation, path: ReferencePath | None = None
) -> Decision:
    return of.decide(
        market,
        seen.now_ns,
        seen.venue_ms,
        seen.bids,
        seen.asks,
        seen.tick_e4,
        seen.flow,
        seen.sweep,
        seen.doubt,
        seen.net_e6,
        seen.max_position_e6,
        seen.order_size_e6,
        seen.capital_e6,
        seen.own,
        path,
        seen.shift,
        *seen.tokens,
        seen.is_reduce_only,
    )


# --- equal to the reference -------------------------------------------------------------------------


class Play:
    """A random market: a book that wanders, orders that rest, trade and go, a reference price."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.tick = self.rng.choice((100, 10, 50))
        self.middle = 5_000.0
        self.net = 0
        self.own: list[tuple[bool, int, int]] = []
        self.now, self.path, self.usd = NS, ReferencePath(), 65_000.0
        self.span_ms = 400_000

    def step(self) -> Situation:
        rng, tick = self.rng, self.tick
        self.now += rng.choice((1_000_000, 40_000_000, 300_000_000, 2_000_000_000))
        self.middle = min(max(self.middle + rng.gauss(0, 60), 500), 9_500)
        self.usd *= math.exp(rng.gauss(0, 0.6e-4))
        self.path.take(self.usd, self.now // 1_000_000)
        width = rng.randint(1, 5)
        bid = int(self.middle / tick) * tick
        ask = bid + width * tick
        sides = []
        for side, first in ((True, bid), (False, ask)):
            sign = -1 if side else 1
            levels = {
                first + sign * n * tick: rng.randint(1, 60_000) * 10_000 for n in range(rng.randint(1, 5))
            }
            for is_buy, price, size in self.own:
                if is_buy == side and price in levels:
                    levels[price] += size
            sides.append(
                tuple(
                    sorted((p, s) for p, s in levels.items() if 0 < p < 10_000)[:: sign or 1]
                    if side
                    else sorted((p, s) for p, s in levels.items() if 0 < p < 10_000)
                )
            )
        sweep = (
            ("BUY" if rng.random() < 0.5 else "SELL", SHARE, self.now - 5) if rng.random() < 0.03 else None
        )
        return Situation(
            now_ns=self.now,
            venue_ms=self.now // 1_000_000,
            bids=sides[0] or ((tick, SHARE),),
            asks=sides[1] or ((10_000 - tick, SHARE),),
            tick_e4=tick,
            flow=rng.gauss(0, 200),
            sweep=sweep,
            doubt=rng.choice((1.0, 1.0, 2.0)),
            net_e6=self.net,
            max_position_e6=200 * SHARE,
            order_size_e6=rng.choice((20, 60)) * SHARE,
            capital_e6=rng.choice((60, 500)) * SHARE,
            own=tuple(self.own),
            shift=rng.choice((0.0, 0.01)),
            tokens=rng.choice(((0.0, 0.0), (0.002, 0.001))),
            is_reduce_only=rng.random() < 0.1,
        )

    def rest(self, decision: Decision) -> None:
        """Most targets come to rest; now and then one trades, or its cancel fails and it stays."""
        kept = [order for order in self.own if self.rng.random() < 0.1]
        self.own = []
        for is_buy, target in ((True, decision.bid), (False, decision.ask)):
            old = [order for order in kept if order[0] == is_buy]
            if target is not None and self.rng.random() < 0.9:
                self.own.append((is_buy, target[0], target[1]))
            elif old and all(order[1] for order in old):
                self.own += old

    def fills(self) -> list[bool]:
        filled = []
        for order in list(self.own):
            if self.rng.random() < 0.05:
                is_buy, price, size = order
                part = max(size // self.rng.choice((1, 2)) // 10_000 * 10_000, 10_000)
                self.own.remove(order)
                if size > part:
                    self.own.append((is_buy, price, size - part))
                self.net += part if is_buy else -part
                filled.append(is_buy)
        return filled


@pytest.mark.parametrize("seed", range(12))
def test_the_rust_core_equals_the_python_reference(seed: int) -> None:
    play, decided = Play(seed), 0
    shipped = {} if seed % 4 else {"pick_off": 2.0, "presence": 0.001}
    model = msgspec.structs.replace(MODEL, jump_sigmas=1e9, **shipped)
    rewards = Rewards(120.0, 50 * SHARE, 450.0, 2.0) if seed % 2 else None
    market = terms(
        rule="price",
        closes_ms=play.span_ms,
        window_s=60 if seed % 3 else 0,
        opens_ms=100_000,
        rewards=None if rewards is None else (120.0, 50 * SHARE, 450.0, 2.0),
    )

    def modelled(venue_ms: int) -> float | None:
        found = market.value(play.path, venue_ms)
        return None if found is None else logit(min(max(found.probability, 1e-3), 1 - 1e-3))

    ours = MarketQuoter(QuoterModel(**msgspec.structs.asdict(model)))
    theirs = Reference(model, play.span_ms, 5 * SHARE, 0.014, rewards, modelled)
    while True:
        seen = play.step()
        if seen.venue_ms >= play.span_ms:
            break
        decision = asked(ours, market, seen, play.path)
        if decision.reason not in (None, "close is near"):
            continue
        expected = theirs.decide(seen)
        assert decision.reason == expected["reason"]
        for side in ("bid", "ask"):
            target, wanted = getattr(decision, side), expected[side]
            assert (target is None) == (wanted is None)
            if isinstance(wanted, tuple):
                assert target[:3] == wanted[:3]
                assert target[3] == pytest.approx(wanted[3], abs=1e-9)
        if decision.reason is None:
            decided += 1
            assert theirs.fair is not None
            assert decision.fair == pytest.approx(logit(theirs.fair), abs=1e-9)
            assert decision.uncertainty == pytest.approx(theirs.uncertainty, abs=1e-9)
            assert decision.volatility == pytest.approx(theirs.volatility, abs=1e-9)
            assert decision.reservation == pytest.approx(expected["reservation"], abs=1e-9)
            assert decision.break_even == pytest.approx(expected["break_even"], abs=1e-9)
            assert decision.value == pytest.approx(expected["value"], abs=1e-9)
            assert decision.reward == pytest.approx(expected["reward"], abs=1e-9)
        assert ours.informed == pytest.approx(
            [theirs.toxicity.informed(side) for side in (True, False)], abs=1e-9
        )
        play.rest(decision)
        for is_buy in play.fills():
            ours.take_fill(is_buy, play.now)
            theirs.take_fill(is_buy, play.now)
    assert decided > 100


# --- the spread function and its optimum ------------------------------------------------------------


def test_without_rewards_and_costs_the_optimum_is_the_closed_form() -> None:
    """Avellaneda and Stoikov's half-spread maximises e^(−kδ)·(δ − δ₀); the grid finds it within a tick."""
    fine = replace(
        SITUATION,
        tick_e4=10,
        bids=((4_990, 100 * SHARE),),
        asks=((5_010, 100 * SHARE),),
        order_size_e6=5 * SHARE,
    )
    of = quoter(risk_aversion=0.01, queue_shares=1e12, rest_s=1e-6)
    decision = asked(of, terms(rebate=0.0), fine)
    assert decision.half_spread is not None
    assert decision.reservation is not None
    assert decision.bid is not None
    assert decision.ask is not None
    bid = expit(decision.reservation - decision.half_spread[0]) * 10_000
    ask = expit(decision.reservation + decision.half_spread[1]) * 10_000
    assert abs(decision.bid[0] - bid) <= 20
    assert abs(decision.ask[0] - ask) <= 20
    markup = decision.half_spread[0] - decision.break_even[0]  # type: ignore[index]
    assert markup == pytest.approx(math.log1p(0.01 / MODEL.fill_decay) / 0.01)


def test_what_jumps_take_is_the_excess_of_students_t_as_far_as_the_scale_goes() -> None:
    """The formula of the reference, which the core equals, against integration of the density."""
    for deviation, d, most in (
        (0.01, 0.005, 1.0),
        (0.01, 0.05, 0.1),
        (0.03, -0.01, 0.02),
        (0.05, 0.05, 0.01),
    ):
        scale = deviation / math.sqrt(3)

        def density(x: float, scale: float = scale) -> float:
            return 2 / (math.pi * math.sqrt(3) * scale * (1 + (x / scale) ** 2 / 3) ** 2)

        # x = d + t/(1 − t) maps the tail onto the unit interval.
        n, total = 200_000, 0.0
        for place in range(n):
            t = (place + 0.5) / n
            excess = t / (1 - t)
            total += min(excess, most) * density(d + excess) / (1 - t) ** 2 / n
        assert beyond(d, deviation) - beyond(d + most, deviation) == pytest.approx(total, rel=1e-3)


def test_where_the_book_jumps_quotes_stand_far_out_or_not_at_all() -> None:
    def after_moves(step_e4: int, **changed: float) -> Decision:
        of = quoter(**changed)
        for second in range(60):
            shift = step_e4 * (second % 2)
            seen = replace(
                SITUATION,
                now_ns=(second + 1) * NS,
                bids=tuple((price + shift, size) for price, size in SITUATION.bids),
                asks=tuple((price + shift, size) for price, size in SITUATION.asks),
            )
            decision = asked(of, terms(), seen)
        return decision

    def width(decision: Decision) -> int:
        assert decision.bid is not None
        assert decision.ask is not None
        return decision.ask[0] - decision.bid[0]

    assert width(after_moves(0, **CAREFUL)) < width(after_moves(300, **CAREFUL))
    alone = after_moves(300, pick_off=2.0)
    assert (alone.bid, alone.ask, alone.reason) == (None, None, None)


def half_spread(**changed: Any) -> tuple[float, float]:
    known = {"doubt", "net_e6", "sweep", "venue_ms"}
    seen = replace(SITUATION, **{k: v for k, v in changed.items() if k in known})
    of = quoter(**{k: v for k, v in changed.items() if k not in known and k != "closes_ms"})
    found = asked(of, terms(closes_ms=changed.get("closes_ms")), seen).half_spread
    assert found is not None
    return found


def test_what_widens_the_spread() -> None:
    narrow = half_spread()[0]
    assert half_spread(doubt=2.0)[0] > narrow
    assert half_spread(informed_prior=0.1)[0] > narrow
    assert half_spread(cost=0.05)[0] == pytest.approx(narrow + 0.05)
    q = 0.5
    wider = half_spread(net_e6=100 * SHARE)[0] - narrow
    assert wider == pytest.approx(MODEL.widen_linear * q + MODEL.widen_quadratic * q * q)
    near = half_spread(closes_ms=round(MODEL.widen_s * 500))
    assert near[0] > narrow
    informed = half_spread(informed_prior=0.1)[0] - half_spread(informed_prior=0.0)[0]
    assert informed == pytest.approx(2 * math.atanh(0.1))


def test_inventory_moves_the_reservation_against_itself() -> None:
    flat, long, short = (
        asked(quoter(), terms(), replace(SITUATION, net_e6=net * SHARE)).reservation for net in (0, 100, -100)
    )
    assert flat is not None
    assert long is not None
    assert short is not None
    assert long < flat < short


def test_the_worked_reward_example_of_the_documentation() -> None:
    """polymarket.md §8: v = 3 ¢, midpoint 0.50, $120 a day."""
    bids = [(4_900, 200 * SHARE), (4_800, 100 * SHARE)]
    asks = [(5_100, 150 * SHARE), (5_200, 50 * SHARE)]  # a NO bid at 0.48 is a YES ask at 0.52
    one, two, both = reward_scores(300.0, 0, 5_000.0, bids, asks)
    assert (one, two, both) == pytest.approx((100.0, 72.2222, 72.2222), abs=1e-3)
    alone = reward_scores(300.0, 0, 5_000.0, [(4_900, 600 * SHARE)], [])
    assert alone == pytest.approx((266.6667, 0.0, 88.8889), abs=1e-3)
    assert reward_income(120.0, one, two, alone[2], 5_000.0) * 86_400 == pytest.approx(53.79, abs=0.005)
    assert reward_scores(300.0, 0, 500.0, [(400, 600 * SHARE)], [])[2] == 0.0


REWARDED = {"rewards": (50_000.0, 10 * SHARE, 450.0, 0.0)}


def test_rewards_pull_quotes_to_the_middle_and_ask_for_both_sides() -> None:
    plain, paid = asked(quoter(), terms(), SITUATION), asked(quoter(), terms(**REWARDED), SITUATION)
    assert plain.bid is not None
    assert paid.bid is not None
    assert paid.ask is not None
    assert paid.bid[0] > plain.bid[0]
    assert paid.reward > 0.0
    # Outside [0.10, 0.90] one side alone earns nothing, so neither is moved for it where the other is closed.
    full = replace(SITUATION, net_e6=190 * SHARE)
    cheap = {"bids": ((500, 100 * SHARE),), "asks": ((600, 100 * SHARE),)}
    assert asked(quoter(), terms(**REWARDED), replace(full, **cheap)).reward == 0.0


def test_orders_below_the_rewarded_size_earn_none() -> None:
    small = terms(rewards=(5_000.0, 50 * SHARE, 450.0, 0.0))
    assert asked(quoter(), small, SITUATION).reward == 0.0


# --- keeping and replacing --------------------------------------------------------------------------


def resting(bid: int, ask: int) -> Situation:
    own = ((True, bid, 20 * SHARE), (False, ask, 20 * SHARE))
    return replace(SITUATION, own=own)


def test_a_resting_order_is_kept_until_replacing_it_pays() -> None:
    fresh = asked(quoter(), terms(), SITUATION)
    assert fresh.bid is not None
    assert fresh.ask is not None
    kept = asked(quoter(), terms(), resting(fresh.bid[0], fresh.ask[0]))
    assert kept.bid is not None
    assert kept.bid[2]
    off = resting(fresh.bid[0] - 100, fresh.ask[0])
    for tokens, is_kept in (((0.0, 0.0), False), ((1.0, 0.0), True), ((0.0, 1.0), True)):
        decision = asked(quoter(change_usd=0.0), terms(), replace(off, tokens=tokens))
        assert decision.bid is not None
        assert decision.bid[2] is is_kept


def test_a_stale_quote_that_adds_risk_goes_at_once_whatever_tokens_cost() -> None:
    generous = replace(resting(4_900, 5_000), bids=((4_500, 100 * SHARE),), asks=((4_600, 100 * SHARE),))
    generous = replace(generous, own=((True, 4_500, 20 * SHARE),), tokens=(9.0, 9.0), doubt=4.0)
    decision = asked(
        quoter(cost=0.1), terms(rebate=0.0), replace(generous, asks=((4_510, 100 * SHARE),), tick_e4=10)
    )
    assert decision.reason is None
    assert decision.bid is None or not decision.bid[2]


def test_a_place_in_the_queue_is_worth_something() -> None:
    """An order that others' departures have brought to the front is kept where one at the back is given up."""
    kept = []
    for before in (400, 1):
        of, seen = quoter(change_usd=0.0), SITUATION
        fresh = asked(of, terms(), seen)
        assert fresh.bid is not None
        price = fresh.bid[0] - 100
        bids = tuple((p, (before + 20) * SHARE if p == price else s) for p, s in SITUATION.bids)
        decision = asked(of, terms(), replace(seen, own=((True, price, 20 * SHARE),), bids=bids))
        assert decision.bid is not None
        kept.append(decision.bid[2])
    assert kept == [False, True]


# --- sizes and limits -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "bought", "sold"), [(0, 20, 20), (100, 10, 20), (-100, 20, 10), (185, None, 20)]
)
def test_size_tapers_on_the_side_that_adds_and_ends_before_the_limit(
    net: int, bought: int | None, sold: int | None
) -> None:
    decision = asked(quoter(), terms(), replace(SITUATION, net_e6=net * SHARE))
    sizes = [None if side is None else side[1] // SHARE for side in (decision.bid, decision.ask)]
    assert sizes == [bought, sold]


def test_a_replacement_counts_the_order_whose_cancel_may_fail() -> None:
    near = replace(SITUATION, net_e6=170 * SHARE, own=((True, 3_000, 15 * SHARE),), order_size_e6=200 * SHARE)
    decision = asked(quoter(reduce_only=1.0), terms(), near)
    assert decision.bid is not None
    assert decision.bid[1] <= 15 * SHARE


CAREFUL = {"pick_off": 2.0, "presence": 0.001, "change_usd": 0.0}


def test_a_sweep_drives_the_quote_it_endangers_out_of_reach_for_a_while() -> None:
    of, sweep = quoter(**CAREFUL), ("BUY", 500 * SHARE, SITUATION.now_ns - 1)
    calm = asked(of, terms(), SITUATION)
    assert calm.bid is not None
    assert calm.ask is not None
    own = ((True, *calm.bid[:2]), (False, *calm.ask[:2]))
    swept = asked(of, terms(), replace(SITUATION, sweep=sweep, own=own))
    assert swept.ask is not None
    assert swept.bid is not None
    assert swept.bid[2]
    assert not swept.ask[2]
    assert swept.ask[0] > calm.ask[0]
    later = replace(SITUATION, sweep=sweep, now_ns=SITUATION.now_ns + round(MODEL.pull_s * NS))
    returned = asked(of, terms(), later).ask
    assert returned is not None
    assert returned[0] < swept.ask[0]


@pytest.mark.parametrize(("moved", "endangered"), [(1.002, "ask"), (0.998, "bid")])
def test_a_jump_of_the_reference_drives_out_the_quote_it_endangers(moved: float, endangered: str) -> None:
    path, rng, usd = ReferencePath(), Random(1), 65_000.0
    for second in range(60):
        usd *= math.exp(rng.gauss(0, 0.5e-4))
        path.take(usd, second * 1_000)
    market = terms(rule="price", closes_ms=10**6, strike_usd=65_000.0)
    of, seen = quoter(**CAREFUL), replace(SITUATION, venue_ms=60_000)
    calm = asked(of, market, seen, path)
    assert calm.bid is not None
    assert calm.ask is not None
    path.take(usd * moved, 60_000)
    jumped = asked(of, market, replace(seen, now_ns=seen.now_ns + 1), path)
    away = {side: abs(getattr(jumped, side)[0] - getattr(calm, side)[0]) for side in ("bid", "ask")}
    assert away.pop(endangered) > away.popitem()[1]


@pytest.mark.parametrize(
    ("changed", "market", "reason"),
    [
        ({"bids": ()}, {}, "one-sided book"),
        ({"asks": ()}, {}, "one-sided book"),
        ({"asks": ((4_900, SHARE),)}, {}, "no width between bid and ask"),
        ({"asks": ((4_800, SHARE),)}, {}, "no width between bid and ask"),
        (
            {"bids": ((10, SHARE),), "asks": ((20, SHARE),), "tick_e4": 10},
            {},
            "price at the end of the scale",
        ),
        (
            {"bids": ((9_980, SHARE),), "asks": ((9_990, SHARE),), "tick_e4": 10},
            {},
            "price at the end of the scale",
        ),
        ({"flow": math.nan}, {}, "unusable number"),
        ({"doubt": math.nan}, {}, "unusable number"),
        ({"doubt": 0.5}, {}, "unusable number"),
        ({"shift": math.inf}, {}, "unusable number"),
        ({"tick_e4": 30}, {}, "unusable number"),
        ({"tokens": (math.nan, 0.0)}, {}, "unusable number"),
        ({"max_position_e6": 0}, {}, "unusable number"),
        ({"bids": ((4_900, 0),)}, {}, "unusable number"),
        ({"venue_ms": 1_000}, {"closes_ms": 1_000}, "market closed"),
        ({"venue_ms": 5_000}, {"closes_ms": 1_000}, "market closed"),
        ({"venue_ms": 0}, {"closes_ms": 9_000}, "close is near"),
        ({}, {"rule": "unknown"}, "unknown settlement rule"),
    ],
)
def test_what_cannot_be_relied_on_is_not_quoted_for_one_reason(
    changed: dict[str, Any], market: dict[str, Any], reason: str
) -> None:
    decision = asked(quoter(), terms(**market), replace(SITUATION, **changed))
    assert (decision.bid, decision.ask, decision.reason) == (None, None, reason)


def test_a_parameter_out_of_range_is_refused_by_name() -> None:
    for name, value in (("skew", -1.0), ("fill_decay", 0.0), ("rest_s", math.nan), ("informed_prior", 1.0)):
        with pytest.raises(ValueError, match=name):
            quoter(**{name: value})


prices = st.integers(1, 999).map(lambda tenths: tenths * 10)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    tick = draw(st.sampled_from([10, 50, 100]))
    touch = sorted(draw(st.lists(st.integers(1, 10_000 // tick - 1), min_size=2, max_size=2, unique=True)))
    bid, ask = (ticks * tick for ticks in touch)
    sizes = st.integers(1, 10**6).map(lambda hundredths: hundredths * 10_000)
    own = draw(st.lists(st.tuples(st.booleans(), st.integers(1, 10_000 // tick - 1), sizes), max_size=3))
    return Situation(
        now_ns=draw(st.integers(0, 10**18)),
        venue_ms=draw(st.integers(0, 10**7)),
        bids=tuple(
            (bid - n * tick, draw(sizes)) for n in range(draw(st.integers(1, 5))) if bid - n * tick > 0
        ),
        asks=tuple(
            (ask + n * tick, draw(sizes)) for n in range(draw(st.integers(1, 5))) if ask + n * tick < 10_000
        ),
        tick_e4=tick,
        flow=draw(st.floats(-1e9, 1e9)),
        sweep=draw(st.none() | st.tuples(st.sampled_from(["BUY", "SELL"]), sizes, st.integers(0, 10**18))),
        doubt=draw(st.floats(1, 100)),
        net_e6=draw(st.integers(-300, 300)) * SHARE,
        max_position_e6=draw(st.integers(1, 300)) * SHARE,
        order_size_e6=draw(st.integers(0, 500)) * SHARE,
        capital_e6=draw(st.integers(0, 500)) * SHARE,
        own=tuple((is_buy, ticks * tick, size) for is_buy, ticks, size in own),
        shift=draw(st.floats(-50, 50)),
        tokens=draw(st.tuples(st.floats(0, 10), st.floats(0, 10))),
        is_reduce_only=draw(st.booleans()),
    )


# How fast a busy machine draws situations decides nothing.
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(situations(), min_size=1, max_size=4),
    st.none() | st.integers(0, 10**7),
    st.none()
    | st.tuples(st.floats(0, 1e5), st.integers(0, 100 * SHARE), st.floats(0, 1_000), st.floats(0, 60)),
)
def test_every_quote_is_one_the_venue_and_the_mandate_would_take(
    told: list[Situation], closes_ms: int | None, rewards: tuple[float, int, float, float] | None
) -> None:
    of, market = quoter(), terms(closes_ms=closes_ms, rewards=rewards)
    for seen in told:
        decision = asked(of, market, seen)
        resting = {(is_buy, price, size) for is_buy, price, size in seen.own}
        for is_buy, target in ((True, decision.bid), (False, decision.ask)):
            if target is None:
                continue
            price, size, is_kept, _ = target
            assert price % seen.tick_e4 == 0
            assert seen.tick_e4 <= price <= 10_000 - seen.tick_e4
            sign = 1 if is_buy else -1
            standing = sum(s for of_buy, _, s in seen.own if of_buy == is_buy)
            if seen.is_reduce_only:
                assert sign * seen.net_e6 < 0
                assert size <= abs(seen.net_e6)
            if is_kept:
                assert (is_buy, price, size) in resting
                assert sign * seen.net_e6 + size <= seen.max_position_e6
                continue
            assert size >= 5 * SHARE
            assert size % 10_000 == 0
            assert price < seen.asks[0][0] if is_buy else price > seen.bids[0][0]
            # Even if every cancel fails and every order fills.
            assert sign * seen.net_e6 + standing + size <= seen.max_position_e6
        if decision.bid is not None and decision.ask is not None:
            assert decision.bid[0] < decision.ask[0]
        if decision.bid is None and decision.ask is None and decision.reason is None:
            assert decision.value >= 0.0
