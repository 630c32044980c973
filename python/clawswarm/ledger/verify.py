"""Is the ledger what its journals say, and is the venue's word inside it? Pure, but for reading files."""

from collections.abc import Iterator, Mapping

import msgspec

from clawswarm.ledger.entries import CASH, AnyEntry
from clawswarm.ledger.journals import FILLS, OWN, LedgerFiles, entries
from clawswarm.ledger.projection import Balance, derive
from clawswarm.ledger.store import Cursor, LedgerStore
from clawswarm.model.positions import AccountBalances

NOTHING = Balance()


class AssetCheck(msgspec.Struct, frozen=True):
    """One asset: as the ledger has it, as the journals give it, and as the venue says (null: not asked)."""

    asset: str
    ledger: Balance
    journals: Balance
    venue_e6: int | None

    @property
    def is_derived(self) -> bool:
        """Whether ledger and journals agree."""
        return self.ledger == self.journals

    @property
    def is_inside(self) -> bool:
        """Whether the venue's word, where there is one, lies inside what the ledger allows."""
        return self.venue_e6 is None or self.ledger.low_e6 <= self.venue_e6 <= self.ledger.high_e6


class Verification(msgspec.Struct, frozen=True):
    """What `claw ledger verify` found; `is_asked` whether the venue was."""

    is_ok: bool
    is_asked: bool
    is_cash_known: bool
    fills: int
    records: int
    assets: tuple[AssetCheck, ...]


def verify(store: LedgerStore, files: LedgerFiles, venue: AccountBalances | None) -> Verification:
    """Derive everything from the journals, as far as the ledger has taken them in, and compare.

    Raises UserFault when a record is unreadable.
    """
    # The ledger first: a swarm that runs meanwhile only adds to the journals.
    ends = {journal: store.cursor(journal).last_end for journal in (OWN, FILLS)}
    held, opened = store.balances(), store.opened()
    counts = dict.fromkeys(ends, 0)

    def records() -> Iterator[AnyEntry]:
        for journal, end in ends.items():
            for cursor, entry in entries(files.path(journal), journal, Cursor()):
                if cursor.last_end > end:
                    break
                counts[journal] += 1
                yield entry

    derived = derive(records())
    is_cash_known = opened is not None and opened.cash_e6 is not None
    checks = compared(held, derived, venue, is_cash_known=is_cash_known)
    return Verification(
        is_ok=all(check.is_derived and check.is_inside for check in checks),
        is_asked=venue is not None,
        is_cash_known=is_cash_known,
        fills=counts[FILLS],
        records=counts[OWN],
        assets=checks,
    )


def compared(
    held: Mapping[str, Balance],
    derived: Mapping[str, Balance],
    venue: AccountBalances | None,
    *,
    is_cash_known: bool,
) -> tuple[AssetCheck, ...]:
    """One check an asset, in the order of their names."""
    seen: dict[str, int] = {}
    if venue is not None:
        seen = dict(venue.tokens_e6)
        if is_cash_known:
            seen[CASH] = venue.cash_e6
    return tuple(
        AssetCheck(asset, held.get(asset, NOTHING), derived.get(asset, NOTHING), seen.get(asset))
        for asset in sorted({*held, *derived, *seen})
    )
