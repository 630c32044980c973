"""Routes that steer the venue: engine modes, ticks, takers and ends of markets, tiers."""

from typing import Literal

import msgspec

from clawswarm.model.errors import WireFault
from clawswarm.model.units import PRICE_ONE_E4, parse_e6, parse_price_e4
from clawswarm.sandbox.control.route import NS_PER_S, Unusable, route, until_ns
from clawswarm.sandbox.exchange.markets import ListedMarket, Winner
from clawswarm.sandbox.identity.eip712 import Malformed, checksum_address
from clawswarm.sandbox.participants import Taker, participant_account
from clawswarm.sandbox.rest.buckets import TIERS
from clawswarm.sandbox.rest.modes import POST_ONLY_AFTER_RESTART_S, EngineMode
from clawswarm.sandbox.venue import Venue

_OK = {"ok": True}
MOST_JUMP_E6 = 500_000
EVERY_COIN = "*"
_TICKS_E4 = (1000, 100, 50, 25, 10, 1)
_MOST_TAKEN_E6 = 10**12


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown keys are refused."""


class Restart(_Body, frozen=True, kw_only=True):
    """How long 425 lasts, and the post-only mode behind it."""

    seconds: float = 90
    post_only_seconds: float = POST_ONLY_AFTER_RESTART_S


class Mode(_Body, frozen=True, kw_only=True):
    """Which mode, and how long; null until the next change."""

    mode: EngineMode
    seconds: float | None = None


class Tick(_Body, frozen=True, kw_only=True):
    """The new tick of a market."""

    market: str
    tick: str


class Pause(_Body, frozen=True, kw_only=True):
    """Whether a market takes orders."""

    market: str
    accepts_orders: bool


class Take(_Body, frozen=True, kw_only=True):
    """A taker who comes now; side and limit in the YES frame."""

    market: str
    side: Literal["BUY", "SELL"]
    shares: str
    limit: str


class Close(_Body, frozen=True, kw_only=True):
    """The end of a market."""

    market: str
    winner: Winner | None = None


class Resolve(_Body, frozen=True, kw_only=True):
    """How a market ended."""

    market: str
    winner: Winner


class Tier(_Body, frozen=True, kw_only=True):
    """Whose tier."""

    address: str
    tier: str


class Jump(_Body, frozen=True, kw_only=True):
    """Which coin (`*`: all of them), and by how much."""

    symbol: str
    share_e6: int


def restart(venue: Venue, now_ns: int, body: Restart) -> object:
    """Restart the engine."""
    restart_ns = until_ns(body.seconds, now_ns) - now_ns
    post_only_ns = until_ns(body.post_only_seconds, now_ns) - now_ns
    venue.modes.restart(now_ns, restart_ns, post_only_ns)
    return _OK


def mode(venue: Venue, now_ns: int, body: Mode) -> object:
    """Switch the engine's mode."""
    end_ns = None if body.seconds is None else until_ns(body.seconds, now_ns)
    venue.modes.set(body.mode, end_ns)
    return _OK


def tick(venue: Venue, now_ns: int, body: Tick) -> object:
    """Change a market's tick."""
    market = _open_market(venue, body.market)
    try:
        tick_e4 = parse_price_e4(body.tick)
    except WireFault as fault:
        raise Unusable(str(fault)) from fault
    if tick_e4 not in _TICKS_E4:
        raise Unusable("tick must be one of 0.1, 0.01, 0.005, 0.0025, 0.001, 0.0001")
    venue.publish(venue.exchange.change_tick(market, tick_e4, now_ns))
    return _OK


def take(venue: Venue, now_ns: int, body: Take) -> object:
    """Let a participant take from a market's book."""
    market = _open_market(venue, body.market)
    try:
        limit_e4, size_e6 = parse_price_e4(body.limit), parse_e6(body.shares)
    except WireFault as fault:
        raise Unusable(str(fault)) from fault
    if not 0 < limit_e4 < PRICE_ONE_E4 or limit_e4 % market.tick_e4:
        raise Unusable("limit must be a price of the market's grid between 0 and 1")
    if not 0 < size_e6 <= _MOST_TAKEN_E6:
        raise Unusable("shares must be between 0 and a million")
    account = participant_account(venue.exchange, "hand")
    taker = Taker(venue.exchange, market, account, f"hand:{now_ns}")
    venue.publish(taker.take(body.side, size_e6, limit_e4, now_ns))
    return _OK


