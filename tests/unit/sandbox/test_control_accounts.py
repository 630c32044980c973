"""Routes of the control port that change accounts and markets."""

import msgspec
import pytest
from signed_orders import SESSION_KEY, OfficialSigner
from venue_bench import VenueBench

from clawswarm.sandbox.control.accounts import ROUTES
from clawswarm.sandbox.control.route import Unusable
from clawswarm.sandbox.identity.wallets import wallets_of

OWNER, SESSION = OfficialSigner(), OfficialSigner(SESSION_KEY)


def call(bench: VenueBench, path: str, **body: object) -> object:
    (route,) = [route for route in ROUTES if route.path == path]
    return route.answer(bench.venue, bench.now_ns, msgspec.json.encode(body))


def test_money_leaves_and_orders_with_it() -> None:
    bench = VenueBench(faucet_e6=10_000_000)
    key = bench.key(OWNER)
    placed = bench.place(OWNER, key)
    call(bench, "/accounts/fund", address=OWNER.address, pusd="-5")
    assert placed.order.status == "CANCELED_NOT_ENOUGH_BALANCE"
    with pytest.raises(Unusable, match="holds 5 pUSD"):
        call(bench, "/accounts/fund", address=OWNER.address, pusd="-6")
    assert bench.venue.exchange.ledger.imbalance_e6() == 0


def test_shares_come_and_go() -> None:
    bench = VenueBench()
    account = bench.venue.trading.account(OWNER.address)
    market = {"market": bench.market.condition_id}
    call(bench, "/accounts/split", address=OWNER.address, shares="20", **market)
    call(bench, "/accounts/take-tokens", address=OWNER.address, shares="5", token=bench.market.yes_token)
    assert list(account.tokens_e6.values()) == [15_000_000, 20_000_000]
    with pytest.raises(Unusable, match="does not hold that much"):
        call(bench, "/accounts/split", address=OWNER.address, shares="-16", **market)
    call(bench, "/accounts/split", address=OWNER.address, shares="-15", **market)
    assert bench.venue.exchange.ledger.imbalance_e6() == 0


def test_allowances_and_standing() -> None:
    bench = VenueBench()
    account = bench.venue.trading.account(OWNER.address)
    call(bench, "/accounts/allowance", address=OWNER.address, pusd="2.5", tokens=False)
    assert (account.free_e6, account.is_approved) == (2_500_000, False)
    call(bench, "/accounts/allowance", address=OWNER.address)
    assert (account.allowance_e6, account.is_approved) == (None, True)
    call(bench, "/accounts/standing", address=OWNER.address, banned=True)
    assert bench.venue.access.banned == {OWNER.address.lower()}
    call(bench, "/accounts/standing", address=OWNER.address)
    assert bench.venue.access.banned == set()


def test_session_signers() -> None:
    bench = VenueBench()
    answer = call(bench, "/session-signers/authorize", owner=OWNER.address, address=SESSION.address)
    assert answer == {"ok": True, "wallet": wallets_of(OWNER.address).deposit}
    (listed,) = call(bench, "/session-signers")
    assert (listed["address"], listed["scopes"]) == (SESSION.address, ("ALL",))
    call(bench, "/session-signers/revoke", address=SESSION.address)
    with pytest.raises(Unusable, match="one of the session signers"):
        call(bench, "/session-signers/revoke", address=SESSION.address)


def test_markets() -> None:
    bench = VenueBench()
    named = {"market": bench.market.condition_id}
    call(bench, "/markets/delay", taker_delay_ms=50, **named)
    assert bench.market.hold_ns == 50_000_000
    for body in ({"taker_delay_ms": -1, **named}, {"market": "0x12"}):
        with pytest.raises(Unusable):
            call(bench, "/markets/delay", **body)


@pytest.mark.parametrize(
    "body", [{}, {"address": "0x12", "pusd": "1"}, {"address": OWNER.address, "pusd": "x"}]
)
def test_bodies_that_say_nothing(body: dict[str, str]) -> None:
    with pytest.raises(Unusable):
        call(VenueBench(), "/accounts/fund", **body)
