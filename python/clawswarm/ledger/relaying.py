"""The relayer's batches and their record: written before the signature, its end found out, never sent twice.

    BatchIntended → signed and submitted → BatchSent → its end asked for → BatchEnded

Whoever dies between leaves a batch without end. The next life asks for it: by the relayer's id where it is known,
else by the wallet's nonce, which grows when a batch has happened. A batch that has not happened when its deadline
is over never will.
"""

from collections.abc import Sequence
from typing import Protocol

from clawswarm.ledger.entries import BatchEnded, BatchIntended, BatchSent
from clawswarm.ledger.keeper import LedgerKeeper
from clawswarm.ledger.store import OpenBatch
from clawswarm.model.errors import Retry
from clawswarm.model.positions import BatchOutcome, Unwinding

# The client's deadline is 600 s after the signature; it may try for a minute to hand the batch in.
DEADLINE_MS = 720_000


class Relayer(Protocol):
    """What carries batches out (venues/polymarket/relayer.py)."""

    async def next_nonce(self) -> int:
        """The nonce of the wallet's next batch. Raises Retry."""

    async def submit(self, batch: Sequence[Unwinding]) -> str | None:
        """Hand a batch in; its id, None when nobody says whether it was taken. Raises Retry: it was not."""

    async def outcome(self, transaction_id: str) -> BatchOutcome:
        """Wait for the end."""


async def carry_out(keeper: LedgerKeeper, relayer: Relayer, actions: Sequence[Unwinding]) -> BatchOutcome:
    """One batch to its end, UNKNOWN when nobody says how it ended. Raises Retry when nothing happened."""
    nonce, now_ms = await relayer.next_nonce(), keeper.now_ms()
    batch = f"{nonce} {now_ms}"
    await keeper.record(BatchIntended(batch=batch, nonce=nonce, at_ms=now_ms, actions=tuple(actions)))
    try:
        transaction_id = await relayer.submit(actions)
    except Retry:
        await _end(keeper, batch, BatchOutcome.FAILED)
        raise
    if transaction_id is None:
        return BatchOutcome.UNKNOWN
    await keeper.record(BatchSent(batch=batch, transaction_id=transaction_id))
    outcome = await relayer.outcome(transaction_id)
    await _end(keeper, batch, outcome)
    return outcome


async def settle_batches(keeper: LedgerKeeper, relayer: Relayer) -> bool:
    """Find out what became of batches without end; False while one still has none. Raises Retry."""
    for open_batch in keeper.open_batches:
        if open_batch.transaction_id is not None:
            outcome = await relayer.outcome(open_batch.transaction_id)
        else:
            outcome = verdict(open_batch, await relayer.next_nonce(), keeper.now_ms())
        await _end(keeper, open_batch.batch, outcome)
    return not keeper.open_batches


def verdict(open_batch: OpenBatch, next_nonce: int, now_ms: int) -> BatchOutcome:
    """What the wallet's nonce says of a batch whose id nobody knows."""
    if next_nonce > open_batch.nonce:
        return BatchOutcome.CONFIRMED
    is_over = now_ms - open_batch.at_ms > DEADLINE_MS
    return BatchOutcome.FAILED if is_over else BatchOutcome.UNKNOWN


async def _end(keeper: LedgerKeeper, batch: str, outcome: BatchOutcome) -> None:
    if outcome is not BatchOutcome.UNKNOWN:
        await keeper.record(BatchEnded(batch=batch, outcome=outcome, at_ms=keeper.now_ms()))
