"""The engine's deposit wallet on virtual time: the orchestrator's `Wallet` over the sandbox's chain and relayer.

Batches are encoded and signed as the relayer checks them; questions and answers take their time on the line, and a
share of the answers is lost, which leaves the outcome of a batch unknown.
"""

import asyncio
from collections.abc import Sequence
from random import Random

import msgspec
from coincurve import PrivateKey
from eth_abi.abi import encode

from clawswarm.kernel.clock import Clock
from clawswarm.lab.simulation.network import LineTerms
from clawswarm.model.errors import ClosedFor, Retry
from clawswarm.model.positions import BatchOutcome, Holding, Unwinding, UnwindingKind
from clawswarm.sandbox.chain.batch import batch_digest
from clawswarm.sandbox.chain.calls import RawCall, argument_types, selector
from clawswarm.sandbox.chain.contracts import COLLATERAL_ADAPTER, COLLATERAL_TOKEN
from clawswarm.sandbox.chain.relayer import RelayedTransaction, Submission
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.wallets import DEPOSIT_FACTORY
from clawswarm.sandbox.venue import Venue

_MERGE = "mergePositions(address,bytes32,bytes32,uint256[],uint256)"
_REDEEM = "redeemPositions(address,bytes32,bytes32,uint256[])"
_POLL_S = 0.5
_LONGEST_S = 60.0
_DEADLINE_S = 600
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

    async def unwind(self, batch: Sequence[Unwinding]) -> BatchOutcome:
        """Submit one batch and wait for its end. Raises ClosedFor, Retry."""
        await self._hop()
        body = self._signed(batch)
        try:
            transaction = self._venue.relayer.submit(self._owner, body, self._clock.now_ns())
        except VenueRefusal as refusal:
            if refusal.status == 429:
                raise ClosedFor("the relayer", _CLOSED_S) from refusal
            raise Retry(f"the relayer did not take the batch: {refusal.text}") from refusal
        outcome = await self._wait(transaction)
        if outcome is BatchOutcome.CONFIRMED:
            self.merged += sum(action.kind is UnwindingKind.MERGE for action in batch)
            self.redeemed += sum(action.kind is UnwindingKind.REDEEM for action in batch)
        return outcome

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

    def _signed(self, batch: Sequence[Unwinding]) -> Submission:
        """The body of POST /submit."""
        calls = tuple(_encoded(action) for action in batch)
        nonce = self._venue.chain.nonce(self._wallet)
        deadline = self._clock.now_ns() // _NS_PER_S + _DEADLINE_S
        signature = self._key.sign_recoverable(
            batch_digest(self._wallet, nonce, deadline, calls), hasher=None
        )
        body = {
            "type": "WALLET",
            "from": self._owner,
            "to": DEPOSIT_FACTORY,
            "nonce": str(nonce),
            "signature": "0x" + signature[:64].hex() + f"{27 + signature[64]:02x}",
            "depositWalletParams": {
                "depositWallet": self._wallet,
                "deadline": str(deadline),
                "calls": [{"target": c.target, "value": "0", "data": "0x" + c.data.hex()} for c in calls],
            },
        }
        return msgspec.convert(body, Submission)


def _encoded(action: Unwinding) -> RawCall:
    """The call of an action."""
    text = _MERGE if action.kind is UnwindingKind.MERGE else _REDEEM
    values: list[object] = [COLLATERAL_TOKEN, bytes(32), bytes.fromhex(action.market[2:]), [1, 2]]
    if action.kind is UnwindingKind.MERGE:
        values.append(action.amount_e6)
    return RawCall(COLLATERAL_ADAPTER, 0, selector(text) + encode(argument_types(text), values))
