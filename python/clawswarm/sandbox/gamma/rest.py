"""The metadata service: markets, events, series and tags (polymarket.md §11.1), under a prefix of its own.

The live service is another host; here its base address ends in `/gamma`.
"""

from collections.abc import Callable

from aiohttp import web

from clawswarm.sandbox.exchange.book import UnifiedBook
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.gamma import query as asked
from clawswarm.sandbox.gamma.catalog import EventListing, MarketListing
from clawswarm.sandbox.gamma.objects import Record, event_object, market_object, tag_object
from clawswarm.sandbox.gamma.query import Query, page_asked, page_of
from clawswarm.sandbox.rest.wire import answer
from clawswarm.sandbox.venue import Venue

PREFIX = "/gamma"

_MARKET_KEYS: dict[str, Callable[[MarketListing], float | str]] = {
    "id": lambda listing: int(listing.id),
    "slug": lambda listing: listing.market.slug,
    "startDate": lambda listing: listing.market.listed_ns,
    "endDate": lambda listing: listing.market.end_ms,
    "createdAt": lambda listing: listing.market.listed_ns,
    "updatedAt": lambda listing: listing.market.updated_ns,
    "volumeNum": lambda listing: listing.market.volume_e6,
    "volume24hr": lambda listing: listing.market.volume_e6,
}
_EVENT_KEYS: dict[str, Callable[[EventListing], float | str]] = {
    "id": lambda event: int(event.id),
    "slug": lambda event: event.slug,
    "startDate": lambda event: event.markets[0].market.listed_ns,
    "startTime": lambda event: event.start_ms or 0,
    "endDate": lambda event: event.end_ms,
    "volume": lambda event: sum(listing.market.volume_e6 for listing in event.markets),
}


class GammaRest:
    """Handlers of the metadata service."""

    def __init__(self, venue: Venue) -> None:
        self._catalog = venue.catalog
        self._books = venue.exchange.books

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [
            web.get(f"{PREFIX}/markets", self.markets),
            web.get(f"{PREFIX}/markets/keyset", self.markets_keyset),
            web.get(f"{PREFIX}/markets/slug/{{slug}}", self.market),
            web.get(f"{PREFIX}/markets/{{id}}", self.market),
            web.get(f"{PREFIX}/markets/{{id}}/tags", self.market_tags),
            web.get(f"{PREFIX}/events", self.events),
            web.get(f"{PREFIX}/events/keyset", self.events_keyset),
            web.get(f"{PREFIX}/events/slug/{{slug}}", self.event),
            web.get(f"{PREFIX}/events/{{id}}", self.event),
            web.get(f"{PREFIX}/events/{{id}}/tags", self.event_tags),
        ]

    async def markets(self, request: web.Request) -> web.Response:
        """A page by offset: a bare array."""
        return answer(self._market_page(list(request.query.items()))[0])

    async def markets_keyset(self, request: web.Request) -> web.Response:
        """A page by cursor."""
        records, cursor = self._market_page(list(request.query.items()))
        return answer(_keyset("markets", records, cursor))

    async def market(self, request: web.Request) -> web.Response:
        """One market by number or slug."""
        return answer(self._market_object(self._market(request)))

    async def market_tags(self, request: web.Request) -> web.Response:
        """Tags of a market."""
        return answer([tag_object(tag) for tag in self._market(request).event.tags])

    async def events(self, request: web.Request) -> web.Response:
        """A page by offset: a bare array."""
        return answer(self._event_page(list(request.query.items()))[0])

    async def events_keyset(self, request: web.Request) -> web.Response:
        """A page by cursor."""
        records, cursor = self._event_page(list(request.query.items()))
        return answer(_keyset("events", records, cursor))

    async def event(self, request: web.Request) -> web.Response:
        """One event with its markets, by number or slug."""
        return answer(self._event_object(self._event(request)))

    async def event_tags(self, request: web.Request) -> web.Response:
        """Tags of an event."""
        return answer([tag_object(tag) for tag in self._event(request).tags])

    # --- inside ---------------------------------------------------------------------------------

    def _book(self, market: ListedMarket) -> UnifiedBook:
        return self._books[market.condition_id]

    def _market_object(self, listing: MarketListing) -> Record:
        return market_object(listing, self._book, self._catalog, is_nested=False)

    def _event_object(self, event: EventListing) -> Record:
        return event_object(event, self._book, self._catalog, is_nested=False)

    def _market(self, request: web.Request) -> MarketListing:
        wanted = request.match_info
        for listing in self._catalog.markets():
            if wanted.get("id") == listing.id or wanted.get("slug") == listing.market.slug:
                return listing
        raise VenueRefusal(404, "id not found" if "id" in wanted else "slug not found")

    def _event(self, request: web.Request) -> EventListing:
        wanted = request.match_info
        for event in self._catalog.events.values():
            if wanted.get("id") == event.id or wanted.get("slug") == event.slug:
                return event
        raise VenueRefusal(404, "id not found" if "id" in wanted else "slug not found")

    def _market_page(self, query: Query) -> tuple[list[Record], str | None]:
        wanted = _market_filter(query)
        found = [listing for listing in self._catalog.markets() if wanted(listing)]
        page, cursor = page_of(found, page_asked(query), lambda listing: int(listing.id), _MARKET_KEYS)
        return [self._market_object(listing) for listing in page], cursor

    def _event_page(self, query: Query) -> tuple[list[Record], str | None]:
        wanted = _event_filter(query, self._series_ids())
        found = [event for event in self._catalog.events.values() if wanted(event)]
        page, cursor = page_of(found, page_asked(query), lambda event: int(event.id), _EVENT_KEYS)
        return [self._event_object(event) for event in page], cursor

    def _series_ids(self) -> dict[str, str]:
        known = {event.series.slug: event.series for event in self._catalog.events.values() if event.series}
        return {slug: self._catalog.series_id(series) for slug, series in known.items()}


