"""Signatures: published vectors, an independent hash of every order, and no secret in any text."""

import dataclasses
import json
import stat
from pathlib import Path

import pytest
from coincurve import PublicKey
from eth_account import Account
from eth_utils import keccak, to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2, SignedOrderV2
from py_clob_client_v2.order_utils.model.side import Side as ClientSide
from py_clob_client_v2.signer import Signer

from clawswarm.model.errors import InvariantBroken
from clawswarm.model.instruments import Side
from clawswarm.venues.polymarket.signing import SignedOrder, TokenOrder, Wallet, throwaway_key
from clawswarm.venues.polymarket.wire import ApiKey

DEV_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
DEV_ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KEY = ApiKey("00000000-0000-0000-0000-000000000001", SECRET, "hush-passphrase")
CHAIN_ID = 137
SALT = 479249096354
TIMESTAMP_MS = 1_700_000_000_123

# (negative risk, side) → (order hash, signature) of 10 shares at 0.52 with SALT and TIMESTAMP_MS.
VECTORS = {
    (False, Side.BUY): (
        "0x12e98298dfa3db1cfb3d43a6c5734ce2bd33285174123eaf9460bf6381d3a75e",
        "0x0f394c466394b93f2dcf432d9ada1bc82f4f72f488a17be1da12417beef50bd8"
        "78dc27d4f2e7158e0102e1b008c95a1773dff6182122fc67b53dbbb5aa483c8c1b",
    ),
    (False, Side.SELL): (
        "0x7cae3456db3370f0fd56c7cfc0618254b2d410ad47a3339fb0e4983f4591eb47",
        "0xfd421c6a378a0f533d41428816a4b47c12e9d31df5c333324eb2d4f2ec98da72"
        "439afcbfca4db5f4fa1bf3ce3af61e64b55e2319e2649313e77d1d1a9a8e32b51c",
    ),
    (True, Side.BUY): (
        "0x1dcd4567913dfd755e15f5912533802a3a67848ea080a135bbbbccb48e9b6d8d",
        "0xad158bcd5b3943565fd5310bafc40e3889c2495f3622238e74224f774c0e2e73"
        "5f48d50f9c02e355a808aa219996ec881fd1a21beeca9da6f37f2294d87db1511c",
    ),
}


def token_order(side: Side = Side.BUY, *, neg_risk: bool = False, price_e4: int = 5200) -> TokenOrder:
    return TokenOrder(TOKEN, side, price_e4, 10_000_000, neg_risk, TIMESTAMP_MS)


def official_builder(neg_risk: bool) -> ExchangeOrderBuilderV2:
    """The venue's own builder with the vectors' salt."""
    contracts = get_contract_config(CHAIN_ID)
    contract = contracts.neg_risk_exchange_v2 if neg_risk else contracts.exchange_v2
    return ExchangeOrderBuilderV2(contract, CHAIN_ID, Signer(DEV_KEY, CHAIN_ID), lambda: str(SALT))


def read_back(signed: SignedOrder) -> SignedOrderV2:
    """The order of a signed body, as the venue would take it in."""
    order = json.loads(signed.body)["order"]
    side = ClientSide.BUY if order.pop("side") == "BUY" else ClientSide.SELL
    return SignedOrderV2(side=side, **{**order, "salt": str(order["salt"])})


def signer_of(order_hash: str, signature: str) -> str:
    """Address that made a signature, by a library that the wallet's client does not use."""
    raw = bytes.fromhex(signature.removeprefix("0x"))
    recoverable = raw[:64] + bytes([raw[64] - 27])
    digest = bytes.fromhex(order_hash.removeprefix("0x"))
    public = PublicKey.from_signature_and_message(recoverable, digest, hasher=None).format(compressed=False)
    return to_checksum_address(keccak(public[1:])[-20:])


@pytest.mark.parametrize(("case", "vector"), VECTORS.items())
def test_the_official_builder_gives_the_published_vectors(
    case: tuple[bool, Side], vector: tuple[str, str]
) -> None:
    neg_risk, side = case
    is_buy = side is Side.BUY
    builder = official_builder(neg_risk)
    signed = builder.build_signed_order(
        OrderDataV2(
            maker=DEV_ADDRESS,
            tokenId=TOKEN,
            makerAmount="5200000" if is_buy else "10000000",
            takerAmount="10000000" if is_buy else "5200000",
            side=ClientSide.BUY if is_buy else ClientSide.SELL,
            timestamp=str(TIMESTAMP_MS),
        )
    )
    assert (builder.build_order_hash(builder.build_order_typed_data(signed)), signed.signature) == vector
    assert signer_of(*vector) == DEV_ADDRESS


@pytest.mark.parametrize(("case", "vector"), VECTORS.items())
def test_an_order_of_the_wallet_is_the_vectors_but_for_its_salt(
    case: tuple[bool, Side], vector: tuple[str, str]
) -> None:
    neg_risk, side = case
    signed = Wallet(DEV_KEY, CHAIN_ID).sign_order(token_order(side, neg_risk=neg_risk), KEY)
    builder, order = official_builder(neg_risk), read_back(signed)
    assert builder.build_order_hash(builder.build_order_typed_data(order)) == signed.order_id
    assert signer_of(signed.order_id, order.signature) == DEV_ADDRESS
    with_their_salt = dataclasses.replace(order, salt=str(SALT))
    typed_data = builder.build_order_typed_data(with_their_salt)
    assert (builder.build_order_hash(typed_data), builder.build_order_signature(typed_data)) == vector


