"""Ready-made POST /order requests of throw-away accounts, signed as the venue demands, as bytes for a socket."""

import base64
import hashlib
import hmac
import http.client
import json
import time

import msgspec
from coincurve import PrivateKey

from clawswarm.sandbox.identity.eip712 import OrderFields, auth_digest, checksum_address, keccak, order_digest

_ZERO = "0x" + "00" * 32


class Trader(msgspec.Struct, frozen=True):
    """A key of its own and the venue's API key for it; `host` is the loopback address it calls from."""

    key: bytes
    address: str
    host: str
    api_key: str
    secret: str
    passphrase: str


def log_in(number: int, host: str, port: int) -> Trader:
    """A new trader with an API key."""
    key = hashlib.sha256(f"benchmark trader {number}".encode()).digest()
    public = PrivateKey(key).public_key.format(compressed=False)
    address = checksum_address("0x" + keccak(public[1:])[12:].hex())
    stamp = str(_now_s())
    headers = {
        "POLY_ADDRESS": address,
        "POLY_SIGNATURE": _sign(key, auth_digest(address, stamp, 0)),
        "POLY_TIMESTAMP": stamp,
        "POLY_NONCE": "0",
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/auth/api-key", headers=headers)
    issued = json.loads(connection.getresponse().read())
    connection.close()
    return Trader(key, address, host, issued["apiKey"], issued["secret"], issued["passphrase"])


def order_request(trader: Trader, token: str, number: int) -> bytes:
    """One post-only GTC bid of five shares, at one of thirty low prices."""
    price_e4 = 100 * (1 + number % 30)
    shares_e6 = 5_000_000
    fields = OrderFields(
        salt=number,
        maker=trader.address,
        signer=trader.address,
        token_id=int(token),
        maker_amount=price_e4 * shares_e6 // 10_000,
        taker_amount=shares_e6,
        side=0,
        signature_type=0,
        timestamp=_now_s() * 1000,
        metadata=_ZERO,
        builder=_ZERO,
    )
    order = {
        "builder": _ZERO,
        "expiration": "0",
        "maker": fields.maker,
        "makerAmount": str(fields.maker_amount),
        "metadata": _ZERO,
        "salt": fields.salt,
        "side": "BUY",
        "signature": _sign(trader.key, order_digest(fields, neg_risk=False)),
        "signatureType": 0,
        "signer": fields.signer,
        "takerAmount": str(fields.taker_amount),
        "timestamp": str(fields.timestamp),
        "tokenId": token,
    }
    body = msgspec.json.encode(
        {"deferExec": False, "order": order, "orderType": "GTC", "owner": trader.api_key, "postOnly": True}
    )
    stamp = str(_now_s())
    mac = hmac.new(
        base64.urlsafe_b64decode(trader.secret), f"{stamp}POST/order".encode() + body, hashlib.sha256
    ).digest()
    head = (
        "POST /order HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nPOLY_ADDRESS: {trader.address}\r\nPOLY_API_KEY: {trader.api_key}\r\n"
        f"POLY_PASSPHRASE: {trader.passphrase}\r\nPOLY_TIMESTAMP: {stamp}\r\n"
        f"POLY_SIGNATURE: {base64.urlsafe_b64encode(mac).decode()}\r\n\r\n"
    )
    return head.encode() + body


def _sign(key: bytes, digest: bytes) -> str:
    raw = PrivateKey(key).sign_recoverable(digest, hasher=None)
    return "0x" + raw[:64].hex() + f"{raw[64] + 27:02x}"


def _now_s() -> int:
    return time.time_ns() // 1_000_000_000  # noqa: TID251 - the venue checks it against the wall clock
