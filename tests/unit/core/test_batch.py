"""Batches of a deposit wallet: signed as the official client signs them, and nothing else."""

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st
from polymarket._internal.actions.relayer.signing.deposit_wallet import sign_deposit_wallet_batch
from polymarket.calls import TransactionCall, ctf_merge_positions_call, ctf_redeem_positions_call
from polymarket.environments import PRODUCTION
from polymarket.types import EvmAddress

from clawswarm._core import OrderSigner
from clawswarm.sandbox.identity.wallets import wallets_of

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""A public development key."""
OWNER = Account.from_key(KEY)
WALLET = wallets_of(OWNER.address).deposit
CONDITION = "0x" + "5f" * 32
Call = tuple[str, str, bool, int]
calls = st.lists(
    st.tuples(
        st.sampled_from(("merge", "redeem")),
        st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex()),
        st.booleans(),
        st.integers(0, 2**64 - 1),
    ),
    min_size=1,
    max_size=5,
)


def signer(signature_type: int = 3, funder: str | None = WALLET, **more: bool) -> OrderSigner:
    return OrderSigner(bytes.fromhex(KEY[2:]), 137, signature_type, funder, **more)


def official(call: Call) -> TransactionCall:
    config = PRODUCTION._config
    kind, market, neg_risk, amount = call
    adapter = EvmAddress(config.neg_risk_collateral_adapter if neg_risk else config.collateral_adapter)
    collateral = EvmAddress(config.collateral_token)
    if kind == "merge":
        return ctf_merge_positions_call(
            target=adapter, collateral=collateral, condition_id=market, amount=amount
        )
    return ctf_redeem_positions_call(ctf=adapter, collateral=collateral, condition_id=market)


@given(calls, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_the_official_client_signs_the_same(batch: list[Call], nonce: int, deadline_s: int) -> None:
    expected = sign_deposit_wallet_batch(
        OWNER,
        wallet=EvmAddress(WALLET),
        calls=[official(call) for call in batch],
        nonce=str(nonce),
        deadline=str(deadline_s),
        chain_id=137,
    )
    assert signer().sign_batch(nonce, deadline_s, batch) == expected


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ([], "1 to 100 calls, not 0"),
        ([("merge", CONDITION, False, 1)] * 101, "not 101"),
        ([("merge", CONDITION[:-2], False, 1)], "not a condition id"),
        ([("merge", "5f" * 32, False, 1)], "not a condition id"),
        ([("approve", CONDITION, False, 1)], "approve"),
    ],
)
def test_what_is_no_batch_is_not_signed(batch: list[Call], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        signer().sign_batch(0, 0, batch)


@pytest.mark.parametrize(
    ("signature_type", "funder", "session"), [(0, None, False), (2, WALLET, False), (3, WALLET, True)]
)
def test_only_a_deposit_wallets_owner_signs(signature_type: int, funder: str | None, session: bool) -> None:
    with pytest.raises(ValueError, match="owner of a deposit wallet"):
        signer(signature_type, funder, session=session).sign_batch(0, 0, [("redeem", CONDITION, False, 0)])
