"""What the exchange reports; streams and records are made from these and from nothing else.

Each event carries the values at its own instant, since an order may change again within one call.
"""

import msgspec

from clawswarm.sandbox.exchange.accounts import Settlement
from clawswarm.sandbox.exchange.book import Order
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.refusals import VenueRefusal


class MakerFill(msgspec.Struct, frozen=True, eq=False):
    """One resting order's part of a trade; price in that order's token."""

    order: Order
    size_e6: int
    price_e4: int


class Trade(msgspec.Struct, eq=False):
    """One taker order against one price level. `status`, `updated_ns` and `tx_hash` follow settlement."""

    id: str
    taker: Order
    market: ListedMarket
    price_e4: int
    size_e6: int
    fee_e6: int
    makers: tuple[MakerFill, ...]
    matched_ns: int
    tx_hash: str
    settlement: Settlement
    status: str = "MATCHED"
    updated_ns: int = 0


class OrderChanged(msgspec.Struct, frozen=True, eq=False):
    """`kind` is the venue's word: PLACEMENT, UPDATE or CANCELLATION."""

    kind: str
    order: Order
    matched_e6: int
    status: str
    at_ns: int


class LevelChanged(msgspec.Struct, frozen=True, eq=False):
    """New aggregate of one YES-frame level; `origin_is_yes` is the token of the order that changed it.

    `trade` is set when a trade consumed the level.
    """

    market: ListedMarket
    is_bid: bool
    price_e4: int
    size_e6: int
    origin_is_yes: bool
    at_ns: int
    trade: Trade | None = None


class TradeUpdated(msgspec.Struct, frozen=True, eq=False):
    """A trade reached a status."""

    trade: Trade
    status: str
    at_ns: int


class TickChanged(msgspec.Struct, frozen=True, eq=False):
    """A market trades in other steps from now on."""

    market: ListedMarket
    old_e4: int
    new_e4: int
    at_ns: int


class MarketListed(msgspec.Struct, frozen=True, eq=False):
    """A market opened."""

    market: ListedMarket
    at_ns: int


class AcceptanceChanged(msgspec.Struct, frozen=True, eq=False):
    """A market paused, or takes orders again; nothing of it is on the wire but refusals."""

    market: ListedMarket
    accepts_orders: bool
    at_ns: int


class MarketClosed(msgspec.Struct, frozen=True, eq=False):
    """A market closed for good; `market.winner` is None until it resolves."""

    market: ListedMarket
    at_ns: int


class MarketResolved(msgspec.Struct, frozen=True, eq=False):
    """The outcome of a closed market is known: its tokens can be redeemed."""

    market: ListedMarket
    at_ns: int


class DelayEnded(msgspec.Struct, frozen=True, eq=False):
    """A held order was entered (`refusal` None) or thrown out when its checks ran again; no public event."""

    order: Order
    trades: tuple[Trade, ...]
    money_e6: int
    refusal: VenueRefusal | None
    at_ns: int


MarketEvent = LevelChanged | TickChanged | MarketListed | AcceptanceChanged | MarketClosed | MarketResolved
"""What concerns a market and everyone in it."""

Event = OrderChanged | TradeUpdated | MarketEvent
