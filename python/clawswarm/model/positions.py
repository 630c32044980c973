"""What a wallet holds on the chain, what turns it back into money, and what the venue owes it besides."""

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
    """One action on one market; `amount_e6` are pairs, and means nothing to a redemption, which takes all.

    `yes_e6` and `no_e6` are the tokens it takes, `worth_e6` the collateral it brings.
    """

    kind: UnwindingKind
    market: str
    neg_risk: bool
    amount_e6: int
    worth_e6: int
    yes_e6: int
    no_e6: int


class DayIncome(msgspec.Struct, frozen=True):
    """Liquidity rewards and maker rebates of one UTC day, as far as it is over, in 1e-6 dollars."""

    rewards_e6: int = 0
    rebates_e6: int = 0


class OrdersScoring(msgspec.Struct, frozen=True):
    """Open orders, and how many of them earn liquidity rewards now."""

    open: int
    scoring: int


class BatchOutcome(StrEnum):
    """How a batch ended; UNKNOWN is never taken for one of the others."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class AccountBalances(msgspec.Struct, frozen=True):
    """What the venue says an account holds; a token that is not named is not known, or is nothing."""

    cash_e6: int
    tokens_e6: dict[str, int]
