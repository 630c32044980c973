"""What the ledger is made of: reports of fills, and the records of the orchestrator's own journal.

    engine/fills.journal          Fill (model/messages.py), written by the engine
    orchestrator/ledger.journal   AnyEntry, written by the orchestrator; on the disk before it takes effect

Money and shares are in 1e-6, prices in 1e-4 of the YES frame, `_ms` is the venue's clock.
"""

import msgspec

from clawswarm.model.fills import FillReport, token_asset
from clawswarm.model.messages import Evidence, Outcome
from clawswarm.model.positions import BatchOutcome, Unwinding

CASH = "cash"
"""The asset that is collateral; every other asset is a token of a market."""


class Entry(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Base of the records of the orchestrator's journal."""


def fill_effects(report: FillReport) -> dict[str, int]:
    """What a fill moves, by asset."""
    token = token_asset(report.market, report.outcome)
    return {token: report.token_sign * report.size_e6, CASH: report.cash_e6}


class Opened(Entry, frozen=True):
    """What the account held when this ledger began; fills that were matched before are no part of it.

    `cash_e6` is None where nobody could read the venue's balance: then only changes of cash are known.
    """

    wallet: str
    at_ms: int
    cash_e6: int | None
    tokens_e6: dict[str, int]


class BatchIntended(Entry, frozen=True):
    """A batch of the relayer, before it is signed: `nonce` is the wallet's next one then."""

    batch: str
    nonce: int
    at_ms: int
    actions: tuple[Unwinding, ...]


class BatchSent(Entry, frozen=True):
    """The relayer took it."""

    batch: str
    transaction_id: str


class BatchEnded(Entry, frozen=True):
    """How it ended, which is never UNKNOWN."""

    batch: str
    outcome: BatchOutcome
    at_ms: int


class Adjusted(Entry, frozen=True):
    """The venue's balance stood outside of what the ledger knows for too long: its word was taken over."""

    at_ms: int
    asset: str
    amount_e6: int
    cause: str


AnyEntry = FillReport | Opened | BatchIntended | BatchSent | BatchEnded | Adjusted


def action_effects(action: Unwinding) -> dict[str, int]:
    """What a merge or a redemption moves, by asset."""
    return {
        token_asset(action.market, Outcome.YES): -action.yes_e6,
        token_asset(action.market, Outcome.NO): -action.no_e6,
        CASH: action.worth_e6,
    }


OUTCOME_EVIDENCE = {BatchOutcome.CONFIRMED: Evidence.CONFIRMED, BatchOutcome.FAILED: Evidence.FAILED}
