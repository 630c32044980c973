"""What a wallet's batch does on the chain: approvals, transfers, split, merge, redeem; all of it or nothing.

Tokens of a matched trade are on the chain once it is mined. What a batch brings is on the chain at once, but the
trading engine sees it only when its cache is refreshed (GET /balance-allowance/update) or some time later; what a
batch takes is gone for both at once. Pure: time is an argument.
"""

from collections.abc import Callable

import msgspec

from clawswarm.sandbox.chain.approvals import EXCHANGES, UNLIMITED, Approvals
from clawswarm.sandbox.chain.calls import (
    Action,
    Approve,
    Merge,
    RawCall,
    Redeem,
    SetOperator,
    Split,
    Transfer,
    read_call,
)
from clawswarm.sandbox.chain.contracts import (
    COLLATERAL_ADAPTER,
    COLLATERAL_TOKEN,
    CONDITIONAL_TOKENS,
    NEG_RISK_COLLATERAL_ADAPTER,
    POSITION_MANAGER,
)
from clawswarm.sandbox.exchange.accounts import COLLATERAL, Account
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.matching import Exchange
from clawswarm.sandbox.identity.eip712 import Malformed, checksum_address

OpenAccount = Callable[[str], Account]


class Reverted(Exception):
    """The batch failed and changed nothing."""


class _Unseen(msgspec.Struct, eq=False):
    """An amount that is on the chain and not in the trading engine's cache."""

    account: Account
    token: str
    amount_e6: int
    due_ns: int


class _Batch(msgspec.Struct):
    """A batch under way: how to undo what it did, and what it moved."""

    account: Account
    now_ns: int
    undo: list[Callable[[], None]] = []
    gains: list[tuple[Account, str, int]] = []


