"""Virtual hours of rolling 5- and 15-minute markets, random traffic, and a maker who unwinds.

Everything goes the whole way: orders match and settle (some fail), markets resolve,
pairs are merged and winnings redeemed by signed batches inside the relayer's quota. The maker's decisions are the
orchestrator's own.
"""

import hashlib
from random import Random

import msgspec
import pytest
from coincurve import PrivateKey
from eth_abi.abi import encode
from eth_account import Account as EthAccount

from clawswarm.agents.orchestrator.unwinding import (
    Allowance,
    UnwindingSettings,
    actions_of,
    may_submit,
    next_batch,
    next_submission_ns,
    submitted,
)
from clawswarm.model.positions import Holding, Unwinding, UnwindingKind
from clawswarm.sandbox.chain.batch import batch_digest
from clawswarm.sandbox.chain.calls import RawCall, argument_types, selector
from clawswarm.sandbox.chain.contracts import COLLATERAL_ADAPTER, COLLATERAL_TOKEN
from clawswarm.sandbox.chain.relayer import DAILY_QUOTA, RelayerTier, Submission
from clawswarm.sandbox.exchange.admission import OrderRequest
from clawswarm.sandbox.exchange.markets import ListedMarket, RewardTerms
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.wallets import DEPOSIT_FACTORY, wallets_of
from clawswarm.sandbox.rewards.payments import NS_PER_DAY
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.venue import Venue

S = 10**9
START = 20_900 * NS_PER_DAY
HOURS = 5
STEP_S = 30
COINS = ("btc", "eth", "sol", "xrp")
WINDOWS_S = (300, 900)
USD = 1_000_000
KEY = b"\x11" * 32
OWNER = EthAccount.from_key(KEY).address
WALLET = wallets_of(OWNER).deposit
OTHERS = ("0x" + "66" * 20, "0x" + "77" * 20)
MERGE = "mergePositions(address,bytes32,bytes32,uint256[],uint256)"
REDEEM = "redeemPositions(address,bytes32,bytes32,uint256[])"


def encoded(action: Unwinding) -> RawCall:
    """The call of an action."""
    text = MERGE if action.kind is UnwindingKind.MERGE else REDEEM
    values: list[object] = [COLLATERAL_TOKEN, bytes(32), bytes.fromhex(action.market[2:]), [1, 2]]
    if action.kind is UnwindingKind.MERGE:
        values.append(action.amount_e6)
    return RawCall(COLLATERAL_ADAPTER, 0, selector(text) + encode(argument_types(text), values))


