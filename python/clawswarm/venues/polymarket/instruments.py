"""Market records of the venue → model.Market."""

from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import msgspec
import structlog

from clawswarm.model.errors import Retry, WireFault
from clawswarm.model.instruments import Market
from clawswarm.model.units import MICRO, PRICE_ONE_E4, parse_scaled
from clawswarm.venues.polymarket.wire import LAST_CURSOR, UNREADABLE, ZERO_CURSOR, MarketPage, MarketRecord

log = structlog.get_logger()
_decode_page = msgspec.json.Decoder(MarketPage).decode
YES_OUTCOMES = frozenset({"Yes", "Up"})


def market_from_record(record: MarketRecord) -> Market:
    """Translate one record. Raises WireFault when it is no binary market with known outcomes."""
    yes = [token for token in record.tokens if token.outcome in YES_OUTCOMES]
    no = [token for token in record.tokens if token.outcome not in YES_OUTCOMES]
    if len(yes) != 1 or len(no) != 1:
        raise WireFault(f"market {record.market_slug} has outcomes {[t.outcome for t in record.tokens]}")
    return Market(
        condition_id=record.condition_id,
        slug=record.market_slug,
        underlying=record.market_slug.partition("-")[0].upper(),
        yes_token=yes[0].token_id,
        no_token=no[0].token_id,
        tick_e4=_tick_e4(record),
        min_size_e6=_exact(record.minimum_order_size, MICRO, "minimum size"),
        neg_risk=record.neg_risk,
        is_open=record.active and not record.closed and record.accepting_orders,
        closes_ms=_milliseconds(record.end_date_iso),
    )


async def list_markets(session: aiohttp.ClientSession, clob_url: str) -> list[Market]:
    """Every binary market the venue lists; others are left out.

    Raises Retry when the venue does not answer, WireFault on nonsense.
    """
    markets: list[Market] = []
    cursor = ZERO_CURSOR
    while cursor != LAST_CURSOR:
        try:
            async with session.get(f"{clob_url}/markets", params={"next_cursor": cursor}) as answer:
                body = await answer.read()
                if answer.status != 200:
                    raise Retry(f"GET /markets answered {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise Retry(f"GET /markets failed: {fault!r}") from fault
        try:
            page = _decode_page(body)
        except UNREADABLE as fault:
            raise WireFault(f"GET /markets: {fault}") from fault
        for record in page.data:
            try:
                markets.append(market_from_record(record))
            except WireFault as fault:
                # One market of another kind must not hide all others.
                log.debug("market.left_out", reason=str(fault))
        cursor = page.next_cursor
    return markets


def _tick_e4(record: MarketRecord) -> int:
    tick_e4 = _exact(record.minimum_tick_size, PRICE_ONE_E4, "tick")
    if not 0 < tick_e4 <= PRICE_ONE_E4 // 2 or PRICE_ONE_E4 % tick_e4:
        raise WireFault(
            f"market {record.market_slug} has tick {record.minimum_tick_size}, which does not divide 1"
        )
    return tick_e4


def _exact(number: float, scale: int, what: str) -> int:
    return parse_scaled(str(Decimal(str(number))), scale, what)


def _milliseconds(text: str | None) -> int | None:
    if not text:
        return None
    try:
        date = datetime.fromisoformat(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return round(date.timestamp() * 1000)
    except ValueError as fault:
        raise WireFault(f"end date {text!r} is no ISO time") from fault