def test_the_two_exchanges_do_not_share_a_hash() -> None:
    wallet = Wallet(DEV_KEY, CHAIN_ID)
    signed = wallet.sign_order(token_order(neg_risk=True), KEY)
    other = official_builder(False)
    assert other.build_order_hash(other.build_order_typed_data(read_back(signed))) != signed.order_id


@settings(deadline=None, derandomize=True, max_examples=12)
@given(
    st.sampled_from(Side),
    st.integers(1, 9_999),
    st.integers(1, 10**7),
    st.booleans(),
    st.integers(1, 2**256 - 1),
)
def test_every_order_recovers_to_the_account(
    side: Side, price_e4: int, hundredths: int, neg_risk: bool, token: int
) -> None:
    wanted = TokenOrder(str(token), side, price_e4, hundredths * 10_000, neg_risk, TIMESTAMP_MS)
    signed = Wallet(DEV_KEY, CHAIN_ID).sign_order(wanted, KEY)
    order, builder = read_back(signed), official_builder(neg_risk)
    assert builder.build_order_hash(builder.build_order_typed_data(order)) == signed.order_id
    assert signer_of(signed.order_id, order.signature) == DEV_ADDRESS
    money, shares = price_e4 * hundredths, hundredths * 10_000
    amounts = (int(order.makerAmount), int(order.takerAmount))
    assert amounts == ((money, shares) if side is Side.BUY else (shares, money))


def test_the_body_is_a_post_only_gtc_order_of_the_key() -> None:
    body = json.loads(Wallet(DEV_KEY, CHAIN_ID).sign_order(token_order(), KEY).body)
    assert (body["owner"], body["orderType"], body["postOnly"], body["deferExec"]) == (
        KEY.api_key,
        "GTC",
        True,
        False,
    )
    order = body["order"]
    assert (order["maker"], order["signer"], order["signatureType"]) == (DEV_ADDRESS, DEV_ADDRESS, 0)
    assert (order["tokenId"], order["side"], order["expiration"]) == (TOKEN, "BUY", "0")
    assert (order["makerAmount"], order["takerAmount"]) == ("5200000", "10000000")
    assert order["timestamp"] == str(TIMESTAMP_MS)
    assert isinstance(order["salt"], int)


def test_two_orders_that_look_alike_have_two_ids() -> None:
    wallet = Wallet(DEV_KEY, CHAIN_ID)
    ids = {wallet.sign_order(token_order(), KEY).order_id for _ in range(8)}
    assert len(ids) == 8


def test_a_size_the_venue_would_round_is_refused() -> None:
    crooked = TokenOrder(TOKEN, Side.BUY, 5200, 10_000_001, False, TIMESTAMP_MS)
    with pytest.raises(InvariantBroken, match="hundredths"):
        Wallet(DEV_KEY, CHAIN_ID).sign_order(crooked, KEY)


@pytest.mark.parametrize(
    ("method", "path", "body", "signature"),
    [
        ("GET", "/data/orders", b"", "NTt0e8XQzUuVTici5whIU-0NfgRXijqf0FarNw-ik2Q="),
        ("POST", "/v1/heartbeats", b'{"heartbeat_id":""}', "gnGt9dMY7xDmqdx8SjC0pG3lzRjw-b7aijqO032Kp2Q="),
    ],
)
def test_request_headers_give_the_published_signatures(
    method: str, path: str, body: bytes, signature: str
) -> None:
    headers = Wallet(DEV_KEY, CHAIN_ID).request_headers(KEY, method, path, body, 1_700_000_000)
    assert headers == {
        "POLY_ADDRESS": DEV_ADDRESS,
        "POLY_SIGNATURE": signature,
        "POLY_TIMESTAMP": "1700000000",
        "POLY_API_KEY": KEY.api_key,
        "POLY_PASSPHRASE": KEY.passphrase,
    }


def test_login_headers_give_the_published_signature() -> None:
    headers = Wallet(DEV_KEY, CHAIN_ID).login_headers(1_700_000_000)
    assert headers == {
        "POLY_ADDRESS": DEV_ADDRESS,
        "POLY_SIGNATURE": "0x659ed4b28ae28e0f038fdf0023c00863c9559caacb9ebc83f44eea87059a099a"
        "36f1e1dee110e7faa1c4f65d17489b2da1333ebef78bbe2116d81207b975052d1c",
        "POLY_TIMESTAMP": "1700000000",
        "POLY_NONCE": "0",
    }


def test_no_text_of_a_wallet_shows_its_key() -> None:
    wallet = Wallet(DEV_KEY, CHAIN_ID)
    signed = wallet.sign_order(token_order(), KEY)
    secrets = (DEV_KEY.removeprefix("0x"), SECRET, KEY.passphrase)
    for text in (repr(wallet), str(wallet), f"{[wallet, KEY]}", repr(signed), signed.body.decode()):
        assert not any(secret in text for secret in secrets)
    assert repr(wallet) == f"Wallet({DEV_ADDRESS})"


def test_a_throwaway_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "engine" / "throwaway.key"
    key = throwaway_key(path)
    assert throwaway_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Wallet(key, CHAIN_ID).address == Account.from_key(key).address
    assert throwaway_key(tmp_path / "other.key") != key


def test_the_recovery_of_these_tests_tells_addresses_apart() -> None:
    order_hash, signature = VECTORS[False, Side.BUY]
    assert signer_of("0x" + keccak(b"another order").hex(), signature) != DEV_ADDRESS
    assert signer_of(order_hash, signature) == DEV_ADDRESS
