"""The signature on an order: all wallet kinds, session signers, wrong versions, everything that is refused."""

import msgspec
import pytest
from polymarket._internal.wallet import wrap_deposit_wallet_session_signer_signature
from signed_orders import SESSION_KEY, Json, OfficialSigner

from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.eip712 import (
    EXCHANGE_V1,
    EXCHANGE_V3,
    NEG_RISK_EXCHANGE_V2,
    STANDARD_DOMAIN,
    OrderFields,
    order_digest,
    order_struct_hash,
    recover_address,
    signing_digest,
    wallet_struct_hash,
)
from clawswarm.sandbox.identity.keys import ApiKey
from clawswarm.sandbox.identity.order_proof import OrderMessage, OrderProver, ProvedOrder
from clawswarm.sandbox.identity.sessions import SIGNER_LIMIT, SessionRegister, SessionSigner
from clawswarm.sandbox.identity.wallets import wallets_of

TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
NOW_S = 1_700_000_000
OWNER = OfficialSigner()
SESSION = OfficialSigner(SESSION_KEY)
WALLETS = wallets_of(OWNER.address)


def key_of(signer: OfficialSigner) -> ApiKey:
    return ApiKey(key="the-key", address=signer.address, nonce=0, secret="", passphrase="")


def prove(body: Json, signer: OfficialSigner = OWNER, register: SessionRegister | None = None) -> ProvedOrder:
    message = msgspec.convert(body, OrderMessage)
    return OrderProver(register or SessionRegister()).prove(message, key_of(signer), False, NOW_S)


@pytest.mark.parametrize(
    ("signature_type", "wallet"),
    [
        (0, WALLETS.owner),
        (1, WALLETS.proxy),
        (2, WALLETS.safe),
        (3, WALLETS.deposit),
        (3, WALLETS.deposit_uups),
    ],
)
def test_every_wallet_kind_trades_for_itself(signature_type: int, wallet: str) -> None:
    body = OWNER.order("the-key", TOKEN, maker=wallet, signature_type=signature_type)
    proved = prove(body)
    assert proved.wallet == wallet
    assert proved.request.owner == "the-key"
    other = OWNER.order("the-key", TOKEN, maker=WALLETS.proxy, signature_type=0)
    with pytest.raises(VenueRefusal, match="invalid signature"):
        prove(other)


def test_a_deposit_wallets_signature_has_317_bytes() -> None:
    body = OWNER.order("the-key", TOKEN, maker=WALLETS.deposit, signature_type=3)
    signature = body["order"]["signature"]
    assert len(bytes.fromhex(signature[2:])) == 317
    assert signature.endswith("00ba")


def test_the_vector_of_a_deposit_wallet() -> None:
    wallet, zero = "0x" + "11" * 20, "0x" + "00" * 32
    fields = OrderFields(
        479249096354, wallet, wallet, int(TOKEN), 5_200_000, 10_000_000, 0, 3, 1_700_000_000_123, zero, zero
    )  # fmt: skip
    assert order_digest(fields, False).hex() == (
        "46d2a20fb801fbe3a9bbfd30bd3e118a43e135bcec7a9a5b9449ca8972341192"
    )
    digest = signing_digest(STANDARD_DOMAIN, wallet_struct_hash(order_struct_hash(fields), wallet))
    signature = (
        "0x896fdeaea5a87fa87d0c04fccdc760ff2339b40ed5374676598914f2ec4d243d"
        "652dc2f847e9c096583aba76a087b7cb15544af9e326959382c0a6bc144588891c"
    )
    assert recover_address(digest, signature) == OWNER.address.lower()


def test_an_order_of_protocol_v2_is_signed_for_exchange_v3() -> None:
    position = str(1 << 248)
    body = OWNER.order("the-key", position, contract=EXCHANGE_V3, version="3")
    assert prove(body).request.token == position


# --- session signers ----------------------------------------------------------------------------


def session_order(wallet: str = WALLETS.deposit) -> Json:
    body = SESSION.order("the-key", TOKEN, maker=wallet, signature_type=3)
    order = body["order"]
    order["signature"] = wrap_deposit_wallet_session_signer_signature(SESSION.address, order["signature"])
    return body


def admitted(valid_until_s: int = NOW_S + 10, **changes: object) -> SessionRegister:
    register = SessionRegister()
    facts = {"address": SESSION.address, "wallet": WALLETS.deposit, "owner": OWNER.address} | changes
    register.authorize(SessionSigner(valid_until_s=valid_until_s, **facts))
    return register