def close(venue: Venue, now_ns: int, body: Close) -> object:
    """Close a market."""
    market = _open_market(venue, body.market)
    venue.publish(venue.exchange.close_market(market, body.winner, now_ns))
    return _OK


def pause(venue: Venue, now_ns: int, body: Pause) -> object:
    """Pause a market, or let it go on."""
    market = _open_market(venue, body.market)
    venue.publish(venue.exchange.accept_orders(market, body.accepts_orders, now_ns))
    return _OK


def resolve(venue: Venue, now_ns: int, body: Resolve) -> object:
    """Resolve a market."""
    market = venue.exchange.markets.get(body.market)
    if market is None or market.winner is not None:
        raise Unusable("market must be the condition id of a market that has not resolved yet")
    venue.publish(venue.exchange.resolve(market, body.winner, now_ns))
    return _OK


def tier(venue: Venue, now_ns: int, body: Tier) -> object:
    """Move a signer to a tier."""
    if body.tier not in TIERS:
        raise Unusable(f"tier must be one of: {', '.join(TIERS)}")
    try:
        address = checksum_address(body.address)
    except Malformed as fault:
        raise Unusable("an address is 0x and 40 hexadecimal digits") from fault
    venue.buckets.set_tier(address.lower(), body.tier, now_ns)
    return _OK


def jump(venue: Venue, now_ns: int, body: Jump) -> object:
    """Move a coin's price."""
    feeds = venue.prices.feeds
    if body.symbol != EVERY_COIN and body.symbol not in feeds:
        known = ", ".join(sorted(feeds)) or "none: configure a series"
        raise Unusable(f"symbol must be * or a coin with a price of its own; there are: {known}")
    if not -MOST_JUMP_E6 <= body.share_e6 <= MOST_JUMP_E6:
        raise Unusable(f"share_e6 must be between -{MOST_JUMP_E6} and {MOST_JUMP_E6}")
    at_s = now_ns // NS_PER_S + 1
    for symbol in feeds if body.symbol == EVERY_COIN else (body.symbol,):
        feeds[symbol].jump(body.share_e6, at_s)
    return {"ok": True, "at_s": at_s}


def _open_market(venue: Venue, condition_id: str) -> ListedMarket:
    market = venue.exchange.markets.get(condition_id)
    if market is None or not market.is_open:
        raise Unusable("market must be the condition id of an open market")
    return market


ROUTES = (
    route(
        "POST",
        "/engine/restart",
        Restart(),
        "order and cancel requests answer 425 for `seconds`, then only post-only orders and cancels are taken "
        "for `post_only_seconds`",
        restart,
    ),
    route(
        "POST",
        "/engine/mode",
        Mode(mode=EngineMode.CANCEL_ONLY, seconds=5),
        "the engine is normal, restarting, post-only, cancel-only or disabled for `seconds` (null: until the "
        "next change)",
        mode,
    ),
    route(
        "POST",
        "/markets/tick",
        Tick(market="0x<condition id>", tick="0.001"),
        "the market trades in other steps; tick_size_change is sent; resting orders keep their prices",
        tick,
    ),
    route(
        "POST",
        "/markets/pause",
        Pause(market="0x<condition id>", accepts_orders=False),
        "the market refuses new orders (`the market is not yet ready to process new orders`), cancels still work "
        "and what rests stays; accepts_orders true ends it",
        pause,
    ),
    route(
        "POST",
        "/markets/take",
        Take(market="0x<condition id>", side="BUY", shares="5", limit="0.51"),
        "a taker comes and takes up to so many shares that rest up to the limit, in the YES frame",
        take,
    ),
    route(
        "POST",
        "/markets/close",
        Close(market="0x<condition id>"),
        "the market closes: orders are cancelled; with a winner (YES, NO, or SPLIT for half a dollar each) it "
        "resolves too, with null it waits for /markets/resolve",
        close,
    ),
    route(
        "POST",
        "/markets/resolve",
        Resolve(market="0x<condition id>", winner="YES"),
        "the outcome of a market that is still open or closed without one: market_resolved is sent, its tokens "
        "can be redeemed, participants are paid",
        resolve,
    ),
    route(
        "POST",
        "/prices/jump",
        Jump(symbol="*", share_e6=1_000),
        "from the next second on, the price of a coin (*: of all) stands share_e6 millionths higher, or lower "
        "below 0, for good",
        jump,
    ),
    route(
        "POST",
        "/accounts/tier",
        Tier(address="0x<signer>", tier="elite"),
        "the signer's order and cancel buckets are those of the tier, and full",
        tier,
    ),
)
