"""Keys of a signer: create, derive, list, delete, read-only keys, standing (polymarket.md §2.1, §2.5)."""

import msgspec
from aiohttp import web

from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.identity.keys import ApiKey
from clawswarm.sandbox.rest.caller import Caller, decode
from clawswarm.sandbox.rest.wire import answer

_NS_PER_S = 1_000_000_000


class _ReadonlyBody(msgspec.Struct):
    key: str


class KeysRest:
    """Handlers of `/auth`, and the list of session signers."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._venue = caller.venue

    def routes(self) -> list[web.RouteDef]:
        """Method and path of every handler."""
        return [
            web.post("/auth/api-key", self.create),
            web.delete("/auth/api-key", self.delete),
            web.get("/auth/derive-api-key", self.derive),
            web.get("/auth/api-keys", self.list),
            web.post("/auth/readonly-api-key", self.create_readonly),
            web.get("/auth/readonly-api-keys", self.list_readonly),
            web.delete("/auth/readonly-api-key", self.delete_readonly),
            web.post("/auth/builder-api-key", self.create_builder),
            web.get("/auth/builder-api-key", self.list_builder),
            web.delete("/auth/builder-api-key", self.delete_builder),
            web.get("/auth/ban-status/closed-only", self.closed_only),
            web.get("/v1/user/session-signers", self.session_signers),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Issue a signer's key (L1)."""
        return _credentials(self._venue.create_key(request.headers, self._caller.now_ns()))

    async def derive(self, request: web.Request) -> web.Response:
        """Return a signer's key again (L1)."""
        now_s = self._caller.now_ns() // _NS_PER_S
        return _credentials(self._venue.keys.derive(request.headers, now_s))

    async def list(self, request: web.Request) -> web.Response:
        """Ids of the signer's keys."""
        key, _ = await self._caller.authorize(request)
        return answer({"apiKeys": self._venue.keys.keys_of(key.address)})

    async def delete(self, request: web.Request) -> web.Response:
        """Revoke the key that signed the request."""
        key, _ = await self._caller.authorize(request)
        self._venue.keys.revoke(key)
        return answer("OK")

    async def create_readonly(self, request: web.Request) -> web.Response:
        """Issue a key that may only read."""
        key, _ = await self._caller.authorize(request)
        return answer({"apiKey": self._venue.keys.create_readonly(key.address)})

    async def list_readonly(self, request: web.Request) -> web.Response:
        """The signer's read-only keys."""
        key, _ = await self._caller.authorize(request)
        return answer(self._venue.keys.readonly_of(key.address))

    async def delete_readonly(self, request: web.Request) -> web.Response:
        """Revoke a read-only key."""
        key, body = await self._caller.authorize(request)
        named = decode(body, _ReadonlyBody, refusals.invalid_payload).key
        self._venue.keys.delete_readonly(key.address, named)
        return answer(True)

    async def create_builder(self, request: web.Request) -> web.Response:
        """Issue a builder key, which the relayer takes."""
        key, _ = await self._caller.authorize(request)
        made = self._venue.builder_keys.create(key.address)
        return answer({"key": made.key, "secret": made.secret, "passphrase": made.passphrase})

    async def list_builder(self, request: web.Request) -> web.Response:
        """The signer's builder keys."""
        key, _ = await self._caller.authorize(request)
        return answer([{"key": known} for known in self._venue.builder_keys.keys_of(key.address)])

    async def delete_builder(self, request: web.Request) -> web.Response:
        """Revoke the builder key that signed the request."""
        body, signed = await request.read(), request.method + request.rel_url.raw_path
        now_s = self._caller.now_ns() // _NS_PER_S
        self._venue.builder_keys.revoke(request.headers, signed, body, now_s)
        return answer("OK")

    async def closed_only(self, request: web.Request) -> web.Response:
        """Whether the account may only reduce its positions."""
        key, _ = await self._caller.authorize(request)
        return answer({"closed_only": self._venue.access.is_closed_only(key)})

    async def session_signers(self, request: web.Request) -> web.Response:
        """Session signers of the owner's deposit wallet."""
        key, _ = await self._caller.authorize(request)
        self._venue.access.check_owner(key)
        wallet = self._venue.access.deposit_wallet(key.address)
        signers = [
            {"address": s.address, "scopes": list(s.scopes), "valid_until": s.valid_until_s}
            for s in self._venue.sessions.of_wallet(wallet)
        ]
        return answer({"wallet": wallet, "signers": signers})


def _credentials(key: ApiKey) -> web.Response:
    return answer({"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase})
