"""Signatures, hashes, fees and rounding of the sandbox against the official clients' own test values."""

import base64
import hashlib
import hmac
import json
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eth_account import Account
from eth_hash.auto import keccak
from py_clob_client_v2.client import ClobClient

from clawswarm.sandbox.exchange.accounts import taker_fee_e6
from clawswarm.sandbox.exchange.admission import OrderRequest, price_and_size
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.exchange.rules import ExchangeRules
from clawswarm.sandbox.identity import eip712
from clawswarm.sandbox.identity.keys import ApiKey, hmac_signature
from clawswarm.sandbox.identity.order_proof import OrderMessage, OrderProver, SignedOrder, order_fields
from clawswarm.sandbox.identity.sessions import SessionRegister
from clawswarm.sandbox.identity.wallets import wallets_of
from clawswarm.sandbox.streams.book_text import BookText

FOLDER = Path(__file__).parent / "polymarket"
CLIENTS = json.loads((FOLDER / "signing_vectors.json").read_text())
OURS = json.loads((FOLDER / "official_client_vectors.json").read_text())
FEES = json.loads((FOLDER / "fee_vectors.json").read_text())
ADDRESS = OURS["address"]
NOW_S = 1_700_000_000
PROVER = OrderProver(SessionRegister())


def wire_order(case: dict[str, Any], **changes: object) -> SignedOrder:
    """The order of a vector as it stands on the wire."""
    fields = OURS["order"] | {"maker": ADDRESS, "signer": ADDRESS, "signature": "0x"}
    named = {name: case[name] for name in ("side", "makerAmount", "takerAmount", "signature") if name in case}
    return msgspec.convert(fields | named | changes, SignedOrder)


def api_key(address: str = ADDRESS) -> ApiKey:
    return ApiKey(key="k", address=address, nonce=0, secret="c2VjcmV0", passphrase="p")


def listed(tick: str, **changes: Any) -> ListedMarket:
    """A market with a tick; everything else is any."""
    names: dict[str, Any] = {
        "condition_id": "0x" + "ab" * 32,
        "question_id": "0x" + "cd" * 32,
        "slug": "vector",
        "question": "?",
        "underlying": "BTC",
        "yes_token": "123",
        "no_token": "456",
        "tick_e4": int(Decimal(tick) * 10_000),
        "min_size_e6": 5_000_000,
        "fee_rate_e4": 700,
        "end_ms": 0,
        "outcomes": ("Yes", "No"),
    }
    return ListedMarket(**(names | changes))


# --- keys ---------------------------------------------------------------------------------------


def test_the_addresses_of_the_key() -> None:
    assert Account.from_key(OURS["private_key"]).address == ADDRESS == CLIENTS["address"]
    held, wanted = wallets_of(ADDRESS), OURS["wallets"]
    assert {name: getattr(held, name) for name in wanted} == wanted


@pytest.mark.parametrize("request_", OURS["hmac"]["requests"], ids=lambda r: r["path"])
def test_l2_signatures(request_: dict[str, str]) -> None:
    known = OURS["hmac"]
    signed = known["timestamp"] + request_["method"] + request_["path"]
    assert hmac_signature(known["secret"], signed, request_["body"].encode()) == request_["signature"]


def test_the_l2_signature_of_the_clients_own_test() -> None:
    known = CLIENTS["l2_hmac"]
    signed = known["timestamp"] + known["method"] + known["path"]
    assert hmac_signature(known["secret"], signed, known["body"].encode()) == known["signature"]
    plain = hmac.new(
        base64.urlsafe_b64decode(known["secret"]), (signed + known["body"]).encode(), hashlib.sha256
    )
    assert base64.urlsafe_b64encode(plain.digest()).decode() == known["signature"]


def test_l1_signatures() -> None:
    known = OURS["l1"]
    digest = eip712.auth_digest(ADDRESS, known["timestamp"], known["nonce"])
    assert eip712.recover_address(digest, known["signature"]) == ADDRESS.lower()
    known = CLIENTS["l1_clob_auth_eip712"]
    digest = eip712.auth_digest(ADDRESS, str(known["timestamp"]), known["nonce"], CLIENTS["chain_id"])
    assert eip712.recover_address(digest, known["signature"]) == ADDRESS.lower()


# --- orders -------------------------------------------------------------------------------------


def test_domain_separators() -> None:
    for case in OURS["orders"]:
        separator = eip712.domain_separator(case["version"], case["contract"])
        assert "0x" + separator.hex() == case["separator"]
    for domain in CLIENTS["order_v2_v3_domains"].values():
        if isinstance(domain, str):
            continue
        separator = eip712.domain_separator(domain["version"], domain["verifyingContract"], domain["chainId"])
        encoded = Account.sign_typed_data(OURS["private_key"], full_message=_typed_data(domain))
        digest = eip712.signing_digest(separator, eip712.order_struct_hash(_any_fields()))
        assert bytes(encoded.message_hash) == digest


