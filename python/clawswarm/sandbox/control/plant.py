"""Routes that plant faults: of requests, of streams, of settlement, of the region."""

from typing import Literal

import msgspec

from clawswarm.sandbox.control.route import Nothing, Unusable, route, until_ns
from clawswarm.sandbox.exchange.refusals import ENGINE_FAULTS
from clawswarm.sandbox.exchange.rules import Fate
from clawswarm.sandbox.exchange.settlement import OrderedFate
from clawswarm.sandbox.faults import Channel, RequestFault, RequestFaultKind
from clawswarm.sandbox.prices.polybolt import Refusal
from clawswarm.sandbox.streams.disturbance import FeedFault, FeedFaultKind
from clawswarm.sandbox.venue import Venue

_OK = {"ok": True}
_GARBLED = ("corrupt-level", "crossed-book")
_MOST_FATES = 1_000
_ABNORMAL = 1006
_CLOSE_CODES = range(1000, 5000)

Stream = Literal["market", "user"]
Method = Literal["*", "GET", "POST", "DELETE"]


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown keys are refused: a misspelt fault would break nothing, silently."""


class Target(_Body, frozen=True, kw_only=True):
    """Which requests; a path ending in `/` is a prefix."""

    method: Method = "*"
    path: str = "/"
    seconds: float = 5
    requests: int | None = None


class Latency(Target, frozen=True, kw_only=True):
    """How late."""

    latency_ms: float
    jitter_ms: float = 0


class LostReply(Target, frozen=True, kw_only=True):
    """Whether the connection is reset or nothing comes at all."""

    how: Literal["reset", "silence"] = "reset"


class WrongStatus(Target, frozen=True, kw_only=True):
    """The answer instead of the right one."""

    status: int
    text: str


class BlackHole(_Body, frozen=True, kw_only=True):
    """Which channel and how long."""

    channel: Channel
    seconds: float


class Quiet(_Body, frozen=True, kw_only=True):
    """Which market and how long."""

    market: str
    seconds: float


class Feed(_Body, frozen=True, kw_only=True):
    """What happens to the frames of a stream, for so many frames and so long at most; `market` null is all."""

    channel: Stream
    fault: FeedFaultKind
    frames: int | None = None
    seconds: float = 5
    market: str | None = None


class Close(_Body, frozen=True, kw_only=True):
    """Which stream and with which code."""

    channel: Literal["market", "user", "rtds", "polybolt"]
    code: int


class PolyBolt(_Body, frozen=True, kw_only=True):
    """What the next auth frames of PolyBolt are answered."""

    code: Refusal
    frames: int = 1


class Geoblock(_Body, frozen=True, kw_only=True):
    """On or off, and where the caller seems to be; null is a place that fits."""

    blocked: bool
    country: str | None = None
    region: str | None = None


class Settlement(_Body, frozen=True, kw_only=True):
    """What becomes of the next trades."""

    fate: Fate
    trades: int = 1
    address: str | None = None


class EngineFault(_Body, frozen=True, kw_only=True):
    """One of the engine's own error texts, for so many orders."""

    text: str
    orders: int = 1


def _target(kind: RequestFaultKind, body: Target, now_ns: int) -> RequestFault:
    if body.requests is not None and body.requests < 1:
        raise Unusable("requests must be at least 1, or null for any number")
    if not body.path.startswith("/"):
        raise Unusable("path must begin with /")
    return RequestFault(
        kind=kind,
        method=body.method,
        path=body.path,
        until_ns=until_ns(body.seconds, now_ns),
        requests_left=body.requests,
    )


def latency(venue: Venue, now_ns: int, body: Latency) -> object:
    """Make requests late."""
    if not (0 <= body.latency_ms <= 600_000 and 0 <= body.jitter_ms <= 600_000):
        raise Unusable("latency_ms and jitter_ms must be between 0 and 600000")
    fault = _target("latency", body, now_ns)
    fault.latency_ms, fault.jitter_ms = body.latency_ms, body.jitter_ms
    venue.faults.add(fault)
    return _OK


def reset(venue: Venue, now_ns: int, body: Target) -> object:
    """Reset connections."""
    venue.faults.add(_target("reset", body, now_ns))
    return _OK


