"""What the tests of the control port share: signed requests with their headers, and the control calls."""

import asyncio
import json

import aiohttp
from py_clob_client_v2.clob_types import OrderArgs
from py_clob_client_v2.order_utils.model.order_data_v2 import order_to_json_v2
from venue_thread import RunningVenue
from wire_client import Caller, Json

POST_ORDER: Json = {"method": "POST", "path": "/order"}


async def ask(
    session: aiohttp.ClientSession, caller: Caller, method: str, path: str, body: bytes = b""
) -> tuple[int, dict[str, str], Json]:
    """A signed request; status, headers and JSON of the answer."""
    headers = caller.headers(method, path, body) | {"Content-Type": "application/json"}
    async with session.request(method, caller.venue.url + path, data=body, headers=headers) as response:
        return response.status, dict(response.headers), json.loads(await response.read())


async def look(session: aiohttp.ClientSession, venue: RunningVenue, path: str) -> Json:
    """What a GET route of the control port says."""
    async with session.get(venue.control + path) as response:
        assert response.status == 200
        return json.loads(await response.read())


async def switch(
    session: aiohttp.ClientSession,
    venue: RunningVenue,
    path: str,
    body: Json | None = None,
    *,
    method: str = "POST",
    status: int = 200,
) -> Json:
    """Call a route of the control port."""
    async with session.request(method, venue.control + path, json=body) as response:
        assert response.status == status, await response.text()
        return json.loads(await response.read())


async def signed(caller: Caller, token: str, price: float, is_post_only: bool = False) -> Json:
    """The wire form of a GTC bid of ten shares that was not sent."""
    args = OrderArgs(token_id=token, price=price, size=10, side="BUY")
    order = await asyncio.to_thread(caller.official.create_order, args)
    return dict(order_to_json_v2(order, caller.credentials.api_key, "GTC", post_only=is_post_only))