def _any_fields() -> eip712.OrderFields:
    return order_fields(wire_order(OURS["orders"][0]))


def _typed_data(domain: dict[str, Any]) -> dict[str, Any]:
    """The order of the first vector under another domain, as any EIP-712 library takes it."""
    names = eip712.ORDER_TYPE_TEXT.decode().removeprefix("Order(").removesuffix(")").split(",")
    types = [dict(zip(("type", "name"), name.split(" "), strict=True)) for name in names]
    case, order = OURS["orders"][0], OURS["order"]
    return {
        "domain": domain,
        "primaryType": "Order",
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Order": types,
        },
        "message": {
            "salt": order["salt"],
            "maker": ADDRESS,
            "signer": ADDRESS,
            "tokenId": int(order["tokenId"]),
            "makerAmount": int(case["makerAmount"]),
            "takerAmount": int(case["takerAmount"]),
            "side": 0,
            "signatureType": 0,
            "timestamp": int(order["timestamp"]),
            "metadata": bytes(32),
            "builder": bytes(32),
        },
    }


def test_the_struct_hash() -> None:
    assert "0x" + eip712.order_struct_hash(_any_fields()).hex() == OURS["buy_struct_hash"]


@pytest.mark.parametrize("case", OURS["orders"], ids=lambda case: case["case"])
def test_order_ids_and_signatures(case: dict[str, Any]) -> None:
    order = wire_order(case)
    domain = eip712.domain_separator(case["version"], case["contract"])
    digest = eip712.signing_digest(domain, eip712.order_struct_hash(order_fields(order)))
    assert "0x" + digest.hex() == case["order_id"]
    assert eip712.recover_address(digest, case["signature"]) == ADDRESS.lower()


@pytest.mark.parametrize("case", OURS["orders"][:3], ids=lambda case: case["case"])
def test_orders_of_version_2_are_taken(case: dict[str, Any]) -> None:
    message = OrderMessage(order=wire_order(case), owner="k")
    is_neg_risk = "neg-risk" in case["case"]
    proved = PROVER.prove(message, api_key(), is_neg_risk, NOW_S)
    assert (proved.request.order_id, proved.wallet) == (case["order_id"], ADDRESS)
    with pytest.raises(VenueRefusal, match="invalid signature"):
        PROVER.prove(message, api_key(), not is_neg_risk, NOW_S)


def test_an_order_of_version_3_for_a_token_of_version_2_is_a_version_mismatch() -> None:
    message = OrderMessage(order=wire_order(OURS["orders"][3]), owner="k")
    with pytest.raises(VenueRefusal, match="order_version_mismatch"):
        PROVER.prove(message, api_key(), False, NOW_S)


def test_an_order_of_version_1_is_a_version_mismatch() -> None:
    old = CLIENTS["order_v1_eoa"]
    sent = old["message"] | {
        "signature": old["signature"],
        "side": "BUY",
        "salt": int(old["message"]["salt"]),
    }
    message = OrderMessage(order=msgspec.convert(sent, SignedOrder), owner="k")
    with pytest.raises(VenueRefusal, match="order_version_mismatch"):
        PROVER.prove(message, api_key(), False, NOW_S)


def test_the_vector_of_version_1_is_what_its_client_signs() -> None:
    """Nothing of the sandbox: the vector stays checkable when a venue of version 1 is asked for."""
    old = CLIENTS["order_v1_eoa"]
    fields = (
        "Order(uint256 salt,address maker,address signer,address taker,uint256 tokenId,uint256 makerAmount,"
    )
    fields += "uint256 takerAmount,uint256 expiration,uint256 nonce,uint256 feeRateBps,uint8 side,"
    fields += "uint8 signatureType)"
    names = [name.split(" ") for name in fields.removeprefix("Order(").removesuffix(")").split(",")]
    words = [keccak(fields.encode())]
    for kind, name in names:
        value = old["message"][name]
        words.append(int(value, 16 if kind == "address" else 10).to_bytes(32, "big") if isinstance(value, str)
                     else value.to_bytes(32, "big"))  # fmt: skip
    domain = old["domain"]
    separator = eip712.domain_separator("1", domain["verifyingContract"], domain["chainId"])
    digest = eip712.signing_digest(separator, keccak(b"".join(words)))
    assert "0x" + digest.hex() == old["order_hash"]
    assert eip712.recover_address(digest, old["signature"]) == ADDRESS.lower()


def deposit_order() -> tuple[dict[str, Any], SignedOrder]:
    case = OURS["deposit_wallet_order"]
    wallet = case["wallet"]
    return case, wire_order(case, maker=wallet, signer=wallet, signatureType=3)


