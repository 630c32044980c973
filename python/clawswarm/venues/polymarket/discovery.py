"""Which markets there are and when they trade: Gamma's records → Listing (polymarket.md §11.1).

Gamma writes arrays inside strings, times in several formats, and leaves out what it does not know; a record that
is no tradable binary market is a WireFault with the reason, so that one odd market never hides the others.
"""

from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import msgspec
import structlog

from clawswarm.model.errors import Retry, WireFault
from clawswarm.model.instruments import Market
from clawswarm.model.units import MICRO, PRICE_ONE_E4, parse_scaled
from clawswarm.venues.polymarket.wire import UNREADABLE

PAGE = 100
MOST_PAGES = 50
log = structlog.get_logger()

_NO_FIRST = frozenset({"No", "Down"})
_COINS = {
    "bitcoin": "BTC",
    "ethereum": "ETH",
    "solana": "SOL",
    "dogecoin": "DOGE",
    "hyperliquid": "HYPE",
}


class GammaEvent(msgspec.Struct, frozen=True, rename="camel"):
    """The part of an event that a market repeats."""

    id: str | int = ""
    slug: str = ""
    series_slug: str | None = None


class GammaMarket(msgspec.Struct, frozen=True, rename="camel"):
    """One market as Gamma writes it; None is what the record leaves out."""

    id: str | int
    slug: str = ""
    question: str = ""
    condition_id: str = ""
    outcomes: str | list[str] | None = None
    clob_token_ids: str | list[str] | None = None
    order_price_min_tick_size: float | str | None = None
    order_min_size: float | str | None = None
    neg_risk: bool | None = None
    neg_risk_market_id: str | None = msgspec.field(default=None, name="negRiskMarketID")
    active: bool | None = None
    closed: bool | None = None
    accepting_orders: bool | None = None
    enable_order_book: bool | None = None
    start_date: str | None = None
    end_date: str | None = None
    event_start_time: str | None = None
    description: str | None = None
    resolution_source: str | None = None
    events: list[GammaEvent] | None = None


class _Page(msgspec.Struct, frozen=True):
    markets: list[msgspec.Raw]
    next_cursor: str | None = None


_decode_page = msgspec.json.Decoder(_Page).decode
_decode_market = msgspec.json.Decoder(GammaMarket).decode
_decode_strings = msgspec.json.Decoder(list[str]).decode


class Listing(msgspec.Struct, frozen=True):
    """A market and its window: `starts_ms` is when the window begins, None for a market without one.

    Trading begins with the listing, long before the window; orders are refused from `market.closes_ms` on.
    """

    market: Market
    starts_ms: int | None
    series: str | None
    resolution_source: str
    description: str


def read_market(record: bytes | msgspec.Raw) -> Listing:
    """Translate one record. Raises WireFault when it is unreadable or no binary market with an order book."""
    try:
        found = _decode_market(record)
    except UNREADABLE as fault:
        raise WireFault(f"Gamma market: {fault}") from fault
    outcomes = _strings(found.outcomes, "outcomes")
    tokens = _strings(found.clob_token_ids, "clobTokenIds")
    if len(outcomes) != 2 or len(tokens) != 2 or not all(tokens):
        raise WireFault(f"market {found.slug} has {len(outcomes)} outcomes and {len(tokens)} tokens")
    if not found.condition_id:
        raise WireFault(f"market {found.slug} has no condition id yet")
    if outcomes[0] in _NO_FIRST:
        tokens = tokens[::-1]
    event = found.events[0] if found.events else GammaEvent()
    is_neg_risk = found.neg_risk is True
    return Listing(
        market=Market(
            condition_id=found.condition_id,
            slug=found.slug,
            underlying=_underlying(found.slug, event.slug, is_neg_risk),
            yes_token=tokens[0],
            no_token=tokens[1],
            tick_e4=_tick_e4(found),
            min_size_e6=_exact(found.order_min_size, MICRO, f"minimum size of {found.slug}"),
            neg_risk=is_neg_risk,
            is_open=bool(found.active and not found.closed and found.accepting_orders),
            closes_ms=read_time_ms(found.end_date),
        ),
        starts_ms=read_time_ms(found.event_start_time),
        series=event.series_slug,
        resolution_source=found.resolution_source or "",
        description=found.description or "",
    )


async def list_open_markets(session: aiohttp.ClientSession, gamma_url: str) -> list[Listing]:
    """Every binary market that is not closed; others are left out.

    Raises Retry when the service does not answer, WireFault on nonsense or a cursor that never ends.
    """
    listings: list[Listing] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await _page(session, gamma_url, cursor)
        for record in page.markets:
            try:
                listings.append(read_market(record))
            except WireFault as fault:
                log.debug("market.left_out", reason=str(fault))
        if page.next_cursor is None:
            return listings
        if page.next_cursor == cursor:
            break
        cursor = page.next_cursor
    raise WireFault(f"GET /markets/keyset went on for {MOST_PAGES} pages or gave the same cursor twice")


async def _page(session: aiohttp.ClientSession, gamma_url: str, cursor: str | None) -> _Page:
    query = {"closed": "false", "limit": str(PAGE)}
    if cursor is not None:
        query["after_cursor"] = cursor
    try:
        async with session.get(f"{gamma_url}/markets/keyset", params=query) as answer:
            body = await answer.read()
            if answer.status != 200:
                raise Retry(f"GET /markets/keyset answered {answer.status}")
    except (aiohttp.ClientError, TimeoutError) as fault:
        raise Retry(f"GET /markets/keyset failed: {fault!r}") from fault
    try:
        return _decode_page(body)
    except UNREADABLE as fault:
        raise WireFault(f"GET /markets/keyset: {fault}") from fault


def read_time_ms(text: str | None) -> int | None:
    """A time in any of the service's formats, None when there is none. Raises WireFault."""
    if not text:
        return None
    try:
        # "2026-07-24 00:05:18+00": Python wants minutes in the offset before 3.12.
        whole = f"{text}:00" if len(text) > 3 and text[-3] in "+-" and ":" in text else text
        date = datetime.fromisoformat(whole)
        return round((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
    except ValueError as fault:
        raise WireFault(f"{text!r} is no ISO time") from fault


def _underlying(slug: str, event_slug: str, is_neg_risk: bool) -> str:
    """What moves the market: a coin by its name, all outcomes of a neg-risk event together, else the slug."""
    if is_neg_risk and event_slug:
        return event_slug
    first = slug.partition("-")[0]
    return _COINS.get(first, first.upper())


def _strings(value: str | list[str] | None, what: str) -> list[str]:
    if value is None or value == "":
        return []
    if isinstance(value, list):
        return value
    try:
        return _decode_strings(value)
    except UNREADABLE as fault:
        raise WireFault(f"Gamma market: {what} is {value!r}") from fault


def _tick_e4(found: GammaMarket) -> int:
    tick_e4 = _exact(found.order_price_min_tick_size, PRICE_ONE_E4, f"tick of {found.slug}")
    if not 0 < tick_e4 <= PRICE_ONE_E4 // 2 or PRICE_ONE_E4 % tick_e4:
        raise WireFault(
            f"market {found.slug} has tick {found.order_price_min_tick_size}, which does not divide 1"
        )
    return tick_e4


def _exact(number: float | str | None, scale: int, what: str) -> int:
    if number is None:
        raise WireFault(f"{what} is missing")
    return parse_scaled(f"{Decimal(str(number)):f}" if isinstance(number, float) else number, scale, what)
