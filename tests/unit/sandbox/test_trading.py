"""What keys reach: single keys, session signers, wallet-wide cancels, heartbeat scopes, bans."""

import msgspec
import pytest
from polymarket._internal.wallet import wrap_deposit_wallet_session_signer_signature
from py_clob_client_v2.order_utils.model.side import Side
from signed_orders import SESSION_KEY, OfficialSigner
from venue_bench import VenueBench

from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.keys import ApiKey
from clawswarm.sandbox.identity.order_proof import OrderMessage
from clawswarm.sandbox.identity.sessions import SessionSigner
from clawswarm.sandbox.identity.wallets import wallets_of

OWNER, SESSION = OfficialSigner(), OfficialSigner(SESSION_KEY)
WALLETS = wallets_of(OWNER.address)
FAUCET_E6 = 10_000_000_000


def test_the_faucet_fills_the_own_address_and_the_deposit_wallet() -> None:
    bench = VenueBench()
    bench.key(OWNER)
    accounts = bench.venue.exchange.ledger.accounts
    assert {address: a.collateral_e6 for address, a in accounts.items()} == {
        WALLETS.owner: FAUCET_E6,
        WALLETS.deposit: FAUCET_E6,
    }


def test_each_wallet_pays_for_its_own_orders() -> None:
    bench = VenueBench()
    key = bench.key(OWNER)
    for kind, wallet in enumerate((WALLETS.owner, WALLETS.proxy, WALLETS.safe, WALLETS.deposit)):
        placed = bench.place(OWNER, key, maker=wallet, signature_type=kind)
        assert placed.order.account.address == wallet
        assert placed.order.account.reserved_e6 == 5_200_000
    assert len(bench.venue.cancel_where(key, bench.now_ns, lambda _order: True).canceled) == 4


def test_a_second_key_revokes_the_first_and_cannot_cancel_its_orders() -> None:
    bench = VenueBench()
    first = bench.key(OWNER)
    placed = bench.place(OWNER, first)
    second = bench.key(OWNER, nonce=1)
    assert bench.venue.keys.keys_of(OWNER.address) == [second.key]
    assert bench.venue.cancel_where(second, bench.now_ns, lambda _order: True).canceled == []
    report = bench.venue.cancel_ids(second, [placed.order.id], bench.now_ns)
    assert report.not_canceled == {placed.order.id: "Order not found or already canceled"}
    assert placed.order.status == "LIVE"


def test_or_both_are_good_where_the_setting_says_so() -> None:
    bench = VenueBench(single_key=False)
    first, second = bench.key(OWNER), bench.key(OWNER, nonce=1)
    assert bench.venue.keys.keys_of(OWNER.address) == [first.key, second.key]
    with pytest.raises(VenueRefusal, match="Could not create api key"):
        bench.key(OWNER)


def test_why_an_order_was_not_cancelled() -> None:
    bench = VenueBench(taker_delay_ms=250)
    key, other = bench.key(OWNER), bench.key(SESSION)
    ask = bench.place(SESSION, other, amounts=("4800000", "10000000"), token=bench.market.no_token)
    gone = bench.place(OWNER, key, amounts=("5100000", "10000000"))
    bench.venue.cancel_ids(key, [gone.order.id], bench.now_ns)
    held = bench.place(OWNER, key)
    report = bench.venue.cancel_ids(key, [held.order.id, gone.order.id, ask.order.id], bench.now_ns)
    assert report.not_canceled == {
        held.order.id: "order match delayed due to market conditions",
        gone.order.id: "Order not found or already canceled",
        ask.order.id: "Order not found or already canceled",
    }
    bench.pass_ms(250)
    report = bench.venue.cancel_ids(key, [held.order.id, held.order.id], bench.now_ns)
    assert report.not_canceled == {held.order.id: "Order already matched"}


# --- session signers ----------------------------------------------------------------------------


def with_session(**settings: object) -> tuple[VenueBench, ApiKey, ApiKey]:
    """A venue where SESSION may trade for OWNER's deposit wallet; their keys."""
    bench = VenueBench(**settings)
    bench.venue.sessions.authorize(
        SessionSigner(
            address=SESSION.address,
            wallet=WALLETS.deposit,
            owner=OWNER.address,
            valid_until_s=bench.now_s + 3600,
        )
    )
    return bench, bench.key(OWNER), bench.key(SESSION)


