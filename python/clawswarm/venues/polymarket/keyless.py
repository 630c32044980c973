"""The official client of an account whose key is elsewhere: it reads and submits, someone else signs.

The package wants a private key to make an authenticated client, although only its orders and batches need one, and
names no other hosts but its own. What is used of its inside is here and nowhere else; the contract tests
run it in the locked version.
"""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import cast

import msgspec
from eth_account.signers.local import LocalAccount
from polymarket import AsyncSecureClient
from polymarket._internal.actions.relayer.gasless import (
    build_deposit_wallet_payload,
    submit_gasless_with_retry,
)
from polymarket._internal.actions.relayer.nonce import fetch_execute_params
from polymarket._internal.actions.relayer.poll import poll_until_terminal
from polymarket._internal.actions.relayer.submit import submit_gasless
from polymarket.auth import ApiKey
from polymarket.calls import TransactionCall
from polymarket.environments import PRODUCTION, Environment, _create_environment
from polymarket.models.clob import ApiKeyCreds
from polymarket.models.clob.relayer import RelayerExecuteResponse, RelayerTransactionType
from polymarket.transactions import GaslessTransactionHandle
from polymarket.types import HexString

from clawswarm.model.messages import AccountOpened

# A batch that is not on the chain by then never will be.
DEADLINE_S = 600
_SIGNATURE_TYPES = {0: "EOA", 1: "POLY_PROXY", 2: "GNOSIS_SAFE", 3: "DEPOSIT_WALLET"}

SignBatch = Callable[[int, int], Awaitable[str]]
"""(nonce, deadline in Unix seconds) → the owner's signature of the batch at hand."""


class ChainAddresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where the venue's hosts are."""

    clob: str
    gamma: str
    data: str
    relayer: str
    rpc: str


@dataclasses.dataclass(frozen=True)
class _Owner:
    """All that reading and submitting need of a signer."""

    address: str


def environment_of(addresses: ChainAddresses | None) -> Environment:
    """The production environment, or the same with other hosts."""
    if addresses is None:
        return PRODUCTION
    config = dataclasses.replace(
        PRODUCTION._config,
        clob_url=addresses.clob,
        gamma_url=addresses.gamma,
        data_url=addresses.data,
        relayer_url=addresses.relayer,
        rpc_url=addresses.rpc,
        relayer_poll_frequency_ms=500,
    )
    return _create_environment(name="other hosts", config=config)


def keyless_client(
    account: AccountOpened, environment: Environment, api_key: ApiKey | None
) -> AsyncSecureClient:
    """An authenticated client without the key; whatever would sign fails with an AttributeError."""
    return AsyncSecureClient._construct_for_wallet(
        signer=cast(LocalAccount, _Owner(account.address)),
        wallet=account.wallet,
        wallet_type=_SIGNATURE_TYPES[account.signature_type],  # type: ignore[arg-type]  # one of its literals
        signer_type="OWNER",
        environment=environment,
        config=environment._config,
        credentials=ApiKeyCreds.model_validate(
            {"apiKey": account.api_key, "secret": account.secret, "passphrase": account.passphrase}
        ),
        api_key=api_key,
        logger=None,
        on_rate_limit_update=None,
    )


async def next_nonce(client: AsyncSecureClient) -> int:
    """The nonce that the wallet's next batch carries. Raises PolymarketError."""
    context = client._ctx
    params = await fetch_execute_params(
        context.relayer, address=context.signer.address, type=RelayerTransactionType.WALLET
    )
    return int(params.nonce)


async def wait_for_batch(client: AsyncSecureClient, transaction_id: str) -> None:
    """Wait until a batch has happened. Raises TransactionFailedError when it never will, PolymarketError."""
    config = client._ctx.environment_config
    await poll_until_terminal(
        client._ctx.relayer,
        transaction_id=transaction_id,
        fallback_hash=None,
        max_polls=config.relayer_max_polls,
        poll_delay_s=config.relayer_poll_frequency_ms / 1_000,
    )


async def submit_batch(
    client: AsyncSecureClient, calls: list[TransactionCall], sign: SignBatch
) -> GaslessTransactionHandle:
    """Have a batch signed and submit it, again while the relayer is busy. Raises PolymarketError, Retry."""
    context = client._ctx
    factory = context.environment_config.wallet_derivation.deposit_wallet_factory

    async def submit() -> RelayerExecuteResponse:
        params = await fetch_execute_params(
            context.relayer, address=context.signer.address, type=RelayerTransactionType.WALLET
        )
        # The chain judges by its own clock.
        deadline_s = await context.rpc.eth_get_latest_block_timestamp() + DEADLINE_S
        payload = build_deposit_wallet_payload(
            signer_address=context.signer.address,
            deposit_wallet_factory=factory,
            wallet=context.wallet,
            calls=calls,
            nonce=params.nonce,
            deadline=str(deadline_s),
            signature=cast(HexString, await sign(int(params.nonce), deadline_s)),
            metadata="unwind",
        )
        return await submit_gasless(context.relayer, payload=payload)

    return await submit_gasless_with_retry(context, submit=submit)
