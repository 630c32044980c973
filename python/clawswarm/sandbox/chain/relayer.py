"""The relayer: takes signed batches of deposit wallets, sends them to the chain, and says how far each is (§9).

    STATE_NEW → STATE_EXECUTED → STATE_MINED → STATE_CONFIRMED       or, when the batch reverts, STATE_FAILED

A batch does what it does when it is mined. One batch of a wallet at a time: another one meets "wallet busy" until
then. The quota counts accepted submissions of one account on one UTC day. Pure: time is an argument.
"""

import hashlib
import heapq
from collections import Counter, deque
from typing import Literal
from uuid import UUID

import msgspec

from clawswarm.sandbox.chain.batch import batch_digest
from clawswarm.sandbox.chain.calls import RawCall
from clawswarm.sandbox.chain.chain import Chain, Reverted
from clawswarm.sandbox.exchange.accounts import Account
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.eip712 import Malformed, checksum_address, hex_bytes, recover_address
from clawswarm.sandbox.identity.keys import is_uint
from clawswarm.sandbox.identity.wallets import DEPOSIT, DEPOSIT_FACTORY, wallets_of

RelayerTier = Literal["unverified", "verified", "partner"]
RelayerFate = Literal["confirm", "fail", "invalid"]
RelayerBusy = Literal["busy", "in-flight", "rate-limit"]
DAILY_QUOTA: dict[str, int | None] = {"unverified": 100, "verified": 3_000, "partner": None}
LONGEST_METADATA = 500
KEPT = 100_000
_NS_PER_S = 1_000_000_000
_S_PER_DAY = 86_400
_FINAL = ("STATE_CONFIRMED", "STATE_FAILED", "STATE_INVALID")


class CallMessage(msgspec.Struct, frozen=True):
    """One call on the wire."""

    target: str
    value: str
    data: str


class WalletParameters(msgspec.Struct, frozen=True):
    """The part of a submission that only deposit wallets have."""

    depositWallet: str  # noqa: N815 - the venue's name
    deadline: str
    calls: tuple[CallMessage, ...]


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """Body of POST /submit."""

    type: str
    from_: str = msgspec.field(name="from")
    to: str
    nonce: str = ""
    signature: str = ""
    metadata: str = ""
    depositWalletParams: WalletParameters | None = None  # noqa: N815 - the venue's name


class RelayerDelays(msgspec.Struct, frozen=True):
    """How long after its submission a transaction reaches each state."""

    executed_ns: int
    mined_ns: int
    confirmed_ns: int


class RelayedTransaction(msgspec.Struct, eq=False):
    """One accepted submission; `state`, `error`, `updated_ns` follow the chain."""

    id: str
    kind: str
    account: str
    wallet: str
    nonce: int
    calls: tuple[RawCall, ...]
    metadata: str
    tx_hash: str
    created_ns: int
    fate: RelayerFate = "confirm"
    state: str = "STATE_NEW"
    error: str = ""
    updated_ns: int = 0


