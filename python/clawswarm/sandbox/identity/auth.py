"""Who is calling: API keys, the L1 wallet proof, the L2 HMAC and the signature on an order.

One active key per wallet (polymarket.md §2.5, the pessimistic reading): a key created under another nonce
revokes the one before. Keys derive from the seed, so a wallet gets the same key in every run.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from uuid import UUID

import msgspec

from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.admission import OrderRequest
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.eip712 import (
    Malformed,
    OrderFields,
    auth_digest,
    checksum_address,
    order_digest,
    recover_address,
)

CLOCK_TOLERANCE_S = 30
_UINT_DIGITS = 78


class ApiKey(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One API key and the wallet it stands for; `secret` and `passphrase` never print."""

    key: str
    address: str
    nonce: int
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return f"ApiKey(key={self.key!r}, address={self.address!r})"


class SignedOrder(msgspec.Struct):
    """`order` of POST /order as it stands on the wire."""

    salt: int | str
    maker: str
    signer: str
    tokenId: str  # noqa: N815 - the wire's spelling
    makerAmount: str  # noqa: N815
    takerAmount: str  # noqa: N815
    side: str
    signatureType: int  # noqa: N815
    timestamp: str
    signature: str
    metadata: str = ""
    builder: str = ""
    expiration: str | None = "0"


class OrderMessage(msgspec.Struct):
    """Body of POST /order."""

    order: SignedOrder
    owner: str
    orderType: str = "GTC"  # noqa: N815
    postOnly: bool = False  # noqa: N815
    deferExec: bool = False  # noqa: N815


class KeyRing:
    """All API keys of the venue."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._by_key: dict[str, ApiKey] = {}
        self._by_address: dict[str, ApiKey] = {}

    def create(self, headers: Mapping[str, str], now_s: int) -> ApiKey:
        """Issue a wallet's key (POST /auth/api-key)."""
        address, nonce = prove_wallet(headers, now_s)
        held = self._by_address.get(address)
        if held is not None:
            if held.nonce == nonce:
                raise VenueRefusal(400, "Could not create api key")
            del self._by_key[held.key]
        issued = self._derive(address, nonce)
        self._by_address[address] = self._by_key[issued.key] = issued
        return issued

    def derive(self, headers: Mapping[str, str], now_s: int) -> ApiKey:
        """Return a wallet's existing key (GET /auth/derive-api-key)."""
        address, nonce = prove_wallet(headers, now_s)
        held = self._by_address.get(address)
        if held is None or held.nonce != nonce:
            raise VenueRefusal(400, "Could not derive api key!")
        return held

    def keys_of(self, address: str) -> list[str]:
        """Key ids of a wallet."""
        held = self._by_address.get(address)
        return [held.key] if held else []

    def check_l2(self, headers: Mapping[str, str], signed: str, body: bytes, now_s: int) -> ApiKey:
        """Return the key that signed `METHOD + path` and the body, within the clock tolerance."""
        held = self._by_key.get(headers.get("POLY_API_KEY", ""))
        timestamp = headers.get("POLY_TIMESTAMP", "")
        if (
            held is None
            or headers.get("POLY_ADDRESS", "").lower() != held.address.lower()
            or not hmac.compare_digest(headers.get("POLY_PASSPHRASE", "").encode(), held.passphrase.encode())
            or not is_recent(timestamp, now_s)
        ):
            raise refusals.unauthorized()
        expected = hmac_signature(held.secret, timestamp + signed, body)
        if not hmac.compare_digest(headers.get("POLY_SIGNATURE", "").encode(), expected.encode()):
            raise refusals.unauthorized()
        return held

    def check_plain(self, key: str, secret: str, passphrase: str) -> ApiKey | None:
        """Return the key whose credentials were sent in a WebSocket frame, None if they are wrong."""
        held = self._by_key.get(key)
        if held is None:
            return None
        given, right = f"{secret}:{passphrase}".encode(), f"{held.secret}:{held.passphrase}".encode()
        return held if hmac.compare_digest(given, right) else None

    def _derive(self, address: str, nonce: int) -> ApiKey:
        root = f"{self._seed}:{address}:{nonce}".encode()
        digest = hashlib.sha256(b"key:" + root).digest()
        return ApiKey(
            key=str(UUID(bytes=digest[:16], version=4)),
            address=address,
            nonce=nonce,
            secret=base64.urlsafe_b64encode(hashlib.sha256(b"secret:" + root).digest()).decode(),
            passphrase=hashlib.sha256(b"passphrase:" + root).hexdigest(),
        )


