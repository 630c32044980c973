"""Derived wallets, against the addresses of polymarket.md §14 (made with the official SDK)."""

from polymarket._internal import wallet as official
from polymarket.environments import PRODUCTION

from clawswarm.sandbox.identity.wallets import wallets_of

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def test_wallets_of_the_development_key() -> None:
    wallets = wallets_of(ADDRESS)
    assert wallets.all() == (
        ADDRESS,
        "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50",
        "0xdf8b9E8f9AB23f261F6e1B171B7454ae6E46Ba76",
        "0x365f0CA36Ae1f641E02fE3B7743673da42A13A70",
        "0xd93B25cb943D14d0d34FBaF01Fc93a0f8b5F6E47",
    )
    assert [len(wallets.of_type(kind)) for kind in range(4)] == [1, 1, 1, 2]


def test_wallets_of_other_keys_are_the_official_ones() -> None:
    config = PRODUCTION._config.wallet_derivation
    for byte in (1, 0x7F, 0xFE):
        owner = wallets_of("0x" + f"{byte:02x}" * 20)
        assert owner.proxy == official.derive_proxy_wallet_address(owner.owner, config)
        assert owner.safe == official.derive_safe_wallet_address(owner.owner, config)
        assert owner.deposit == official.derive_beacon_deposit_wallet_address(owner.owner, config)
        assert owner.deposit_uups == official.derive_uups_deposit_wallet_address(owner.owner, config)
