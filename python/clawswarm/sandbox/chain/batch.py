"""The EIP-712 digest that a deposit wallet's owner signs for a batch of calls, by hand (polymarket.md §9).

Domain `DepositWallet`, version 1, chain 137, the wallet; `Batch(address wallet,uint256 nonce,uint256 deadline,
Call[] calls)` with `Call(address target,uint256 value,bytes data)`.
"""

from functools import lru_cache

from clawswarm.sandbox.chain.calls import RawCall
from clawswarm.sandbox.identity.eip712 import CHAIN_ID, Malformed, address_bytes, keccak, signing_digest

_DOMAIN_TYPE = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_CALL_TEXT = b"Call(address target,uint256 value,bytes data)"
_CALL_TYPE = keccak(_CALL_TEXT)
_BATCH_TYPE = keccak(b"Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)" + _CALL_TEXT)


def batch_digest(wallet: str, nonce: int, deadline_s: int, calls: tuple[RawCall, ...]) -> bytes:
    """What is signed for a batch. Raises Malformed for a number or an address that is none."""
    hashes = b"".join(_call_hash(call) for call in calls)
    struct = keccak(_BATCH_TYPE + _address(wallet) + _word(nonce) + _word(deadline_s) + keccak(hashes))
    return signing_digest(_domain(wallet), bytes(struct))


def _call_hash(call: RawCall) -> bytes:
    return bytes(keccak(_CALL_TYPE + _address(call.target) + _word(call.value) + keccak(call.data)))


@lru_cache(maxsize=10_000)
def _domain(wallet: str) -> bytes:
    parts = (_DOMAIN_TYPE, keccak(b"DepositWallet"), keccak(b"1"), _word(CHAIN_ID), _address(wallet))
    return bytes(keccak(b"".join(parts)))


def _address(text: str) -> bytes:
    return address_bytes(text).rjust(32, b"\0")


def _word(value: int) -> bytes:
    try:
        return value.to_bytes(32, "big")
    except OverflowError as fault:
        raise Malformed("number outside uint256") from fault
