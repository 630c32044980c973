"""Days of rolling markets on virtual time: a naive maker trades them and is paid through the relayer alone.

    python -m clawswarm.lab.rolling_days [HOURS] [DAILY_BATCHES]        default: 48 hours, 3000 batches a day

The simulated venue runs 5- and 15-minute series on four coins with their crowd; orders match and settle, some of
them fail. The maker bids on both outcomes. What it holds is turned back into money by the orchestrator's own rules
(`unwinding.py`) in signed batches of the relayer, of which a few fail; afterwards time goes on until nothing
is left to do. Pure but for printing: the same seed gives the same days.
"""

import argparse
import hashlib
from collections import Counter
from random import Random

import msgspec
from coincurve import PrivateKey
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
from clawswarm.kernel.clock import NS_PER_S
from clawswarm.lab.submissions import WalletOwner
from clawswarm.model.positions import Holding, Unwinding, UnwindingKind
from clawswarm.model.units import MICRO, PRICE_ONE_E4, format_e6
from clawswarm.sandbox.chain.relayer import RelayedTransaction, RelayerTier
from clawswarm.sandbox.exchange.admission import OrderRequest
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.refusals import VenueRefusal
from clawswarm.sandbox.identity.wallets import wallets_of
from clawswarm.sandbox.pump import Stage, play
from clawswarm.sandbox.settings import SandboxSettings
from clawswarm.sandbox.venue import Venue

COINS = ("btc", "eth", "sol", "xrp")
HORIZONS = ("5m", "15m")
START_NS = 1_800_000_000 // 86_400 * 86_400 * NS_PER_S
GRANT_E6 = 10_000_000 * MICRO
STEP_NS = 30 * NS_PER_S
QUOTE_STEPS = 10
MOST_QUOTED = 24
FAIL_SHARE = 0.02
KEY = hashlib.sha256(b"rolling days").digest()
"""A throw-away key of a simulated account."""
_TIERS: dict[int, RelayerTier] = {100: "unverified", 3_000: "verified"}


class Batch(msgspec.Struct, frozen=True):
    """A batch on its way, and the most valuable sound action that had to wait for a later one."""

    actions: tuple[Unwinding, ...]
    waiting_e6: int
    transaction: RelayedTransaction


