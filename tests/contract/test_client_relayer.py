"""polymarket-client, unmodified, and the relayer: wallet set-up, approvals, split, merge, redeem to CONFIRMED.

Every call is the client's own: it finds the market by Gamma, reads the chain by JSON-RPC, signs the batch, submits
it and polls until the relayer says how it ended.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import polymarket as pm
import pytest
from client_port import Limit, Refused
from eth_account import Account
from official_pc import LoopThread, OfficialPc, OfficialPcAsync, _venue_refusals, environment_of
from polymarket._internal.actions.relayer.calls import (
    ctf_merge_positions_call,
    ctf_redeem_positions_call,
    ctf_split_position_call,
)
from polymarket.auth import RelayerApiKey
from polymarket.environments import PRODUCTION
from polymarket.errors import TransactionFailedError
from venue_thread import DEV_ADDRESS, DEV_KEY, RunningVenue, record, running_venue, settings_for, snapshot

from clawswarm.sandbox.identity.builder_keys import relayer_key
from clawswarm.sandbox.identity.wallets import deposit_wallet

SHARE = 1_000_000
CONFIG = PRODUCTION._config
D = Decimal
Connect = Callable[..., OfficialPc]


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[RunningVenue]:
    """A venue whose deposit wallets must be deployed and approved by the relayer."""
    record(tmp_path / "bare", "btc-updown-1", [snapshot()])
    with running_venue(settings_for(tmp_path / "bare", wallet_setup="bare")) as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, no_authorities: None) -> Iterator[Connect]:
    """Makes clients of a deposit wallet with a key for the relayer; the wallet is what the client chooses."""
    with ExitStack() as opened:

        def connect(venue: RunningVenue, private_key: str = DEV_KEY, api_key: Any = None) -> OfficialPc:
            address = Account.from_key(private_key).address
            names = {
                "private_key": private_key,
                "environment": environment_of(venue),
                "api_key": api_key or RelayerApiKey(key=relayer_key(1, address), address=address),
            }
            with _venue_refusals():
                if request.param == "sync":
                    client = OfficialPc(pm.SecureClient.create(**names), None)
                else:
                    loop = LoopThread()
                    client = OfficialPcAsync(loop.wait(pm.AsyncSecureClient.create(**names)), loop)
            opened.callback(client.close)
            return client

        yield connect


def done(client: OfficialPc, act: Callable[..., Any], **names: Any) -> Any:
    """Submit, and wait for the end."""
    handle = client._do(act, **names)
    return client._do(handle.wait)


def refresh(client: OfficialPc, asset_type: str, token: str) -> None:
    """Let the trading engine read the chain; the client only does so by itself, so its transport is used."""
    params = {"asset_type": asset_type, "token_id": token or None, "signature_type": 3}
    client._do(client.api._ctx.secure_clob.get_json, "/balance-allowance/update", params=params)


def held(client: OfficialPc, token: str) -> Decimal:
    """What the trading engine knows, after it read the chain."""
    suffix = {"asset_type": "CONDITIONAL", "asset_id": token} if token else {"asset_type": "COLLATERAL"}
    refresh(client, suffix["asset_type"], token)
    return Decimal(client._do(client.api.get_balance_allowance, **suffix).balance) / SHARE


def state(client: OfficialPc) -> Any:
    return client._do(client.api.get_trading_approvals_state)


def test_a_wallet_is_deployed_and_approved(bare: RunningVenue, connect: Connect) -> None:
    client = connect(bare)
    assert client.address == deposit_wallet(DEV_ADDRESS)
    assert client.signature_type == 3
    assert bare.look(lambda server: client.address in server.venue.chain.deployed)
    missing = state(client).missing
    assert (len(missing.erc20), len(missing.erc1155)) == (7, 10)
    with pytest.raises(Refused, match="not enough balance / allowance"):
        client.place(Limit(bare.market.yes_token, "BUY", "0.45"))
    client._do(client.api.setup_trading_approvals)
    assert state(client).is_fully_approved
    held(client, "")
    assert client.place(Limit(bare.market.yes_token, "BUY", "0.45")).status == "live"
    transactions = bare.look(lambda server: list(server.venue.relayer.transactions.values()))
    assert [(t.kind, len(t.calls), t.state) for t in transactions] == [
        ("WALLET-CREATE", 0, "STATE_CONFIRMED"),
        ("WALLET", 17, "STATE_CONFIRMED"),
    ]


def test_single_approvals(bare: RunningVenue, connect: Connect) -> None:
    client = connect(bare)
    collateral, tokens = CONFIG.collateral_token, CONFIG.conditional_tokens
    names = {"token_address": collateral, "spender_address": CONFIG.collateral_adapter}
    done(client, client.api.approve_erc20, **names, amount=5 * SHARE)
    client_state = state(client).missing
    assert len(client_state.erc20) == 7  # an amount is less than the client wants
    done(client, client.api.approve_erc20, **names, amount="max")
    operator = {"token_address": tokens, "operator_address": CONFIG.collateral_adapter}
    done(client, client.api.approve_erc1155_for_all, **operator)
    missing = state(client).missing
    assert (len(missing.erc20), len(missing.erc1155)) == (6, 9)
    done(client, client.api.approve_erc1155_for_all, **operator, approved=False)
    assert len(state(client).missing.erc1155) == 10


@pytest.mark.parametrize("is_neg_risk", [False, True])
def test_split_merge_redeem(venue: RunningVenue, connect: Connect, is_neg_risk: bool) -> None:
    market, condition = venue.market, venue.market.condition_id
    market.neg_risk = is_neg_risk
    client = connect(venue)
    before = held(client, "")
    split = done(client, client.api.split_position, condition_id=condition, amount=30 * SHARE)
    assert split.transaction_hash.startswith("0x")
    assert [held(client, token) for token in ("", market.yes_token, market.no_token)] == [before - 30, 30, 30]
    done(client, client.api.merge_positions, condition_id=condition, amount=10 * SHARE)
    assert [held(client, token) for token in ("", market.yes_token, market.no_token)] == [before - 20, 20, 20]
    client.place_market(market.no_token, "SELL", "5", "FAK", "0.5")
    venue.steer("/markets/close", market=condition, winner="YES")
    done(client, client.api.redeem_positions, condition_id=condition)
    assert [held(client, token) for token in (market.yes_token, market.no_token)] == [0, 0]
    assert venue.look(lambda server: server.venue.exchange.ledger.imbalance_e6()) == 0
    # 5 NO went for 0.53 each before the end, less the fee; 20 YES pay a dollar each.
    assert held(client, "") == before + 5 * D("0.53") - D("0.08719")


def test_all_pairs_of_several_markets_in_one_batch(tmp_path: Path, connect: Connect) -> None:
    for number in (1, 2, 3):
        record(tmp_path / "three", f"btc-updown-{number}", [snapshot()])
    with running_venue(settings_for(tmp_path / "three")) as venue:
        client = connect(venue)
        conditions = venue.look(lambda server: list(server.venue.exchange.markets))
        calls = [
            ctf_split_position_call(
                target=CONFIG.collateral_adapter,
                collateral=CONFIG.collateral_token,
                condition_id=condition,
                amount=(10 + number) * SHARE,
            )
            for number, condition in enumerate(conditions)
        ]
        done(client, client.api.execute_transaction, calls=calls)
        before = held(client, "")
        wanted = [{"condition_id": condition} for condition in conditions]
        done(client, client.api.merge_multiple_positions, positions=wanted)
        assert held(client, "") == before + 33
        assert venue.look(lambda server: len(server.venue.relayer.transactions)) == 2


def test_a_batch_is_all_or_nothing(venue: RunningVenue, connect: Connect) -> None:
    client, condition = connect(venue), venue.market.condition_id
    names = {
        "target": CONFIG.collateral_adapter,
        "collateral": CONFIG.collateral_token,
        "condition_id": condition,
    }
    before = held(client, "")
    calls = [
        ctf_split_position_call(**names, amount=SHARE),
        ctf_merge_positions_call(**names, amount=2 * SHARE),
    ]
    with pytest.raises(TransactionFailedError, match="reverted"):
        done(client, client.api.execute_transaction, calls=calls)
    redeem = ctf_redeem_positions_call(
        ctf=CONFIG.collateral_adapter, collateral=CONFIG.collateral_token, condition_id=condition
    )
    with pytest.raises(TransactionFailedError, match="result for condition not received yet"):
        done(client, client.api.execute_transaction, calls=[redeem])
    assert held(client, "") == before
    assert held(client, venue.market.yes_token) == 0
    assert venue.look(lambda server: server.venue.chain.nonce(client.address)) == 0


def test_the_client_outlasts_a_busy_relayer(venue: RunningVenue, connect: Connect) -> None:
    client, condition = connect(venue), venue.market.condition_id
    for answer in ("busy", "in-flight", "rate-limit"):
        venue.steer("/relayer/busy", answer=answer)
    done(client, client.api.split_position, condition_id=condition, amount=SHARE)
    # Two at once: the second waits in the client until the first is mined, and is signed with the next nonce.
    first = client._do(client.api.split_position, condition_id=condition, amount=SHARE)
    second = client._do(client.api.split_position, condition_id=condition, amount=SHARE)
    client._do(first.wait)
    client._do(second.wait)
    assert held(client, venue.market.yes_token) == 3
    assert venue.look(lambda server: server.venue.chain.nonce(client.address)) == 3


@pytest.mark.parametrize(("fate", "words"), [("fail", "failed on chain"), ("invalid", "simulation failed")])
def test_a_transaction_that_fails(venue: RunningVenue, connect: Connect, fate: str, words: str) -> None:
    client, condition = connect(venue), venue.market.condition_id
    before = held(client, "")
    venue.steer("/relayer/fate", fate=fate)
    with pytest.raises(TransactionFailedError, match=words):
        done(client, client.api.split_position, condition_id=condition, amount=SHARE)
    assert held(client, "") == before
    done(client, client.api.split_position, condition_id=condition, amount=SHARE)
    assert held(client, "") == before - 1


def test_a_builder_key_of_ones_own(venue: RunningVenue, connect: Connect) -> None:
    client = connect(venue)
    made = client._do(client.api.create_builder_api_key)
    assert [info.key for info in client._do(client.api.fetch_builder_api_keys)] == [made.key]
    building = connect(venue, api_key=made)
    done(building, building.api.split_position, condition_id=venue.market.condition_id, amount=SHARE)
    building._do(building.api.revoke_builder_api_key)
    with pytest.raises(Refused) as refused:
        building._do(building.api.split_position, condition_id=venue.market.condition_id, amount=SHARE)
    assert refused.value.status == 401


def test_the_engine_sees_a_split_when_it_is_asked_to(tmp_path: Path, connect: Connect) -> None:
    record(tmp_path / "slow", "btc-updown-1", [snapshot()])
    with running_venue(settings_for(tmp_path / "slow", chain_lag_ms=3_600_000)) as venue:
        client, token = connect(venue), venue.market.yes_token
        done(client, client.api.split_position, condition_id=venue.market.condition_id, amount=10 * SHARE)
        asked = {"asset_type": "CONDITIONAL", "asset_id": token}
        assert client._do(client.api.get_balance_allowance, **asked).balance == 0
        with pytest.raises(Refused, match="not enough balance / allowance"):
            client.place(Limit(token, "SELL", "0.60"))
        refresh(client, "CONDITIONAL", token)
        assert client.place(Limit(token, "SELL", "0.60")).status == "live"


def test_funds_that_leave_take_their_orders_along(venue: RunningVenue, connect: Connect) -> None:
    client, market = connect(venue), venue.market
    before = held(client, "")
    resting = client.place(Limit(market.yes_token, "BUY", "0.45")).order_id
    done(client, client.api.split_position, condition_id=market.condition_id, amount=int(before) * SHARE)
    assert client.open_orders() == []
    assert client.order(resting).status == "CANCELED_NOT_ENOUGH_BALANCE"
