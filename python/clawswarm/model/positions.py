"""What a wallet holds on the chain, and what turns it back into money."""

from enum import StrEnum

import msgspec

from clawswarm.model.messages import Outcome


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
    """One action on one market: the tokens it takes and the collateral it brings.

    A merge takes as many of one token as of the other; a redemption takes all there is.
    """

    kind: UnwindingKind
    market: str
    neg_risk: bool
    yes_e6: int
    no_e6: int
    worth_e6: int


class BatchOutcome(StrEnum):
    """How a batch ended; UNKNOWN is never taken for one of the others."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class AccountBalances(msgspec.Struct, frozen=True):
    """What the venue says an account holds; a token that is not named is not known, or is nothing."""

    cash_e6: int
    tokens_e6: dict[str, int]


def token_asset(market: str, outcome: Outcome) -> str:
    """Name of an outcome token as an asset."""
    return f"{market}:{outcome.value}"
