"""One unified book in the YES frame: price-time priority queues and their aggregates.

A NO order at p stands here as a YES order at 1 − p on the other side, so complementary, mint and merge
matches are all the same crossing of one price axis (polymarket.md §3.8).
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

import msgspec

from clawswarm.sandbox.exchange.accounts import Account, Leg
from clawswarm.sandbox.exchange.markets import ListedMarket


class Order(msgspec.Struct, eq=False, gc=True):
    """One accepted order. `price_e4` is in its token's frame, `yes_price_e4` and `is_bid` in the YES frame.

    `budget_e6` is set for a market BUY, which is sized in pUSD: its `size_e6` is what the limit price buys.
    `locked_e6` is what the account reserves for it now.
    """

    id: str
    account: Account
    owner: str
    market: ListedMarket
    is_yes: bool
    is_buy: bool
    price_e4: int
    size_e6: int
    order_type: str
    created_ns: int
    expires_s: int = 0
    budget_e6: int | None = None
    is_post_only: bool = False
    remaining_e6: int = 0
    matched_e6: int = 0
    locked_e6: int = 0
    status: str = "LIVE"
    trade_ids: list[str] = []

    @property
    def is_bid(self) -> bool:
        """Side in the YES frame."""
        return self.is_buy == self.is_yes

    @property
    def yes_price_e4(self) -> int:
        """Price in the YES frame."""
        return self.price_e4 if self.is_yes else 10_000 - self.price_e4

    @property
    def token(self) -> str:
        """The token it trades."""
        return self.market.yes_token if self.is_yes else self.market.no_token

    @property
    def side(self) -> str:
        """The venue's word for its side."""
        return "BUY" if self.is_buy else "SELL"

    @property
    def spends(self) -> str:
        """What it gives: its token, or "" for pUSD."""
        return "" if self.is_buy else self.token

    def leg(self, yes_price_e4: int) -> Leg:
        """This order's side of a fill at a YES-frame price."""
        price = yes_price_e4 if self.is_yes else 10_000 - yes_price_e4
        return Leg(account=self.account, token=self.token, is_buy=self.is_buy, price_e4=price)


class Level:
    """All orders at one price of one side, oldest first, and their sum."""

    __slots__ = ("orders", "price_e4", "total_e6")

    def __init__(self, price_e4: int) -> None:
        self.price_e4 = price_e4
        self.total_e6 = 0
        self.orders: dict[str, Order] = {}


class BookSide:
    """The levels of one side; `best` is the highest bid or the lowest ask."""

    def __init__(self, is_bid: bool) -> None:
        self.is_bid = is_bid
        self.levels: dict[int, Level] = {}
        self._prices: list[int] = []

    def best(self) -> Level | None:
        """The touch, None when the side is empty."""
        if not self._prices:
            return None
        return self.levels[self._prices[-1 if self.is_bid else 0]]

    def best_first(self) -> Iterator[Level]:
        """Levels from the touch outwards."""
        for price in reversed(self._prices) if self.is_bid else self._prices:
            yield self.levels[price]

    def crosses(self, level: Level, limit_e4: int) -> bool:
        """Whether an opposite order with this limit would trade with the level."""
        return level.price_e4 >= limit_e4 if self.is_bid else level.price_e4 <= limit_e4

    def add(self, order: Order) -> Level:
        """Join the back of the order's level."""
        price = order.yes_price_e4
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = Level(price)
            insort(self._prices, price)
        level.orders[order.id] = order
        level.total_e6 += order.remaining_e6
        return level

    def reduce(self, order: Order, size_e6: int) -> int:
        """Take `size_e6` off an order, drop it at zero; return the level's new aggregate."""
        price = order.yes_price_e4
        level = self.levels[price]
        order.remaining_e6 -= size_e6
        level.total_e6 -= size_e6
        if order.remaining_e6 == 0:
            del level.orders[order.id]
            if not level.orders:
                del self.levels[price]
                del self._prices[bisect_left(self._prices, price)]
        return level.total_e6


class UnifiedBook:
    """Both sides of one market."""

    def __init__(self) -> None:
        self.bids = BookSide(is_bid=True)
        self.asks = BookSide(is_bid=False)

    def side(self, is_bid: bool) -> BookSide:
        """The side that bids or asks stand on."""
        return self.bids if is_bid else self.asks

    def aggregates(self) -> dict[tuple[bool, int], int]:
        """(is_bid, price) → size of every level."""
        return {
            (side.is_bid, price): level.total_e6
            for side in (self.bids, self.asks)
            for price, level in side.levels.items()
        }

    def is_crossed(self) -> bool:
        """Whether a bid stands at or above an ask: never, after any operation."""
        bid, ask = self.bids.best(), self.asks.best()
        return bid is not None and ask is not None and bid.price_e4 >= ask.price_e4