def test_a_session_signer_trades_for_the_wallet() -> None:
    assert prove(session_order(), SESSION, admitted()).wallet == WALLETS.deposit


@pytest.mark.parametrize(
    ("register", "text"),
    [
        (SessionRegister(), "the order signer address has to be the address of the API KEY"),
        (admitted(wallet=WALLETS.safe), "the order signer address has to be the address of the API KEY"),
        (admitted(valid_until_s=NOW_S), "invalid signature"),
        (admitted(scopes=("COMBOSRFQ",)), "invalid signature"),
    ],
)
def test_who_is_no_session_signer(register: SessionRegister, text: str) -> None:
    with pytest.raises(VenueRefusal, match=text):
        prove(session_order(), SESSION, register)


def test_a_wrapped_signature_that_is_cut() -> None:
    body = session_order()
    order = body["order"]
    order["signature"] = "0x" + order["signature"][2:][64:]
    with pytest.raises(VenueRefusal, match="Invalid order payload"):
        prove(body, SESSION, admitted())


def test_a_wallet_has_at_most_fifteen_session_signers() -> None:
    register = SessionRegister()

    def grant(number: int) -> SessionSigner:
        address = f"0x{number:040x}"
        return SessionSigner(address=address, wallet="w", owner="o", valid_until_s=0)

    for number in range(SIGNER_LIMIT):
        register.authorize(grant(number))
    register.authorize(grant(3))
    with pytest.raises(VenueRefusal, match="at most 15"):
        register.authorize(grant(99))
    assert register.revoke(grant(3).address, sweep_ns=5) == grant(3)
    register.authorize(grant(99))
    assert register.due_sweeps(4) == []
    assert [signer.address for signer in register.due_sweeps(5)] == [grant(3).address]
    assert register.next_sweep_ns() is None


# --- refusals -----------------------------------------------------------------------------------

VERSION_MISMATCH = "order_version_mismatch"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (OWNER.order_of_version_1("the-key", TOKEN), VERSION_MISMATCH),
        (OWNER.order("the-key", TOKEN, contract=EXCHANGE_V1, version="1"), VERSION_MISMATCH),
        (OWNER.order("the-key", TOKEN, contract=EXCHANGE_V3, version="3"), VERSION_MISMATCH),
        (OWNER.order("the-key", TOKEN, contract=NEG_RISK_EXCHANGE_V2), "invalid signature"),
        (OWNER.order("another", TOKEN), "the order owner has to be the owner of the API KEY"),
        (SESSION.order("the-key", TOKEN), "the order signer address has to be the address of the API KEY"),
    ],
)
def test_signed_for_somebody_else(body: Json, text: str) -> None:
    with pytest.raises(VenueRefusal, match=text) as refused:
        prove(body)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"salt": 1}, "invalid signature"),
        ({"makerAmount": "5300000"}, "invalid signature"),
        ({"signature": "0x00"}, "Invalid order payload"),
        ({"signature": "0x" + "00" * 65}, "Invalid order payload"),
        ({"signature": "0x" + "00" * 2000}, "Invalid order payload"),
        ({"metadata": "0x12"}, "Invalid order payload"),
        ({"builder": "0x"}, "Invalid order payload"),
        ({"maker": "0x12"}, "Invalid order payload"),
        ({"maker": "0x" + "11" * 20}, "invalid signature"),
        ({"makerAmount": "-5"}, "Invalid order payload"),
        ({"takerAmount": "1e7"}, "Invalid order payload"),
        ({"makerAmount": "9" * 78}, "Invalid order payload"),
        ({"side": "HOLD"}, "Invalid order payload"),
        ({"timestamp": None}, "Invalid order payload"),
        ({"signatureType": 4}, "Invalid signature_type"),
        ({"signatureType": -1}, "Invalid signature_type"),
        ({"signatureType": 1}, "invalid signature"),
        ({"signatureType": 3}, "the order signer address has to be the address of the API KEY"),
        ({"signer": "0x" + "11" * 20}, "the order signer address has to be the address of the API KEY"),
        ({"expiration": "x"}, "invalid expiration"),
    ],
)
def test_spoilt_orders(changes: Json, text: str) -> None:
    body = OWNER.order("the-key", TOKEN)
    body["order"] |= changes
    with pytest.raises(VenueRefusal, match=text):
        prove(body)
