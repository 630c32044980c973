"""Accounts and the money they hold: pUSD, outcome tokens, what open orders reserve of both.

Everything is an integer in 1e-6. A fill at YES price p of s shares moves ⌊p·s⌋ on the YES side and
⌊(1−p)·s⌋ on the NO side; what rounding leaves over goes to the house, which also collects the fees, so

    Σ collateral of all accounts + house + collateral locked in YES/NO pairs = all grants ever made.
"""

import msgspec

from clawswarm.model.units import PRICE_ONE_E4, notional_e6

FEE_STEP_E6 = 10


class Account(msgspec.Struct, eq=False):
    """One wallet. `free_e6` and `free_tokens_e6` are what new orders may still use."""

    address: str
    is_participant: bool = False
    collateral_e6: int = 0
    reserved_e6: int = 0
    tokens_e6: dict[str, int] = {}
    reserved_tokens_e6: dict[str, int] = {}

    @property
    def free_e6(self) -> int:
        """Collateral that no open order claims."""
        return self.collateral_e6 - self.reserved_e6

    def free_tokens_e6(self, token: str) -> int:
        """Shares of `token` that no open order offers."""
        return self.tokens_e6.get(token, 0) - self.reserved_tokens_e6.get(token, 0)

    def add_tokens(self, token: str, size_e6: int) -> None:
        """Credit (or debit) shares."""
        self.tokens_e6[token] = self.tokens_e6.get(token, 0) + size_e6

    def reserve_tokens(self, token: str, size_e6: int) -> None:
        """Claim (or free) shares for an open order."""
        self.reserved_tokens_e6[token] = self.reserved_tokens_e6.get(token, 0) + size_e6


class Leg(msgspec.Struct, frozen=True):
    """One side of a fill: who, which token, bought or sold, the token's price."""

    account: Account
    token: str
    is_buy: bool
    price_e4: int


class Ledger:
    """All accounts, the house and the pairs; every movement of money goes through here."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.house = Account(address="house", is_participant=True)
        self.granted_e6 = 0
        self.pairs_e6 = 0

    def open_account(self, address: str, grant_e6: int, is_participant: bool = False) -> Account:
        """Return the account of `address`, created and funded once."""
        account = self.accounts.get(address)
        if account is None:
            account = Account(address=address, is_participant=is_participant, collateral_e6=grant_e6)
            self.accounts[address] = account
            self.granted_e6 += grant_e6
        return account

    def fund_house(self, grant_e6: int) -> None:
        """Give the house what rounding may cost it."""
        self.house.collateral_e6 += grant_e6
        self.granted_e6 += grant_e6

    def settle(self, taker: Leg, maker: Leg, size_e6: int) -> int:
        """Move money and tokens of one fill; return the taker's side of the money (§3.8 match kinds)."""
        taker_money = taker.price_e4 * size_e6 // PRICE_ONE_E4
        maker_money = maker.price_e4 * size_e6 // PRICE_ONE_E4
        for leg, money in ((taker, taker_money), (maker, maker_money)):
            leg.account.collateral_e6 += -money if leg.is_buy else money
            leg.account.add_tokens(leg.token, size_e6 if leg.is_buy else -size_e6)
        if taker.token != maker.token:
            rest = size_e6 - taker_money - maker_money
            if taker.is_buy:
                self.pairs_e6 += size_e6
                self.house.collateral_e6 -= rest
            else:
                self.pairs_e6 -= size_e6
                self.house.collateral_e6 += rest
        return taker_money

    def collect_fee(self, account: Account, fee_e6: int) -> int:
        """Take a taker's fee, at most what is free; return what was taken."""
        taken = max(0, min(fee_e6, account.free_e6))
        account.collateral_e6 -= taken
        self.house.collateral_e6 += taken
        return taken

    def imbalance_e6(self) -> int:
        """Zero, always: money made or lost by a bug."""
        held = sum(account.collateral_e6 for account in self.accounts.values())
        return held + self.house.collateral_e6 + self.pairs_e6 - self.granted_e6


def lock_e6(price_e4: int, size_e6: int) -> int:
    """Collateral that a resting BUY reserves."""
    return notional_e6(price_e4, size_e6)


def taker_fee_e6(price_e4: int, size_e6: int, rate_e4: int) -> int:
    """Fee `shares·rate·p·(1−p)` (§7), rounded half up to 5 decimals; below 0.00001 it is nothing."""
    numerator = size_e6 * rate_e4 * price_e4 * (PRICE_ONE_E4 - price_e4)
    scale = PRICE_ONE_E4**3
    if numerator < FEE_STEP_E6 * scale:
        return 0
    step = FEE_STEP_E6 * scale
    return FEE_STEP_E6 * ((2 * numerator + step) // (2 * step))
