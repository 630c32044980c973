"""Who is calling: API keys, the L1 wallet proof and the L2 HMAC (polymarket.md §2.1, §2.2, §2.5).

With `single_key` (the documented, pessimistic reading) a key created under another nonce revokes the one before;
without it each nonce of a signer has its key. Keys derive from the seed, so a run repeats them; a key that was
deleted or revoked comes back as a new one.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from uuid import UUID

import msgspec

from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.identity.eip712 import (
    Malformed,
    auth_digest,
    checksum_address,
    recover_address,
)

CLOCK_TOLERANCE_S = 30
_UINT_DIGITS = 78


class ApiKey(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One API key and the signer it stands for; `secret` and `passphrase` never print."""

    key: str
    address: str
    nonce: int
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return f"ApiKey(key={self.key!r}, address={self.address!r})"


class KeyRing:
    """All API keys of the venue."""

    def __init__(self, seed: int, tolerance_s: int = CLOCK_TOLERANCE_S, *, single_key: bool = True) -> None:
        self.tolerance_s = tolerance_s
        self._seed = seed
        self._is_single = single_key
        self._by_key: dict[str, ApiKey] = {}
        self._by_address: dict[str, dict[int, ApiKey]] = {}
        self._issued: dict[tuple[str, int], int] = {}
        self._addresses: dict[str, str] = {}
        self._readonly: dict[str, str] = {}

    def create(self, headers: Mapping[str, str], now_s: int) -> ApiKey:
        """Issue a signer's key (POST /auth/api-key)."""
        address, nonce = prove_wallet(headers, now_s, self.tolerance_s)
        held = self._by_address.setdefault(address, {})
        if nonce in held:
            raise refusals.no_api_key()
        if self._is_single:
            for old in list(held.values()):
                self.revoke(old)
        issued = self._derive(address, nonce)
        held[nonce] = self._by_key[issued.key] = issued
        self._addresses[issued.key] = address
        return issued

    def derive(self, headers: Mapping[str, str], now_s: int) -> ApiKey:
        """Return a signer's existing key (GET /auth/derive-api-key)."""
        address, nonce = prove_wallet(headers, now_s, self.tolerance_s)
        held = self._by_address.get(address, {}).get(nonce)
        if held is None:
            raise refusals.no_derived_key()
        return held

    def revoke(self, key: ApiKey) -> None:
        """Make a key worthless; its orders stay where they are."""
        del self._by_key[key.key]
        del self._by_address[key.address][key.nonce]

    def revoke_signer(self, address: str) -> None:
        """Make every key of a signer worthless."""
        for key in list(self._by_address.get(address, {}).values()):
            self.revoke(key)

    def keys_of(self, address: str) -> list[str]:
        """Key ids of a signer."""
        return [key.key for key in self._by_address.get(address, {}).values()]

    def address_of(self, key: str) -> str | None:
        """Signer that a key was issued to, also after it was revoked."""
        return self._addresses.get(key)

    def check_l2(self, headers: Mapping[str, str], signed: str, body: bytes, now_s: int) -> ApiKey:
        """Return the key that signed `METHOD + path` and the body, within the clock tolerance."""
        held = self._by_key.get(headers.get("POLY_API_KEY", ""))
        timestamp = headers.get("POLY_TIMESTAMP", "")
        if (
            held is None
            or headers.get("POLY_ADDRESS", "").lower() != held.address.lower()
            or not _is_same(headers.get("POLY_PASSPHRASE", ""), held.passphrase)
            or not is_recent(timestamp, now_s, self.tolerance_s)
        ):
            raise refusals.unauthorized()
        expected = hmac_signature(held.secret, timestamp + signed, body)
        if not _is_same(headers.get("POLY_SIGNATURE", ""), expected):
            raise refusals.unauthorized()
        return held

    def check_plain(self, key: str, secret: str, passphrase: str) -> ApiKey | None:
        """Return the key whose credentials were sent in a WebSocket frame, None if they are wrong."""
        held = self._by_key.get(key)
        if held is None:
            return None
        return held if _is_same(f"{secret}:{passphrase}", f"{held.secret}:{held.passphrase}") else None

    # --- read-only keys -------------------------------------------------------------------------

    def create_readonly(self, address: str) -> str:
        """Issue a key that may only read."""
        serial = self._issued[address, -1] = self._issued.get((address, -1), 0) + 1
        digest = hashlib.sha256(f"readonly:{self._seed}:{address}:{serial}".encode()).digest()
        key = str(UUID(bytes=digest[:16], version=4))
        self._readonly[key] = address
        return key

    def readonly_of(self, address: str) -> list[str]:
        """Read-only keys of a signer."""
        return [key for key, holder in self._readonly.items() if holder == address]

    def delete_readonly(self, address: str, key: str) -> None:
        """Revoke a read-only key; refused when it is not the signer's."""
        if self._readonly.get(key) != address:
            raise refusals.unauthorized()
        del self._readonly[key]

    def check_readonly(self, headers: Mapping[str, str]) -> str:
        """Return the signer behind a read-only key."""
        address = self._readonly.get(headers.get("POLY_READONLY_API_KEY", ""))
        if address is None or headers.get("POLY_ADDRESS", "").lower() != address.lower():
            raise refusals.unauthorized()
        return address

    def _derive(self, address: str, nonce: int) -> ApiKey:
        issued = self._issued[address, nonce] = self._issued.get((address, nonce), 0) + 1
        root = f"{self._seed}:{address}:{nonce}:{issued}".encode()
        digest = hashlib.sha256(b"key:" + root).digest()
        return ApiKey(
            key=str(UUID(bytes=digest[:16], version=4)),
            address=address,
            nonce=nonce,
            secret=base64.urlsafe_b64encode(hashlib.sha256(b"secret:" + root).digest()).decode(),
            passphrase=hashlib.sha256(b"passphrase:" + root).hexdigest(),
        )