class Chain:
    """Executes batches of wallets on the exchange's ledger."""

    def __init__(self, exchange: Exchange, open_account: OpenAccount, lag_ns: int) -> None:
        self.approvals = Approvals()
        self.deployed: set[str] = set()
        self.nonces: dict[str, int] = {}
        self._exchange = exchange
        self._ledger = exchange.ledger
        self._open_account = open_account
        self._lag_ns = lag_ns
        self._unseen: list[_Unseen] = []
        self._stale: dict[str, int] = {}

    # --- wallets --------------------------------------------------------------------------------

    def deploy(self, wallet: str, *, is_bare: bool) -> None:
        """Put a wallet's contract on the chain; a bare one has approved nothing."""
        if wallet in self.deployed:
            return
        self.deployed.add(wallet)
        if is_bare:
            self.approvals.start_bare(wallet)
            self._sync_approvals(self._open_account(wallet))

    def nonce(self, wallet: str) -> int:
        """The nonce that a wallet's next batch must carry."""
        return self.nonces.get(wallet, 0)

    def held_e6(self, account: Account, token: str) -> int:
        """What the wallet holds on the chain: shares of matched trades only once they are mined."""
        held = account.collateral_e6 if token == COLLATERAL else account.tokens_e6.get(token, 0)
        return held - account.early_e6.get(token, 0)

    # --- batches --------------------------------------------------------------------------------

    def execute(self, wallet: str, calls: tuple[RawCall, ...], now_ns: int) -> list[Account]:
        """Carry out a batch; the accounts whose funds changed.

        Raises:
            Reverted: one call failed; nothing happened, the nonce included.
        """
        batch = _Batch(self._open_account(wallet), now_ns)
        try:
            for call in calls:
                self._call(batch, call)
        except Reverted:
            for undo in reversed(batch.undo):
                undo()
            raise
        self.nonces[wallet] = self.nonce(wallet) + 1
        for account, token, amount in batch.gains:
            self._hide(account, token, amount, now_ns)
        changed = {account.address: account for account, _, _ in batch.gains}
        return list((changed | {batch.account.address: batch.account}).values())

    def _call(self, batch: _Batch, call: RawCall) -> None:
        try:
            target = checksum_address(call.target)
        except Malformed as fault:
            raise Reverted("execution reverted: no contract at this address") from fault
        action = read_call(call.data)
        if call.value:
            raise Reverted("execution reverted: call is not payable")
        match action:
            case Approve() if target == COLLATERAL_TOKEN:
                self._approve(batch, action)
            case Transfer() if target == COLLATERAL_TOKEN:
                self._transfer(batch, action)
            case SetOperator() if target in (CONDITIONAL_TOKENS, POSITION_MANAGER):
                self._set_operator(batch, target, action)
            case Split() | Merge() | Redeem() if target in (COLLATERAL_ADAPTER, NEG_RISK_COLLATERAL_ADAPTER):
                self._position(batch, target, action)
            case _:
                raise Reverted("execution reverted")

    # --- approvals and transfers ----------------------------------------------------------------

    def _approve(self, batch: _Batch, action: Approve) -> None:
        owner, before = batch.account.address, self.approvals.allowance(batch.account.address, action.spender)
        self.approvals.approve(owner, action.spender, action.amount_e6)
        batch.undo.append(lambda: self.approvals.approve(owner, action.spender, before))
        self._stale[owner] = batch.now_ns + self._lag_ns

    def _set_operator(self, batch: _Batch, contract: str, action: SetOperator) -> None:
        owner, operator = batch.account.address, action.operator
        before = self.approvals.is_operator(owner, contract, operator)
        self.approvals.set_operator(owner, contract, operator, action.is_approved)
        batch.undo.append(lambda: self.approvals.set_operator(owner, contract, operator, before))
        self._stale[owner] = batch.now_ns + self._lag_ns

    def _transfer(self, batch: _Batch, action: Transfer) -> None:
        recipient = self._ledger.open_account(action.recipient, 0)
        self._give(batch, COLLATERAL, action.amount_e6)
        self._get(batch, recipient, COLLATERAL, action.amount_e6)

    # --- positions ------------------------------------------------------------------------------

    def _position(self, batch: _Batch, adapter: str, action: Action) -> None:
        assert isinstance(action, Split | Merge | Redeem)
        market = self._exchange.markets.get(action.condition_id)
        if market is None or action.collateral != COLLATERAL_TOKEN:
            raise Reverted("execution reverted: condition not prepared")
        if market.neg_risk != (adapter == NEG_RISK_COLLATERAL_ADAPTER):
            raise Reverted("execution reverted: condition of another adapter")
        if isinstance(action, Split):
            self._split(batch, adapter, market, action.amount_e6)
        elif not self.approvals.is_operator(batch.account.address, CONDITIONAL_TOKENS, adapter):
            raise Reverted("execution reverted: ERC1155: need operator approval")
        elif isinstance(action, Merge):
            self._merge(batch, market, action.amount_e6)
        else:
            self._redeem(batch, market)

    def _split(self, batch: _Batch, adapter: str, market: ListedMarket, amount_e6: int) -> None:
        owner, allowed = batch.account.address, self.approvals.allowance(batch.account.address, adapter)
        if allowed < amount_e6:
            raise Reverted("execution reverted: ERC20: insufficient allowance")
        self._give(batch, COLLATERAL, amount_e6)
        self._lock(batch, amount_e6)
        for token in (market.yes_token, market.no_token):
            self._get(batch, batch.account, token, amount_e6)
        if allowed != UNLIMITED:
            self.approvals.approve(owner, adapter, allowed - amount_e6)
            batch.undo.append(lambda: self.approvals.approve(owner, adapter, allowed))

    def _merge(self, batch: _Batch, market: ListedMarket, amount_e6: int) -> None:
        for token in (market.yes_token, market.no_token):
            self._give(batch, token, amount_e6)
        self._lock(batch, -amount_e6)
        self._get(batch, batch.account, COLLATERAL, amount_e6)

    def _redeem(self, batch: _Batch, market: ListedMarket) -> None:
        """All the wallet holds of both tokens, each payment rounded down as in the contract."""
        paid = 0
        for is_yes in (True, False):
            token, payout = market.token(is_yes), market.payout_e6(is_yes)
            if payout is None:
                raise Reverted("execution reverted: result for condition not received yet")
            held = max(0, self.held_e6(batch.account, token))
            self._give(batch, token, held)
            paid += held * payout // 1_000_000
        self._lock(batch, -paid)
        self._get(batch, batch.account, COLLATERAL, paid)

    def _lock(self, batch: _Batch, amount_e6: int) -> None:
        """pUSD that stands behind pairs."""

        def change(amount: int) -> None:
            self._ledger.pairs_e6 += amount

        change(amount_e6)
        batch.undo.append(lambda: change(-amount_e6))

    def _give(self, batch: _Batch, token: str, amount_e6: int) -> None:
        account = batch.account
        if self.held_e6(account, token) < amount_e6:
            kind = (
                "ERC20: transfer amount exceeds balance"
                if token == COLLATERAL
                else "SafeMath: subtraction overflow"
            )
            raise Reverted(f"execution reverted: {kind}")
        account.add(token, -amount_e6)
        batch.undo.append(lambda: account.add(token, amount_e6))
        batch.gains.append((account, token, -amount_e6))

    def _get(self, batch: _Batch, account: Account, token: str, amount_e6: int) -> None:
        account.add(token, amount_e6)
        batch.undo.append(lambda: account.add(token, -amount_e6))
        batch.gains.append((account, token, amount_e6))

    # --- what the trading engine sees -----------------------------------------------------------

    def refresh(self, account: Account, token: str) -> None:
        """Let the trading engine read a wallet's balance of a token, and its approvals, anew."""
        self._show([unseen for unseen in self._unseen if unseen.account is account and unseen.token == token])
        self._stale.pop(account.address, None)
        self._sync_approvals(account)

    def advance(self, now_ns: int) -> None:
        """Show what the trading engine has found out by itself by now."""
        if self._unseen:
            self._show([unseen for unseen in self._unseen if unseen.due_ns <= now_ns])
        if self._stale:
            for address in [address for address, due in self._stale.items() if due <= now_ns]:
                del self._stale[address]
                self._sync_approvals(self._open_account(address))

    def next_due_ns(self) -> int | None:
        """When `advance` has something to show."""
        if not self._unseen and not self._stale:
            return None
        return min([*(unseen.due_ns for unseen in self._unseen), *self._stale.values()])

    def set_trading_approvals(self, account: Account, allowance: int | None, is_operator: bool) -> None:
        """What both exchanges may take of a wallet, known to everybody at once."""
        for exchange in EXCHANGES:
            self.approvals.approve(account.address, exchange, UNLIMITED if allowance is None else allowance)
            self.approvals.set_operator(account.address, CONDITIONAL_TOKENS, exchange, is_operator)
        self._sync_approvals(account)

    def _sync_approvals(self, account: Account) -> None:
        account.allowance_e6 = self.approvals.trading_allowance(account.address)
        account.is_approved = self.approvals.may_sell(account.address)

    def _hide(self, account: Account, token: str, amount_e6: int, now_ns: int) -> None:
        """A gain is unseen for a while; a loss takes what is unseen first."""
        if amount_e6 > 0 and self._lag_ns and not account.is_participant:
            self._unseen.append(_Unseen(account, token, amount_e6, now_ns + self._lag_ns))
            account.unseen_e6[token] = account.unseen_e6.get(token, 0) + amount_e6
            return
        left = max(-amount_e6, 0)
        for unseen in [u for u in self._unseen if u.account is account and u.token == token]:
            # One that an earlier loss has used up is passed over: those behind it may still be unseen.
            part = min(left, unseen.amount_e6)
            left -= part
            unseen.amount_e6 -= part
            account.unseen_e6[token] -= part

    def _show(self, shown: list[_Unseen]) -> None:
        for unseen in shown:
            unseen.account.unseen_e6[unseen.token] -= unseen.amount_e6
            self._unseen.remove(unseen)
