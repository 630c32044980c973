"""Who may take what from whom on the chain: pUSD allowances and operators of token contracts.

A wallet that nobody started bare approved everything before we met it.
"""

from clawswarm.sandbox.chain.contracts import CONDITIONAL_TOKENS
from clawswarm.sandbox.identity.eip712 import EXCHANGE_V2, NEG_RISK_EXCHANGE_V2

UNLIMITED = 2**256 - 1
EXCHANGES = (EXCHANGE_V2, NEG_RISK_EXCHANGE_V2)


class Approvals:
    """Allowances and operators by owner."""

    def __init__(self) -> None:
        self._bare: set[str] = set()
        self._allowances: dict[tuple[str, str], int] = {}
        self._operators: dict[tuple[str, str, str], bool] = {}

    def start_bare(self, owner: str) -> None:
        """The wallet has approved nothing yet."""
        self._bare.add(owner)

    def allowance(self, owner: str, spender: str) -> int:
        """What a spender may take of the owner's pUSD."""
        return self._allowances.get((owner, spender), 0 if owner in self._bare else UNLIMITED)

    def approve(self, owner: str, spender: str, amount: int) -> None:
        """Let a spender take so much."""
        self._allowances[owner, spender] = amount

    def is_operator(self, owner: str, contract: str, operator: str) -> bool:
        """Whether an operator may move all of the owner's tokens."""
        return self._operators.get((owner, contract, operator), owner not in self._bare)

    def set_operator(self, owner: str, contract: str, operator: str, is_approved: bool) -> None:
        """Let an operator move tokens, or not any more."""
        self._operators[owner, contract, operator] = is_approved

    def trading_allowance(self, owner: str) -> int | None:
        """What both exchanges may take, None for any amount: an order may be of either."""
        lowest = min(self.allowance(owner, exchange) for exchange in EXCHANGES)
        return None if lowest == UNLIMITED else lowest

    def may_sell(self, owner: str) -> bool:
        """Whether both exchanges may move the owner's tokens."""
        return all(self.is_operator(owner, CONDITIONAL_TOKENS, exchange) for exchange in EXCHANGES)
