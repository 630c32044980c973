"""Markets and events as Gamma writes them (polymarket.md §11.1): camelCase, JSON arrays inside strings.

Times come in the formats the live service mixes: `Z` with microseconds, seconds only, and `+00` after a blank.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from clawswarm.model.units import MICRO, PRICE_ONE_E4, format_e6
from clawswarm.sandbox.chain.contracts import COLLATERAL_TOKEN
from clawswarm.sandbox.exchange.book import UnifiedBook
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.gamma.catalog import Catalog, EventListing, MarketListing, Series

Record = dict[str, object]
BookOf = Callable[[ListedMarket], UnifiedBook]

_NS_PER_MS = 1_000_000
_LEGACY_FEE = 1000
_REBATE_RATE = 0.2
_FEE_TYPE = "crypto_fees_v2"


@lru_cache(4_096)
def iso_micro(at_ms: int) -> str:
    """`2026-07-23T00:42:24.032841Z`"""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(4_096)
def iso_second(at_ms: int) -> str:
    """`2026-07-24T00:05:00Z`"""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(4_096)
def blank_second(at_ms: int) -> str:
    """`2026-07-24 00:05:18+00`"""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S+00")


def _array(items: list[str]) -> str:
    return json.dumps(items)


def _price_number(price_e4: int) -> float:
    return price_e4 / PRICE_ONE_E4


def outcome_prices(market: ListedMarket, book: UnifiedBook) -> tuple[str, str]:
    """What the outcomes are worth: the middle of the touch, after the end what they pay."""
    yes, no = market.payout_e6(is_yes=True), market.payout_e6(is_yes=False)
    if yes is not None and no is not None:
        return format_e6(yes), format_e6(no)
    bid, ask = book.bids.best(), book.asks.best()
    low = 0 if bid is None else bid.price_e4
    high = PRICE_ONE_E4 if ask is None else ask.price_e4
    # Ten thousandths halved: the live service shows the half too ("0.505").
    middle = (low + high) * 50
    return format_e6(middle), format_e6(MICRO - middle)


def liquidity_usd(book: UnifiedBook) -> float:
    """Money that rests on a book, a sale of YES counted as the purchase of NO it is."""
    total = 0
    for side in (book.bids, book.asks):
        for price, level in side.levels.items():
            total += (price if side.is_bid else PRICE_ONE_E4 - price) * level.total_e6
    return total / PRICE_ONE_E4 / MICRO


@lru_cache(4_096)
def _lasting(listing: MarketListing) -> Record:
    """What stays as it is from the listing on."""
    market, event, listed_ms = listing.market, listing.event, listing.market.listed_ns // _NS_PER_MS
    record: Record = {
        "id": listing.id,
        "version": "v1",
        "question": market.question,
        "conditionId": market.condition_id,
        "slug": market.slug,
        "resolutionSource": event.resolution_source,
        "startDate": iso_micro(listed_ms),
        "image": "",
        "icon": "",
        "description": event.description,
        "outcomes": _array(list(market.outcomes)),
        "active": True,
        "marketMakerAddress": "",
        "createdAt": iso_micro(listed_ms),
        "new": False,
        "featured": False,
        "archived": False,
        "restricted": True,
        "groupItemTitle": listing.group_title,
        "groupItemThreshold": str(event.markets.index(listing)),
        "questionID": market.question_id,
        "enableOrderBook": True,
        "orderMinSize": market.min_size_e6 / MICRO,
        "secondsDelay": market.seconds_delay,
        "startDateIso": iso_second(listed_ms)[:10],
        "hasReviewedDates": True,
        "clobTokenIds": _array([market.yes_token, market.no_token]),
        "makerBaseFee": _LEGACY_FEE if market.fee_rate_e4 else 0,
        "takerBaseFee": _LEGACY_FEE if market.fee_rate_e4 else 0,
        "acceptingOrdersTimestamp": iso_second(listed_ms),
        "negRisk": market.neg_risk,
        "feesEnabled": market.fee_rate_e4 > 0,
        "rewardsMinSize": market.rewards.min_size_e6 / MICRO,
        "rewardsMaxSpread": market.rewards.max_spread_e4 / 100,
        "holdingRewardsEnabled": False,
        "umaResolutionStatuses": "[]",
        "automaticallyActive": True,
        "clearBookOnStart": False,
        "rfqEnabled": False,
        "comboStatus": "disabled",
        "makerRebatesFeeShareBps": 10_000,
    }
    if market.fee_rate_e4:
        record["feeType"] = _FEE_TYPE
        record["feeSchedule"] = {
            "rate": market.fee_rate_e4 / PRICE_ONE_E4,
            "exponent": market.fee_exponent,
            "takerOnly": True,
            "rebateRate": _REBATE_RATE,
        }
    if market.neg_risk:
        record |= {"negRiskMarketID": event.neg_risk_id, "negRiskRequestID": market.question_id}
    return record


def market_object(listing: MarketListing, book_of: BookOf, catalog: Catalog, *, is_nested: bool) -> Record:
    """One market; inside an event it does not repeat the event."""
    market, event = listing.market, listing.event
    book = book_of(market)
    bid, ask = book.bids.best(), book.asks.best()
    volume, liquidity = market.volume_e6 / MICRO, liquidity_usd(book)
    listed_ms = market.listed_ns // _NS_PER_MS
    low = 0 if bid is None else bid.price_e4
    high = PRICE_ONE_E4 if ask is None else ask.price_e4
    record: Record = {
        **_lasting(listing),
        "endDate": iso_second(market.end_ms),
        "liquidity": f"{liquidity:.4f}",
        "outcomePrices": _array(list(outcome_prices(market, book))),
        "volume": format_e6(market.volume_e6),
        "closed": not market.is_open,
        "updatedAt": iso_micro(market.updated_ns // _NS_PER_MS),
        "orderPriceMinTickSize": _price_number(market.tick_e4),
        "volumeNum": volume,
        "liquidityNum": liquidity,
        "endDateIso": iso_second(market.end_ms)[:10],
        "volume24hr": volume,
        "volume1wk": volume,
        "volume1mo": volume,
        "volume1yr": volume,
        "volumeClob": volume,
        "liquidityClob": liquidity,
        "acceptingOrders": market.is_open and market.accepts_orders,
        "spread": _price_number(high - low),
        "bestBid": _price_number(low),
        "bestAsk": _price_number(high),
        "lastTradePrice": _price_number(market.last_trade_e4 or 0),
    }
    if market.rewards.is_on and market.rewards.daily_rate_e6:
        record["clobRewards"] = [
            {
                "id": listing.id,
                "conditionId": market.condition_id,
                "assetAddress": COLLATERAL_TOKEN,
                "rewardsAmount": 0,
                "rewardsDailyRate": market.rewards.daily_rate_e6 / MICRO,
                "startDate": iso_second(listed_ms)[:10],
                "endDate": iso_second(market.end_ms)[:10],
            }
        ]
    if event.start_ms is not None:
        record["eventStartTime"] = iso_second(event.start_ms)
    if market.closed_ns is not None:
        closed_ms = market.closed_ns // _NS_PER_MS
        record |= {"closedTime": blank_second(closed_ms), "umaEndDate": iso_second(closed_ms)}
    if market.winner is not None:
        record |= {"umaResolutionStatus": "resolved", "automaticallyResolved": True}
    if not is_nested:
        record["events"] = [event_object(event, book_of, catalog, is_nested=True)]
    return record


@lru_cache(4_096)
def _lasting_event(event: EventListing) -> Record:
    """What stays as it is from the listing on."""
    first = event.markets[0].market
    listed_ms = first.listed_ns // _NS_PER_MS
    return {
        "id": event.id,
        "ticker": event.slug,
        "slug": event.slug,
        "title": event.title,
        "description": event.description,
        "resolutionSource": event.resolution_source,
        "startDate": iso_micro(listed_ms),
        "creationDate": iso_micro(listed_ms),
        "image": "",
        "icon": "",
        "active": True,
        "archived": False,
        "new": False,
        "featured": False,
        "restricted": True,
        "openInterest": 0,
        "createdAt": iso_micro(listed_ms),
        "enableOrderBook": True,
        "negRisk": first.neg_risk,
        "enableNegRisk": first.neg_risk,
        "negRiskAugmented": False,
        "commentCount": 0,
        "showAllOutcomes": True,
        "cyom": False,
        "tags": [tag_object(tag) for tag in event.tags],
    }


def event_object(event: EventListing, book_of: BookOf, catalog: Catalog, *, is_nested: bool) -> Record:
    """One event; inside a market it does not repeat its markets."""
    markets = [listing.market for listing in event.markets]
    first = markets[0]
    liquidity = sum([liquidity_usd(book_of(market)) for market in markets])
    volume = sum([market.volume_e6 for market in markets]) / MICRO
    closed = [market.closed_ns for market in markets if market.closed_ns is not None]
    is_closed = len(closed) == len(markets)
    record: Record = {
        **_lasting_event(event),
        "endDate": iso_second(event.end_ms),
        "closed": is_closed,
        "liquidity": liquidity,
        "volume": volume,
        "updatedAt": iso_micro(max([market.updated_ns for market in markets]) // _NS_PER_MS),
        "volume24hr": volume,
        "volume1wk": volume,
        "volume1mo": volume,
        "volume1yr": volume,
        "liquidityClob": liquidity,
    }
    if first.neg_risk:
        record["negRiskMarketID"] = event.neg_risk_id
    if event.start_ms is not None:
        record["startTime"] = iso_second(event.start_ms)
    if event.series is not None:
        record |= {"seriesSlug": event.series.slug, "series": [series_object(event.series, catalog)]}
    if is_closed:
        record["closedTime"] = iso_micro(max(closed) // _NS_PER_MS)
    metadata = {
        name: float(text)
        for name, text in (("priceToBeat", event.price_to_beat), ("finalPrice", event.final_price))
        if text is not None
    }
    if metadata:
        record["eventMetadata"] = metadata
    if not is_nested:
        record["markets"] = [
            market_object(listing, book_of, catalog, is_nested=True) for listing in event.markets
        ]
    return record


def series_object(series: Series, catalog: Catalog) -> Record:
    """The series of an event."""
    return {
        "id": catalog.series_id(series),
        "ticker": series.slug,
        "slug": series.slug,
        "title": series.title,
        "seriesType": "single",
        "recurrence": series.recurrence,
        "active": True,
        "closed": False,
        "archived": False,
    }


@lru_cache(4_096)
def tag_object(label: str) -> Record:
    """A tag; its number is made of its name."""
    number = int.from_bytes(hashlib.sha256(label.lower().encode()).digest()[:3], "big")
    return {"id": str(number), "label": label, "slug": label.lower().replace(" ", "-")}