def _is_same(given: str, right: str) -> bool:
    """Compare in constant time; a header may hold bytes that are no text."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), right.encode())


def is_recent(timestamp: str, now_s: int, tolerance_s: int = CLOCK_TOLERANCE_S) -> bool:
    """Whether a header's seconds lie within the clock tolerance."""
    return is_uint(timestamp) and abs(int(timestamp) - now_s) <= tolerance_s


def is_uint(text: str) -> bool:
    """Whether a text is a plain decimal number of at most 256 bits' digits."""
    return text.isascii() and text.isdigit() and len(text) <= _UINT_DIGITS


def hmac_signature(secret: str, signed: str, body: bytes) -> str:
    """Base64url HMAC-SHA256 of `timestamp + METHOD + path` and the body (§2.2)."""
    mac = hmac.new(base64.urlsafe_b64decode(secret), signed.encode() + body, hashlib.sha256)
    return base64.urlsafe_b64encode(mac.digest()).decode()


def prove_wallet(
    headers: Mapping[str, str], now_s: int, tolerance_s: int = CLOCK_TOLERANCE_S
) -> tuple[str, int]:
    """Return (checksum address, nonce) proved by L1 headers."""
    address, timestamp = headers.get("POLY_ADDRESS", ""), headers.get("POLY_TIMESTAMP", "")
    nonce = headers.get("POLY_NONCE", "0")
    if not is_uint(nonce) or not is_recent(timestamp, now_s, tolerance_s):
        raise refusals.invalid_l1_headers()
    try:
        signer = recover_address(
            auth_digest(address, timestamp, int(nonce)), headers.get("POLY_SIGNATURE", "")
        )
        if signer != address.lower():
            raise refusals.invalid_l1_headers()
        return checksum_address(address), int(nonce)
    except Malformed as fault:
        raise refusals.invalid_l1_headers() from fault
