"""Accounts and the money they hold: pUSD, outcome tokens, what open orders reserve of both, and what is on
its way between them.

Everything is an integer in 1e-6. A match takes from both sides at once and puts what they get in flight; it
arrives when the trade is mined and goes back when the trade fails. A fill at YES price p of s shares moves
⌊p·s⌋ on the YES side and ⌊(1−p)·s⌋ on the NO side; what rounding leaves over goes to the house, which also
collects the fees, so

    Σ collateral of all accounts + house + pairs + collateral in flight = all grants ever made,
    Σ of a token over all accounts + of it in flight = pairs of its market, until it is redeemed.
"""

import msgspec

from clawswarm.model.units import MICRO, PRICE_ONE_E4, notional_e6

FEE_STEP_E6 = 10
COLLATERAL = ""
"""Stands for pUSD where a token id is expected."""


class Account(msgspec.Struct, eq=False):
    """One wallet. `free_e6` and `free_tokens_e6` are what new orders may still use.

    `allowance_e6` None is unlimited; `is_approved` is the operator right over all outcome tokens. `unseen_e6` is
    on the chain and not in the trading engine's cache; `early_e6` is usable here and not on the chain yet.
    """

    address: str
    is_participant: bool = False
    collateral_e6: int = 0
    reserved_e6: int = 0
    tokens_e6: dict[str, int] = {}
    reserved_tokens_e6: dict[str, int] = {}
    unseen_e6: dict[str, int] = {}
    early_e6: dict[str, int] = {}
    allowance_e6: int | None = None
    is_approved: bool = True

    @property
    def free_e6(self) -> int:
        """Collateral that no open order claims."""
        held = self.seen_e6(COLLATERAL)
        if self.allowance_e6 is not None and self.allowance_e6 < held:
            held = self.allowance_e6
        return held - self.reserved_e6

    def free_tokens_e6(self, token: str) -> int:
        """Shares of `token` that no open order offers."""
        held = self.seen_e6(token) if self.is_approved else 0
        return held - self.reserved_tokens_e6.get(token, 0)

    def seen_e6(self, token: str) -> int:
        """What the trading engine knows the wallet to hold."""
        held = self.collateral_e6 if token == COLLATERAL else self.tokens_e6.get(token, 0)
        return held - self.unseen_e6.get(token, 0)

    def add(self, token: str, amount_e6: int) -> None:
        """Credit (or debit) shares, or pUSD."""
        if token == COLLATERAL:
            self.collateral_e6 += amount_e6
        else:
            self.tokens_e6[token] = self.tokens_e6.get(token, 0) + amount_e6

    def reserve(self, token: str, amount_e6: int) -> None:
        """Claim (or free) what an open order may need."""
        if token == COLLATERAL:
            self.reserved_e6 += amount_e6
        else:
            self.reserved_tokens_e6[token] = self.reserved_tokens_e6.get(token, 0) + amount_e6


class Leg(msgspec.Struct, frozen=True):
    """One side of a fill: who, which token, bought or sold, the token's price."""

    account: Account
    token: str
    is_buy: bool
    price_e4: int


class Move(msgspec.Struct, frozen=True):
    """An amount of a token, or of pUSD, that an account gives or gets."""

    account: Account
    token: str
    amount_e6: int


class Settlement(msgspec.Struct):
    """All that one trade moves. Debits happen at the match; `is_arrived` once the credits did too, `is_early`
    while they did before the chain knows of them.
    """

    debits: list[Move] = []
    credits: list[Move] = []
    pairs_e6: int = 0
    house_e6: int = 0
    is_arrived: bool = False
    is_early: bool = False


