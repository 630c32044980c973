"""Batches on the simulated chain: what each call does, all or nothing, and money conserved whatever happens."""

import pytest
from chain_bench import LAG_NS, NO, WALLETS, YES, ChainBench, approve, call, operator, transfer
from exchange_bench import MS, SHARE, START_NS, USD
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clawswarm.sandbox.chain.calls import RawCall, Unknown, read_call, selector
from clawswarm.sandbox.chain.chain import Reverted
from clawswarm.sandbox.chain.contracts import (
    COLLATERAL_ADAPTER,
    COLLATERAL_TOKEN,
    CONDITIONAL_TOKENS,
    NEG_RISK_COLLATERAL_ADAPTER,
    OPERATORS,
    SPENDERS,
)
from clawswarm.sandbox.exchange.accounts import COLLATERAL
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.exchange.rules import ExchangeRules
from clawswarm.sandbox.exchange.settlement import OrderedFate
from clawswarm.sandbox.identity.eip712 import EXCHANGE_V2

ANN, BOB, CID = WALLETS


def test_split_merge_redeem() -> None:
    bench = ChainBench()
    bench.run(ANN, bench.position("splitPosition", 30 * USD))
    assert bench.holds(ANN) == (-30 * USD, 30 * SHARE, 30 * SHARE)
    bench.run(ANN, bench.position("mergePositions", 10 * USD))
    assert bench.holds(ANN) == (-20 * USD, 20 * SHARE, 20 * SHARE)
    with pytest.raises(Reverted, match="result for condition not received"):
        bench.run(ANN, bench.position("redeemPositions"))
    bench.exchange.close_market(bench.market, "NO", bench.now_ns)
    bench.run(ANN, bench.position("redeemPositions"))
    assert bench.holds(ANN) == (0, 0, 0)
    bench.run(ANN, bench.position("redeemPositions"))
    assert bench.holds(ANN) == (0, 0, 0)
    assert bench.chain.nonce(ANN) == 4


def test_a_tie_pays_half_of_each_rounded_down() -> None:
    bench = ChainBench()
    bench.run(ANN, bench.position("splitPosition", 3))
    bench.exchange.close_market(bench.market, "SPLIT", bench.now_ns)
    bench.run(ANN, bench.position("redeemPositions"))
    assert bench.holds(ANN) == (-1, 0, 0)
    assert bench.exchange.ledger.pairs_e6 == 1
    assert bench.exchange.ledger.imbalance_e6() == 0


def test_a_batch_is_undone_when_one_call_fails() -> None:
    bench = ChainBench()
    calls = (
        approve(EXCHANGE_V2, 7),
        operator(CONDITIONAL_TOKENS, EXCHANGE_V2, False),
        transfer(BOB, 5 * USD),
        bench.position("splitPosition", 30 * USD),
        bench.position("mergePositions", 31 * USD),
    )
    before = bench.chain.approvals.allowance(ANN, EXCHANGE_V2)
    with pytest.raises(Reverted):
        bench.run(ANN, *calls)
    assert bench.holds(ANN) == (0, 0, 0)
    assert bench.exchange.ledger.accounts[BOB].collateral_e6 == 0
    assert bench.chain.approvals.allowance(ANN, EXCHANGE_V2) == before
    assert bench.chain.approvals.is_operator(ANN, CONDITIONAL_TOKENS, EXCHANGE_V2)
    assert bench.chain.nonce(ANN) == 0


@pytest.mark.parametrize("is_neg_risk", [False, True])
def test_each_kind_of_market_has_its_adapter(is_neg_risk: bool) -> None:
    bench = ChainBench(neg_risk=is_neg_risk)
    right, wrong = NEG_RISK_COLLATERAL_ADAPTER, COLLATERAL_ADAPTER
    if not is_neg_risk:
        right, wrong = wrong, right
    with pytest.raises(Reverted, match="another adapter"):
        bench.run(ANN, bench.position("splitPosition", USD, wrong))
    bench.run(ANN, bench.position("splitPosition", USD, right))
    assert bench.holds(ANN) == (-USD, SHARE, SHARE)


def test_a_bare_wallet_must_approve_first() -> None:
    bench = ChainBench()
    bench.chain.deploy(ANN, is_bare=True)
    split, merge = bench.position("splitPosition", 2 * USD), bench.position("mergePositions", USD)
    with pytest.raises(Reverted, match="insufficient allowance"):
        bench.run(ANN, split)
    bench.run(ANN, approve(COLLATERAL_ADAPTER, 3 * USD), split)
    assert bench.chain.approvals.allowance(ANN, COLLATERAL_ADAPTER) == USD
    with pytest.raises(Reverted, match="need operator approval"):
        bench.run(ANN, merge)
    bench.run(ANN, operator(CONDITIONAL_TOKENS, COLLATERAL_ADAPTER, True), merge)
    assert bench.holds(ANN) == (-USD, SHARE, SHARE)
    with pytest.raises(VenueRefusal, match="allowance"):
        bench.place(ANN, "BUY", "YES", 5000, 10)
    approvals = [approve(spender, 2**256 - 1) for spender in SPENDERS]
    bench.run(ANN, *approvals, *(operator(contract, who, True) for contract, who in OPERATORS))
    bench.chain.refresh(bench.open(ANN), COLLATERAL)
    assert bench.place(ANN, "BUY", "YES", 5000, 10).status == "live"


