"""An exchange bench whose accounts are wallets of a simulated chain, and the calls of a batch."""

from eth_abi.abi import encode
from exchange_bench import GRANT_E6, MS, Bench

from clawswarm.sandbox.chain.calls import RawCall, selector
from clawswarm.sandbox.chain.chain import Chain
from clawswarm.sandbox.chain.contracts import COLLATERAL_ADAPTER, COLLATERAL_TOKEN
from clawswarm.sandbox.exchange.accounts import Account
from clawswarm.sandbox.exchange.rules import ExchangeRules

WALLETS = tuple("0x" + digit * 40 for digit in "123")
YES, NO = "111", "222"
LAG_NS = 1_000 * MS


class ChainBench(Bench):
    """A bench whose accounts are wallets, and a chain under it."""

    def __init__(self, rules: ExchangeRules | None = None, **market: object) -> None:
        super().__init__(rules=rules, **market)
        self.chain = Chain(self.exchange, self.open, LAG_NS)

    def open(self, address: str) -> Account:
        """The account of a wallet, funded once."""
        return self.exchange.ledger.open_account(address, GRANT_E6)

    def account(self, name: str, grant_e6: int = GRANT_E6) -> Account:
        """Names are wallets here."""
        return self.exchange.ledger.open_account(name, grant_e6)

    def run(self, wallet: str, *calls: RawCall) -> None:
        """Execute a batch, and let the exchange look at the accounts it changed."""
        for account in self.chain.execute(wallet, calls, self.now_ns):
            self.exchange.recheck_funds(account, self.now_ns)

    def position(self, kind: str, amount_e6: int | None = None, adapter: str = COLLATERAL_ADAPTER) -> RawCall:
        """A split, merge or redeem call for the market."""
        types = ["address", "bytes32", "bytes32", "uint256[]"]
        condition = bytes.fromhex(self.market.condition_id[2:])
        values: list[object] = [COLLATERAL_TOKEN, bytes(32), condition, [1, 2]]
        if amount_e6 is not None:
            types, values = [*types, "uint256"], [*values, amount_e6]
        return RawCall(adapter, 0, selector(f"{kind}({','.join(types)})") + encode(types, values))

    def holds(self, wallet: str) -> tuple[int, int, int]:
        """pUSD gained or lost, YES, NO."""
        account = self.open(wallet)
        tokens = account.tokens_e6
        return account.collateral_e6 - GRANT_E6, tokens.get(YES, 0), tokens.get(NO, 0)


def call(target: str, signature: str, *values: object) -> RawCall:
    """One encoded call."""
    types = signature[signature.index("(") + 1 : -1].split(",")
    return RawCall(target, 0, selector(signature) + encode(types, list(values)))


def approve(spender: str, amount: int) -> RawCall:
    """Let a spender take pUSD."""
    return call(COLLATERAL_TOKEN, "approve(address,uint256)", spender, amount)


def operator(contract: str, who: str, is_approved: bool) -> RawCall:
    """Let an operator move tokens."""
    return call(contract, "setApprovalForAll(address,bool)", who, is_approved)


def transfer(recipient: str, amount: int) -> RawCall:
    """Send pUSD."""
    return call(COLLATERAL_TOKEN, "transfer(address,uint256)", recipient, amount)