def is_recent(timestamp: str, now_s: int) -> bool:
    """Whether a header's seconds lie within the clock tolerance."""
    return is_uint(timestamp) and abs(int(timestamp) - now_s) <= CLOCK_TOLERANCE_S


def is_uint(text: str) -> bool:
    """Whether a text is a plain decimal number of at most 256 bits' digits."""
    return text.isascii() and text.isdigit() and len(text) <= _UINT_DIGITS


def hmac_signature(secret: str, signed: str, body: bytes) -> str:
    """Base64url HMAC-SHA256 of `timestamp + METHOD + path + body` (§2.2)."""
    mac = hmac.new(base64.urlsafe_b64decode(secret), signed.encode() + body, hashlib.sha256)
    return base64.urlsafe_b64encode(mac.digest()).decode()


def prove_wallet(headers: Mapping[str, str], now_s: int) -> tuple[str, int]:
    """Return (checksum address, nonce) proved by L1 headers."""
    address, timestamp = headers.get("POLY_ADDRESS", ""), headers.get("POLY_TIMESTAMP", "")
    nonce = headers.get("POLY_NONCE", "0")
    if not is_uint(nonce) or not is_recent(timestamp, now_s):
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


def order_fields(order: SignedOrder) -> OrderFields:
    """Signed fields of a wire order. Raises the venue's refusal when one is no number."""
    numbers = (str(order.salt), order.tokenId, order.makerAmount, order.takerAmount, order.timestamp)
    if not all(is_uint(text) for text in numbers) or order.side not in ("BUY", "SELL"):
        raise refusals.invalid_order_payload()
    if order.signatureType != 0:
        raise refusals.invalid_signature_type()
    salt, token_id, maker_amount, taker_amount, timestamp = (int(text) for text in numbers)
    return OrderFields(
        salt=salt,
        maker=order.maker,
        signer=order.signer,
        token_id=token_id,
        maker_amount=maker_amount,
        taker_amount=taker_amount,
        side=0 if order.side == "BUY" else 1,
        signature_type=order.signatureType,
        timestamp=timestamp,
        metadata=order.metadata,
        builder=order.builder,
    )


def check_order(message: OrderMessage, key: ApiKey, neg_risk: bool) -> OrderRequest:
    """Prove owner, signer and signature of an order; return what the exchange needs of it."""
    order = message.order
    if message.owner != key.key:
        raise refusals.wrong_owner()
    fields = order_fields(order)
    expiration = order.expiration or "0"
    if not is_uint(expiration):
        raise refusals.invalid_expiration()
    if order.signer.lower() != key.address.lower():
        raise refusals.wrong_signer()
    try:
        digest = order_digest(fields, neg_risk)
        is_signed = recover_address(digest, order.signature) == order.signer.lower()
    except Malformed as fault:
        raise refusals.invalid_order_payload() from fault
    if not is_signed or order.maker.lower() != order.signer.lower():
        raise refusals.invalid_signature()
    return OrderRequest(
        order_id="0x" + digest.hex(),
        owner=key.key,
        token=order.tokenId,
        is_buy=order.side == "BUY",
        maker_amount_e6=fields.maker_amount,
        taker_amount_e6=fields.taker_amount,
        order_type=message.orderType,
        is_post_only=message.postOnly,
        expires_s=int(expiration),
    )
