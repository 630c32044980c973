"""The interval rule: what lags is no difference, what stays outside is one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from clawswarm.ledger.entries import CASH
from clawswarm.ledger.projection import Balance
from clawswarm.ledger.reconciliation import Difference, Reconciler

NS_PER_S = 1_000_000_000
SETTLEMENT_S = 60
steady = settings(deadline=None, derandomize=True)
balances = st.builds(Balance, st.integers(-50, 50), st.integers(0, 20), st.integers(-20, 0))


def seen(held: Balance, venue_e6: int, times_s: list[int]) -> list[list[Difference]]:
    """What each look comes to when the venue always says the same."""
    reconciler = Reconciler(SETTLEMENT_S * NS_PER_S)
    return [reconciler.look({"a": (held, held)}, {"a": venue_e6}, at * NS_PER_S) for at in times_s]


@given(balances, st.integers(-100, 100))
@steady
def test_it_acts_on_what_stays_outside_and_on_nothing_else(held: Balance, venue_e6: int) -> None:
    looks = seen(held, venue_e6, [0, 20, 40, 60, 80])
    is_outside = not held.low_e6 <= venue_e6 <= held.high_e6
    assert looks[:4] == [[], [], [], []]
    assert bool(looks[4]) == is_outside
    for difference in looks[4]:
        corrected = Balance(held.settled_e6 + difference.amount_e6, held.in_e6, held.out_e6)
        assert corrected.low_e6 <= venue_e6 <= corrected.high_e6


def test_one_look_is_none_however_late() -> None:
    assert seen(Balance(), 5, [1_000]) == [[]]


def test_a_look_that_fits_ends_the_doubt() -> None:
    reconciler = Reconciler(SETTLEMENT_S * NS_PER_S)
    held = Balance(settled_e6=10)
    for at_s, venue_e6 in ((0, 9), (50, 10), (70, 9), (120, 9)):
        assert reconciler.look({"a": (held, held)}, {"a": venue_e6}, at_s * NS_PER_S) == []
    assert reconciler.doubts["a"].looks == 2


def test_what_came_while_the_venue_was_asked_is_no_difference() -> None:
    reconciler = Reconciler(0)
    before, after = Balance(), Balance(in_e6=7)
    for at_s in range(5):
        assert reconciler.look({"a": (before, after)}, {"a": 7}, at_s * NS_PER_S) == []


def test_only_more_collateral_is_income() -> None:
    assert Difference(CASH, 5).is_income
    assert not Difference(CASH, -5).is_income
    assert not Difference("0xa:YES", 5).is_income
    assert "+5e-6 of cash" in str(Difference(CASH, 5))
