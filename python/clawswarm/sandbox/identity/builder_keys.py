"""Who submits to the relayer: a builder key's HMAC, or a relayer key with its address (polymarket.md §2.3).

Builder keys are issued to the signer of POST /auth/builder-api-key. Relayer keys come from a web page; here each
address has one, which derives from the seed.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from uuid import UUID

import msgspec

from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.identity.eip712 import Malformed, checksum_address
from clawswarm.sandbox.identity.keys import hmac_signature, is_recent


class BuilderKey(msgspec.Struct, frozen=True):
    """One builder key; its secret and passphrase never print."""

    key: str
    address: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return f"BuilderKey(key={self.key!r}, address={self.address!r})"


def relayer_key(seed: int, address: str) -> str:
    """The relayer key of an address."""
    digest = hashlib.sha256(f"relayer key:{seed}:{address.lower()}".encode()).digest()
    return str(UUID(bytes=digest[:16], version=4))


class BuilderKeyRing:
    """All builder keys."""

    def __init__(self, seed: int, tolerance_s: int) -> None:
        self._seed = seed
        self._tolerance_s = tolerance_s
        self._by_key: dict[str, BuilderKey] = {}
        self._issued = 0

    def create(self, address: str) -> BuilderKey:
        """Issue a key to a signer."""
        self._issued += 1
        root = f"builder:{self._seed}:{address}:{self._issued}".encode()
        made = BuilderKey(
            key=str(UUID(bytes=hashlib.sha256(b"key:" + root).digest()[:16], version=4)),
            address=address,
            secret=base64.urlsafe_b64encode(hashlib.sha256(b"secret:" + root).digest()).decode(),
            passphrase=hashlib.sha256(b"passphrase:" + root).hexdigest(),
        )
        self._by_key[made.key] = made
        return made

    def keys_of(self, address: str) -> list[str]:
        """Ids of a signer's keys."""
        return [known.key for known in self._by_key.values() if known.address == address]

    def revoke(self, headers: Mapping[str, str], signed: str, body: bytes, now_s: int) -> None:
        """End the key that signed the request."""
        del self._by_key[self._check(headers, signed, body, now_s).key]

    def account(self, headers: Mapping[str, str], signed: str, body: bytes, now_s: int) -> str:
        """The address that a request to the relayer is counted for; refused when nothing proves one."""
        if "RELAYER_API_KEY" not in headers:
            return self._check(headers, signed, body, now_s).address
        try:
            address = checksum_address(headers.get("RELAYER_API_KEY_ADDRESS", ""))
        except Malformed as fault:
            raise refusals.unauthorized() from fault
        if not _is_same(headers["RELAYER_API_KEY"], relayer_key(self._seed, address)):
            raise refusals.unauthorized()
        return address

    def _check(self, headers: Mapping[str, str], signed: str, body: bytes, now_s: int) -> BuilderKey:
        known = self._by_key.get(headers.get("POLY_BUILDER_API_KEY", ""))
        timestamp = headers.get("POLY_BUILDER_TIMESTAMP", "")
        if known is None or not is_recent(timestamp, now_s, self._tolerance_s):
            raise refusals.unauthorized()
        expected = hmac_signature(known.secret, timestamp + signed, body)
        is_signed = _is_same(headers.get("POLY_BUILDER_SIGNATURE", ""), expected)
        if not is_signed or not _is_same(headers.get("POLY_BUILDER_PASSPHRASE", ""), known.passphrase):
            raise refusals.unauthorized()
        return known


def _is_same(given: str, right: str) -> bool:
    """Compare in constant time; a header may hold bytes that are no text."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), right.encode())
