"""The control port: what a test or a person may look at and break. Loopback only, never part of the venue."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from clawswarm.model.units import format_e6, format_price
from clawswarm.sandbox.rest.wire import answer
from clawswarm.sandbox.venue import Venue

_NS_PER_S = 1_000_000_000
_LONGEST_FAULT_S = 86_400
_Body = TypeVar("_Body")

_ROUTES = [
    {"method": "GET", "path": "/", "body": None, "effect": "this list"},
    {
        "method": "GET",
        "path": "/open-orders",
        "body": None,
        "effect": "every open order that is no participant's, in the YES frame: the truth for tests",
    },
    {
        "method": "GET",
        "path": "/accounts",
        "body": None,
        "effect": "balances of all accounts, the fees collected, and what money is missing (always 0)",
    },
    {
        "method": "GET",
        "path": "/faults",
        "body": None,
        "effect": "the faults that are active now",
    },
    {
        "method": "POST",
        "path": "/faults/black-hole",
        "body": {"channel": "market", "seconds": 5},
        "effect": "open market WebSockets never hear or read anything again but stay open; "
        "new upgrades hang until it ends; seconds 0 ends it now",
    },
    {
        "method": "POST",
        "path": "/faults/quiet",
        "body": {"market": "0x<condition id>", "seconds": 5},
        "effect": "the replay of that market pauses, then goes on where it was; its end moves by as much; "
        "seconds 0 ends it now",
    },
    {
        "method": "POST",
        "path": "/faults/geoblock",
        "body": {"blocked": True},
        "effect": "POST /order and /orders answer 403 and /api/geoblock says blocked, until blocked is false",
    },
]


class _BlackHole(msgspec.Struct, forbid_unknown_fields=True):
    channel: str
    seconds: float


class _Quiet(msgspec.Struct, forbid_unknown_fields=True):
    market: str
    seconds: float


class _Geoblock(msgspec.Struct, forbid_unknown_fields=True):
    blocked: bool


class ControlRest:
    """Handlers of the control port."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._now_ns = now_ns

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [
            web.get("/", self.index),
            web.get("/open-orders", self.open_orders),
            web.get("/accounts", self.accounts),
            web.get("/faults", self.faults),
            web.post("/faults/black-hole", self.black_hole),
            web.post("/faults/quiet", self.quiet),
            web.post("/faults/geoblock", self.geoblock),
        ]

    async def index(self, _request: web.Request) -> web.Response:
        """List the routes."""
        return answer({"routes": _ROUTES})

    async def open_orders(self, _request: web.Request) -> web.Response:
        """Open orders of customers."""
        return answer(
            [
                {
                    "id": order.id,
                    "owner": order.account.address,
                    "market": order.market.condition_id,
                    "side": "BUY" if order.is_bid else "SELL",
                    "price": format_price(order.yes_price_e4),
                    "size": format_e6(order.remaining_e6),
                }
                for order in self._venue.open_customer_orders()
            ]
        )

    async def accounts(self, _request: web.Request) -> web.Response:
        """Balances."""
        ledger = self._venue.exchange.ledger
        return answer(
            {
                "accounts": [
                    {
                        "address": account.address,
                        "is_participant": account.is_participant,
                        "collateral": format_e6(account.collateral_e6),
                        "reserved": format_e6(account.reserved_e6),
                        "tokens": {t: format_e6(size) for t, size in account.tokens_e6.items() if size},
                    }
                    for account in ledger.accounts.values()
                ],
                "house": format_e6(ledger.house.collateral_e6),
                "pairs": format_e6(ledger.pairs_e6),
                "imbalance": format_e6(ledger.imbalance_e6()),
            }
        )

    async def faults(self, _request: web.Request) -> web.Response:
        """What is broken now."""
        faults, now = self._venue.faults, self._now_ns()
        return answer(
            {
                "black_hole_left_s": faults.black_hole_left_ns(now) / _NS_PER_S,
                "quiet": faults.quiet_markets(now),
                "is_geoblocked": faults.is_geoblocked,
            }
        )

    async def black_hole(self, request: web.Request) -> web.Response:
        """Swallow the market channel."""
        asked = await _read(request, _BlackHole)
        if asked is None or asked.channel != "market" or not _is_duration(asked.seconds):
            return _refused('{"channel":"market","seconds":5}')
        self._venue.faults.open_black_hole(self._now_ns() + round(asked.seconds * _NS_PER_S))
        if asked.seconds:
            self._venue.market_hub.swallow_all()
        return answer({"ok": True})

    async def quiet(self, request: web.Request) -> web.Response:
        """Pause a market's replay."""
        asked = await _read(request, _Quiet)
        if (
            asked is None
            or asked.market not in self._venue.exchange.markets
            or not _is_duration(asked.seconds)
        ):
            return _refused('{"market":"0x<condition id>","seconds":5}')
        self._venue.faults.make_quiet(asked.market, self._now_ns() + round(asked.seconds * _NS_PER_S))
        return answer({"ok": True})

    async def geoblock(self, request: web.Request) -> web.Response:
        """Block or unblock the region."""
        asked = await _read(request, _Geoblock)
        if asked is None:
            return _refused('{"blocked":true}')
        self._venue.faults.is_geoblocked = asked.blocked
        return answer({"ok": True})


def _is_duration(seconds: float) -> bool:
    return 0 <= seconds <= _LONGEST_FAULT_S


async def _read(request: web.Request, kind: type[_Body]) -> _Body | None:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _refused(example: str) -> web.Response:
    return answer({"error": f"send a body like {example}"}, status=400)