def test_what_a_batch_brings_is_seen_late_and_what_it_takes_at_once() -> None:
    bench = ChainBench()
    account = bench.open(ANN)
    bench.place(ANN, "BUY", "YES", 5000, 1_990)
    bench.run(ANN, bench.position("splitPosition", 10 * USD))
    assert list(bench.exchange.open_orders(ANN)) == []
    assert (account.seen_e6(YES), account.tokens_e6[YES]) == (0, 10 * SHARE)
    with pytest.raises(VenueRefusal, match="not enough balance"):
        bench.place(ANN, "SELL", "YES", 5000, 10)
    bench.chain.advance(START_NS + LAG_NS - 1)
    assert account.seen_e6(YES) == 0
    assert bench.chain.next_due_ns() == START_NS + LAG_NS
    bench.chain.advance(START_NS + LAG_NS)
    assert account.seen_e6(YES) == 10 * SHARE
    assert bench.place(ANN, "SELL", "YES", 6000, 10).status == "live"
    assert bench.chain.next_due_ns() is None


def test_an_unseen_gain_can_be_spent_on_the_chain() -> None:
    bench = ChainBench()
    account = bench.open(ANN)
    bench.run(ANN, bench.position("splitPosition", 10 * USD))
    bench.run(ANN, bench.position("mergePositions", 4 * USD))
    assert (account.seen_e6(YES), account.tokens_e6[YES]) == (0, 6 * SHARE)
    bench.chain.refresh(account, YES)
    assert (account.seen_e6(YES), account.seen_e6(NO)) == (6 * SHARE, 0)
    bench.chain.advance(START_NS + LAG_NS)
    assert account.seen_e6(NO) == 6 * SHARE


def test_shares_of_a_matched_trade_are_not_on_the_chain() -> None:
    bench = ChainBench(ExchangeRules(proceeds_at="matched"))
    bench.give_tokens(ANN, 10)
    bench.place(BOB, "BUY", "NO", 5000, 10)
    bench.exchange.settling.ordered.append(OrderedFate("fail"))
    bench.place(ANN, "BUY", "YES", 5000, 10)
    assert bench.open(ANN).free_tokens_e6(YES) == 20 * SHARE
    assert bench.chain.held_e6(bench.open(ANN), YES) == 10 * SHARE
    with pytest.raises(Reverted):
        bench.run(ANN, bench.position("mergePositions", 11 * USD))
    bench.settle()
    bench.settle()
    assert bench.chain.held_e6(bench.open(ANN), YES) == 10 * SHARE
    bench.place(ANN, "BUY", "YES", 5000, 10)
    bench.settle()
    assert bench.chain.held_e6(bench.open(ANN), YES) == bench.open(ANN).tokens_e6[YES]


BROKEN = [
    RawCall(COLLATERAL_TOKEN, 0, b""),
    RawCall(COLLATERAL_TOKEN, 0, selector("approve(address,uint256)") + b"\x01"),
    RawCall(COLLATERAL_TOKEN, 0, b"\x12\x34\x56\x78" + bytes(64)),
    RawCall(EXCHANGE_V2, 0, approve(BOB, 1).data),
    RawCall("0xnone", 0, approve(BOB, 1).data),
    RawCall(COLLATERAL_TOKEN, 1, approve(BOB, 1).data),
    call(
        COLLATERAL_ADAPTER, "splitPosition(address,bytes32,bytes32,uint256[],uint256)",
        COLLATERAL_TOKEN, bytes(32), b"\x99" * 32, [1, 2], 1,
    ),
    call(
        COLLATERAL_ADAPTER, "splitPosition(address,bytes32,bytes32,uint256[],uint256)",
        COLLATERAL_TOKEN, bytes(32), b"\xab" * 32, [1, 3], 1,
    ),
    call(
        COLLATERAL_ADAPTER, "splitPosition(address,bytes32,bytes32,uint256[],uint256)",
        EXCHANGE_V2, bytes(32), b"\xab" * 32, [1, 2], 1,
    ),
]  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_what_no_contract_understands_reverts(broken: RawCall) -> None:
    bench = ChainBench()
    with pytest.raises(Reverted):
        bench.run(ANN, broken)
    assert bench.chain.nonce(ANN) == 0


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read(data: bytes) -> None:
    assert read_call(data) is not None
    assert isinstance(read_call(b"\0\0\0\0" + data), Unknown)


