"""The engine's deposit wallet on virtual time: the orchestrator's `Wallet` over the sandbox's chain and relayer.

Batches are encoded and signed as the relayer checks them; questions and answers take their time on the line, and a
share of the answers is lost, which leaves the outcome of a batch unknown.
"""

import asyncio
from collections.abc import Sequence
from random import Random

from coincurve import PrivateKey

from clawswarm.kernel.clock import Clock
from clawswarm.lab.simulation.network import LineTerms
from clawswarm.lab.submissions import WalletOwner
from clawswarm.ledger.keeper import Account
from clawswarm.model.errors import ClosedFor, Retry
from clawswarm.model.positions import (
    BatchOutcome,
    DayIncome,
    Holding,
    OrdersScoring,
    Unwinding,
    UnwindingKind,
)
from clawswarm.sandbox.chain.relayer import RelayedTransaction
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.exchange.scoring import is_scoring
from clawswarm.sandbox.venue import Venue

_POLL_S = 0.5
_LONGEST_S = 60.0
_NS_PER_S = 1_000_000_000
_CLOSED_S = 600.0
_FAILED = ("STATE_FAILED", "STATE_INVALID")


class SimulatedWallet:
    """One deposit wallet; `merged` and `redeemed` count the actions of confirmed batches."""

    def __init__(
        self, venue: Venue, clock: Clock, owner: str, wallet: str, key: PrivateKey, random: Random
    ) -> None:
        self._venue, self._clock, self._owner, self._wallet = venue, clock, owner, wallet
        self._key, self._random = key, random
        self.terms: LineTerms | None = None
        self.merged = self.redeemed = 0
        self._batches: dict[str, tuple[Unwinding, ...]] = {}

    async def close(self) -> None:
        """There is nothing to close."""

    async def holdings(self, now_s: int) -> list[Holding]:
        """What is held for certain and not offered. Raises Retry when the answer is lost."""
        await self._hop()
        exchange = self._venue.exchange
        account = exchange.ledger.accounts[self._wallet]
        markets = {
            exchange.tokens[token][0].condition_id: exchange.tokens[token][0]
            for token, held_e6 in account.tokens_e6.items()
            if held_e6
        }
        found = [
            Holding(
                market=market.condition_id,
                neg_risk=market.neg_risk,
                yes_e6=max(0, account.free_tokens_e6(market.yes_token)),
                no_e6=max(0, account.free_tokens_e6(market.no_token)),
                yes_payout_e6=market.payout_e6(True),
                no_payout_e6=market.payout_e6(False),
            )
            for market in markets.values()
        ]
        await self._hop()
        return found

    @property
    def account(self) -> Account | None:
        """Nobody who could be asked: what is judged here is conduct, its money is counted by the venue."""
        return None

    async def next_nonce(self) -> int:
        """The nonce of the wallet's next batch. Raises Retry when the answer is lost."""
        await self._hop()
        return self._venue.chain.nonce(self._wallet)

    async def submit(self, batch: Sequence[Unwinding]) -> str | None:
        """Submit one batch. Raises ClosedFor, Retry."""
        await self._hop()
        owner = WalletOwner(self._key, self._owner, self._wallet)
        nonce, now_s = self._venue.chain.nonce(self._wallet), self._clock.now_ns() // _NS_PER_S
        body = owner.submission(batch, nonce, now_s)
        try:
            transaction = self._venue.relayer.submit(self._owner, body, self._clock.now_ns())
        except VenueRefusal as refusal:
            if refusal.status == 429:
                raise ClosedFor("the relayer", _CLOSED_S) from refusal
            raise Retry(f"the relayer did not take the batch: {refusal.text}") from refusal
        self._batches[transaction.id] = tuple(batch)
        return transaction.id

    async def outcome(self, transaction_id: str) -> BatchOutcome:
        """Wait for the end of a batch."""
        outcome = await self._wait(self._venue.relayer.transactions[transaction_id])
        if outcome is BatchOutcome.CONFIRMED:
            batch = self._batches.pop(transaction_id, ())
            self.merged += sum(action.kind is UnwindingKind.MERGE for action in batch)
            self.redeemed += sum(action.kind is UnwindingKind.REDEEM for action in batch)
        return outcome

    async def income(self, day: int) -> DayIncome:
        """Rewards and rebates of a UTC day, so far. Raises Retry when the answer is lost."""
        await self._hop()
        rewards = self._venue.rewards.earnings(day, self._wallet)
        rebates = self._venue.rebates.maker_rebates(day, self._wallet)
        return DayIncome(
            rewards_e6=sum(earning.amount_e6 for earning in rewards),
            rebates_e6=sum(earning.amount_e6 for earning in rebates),
        )

    async def scoring(self) -> OrdersScoring:
        """How many open orders earn rewards now. Raises Retry when the answer is lost."""
        await self._hop()
        exchange, now_ns = self._venue.exchange, self._clock.now_ns()
        found = [
            is_scoring(order, exchange.books[order.market.condition_id], now_ns)
            for order in exchange.open_orders(self._wallet)
        ]
        return OrdersScoring(open=len(found), scoring=sum(found))

    async def _wait(self, transaction: RelayedTransaction) -> BatchOutcome:
        until_ns = self._clock.now_ns() + round(_LONGEST_S * _NS_PER_S)
        while self._clock.now_ns() < until_ns:
            await asyncio.sleep(_POLL_S)
            if transaction.state in _FAILED:
                return BatchOutcome.FAILED
            if transaction.state == "STATE_CONFIRMED":
                return BatchOutcome.CONFIRMED
        return BatchOutcome.UNKNOWN

    async def _hop(self) -> None:
        terms = self.terms
        if terms is None:
            return
        await asyncio.sleep(terms.latency_s + self._random.random() * terms.jitter_s)
        if self._random.random() < terms.loss_share:
            raise Retry("the line lost it")
