"""Order bytes of the core against the venue's two official clients, for random inputs."""

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polymarket._internal.actions.orders.limit import _compute_limit_order_amounts
from polymarket._internal.actions.orders.post import build_post_order_request
from polymarket._internal.hmac import build_hmac_signature as official_hmac
from polymarket._internal.protocol import is_v2_position_id
from polymarket._internal.wallet import wrap_deposit_wallet_session_signer_signature
from polymarket.models.clob.orders import SignedOrder
from py_clob_client_v2.clob_types import ApiCreds, RequestArgs
from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.headers.headers import create_level_1_headers, create_level_2_headers
from py_clob_client_v2.order_builder.builder import ROUNDING_CONFIG, OrderBuilder
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2
from py_clob_client_v2.order_utils.model.side import Side as ClientSide
from py_clob_client_v2.order_utils.model.signature_type_v2 import SignatureTypeV2
from py_clob_client_v2.signer import Signer

from clawswarm._core import OrderSigner, RequestSigner, amounts

CHAIN_ID = 137
DEV_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
WALLET = "0x1111111111111111111111111111111111111111"
TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
API_KEY = "00000000-0000-0000-0000-000000000001"
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
TICKS = {0.1: 1000, 0.01: 100, 0.005: 50, 0.0025: 25, 0.001: 10, 0.0001: 1}

random = settings(deadline=None, max_examples=60)
keys = st.integers(1, CURVE_ORDER - 1).map(lambda key: key.to_bytes(32, "big"))
# Tokens of the ordinary exchanges have some of bits 40 to 103 set, position ids of Protocol V2 none.
tokens = st.integers(2**200, 2**256 - 1).map(lambda token: token | 1 << 50)
positions = st.builds(
    lambda module, condition, outcome: module << 248 | condition << 104 | outcome,
    st.integers(1, 3),
    st.integers(0, 2**144 - 1),
    st.integers(0, 1),
)
orders = st.fixed_dictionaries(
    {
        "token": st.one_of(tokens, tokens, positions),
        "side": st.sampled_from(["BUY", "SELL"]),
        "maker_amount": st.integers(1, 2**64 - 1),
        "taker_amount": st.integers(1, 2**64 - 1),
        "salt": st.integers(0, 2**53 - 1),
        "timestamp_ms": st.integers(1, 10**14),
        "neg_risk": st.booleans(),
        "post_only": st.booleans(),
        "expiration_s": st.one_of(st.just(0), st.integers(1, 10**11)),
    }
)
texts = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\'), min_size=1)


def sign(signer: OrderSigner, order: dict[str, Any]) -> tuple[str, bytes]:
    return signer.sign_order(
        str(order["token"]),
        order["side"],
        order["maker_amount"],
        order["taker_amount"],
        order["salt"],
        order["timestamp_ms"],
        order["neg_risk"],
        API_KEY,
        order["post_only"],
        "GTD" if order["expiration_s"] else "GTC",
        order["expiration_s"],
    )