amounts = st.integers(0, 400 * USD)
chain_steps = st.one_of(
    st.tuples(st.just("splitPosition"), st.sampled_from(WALLETS), amounts),
    st.tuples(st.just("mergePositions"), st.sampled_from(WALLETS), amounts),
    st.tuples(st.just("redeemPositions"), st.sampled_from(WALLETS)),
    st.tuples(st.just("transfer"), st.sampled_from(WALLETS), st.sampled_from(WALLETS), amounts),
    st.tuples(st.just("approve"), st.sampled_from(WALLETS), st.sampled_from(SPENDERS), amounts),
)
batches = st.tuples(st.just("batch"), st.lists(chain_steps, min_size=1, max_size=4))
trades = st.tuples(
    st.just("place"),
    st.sampled_from(WALLETS),
    st.sampled_from(("BUY", "SELL")),
    st.sampled_from(("YES", "NO")),
    st.integers(40, 60).map(lambda cents: cents * 100),
    st.integers(500, 4000).map(lambda hundredths: hundredths / 100),
)
waits = st.tuples(st.just("advance"), st.integers(1, 5_000))
fates = st.tuples(st.just("fate"), st.sampled_from(("confirm", "retry", "fail")))
ends = st.tuples(st.just("close"), st.sampled_from(("YES", "NO", "SPLIT")))
programs = st.lists(st.one_of(batches, batches, trades, trades, waits, fates), min_size=10, max_size=40)


def one_call(bench: ChainBench, step: tuple[object, ...]) -> tuple[str, RawCall]:
    kind, wallet, *rest = step
    if kind == "transfer":
        return str(wallet), transfer(*rest)
    if kind == "approve":
        return str(wallet), approve(*rest)
    return str(wallet), bench.position(str(kind), *rest)


def one_step(bench: ChainBench, step: tuple[object, ...]) -> None:
    kind, *rest = step
    if kind == "batch":
        made = [one_call(bench, inner) for inner in rest[0]]
        try:
            bench.run(made[0][0], *(inner for _, inner in made))
        except Reverted:
            return
    elif kind == "advance":
        bench.now_ns += int(str(rest[0])) * MS
        bench.exchange.advance(bench.now_ns)
        bench.chain.advance(bench.now_ns)
    elif kind == "fate":
        bench.exchange.settling.ordered.append(OrderedFate(rest[0]))
    elif kind == "close":
        bench.exchange.close_market(bench.market, rest[0], bench.now_ns)
    else:
        try:
            bench.place(*rest)
        except VenueRefusal:
            return


def check(bench: ChainBench) -> None:
    """Nothing made, nothing lost; pairs stand behind every share; nobody below zero."""
    ledger, market = bench.exchange.ledger, bench.market
    assert ledger.imbalance_e6() == 0
    supply = {
        token: sum(account.tokens_e6.get(token, 0) for account in ledger.accounts.values())
        + ledger.in_flight_e6.get(token, 0)
        for token in (YES, NO)
    }
    if market.winner is None:
        assert supply[YES] == supply[NO] == ledger.pairs_e6
    else:
        claims = sum(
            supply[market.token(is_yes)] * (market.payout_e6(is_yes) or 0) for is_yes in (True, False)
        )
        owed, rest = divmod(claims, SHARE)
        assert owed <= ledger.pairs_e6 <= owed + 40 + (rest > 0)
    for account in ledger.accounts.values():
        assert account.collateral_e6 >= 0
        assert all(size >= 0 for size in account.tokens_e6.values())
        assert all(0 <= unseen <= account.tokens_e6.get(token, account.collateral_e6)
                   for token, unseen in account.unseen_e6.items())  # fmt: skip


SPLIT_THEN_MERGE_TWICE = [
    ("batch", [("splitPosition", WALLETS[0], 1)]),
    ("batch", [("splitPosition", WALLETS[0], 1), *[("mergePositions", WALLETS[0], 1)] * 2]),
]


@example(program=SPLIT_THEN_MERGE_TWICE, winner="YES", proceeds_at="mined")
@given(programs, st.sampled_from(("YES", "NO", "SPLIT")), st.sampled_from(("mined", "matched")))
@settings(max_examples=150, deadline=None)
def test_money_is_conserved(program: list[tuple[object, ...]], winner: str, proceeds_at: str) -> None:
    bench = ChainBench(ExchangeRules(proceeds_at=proceeds_at), fee_rate_e4=700)
    for wallet in WALLETS:
        bench.open(wallet)
    for step in program:
        one_step(bench, step)
        if proceeds_at == "mined":
            check(bench)
    for _ in range(4):
        bench.settle()
    one_step(bench, ("close", winner))
    bench.chain.advance(bench.now_ns + LAG_NS)
    assert all(not amount for a in bench.exchange.ledger.accounts.values() for amount in a.unseen_e6.values())
    assert all(not amount for a in bench.exchange.ledger.accounts.values() for amount in a.early_e6.values())
    for wallet in WALLETS:
        bench.run(wallet, bench.position("redeemPositions"))
        assert bench.holds(wallet)[1:] == (0, 0)
    assert bench.exchange.ledger.imbalance_e6() == 0
    assert 0 <= bench.exchange.ledger.pairs_e6 <= 6
