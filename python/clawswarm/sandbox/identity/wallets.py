"""The wallets an owner's address stands for: CREATE2 addresses of proxy, safe and deposit wallet (§2.4, §14).

A wallet's address is keccak(0xff ‖ factory ‖ salt ‖ keccak(init code))[12:]; the kinds differ in salt and code.
"""

from functools import lru_cache

import msgspec

from clawswarm.sandbox.identity.eip712 import address_bytes, checksum_address, keccak

PROXY_FACTORY = "0xaB45c5A4B0c941a2F231C04C3f49182e1A254052"
PROXY_IMPLEMENTATION = "0x44e999d5c2F66Ef0861317f9A4805AC2e90aEB4f"
SAFE_FACTORY = "0xaacFeEa03eb1561C4e67d661e40682Bd20E3541b"
SAFE_CODE_HASH = "2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf"
DEPOSIT_FACTORY = "0x00000000000Fb5C9ADea0298D729A0CB3823Cc07"
DEPOSIT_IMPLEMENTATION = "0x58CA52ebe0DadfdF531Cde7062e76746de4Db1eB"
DEPOSIT_BEACON = "0x7A18EDfe055488A3128f01F563e5B479D92ffc3a"

EOA, PROXY, SAFE, DEPOSIT = 0, 1, 2, 3
"""Signature types."""

# Solady's minimal ERC-1967 proxies with immutable arguments, as the deposit-wallet factory deploys them: a
# prefix that holds the length of the arguments, the target, the code, the arguments.
_UUPS_PREFIX = 0x61003D3D8160233D3973
_UUPS_CODE = bytes.fromhex(
    "60095155f3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076"
    "cc3735a920a3ca505d382bbc545af43d6000803e6038573d6000fd5b3d6000f3"
)
_BEACON_PREFIX = 0x6100523D8160233D3973
_BEACON_CODE = bytes.fromhex(
    "60195155f3363d3d373d3d363d602036600436635c60da"
    "1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6c"
    "b3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3"
)
_PREFIX_BYTES = 10
_ARGUMENTS_SHIFT = 56


class Wallets(msgspec.Struct, frozen=True):
    """All addresses an owner may hold funds at, checksummed."""

    owner: str
    proxy: str
    safe: str
    deposit: str
    deposit_uups: str

    def of_type(self, signature_type: int) -> tuple[str, ...]:
        """Addresses that may be the maker of an order with this signature type, the usual one first."""
        return {
            EOA: (self.owner,),
            PROXY: (self.proxy,),
            SAFE: (self.safe,),
            DEPOSIT: (self.deposit, self.deposit_uups),
        }[signature_type]

    def all(self) -> tuple[str, ...]:
        """Every address."""
        return self.owner, self.deposit, self.deposit_uups, self.proxy, self.safe


@lru_cache(maxsize=10_000)
def wallets_of(owner: str) -> Wallets:
    """Derive the wallets of an owner's address."""
    return Wallets(
        owner=checksum_address(owner),
        proxy=proxy_wallet(owner),
        safe=safe_wallet(owner),
        deposit=deposit_wallet(owner),
        deposit_uups=deposit_wallet_uups(owner),
    )


def proxy_wallet(owner: str) -> str:
    """The proxy of an e-mail account: salt is the hash of the packed address."""
    factory, target = address_bytes(PROXY_FACTORY), address_bytes(PROXY_IMPLEMENTATION)
    code = (
        bytes.fromhex("3d3d606380380380913d393d73")
        + factory
        + bytes.fromhex("5af4602a57600080fd5b602d8060366000396000f3363d3d373d3d3d363d73")
        + target
        + bytes.fromhex("5af43d82803e903d91602b57fd5bf352e831dd")
        + (32).to_bytes(32, "big")
        + bytes(32)
    )
    return _create2(PROXY_FACTORY, keccak(address_bytes(owner)), keccak(code))


def safe_wallet(owner: str) -> str:
    """The safe of a browser wallet: salt is the hash of the padded address."""
    return _create2(SAFE_FACTORY, keccak(_word(address_bytes(owner))), bytes.fromhex(SAFE_CODE_HASH))


def deposit_wallet(owner: str) -> str:
    """The deposit wallet behind the factory's beacon: what new accounts get."""
    return _deposit(owner, _BEACON_PREFIX, DEPOSIT_BEACON, _BEACON_CODE)


def deposit_wallet_uups(owner: str) -> str:
    """The deposit wallet of the factory's first version."""
    return _deposit(owner, _UUPS_PREFIX, DEPOSIT_IMPLEMENTATION, _UUPS_CODE)


def _deposit(owner: str, prefix: int, target: str, code: bytes) -> str:
    arguments = _word(address_bytes(DEPOSIT_FACTORY)) + _word(address_bytes(owner))
    head = (prefix + (len(arguments) << _ARGUMENTS_SHIFT)).to_bytes(_PREFIX_BYTES, "big")
    init_code = head + address_bytes(target) + code + arguments
    return _create2(DEPOSIT_FACTORY, keccak(arguments), keccak(init_code))


def _create2(factory: str, salt: bytes, code_hash: bytes) -> str:
    raw = keccak(b"\xff" + address_bytes(factory) + salt + code_hash)
    return checksum_address("0x" + raw[12:].hex())


def _word(raw: bytes) -> bytes:
    return raw.rjust(32, b"\0")