def official(
    key: bytes, chain_id: int, signature_type: int, order: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Order id and signed order of py-clob-client-v2."""
    signer, contracts = Signer("0x" + key.hex(), chain_id), get_contract_config(chain_id)
    if is_v2_position_id(str(order["token"])):
        contract, version = contracts.exchange_v3, "3"
    else:
        contract = contracts.neg_risk_exchange_v2 if order["neg_risk"] else contracts.exchange_v2
        version = "2"
    builder = ExchangeOrderBuilderV2(contract, chain_id, signer, lambda: str(order["salt"]), version)
    owner = signer.address()
    signed = builder.build_signed_order(
        OrderDataV2(
            maker=WALLET if signature_type else owner,
            signer=WALLET if signature_type == 3 else owner,
            tokenId=str(order["token"]),
            makerAmount=str(order["maker_amount"]),
            takerAmount=str(order["taker_amount"]),
            side=ClientSide.BUY if order["side"] == "BUY" else ClientSide.SELL,
            signatureType=SignatureTypeV2(signature_type),
            timestamp=str(order["timestamp_ms"]),
            expiration=str(order["expiration_s"]),
        )
    )
    order_id = builder.build_order_hash(builder.build_order_typed_data(signed))
    fields = {**vars(signed), "side": order["side"], "salt": int(signed.salt)}
    return order_id, {**fields, "signatureType": signature_type}


@random
@given(keys, st.sampled_from([137, 80002]), st.integers(0, 3), orders)
def test_hash_signature_and_fields_are_the_official_clients(
    key: bytes, chain_id: int, signature_type: int, order: dict[str, Any]
) -> None:
    signer = OrderSigner(key, chain_id, signature_type, WALLET if signature_type else None)
    order_id, body = sign(signer, order)
    expected_id, expected = official(key, chain_id, signature_type, order)
    assert order_id == expected_id
    sent = json.loads(body)
    assert sent["order"] == expected
    assert (sent["owner"], sent["deferExec"]) == (API_KEY, False)
    assert sent["orderType"] == ("GTD" if order["expiration_s"] else "GTC")
    assert sent.get("postOnly", False) == order["post_only"]


@random
@given(orders, st.integers(0, 3))
def test_the_body_is_the_newer_clients_byte_for_byte(order: dict[str, Any], signature_type: int) -> None:
    signer = OrderSigner(
        bytes.fromhex(DEV_KEY[2:]), CHAIN_ID, signature_type, WALLET if signature_type else None
    )
    _, body = sign(signer, order)
    sent = json.loads(body)["order"]
    signed = SignedOrder(
        builder=sent["builder"],
        expiration=order["expiration_s"],
        maker=sent["maker"],
        maker_amount=order["maker_amount"],
        metadata=sent["metadata"],
        salt=order["salt"],
        side=order["side"],
        signature=sent["signature"],
        signature_type=signature_type,
        signer=sent["signer"],
        taker_amount=order["taker_amount"],
        timestamp=order["timestamp_ms"],
        token_id=str(order["token"]),
        order_type="GTD" if order["expiration_s"] else "GTC",
        post_only=order["post_only"],
    )
    _, payload = build_post_order_request(signed, owner_api_key=API_KEY)
    assert body.decode() == json.dumps(payload, separators=(",", ":"))


@settings(deadline=None, max_examples=20)
@given(keys, orders)
def test_a_session_signers_signature_is_wrapped_as_the_newer_client_wraps_it(
    key: bytes, order: dict[str, Any]
) -> None:
    owner, session = (
        OrderSigner(key, CHAIN_ID, 3, WALLET),
        OrderSigner(key, CHAIN_ID, 3, WALLET, session=True),
    )
    (order_id, plain), (session_id, wrapped) = sign(owner, order), sign(session, order)
    assert session_id == order_id
    inner = json.loads(plain)["order"]["signature"]
    expected = wrap_deposit_wallet_session_signer_signature(owner.address, inner)
    assert json.loads(wrapped)["order"]["signature"] == expected


@settings(deadline=None, max_examples=20)
@given(keys, st.integers(0, 10**11), st.integers(0, 2**63))
def test_logins_are_the_official_clients(key: bytes, timestamp_s: int, nonce: int) -> None:
    ours = OrderSigner(key, CHAIN_ID, 0, None).login_headers(timestamp_s, nonce)
    assert ours == create_level_1_headers(Signer("0x" + key.hex(), CHAIN_ID), nonce, timestamp_s)


@random
@given(
    st.binary(min_size=1, max_size=80),
    st.sampled_from(["GET", "POST", "DELETE"]),
    texts,
    st.text(st.characters(exclude_characters="'", exclude_categories=["Cs"])),
    st.integers(0, 10**11),
)
def test_request_headers_are_the_official_clients(
    secret: bytes, method: str, path: str, body: str, timestamp_s: int
) -> None:
    encoded = base64.urlsafe_b64encode(secret).decode()
    address = OrderSigner(bytes.fromhex(DEV_KEY[2:]), CHAIN_ID, 0, None).address
    padded = RequestSigner(address, API_KEY, encoded, "pass")
    ours = padded.headers(method, path, body.encode(), timestamp_s)
    request = RequestArgs(method=method, request_path=path, serialized_body=body or None)
    credentials = ApiCreds(API_KEY, encoded, "pass")
    assert ours == create_level_2_headers(Signer(DEV_KEY, CHAIN_ID), credentials, request, timestamp_s)
    unpadded = encoded.rstrip("=")
    bare = RequestSigner(address, API_KEY, unpadded, "pass").headers(method, path, body.encode(), timestamp_s)
    newer = official_hmac(secret=unpadded, timestamp=timestamp_s, method=method, path=path, body=body)
    assert bare["POLY_SIGNATURE"] == newer


on_grid = st.sampled_from(list(TICKS.items())).flatmap(
    lambda tick: st.tuples(st.just(tick), st.integers(1, 10_000 // tick[1] - 1).map(lambda n: n * tick[1]))
)
sides = st.sampled_from(["BUY", "SELL"])


@settings(deadline=None, max_examples=1_000)
@given(on_grid, st.integers(10_000, 10**13), sides)
def test_rounding_is_the_newer_clients(grid: tuple[tuple[float, int], int], size_e6: int, side: Any) -> None:
    (tick, tick_e4), price_e4 = grid
    expected = _compute_limit_order_amounts(
        price=Decimal(price_e4) / 10_000,
        size=Decimal(size_e6) / 1_000_000,
        side=side,
        tick_size=Decimal(str(tick)),
    )
    assert amounts(price_e4, size_e6, side, tick_e4) == expected


@settings(deadline=None, max_examples=1_000)
@given(on_grid, st.integers(1, 10**7), sides)
def test_rounding_is_the_older_clients_where_its_floats_are_exact(
    grid: tuple[tuple[float, int], int], hundredths: int, side: str
) -> None:
    (tick, tick_e4), price_e4 = grid
    # Half a hundredth more, for which flooring in binary floats cannot lose a whole one.
    size_e6 = hundredths * 10_000 + 5_000
    builder = OrderBuilder(Signer(DEV_KEY, CHAIN_ID))
    text = f"{tick:.4f}".rstrip("0")
    expected = builder.get_order_amounts(side, size_e6 / 1e6, price_e4 / 1e4, ROUNDING_CONFIG[text])
    assert amounts(price_e4, size_e6, side, tick_e4) == tuple(expected[1:])


def test_the_older_client_loses_a_hundredth_to_its_floats_and_the_core_does_not() -> None:
    builder = OrderBuilder(Signer(DEV_KEY, CHAIN_ID))
    assert builder.get_order_amounts("BUY", 1.15, 0.5, ROUNDING_CONFIG["0.01"])[1:] == (570_000, 1_140_000)
    assert amounts(5_000, 1_150_000, "BUY", 100) == (575_000, 1_150_000)


@pytest.mark.parametrize(
    ("price_e4", "size_e6", "side", "tick_e4"),
    [
        (5_050, 10**6, "BUY", 100),
        (0, 10**6, "BUY", 1),
        (10_000, 10**6, "BUY", 1),
        (-1, 10**6, "BUY", 1),
        (70_000, 10**6, "BUY", 1),
        (5_000, 9_999, "BUY", 100),
        (5_000, 10**6, "buy", 100),
        (5_000, 10**6, "BUY", 20),
    ],
)
def test_what_is_no_limit_order_has_no_amounts(price_e4: int, size_e6: int, side: str, tick_e4: int) -> None:
    with pytest.raises(ValueError, match=r"price|size|side|tick"):
        amounts(price_e4, size_e6, side, tick_e4)


@pytest.mark.parametrize(
    ("key", "chain_id", "signature_type", "funder", "said"),
    [
        (b"\0" * 32, CHAIN_ID, 0, None, "private key"),
        (b"\1" * 31, CHAIN_ID, 0, None, "private key"),
        (b"\1" * 32, 1, 0, None, "chain 1"),
        (b"\1" * 32, CHAIN_ID, 4, None, "signature type 4"),
        (b"\1" * 32, CHAIN_ID, 0, WALLET, "its own funder"),
        (b"\1" * 32, CHAIN_ID, 3, None, "needs its funder"),
        (b"\1" * 32, CHAIN_ID, 3, "0x12", "not an address"),
    ],
)
def test_a_signer_that_does_not_add_up_is_refused(
    key: bytes, chain_id: int, signature_type: int, funder: str | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as refusal:
        OrderSigner(key, chain_id, signature_type, funder)
    assert key.hex() not in str(refusal.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"token": "0x12"}, "token id"),
        ({"side": "HOLD"}, "neither BUY nor SELL"),
        ({"salt": 2**53}, "salt"),
    ],
)
def test_an_order_the_venue_would_not_read_is_refused(changed: dict[str, Any], said: str) -> None:
    signer = OrderSigner(bytes.fromhex(DEV_KEY[2:]), CHAIN_ID, 0, None)
    order: dict[str, Any] = {
        "token": TOKEN,
        "side": "BUY",
        "maker_amount": 1,
        "taker_amount": 1,
        "salt": 1,
        "timestamp_ms": 1,
        "neg_risk": False,
        "post_only": True,
        "expiration_s": 0,
    }
    with pytest.raises(ValueError, match=said):
        sign(signer, {**order, **changed})


def test_no_text_of_a_signer_shows_its_key() -> None:
    signer = OrderSigner(bytes.fromhex(DEV_KEY[2:]), CHAIN_ID, 0, None)
    assert repr(signer) == f"OrderSigner({signer.address})"
    with pytest.raises(ValueError, match="base64") as refusal:
        RequestSigner(signer.address, API_KEY, "hush~", "passphrase")
    assert "hush" not in str(refusal.value)
    assert "passphrase" not in str(refusal.value)
    keyed = RequestSigner(signer.address, API_KEY, "hush", "passphrase")
    assert repr(keyed) == f"RequestSigner({API_KEY})"
