"""Positions and trades as the Data API writes them: `/v2` in snake case, the frozen first version in camel case
(polymarket.md §11.4). Numbers are JSON numbers in both."""

from collections.abc import Callable

from clawswarm.model.units import MICRO, PRICE_ONE_E4
from clawswarm.sandbox.data_api.positions import Fill, Holding
from clawswarm.sandbox.gamma.catalog import Catalog
from clawswarm.sandbox.gamma.objects import iso_second

Record = dict[str, object]
PriceOf = Callable[[Holding], float]

_NS_PER_S = 1_000_000_000
_DUST_E6 = 10_000


def _usd(value_e6: int) -> float:
    return value_e6 / MICRO


def _percent(gain: float, cost: float) -> float:
    return round(100 * gain / cost, 4) if cost else 0.0


def is_redeemable(holding: Holding) -> bool:
    """Whether the market resolved while the wallet holds the token, worth something or not."""
    return holding.market.winner is not None and holding.size_e6 > 0


def position_v2(
    wallet: str, holding: Holding, price: float, catalog: Catalog, *, is_mergeable: bool
) -> Record:
    """One row of `/v2/positions`."""
    market = holding.market
    listing = catalog.by_condition[market.condition_id]
    value, cost = price * _usd(holding.size_e6), _usd(holding.entry_e6)
    unrealised, realised = value - cost, _usd(holding.realised_e6)
    fees = _usd(holding.fees_e6)
    spent = cost + fees
    status = "CLOSED" if not holding.size_e6 else "REDEEMABLE" if is_redeemable(holding) else "OPEN"
    return {
        "proxy_wallet": wallet,
        "token_id": market.token(holding.is_yes),
        "condition_id": market.condition_id,
        "current_size": _usd(holding.size_e6),
        "avg_price": _usd(holding.average_e6),
        "entry_cost_usdc": cost,
        "entry_fees_usdc": fees,
        "total_cost_usdc": spent,
        "current_price": price,
        "current_value": value,
        "total_size": _usd(max(holding.bought_e6, holding.size_e6)),
        "realized_pnl": realised,
        "unrealized_pnl": unrealised,
        "total_pnl": realised + unrealised,
        "percent_pnl": _percent(unrealised, cost),
        "percent_realized_pnl": _percent(realised, cost),
        "status": status,
        "redeemable": is_redeemable(holding),
        "mergeable": is_mergeable,
        "negative_risk": market.neg_risk,
        "archived": False,
        "verified": True,
        "title": market.question,
        "slug": market.slug,
        "icon": "",
        "event_slug": listing.event.slug,
        "event_id": listing.event.id,
        "outcome": market.outcome(holding.is_yes),
        "outcome_index": 0 if holding.is_yes else 1,
        "opposite_outcome": market.outcome(not holding.is_yes),
        "opposite_token_id": market.token(not holding.is_yes),
        "end_date": iso_second(market.end_ms)[:10],
        "last_event_at": holding.last_ns // _NS_PER_S,
        "first_entry_at": holding.first_ns // _NS_PER_S,
    }


def position_v1(
    wallet: str, holding: Holding, price: float, catalog: Catalog, *, is_mergeable: bool
) -> Record:
    """One row of `/positions`."""
    row = position_v2(wallet, holding, price, catalog, is_mergeable=is_mergeable)
    return {
        "proxyWallet": wallet,
        "asset": row["token_id"],
        "conditionId": row["condition_id"],
        "size": row["current_size"],
        "avgPrice": row["avg_price"],
        "initialValue": row["entry_cost_usdc"],
        "currentValue": row["current_value"],
        "cashPnl": row["unrealized_pnl"],
        "percentPnl": row["percent_pnl"],
        "totalBought": row["total_size"],
        "realizedPnl": row["realized_pnl"],
        "percentRealizedPnl": row["percent_realized_pnl"],
        "curPrice": price,
        "redeemable": row["redeemable"],
        "mergeable": row["mergeable"],
        "title": row["title"],
        "slug": row["slug"],
        "icon": "",
        "eventSlug": row["event_slug"],
        "outcome": row["outcome"],
        "outcomeIndex": row["outcome_index"],
        "oppositeOutcome": row["opposite_outcome"],
        "oppositeAsset": row["opposite_token_id"],
        "endDate": row["end_date"],
        "negativeRisk": row["negative_risk"],
    }


def trade_v2(wallet: str, fill: Fill, catalog: Catalog) -> Record:
    """One row of `/v2/trades`."""
    trade, market = fill.trade, fill.trade.market
    is_yes = fill.token == market.yes_token
    return {
        "proxy_wallet": wallet,
        "side": "BUY" if fill.is_buy else "SELL",
        "token_id": fill.token,
        "condition_id": market.condition_id,
        "size": _usd(fill.size_e6),
        "price": fill.price_e4 / PRICE_ONE_E4,
        "timestamp": trade.matched_ns // _NS_PER_S,
        "title": market.question,
        "slug": market.slug,
        "icon": "",
        "event_slug": catalog.by_condition[market.condition_id].event.slug,
        "outcome": market.outcome(is_yes),
        "outcome_index": 0 if is_yes else 1,
        "name": "",
        "pseudonym": "",
        "bio": "",
        "profile_image": "",
        "profile_image_optimized": "",
        "transaction_hash": trade.tx_hash,
    }


_CAMEL = {
    "proxy_wallet": "proxyWallet",
    "token_id": "asset",
    "condition_id": "conditionId",
    "event_slug": "eventSlug",
    "outcome_index": "outcomeIndex",
    "profile_image": "profileImage",
    "profile_image_optimized": "profileImageOptimized",
    "transaction_hash": "transactionHash",
}


def trade_v1(wallet: str, fill: Fill, catalog: Catalog) -> Record:
    """One row of `/trades`."""
    return {_CAMEL.get(name, name): value for name, value in trade_v2(wallet, fill, catalog).items()}


def is_dust(holding: Holding) -> bool:
    """Positions below a hundredth of a share are not listed."""
    return holding.size_e6 < _DUST_E6
