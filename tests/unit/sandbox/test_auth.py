"""Signatures and keys, against the vectors of polymarket.md §14 (made with the official SDK)."""

import pytest

from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.eip712 import (
    NEG_RISK_DOMAIN,
    STANDARD_DOMAIN,
    OrderFields,
    auth_digest,
    checksum_address,
    order_digest,
    order_struct_hash,
    recover_address,
)
from clawswarm.sandbox.identity.keys import KeyRing, hmac_signature, prove_wallet

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
ZERO = "0x" + "00" * 32
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
L1_SIGNATURE = (
    "0x659ed4b28ae28e0f038fdf0023c00863c9559caacb9ebc83f44eea87059a099a"
    "36f1e1dee110e7faa1c4f65d17489b2da1333ebef78bbe2116d81207b975052d1c"
)
BUY_SIGNATURE = (
    "0x0f394c466394b93f2dcf432d9ada1bc82f4f72f488a17be1da12417beef50bd8"
    "78dc27d4f2e7158e0102e1b008c95a1773dff6182122fc67b53dbbb5aa483c8c1b"
)
SELL_SIGNATURE = (
    "0xfd421c6a378a0f533d41428816a4b47c12e9d31df5c333324eb2d4f2ec98da72"
    "439afcbfca4db5f4fa1bf3ce3af61e64b55e2319e2649313e77d1d1a9a8e32b51c"
)
NEG_RISK_SIGNATURE = (
    "0xad158bcd5b3943565fd5310bafc40e3889c2495f3622238e74224f774c0e2e73"
    "5f48d50f9c02e355a808aa219996ec881fd1a21beeca9da6f37f2294d87db1511c"
)
NOW_S = 1_700_000_000


def order(is_buy: bool = True) -> OrderFields:
    maker, taker = (5_200_000, 10_000_000) if is_buy else (10_000_000, 5_200_000)
    return OrderFields(
        salt=479249096354,
        maker=ADDRESS,
        signer=ADDRESS,
        token_id=int(TOKEN),
        maker_amount=maker,
        taker_amount=taker,
        side=0 if is_buy else 1,
        signature_type=0,
        timestamp=1_700_000_000_123,
        metadata=ZERO,
        builder=ZERO,
    )


@pytest.mark.parametrize(
    ("method_and_path", "body", "expected"),
    [
        ("GET/data/orders", b"", "NTt0e8XQzUuVTici5whIU-0NfgRXijqf0FarNw-ik2Q="),
        ("POST/v1/heartbeats", b'{"heartbeat_id":""}', "gnGt9dMY7xDmqdx8SjC0pG3lzRjw-b7aijqO032Kp2Q="),
    ],
)
def test_hmac_vectors(method_and_path: str, body: bytes, expected: str) -> None:
    assert hmac_signature(SECRET, f"{NOW_S}{method_and_path}", body) == expected


def test_l1_vector() -> None:
    assert recover_address(auth_digest(ADDRESS, str(NOW_S), 0), L1_SIGNATURE) == ADDRESS.lower()


def test_domain_separators() -> None:
    assert STANDARD_DOMAIN.hex() == "3264e159346253e26a64e00b69032db0e7d32f94628de3e6eecb50304d7af3d2"
    assert NEG_RISK_DOMAIN.hex() == "9b858f53327b0bd13af8ec14cfb35234fb9eb7b0504d1a4e61f433840d30e81a"


def test_order_struct_hash() -> None:
    expected = "4809e6040e9b29a172bb491177877f7d9e465870437fd23a58db40a1e3700e60"
    assert order_struct_hash(order()).hex() == expected


@pytest.mark.parametrize(
    ("is_buy", "neg_risk", "order_id", "signature"),
    [
        (True, False, "12e98298dfa3db1cfb3d43a6c5734ce2bd33285174123eaf9460bf6381d3a75e", BUY_SIGNATURE),
        (False, False, "7cae3456db3370f0fd56c7cfc0618254b2d410ad47a3339fb0e4983f4591eb47", SELL_SIGNATURE),
        (True, True, "1dcd4567913dfd755e15f5912533802a3a67848ea080a135bbbbccb48e9b6d8d", NEG_RISK_SIGNATURE),
    ],
)
def test_order_vectors(is_buy: bool, neg_risk: bool, order_id: str, signature: str) -> None:
    digest = order_digest(order(is_buy), neg_risk)
    assert digest.hex() == order_id
    assert recover_address(digest, signature) == ADDRESS.lower()


def test_checksum_address() -> None:
    assert checksum_address(ADDRESS.lower()) == ADDRESS


def l1_headers(**changes: str) -> dict[str, str]:
    return {
        "POLY_ADDRESS": ADDRESS,
        "POLY_SIGNATURE": L1_SIGNATURE,
        "POLY_TIMESTAMP": str(NOW_S),
        "POLY_NONCE": "0",
    } | changes


@pytest.mark.parametrize(
    ("changes", "now_s"),
    [
        ({"POLY_SIGNATURE": BUY_SIGNATURE}, NOW_S),
        ({"POLY_SIGNATURE": "0x12"}, NOW_S),
        ({"POLY_SIGNATURE": "0x" + "ff" * 65}, NOW_S),
        ({"POLY_SIGNATURE": "nothing"}, NOW_S),
        ({"POLY_ADDRESS": "0x12"}, NOW_S),
        ({"POLY_ADDRESS": ""}, NOW_S),
        ({"POLY_NONCE": "1"}, NOW_S),
        ({"POLY_NONCE": "-1"}, NOW_S),
        ({"POLY_NONCE": "9" * 78}, NOW_S),
        ({"POLY_TIMESTAMP": "soon"}, NOW_S),
        ({}, NOW_S + 31),
        ({}, NOW_S - 31),
    ],
)
def test_l1_refusals(changes: dict[str, str], now_s: int) -> None:
    with pytest.raises(VenueRefusal, match="Invalid L1 Request headers"):
        prove_wallet(l1_headers(**changes), now_s)