class Relayer:
    """All transactions of all accounts."""

    def __init__(
        self, chain: Chain, delays: RelayerDelays, tier: RelayerTier, *, is_bare: bool, seed: int
    ) -> None:
        self.fates: deque[RelayerFate] = deque()
        self.busy: deque[RelayerBusy] = deque()
        self.tiers: dict[str, RelayerTier] = {}
        self.transactions: dict[str, RelayedTransaction] = {}
        self._chain = chain
        self._delays = delays
        self._tier: RelayerTier = tier
        self._is_bare = is_bare
        self._seed = seed
        self._serial = 0
        self._steps: list[tuple[int, int, RelayedTransaction, str]] = []
        self._active: dict[str, RelayedTransaction] = {}
        self._used: Counter[tuple[str, int]] = Counter()

    # --- submissions ----------------------------------------------------------------------------

    def submit(self, account: str, body: Submission, now_ns: int) -> RelayedTransaction:
        """Accept a transaction of the account that the API key stands for, or refuse it."""
        self._check_busy_fault()
        if len(body.metadata) > LONGEST_METADATA:
            raise VenueRefusal(400, f"metadata must be at most {LONGEST_METADATA} characters")
        try:
            owner = checksum_address(body.from_)
            if checksum_address(body.to) != DEPOSIT_FACTORY:
                raise VenueRefusal(400, "invalid to address: not the deposit wallet factory")
            wallet, calls = self._read(owner, body, now_ns)
        except Malformed as fault:
            raise VenueRefusal(400, f"invalid request: {fault}") from fault
        self._check_free(wallet, body)
        self._spend_quota(account, now_ns)
        return self._accept(account, wallet, body, calls, now_ns)

    def _read(self, owner: str, body: Submission, now_ns: int) -> tuple[str, tuple[RawCall, ...]]:
        """(wallet, calls) of a submission whose signature holds."""
        if body.type == "WALLET-CREATE":
            wallet = wallets_of(owner).deposit
            if wallet in self._chain.deployed:
                raise VenueRefusal(400, "wallet already deployed")
            return wallet, ()
        parameters = body.depositWalletParams
        if body.type != "WALLET" or parameters is None:
            raise VenueRefusal(400, f"unsupported transaction type: {body.type}")
        wallet = checksum_address(parameters.depositWallet)
        if wallet not in wallets_of(owner).of_type(DEPOSIT) or wallet not in self._chain.deployed:
            raise VenueRefusal(400, "deposit wallet is not deployed for this owner")
        numbers = (body.nonce, parameters.deadline, *(call.value for call in parameters.calls))
        if not parameters.calls or not all(is_uint(number) for number in numbers):
            raise VenueRefusal(400, "invalid request: a batch needs calls, a nonce and a deadline")
        calls = tuple(
            RawCall(call.target, int(call.value), hex_bytes(call.data)) for call in parameters.calls
        )
        digest = batch_digest(wallet, int(body.nonce), int(parameters.deadline), calls)
        if recover_address(digest, body.signature) != owner.lower():
            raise VenueRefusal(400, "invalid signature")
        if int(parameters.deadline) * _NS_PER_S <= now_ns:
            raise VenueRefusal(400, "batch deadline has passed")
        return wallet, calls

    def _check_busy_fault(self) -> None:
        if not self.busy:
            return
        match self.busy.popleft():
            case "busy":
                raise VenueRefusal(400, "wallet busy: wallet has an active action")
            case "in-flight":
                raise VenueRefusal(400, "wallet has in-flight action")
            case "rate-limit":
                raise VenueRefusal(429, "Too Many Requests")

    def _check_free(self, wallet: str, body: Submission) -> None:
        active = self._active.get(wallet)
        if active is not None and active.state == "STATE_NEW":
            raise VenueRefusal(400, f"wallet busy: {wallet} has an active action {active.id}")
        if active is not None:
            raise VenueRefusal(400, f"wallet has in-flight action {active.id}")
        on_chain = self._chain.nonce(wallet)
        if body.type == "WALLET" and int(body.nonce) != on_chain:
            raise VenueRefusal(400, f"batch nonce {int(body.nonce)} does not match on-chain nonce {on_chain}")

    def _accept(
        self, account: str, wallet: str, body: Submission, calls: tuple[RawCall, ...], now_ns: int
    ) -> RelayedTransaction:
        self._serial += 1
        digest = hashlib.sha256(f"relayed:{self._seed}:{self._serial}".encode()).digest()
        transaction = RelayedTransaction(
            id=str(UUID(bytes=digest[:16], version=4)),
            kind=body.type,
            account=account,
            wallet=wallet,
            nonce=int(body.nonce or 0),
            calls=calls,
            metadata=body.metadata,
            tx_hash="0x" + hashlib.sha256(digest).hexdigest(),
            created_ns=now_ns,
            fate=self.fates.popleft() if self.fates else "confirm",
            updated_ns=now_ns,
        )
        self.transactions[transaction.id] = transaction
        if len(self.transactions) > KEPT:
            del self.transactions[next(iter(self.transactions))]
        self._active[wallet] = transaction
        delays = self._delays
        steps = (
            (delays.executed_ns, "STATE_EXECUTED"),
            (delays.mined_ns, "STATE_MINED"),
            (delays.confirmed_ns, "STATE_CONFIRMED"),
        )
        for after_ns, state in steps:
            # The serial keeps equal times in the order of acceptance and of the states.
            self._serial += 1
            heapq.heappush(self._steps, (now_ns + after_ns, self._serial, transaction, state))
        return transaction

    # --- quota ----------------------------------------------------------------------------------

    def tier(self, account: str) -> RelayerTier:
        """The tier that an account's daily quota comes from."""
        return self.tiers.get(account, self._tier)

    def used(self, account: str, now_ns: int) -> int:
        """Transactions that an account submitted today (UTC)."""
        return self._used[account, now_ns // _NS_PER_S // _S_PER_DAY]

    def _spend_quota(self, account: str, now_ns: int) -> None:
        quota, now_s = DAILY_QUOTA[self.tier(account)], now_ns // _NS_PER_S
        if quota is not None and self.used(account, now_ns) >= quota:
            left_s = _S_PER_DAY - now_s % _S_PER_DAY
            raise VenueRefusal(429, f"quota exceeded: 0 units remaining, resets in {left_s} seconds")
        self._used[account, now_s // _S_PER_DAY] += 1

    # --- time -----------------------------------------------------------------------------------

    def next_due_ns(self) -> int | None:
        """When `advance` has something to do."""
        return self._steps[0][0] if self._steps else None

    def advance(self, now_ns: int) -> list[Account]:
        """Move transactions on; the accounts whose funds changed."""
        changed: list[Account] = []
        while self._steps and self._steps[0][0] <= now_ns:
            due, _, transaction, state = heapq.heappop(self._steps)
            if transaction.state not in _FINAL:
                changed += self._reach(transaction, state, due)
        return changed

    def _reach(self, transaction: RelayedTransaction, state: str, at_ns: int) -> list[Account]:
        transaction.state, transaction.updated_ns = state, at_ns
        if state == "STATE_EXECUTED" and transaction.fate == "invalid":
            return self._give_up(transaction, "STATE_INVALID", "simulation failed")
        if state != "STATE_MINED":
            return []
        if transaction.fate == "fail":
            return self._give_up(transaction, "STATE_FAILED", "transaction failed on chain")
        self._active.pop(transaction.wallet, None)
        if transaction.kind == "WALLET-CREATE":
            self._chain.deploy(transaction.wallet, is_bare=self._is_bare)
            return []
        try:
            return self._chain.execute(transaction.wallet, transaction.calls, at_ns)
        except Reverted as fault:
            return self._give_up(transaction, "STATE_FAILED", str(fault))

    def _give_up(self, transaction: RelayedTransaction, state: str, error: str) -> list[Account]:
        transaction.state, transaction.error = state, error
        self._active.pop(transaction.wallet, None)
        return []
