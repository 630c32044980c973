"""What the venue says about its markets beyond trading: events, series, rules, numbers for people. Pure.

A market that nobody described before it was listed (a recording) is an event of its own.
"""

import hashlib
from collections.abc import Iterator

import msgspec

from clawswarm.sandbox.exchange.markets import ListedMarket

_FIRST_ID = 3_000_000


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A series of events that follow each other."""

    slug: str
    title: str
    recurrence: str


class EventListing(msgspec.Struct, eq=False, kw_only=True):
    """One event; `price_to_beat` and `final_price` are decimal texts, None until they are known.

    `start_ms` is when its window starts, None for an event without one; trading starts with the listing.
    """

    slug: str
    title: str
    end_ms: int
    start_ms: int | None = None
    description: str = ""
    resolution_source: str = ""
    series: Series | None = None
    tags: tuple[str, ...] = ()
    neg_risk_id: str = ""
    price_to_beat: str | None = None
    final_price: str | None = None
    id: str = ""
    markets: list["MarketListing"] = []


class MarketListing(msgspec.Struct, eq=False, kw_only=True):
    """One market's place in the catalog."""

    id: str
    market: ListedMarket
    event: EventListing
    group_title: str = ""


class Catalog:
    """All events and markets, oldest first; ids are numbers that grow."""

    def __init__(self) -> None:
        self.events: dict[str, EventListing] = {}
        self.by_condition: dict[str, MarketListing] = {}
        self._next_event = self._next_market = _FIRST_ID
        self._series_ids: dict[str, str] = {}

    def describe(self, market: ListedMarket, event: EventListing, group_title: str = "") -> None:
        """Put a market into an event, before it is listed."""
        if not event.id:
            event.id = str(self._next_event)
            self._next_event += 1
            self.events[event.id] = event
        listing = MarketListing(
            id=str(self._next_market), market=market, event=event, group_title=group_title
        )
        self._next_market += 1
        event.markets.append(listing)
        self.by_condition[market.condition_id] = listing

    def note(self, market: ListedMarket) -> None:
        """A market was listed."""
        if market.condition_id in self.by_condition:
            return
        event = EventListing(
            slug=market.slug,
            title=market.question,
            end_ms=market.end_ms,
            description=(
                f"Replay of a recorded {market.underlying} market in the sandbox. This market will resolve to "
                f'"Up" if the {market.underlying} price at the end of the time range specified in the title is '
                "greater than or equal to the price at the beginning of that range. The resolution source is the "
                "Chainlink data stream, as the recording or its synthetic reference tells it."
            ),
            tags=("Crypto", "Up or Down", market.underlying),
        )
        self.describe(market, event)

    def markets(self) -> Iterator[MarketListing]:
        """Every market, in the order of their ids."""
        return iter(self.by_condition.values())

    def series_id(self, series: Series) -> str:
        """Number of a series: the same in every run."""
        known = self._series_ids.get(series.slug)
        if known is None:
            digest = hashlib.sha256(f"series:{series.slug}".encode()).digest()
            known = self._series_ids[series.slug] = str(10_000 + int.from_bytes(digest[:3], "big"))
        return known
