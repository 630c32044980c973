"""Which pairs are merged and which positions redeemed, in which batch, and when. Pure: time is an argument.

    merge   a YES and a NO of one market → a dollar         worth: the pairs
    redeem  a resolved market's tokens → their payout       worth: the payout; a lost position is worth nothing

The relayer takes so many batches a UTC day; a batch holds several actions. The day's allowance is spread over what is
left of the day, the most valuable actions go first, the others wait: nothing is lost by waiting. An action whose
batch failed goes alone the next time, so that one bad action never holds up the others, and after three failures a
person must look.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from clawswarm.model.units import MICRO

NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S
MOST_FAILURES = 3


class Kind(StrEnum):
    """What is done with a position."""

    MERGE = "merge"
    REDEEM = "redeem"


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """Confirmed tokens of one market that no open order offers; payouts a share in 1e-6 once it has resolved."""

    market: str
    neg_risk: bool
    yes_e6: int
    no_e6: int
    yes_payout_e6: int | None = None
    no_payout_e6: int | None = None


class Unwinding(msgspec.Struct, frozen=True):
    """One action on one market; `amount_e6` are pairs, and means nothing to a redemption, which takes all."""

    kind: Kind
    market: str
    neg_risk: bool
    amount_e6: int
    worth_e6: int


class UnwindingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The relayer's allowance and what is worth a batch.

    `daily_batches` is what the account's tier allows (100, 3,000; 0 is any number), less what other programs use.
    """

    daily_batches: int
    least_usd: float = 1.0
    batch_actions: int = 20
    least_interval_s: float = 5.0


class Allowance(msgspec.Struct, frozen=True):
    """Batches submitted on a day (days since 1970), and when the last one was; durable."""

    day: int = 0
    used: int = 0
    last_ns: int = 0
    closed_until_ns: int = 0


def actions_of(holdings: Sequence[Holding], least_usd: float) -> list[Unwinding]:
    """Everything worth doing, the most valuable first."""
    found = [action for holding in holdings if (action := _action_of(holding)) is not None]
    worth = [action for action in found if action.worth_e6 >= max(1, round(least_usd * MICRO))]
    return sorted(worth, key=lambda action: (-action.worth_e6, action.market))


def next_batch(
    actions: Sequence[Unwinding], failures: dict[str, int], settings: UnwindingSettings
) -> tuple[Unwinding, ...]:
    """The actions of the next batch: the most valuable ones, or the first suspect alone."""
    able = [action for action in actions if failures.get(action.market, 0) < MOST_FAILURES]
    if able and failures.get(able[0].market):
        return (able[0],)
    sound = [action for action in able if not failures.get(action.market)]
    return tuple(sound[: settings.batch_actions])


def may_submit(allowance: Allowance, settings: UnwindingSettings, now_ns: int) -> bool:
    """Whether a batch may be submitted now (unix time): some of the day's are left and the last one is long enough ago."""
    return next_submission_ns(allowance, settings, now_ns) <= now_ns


def next_submission_ns(allowance: Allowance, settings: UnwindingSettings, now_ns: int) -> int:
    """When the next batch may be submitted: what is left of the day's batches is spread over what is left of the day."""
    today = now_ns // NS_PER_DAY
    least_ns = allowance.last_ns + round(settings.least_interval_s * NS_PER_S)
    earliest = max(least_ns, allowance.closed_until_ns)
    if not settings.daily_batches or allowance.day != today:
        return earliest
    left = settings.daily_batches - allowance.used
    tomorrow = (today + 1) * NS_PER_DAY
    if left <= 0:
        return max(earliest, tomorrow)
    return max(earliest, min(tomorrow, allowance.last_ns + (tomorrow - allowance.last_ns) // (left + 1)))


def submitted(allowance: Allowance, now_ns: int) -> Allowance:
    """The allowance after one more batch; noted before it is sent, since an answer may be lost."""
    today = now_ns // NS_PER_DAY
    used = allowance.used if allowance.day == today else 0
    return msgspec.structs.replace(allowance, day=today, used=used + 1, last_ns=now_ns)


def closed(allowance: Allowance, seconds: float, now_ns: int) -> Allowance:
    """The relayer said that its quota is used up for so long."""
    return msgspec.structs.replace(allowance, closed_until_ns=now_ns + round(seconds * NS_PER_S))


def _action_of(holding: Holding) -> Unwinding | None:
    market, neg_risk = holding.market, holding.neg_risk
    if holding.yes_payout_e6 is None or holding.no_payout_e6 is None:
        pairs = min(holding.yes_e6, holding.no_e6)
        return Unwinding(Kind.MERGE, market, neg_risk, pairs, pairs) if pairs > 0 else None
    worth = holding.yes_e6 * holding.yes_payout_e6 // MICRO + holding.no_e6 * holding.no_payout_e6 // MICRO
    return Unwinding(Kind.REDEEM, market, neg_risk, 0, worth) if worth > 0 else None
