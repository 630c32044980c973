"""Markets, tokens and touches as the public routes look them up, with the venue's refusals."""

from clawswarm.model.units import MICRO, PRICE_ONE_E4, format_price
from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.identity.keys import is_uint
from clawswarm.sandbox.streams.book_text import BookText
from clawswarm.sandbox.venue import Venue

_CONDITION_LENGTH = 66

Listed = tuple[ListedMarket, bool]
"""An open market, and whether the token asked for is its first outcome."""


class Lookup:
    """Finds what a public request names."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def token(self, token: str) -> Listed:
        """Open market of a token: 400 for no number, 404 for an unknown one."""
        if not is_uint(token):
            raise refusals.invalid_token()
        return self._venue.exchange.market_of(token)

    def known(self, token: str) -> Listed | None:
        """Open market of a token, None when there is none."""
        found = self._venue.exchange.tokens.get(token)
        return found if found is not None and found[0].is_open else None

    def condition(self, condition_id: str) -> ListedMarket:
        """Market of a condition id: 404 for an unknown one, 400 for anything else."""
        market = self._venue.exchange.markets.get(condition_id)
        if market is None:
            is_shaped = condition_id.startswith("0x") and len(condition_id) == _CONDITION_LENGTH
            raise refusals.market_not_found() if is_shaped else refusals.invalid_market()
        return market

    def text(self, market: ListedMarket) -> BookText:
        """The book as it is written."""
        return self._venue.market_hub.frames.books[market.condition_id]

    def touch(self, listed: Listed) -> tuple[int | None, int | None]:
        """(best bid, best ask) of a token."""
        market, is_yes = listed
        return self.text(market).touch(is_yes)

    def mids(self, market: ListedMarket) -> tuple[float, float]:
        """Prices of both outcomes: the middle, or 1 and 0 after the end."""
        yes, no = market.payout_e6(is_yes=True), market.payout_e6(is_yes=False)
        if yes is not None and no is not None:
            return yes / MICRO, no / MICRO
        bid, ask = self.text(market).touch(is_yes=True)
        middle = ((bid or 0) + (PRICE_ONE_E4 if ask is None else ask)) // 2
        return float(format_price(middle)), float(format_price(PRICE_ONE_E4 - middle))