class Ledger:
    """All accounts, the house, the pairs and what is in flight; every movement goes through here."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.house = Account(address="house", is_participant=True)
        self.granted_e6 = 0
        self.pairs_e6 = 0
        self.in_flight_e6: dict[str, int] = {}

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
        self.grant(self.house, grant_e6)

    def grant(self, account: Account, amount_e6: int) -> None:
        """Bring pUSD in from outside, or take it out (negative)."""
        account.collateral_e6 += amount_e6
        self.granted_e6 += amount_e6

    def split(self, account: Account, tokens: tuple[str, str], size_e6: int) -> None:
        """Turn pUSD into pairs of both tokens (negative: back)."""
        account.collateral_e6 -= size_e6
        self.pairs_e6 += size_e6
        for token in tokens:
            account.add(token, size_e6)

    def redeem(self, account: Account, payouts_e6: tuple[tuple[str, int], ...]) -> int:
        """Burn all an account holds of some tokens for so much a share; returns the pUSD it got.

        Each token's payment is rounded down, as on the chain: what is left of a share stays with the pairs.
        """
        paid = 0
        for token, payout in payouts_e6:
            held = account.tokens_e6.pop(token, 0)
            paid += held * payout // MICRO
        account.collateral_e6 += paid
        self.pairs_e6 -= paid
        return paid

    def match(self, settlement: Settlement, taker: Leg, maker: Leg, size_e6: int) -> int:
        """Take one fill from both sides, note what each gets; return the taker's side of the money (§3.8)."""
        taker_money = taker.price_e4 * size_e6 // PRICE_ONE_E4
        maker_money = maker.price_e4 * size_e6 // PRICE_ONE_E4
        for leg, money in ((taker, taker_money), (maker, maker_money)):
            gives, gets = (COLLATERAL, leg.token) if leg.is_buy else (leg.token, COLLATERAL)
            given, gotten = (money, size_e6) if leg.is_buy else (size_e6, money)
            leg.account.add(gives, -given)
            settlement.debits.append(Move(leg.account, gives, given))
            self._launch(settlement, Move(leg.account, gets, gotten))
        if taker.token != maker.token:
            rest = size_e6 - taker_money - maker_money
            sign = 1 if taker.is_buy else -1
            self._pair_up(settlement, sign * size_e6, -sign * rest)
        return taker_money

    def charge(self, settlement: Settlement, taker: Leg, fee_e6: int) -> int:
        """Take a taker's fee: on top of a purchase as far as it is free, out of the proceeds of a sale."""
        account = taker.account
        if taker.is_buy:
            taken = max(0, min(fee_e6, account.free_e6))
            account.collateral_e6 -= taken
            settlement.debits.append(Move(account, COLLATERAL, taken))
        else:
            due = sum(move.amount_e6 for move in settlement.credits if _is_proceeds(move, account))
            taken = min(fee_e6, due)
            self._launch(settlement, Move(account, COLLATERAL, -taken))
        if taken:
            self._launch(settlement, Move(self.house, COLLATERAL, taken))
        return taken

    def arrive(self, settlement: Settlement, *, is_early: bool = False) -> None:
        """Give everybody what the trade brings, once; early is before it is mined."""
        if settlement.is_arrived:
            if not is_early:
                self._end_early(settlement)
            return
        settlement.is_arrived, settlement.is_early = True, is_early
        for move in settlement.credits:
            self.in_flight_e6[move.token] -= move.amount_e6
            move.account.add(move.token, move.amount_e6)
            if is_early:
                early = move.account.early_e6
                early[move.token] = early.get(move.token, 0) + move.amount_e6

    def _end_early(self, settlement: Settlement) -> None:
        if settlement.is_early:
            settlement.is_early = False
            for move in settlement.credits:
                move.account.early_e6[move.token] -= move.amount_e6

    def revert(self, settlement: Settlement) -> None:
        """Undo a trade that failed on the chain."""
        self._end_early(settlement)
        for move in settlement.credits:
            if settlement.is_arrived:
                move.account.add(move.token, -move.amount_e6)
            else:
                self.in_flight_e6[move.token] -= move.amount_e6
        for move in settlement.debits:
            move.account.add(move.token, move.amount_e6)
        self.pairs_e6 -= settlement.pairs_e6
        self.house.collateral_e6 -= settlement.house_e6

    def imbalance_e6(self) -> int:
        """Zero, always: money made or lost by a bug."""
        held = sum(account.collateral_e6 for account in self.accounts.values())
        on_the_way = self.in_flight_e6.get(COLLATERAL, 0)
        return held + self.house.collateral_e6 + self.pairs_e6 + on_the_way - self.granted_e6

    def _launch(self, settlement: Settlement, move: Move) -> None:
        settlement.credits.append(move)
        self.in_flight_e6[move.token] = self.in_flight_e6.get(move.token, 0) + move.amount_e6

    def _pair_up(self, settlement: Settlement, pairs_e6: int, house_e6: int) -> None:
        self.pairs_e6 += pairs_e6
        self.house.collateral_e6 += house_e6
        settlement.pairs_e6 += pairs_e6
        settlement.house_e6 += house_e6


def _is_proceeds(move: Move, account: Account) -> bool:
    return move.account is account and move.token == COLLATERAL


def lock_e6(price_e4: int, size_e6: int) -> int:
    """Collateral that a resting BUY reserves."""
    return notional_e6(price_e4, size_e6)


def taker_fee_e6(price_e4: int, size_e6: int, rate_e4: int, exponent: int = 1) -> int:
    """Fee `shares·rate·(p·(1−p))^exponent` (§7), rounded half up to 5 decimals; below 0.00001 it is nothing."""
    variance: int = (price_e4 * (PRICE_ONE_E4 - price_e4)) ** exponent
    scale: int = PRICE_ONE_E4 ** (1 + 2 * exponent)
    numerator, step = size_e6 * rate_e4 * variance, FEE_STEP_E6 * scale
    if numerator < step:
        return 0
    return FEE_STEP_E6 * ((2 * numerator + step) // (2 * step))
