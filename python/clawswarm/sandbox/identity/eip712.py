"""EIP-712 digests of the venue and the signer behind a signature, by hand; recovering it takes the most time.

Order V2 domain: name `Polymarket CTF Exchange`, version 2, the standard or neg-risk exchange contract; positions
of Protocol V2 use version 3 and one contract. API-key domain: `ClobAuthDomain` version 1. A deposit wallet signs
Solady's TypedDataSign around the order (polymarket.md §1.3, §2.1, §2.4; vectors in §14).
"""

from binascii import Error as HexError
from functools import lru_cache

import msgspec
from coincurve import PublicKey
from sha3 import keccak_256


def keccak(data: bytes) -> bytes:
    """Keccak-256, as Ethereum hashes."""
    digest: bytes = keccak_256(data).digest()
    return digest


CHAIN_ID = 137
EXCHANGE_V2 = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK_EXCHANGE_V2 = "0xe2222d279d744050d28e00520010520000310F59"
EXCHANGE_V3 = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"
EXCHANGE_V1 = "0x4bFb41d5B3570DeFd03C39a9A4D8dE6Bd8B8982E"
NEG_RISK_EXCHANGE_V1 = "0xC5d563A36AE78145C45a50134d48A1215220f80a"
AUTH_MESSAGE = "This message attests that I control the given wallet"

