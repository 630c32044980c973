"""The relayer's rules: signatures, nonces, one batch at a time, the daily quota, the states of a transaction."""

import msgspec
import pytest
from chain_bench import ChainBench
from eth_account import Account as EthAccount
from eth_account.messages import encode_typed_data
from exchange_bench import MS, START_NS, USD
from venue_bench import VenueBench

from clawswarm.sandbox.chain.calls import RawCall
from clawswarm.sandbox.chain.contracts import COLLATERAL_ADAPTER
from clawswarm.sandbox.chain.relayer import Relayer, RelayerDelays, Submission
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.wallets import DEPOSIT_FACTORY, wallets_of
from clawswarm.sandbox.rest.windows import OLDER, RequestWindows

KEY = "0x" + "11" * 32
OWNER = EthAccount.from_key(KEY).address
WALLET = wallets_of(OWNER).deposit
DAY_NS = 86_400 * 10**9
DELAYS = RelayerDelays(executed_ns=500 * MS, mined_ns=2_000 * MS, confirmed_ns=4_000 * MS)
TYPES = {
    "EIP712Domain": [
        {"name": name, "type": kind}
        for name, kind in (
            ("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address"),
        )
    ],
    "Batch": [
        {"name": name, "type": kind}
        for name, kind in (
            ("wallet", "address"), ("nonce", "uint256"), ("deadline", "uint256"), ("calls", "Call[]"),
        )
    ],
    "Call": [
        {"name": name, "type": kind}
        for name, kind in (("target", "address"), ("value", "uint256"), ("data", "bytes"))
    ],
}  # fmt: skip


class RelayBench(ChainBench):
    """A chain with a relayer, and one deployed wallet."""

    def __init__(self, tier: str = "unverified", **market: object) -> None:
        super().__init__(**market)
        self.relayer = Relayer(self.chain, DELAYS, tier, is_bare=False, seed=1)
        self.chain.deploy(WALLET, is_bare=False)

    def batch(
        self, *calls: RawCall, nonce: int | None = None, key: str = KEY, seconds: int = 600
    ) -> dict[str, object]:
        """The body of a signed batch."""
        nonce = self.chain.nonce(WALLET) if nonce is None else nonce
        deadline = self.now_ns // 10**9 + seconds
        message = {
            "wallet": WALLET,
            "nonce": nonce,
            "deadline": deadline,
            "calls": [{"target": c.target, "value": c.value, "data": c.data} for c in calls],
        }
        domain = {"name": "DepositWallet", "version": "1", "chainId": 137, "verifyingContract": WALLET}
        full = {"types": TYPES, "primaryType": "Batch", "domain": domain, "message": message}
        signature = EthAccount.sign_message(encode_typed_data(full_message=full), key).signature
        return {
            "type": "WALLET",
            "from": OWNER,
            "to": DEPOSIT_FACTORY,
            "nonce": str(nonce),
            "signature": "0x" + bytes(signature).hex(),
            "metadata": "",
            "depositWalletParams": {
                "depositWallet": WALLET,
                "deadline": str(deadline),
                "calls": [
                    {"target": c.target, "value": str(c.value), "data": "0x" + c.data.hex()} for c in calls
                ],
            },
        }

    def submit(self, body: dict[str, object], account: str = OWNER) -> str:
        """Submit; the id of the transaction."""
        return self.relayer.submit(account, msgspec.convert(body, Submission), self.now_ns).id

    def pass_ms(self, ms: int) -> None:
        """Let time pass."""
        self.now_ns += ms * MS
        self.relayer.advance(self.now_ns)

    def state(self, transaction_id: str) -> str:
        """How far a transaction is."""
        return self.relayer.transactions[transaction_id].state

    def split(self, usd: int = 1) -> RawCall:
        """A call that always works."""
        return self.position("splitPosition", usd * USD)


