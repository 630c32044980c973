"""Evidence → balances. Pure, and the same in whatever order, and however often, reports come.

Of one movement (a fill, an action of a batch) the report with the highest rank holds. It counts

    never heard of, FAILED          not at all
    MATCHED, RETRYING, MINED        as pending: the venue's balance may hold it or not
    CONFIRMED                       as settled

so the venue's balance lies in [settled + what is pending outwards, settled + what is pending inwards].
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b

import msgspec

from clawswarm.ledger.entries import (
    CASH,
    OUTCOME_EVIDENCE,
    Adjusted,
    AnyEntry,
    BatchEnded,
    BatchIntended,
    Opened,
    action_effects,
    fill_effects,
)
from clawswarm.model.fills import FillReport
from clawswarm.model.messages import Evidence, FillKey
from clawswarm.model.positions import Unwinding


class Balance(msgspec.Struct, frozen=True):
    """One asset: what is settled, what pending movements may still bring in, and take out (negative)."""

    settled_e6: int = 0
    in_e6: int = 0
    out_e6: int = 0

    @property
    def expected_e6(self) -> int:
        """The position: with everything pending."""
        return self.settled_e6 + self.in_e6 + self.out_e6

    @property
    def low_e6(self) -> int:
        """The least that the venue may show."""
        return self.settled_e6 + self.out_e6

    @property
    def high_e6(self) -> int:
        """The most that the venue may show."""
        return self.settled_e6 + self.in_e6


NOTHING = Balance()


def holds(before: Evidence | None, after: Evidence) -> bool:
    """Whether a report says more than what is known."""
    return before is None or after.rank > before.rank


class Changes:
    """Changes of balances, added up: by asset [settled, in, out]."""

    def __init__(self) -> None:
        self._sums: dict[str, list[int]] = {}

    @property
    def by_asset(self) -> dict[str, Balance]:
        """What changed."""
        return {asset: Balance(*sums) for asset, sums in self._sums.items() if any(sums)}

    def move(self, effects: Mapping[str, int], before: Evidence | None, after: Evidence) -> None:
        """A movement's evidence rose."""
        for asset, amount_e6 in effects.items():
            sums = self._sums.setdefault(asset, [0, 0, 0])
            if (place := _place(after, amount_e6)) is not None:
                sums[place] += amount_e6
            if before is not None and (place := _place(before, amount_e6)) is not None:
                sums[place] -= amount_e6


def _place(evidence: Evidence, amount_e6: int) -> int | None:
    """Which part of a balance a movement counts in."""
    if evidence is Evidence.FAILED:
        return None
    if evidence is Evidence.CONFIRMED:
        return 0
    return 1 if amount_e6 > 0 else 2


def is_before(report: FillReport, opened_ms: int) -> bool:
    """Whether a fill was matched before the ledger began: the venue tells whole seconds."""
    return report.matched_ms < opened_ms // 1_000 * 1_000


def joined(reports: Iterable[FillReport]) -> dict[FillKey, FillReport]:
    """The report that holds of each fill; owner and fair value are the engine's, whoever spoke last."""
    held: dict[FillKey, FillReport] = {}
    for report in reports:
        before = held.get(report.key)
        if before is None or report.evidence.rank > before.evidence.rank:
            if before is not None and before.owner:
                report = msgspec.structs.replace(report, owner=before.owner, fair_e4=before.fair_e4)
            held[report.key] = report
    return held


def derive(entries: Iterable[AnyEntry]) -> dict[str, Balance]:
    """All balances from all records, what opened the ledger first (`claw ledger verify`).

    Of each fill only the rank is kept, under a digest of its key: a day of a million fills fits into memory.
    """
    changes, opened_ms = Changes(), 0
    known: dict[bytes, Evidence] = {}
    batches: dict[str, tuple[Unwinding, ...]] = {}
    for entry in entries:
        match entry:
            case FillReport() if not is_before(entry, opened_ms):
                digest = blake2b(repr(entry.key).encode(), digest_size=16).digest()
                before = known.get(digest)
                if holds(before, entry.evidence):
                    known[digest] = entry.evidence
                    changes.move(fill_effects(entry), before, entry.evidence)
            case Opened():
                opened_ms = entry.at_ms
                changes.move({**entry.tokens_e6, CASH: entry.cash_e6 or 0}, None, Evidence.CONFIRMED)
            case Adjusted():
                changes.move({entry.asset: entry.amount_e6}, None, Evidence.CONFIRMED)
            case BatchIntended():
                batches[entry.batch] = entry.actions
                for action in entry.actions:
                    changes.move(action_effects(action), None, Evidence.MATCHED)
            case BatchEnded():
                for action in batches.pop(entry.batch, ()):
                    changes.move(action_effects(action), Evidence.MATCHED, OUTCOME_EVIDENCE[entry.outcome])
    return changes.by_asset