def cdn_page(venue: Venue, now_ns: int, body: Target) -> object:
    """Answer with the CDN's page."""
    venue.faults.add(_target("cdn-page", body, now_ns))
    return _OK


def lost_reply(venue: Venue, now_ns: int, body: LostReply) -> object:
    """Do what was asked and lose the answer."""
    fault = _target("lost-reply", body, now_ns)
    fault.is_silent = body.how == "silence"
    venue.faults.add(fault)
    return _OK


def wrong_status(venue: Venue, now_ns: int, body: WrongStatus) -> object:
    """Answer with a status of choice."""
    if not 200 <= body.status < 600:
        raise Unusable("status must be an HTTP status from 200 to 599")
    fault = _target("status", body, now_ns)
    fault.status, fault.text = body.status, body.text
    venue.faults.add(fault)
    return _OK


def engine_fault(venue: Venue, _now_ns: int, body: EngineFault) -> object:
    """Answer orders with one of the engine's own errors."""
    if body.text not in ENGINE_FAULTS:
        raise Unusable(f"text must be one of: {'; '.join(ENGINE_FAULTS)}")
    if not 1 <= body.orders <= _MOST_FATES:
        raise Unusable(f"orders must be between 1 and {_MOST_FATES}")
    venue.faults.engine_errors.extend([body.text] * body.orders)
    return _OK


def black_hole(venue: Venue, now_ns: int, body: BlackHole) -> object:
    """Swallow a channel."""
    venue.faults.open_black_hole(until_ns(body.seconds, now_ns), body.channel)
    if body.seconds:
        venue.connections.swallow(body.channel)
    return _OK


def quiet(venue: Venue, now_ns: int, body: Quiet) -> object:
    """Pause a market's replay."""
    if body.market not in venue.exchange.markets:
        raise Unusable("market must be the condition id of a market")
    venue.faults.make_quiet(body.market, until_ns(body.seconds, now_ns))
    return _OK


def feed(venue: Venue, now_ns: int, body: Feed) -> object:
    """Disturb a stream."""
    if body.frames is not None and body.frames < 1:
        raise Unusable("frames must be at least 1, or null for any number")
    if body.channel == "user" and body.fault in _GARBLED:
        raise Unusable(f"{body.fault} is a fault of the market channel")
    tokens = None
    if body.market is not None:
        market = venue.exchange.markets.get(body.market)
        if market is None or body.channel == "user":
            raise Unusable("market must be the condition id of a market, and the channel market")
        tokens = (market.yes_token, market.no_token)
    fault = FeedFault(body.fault, until_ns(body.seconds, now_ns), body.frames, tokens)
    if body.channel == "market":
        venue.market_hub.disturbance.start(fault)
    else:
        venue.user_hub.disturbance.start(fault)
    return _OK


def close(venue: Venue, _now_ns: int, body: Close) -> object:
    """Close a stream's connections."""
    if body.code not in _CLOSE_CODES or body.code in (1004, 1005, 1015):
        raise Unusable("code must be a WebSocket close code, or 1006 for a cut without a close frame")
    return {"ok": True, "closed": venue.connections.close(body.channel, body.code)}


def polybolt(venue: Venue, _now_ns: int, body: PolyBolt) -> object:
    """Refuse coming auth frames of PolyBolt."""
    if not 1 <= body.frames <= _MOST_FATES:
        raise Unusable(f"frames must be between 1 and {_MOST_FATES}")
    venue.polybolt.refusals.extend([body.code] * body.frames)
    return _OK


def geoblock(venue: Venue, _now_ns: int, body: Geoblock) -> object:
    """Block or unblock the region."""
    if not all(part is None or (part.isalnum() and len(part) <= 3) for part in (body.country, body.region)):
        raise Unusable("country and region are codes of up to three letters or digits, such as US and NY")
    venue.faults.is_geoblocked = body.blocked
    at_home = ("US", "NY") if body.blocked else ("IE", "L")
    venue.faults.place = (body.country or at_home[0], body.region or at_home[1])
    return _OK


def settlement(venue: Venue, _now_ns: int, body: Settlement) -> object:
    """Order the fate of coming trades."""
    if not 1 <= body.trades <= _MOST_FATES:
        raise Unusable(f"trades must be between 1 and {_MOST_FATES}")
    venue.exchange.settling.ordered.extend([OrderedFate(body.fate, body.address)] * body.trades)
    return _OK


