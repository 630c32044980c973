"""What the calls of a wallet's batch ask of the contracts: ABI bytes → one struct for each kind of call.

Signatures as the official client encodes them (polymarket.md §9). What no contract here understands is `Unknown`:
it reverts.
"""

from collections.abc import Callable

import msgspec
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from clawswarm.sandbox.identity.eip712 import checksum_address, keccak

_SELECTOR_BYTES = 4
_NO_PARENT = bytes(32)
_BINARY = (1, 2)


class RawCall(msgspec.Struct, frozen=True):
    """One call as it was signed."""

    target: str
    value: int
    data: bytes


class Approve(msgspec.Struct, frozen=True):
    """ERC-20 `approve` of pUSD."""

    spender: str
    amount_e6: int


class Transfer(msgspec.Struct, frozen=True):
    """ERC-20 `transfer` of pUSD."""

    recipient: str
    amount_e6: int


class SetOperator(msgspec.Struct, frozen=True):
    """ERC-1155 `setApprovalForAll`."""

    operator: str
    is_approved: bool


class Split(msgspec.Struct, frozen=True):
    """pUSD → both tokens of a condition."""

    collateral: str
    condition_id: str
    amount_e6: int


class Merge(msgspec.Struct, frozen=True):
    """Both tokens of a condition → pUSD."""

    collateral: str
    condition_id: str
    amount_e6: int


class Redeem(msgspec.Struct, frozen=True):
    """All tokens of a resolved condition → their payout."""

    collateral: str
    condition_id: str


class Unknown(msgspec.Struct, frozen=True):
    """Nothing that a contract here answers."""


Action = Approve | Transfer | SetOperator | Split | Merge | Redeem | Unknown


class _Unfit(Exception):
    """Arguments of the right type that mean nothing here."""


def _position(values: tuple[object, ...]) -> tuple[str, str]:
    """(collateral, condition) of a call whose parent is zero and whose partition is binary."""
    collateral, parent, condition, parts = values[:4]
    if parent != _NO_PARENT or parts != _BINARY or not isinstance(condition, bytes):
        raise _Unfit
    return checksum_address(str(collateral)), "0x" + condition.hex()


def _split(values: tuple[object, ...]) -> Action:
    return Split(*_position(values), _int(values[4]))


def _merge(values: tuple[object, ...]) -> Action:
    return Merge(*_position(values), _int(values[4]))


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise _Unfit
    return value


_KINDS: tuple[tuple[str, Callable[[tuple[object, ...]], Action]], ...] = (
    ("approve(address,uint256)", lambda v: Approve(checksum_address(str(v[0])), _int(v[1]))),
    ("transfer(address,uint256)", lambda v: Transfer(checksum_address(str(v[0])), _int(v[1]))),
    ("setApprovalForAll(address,bool)", lambda v: SetOperator(checksum_address(str(v[0])), bool(v[1]))),
    ("splitPosition(address,bytes32,bytes32,uint256[],uint256)", _split),
    ("mergePositions(address,bytes32,bytes32,uint256[],uint256)", _merge),
    ("redeemPositions(address,bytes32,bytes32,uint256[])", lambda v: Redeem(*_position(v))),
)


def selector(signature: str) -> bytes:
    """First four bytes of a call."""
    return keccak(signature.encode())[:_SELECTOR_BYTES]


def argument_types(signature: str) -> list[str]:
    """ABI types of a signature's arguments."""
    return signature[signature.index("(") + 1 : -1].split(",")


_BY_SELECTOR = {selector(text): (argument_types(text), make) for text, make in _KINDS}


def read_call(data: bytes) -> Action:
    """What a call's bytes ask for."""
    found = _BY_SELECTOR.get(data[:_SELECTOR_BYTES])
    if found is None:
        return Unknown()
    types, make = found
    try:
        return make(decode(types, data[_SELECTOR_BYTES:]))
    except (DecodingError, _Unfit, OverflowError):
        return Unknown()
