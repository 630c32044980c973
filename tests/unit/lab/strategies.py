"""Strategies of the lab's sanity checks."""

from collections.abc import Sequence

from clawswarm.agents.quoter.strategy import MarketView, TargetQuote, quote_pair
from clawswarm.lab.flows import FairPath

FORESIGHT_NS = 100_000_000


class Nothing:
    """Never quotes."""

    def quotes(self, view: MarketView) -> Sequence[TargetQuote]:
        return []


class JoinTheTouch:
    """Always at the best bid and the best ask, whatever it holds."""

    def quotes(self, view: MarketView) -> Sequence[TargetQuote]:
        return quote_pair(view, view.book.bid_e4, view.book.ask_e4)


class Foresight:
    """Joins the touch only where the middle in 100 ms leaves it a gain: half a tick, a whole one to add risk."""

    def __init__(self, fair: FairPath) -> None:
        self.fair = fair

    def quotes(self, view: MarketView) -> Sequence[TargetQuote]:
        book, net_e6 = view.book, view.inventory.net_e6
        if book.bid_e4 is None or book.ask_e4 is None:
            return []
        soon = self.fair.at(view.now_ns + FORESIGHT_NS)
        is_bid = soon - 2 * book.bid_e4 >= (1 if net_e6 < 0 else 2) * book.tick_e4
        is_ask = 2 * book.ask_e4 - soon >= (1 if net_e6 > 0 else 2) * book.tick_e4
        return quote_pair(view, book.bid_e4 if is_bid else None, book.ask_e4 if is_ask else None)
