"""What a program needs to use a running sandbox: addresses, markets, funded test accounts.

The accounts' keys derive from the seed: anyone can compute them, and they are worth nothing anywhere else.
"""

import hashlib
from pathlib import Path

import msgspec
from coincurve import PrivateKey

from clawswarm.model.units import format_price
from clawswarm.sandbox.data_api import rest as data_api
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.gamma import rest as gamma
from clawswarm.sandbox.identity.builder_keys import relayer_key
from clawswarm.sandbox.identity.eip712 import CHAIN_ID, checksum_address, keccak
from clawswarm.sandbox.identity.wallets import deposit_wallet
from clawswarm.sandbox.server import SandboxServer

TEST_ACCOUNTS = 6


class TestAccount(msgspec.Struct, frozen=True):
    """A throw-away key and its relayer key; `wallet` is its deposit wallet. Both addresses hold money."""

    private_key: str
    address: str
    wallet: str
    relayer_key: str


class OpenMarket(msgspec.Struct, frozen=True):
    """A market that trades; YES (or Up) is the first token."""

    condition_id: str
    slug: str
    token_ids: tuple[str, str]
    outcomes: tuple[str, str]
    tick: str
    neg_risk: bool


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Content of the ready file; an address is null while the sandbox does not serve it."""

    clob: str
    gamma: str
    data: str
    ws_market: str
    ws_user: str
    rtds: str
    polybolt: str
    relayer: str
    rpc: str
    geoblock: str
    control: str
    chain_id: int = CHAIN_ID
    ca_cert: str | None
    markets: list[OpenMarket]
    accounts: list[TestAccount]


def open_test_accounts(server: SandboxServer, seed: int) -> list[TestAccount]:
    """Fund the test accounts of a seed, each at its own address and at its deposit wallet."""
    accounts = [_account(seed, number) for number in range(TEST_ACCOUNTS)]
    for account in accounts:
        for address in (account.address, account.wallet):
            server.venue.trading.account(address)
        server.venue.deploy_wallet(account.wallet)
    return accounts


def describe(server: SandboxServer, accounts: list[TestAccount], host: str, ca_cert: Path | None) -> Ready:
    """What the ready file says of a server that accepts connections."""
    secure = "" if ca_cert is None else "s"
    http, ws = f"http{secure}://{host}:{server.port}", f"ws{secure}://{host}:{server.port}"
    markets = server.venue.exchange.markets.values()
    return Ready(
        clob=http,
        gamma=f"{http}{gamma.PREFIX}",
        data=f"{http}{data_api.PREFIX}",
        ws_market=f"{ws}/ws/market",
        ws_user=f"{ws}/ws/user",
        rtds=f"{ws}/rtds",
        polybolt=f"{ws}/polybolt/ws",
        relayer=http,
        rpc=f"{http}/rpc",
        geoblock=f"{http}/api/geoblock",
        control=f"http://{host}:{server.control_port}",
        ca_cert=None if ca_cert is None else str(ca_cert),
        markets=[_open_market(market) for market in markets if market.is_open],
        accounts=accounts,
    )


def write_ready_file(path: Path, ready: Ready) -> None:
    """Write the file in one piece: whoever sees it sees all of it."""
    draft = path.with_name(path.name + ".draft")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(ready), indent=2) + b"\n")
    draft.replace(path)


def _account(seed: int, number: int) -> TestAccount:
    secret = hashlib.sha256(f"clawswarm sandbox test account:{seed}:{number}".encode()).digest()
    public = PrivateKey(secret).public_key.format(compressed=False)
    address = checksum_address("0x" + keccak(public[1:])[12:].hex())
    return TestAccount(
        private_key=f"0x{secret.hex()}",
        address=address,
        wallet=deposit_wallet(address),
        relayer_key=relayer_key(seed, address),
    )


def _open_market(market: ListedMarket) -> OpenMarket:
    return OpenMarket(
        condition_id=market.condition_id,
        slug=market.slug,
        token_ids=(market.yes_token, market.no_token),
        outcomes=market.outcomes,
        tick=format_price(market.tick_e4),
        neg_risk=market.neg_risk,
    )
