"""The simulated Polymarket as a server on loopback: REST, WebSockets, control port, and the replay behind.

One port serves what the real venue spreads over hosts: `/` CLOB REST, `/gamma` and `/data-api`, `/ws/market`,
`/ws/user`, `/rtds`, `/polybolt/ws`, `/api/geoblock`, the relayer and `/rpc` of the chain; the control port is
another, always plain HTTP.
"""

import asyncio
import gc
import ssl
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from clawswarm.model.errors import UserFault
from clawswarm.sandbox.control.port import ControlRest
from clawswarm.sandbox.data_api.rest import DataRest
from clawswarm.sandbox.gamma.rest import GammaRest
from clawswarm.sandbox.prices.sockets import PriceSockets
from clawswarm.sandbox.pump import Stage, run_pump
from clawswarm.sandbox.rest.gate import Gate, answered
from clawswarm.sandbox.rest.private import PrivateRest
from clawswarm.sandbox.rest.public import PublicRest
from clawswarm.sandbox.rest.rpc import RpcRest
from clawswarm.sandbox.rest.tiers import TierRest
from clawswarm.sandbox.scenario import load_playbacks
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.streams.serving import Serving
from clawswarm.sandbox.streams.sockets import VenueSockets
from clawswarm.sandbox.venue import Venue

__all__ = ["SandboxServer", "SandboxSettings", "venue_application"]

_NS_PER_MS = 1_000_000
_LARGEST_BODY_BYTES = 1 << 20
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class SandboxServer:
    """The venue on its two ports. `clock` is boottime in ns, `wall_ms` the wall clock, read once."""

    def __init__(
        self,
        settings: SandboxSettings,
        clock: Callable[[], int],
        wall_ms: Callable[[], int],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if settings.host not in _LOOPBACK:
            raise UserFault(f"sandbox.host {settings.host} is not loopback: use 127.0.0.1")
        self.venue = Venue(settings)
        self._settings = settings
        self._tls = tls
        self._clock = clock
        self._offset_ns = wall_ms() * _NS_PER_MS - clock()
        self._serving = Serving(self.venue, self.now_ns)
        self._runners: list[web.AppRunner] = []
        self._stage: Stage | None = None
        self.port = settings.port
        self.control_port = settings.control_port

    def now_ns(self) -> int:
        """The venue's time: unix nanoseconds that never step back."""
        return self._clock() + self._offset_ns

    @property
    def open_order_count(self) -> int:
        """Open orders that are no participant's."""
        return len(self.venue.open_customer_orders())

    @property
    def account_connections(self) -> int:
        """Authenticated connections on the user channel."""
        return self.venue.user_hub.connection_count

    async def start(self) -> None:
        """Load the recordings, open the markets and accept connections.

        Raises UserFault when a port is taken, the recordings cannot be read or a series is unknown.
        """
        self._stage = Stage(self.venue, load_playbacks(self._settings))
        self._stage.open(self.now_ns())
        app = venue_application(self.venue, self._serving, self.now_ns)
        self.port = await self._bind(app, self._settings.port, self._tls)
        control = web.Application(middlewares=[_plain], client_max_size=_LARGEST_BODY_BYTES)
        control.add_routes(ControlRest(self.venue, self.now_ns).routes())
        self.control_port = await self._bind(control, self._settings.control_port, None)

    async def run_until(self, stop: asyncio.Event) -> None:
        """Play the recordings until `stop` is set."""
        if self._stage is None:
            raise RuntimeError("start() comes first")
        await run_pump(self._stage, self.venue, self.now_ns, stop)

    async def close(self) -> None:
        """Close every connection and both ports."""
        await self._serving.close_all()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    async def _bind(self, app: web.Application, port: int, tls: ssl.SSLContext | None) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._runners.append(runner)
        try:
            await web.TCPSite(runner, self._settings.host, port, ssl_context=tls).start()
        except OSError as fault:
            await self.close()
            raise UserFault(
                f"port {port} of the sandbox is taken: stop what uses it or choose another port"
            ) from fault
        return int(runner.addresses[0][1])


SELDOM = (100_000, 50, 50)
"""Thresholds of the garbage collection where everything stays: orders and trades above all."""


def collect_seldom() -> None:
    """Of a process that is a started venue: let it look through all that it stores almost never.

    A look takes 75 ms after half a minute of trading, and in that time no customer is served.
    """
    gc.freeze()
    gc.set_threshold(*SELDOM)


def venue_application(venue: Venue, serving: Serving, now_ns: Callable[[], int]) -> web.Application:
    """Everything on the venue's own port, wherever it is served."""
    gate = Gate(venue, now_ns).middleware()
    app = web.Application(middlewares=[gate], client_max_size=_LARGEST_BODY_BYTES)
    app.add_routes(
        [
            *PublicRest(venue, now_ns).routes(),
            *PrivateRest(venue, now_ns).routes(),
            *TierRest(venue, now_ns).routes(),
            *RpcRest(venue, now_ns).routes(),
            *GammaRest(venue).routes(),
            *DataRest(venue).routes(),
            *VenueSockets(venue, serving).routes(),
            *PriceSockets(venue, serving, now_ns).routes(),
        ]
    )
    return app


@web.middleware
async def _plain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The control port knows no limits; its refusals are JSON too."""
    return await answered(request, handler)
