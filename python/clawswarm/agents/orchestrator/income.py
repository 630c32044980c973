"""Rewards and rebates of a run, out of what the venue shows for each UTC day. Pure.

    earned = Σ days since the first look − what the first day showed then

A day goes on changing until it is over, so yesterday is looked at once more after midnight.
"""

import msgspec

from clawswarm.model.positions import DayIncome


class Income(msgspec.Struct, frozen=True):
    """The last look at each day (days since 1970), and what the first one showed at first; durable."""

    days: dict[str, DayIncome] = {}
    before: DayIncome | None = None


def days_to_look_at(income: Income, today: int) -> list[int]:
    """Today, and yesterday when it was looked at before."""
    return [day for day in (today - 1, today) if day == today or str(day) in income.days]


def looked(income: Income, day: int, shown: DayIncome) -> Income:
    """What a look at a day changes."""
    before = shown if income.before is None else income.before
    return Income(days={**income.days, str(day): shown}, before=before)


def earned(income: Income) -> DayIncome | None:
    """What came in since the first look; None before it."""
    if income.before is None:
        return None
    return DayIncome(
        rewards_e6=sum(day.rewards_e6 for day in income.days.values()) - income.before.rewards_e6,
        rebates_e6=sum(day.rebates_e6 for day in income.days.values()) - income.before.rebates_e6,
    )
