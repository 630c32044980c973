"""The REST routes of a venue bench behind aiohttp's own test server; requests are signed with its time."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from signed_orders import Json, OfficialSigner
from venue_bench import VenueBench

from clawswarm.sandbox.identity.keys import ApiKey, hmac_signature
from clawswarm.sandbox.rest.gate import answered
from clawswarm.sandbox.rest.private import PrivateRest
from clawswarm.sandbox.rest.public import PublicRest

Answer = tuple[int, object]


class RestBench:
    """A venue bench and a client of its routes."""

    def __init__(self, bench: VenueBench, client: TestClient) -> None:
        self.bench = bench
        self.client = client

    async def get(self, path: str, key: ApiKey | None = None, **query: str) -> Answer:
        """GET, signed when a key is given."""
        headers = {} if key is None else self.headers(key, "GET", path)
        async with self.client.get(path, params=query, headers=headers) as response:
            return response.status, json.loads(await response.read())

    async def send(self, method: str, path: str, body: object, key: ApiKey | None = None) -> Answer:
        """Send JSON, signed when a key is given; None is no body."""
        raw = b"" if body is None else msgspec.json.encode(body)
        headers = {} if key is None else self.headers(key, method, path, raw)
        async with self.client.request(method, path, data=raw, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith(("{", "[", '"', "t")) else text

    def headers(self, key: ApiKey, method: str, path: str, body: bytes = b"") -> dict[str, str]:
        """L2 headers."""
        stamp = str(self.bench.now_s)
        return {
            "POLY_ADDRESS": key.address,
            "POLY_API_KEY": key.key,
            "POLY_PASSPHRASE": key.passphrase,
            "POLY_SIGNATURE": hmac_signature(key.secret, f"{stamp}{method}{path}", body),
            "POLY_TIMESTAMP": stamp,
        }

    async def order(
        self, signer: OfficialSigner, key: ApiKey, token: str | None = None, **order: object
    ) -> Answer:
        """POST /order."""
        return await self.send("POST", "/order", self.body(signer, key, token, **order), key)

    def body(self, signer: OfficialSigner, key: ApiKey, token: str | None = None, **order: object) -> Json:
        """A signed order of 10 shares at 0.52, or as named."""
        return signer.order(key.key, token or self.bench.market.yes_token, **order)


def serve(bench: VenueBench, scene: Callable[[RestBench], Awaitable[None]]) -> None:
    """Run a scene against the bench's routes."""

    async def play() -> None:
        app = web.Application(middlewares=[web.middleware(answered)])
        public, private = (kind(bench.venue, lambda: bench.now_ns) for kind in (PublicRest, PrivateRest))
        app.add_routes([*public.routes(), *private.routes()])
        async with TestClient(TestServer(app)) as client:
            await scene(RestBench(bench, client))

    asyncio.run(asyncio.wait_for(play(), timeout=30))