def _keyset(name: str, records: list[Record], cursor: str | None) -> Record:
    body: Record = {name: records}
    if cursor is not None:
        body["next_cursor"] = cursor
    return body


def _within(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _market_filter(query: Query) -> Callable[[MarketListing], bool]:
    ids, slugs = asked.values(query, "id"), asked.values(query, "slug")
    conditions = asked.values(query, "condition_ids")
    tokens = asked.values(query, "clob_token_ids")
    questions = asked.values(query, "question_ids")
    closed, active, archived = (asked.flag(query, name) for name in ("closed", "active", "archived"))
    tag = asked.values(query, "tag_id")
    ends = asked.instant_ms(query, "end_date_min"), asked.instant_ms(query, "end_date_max")
    starts = asked.instant_ms(query, "start_date_min"), asked.instant_ms(query, "start_date_max")
    volumes = asked.number(query, "volume_num_min"), asked.number(query, "volume_num_max")

    def is_wanted(listing: MarketListing) -> bool:
        market = listing.market
        return (
            # First: most of a long run's markets are closed.
            (closed is None or closed is not market.is_open)
            and (not ids or listing.id in ids)
            and (not slugs or market.slug in slugs)
            and (not conditions or market.condition_id in conditions)
            and (not tokens or market.yes_token in tokens or market.no_token in tokens)
            and (not questions or market.question_id in questions)
            and active is not False
            and archived is not True
            and (not tag or any(tag_object(label)["id"] in tag for label in listing.event.tags))
            and _within(market.end_ms, *ends)
            and _within(market.listed_ns / 1_000_000, *starts)
            and _within(market.volume_e6 / 1_000_000, *volumes)
        )

    return is_wanted


def _event_filter(query: Query, series_ids: dict[str, str]) -> Callable[[EventListing], bool]:
    ids, slugs = asked.values(query, "id"), asked.values(query, "slug")
    closed, active, archived = (asked.flag(query, name) for name in ("closed", "active", "archived"))
    tag_ids, tag_slugs = asked.values(query, "tag_id"), asked.values(query, "tag_slug")
    series, series_slugs = asked.values(query, "series_id"), asked.values(query, "series_slug")
    ends = asked.instant_ms(query, "end_date_min"), asked.instant_ms(query, "end_date_max")
    starts = asked.instant_ms(query, "start_time_min"), asked.instant_ms(query, "start_time_max")

    def is_wanted(event: EventListing) -> bool:
        tags = [tag_object(label) for label in event.tags]
        own = event.series.slug if event.series is not None else ""
        is_closed = not any(listing.market.is_open for listing in event.markets)
        return (
            (not ids or event.id in ids)
            and (not slugs or event.slug in slugs)
            and (closed is None or closed is is_closed)
            and active is not False
            and archived is not True
            and (not tag_ids or any(tag["id"] in tag_ids for tag in tags))
            and (not tag_slugs or any(tag["slug"] in tag_slugs for tag in tags))
            and (not series or series_ids.get(own) in series)
            and (not series_slugs or own in series_slugs)
            and _within(event.end_ms, *ends)
            and (starts == (None, None) or (event.start_ms is not None and _within(event.start_ms, *starts)))
        )

    return is_wanted