def test_a_key_is_created_once_and_derived_again() -> None:
    ring = KeyRing(seed=1)
    with pytest.raises(VenueRefusal, match="Could not derive api key!"):
        ring.derive(l1_headers(), NOW_S)
    created = ring.create(l1_headers(), NOW_S)
    assert ring.derive(l1_headers(), NOW_S) == created
    with pytest.raises(VenueRefusal, match="Could not create api key"):
        ring.create(l1_headers(), NOW_S)


def test_a_key_never_prints_its_secrets() -> None:
    key = KeyRing(seed=1).create(l1_headers(), NOW_S)
    assert key.secret not in repr(key)
    assert key.passphrase not in repr(key)


def l2_headers(ring: KeyRing, body: bytes, **changes: str) -> dict[str, str]:
    key = ring.create(l1_headers(), NOW_S)
    signature = hmac_signature(key.secret, f"{NOW_S}POST/order", body)
    return {
        "POLY_ADDRESS": ADDRESS,
        "POLY_API_KEY": key.key,
        "POLY_PASSPHRASE": key.passphrase,
        "POLY_SIGNATURE": signature,
        "POLY_TIMESTAMP": str(NOW_S),
    } | changes


@pytest.mark.parametrize("now_s", [NOW_S - 30, NOW_S, NOW_S + 30])
def test_l2_accepts_within_the_clock_tolerance(now_s: int) -> None:
    ring = KeyRing(seed=1)
    headers = l2_headers(ring, b"{}")
    assert ring.check_l2(headers, "POST/order", b"{}", now_s).address == ADDRESS


@pytest.mark.parametrize(
    ("changes", "signed", "body", "now_s"),
    [
        ({}, "POST/order", b"{ }", NOW_S),
        ({}, "DELETE/order", b"{}", NOW_S),
        ({}, "POST/order", b"{}", NOW_S + 31),
        ({"POLY_PASSPHRASE": "x"}, "POST/order", b"{}", NOW_S),
        ({"POLY_API_KEY": "x"}, "POST/order", b"{}", NOW_S),
        ({"POLY_ADDRESS": "0x" + "11" * 20}, "POST/order", b"{}", NOW_S),
        ({"POLY_SIGNATURE": "é"}, "POST/order", b"{}", NOW_S),
        ({"POLY_TIMESTAMP": "²"}, "POST/order", b"{}", NOW_S),
    ],
)
def test_l2_refusals(changes: dict[str, str], signed: str, body: bytes, now_s: int) -> None:
    ring = KeyRing(seed=1)
    headers = l2_headers(ring, b"{}", **changes)
    with pytest.raises(VenueRefusal, match="Unauthorized/Invalid api key"):
        ring.check_l2(headers, signed, body, now_s)


def test_another_nonce_revokes_the_first_key() -> None:
    ring = KeyRing(seed=1)
    first = ring.create(l1_headers(), NOW_S)
    ring.revoke(first)
    with pytest.raises(VenueRefusal, match="Could not derive api key!"):
        ring.derive(l1_headers(), NOW_S)
    again = ring.create(l1_headers(), NOW_S)
    assert again.key != first.key
    assert ring.address_of(first.key) == ring.address_of(again.key) == ADDRESS
    assert ring.keys_of(ADDRESS) == [again.key]


def test_the_clock_tolerance_is_a_setting() -> None:
    ring = KeyRing(seed=1, tolerance_s=5)
    with pytest.raises(VenueRefusal, match="Invalid L1 Request headers"):
        ring.create(l1_headers(), NOW_S + 6)
    headers = l2_headers(ring, b"{}")
    assert ring.check_l2(headers, "POST/order", b"{}", NOW_S + 5).address == ADDRESS
    with pytest.raises(VenueRefusal, match="Unauthorized/Invalid api key"):
        ring.check_l2(headers, "POST/order", b"{}", NOW_S + 6)


def test_a_readonly_key_names_its_signer() -> None:
    ring = KeyRing(seed=1)
    key = ring.create_readonly(ADDRESS)
    assert ring.check_readonly({"POLY_READONLY_API_KEY": key, "POLY_ADDRESS": ADDRESS}) == ADDRESS
    with pytest.raises(VenueRefusal, match="Unauthorized"):
        ring.check_readonly({"POLY_READONLY_API_KEY": key, "POLY_ADDRESS": "0x" + "11" * 20})
    with pytest.raises(VenueRefusal, match="Unauthorized"):
        ring.delete_readonly("0x" + "11" * 20, key)
    ring.delete_readonly(ADDRESS, key)
    assert ring.readonly_of(ADDRESS) == []


def test_bytes_that_are_no_text_are_refused() -> None:
    ring = KeyRing(seed=1)
    headers = l2_headers(ring, b"{}", POLY_PASSPHRASE="\udce9")
    with pytest.raises(VenueRefusal, match="Unauthorized/Invalid api key"):
        ring.check_l2(headers, "POST/order", b"{}", NOW_S)
