"""Which markets there are and when they trade: Gamma's records → Listing (polymarket.md §11.1).

Gamma writes arrays inside strings, times in several formats, and leaves out what it does not know; a record that
is no tradable binary market is a WireFault with the reason, so that one odd market never hides the others.
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

import aiohttp
import msgspec
import structlog

from clawswarm.model.errors import Retry, WireFault
from clawswarm.model.instruments import Market, RewardTerms
from clawswarm.model.units import MICRO, PRICE_ONE_E4, parse_scaled
from clawswarm.venues.polymarket.settlement import read_settlement
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
    neg_risk_augmented: bool | None = None
    event_metadata: object = None


class GammaFees(msgspec.Struct, frozen=True, rename="camel"):
    """A market's fee schedule."""

    rate: float = 0.0
    rebate_rate: float = 0.0


class GammaRewards(msgspec.Struct, frozen=True, rename="camel"):
    """One source of a market's liquidity rewards."""

    rewards_daily_rate: float | None = None


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
    fees_enabled: bool | None = None
    fee_schedule: GammaFees | None = None
    rewards_min_size: float | None = None
    rewards_max_spread: float | None = None
    clob_rewards: list[GammaRewards] | None = None


class _Page(msgspec.Struct, frozen=True):
    markets: list[msgspec.Raw]
    next_cursor: str | None = None


_decode_page = msgspec.json.Decoder(_Page).decode
_decode_market = msgspec.json.Decoder(GammaMarket).decode
_decode_strings = msgspec.json.Decoder(list[str]).decode


class Listing(msgspec.Struct, frozen=True):
    """A market and its window: `starts_ms` is when the window begins, None for a market without one.

    Trading begins with the listing, long before the window; orders are refused from `market.closes_ms` on.
    `exclusive_event` names the event whose listed outcomes exclude each other and leave nothing out.
    """

    market: Market
    starts_ms: int | None
    series: str | None
    resolution_source: str
    description: str
    exclusive_event: str | None = None


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
    starts_ms = read_time_ms(found.event_start_time)
    settles = read_settlement(
        found.description or "",
        found.question,
        starts_ms,
        _strike_usd(event),
        is_up_down=set(outcomes) == {"Up", "Down"},
    )
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
            settlement=settles.rule,
            is_rule_known=settles.is_known,
            rebate_rate=_rebate_rate(found),
            rewards=_rewards(found),
        ),
        starts_ms=starts_ms,
        series=event.series_slug,
        resolution_source=found.resolution_source or "",
        description=found.description or "",
        # With outcomes still to come the listed ones do not make the whole event.
        exclusive_event=found.neg_risk_market_id if not event.neg_risk_augmented else None,
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
            return with_outcomes(listings)
        if page.next_cursor == cursor:
            break
        cursor = page.next_cursor
    raise WireFault(f"GET /markets/keyset went on for {MOST_PAGES} pages or gave the same cursor twice")


def with_outcomes(listings: Sequence[Listing]) -> list[Listing]:
    """The listings, each market told how many exclusive outcomes its event has."""
    counts = Counter(listing.exclusive_event for listing in listings)
    return [
        listing
        if listing.exclusive_event is None
        else msgspec.structs.replace(
            listing,
            market=msgspec.structs.replace(listing.market, outcomes=counts[listing.exclusive_event]),
        )
        for listing in listings
    ]


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


@lru_cache(1_024)
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


def _strike_usd(event: GammaEvent) -> float | None:
    """The price to beat, which the service tells once the window runs; its place is not documented."""
    metadata = event.event_metadata
    strike = metadata.get("priceToBeat") if isinstance(metadata, dict) else None
    return float(strike) if isinstance(strike, int | float) and 0 < strike < math.inf else None


def _rebate_rate(found: GammaMarket) -> float:
    fees = found.fee_schedule
    return 0.0 if fees is None or not found.fees_enabled else max(fees.rate * fees.rebate_rate, 0.0)


def _rewards(found: GammaMarket) -> RewardTerms | None:
    daily_usd = sum(rewards.rewards_daily_rate or 0.0 for rewards in found.clob_rewards or [])
    if daily_usd <= 0 or not found.rewards_max_spread or found.rewards_min_size is None:
        return None
    return RewardTerms(
        daily_usd=daily_usd,
        min_size_e6=_exact(found.rewards_min_size, MICRO, f"rewarded size of {found.slug}"),
        max_spread_e4=_exact(
            found.rewards_max_spread, PRICE_ONE_E4 // 100, f"rewarded spread of {found.slug}"
        ),
    )


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


@lru_cache(1_024)
def _exact(number: float | str | None, scale: int, what: str) -> int:
    if number is None:
        raise WireFault(f"{what} is missing")
    return parse_scaled(f"{Decimal(str(number)):f}" if isinstance(number, float) else number, scale, what)
