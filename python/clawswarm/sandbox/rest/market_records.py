"""A market as the venue's REST reads describe it (polymarket.md §11.2; full CLOB record of GET /markets)."""

from datetime import UTC, datetime

from clawswarm.model.units import MICRO, PRICE_ONE_E4, format_price
from clawswarm.sandbox.exchange.markets import ListedMarket

Record = dict[str, object]

_LEGACY_FEE_BPS = 1000
_NS_PER_MS = 1_000_000


def iso_time(at_ms: int) -> str:
    """UTC second as the venue writes it."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tick_number(market: ListedMarket) -> float:
    """The tick as a JSON number that prints like `0.01`."""
    return float(format_price(market.tick_e4))


def _plain_number(value_e6: int) -> int | float:
    whole, rest = divmod(value_e6, MICRO)
    return value_e6 / MICRO if rest else whole


def legacy_fee_bps(market: ListedMarket) -> int:
    """Legacy base fee of fee markets; never the charged rate."""
    return _LEGACY_FEE_BPS if market.fee_rate_e4 else 0


def _accepts(market: ListedMarket) -> bool:
    return market.is_open and market.accepts_orders


def _tokens(market: ListedMarket, mids: tuple[float, float]) -> list[Record]:
    return [
        {
            "token_id": market.token(is_yes),
            "outcome": market.outcome(is_yes),
            "price": mids[0 if is_yes else 1],
            "winner": market.winner == ("YES" if is_yes else "NO"),
        }
        for is_yes in (True, False)
    ]


def _rewards(market: ListedMarket) -> Record:
    terms = market.rewards
    if not market.is_open or not terms.is_on:
        return {"rates": None, "min_size": 0, "max_spread": 0}
    spread = terms.max_spread_e4 / 100
    return {"rates": None, "min_size": _plain_number(terms.min_size_e6), "max_spread": spread}


def full_record(market: ListedMarket, mids: tuple[float, float]) -> Record:
    """Market record of GET /markets and /markets/{condition}; `mids` are the outcomes' prices."""
    return {
        "enable_order_book": market.is_open,
        "active": True,
        "closed": not market.is_open,
        "archived": False,
        "accepting_orders": _accepts(market),
        "accepting_order_timestamp": iso_time(market.listed_ns // _NS_PER_MS),
        "minimum_order_size": _plain_number(market.min_size_e6),
        "minimum_tick_size": tick_number(market),
        "condition_id": market.condition_id,
        "question_id": market.question_id,
        "question": market.question,
        "description": f"Replay of a recorded {market.underlying} market in the sandbox.",
        "market_slug": market.slug,
        "end_date_iso": iso_time(market.end_ms),
        "game_start_time": None,
        "seconds_delay": market.seconds_delay,
        "fpmm": "",
        "maker_base_fee": 0,
        "taker_base_fee": legacy_fee_bps(market),
        "notifications_enabled": False,
        "neg_risk": market.neg_risk,
        "neg_risk_market_id": "",
        "neg_risk_request_id": "",
        "icon": "",
        "image": "",
        "is_50_50_outcome": market.winner == "SPLIT",
        "rewards": _rewards(market),
        "tokens": _tokens(market, mids),
        "tags": ["Crypto", "Up or Down", market.underlying],
    }


def simplified_record(market: ListedMarket, mids: tuple[float, float]) -> Record:
    """Market record of GET /simplified-markets."""
    return {
        "condition_id": market.condition_id,
        "rewards": _rewards(market),
        "tokens": _tokens(market, mids),
        "active": True,
        "closed": not market.is_open,
        "archived": False,
        "accepting_orders": _accepts(market),
    }


def compact_record(market: ListedMarket) -> Record:
    """Market record of GET /clob-markets/{condition}; optional keys are left out when they say nothing."""
    terms = market.rewards
    record: Record = {
        "c": market.condition_id,
        "t": [{"t": market.token(is_yes), "o": market.outcome(is_yes)} for is_yes in (True, False)],
        "mts": tick_number(market),
        "mos": _plain_number(market.min_size_e6),
        "mbf": 0,
        "tbf": legacy_fee_bps(market),
        "r": {
            "mi": _plain_number(terms.min_size_e6),
            "ma": terms.max_spread_e4 / 100,
            "e": terms.is_on,
            "moas": terms.min_age_s,
        },
        "nr": market.neg_risk,
        "aot": iso_time(market.listed_ns // _NS_PER_MS),
        "cbos": False,
        "v": "v1",
    }
    if market.fee_rate_e4:
        record["fd"] = {"r": market.fee_rate_e4 / PRICE_ONE_E4, "e": market.fee_exponent, "to": True}
    if _accepts(market):
        record["ao"] = True
    if market.taker_delay_ms:
        record["itode"] = True
    if market.seconds_delay:
        record["sd"] = market.seconds_delay
    return record
