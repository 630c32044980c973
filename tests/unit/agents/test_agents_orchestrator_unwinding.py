"""Merges and redemptions: the most valuable first, inside the relayer's allowance, nothing lost by waiting."""

from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.agents.orchestrator.unwinding import (
    MOST_FAILURES,
    NS_PER_DAY,
    NS_PER_S,
    Allowance,
    UnwindingSettings,
    actions_of,
    closed,
    may_submit,
    next_batch,
    next_submission_ns,
    off_sale,
    still_possible,
    submitted,
)
from clawswarm.model.positions import Holding, UnwindingKind
from clawswarm.model.units import MICRO

MIDNIGHT = 20_900 * NS_PER_DAY


def holding(market: str, yes: float, no: float, payouts: tuple[float, float] | None = None) -> Holding:
    paid = (None, None) if payouts is None else tuple(round(payout * MICRO) for payout in payouts)
    return Holding(
        market=market,
        neg_risk=False,
        yes_e6=round(yes * MICRO),
        no_e6=round(no * MICRO),
        yes_payout_e6=paid[0],
        no_payout_e6=paid[1],
    )


def test_what_is_worth_doing() -> None:
    found = actions_of(
        [
            holding("pairs", 30, 12),
            holding("one side", 500, 0),
            holding("won", 7, 40, (0, 1)),
            holding("lost", 100, 0, (0, 1)),
            holding("tie", 3, 4, (0.5, 0.5)),
            holding("crumbs", 0.4, 0.9),
        ],
        least_usd=1,
    )
    assert [(a.kind, a.market, a.worth_e6 / MICRO) for a in found] == [
        (UnwindingKind.REDEEM, "won", 40),
        (UnwindingKind.MERGE, "pairs", 12),
        (UnwindingKind.REDEEM, "tie", 3.5),
    ]
    assert (found[1].yes_e6, found[1].no_e6) == (12 * MICRO, 12 * MICRO)
    assert actions_of([], 1) == []


def test_a_suspect_goes_alone_and_a_hopeless_one_not_at_all() -> None:
    settings = UnwindingSettings(daily_batches=100, batch_actions=2)
    actions = actions_of([holding(name, worth, worth) for name, worth in (("a", 9), ("b", 8), ("c", 7))], 1)
    assert [a.market for a in next_batch(actions, {}, settings)] == ["a", "b"]
    assert [a.market for a in next_batch(actions, {"a": 1}, settings)] == ["a"]
    assert [a.market for a in next_batch(actions, {"b": 1}, settings)] == ["a", "c"]
    assert [a.market for a in next_batch(actions, {"a": MOST_FAILURES}, settings)] == ["b", "c"]
    assert next_batch(actions, dict.fromkeys("abc", MOST_FAILURES), settings) == ()


def test_the_relayer_that_is_closed_is_left_alone() -> None:
    settings = UnwindingSettings(daily_batches=0)
    allowance = closed(Allowance(), 60, MIDNIGHT)
    assert not may_submit(allowance, settings, MIDNIGHT + 60 * NS_PER_S - 1)
    assert may_submit(allowance, settings, MIDNIGHT + 60 * NS_PER_S)


def test_the_first_of_a_day_goes_at_once() -> None:
    settings = UnwindingSettings(daily_batches=1)
    spent = submitted(Allowance(), MIDNIGHT + 5)
    assert next_submission_ns(spent, settings, MIDNIGHT + 6) == MIDNIGHT + NS_PER_DAY
    assert may_submit(spent, settings, MIDNIGHT + NS_PER_DAY)


@given(
    st.integers(1, 300),
    st.lists(st.integers(1, 4 * 3600), min_size=50, max_size=300),
    st.integers(0, 86_399),
)
@settings(max_examples=100, deadline=None)
def test_a_days_allowance_is_never_exceeded_and_lasts(quota: int, waits_s: list[int], start_s: int) -> None:
    limits = UnwindingSettings(daily_batches=quota)
    allowance, now = Allowance(), MIDNIGHT + start_s * NS_PER_S
    counts: dict[int, int] = {}
    for wait in waits_s:
        if may_submit(allowance, limits, now):
            allowance = submitted(allowance, now)
            counts[now // NS_PER_DAY] = counts.get(now // NS_PER_DAY, 0) + 1
        due = next_submission_ns(allowance, limits, now)
        assert due <= (now // NS_PER_DAY + 1) * NS_PER_DAY + round(limits.least_interval_s * NS_PER_S)
        now += wait * NS_PER_S
    assert all(count <= quota for count in counts.values())


@given(st.integers(1, 3_000))
@settings(max_examples=20, deadline=None)
def test_all_of_the_allowance_can_be_used(quota: int) -> None:
    limits, allowance, now, used = UnwindingSettings(daily_batches=quota), Allowance(), MIDNIGHT, 0
    while now < MIDNIGHT + NS_PER_DAY:
        assert may_submit(allowance, limits, now)
        allowance, used = submitted(allowance, now), used + 1
        now = next_submission_ns(allowance, limits, now)
    assert used == quota


holdings = st.lists(
    st.builds(
        lambda number, yes, no, ended: holding(str(number), yes, no, ended),
        st.integers(0, 10**6),
        st.integers(0, 500),
        st.integers(0, 500),
        st.sampled_from([None, (1, 0), (0, 1), (0.5, 0.5)]),
    ),
    max_size=60,
    unique_by=lambda held: held.market,
)


@given(holdings, st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_the_most_valuable_go_first_and_the_rest_waits_without_loss(held: list[Holding], size: int) -> None:
    limits = UnwindingSettings(daily_batches=100, batch_actions=size)
    waiting = actions_of(held, limits.least_usd)
    whole, done = sum(action.worth_e6 for action in waiting), 0
    while batch := next_batch(waiting, {}, limits):
        waiting = [action for action in waiting if action not in batch]
        assert len(batch) <= size
        assert not waiting or min(a.worth_e6 for a in batch) >= max(a.worth_e6 for a in waiting)
        done += sum(action.worth_e6 for action in batch)
    assert done == whole


def test_a_second_look_never_takes_more_pairs_and_redeems_all_there_is() -> None:
    wanted = actions_of([holding("a", 9, 9), holding("b", 5, 5), holding("won", 7, 0, (1, 0))], 1)
    now = actions_of([holding("a", 4, 20), holding("won", 9, 0, (1, 0)), holding("new", 50, 50)], 1)
    possible = still_possible(wanted, now)
    assert [(a.market, a.yes_e6 // MICRO, a.worth_e6 // MICRO) for a in possible] == [
        ("a", 4, 4),
        ("won", 9, 9),
    ]


def test_pairs_of_a_batch_to_come_are_off_sale_and_markets_that_are_over_are_not_spoken_of() -> None:
    batch = actions_of([holding("a", 9, 9), holding("won", 7, 0, (1, 0))], 1)
    before = {"a": 1, "z": 2, **{f"over-{n}": 3 for n in range(9)}}
    assert off_sale(before, batch, ["z", "new"]) == {"a": 9 * MICRO + 1, "z": 2}
    assert off_sale(before, (), ["a", "z"]) == {"a": 1, "z": 2}
    assert before["a"] == 1