def refusal(bench: RelayBench, body: dict[str, object]) -> tuple[int, str]:
    with pytest.raises(VenueRefusal) as refused:
        bench.submit(body)
    return refused.value.status, refused.value.text


def test_the_states_of_a_batch() -> None:
    bench = RelayBench()
    submitted = bench.submit(bench.batch(bench.split(), bench.split(2)))
    seen = [(bench.state(submitted), bench.holds(WALLET)[1])]
    for ms in (500, 1_500, 2_000):
        bench.pass_ms(ms)
        seen.append((bench.state(submitted), bench.holds(WALLET)[1]))
    assert seen == [
        ("STATE_NEW", 0),
        ("STATE_EXECUTED", 0),
        ("STATE_MINED", 3 * USD),
        ("STATE_CONFIRMED", 3 * USD),
    ]
    assert bench.relayer.next_due_ns() is None


def test_one_batch_at_a_time() -> None:
    bench = RelayBench()
    bench.submit(bench.batch(bench.split()))
    assert refusal(bench, bench.batch(bench.split()))[0] == 400
    assert "wallet busy" in refusal(bench, bench.batch(bench.split()))[1]
    assert "active action" in refusal(bench, bench.batch(bench.split()))[1]
    bench.pass_ms(500)
    assert "wallet has in-flight action" in refusal(bench, bench.batch(bench.split()))[1]
    bench.pass_ms(1_500)
    stale = bench.batch(bench.split(), nonce=0)
    assert refusal(bench, stale) == (400, "batch nonce 0 does not match on-chain nonce 1")
    bench.submit(bench.batch(bench.split()))


def test_a_reverted_batch_fails_and_costs_no_nonce() -> None:
    bench = RelayBench()
    submitted = bench.submit(bench.batch(bench.split(), bench.position("mergePositions", 2 * USD)))
    bench.pass_ms(10_000)
    assert bench.state(submitted) == "STATE_FAILED"
    assert "reverted" in bench.relayer.transactions[submitted].error
    assert bench.chain.nonce(WALLET) == 0
    bench.submit(bench.batch(bench.split()))


@pytest.mark.parametrize(("fate", "state"), [("fail", "STATE_FAILED"), ("invalid", "STATE_INVALID")])
def test_ordered_fates(fate: str, state: str) -> None:
    bench = RelayBench()
    bench.relayer.fates.append(fate)
    submitted = bench.submit(bench.batch(bench.split()))
    bench.pass_ms(10_000)
    assert bench.state(submitted) == state
    assert bench.holds(WALLET) == (0, 0, 0)
    again = bench.submit(bench.batch(bench.split()))
    bench.pass_ms(10_000)
    assert bench.state(again) == "STATE_CONFIRMED"


