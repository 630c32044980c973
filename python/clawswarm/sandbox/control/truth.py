"""Routes that only look: the truth behind the wire, for tests."""

from clawswarm.model.units import format_e6, format_price
from clawswarm.sandbox.control.route import NS_PER_S, Nothing, route
from clawswarm.sandbox.venue import Venue


def open_orders(venue: Venue, _now_ns: int, _body: Nothing) -> object:
    """Open orders of customers in the YES frame."""
    return [
        {
            "id": order.id,
            "owner": order.account.address,
            "market": order.market.condition_id,
            "side": "BUY" if order.is_bid else "SELL",
            "price": format_price(order.yes_price_e4),
            "size": format_e6(order.remaining_e6),
        }
        for order in venue.open_customer_orders()
    ]


def accounts(venue: Venue, _now_ns: int, _body: Nothing) -> object:
    """Balances and the sum that must be zero."""
    ledger = venue.exchange.ledger
    return {
        "accounts": [
            {
                "address": account.address,
                "is_participant": account.is_participant,
                "collateral": format_e6(account.collateral_e6),
                "reserved": format_e6(account.reserved_e6),
                "tokens": {token: format_e6(size) for token, size in account.tokens_e6.items() if size},
            }
            for account in ledger.accounts.values()
        ],
        "house": format_e6(ledger.house.collateral_e6),
        "pairs": format_e6(ledger.pairs_e6),
        "imbalance": format_e6(ledger.imbalance_e6()),
    }


def faults(venue: Venue, now_ns: int, _body: Nothing) -> object:
    """What is broken now."""
    board = venue.faults
    return {
        "is_geoblocked": board.is_geoblocked,
        "black_hole_left_s": board.black_hole_left_ns(now_ns) / NS_PER_S,
        "black_holes": {
            channel: board.black_hole_left_ns(now_ns, channel) / NS_PER_S
            for channel in ("market", "user", "rtds", "polybolt", "rest")
        },
        "quiet": board.quiet_markets(now_ns),
        "requests": [
            {
                "fault": fault.kind,
                "method": fault.method,
                "path": fault.path,
                "left_s": (fault.until_ns - now_ns) / NS_PER_S,
                "requests_left": fault.requests_left,
            }
            for fault in board.active(now_ns)
        ],
        "feeds": {
            channel: [fault.kind for fault in hub.disturbance.active(now_ns)]
            for channel, hub in (("market", venue.market_hub), ("user", venue.user_hub))
        },
        "engine": list(venue.faults.engine_errors),
        "settlement": [ordered.fate for ordered in venue.exchange.settling.ordered],
    }


def mode(venue: Venue, now_ns: int, _body: Nothing) -> object:
    """The engine's mode."""
    left_ns = venue.modes.left_ns(now_ns)
    return {"mode": venue.modes.mode(now_ns), "left_s": None if left_ns is None else left_ns / NS_PER_S}


def journal(venue: Venue, _now_ns: int, _body: Nothing) -> object:
    """Count and hash of everything the exchange reported."""
    return {"events": venue.journal.count, "sha256": venue.journal.digest()}


def connections(venue: Venue, _now_ns: int, _body: Nothing) -> object:
    """Open stream connections."""
    return {channel: venue.connections.count(channel) for channel in ("market", "user", "rtds", "polybolt")}


ROUTES = (
    route(
        "GET",
        "/open-orders",
        Nothing(),
        "every open order that is no participant's, in the YES frame: the truth for tests",
        open_orders,
    ),
    route(
        "GET",
        "/accounts",
        Nothing(),
        "balances of all accounts, the fees collected, and what money is missing (always 0)",
        accounts,
    ),
    route("GET", "/faults", Nothing(), "the faults that are active now", faults),
    route("GET", "/engine", Nothing(), "the engine's mode and how long it lasts", mode),
    route("GET", "/journal", Nothing(), "number and SHA-256 of all events of the exchange so far", journal),
    route("GET", "/connections", Nothing(), "open connections of each stream", connections),
)
