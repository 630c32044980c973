"""The control port as HTTP: `GET /` lists every route, a body that cannot be used is 400 with the reason."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from clawswarm.sandbox.control import accounts, plant, relaying, steer, truth
from clawswarm.sandbox.control.route import Route, Unusable
from clawswarm.sandbox.rest.wire import answer
from clawswarm.sandbox.venue import Venue

_INDEX: dict[str, object] = {"method": "GET", "path": "/", "body": None, "effect": "this list"}
_ROUTES: tuple[Route, ...] = (*truth.ROUTES, *steer.ROUTES, *accounts.ROUTES, *plant.ROUTES, *relaying.ROUTES)


class ControlRest:
    """Handlers of the control port."""

    def __init__(self, venue: Venue, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._now_ns = now_ns

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        handlers = [web.route(route.method, route.path, self._handler(route)) for route in _ROUTES]
        return [web.get("/", self.index), *handlers]

    async def index(self, _request: web.Request) -> web.Response:
        """List the routes."""
        return answer({"routes": [_INDEX, *(route.line() for route in _ROUTES)]})

    def _handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                return answer(route.answer(self._venue, self._now_ns(), await request.read()))
            except Unusable as fault:
                return answer({"error": str(fault)}, status=400)

        return handle
