"""Fills and marks → profit since the account's first fill. Pure.

    profit = Σ over markets (cash + net shares × mark) − fees,  cash = −Σ side·price·size in the YES frame

A fill counts once, and no more once its settlement has failed. The mark is the last microprice that a valid book
showed, else the price of the market's last fill.
"""

from clawswarm.model.messages import BookState, Evidence, Fill, FillKey
from clawswarm.model.units import PRICE_ONE_E4


class Equity:
    """Positions, cash and marks of one account; money in 1e-6 USD."""

    def __init__(self) -> None:
        self._cash_e10 = 0
        self._fees_e6 = 0
        self._net_e6: dict[str, int] = {}
        self._mark_e4: dict[str, float] = {}
        self._fill_e4: dict[str, int] = {}
        self._counted: set[FillKey] = set()

    def take_fill(self, fill: Fill) -> None:
        """One of our orders traded, or its settlement went on."""
        was_counted, is_real = fill.key in self._counted, fill.evidence is not Evidence.FAILED
        if was_counted == is_real:
            return
        self._counted ^= {fill.key}
        sign = 1 if is_real else -1
        signed_e6 = sign * fill.side.sign * fill.size_e6
        self._cash_e10 -= signed_e6 * fill.price_e4
        self._net_e6[fill.market] = self._net_e6.get(fill.market, 0) + signed_e6
        self._fill_e4[fill.market] = fill.price_e4
        self._fees_e6 += sign * fill.fee_e6

    def take_book(self, book: BookState) -> None:
        """A market's newest state."""
        if book.is_valid and book.microprice is not None:
            self._mark_e4[book.market] = book.microprice * PRICE_ONE_E4

    def profit_e6(self) -> int:
        """Profit, marked to the last book; 1e-6 USD."""
        held = sum(
            net * self._mark_e4.get(market, self._fill_e4[market]) for market, net in self._net_e6.items()
        )
        return round((self._cash_e10 + held) / PRICE_ONE_E4) - self._fees_e6
