"""What a wallet holds on the chain, and what turns it back into money."""

from enum import StrEnum

import msgspec


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """Confirmed tokens of one market that no open order offers; payouts of a share in 1e-6 once it resolved."""

    market: str
    neg_risk: bool
    yes_e6: int
    no_e6: int
    yes_payout_e6: int | None = None
    no_payout_e6: int | None = None


class UnwindingKind(StrEnum):
    """What is done with a position."""

    MERGE = "merge"
    REDEEM = "redeem"


class Unwinding(msgspec.Struct, frozen=True):
    """One action on one market; `amount_e6` are pairs, and means nothing to a redemption, which takes all."""

    kind: UnwindingKind
    market: str
    neg_risk: bool
    amount_e6: int
    worth_e6: int


class BatchOutcome(StrEnum):
    """How a batch ended; UNKNOWN is never taken for one of the others."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    UNKNOWN = "unknown"
