"""The public book of one market as the venue writes it: both tokens' levels as text, and their hashes.

The unified book makes the NO token's bids the mirror of the YES asks, level by level and in the same order
(worst first), so each level keeps two fragments and a hash joins them: about 10 µs for 100 levels a side.
Hash: SHA-1 of the compact JSON with `hash` empty (polymarket.md §3.6, recorded-data.md facts 1 to 3).
"""

import hashlib
from bisect import bisect_left

from clawswarm.model.units import PRICE_ONE_E4, format_e6, format_price
from clawswarm.sandbox.exchange.markets import ListedMarket

Touch = tuple[int | None, int | None]
"""(best bid, best ask) in 1e-4, None for an empty side."""


class _SideText:
    """Levels of one YES-frame side, ascending `order` key, with the text of each in both tokens' terms."""

    __slots__ = ("_joined", "is_bid", "keys", "no", "sizes", "yes")

    def __init__(self, is_bid: bool) -> None:
        self.is_bid = is_bid
        self.keys: list[int] = []
        self.sizes: list[int] = []
        self.yes: list[str] = []
        self.no: list[str] = []
        self._joined: dict[bool, str] = {}

    def text(self, is_yes: bool) -> str:
        """JSON array of the levels in one token's terms."""
        joined = self._joined.get(is_yes)
        if joined is None:
            joined = self._joined[is_yes] = f"[{','.join(self.yes if is_yes else self.no)}]"
        return joined

    def set(self, price_e4: int, size_e6: int) -> None:
        self._joined.clear()
        # Worst first: bids ascend, asks descend.
        key = price_e4 if self.is_bid else -price_e4
        at = bisect_left(self.keys, key)
        is_known = at < len(self.keys) and self.keys[at] == key
        if size_e6 == 0:
            if is_known:
                del self.keys[at], self.sizes[at], self.yes[at], self.no[at]
            return
        size = format_e6(size_e6)
        yes = f'{{"price":"{format_price(price_e4)}","size":"{size}"}}'
        no = f'{{"price":"{format_price(PRICE_ONE_E4 - price_e4)}","size":"{size}"}}'
        if is_known:
            self.sizes[at], self.yes[at], self.no[at] = size_e6, yes, no
        else:
            self.keys.insert(at, key)
            self.sizes.insert(at, size_e6)
            self.yes.insert(at, yes)
            self.no.insert(at, no)

    def best_e4(self) -> int | None:
        """Price of the touch in the YES frame."""
        return abs(self.keys[-1]) if self.keys else None


class BookText:
    """Follows one market's levels; renders hashes and level lists of either token."""

    def __init__(self, market: ListedMarket) -> None:
        self.market = market
        # Its own copy: the exchange is ahead of the events while they are written.
        self.last_trade_e4 = market.last_trade_e4
        self._bids = _SideText(is_bid=True)
        self._asks = _SideText(is_bid=False)
        self._touch: Touch = (None, None)
        self._opening = {
            is_yes: f'{{"market":"{market.condition_id}","asset_id":"{market.token(is_yes)}","timestamp":"'
            for is_yes in (True, False)
        }
        self._terms: tuple[int, int | None] | None = None
        self._closing = ""

    def set_level(self, is_bid: bool, price_e4: int, size_e6: int) -> None:
        """Apply the new aggregate of a YES-frame level."""
        (self._bids if is_bid else self._asks).set(price_e4, size_e6)
        self._touch = self._bids.best_e4(), self._asks.best_e4()

    def touch(self, is_yes: bool) -> Touch:
        """(best bid, best ask) in the token's own frame."""
        return self._touch if is_yes else mirrored_touch(self._touch)

    def levels(self, is_yes: bool) -> tuple[str, str]:
        """JSON arrays of bids and asks of a token, worst first."""
        bids, asks = (self._bids, self._asks) if is_yes else (self._asks, self._bids)
        return bids.text(is_yes), asks.text(is_yes)

    def last_trade_text(self) -> str:
        """Price of the last trade in the resting order's token with at least 3 decimals, "" before the first."""
        return "" if self.last_trade_e4 is None else price_with_decimals(self.last_trade_e4)

    def hash(self, is_yes: bool, timestamp_ms: int) -> str:
        """The book hash of a token at a time."""
        return _digest(*self._around_hash(is_yes, timestamp_ms))

    def summary(self, is_yes: bool, timestamp_ms: int) -> tuple[str, str]:
        """(hash, the JSON object of GET /book carrying it)."""
        head, tail = self._around_hash(is_yes, timestamp_ms)
        digest = _digest(head, tail)
        return digest, f"{head}{digest}{tail}"

    def _around_hash(self, is_yes: bool, timestamp_ms: int) -> tuple[str, str]:
        market, terms = self.market, (self.market.tick_e4, self.last_trade_e4)
        if terms != self._terms:
            self._terms = terms
            self._closing = (
                f',"min_order_size":"{format_e6(market.min_size_e6)}",'
                f'"tick_size":"{format_price(market.tick_e4)}",'
                f'"neg_risk":{"true" if market.neg_risk else "false"},'
                f'"last_trade_price":"{self.last_trade_text()}"}}'
            )
        bids, asks = self.levels(is_yes)
        head = f'{self._opening[is_yes]}{timestamp_ms}","hash":"'
        return head, f'","bids":{bids},"asks":{asks}{self._closing}'


def _digest(head: str, tail: str) -> str:
    return hashlib.sha1((head + tail).encode(), usedforsecurity=False).hexdigest()


def mirrored_touch(touch: Touch) -> Touch:
    """(best bid, best ask) in the other token's frame."""
    bid, ask = touch
    return None if ask is None else PRICE_ONE_E4 - ask, None if bid is None else PRICE_ONE_E4 - bid


def price_with_decimals(price_e4: int) -> str:
    """Price with three decimals, four where it needs them."""
    text = f"{price_e4 // PRICE_ONE_E4}.{price_e4 % PRICE_ONE_E4:04d}"
    return text[:-1] if text.endswith("0") else text
