"""Which pairs are merged and which positions redeemed, in which batch, and when. Pure: time is an argument.

    merge   a YES and a NO of one market → a dollar         worth: the pairs
    redeem  a resolved market's tokens → their payout       worth: the payout; a lost position is worth nothing

The relayer takes so many batches a UTC day; a batch holds several actions. The day's allowance is spread over what
is left of the day, the most valuable go first, the others wait: nothing is lost by waiting. An action whose
batch failed goes alone the next time, so that one bad action never holds up the others, and after three failures
a person must look.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

from clawswarm.model.positions import Holding, Unwinding, UnwindingKind
from clawswarm.model.units import MICRO

NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S
MOST_FAILURES = 3


class UnwindingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The relayer's allowance and what is worth a batch.

    `daily_batches` is what the account's tier allows (100, 3,000; 0 is any number), less what other programs use.
    """

    daily_batches: Annotated[int, msgspec.Meta(ge=0)] = 100
    least_usd: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    batch_actions: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    least_interval_s: Annotated[float, msgspec.Meta(ge=2.4)] = 5.0
    look_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0


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


def still_possible(batch: Sequence[Unwinding], actions: Sequence[Unwinding]) -> tuple[Unwinding, ...]:
    """What of a batch the wallet can still do when it is looked at again: pairs may be on offer now."""
    now = {(action.kind, action.market): action for action in actions}
    found = []
    for action in batch:
        if (fresh := now.get((action.kind, action.market))) is not None:
            # A redemption takes whatever is there then, a merge no more than the engine has let go of.
            is_fewer = action.kind is UnwindingKind.REDEEM or fresh.worth_e6 < action.worth_e6
            found.append(fresh if is_fewer else action)
    return tuple(found)


def off_sale(merged_e6: dict[str, int], batch: Sequence[Unwinding], traded: Iterable[str]) -> dict[str, int]:
    """Pairs ever taken out, those of a batch to come included, by market: of the markets traded and the batch's.

    Every other one is over or set aside, and nothing of it is for sale: what is said once a second stays small
    however long the swarm runs.
    """
    concerned = {*traded, *(action.market for action in batch)}
    changed = {market: pairs_e6 for market in concerned if (pairs_e6 := merged_e6.get(market))}
    for action in batch:
        if action.kind is UnwindingKind.MERGE:
            changed[action.market] = changed.get(action.market, 0) + action.yes_e6
    return changed


def may_submit(allowance: Allowance, settings: UnwindingSettings, now_ns: int) -> bool:
    """Whether a batch may be submitted now (unix time): some are left and the last one is long enough ago."""
    return next_submission_ns(allowance, settings, now_ns) <= now_ns


def next_submission_ns(allowance: Allowance, settings: UnwindingSettings, now_ns: int) -> int:
    """When the next batch may be submitted: the day's remaining ones are spread over what remains of the day."""
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
        return Unwinding(UnwindingKind.MERGE, market, neg_risk, *(pairs,) * 4) if pairs > 0 else None
    worth = holding.yes_e6 * holding.yes_payout_e6 // MICRO + holding.no_e6 * holding.no_payout_e6 // MICRO
    taken = (holding.yes_e6, holding.no_e6)
    return Unwinding(UnwindingKind.REDEEM, market, neg_risk, 0, worth, *taken) if worth > 0 else None