class Days:
    """The venue, its markets, its traders, and the maker."""

    def __init__(self, tier: RelayerTier, unwinding: UnwindingSettings, seed: int) -> None:
        self.chance = Random(seed)
        self.venue = Venue(
            SandboxSettings(
                data="",
                port=0,
                control_port=0,
                seed=seed,
                relayer_tier=tier,
                settlement_fail_share=0.02,
                settlement_retry_share=0.02,
                windows="off",
            )
        )
        self.now_ns = START
        self.unwinding = unwinding
        self.allowance = Allowance()
        self.key = PrivateKey(KEY)
        self.open: list[ListedMarket] = []
        self.kept: list[ListedMarket] = []
        self.serial = 0
        self.batches = 0
        self.unwound_e6 = 0
        for address in (WALLET, *OTHERS):
            self.venue.exchange.ledger.open_account(address, 20_000_000 * USD)
        self.venue.chain.deploy(WALLET, is_bare=False)
        self.venue.advance(START)
        self.roll()

    # --- markets and traffic --------------------------------------------------------------------

    def roll(self) -> None:
        """Close and resolve what is over, list what begins."""
        second = (self.now_ns - START) // S
        exchange = self.venue.exchange
        for market in [market for market in self.open if market.end_ms * 1_000_000 <= self.now_ns]:
            winner = self.chance.choices(("YES", "NO", "SPLIT"), (48, 48, 4))[0]
            self.venue.publish(exchange.close_market(market, winner, self.now_ns))
            self.open.remove(market)
        if second >= HOURS * 3600:
            return
        for window in WINDOWS_S:
            if second % window == 0:
                for coin in COINS:
                    self.begin(f"{coin}-updown-{window}-{second}", window)

    def begin(self, slug: str, window_s: int) -> None:
        """A market of one window."""
        digest = hashlib.sha256(slug.encode())
        number = int.from_bytes(digest.digest(), "big") >> 4
        market = ListedMarket(
            condition_id="0x" + digest.hexdigest(),
            question_id="0x" + digest.hexdigest(),
            slug=slug,
            question=f"{slug}: up?",
            underlying=slug.partition("-")[0].upper(),
            tick_e4=100,
            min_size_e6=5 * USD,
            yes_token=str(number),
            no_token=str(number + 1),
            fee_rate_e4=700,
            end_ms=(self.now_ns + window_s * S) // 1_000_000,
            rewards=RewardTerms(daily_rate_e6=120 * USD, min_size_e6=50 * USD),
        )
        self.venue.publish(self.venue.exchange.list_market(market, self.now_ns))
        self.open.append(market)
        self.kept.append(market)

    def trade(self) -> None:
        """A few orders of the maker's on both sides, and of others against them."""
        for market in self.chance.sample(self.open, min(2, len(self.open))):
            for who in (WALLET, self.chance.choice(OTHERS)):
                is_yes, is_sale = self.chance.random() < 0.5, self.chance.random() < 0.15
                price = self.chance.randrange(4_500, 5_600, 100)
                self.place(who, market, is_yes, is_sale, price, self.chance.randrange(500, 20_000) * 10_000)

    def place(
        self, who: str, market: ListedMarket, is_yes: bool, is_sale: bool, price_e4: int, size_e6: int
    ) -> None:
        self.serial += 1
        money = price_e4 * size_e6 // 10_000
        request = OrderRequest(
            order_id="0x" + hashlib.sha256(str(self.serial).encode()).hexdigest(),
            owner=who,
            token=market.token(is_yes),
            is_buy=not is_sale,
            maker_amount_e6=size_e6 if is_sale else money,
            taker_amount_e6=money if is_sale else size_e6,
        )
        account = self.venue.trading.account(who)
        try:
            self.venue.publish(self.venue.exchange.place(account, request, self.now_ns).events)
        except VenueRefusal:
            return

    # --- the maker ------------------------------------------------------------------------------

    def actions(self) -> list[Unwinding]:
        """What the wallet could unwind now."""
        account = self.venue.trading.account(WALLET)
        for market in [market for market in self.kept if market.winner is not None]:
            if not any(
                account.tokens_e6.get(market.token(is_yes)) and market.payout_e6(is_yes)
                for is_yes in (True, False)
            ):
                self.kept.remove(market)  # redeemed, or lost
        return actions_of(
            [
                Holding(
                    market=market.condition_id,
                    neg_risk=False,
                    yes_e6=self.free_e6(market.yes_token),
                    no_e6=self.free_e6(market.no_token),
                    yes_payout_e6=market.payout_e6(True),
                    no_payout_e6=market.payout_e6(False),
                )
                for market in self.kept
            ],
            self.unwinding.least_usd,
        )

    def free_e6(self, token: str) -> int:
        account = self.venue.trading.account(WALLET)
        return account.tokens_e6.get(token, 0) - account.reserved_tokens_e6.get(token, 0)

    def unwind(self) -> None:
        """One batch, when one may be submitted."""
        if WALLET in self.venue.relayer._active or not may_submit(
            self.allowance, self.unwinding, self.now_ns
        ):
            return
        actions = self.actions()
        batch = next_batch(actions, {}, self.unwinding)
        if not batch:
            return
        waiting = [action.worth_e6 for action in actions if action not in batch]
        assert not waiting or min(action.worth_e6 for action in batch) >= max(waiting)
        self.allowance = submitted(self.allowance, self.now_ns)
        self.venue.relayer.submit(OWNER, self.signed(batch), self.now_ns)
        self.batches += 1
        self.unwound_e6 += sum(action.worth_e6 for action in batch)

    def signed(self, batch: tuple[Unwinding, ...]) -> Submission:
        """The body of POST /submit."""
        calls = tuple(encoded(action) for action in batch)
        nonce, deadline = self.venue.chain.nonce(WALLET), self.now_ns // S + 600
        digest = batch_digest(WALLET, nonce, deadline, calls)
        signature = self.key.sign_recoverable(digest, hasher=None)
        body = {
            "type": "WALLET",
            "from": OWNER,
            "to": DEPOSIT_FACTORY,
            "nonce": str(nonce),
            "signature": "0x" + signature[:64].hex() + f"{27 + signature[64]:02x}",
            "depositWalletParams": {
                "depositWallet": WALLET,
                "deadline": str(deadline),
                "calls": [{"target": c.target, "value": "0", "data": "0x" + c.data.hex()} for c in calls],
            },
        }
        return msgspec.convert(body, Submission)

    # --- time -----------------------------------------------------------------------------------

    def step(self) -> None:
        """Half a minute."""
        self.now_ns += STEP_S * S
        self.venue.advance(self.now_ns)
        self.roll()
        if self.open:
            self.trade()
        self.unwind()
        quota = DAILY_QUOTA[self.venue.relayer.tier(OWNER)]
        assert quota is not None
        assert self.venue.relayer.used(OWNER, self.now_ns) <= quota

    def check(self) -> None:
        """Collateral is conserved to the micro-unit, and nobody owes any."""
        ledger = self.venue.exchange.ledger
        assert ledger.imbalance_e6() == 0
        assert ledger.house.collateral_e6 >= 0
        assert ledger.pairs_e6 >= 0
        assert all(account.collateral_e6 >= 0 for account in ledger.accounts.values())

    def run(self) -> None:
        """All hours, then until nothing is left to unwind."""
        for number in range(HOURS * 3600 // STEP_S):
            self.step()
            if number % 120 == 0:
                self.check()
        while self.open:
            self.step()
        while self.venue.relayer._active or self.actions():
            due = self.venue.relayer.next_due_ns()
            self.now_ns = due or next_submission_ns(self.allowance, self.unwinding, self.now_ns)
            self.venue.advance(self.now_ns)
            self.unwind()
        while (due := self.venue.relayer.next_due_ns()) is not None:
            self.now_ns = due
            self.venue.advance(due)
        self.check()


def settle(days: Days) -> None:
    days.run()
    venue = days.venue
    assert len(venue.exchange.markets) == 4 * (HOURS * 12 + HOURS * 4)
    assert all(market.winner is not None for market in venue.exchange.markets.values())
    assert all(transaction.state == "STATE_CONFIRMED" for transaction in venue.relayer.transactions.values())
    account = venue.trading.account(WALLET)
    for market in venue.exchange.markets.values():
        worth = sum(
            account.tokens_e6.get(market.token(is_yes), 0) * (market.payout_e6(is_yes) or 0) // USD
            for is_yes in (True, False)
        )
        assert worth < USD * days.unwinding.least_usd


@pytest.mark.timeout(600)
def test_hours_with_a_quota_of_three_thousand() -> None:
    days = Days("verified", UnwindingSettings(daily_batches=3_000), seed=1)
    settle(days)


@pytest.mark.timeout(600)
def test_hours_with_a_quota_of_a_hundred() -> None:
    days = Days("unverified", UnwindingSettings(daily_batches=100, batch_actions=2), seed=2)
    settle(days)