class RollingDays:
    """The venue, its series, and one maker with its wallet."""

    def __init__(self, settings: UnwindingSettings, seed: int = 1) -> None:
        self.settings = settings
        self.now_ns = START_NS
        address = EthAccount.from_key(KEY).address
        self.owner = WalletOwner(PrivateKey(KEY), address, wallets_of(address).deposit)
        sandbox = SandboxSettings(
            data="",
            port=0,
            control_port=0,
            seed=seed,
            series=tuple(f"{coin}-{horizon}" for coin in COINS for horizon in HORIZONS),
            crowd_interval_ms=60_000,
            settlement_fail_share=0.02,
            settlement_retry_share=0.05,
            relayer_tier=_TIERS.get(settings.daily_batches, "partner"),
        )
        self.venue = Venue(sandbox)
        self.account = self.venue.exchange.ledger.open_account(self.owner.wallet, GRANT_E6)
        self.venue.chain.deploy(self.owner.wallet, is_bare=False)
        self.stage = Stage(self.venue, [], has_streams=False)
        self.stage.open(START_NS)
        self.allowance = Allowance()
        self.batches: list[Batch] = []
        self.used: Counter[int] = Counter()
        """Accepted batches of each day (days since 1970)."""
        self.outcomes: Counter[str] = Counter()
        self.unwound_e6: Counter[UnwindingKind] = Counter()
        self._failures: dict[str, int] = {}
        # One for each, so that days of another quota have the same trades.
        self._sizes, self._fates = (Random(f"{seed}:rolling days:{what}") for what in ("sizes", "fates"))
        self._serial = 0
        self._held: dict[str, ListedMarket] = {}

    # --- time -----------------------------------------------------------------------------------

    def run(self, hours: int) -> None:
        """Trade for so many hours, then let everything end, settle and be unwound."""
        end_ns = START_NS + hours * 3_600 * NS_PER_S
        for step in range(hours * 3_600 * NS_PER_S // STEP_NS):
            self._play(START_NS + step * STEP_NS)
            if step % QUOTE_STEPS == 3:
                self._quote()
            self._unwind()
        self._play(end_ns + 60 * NS_PER_S)
        self.venue.publish(
            self.venue.exchange.cancel_where(self.owner.wallet, self.now_ns, lambda _: True).events
        )
        while self._is_under_way() or self.actions():
            self._unwind()
            due_ns = self.venue.relayer.next_due_ns()
            if due_ns is None:
                due_ns = next_submission_ns(self.allowance, self.settings, self.now_ns)
            # The series would roll on: from here on only the chain lives.
            self.now_ns = max(due_ns, self.now_ns)
            self.venue.advance(self.now_ns)
            self._note_end()

    def over(self, hours: int) -> list[ListedMarket]:
        """Markets whose windows ended within the hours."""
        end_ms = (START_NS + hours * 3_600 * NS_PER_S) // 1_000_000
        return [market for market in self.venue.exchange.markets.values() if market.end_ms <= end_ms]

    def _play(self, until_ns: int) -> None:
        play(self.stage, self.venue, until_ns)
        self.now_ns = until_ns
        self._note_end()
        ledger = self.venue.exchange.ledger
        if ledger.imbalance_e6():
            raise AssertionError(f"{format_e6(ledger.imbalance_e6())} pUSD too many at {until_ns}")

    # --- the maker ------------------------------------------------------------------------------

    def _quote(self) -> None:
        """Replace every quote: a bid on each outcome of every open market, a cent below the touch."""
        exchange = self.venue.exchange
        self.venue.publish(exchange.cancel_where(self.owner.wallet, self.now_ns, lambda _: True).events)
        for market in list(exchange.markets.values())[-MOST_QUOTED:]:
            book = exchange.books[market.condition_id]
            bid, ask = book.bids.best(), book.asks.best()
            if not market.is_open or not market.accepts_orders or bid is None or ask is None:
                continue
            for is_yes, touch_e4 in ((True, bid.price_e4), (False, PRICE_ONE_E4 - ask.price_e4)):
                if touch_e4 > 2 * market.tick_e4:
                    self._bid(market, is_yes, touch_e4)

    def _bid(self, market: ListedMarket, is_yes: bool, price_e4: int) -> None:
        self._serial += 1
        size_e6 = self._sizes.randrange(500, 5_000) * 10_000
        request = OrderRequest(
            order_id="0x" + hashlib.sha256(str(self._serial).encode()).hexdigest(),
            owner="maker",
            token=market.token(is_yes),
            is_buy=True,
            maker_amount_e6=price_e4 * size_e6 // PRICE_ONE_E4,
            taker_amount_e6=size_e6,
            is_post_only=True,
        )
        try:
            self.venue.publish(self.venue.exchange.place(self.account, request, self.now_ns).events)
        except VenueRefusal as refusal:
            if "crosses" not in refusal.text:
                raise
        self._held[market.condition_id] = market

    # --- the way back to money ------------------------------------------------------------------

    def actions(self) -> list[Unwinding]:
        """What the wallet could unwind now: settled tokens that no order offers."""
        found = []
        for market in list(self._held.values()):
            if not self.venue.exchange.is_settled(market):
                continue
            yes_e6, no_e6 = (self.account.free_tokens_e6(market.token(is_yes)) for is_yes in (True, False))
            payouts = market.payout_e6(True), market.payout_e6(False)
            if market.winner is not None and not _worth_e6((yes_e6, no_e6), payouts):
                del self._held[market.condition_id]
            found.append(
                Holding(
                    market=market.condition_id,
                    neg_risk=False,
                    yes_e6=yes_e6,
                    no_e6=no_e6,
                    yes_payout_e6=payouts[0],
                    no_payout_e6=payouts[1],
                )
            )
        return actions_of(found, self.settings.least_usd)

    def _unwind(self) -> None:
        if self._is_under_way() or not may_submit(self.allowance, self.settings, self.now_ns):
            return
        actions = self.actions()
        batch = next_batch(actions, self._failures, self.settings)
        if not batch:
            return
        if self._fates.random() < FAIL_SHARE:
            self.venue.relayer.fates.append("fail")
        self.allowance = submitted(self.allowance, self.now_ns)
        nonce = self.venue.chain.nonce(self.owner.wallet)
        submission = self.owner.submission(batch, nonce, self.now_ns // NS_PER_S)
        transaction = self.venue.relayer.submit(self.owner.address, submission, self.now_ns)
        self.used[self.now_ns // (86_400 * NS_PER_S)] += 1
        waiting = [a for a in actions if a not in batch and a.market not in self._failures]
        waiting_e6 = max((action.worth_e6 for action in waiting), default=0)
        self.batches.append(Batch(batch, waiting_e6, transaction))

    def _is_under_way(self) -> bool:
        return len(self.batches) > self.outcomes.total()

    def _note_end(self) -> None:
        if not self._is_under_way() or self.batches[-1].transaction.state not in (
            "STATE_CONFIRMED",
            "STATE_FAILED",
        ):
            return
        batch = self.batches[-1]
        self.outcomes[batch.transaction.state] += 1
        for action in batch.actions:
            if batch.transaction.state == "STATE_FAILED":
                self._failures[action.market] = self._failures.get(action.market, 0) + 1
            else:
                self._failures.pop(action.market, None)
                self.unwound_e6[action.kind] += action.worth_e6


def _worth_e6(held_e6: tuple[int, int], payouts_e6: tuple[int | None, int | None]) -> int:
    return sum(
        held * payout // MICRO for held, payout in zip(held_e6, payouts_e6, strict=True) if payout is not None
    )


def main() -> None:
    """Run and print; exit code 1 when something was not paid."""
    parser = argparse.ArgumentParser(prog="python -m clawswarm.lab.rolling_days", description=main.__doc__)
    parser.add_argument("hours", nargs="?", type=int, default=48, help="virtual hours (48)")
    parser.add_argument("batches", nargs="?", type=int, default=3_000, help="a day (3000); 0 is any number")
    asked = parser.parse_args()
    hours, daily_batches = asked.hours, asked.batches
    if hours < 1 or daily_batches < 0:
        parser.error("HOURS must be above 0 and BATCHES not negative")
    days = RollingDays(UnwindingSettings(daily_batches=daily_batches, least_usd=1e-6))
    days.run(hours)
    over = days.over(hours)
    unresolved = [market.slug for market in over if market.winner is None]
    held = [
        market.slug
        for market in over
        if any(
            days.account.tokens_e6.get(market.token(is_yes)) and market.payout_e6(is_yes)
            for is_yes in (True, False)
        )
    ]
    imbalance_e6 = days.venue.exchange.ledger.imbalance_e6()
    actions = Counter(action.kind.value for batch in days.batches for action in batch.actions)
    print(f"{hours} virtual hours, {len(over)} markets ended, {len(over) - len(unresolved)} resolved")
    print(
        f"batches {len(days.batches)} (most on a day {max(days.used.values(), default=0)}): {dict(days.outcomes)}"
    )
    print(f"actions {dict(actions)}; unwound", {k.value: format_e6(v) for k, v in days.unwound_e6.items()})
    print(
        f"markets with an unredeemed payout {len(held)}; collateral out of balance {format_e6(imbalance_e6)}"
    )
    print(f"days until nothing was left: {(days.now_ns - START_NS) / (86_400 * NS_PER_S):.1f}")
    raise SystemExit(1 if unresolved or held or imbalance_e6 else 0)


if __name__ == "__main__":
    main()