def test_the_signature_of_a_deposit_wallet() -> None:
    case, order = deposit_order()
    fields = order_fields(order)
    struct_hash = eip712.order_struct_hash(fields)
    assert "0x" + eip712.order_digest(fields, False).hex() == case["order_id"]
    digest = eip712.signing_digest(
        eip712.STANDARD_DOMAIN, eip712.wallet_struct_hash(struct_hash, case["wallet"])
    )
    assert eip712.recover_address(digest, case["first_65"]) == ADDRESS.lower()
    length = len(eip712.ORDER_TYPE_TEXT)
    assert length.to_bytes(2, "big").hex() == case["last_2"]
    whole = bytes.fromhex(case["first_65"][2:]) + eip712.STANDARD_DOMAIN + struct_hash
    whole += eip712.ORDER_TYPE_TEXT + length.to_bytes(2, "big")
    assert len(whole) == case["signature_bytes"]


def test_contracts() -> None:
    known = CLIENTS["contracts"]["137"]
    assert known["exchange_v2"] == eip712.EXCHANGE_V2
    assert known["neg_risk_exchange_v2"] == eip712.NEG_RISK_EXCHANGE_V2
    assert known["exchange_v3"] == eip712.EXCHANGE_V3
    assert (known["exchange"], known["neg_risk_exchange"]) == (
        eip712.EXCHANGE_V1,
        eip712.NEG_RISK_EXCHANGE_V1,
    )


# --- books --------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [CLIENTS["orderbook_hash"], OURS["book_hash"]], ids=["clients", "ours"])
def test_book_hashes(case: dict[str, Any]) -> None:
    book = case["book"]
    text = json.dumps(book, separators=(",", ":"))
    assert hashlib.sha1(text.encode()).hexdigest() == case["sha1"]
    assert ClobClient("http://127.0.0.1:9", 137).get_order_book_hash(dict(book)) == case["sha1"]


def test_the_sandboxs_book_has_the_hash() -> None:
    case = OURS["book_hash"]
    book = case["book"]
    text = BookText(listed(book["tick_size"], condition_id=book["market"], yes_token=book["asset_id"]))
    text.last_trade_e4 = 4200
    for is_bid, side in ((True, "bids"), (False, "asks")):
        for level in book[side]:
            text.set_level(is_bid, int(Decimal(level["price"]) * 10_000), int(level["size"]) * 1_000_000)
    digest, body = text.summary(True, int(book["timestamp"]))
    assert digest == case["sha1"]
    assert json.loads(body) == book | {"hash": case["sha1"]}


# --- money --------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", FEES["vectors"], ids=lambda case: f"{case['contracts']}@{case['price']}")
def test_taker_fees(case: dict[str, float]) -> None:
    size_e6, price_e4 = round(case["contracts"] * 1_000_000), round(case["price"] * 10_000)
    rate_e4, exponent = round(case["fee_rate"] * 10_000), int(case["fee_exponent"])
    # The client keeps every digit, the venue charges five decimals.
    charged = Decimal(str(case["platform_fee"])).quantize(Decimal("0.00001"), ROUND_HALF_UP)
    assert taker_fee_e6(price_e4, size_e6, rate_e4, exponent) == int(charged * 1_000_000)


@pytest.mark.parametrize("case", OURS["limit_rounding"], ids=lambda case: f"{case['side']} {case['price']}")
def test_rounded_limit_orders_are_understood(case: dict[str, str]) -> None:
    request = OrderRequest(
        order_id="0x",
        owner="k",
        token="123",
        is_buy=case["side"] == "BUY",
        maker_amount_e6=int(case["makerAmount"]),
        taker_amount_e6=int(case["takerAmount"]),
    )
    price_e4, size_e6 = price_and_size(request, listed(case["tick"]), ExchangeRules())
    assert price_e4 == int(Decimal(case["price"]) * 10_000)
    assert size_e6 == int(Decimal(case["size"]) * 100) * 10_000


def market_order(case: dict[str, str]) -> OrderRequest:
    return OrderRequest(
        order_id="0x",
        owner="k",
        token="123",
        is_buy=case["side"] == "BUY",
        maker_amount_e6=int(case["makerAmount"]),
        taker_amount_e6=int(case["takerAmount"]),
        order_type="FOK",
    )


@pytest.mark.parametrize("case", OURS["market_rounding"], ids=lambda case: f"{case['side']} {case['price']}")
def test_rounded_market_orders_are_understood(case: dict[str, str]) -> None:
    price_e4, _ = price_and_size(market_order(case), listed(case["tick"]), ExchangeRules())
    assert price_e4 == int(Decimal(case["price"]) * 10_000)


def test_four_decimals_of_shares_refuse_what_the_clients_make_on_a_fine_tick() -> None:
    """The other reading of the live venue (py-clob-client-v2 issue 99)."""
    four, refused = ExchangeRules(market_buy_share_decimals=4), []
    for case in OURS["market_rounding"]:
        try:
            price_and_size(market_order(case), listed(case["tick"]), four)
        except VenueRefusal as refusal:
            refused.append((case["tick"], refusal.text))
    assert refused == [
        (
            "0.001",
            "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
            "taker amount a max of 4 decimals",
        )
    ]
