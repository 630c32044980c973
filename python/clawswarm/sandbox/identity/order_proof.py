"""The signature on an order: which wallet trades, who signed for it, and whether that may be (polymarket.md §2.4).

| type | maker | signer | signature |
|---|---|---|---|
| 0 EOA | owner | owner | 65 bytes |
| 1 proxy, 2 safe | the owner's proxy or safe | owner | 65 bytes |
| 3 deposit wallet | wallet | wallet | 65 + domain 32 + order hash 32 + type text 186 + its length 2 = 317 bytes |
| 3 by a session signer | wallet | wallet | abi(bytes32 signer, bytes32 0, bytes of the above) + magic |
"""

from functools import lru_cache

import msgspec

from clawswarm.sandbox.exchange import refusals
from clawswarm.sandbox.exchange.admission import OrderRequest
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.eip712 import (
    ORDER_TYPE_TEXT,
    OTHER_VERSION_DOMAINS,
    SIGNATURE_BYTES,
    Malformed,
    OrderFields,
    checksum_address,
    exchange_domain,
    hex_bytes,
    order_struct_hash,
    recover_from_bytes,
    signing_digest,
    wallet_struct_hash,
)
from clawswarm.sandbox.identity.keys import ApiKey, is_uint
from clawswarm.sandbox.identity.sessions import SessionRegister
from clawswarm.sandbox.identity.wallets import DEPOSIT, EOA, wallets_of

_MAGIC = bytes.fromhex("6492" * 16)
_LENGTH_BYTES = 2
_TRAILER_BYTES = 32 + 32 + len(ORDER_TYPE_TEXT) + _LENGTH_BYTES
_WORD = 32
_LONGEST_SIGNATURE = 2 + 2 * 1024


class SignedOrder(msgspec.Struct):
    """`order` of POST /order as it stands on the wire.

    `timestamp` is missing and `nonce` or `feeRateBps` there in an order of version 1.
    """

    salt: int | str
    maker: str
    signer: str
    tokenId: str  # noqa: N815 - the wire's spelling
    makerAmount: str  # noqa: N815
    takerAmount: str  # noqa: N815
    side: str
    signatureType: int  # noqa: N815
    signature: str
    timestamp: str | None = None
    metadata: str = ""
    builder: str = ""
    expiration: str | None = "0"
    nonce: str | None = None
    feeRateBps: str | None = None  # noqa: N815

    @property
    def is_version_1(self) -> bool:
        """Signed for the exchange before the cut-over."""
        return self.timestamp is None and (self.nonce is not None or self.feeRateBps is not None)


class OrderMessage(msgspec.Struct):
    """Body of POST /order."""

    order: SignedOrder
    owner: str
    orderType: str = "GTC"  # noqa: N815
    postOnly: bool = False  # noqa: N815
    deferExec: bool = False  # noqa: N815


class ProvedOrder(msgspec.Struct, frozen=True):
    """An order whose signature holds, and the wallet that trades."""

    wallet: str
    request: OrderRequest


def order_fields(order: SignedOrder) -> OrderFields:
    """Signed fields of a wire order. Raises the venue's refusal when one is no number."""
    if order.is_version_1:
        raise refusals.order_version_mismatch()
    timestamp_text = order.timestamp or ""
    numbers = (str(order.salt), order.tokenId, order.makerAmount, order.takerAmount, timestamp_text)
    if not all(is_uint(text) for text in numbers) or order.side not in ("BUY", "SELL"):
        raise refusals.invalid_order_payload()
    if not EOA <= order.signatureType <= DEPOSIT:
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


class _Case(msgspec.Struct, frozen=True):
    """One signature and what it is checked against."""

    fields: OrderFields
    raw: bytes
    struct_hash: bytes
    domain: bytes
    order_hash: bytes
    signer: str