def place_by_session(bench: VenueBench, key: ApiKey) -> str:
    body = SESSION.order(key.key, bench.market.yes_token, maker=WALLETS.deposit, signature_type=3)
    order = body["order"]
    order["signature"] = wrap_deposit_wallet_session_signer_signature(SESSION.address, order["signature"])
    message = msgspec.convert(body, OrderMessage)
    placed = bench.venue.trading.place(key, message, bench.now_ns)
    bench.venue.publish(placed.events)
    return placed.order.id


def test_each_key_cancels_only_its_own_orders() -> None:
    bench, owner, session = with_session()
    theirs = place_by_session(bench, session)
    own = bench.place(OWNER, owner, maker=WALLETS.deposit, signature_type=3).order.id
    everything = bench.venue.cancel_where(owner, bench.now_ns, lambda _order: True)
    assert everything.canceled == [own]
    assert bench.venue.cancel_where(session, bench.now_ns, lambda _order: True).canceled == [theirs]


def test_the_owner_cancels_across_keys() -> None:
    bench, owner, session = with_session()
    theirs, again = place_by_session(bench, session), place_by_session(bench, session)
    own_address = bench.place(OWNER, owner).order.id
    with pytest.raises(VenueRefusal) as refused:
        bench.venue.cancel_wallet(session, None, bench.now_ns)
    assert refused.value.status == 403
    report = bench.venue.cancel_wallet(owner, [theirs, own_address, "0x00"], bench.now_ns)
    assert report.canceled == [theirs]
    assert set(report.not_canceled.values()) == {"order not found on the caller's deposit wallet"}
    assert bench.venue.cancel_wallet(owner, None, bench.now_ns).canceled == [again]


def test_a_revoked_session_signer_loses_key_and_orders() -> None:
    bench, _, session = with_session()
    order_id = place_by_session(bench, session)
    assert bench.venue.revoke_session(SESSION.address, bench.now_ns)
    assert not bench.venue.revoke_session(SESSION.address, bench.now_ns)
    assert bench.venue.keys.keys_of(SESSION.address) == []
    bench.pass_ms(4_999)
    assert bench.venue.exchange.orders[order_id].status == "LIVE"
    assert bench.venue.next_due_ns() == bench.now_ns + 1_000_000
    bench.pass_ms(1)
    assert bench.venue.exchange.orders[order_id].status == "CANCELED"


# --- heartbeats ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["account", "key"])
def test_what_a_heartbeat_keeps_alive(scope: str) -> None:
    bench, owner, session = with_session(heartbeat_scope=scope, heartbeat_sweep_s=1)
    theirs = place_by_session(bench, session)
    own = bench.place(OWNER, owner).order.id
    first = bench.venue.beat(owner, "", bench.now_ns)
    bench.pass_ms(9_000)
    bench.venue.beat(owner, first, bench.now_ns)
    bench.pass_ms(9_000)
    assert bench.venue.exchange.orders[own].status == "LIVE"
    bench.pass_ms(3_000)
    orders = bench.venue.exchange.orders
    expected = ("CANCELED", "CANCELED") if scope == "account" else ("CANCELED", "LIVE")
    assert (orders[own].status, orders[theirs].status) == expected


def test_one_chain_of_ids_for_an_account() -> None:
    bench, owner, session = with_session(heartbeat_scope="account")
    expected = bench.venue.beat(owner, "", bench.now_ns)
    assert bench.venue.beat(session, expected, bench.now_ns) != expected


# --- standing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [WALLETS.owner, WALLETS.deposit])
def test_banned_accounts(named: str) -> None:
    bench = VenueBench()
    key = bench.key(OWNER)
    bench.venue.access.banned.add(named.lower())
    with pytest.raises(VenueRefusal, match=f"'{WALLETS.deposit}' address banned"):
        bench.place(OWNER, key, maker=WALLETS.deposit, signature_type=3)


def test_closed_only_accounts_may_sell() -> None:
    bench = VenueBench()
    key = bench.key(OWNER)
    account = bench.venue.exchange.ledger.accounts[OWNER.address]
    tokens = (bench.market.yes_token, bench.market.no_token)
    bench.venue.exchange.ledger.split(account, tokens, 50_000_000)
    bench.venue.access.closed_only.add(OWNER.address.lower())
    assert bench.venue.access.is_closed_only(key)
    with pytest.raises(VenueRefusal, match=f"'{OWNER.address}' address in closed only mode"):
        bench.place(OWNER, key)
    assert bench.place(OWNER, key, side=Side.SELL, amounts=("10000000", "5200000")).status == "live"