def test_what_was_not_signed_is_refused() -> None:
    bench = RelayBench()
    good = bench.batch(bench.split())
    for name, value in (
        ("nonce", "1"),
        ("signature", "0x" + "00" * 65),
        ("signature", "0x12"),
        ("from", COLLATERAL_ADAPTER),
    ):
        assert refusal(bench, good | {name: value})[0] == 400
    parameters = good["depositWalletParams"]
    assert isinstance(parameters, dict)
    for name, value in (
        ("deadline", str(bench.now_ns // 10**9 + 601)),
        ("depositWallet", wallets_of(COLLATERAL_ADAPTER).deposit),
        ("calls", []),
        ("calls", [{"target": WALLET, "value": "0", "data": "0x"}]),
        ("calls", [{"target": "nobody", "value": "0", "data": "0x"}]),
        ("calls", [{"target": WALLET, "value": "-1", "data": "0x"}]),
    ):
        assert refusal(bench, good | {"depositWalletParams": parameters | {name: value}})[0] == 400
    stranger = bench.batch(bench.split(), key="0x" + "22" * 32)
    assert refusal(bench, stranger) == (400, "invalid signature")
    late = bench.batch(bench.split(), seconds=0)
    assert refusal(bench, late) == (400, "batch deadline has passed")
    assert refusal(bench, good | {"type": "SAFE"})[0] == 400
    assert refusal(bench, good | {"to": COLLATERAL_ADAPTER})[0] == 400
    assert refusal(bench, good | {"metadata": "x" * 501})[0] == 400
    bench.submit(good)


def test_a_wallet_is_created_once() -> None:
    bench = RelayBench()
    owner = EthAccount.from_key("0x" + "44" * 32).address
    body = {"type": "WALLET-CREATE", "from": owner, "to": DEPOSIT_FACTORY, "metadata": ""}
    submitted = bench.submit(body)
    assert wallets_of(owner).deposit not in bench.chain.deployed
    bench.pass_ms(4_000)
    assert bench.state(submitted) == "STATE_CONFIRMED"
    assert wallets_of(owner).deposit in bench.chain.deployed
    assert refusal(bench, body) == (400, "wallet already deployed")


def use_up(bench: RelayBench, count: int) -> None:
    for _ in range(count):
        bench.submit(bench.batch(bench.split()))
        bench.pass_ms(2_000)


def test_a_hundred_a_day_of_an_unverified_account() -> None:
    bench = RelayBench()
    use_up(bench, 100)
    left_s = 86_400 - bench.now_ns // 10**9 % 86_400
    text = f"quota exceeded: 0 units remaining, resets in {left_s} seconds"
    assert refusal(bench, bench.batch(bench.split())) == (429, text)
    assert bench.relayer.used(OWNER, bench.now_ns) == 100
    bench.submit(bench.batch(bench.split()), account="0x" + "55" * 20)  # another account's quota
    bench.pass_ms(2_000)
    bench.now_ns = (bench.now_ns // DAY_NS + 1) * DAY_NS - 1
    refusal(bench, bench.batch(bench.split()))
    bench.now_ns += 1
    bench.submit(bench.batch(bench.split()))


def test_refusals_cost_no_quota() -> None:
    bench = RelayBench()
    for _ in range(3):
        refusal(bench, bench.batch(bench.split(), nonce=9))
    assert bench.relayer.used(OWNER, bench.now_ns) == 0


@pytest.mark.parametrize(("tier", "quota"), [("verified", 3_000), ("partner", 3_100)])
def test_the_other_tiers(tier: str, quota: int) -> None:
    bench = RelayBench(tier)
    bench.relayer._used[OWNER, START_NS // DAY_NS] = quota - 1
    bench.submit(bench.batch(bench.split()))
    bench.pass_ms(2_000)
    if tier == "verified":
        assert refusal(bench, bench.batch(bench.split()))[0] == 429
        bench.relayer.tiers[OWNER] = "partner"
    bench.submit(bench.batch(bench.split()))


def test_twenty_five_submissions_a_minute() -> None:
    windows, at_ns = RequestWindows(OLDER), START_NS
    for _ in range(25):
        assert windows.admit("ip", "POST", "/submit", at_ns) == 0
        at_ns += 1_000 * MS
    assert windows.admit("ip", "POST", "/submit", at_ns) == START_NS + 60 * 10**9 - at_ns
    assert windows.admit("other", "POST", "/submit", at_ns) == 0
    assert windows.admit("ip", "POST", "/submit", START_NS + 60 * 10**9) == 0


def test_a_venue_moves_its_relayer_on() -> None:
    bench = VenueBench()
    venue, owner = bench.venue, OWNER
    body = {"type": "WALLET-CREATE", "from": owner, "to": DEPOSIT_FACTORY}
    venue.relayer.submit(owner, msgspec.convert(body, Submission), bench.now_ns)
    assert venue.next_due_ns() is not None
    bench.pass_ms(4_000)
    assert WALLET in venue.chain.deployed
    assert venue.trading.account(WALLET).free_e6 == venue.settings.faucet_e6