class OrderProver:
    """Checks orders against API keys and session signers."""

    def __init__(self, sessions: SessionRegister) -> None:
        self._sessions = sessions

    def prove(self, message: OrderMessage, key: ApiKey, neg_risk: bool, now_s: int) -> ProvedOrder:
        """Prove owner, signer and signature of an order; return what the exchange needs of it."""
        order = message.order
        if message.owner != key.key:
            raise refusals.wrong_owner()
        fields = order_fields(order)
        expiration = order.expiration or "0"
        if not is_uint(expiration):
            raise refusals.invalid_expiration()
        if order.signatureType != DEPOSIT and order.signer.lower() != key.address.lower():
            raise refusals.wrong_signer()
        try:
            struct_hash = order_struct_hash(fields)
            domain = exchange_domain(fields.token_id, neg_risk)
            order_hash = signing_digest(domain, struct_hash)
            raw = _signature_bytes(order.signature)
            case = _Case(fields, raw, struct_hash, domain, order_hash, key.address.lower())
            if not self._is_signed(case, now_s):
                raise _bad_signature(case)
            wallet = checksum_address(order.maker)
        except Malformed as fault:
            raise refusals.invalid_order_payload() from fault
        request = OrderRequest(
            order_id="0x" + order_hash.hex(),
            owner=key.key,
            token=order.tokenId,
            is_buy=order.side == "BUY",
            maker_amount_e6=fields.maker_amount,
            taker_amount_e6=fields.taker_amount,
            order_type=message.orderType,
            is_post_only=message.postOnly,
            expires_s=int(expiration),
        )
        return ProvedOrder(wallet=wallet, request=request)

    def _is_signed(self, case: _Case, now_s: int) -> bool:
        """Whether the key's address signed for the maker, which is a wallet it may trade with."""
        fields = case.fields
        if fields.signature_type == DEPOSIT:
            return self._is_signed_for_deposit_wallet(case, now_s)
        is_own = fields.maker.lower() in _wallets(case.signer, fields.signature_type)
        return recover_from_bytes(case.order_hash, case.raw) == case.signer and is_own

    def _is_signed_for_deposit_wallet(self, case: _Case, now_s: int) -> bool:
        wallet, raw = case.fields.maker.lower(), case.raw
        if case.fields.signer.lower() != wallet:
            raise refusals.wrong_signer()
        if raw.endswith(_MAGIC):
            session = self._sessions.get(case.signer)
            if session is None or session.wallet.lower() != wallet:
                raise refusals.wrong_signer()
            named, raw = _unwrap(raw)
            if named != case.signer or not session.may_trade(now_s):
                return False
        elif wallet not in _wallets(case.signer, DEPOSIT):
            raise refusals.wrong_signer()
        trailer = (
            case.domain
            + case.struct_hash
            + ORDER_TYPE_TEXT
            + len(ORDER_TYPE_TEXT).to_bytes(_LENGTH_BYTES, "big")
        )
        if raw[SIGNATURE_BYTES:] != trailer:
            return False
        wrapped = signing_digest(case.domain, wallet_struct_hash(case.struct_hash, case.fields.maker))
        return recover_from_bytes(wrapped, raw[:SIGNATURE_BYTES]) == case.signer


@lru_cache(maxsize=10_000)
def _wallets(owner: str, signature_type: int) -> frozenset[str]:
    return frozenset(address.lower() for address in wallets_of(owner).of_type(signature_type))


def _bad_signature(case: _Case) -> VenueRefusal:
    """The refusal of a signature that does not hold: made for another version, or by nobody we know."""
    if len(case.raw) == SIGNATURE_BYTES:
        for domain in OTHER_VERSION_DOMAINS:
            if recover_from_bytes(signing_digest(domain, case.struct_hash), case.raw) == case.signer:
                return refusals.order_version_mismatch()
    return refusals.invalid_signature()


def _signature_bytes(signature: str) -> bytes:
    if len(signature) > _LONGEST_SIGNATURE:
        raise Malformed("a signature is shorter")
    return hex_bytes(signature)


def _unwrap(raw: bytes) -> tuple[str, bytes]:
    """(session signer, its signature) out of `abi(bytes32, bytes32 0, bytes)` + magic."""
    body = raw[: -len(_MAGIC)]
    words = [body[at : at + _WORD] for at in range(0, 4 * _WORD, _WORD)]
    length = SIGNATURE_BYTES + _TRAILER_BYTES
    is_shaped = (
        len(body) == 4 * _WORD + -(-length // _WORD) * _WORD
        and words[0][:12] == bytes(12)
        and words[1] == bytes(_WORD)
        and int.from_bytes(words[2], "big") == 3 * _WORD
        and int.from_bytes(words[3], "big") == length
    )
    if not is_shaped:
        raise Malformed("no wrapped signature")
    return "0x" + words[0][12:].hex(), body[4 * _WORD : 4 * _WORD + length]
