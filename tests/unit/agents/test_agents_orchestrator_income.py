"""Income of a run: what the days show, less what was there before it began."""

from hypothesis import given
from hypothesis import strategies as st

from clawswarm.agents.orchestrator.income import Income, days_to_look_at, earned, looked
from clawswarm.model.positions import DayIncome

amounts = st.integers(0, 10**9)


def test_before_the_first_look_nothing_is_known() -> None:
    assert earned(Income()) is None
    assert days_to_look_at(Income(), 20_000) == [20_000]


def test_what_was_there_before_the_run_is_not_its_income() -> None:
    income = looked(Income(), 20_000, DayIncome(rewards_e6=700, rebates_e6=50))
    assert earned(income) == DayIncome()
    income = looked(income, 20_000, DayIncome(rewards_e6=900, rebates_e6=80))
    assert earned(income) == DayIncome(rewards_e6=200, rebates_e6=30)


def test_yesterday_is_looked_at_again_after_midnight() -> None:
    income = looked(Income(), 20_000, DayIncome())
    assert days_to_look_at(income, 20_001) == [20_000, 20_001]
    income = looked(income, 20_001, DayIncome(rebates_e6=5))
    income = looked(income, 20_000, DayIncome(rewards_e6=40))
    assert earned(income) == DayIncome(rewards_e6=40, rebates_e6=5)
    assert days_to_look_at(income, 20_003) == [20_003]


@given(amounts, st.lists(st.lists(amounts, min_size=1, max_size=4), min_size=1, max_size=4))
def test_the_last_look_at_each_day_counts(before: int, days: list[list[int]]) -> None:
    income = looked(Income(), 0, DayIncome(rewards_e6=before))
    for day, looks in enumerate(days):
        for shown in looks:
            income = looked(income, day, DayIncome(rewards_e6=shown))
    found = earned(income)
    assert found is not None
    assert found.rewards_e6 == sum(looks[-1] for looks in days) - before
