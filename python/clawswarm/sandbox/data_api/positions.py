"""What a wallet holds and what it paid, from its trades and its balances. Pure.

Entry prices come from the trades the venue remembers, oldest first, a failed one left out; shares that no
trade explains were split from collateral at half a dollar each. A sale realises its price less the average.
"""

from collections.abc import Iterable

import msgspec

from clawswarm.model.units import MICRO, PRICE_ONE_E4
from clawswarm.sandbox.exchange.accounts import Account
from clawswarm.sandbox.exchange.events import Trade
from clawswarm.sandbox.exchange.markets import ListedMarket

_HALF_E6 = MICRO // 2


class Fill(msgspec.Struct, frozen=True, eq=False):
    """One wallet's side of one trade, in its own token."""

    trade: Trade
    token: str
    is_buy: bool
    price_e4: int
    size_e6: int
    is_taker: bool


class Holding(msgspec.Struct):
    """One outcome token of one wallet; money in 1e-6 pUSD, `bought_e6` counts every share ever bought."""

    market: ListedMarket
    is_yes: bool
    size_e6: int = 0
    entry_e6: int = 0
    bought_e6: int = 0
    fees_e6: int = 0
    realised_e6: int = 0
    first_ns: int = 0
    last_ns: int = 0

    @property
    def average_e6(self) -> int:
        """Money a share on average."""
        return self.entry_e6 * MICRO // self.size_e6 if self.size_e6 else 0


def fills_of(address: str, trades: Iterable[Trade]) -> list[Fill]:
    """A wallet's fills, oldest first; failed trades never happened."""
    fills: list[Fill] = []
    for trade in trades:
        if trade.status == "FAILED":
            continue
        taker = trade.taker
        if taker.account.address == address:
            fills.append(Fill(trade, taker.token, taker.is_buy, trade.price_e4, trade.size_e6, True))
        for part in trade.makers:
            order = part.order
            if order.account.address == address:
                fills.append(Fill(trade, order.token, order.is_buy, part.price_e4, part.size_e6, False))
    return fills


def holdings_of(
    account: Account, fills: Iterable[Fill], tokens: dict[str, tuple[ListedMarket, bool]]
) -> list[Holding]:
    """Every token a wallet holds or traded, its size as the ledger has it."""
    found: dict[str, Holding] = {}
    for fill in fills:
        market, is_yes = tokens[fill.token]
        holding = found.setdefault(fill.token, Holding(market, is_yes, first_ns=fill.trade.matched_ns))
        holding.last_ns = fill.trade.matched_ns
        money = fill.price_e4 * fill.size_e6 // PRICE_ONE_E4
        if fill.is_taker:
            holding.fees_e6 += fill.trade.fee_e6
        if fill.is_buy:
            holding.size_e6 += fill.size_e6
            holding.bought_e6 += fill.size_e6
            holding.entry_e6 += money
        else:
            _sell(holding, fill.size_e6, money)
    for token, size in account.tokens_e6.items():
        if size > 0 or token in found:
            market, is_yes = tokens[token]
            _agree(found.setdefault(token, Holding(market, is_yes)), size)
    for token, holding in found.items():
        if token not in account.tokens_e6:
            _agree(holding, 0)
    return list(found.values())


def _sell(holding: Holding, size_e6: int, money_e6: int) -> None:
    known = min(size_e6, holding.size_e6)
    cost = holding.average_e6 * known // MICRO + _HALF_E6 * (size_e6 - known) // MICRO
    holding.realised_e6 += money_e6 - cost
    holding.entry_e6 -= holding.average_e6 * known // MICRO
    holding.size_e6 -= known


def _agree(holding: Holding, size_e6: int) -> None:
    """Make the size the ledger's: the rest was split, merged or redeemed."""
    if size_e6 > holding.size_e6:
        holding.entry_e6 += (size_e6 - holding.size_e6) * _HALF_E6 // MICRO
    elif size_e6 < holding.size_e6:
        gone = holding.size_e6 - size_e6
        cost = holding.average_e6 * gone // MICRO
        payout = holding.market.payout_e6(holding.is_yes)
        worth = _HALF_E6 if payout is None else payout
        holding.realised_e6 += worth * gone // MICRO - cost
        holding.entry_e6 -= cost
    holding.size_e6 = size_e6
