"""Fills and marks → profit since the account's first fill. Pure.

    profit = Σ over markets (cash + net shares × mark) − fees,  cash = −Σ side·price·size in the YES frame

A fill counts once, and no more once its settlement has failed. The mark is the last microprice that a valid book
showed, else the price of the market's last fill. What all is worth is kept as a sum in whole numbers, since it is
asked for many times a second and markets that were ever traded are many.
"""

import msgspec

from clawswarm.model.messages import BookState, Evidence, Fill, FillKey
from clawswarm.model.units import PRICE_ONE_E4

_ONE_E10 = 10**10


class _Holding(msgspec.Struct):
    """Net YES shares of one market in 1e-6, and the price that values them in 1e-10 USD."""

    net_e6: int = 0
    mark_e10: int = 0
    is_marked_by_book: bool = False


class Equity:
    """Positions, cash and marks of one account; money in 1e-6 USD."""

    def __init__(self) -> None:
        self._cash_e16 = 0
        self._fees_e6 = 0
        self._holdings: dict[str, _Holding] = {}
        self._worth_e16 = 0
        self._counted: set[FillKey] = set()

    def take_fill(self, fill: Fill) -> None:
        """One of our orders traded, or its settlement went on."""
        was_counted, is_real = fill.key in self._counted, fill.evidence is not Evidence.FAILED
        if was_counted == is_real:
            return
        self._counted ^= {fill.key}
        sign = 1 if is_real else -1
        signed_e6 = sign * fill.side.sign * fill.size_e6
        price_e10 = fill.price_e4 * (_ONE_E10 // PRICE_ONE_E4)
        self._cash_e16 -= signed_e6 * price_e10
        self._fees_e6 += sign * fill.fee_e6
        holding = self._holdings.setdefault(fill.market, _Holding())
        mark_e10 = holding.mark_e10 if holding.is_marked_by_book else price_e10
        self._value(holding, holding.net_e6 + signed_e6, mark_e10)

    def take_book(self, book: BookState) -> None:
        """A market's newest state."""
        if book.is_valid and book.microprice is not None:
            holding = self._holdings.setdefault(book.market, _Holding())
            holding.is_marked_by_book = True
            self._value(holding, holding.net_e6, round(book.microprice * _ONE_E10))

    def profit_e6(self) -> int:
        """Profit, marked to the last book; 1e-6 USD."""
        return round((self._cash_e16 + self._worth_e16) / _ONE_E10) - self._fees_e6

    def _value(self, holding: _Holding, net_e6: int, mark_e10: int) -> None:
        self._worth_e16 += net_e6 * mark_e10 - holding.net_e6 * holding.mark_e10
        holding.net_e6, holding.mark_e10 = net_e6, mark_e10