def clear(venue: Venue, _now_ns: int, _body: Nothing) -> object:
    """Switch everything off."""
    venue.faults.clear()
    venue.market_hub.disturbance.clear()
    venue.user_hub.disturbance.clear()
    venue.exchange.settling.ordered.clear()
    venue.relayer.fates.clear()
    venue.relayer.busy.clear()
    venue.polybolt.refusals.clear()
    return _OK


_UNTIL = "for `requests` requests (null: any number) and `seconds` at most; a path ending in / is a prefix"

ROUTES = (
    route(
        "POST",
        "/faults/latency",
        Latency(method="POST", path="/order", latency_ms=200, jitter_ms=50),
        f"these requests wait latency_ms plus a random part of jitter_ms before they are looked at, {_UNTIL}",
        latency,
    ),
    route(
        "POST",
        "/faults/reset",
        Target(method="POST", path="/order", requests=1),
        f"these requests are not acted on; their connection gets a TCP reset, {_UNTIL}",
        reset,
    ),
    route(
        "POST",
        "/faults/cdn-page",
        Target(method="*", path="/", requests=1),
        f"these requests are answered 403 with an HTML page, as by a CDN that flags the address, {_UNTIL}",
        cdn_page,
    ),
    route(
        "POST",
        "/faults/lost-reply",
        LostReply(method="POST", path="/order", requests=1),
        "these requests are acted on (an order is accepted), but the answer is lost: `how` reset cuts the "
        f"connection, silence says nothing until the fault ends, {_UNTIL}",
        lost_reply,
    ),
    route(
        "POST",
        "/faults/status",
        WrongStatus(method="GET", path="/book", requests=1, status=502, text="bad gateway"),
        f"these requests are not acted on and answered with this status and error text, {_UNTIL}",
        wrong_status,
    ),
    route(
        "POST",
        "/faults/engine",
        EngineFault(text="could not insert order"),
        "the next orders (legs of a batch count one each) are refused with one of the engine's own error texts "
        "and its status",
        engine_fault,
    ),
    route(
        "POST",
        "/faults/black-hole",
        BlackHole(channel="market", seconds=5),
        "channel market, user, rtds or polybolt: open WebSockets never hear or read anything again but stay open, "
        "new upgrades hang until it ends; channel rest: requests are read, never acted on and cut off when it "
        "ends; seconds 0 ends it now",
        black_hole,
    ),
    route(
        "POST",
        "/faults/feed",
        Feed(channel="market", fault="gap", frames=3),
        "stall: frames wait until it ends, PONGs still flow; gap: frames are lost; duplicate: each comes twice; "
        "reorder: frames are collected and come shuffled; market channel only: corrupt-level: a price_change "
        "with a wrong size beside the true hash; crossed-book: a price_change with a bid above the ask; for "
        "`frames` frames (null: any number) and `seconds` at most",
        feed,
    ),
    route(
        "POST",
        "/faults/close",
        Close(channel="market", code=_ABNORMAL),
        "every connection of the stream is closed with this code; 1006 cuts it without a close frame",
        close,
    ),
    route(
        "POST",
        "/faults/polybolt-auth",
        PolyBolt(code="auth_unavailable"),
        "the next auth frames of PolyBolt are refused with this code",
        polybolt,
    ),
    route(
        "POST",
        "/faults/quiet",
        Quiet(market="0x<condition id>", seconds=5),
        "the replay of that market pauses, then goes on where it was; its end moves by as much; "
        "seconds 0 ends it now",
        quiet,
    ),
    route(
        "POST",
        "/faults/geoblock",
        Geoblock(blocked=True),
        "POST /order and /orders answer 403 and /api/geoblock says blocked, until blocked is false; reads, "
        "streams and cancels work on; country and region are what /api/geoblock tells",
        geoblock,
    ),
    route(
        "POST",
        "/faults/settlement",
        Settlement(fate="fail", trades=1),
        "the next trades (of `address`, if given) go MATCHED, RETRYING, FAILED and are taken back (fail: a ghost "
        "fill), or are retried before they are mined (retry), or just confirm",
        settlement,
    ),
    route("DELETE", "/faults", Nothing(), "every fault is switched off; what was held leaves", clear),
)