_DOMAIN = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_AUTH_DOMAIN = b"EIP712Domain(string name,string version,uint256 chainId)"
ORDER_TYPE_TEXT = (
    b"Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,"
    b"uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
_ORDER_TYPE = keccak(ORDER_TYPE_TEXT)
_WRAPPED_TYPE = keccak(
    b"TypedDataSign(Order contents,string name,string version,uint256 chainId,address verifyingContract,"
    b"bytes32 salt)" + ORDER_TYPE_TEXT
)
_WALLET_NAME = keccak(b"DepositWallet")
_WALLET_VERSION = keccak(b"1")
_AUTH_TYPE = keccak(b"ClobAuth(address address,string timestamp,uint256 nonce,string message)")
_AUTH_MESSAGE_HASH = keccak(AUTH_MESSAGE.encode())
PROTOCOL_V2_ZEROS = ((1 << 64) - 1) << 40
"""Bits that are zero in a Protocol-V2 position id (polymarket.md §1.3)."""
SIGNATURE_BYTES = 65
_ADDRESS_DIGITS = 40


class Malformed(ValueError):
    """A field is no address, no hash or no number of its width."""


class OrderFields(msgspec.Struct, frozen=True):
    """The signed fields of an order V2, `side` 0 for BUY."""

    salt: int
    maker: str
    signer: str
    token_id: int
    maker_amount: int
    taker_amount: int
    side: int
    signature_type: int
    timestamp: int
    metadata: str
    builder: str


def _word(value: int) -> bytes:
    try:
        return value.to_bytes(32, "big")
    except OverflowError as fault:
        raise Malformed("number outside uint256") from fault


def address_bytes(address: str) -> bytes:
    """20 bytes of a 0x address."""
    if len(address) != _ADDRESS_DIGITS + 2 or not address.startswith("0x"):
        raise Malformed("no address")
    return hex_bytes(address)


def hex_bytes(text: str) -> bytes:
    """Bytes of 0x-prefixed hexadecimal."""
    if not text.startswith("0x"):
        raise Malformed("no 0x hexadecimal")
    try:
        return bytes.fromhex(text[2:])
    except (ValueError, HexError) as fault:
        raise Malformed("no hexadecimal") from fault


def _bytes32(text: str) -> bytes:
    raw = hex_bytes(text) if text else bytes(32)
    if len(raw) != 32:
        raise Malformed("no bytes32")
    return raw


def domain_separator(version: str, contract: str, chain_id: int = CHAIN_ID) -> bytes:
    """Separator of an exchange contract's domain."""
    return keccak(
        keccak(_DOMAIN)
        + keccak(b"Polymarket CTF Exchange")
        + keccak(version.encode())
        + _word(chain_id)
        + address_bytes(contract).rjust(32, b"\0")
    )


V3_DOMAIN = domain_separator("3", EXCHANGE_V3)
STANDARD_DOMAIN = domain_separator("2", EXCHANGE_V2)
NEG_RISK_DOMAIN = domain_separator("2", NEG_RISK_EXCHANGE_V2)
OTHER_VERSION_DOMAINS = (
    domain_separator("1", EXCHANGE_V1),
    domain_separator("1", NEG_RISK_EXCHANGE_V1),
    domain_separator("1", EXCHANGE_V2),
    domain_separator("1", NEG_RISK_EXCHANGE_V2),
    domain_separator("3", EXCHANGE_V2),
    domain_separator("3", NEG_RISK_EXCHANGE_V2),
    V3_DOMAIN,
)
"""Domains that an order of the wrong version is signed for."""


def _auth_separator(chain_id: int) -> bytes:
    return keccak(keccak(_AUTH_DOMAIN) + keccak(b"ClobAuthDomain") + keccak(b"1") + _word(chain_id))


_AUTH_SEPARATOR = _auth_separator(CHAIN_ID)


def order_struct_hash(order: OrderFields) -> bytes:
    """hashStruct of an order V2."""
    return keccak(
        b"".join(
            (
                _ORDER_TYPE,
                _word(order.salt),
                address_bytes(order.maker).rjust(32, b"\0"),
                address_bytes(order.signer).rjust(32, b"\0"),
                _word(order.token_id),
                _word(order.maker_amount),
                _word(order.taker_amount),
                _word(order.side),
                _word(order.signature_type),
                _word(order.timestamp),
                _bytes32(order.metadata),
                _bytes32(order.builder),
            )
        )
    )


def exchange_domain(token_id: int, neg_risk: bool) -> bytes:
    """Domain that orders of a token are signed for."""
    if token_id & PROTOCOL_V2_ZEROS == 0:
        return V3_DOMAIN
    return NEG_RISK_DOMAIN if neg_risk else STANDARD_DOMAIN


def order_digest(order: OrderFields, neg_risk: bool) -> bytes:
    """What an order's signer signs; its hexadecimal is the order id."""
    return signing_digest(exchange_domain(order.token_id, neg_risk), order_struct_hash(order))


def signing_digest(domain: bytes, struct_hash: bytes) -> bytes:
    """What is signed for a struct under a domain."""
    return keccak(b"\x19\x01" + domain + struct_hash)


def wallet_struct_hash(order_hash: bytes, wallet: str) -> bytes:
    """hashStruct of the TypedDataSign that a deposit wallet's signer signs around an order; salt 0."""
    return keccak(
        _WRAPPED_TYPE
        + order_hash
        + _WALLET_NAME
        + _WALLET_VERSION
        + _word(CHAIN_ID)
        + address_bytes(wallet).rjust(32, b"\0")
        + bytes(32)
    )


def auth_digest(address: str, timestamp: str, nonce: int, chain_id: int = CHAIN_ID) -> bytes:
    """What a wallet signs to create or derive its API key (L1)."""
    separator = _AUTH_SEPARATOR if chain_id == CHAIN_ID else _auth_separator(chain_id)
    struct = keccak(
        _AUTH_TYPE
        + address_bytes(address).rjust(32, b"\0")
        + keccak(timestamp.encode())
        + _word(nonce)
        + _AUTH_MESSAGE_HASH
    )
    return keccak(b"\x19\x01" + separator + struct)


def recover_address(digest: bytes, signature: str) -> str:
    """Lower-case address that signed the digest. Raises Malformed for anything that is no signature."""
    return recover_from_bytes(digest, hex_bytes(signature))


def recover_from_bytes(digest: bytes, raw: bytes) -> str:
    """Lower-case address that signed the digest. Raises Malformed for anything that is no signature."""
    if len(raw) != SIGNATURE_BYTES:
        raise Malformed("a signature has 65 bytes")
    recovery = raw[64] - 27 if raw[64] >= 27 else raw[64]
    if recovery not in (0, 1):
        raise Malformed("no recovery id")
    try:
        key = PublicKey.from_signature_and_message(raw[:64] + bytes([recovery]), digest, hasher=None)
    except ValueError as fault:
        raise Malformed("no point on the curve") from fault
    return _address_of(key.format(compressed=False))


@lru_cache(maxsize=10_000)
def _address_of(public_key: bytes) -> str:
    return "0x" + keccak(public_key[1:])[12:].hex()


@lru_cache(maxsize=10_000)
def checksum_address(address: str) -> str:
    """EIP-55 spelling of a 0x address."""
    plain = address_bytes(address).hex()
    mask = keccak(plain.encode()).hex()
    return "0x" + "".join(c.upper() if int(m, 16) >= 8 else c for c, m in zip(plain, mask, strict=False))
