"""Private REST of the venue: everything that needs a wallet's proof or an API key (polymarket.md §2 to §4)."""

from collections.abc import Callable

from aiohttp import web

from clawswarm.sandbox.rest.caller import Caller
from clawswarm.sandbox.rest.keys import KeysRest
from clawswarm.sandbox.rest.orders import OrdersRest
from clawswarm.sandbox.rest.reads import ReadsRest
from clawswarm.sandbox.rest.relayer import RelayerRest
from clawswarm.sandbox.rest.rewards import RewardsRest
from clawswarm.sandbox.venue import Venue


class PrivateRest:
    """Handlers that need a wallet's proof or an API key."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        caller = Caller(venue, now_ns)
        self._parts = (
            KeysRest(caller),
            OrdersRest(caller),
            ReadsRest(caller),
            RewardsRest(caller),
            RelayerRest(caller),
        )

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [route for part in self._parts for route in part.routes()]
