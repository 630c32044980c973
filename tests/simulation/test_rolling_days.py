"""48 virtual hours of rolling 5m and 15m series on four coins: all resolve, pay, and come back as money."""

from collections import Counter
from dataclasses import dataclass

import pytest

from clawswarm.agents.orchestrator.unwinding import UnwindingSettings
from clawswarm.lab.rolling_days import COINS, GRANT_E6, RollingDays
from clawswarm.model.positions import UnwindingKind

HOURS = 48
LEAST = 1e-6
"""Nothing is too small: every pair and every winning share has to come back."""
# Half a minute of work for each; a busy machine may need minutes.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Played:
    """The same two days under a large and a small quota."""

    large: RollingDays
    small: RollingDays


@pytest.fixture(scope="module")
def played() -> Played:
    large = RollingDays(UnwindingSettings(daily_batches=3_000, least_usd=LEAST))
    small = RollingDays(UnwindingSettings(daily_batches=100, least_usd=LEAST, batch_actions=5))
    for days in (large, small):
        days.run(HOURS)
    return Played(large, small)


def test_every_market_resolves_and_pays_everybody(played: Played) -> None:
    for days in (played.large, played.small):
        over, ledger = days.over(HOURS), days.venue.exchange.ledger
        assert len(over) == len(COINS) * (HOURS * 12 + HOURS * 4)
        assert all(market.winner in ("YES", "NO") for market in over)
        for market in over:
            assert days.venue.exchange.is_settled(market)
            won = market.token(market.winner == "YES")
            assert not any(account.tokens_e6.get(won) for account in ledger.accounts.values())
        ups = sum(market.winner == "YES" for market in over)
        assert 0.4 < ups / len(over) < 0.6


def test_money_is_conserved_to_the_micro_unit(played: Played) -> None:
    for days in (played.large, played.small):
        ledger, markets = days.venue.exchange.ledger, days.venue.exchange.markets.values()
        assert ledger.imbalance_e6() == 0
        # What is left of the pairs is exactly what the tokens of the markets still open stand for.
        open_pairs = sum(
            sum(account.tokens_e6.get(market.yes_token, 0) for account in ledger.accounts.values())
            + ledger.in_flight_e6.get(market.yes_token, 0)
            for market in markets
            if market.winner is None
        )
        assert ledger.pairs_e6 == open_pairs


def test_every_pair_is_merged_and_every_win_redeemed_by_the_relayer(played: Played) -> None:
    for days in (played.large, played.small):
        assert days.actions() == []
        for market in days.venue.exchange.markets.values():
            held = [days.account.tokens_e6.get(market.token(is_yes), 0) for is_yes in (True, False)]
            assert min(held) == 0, "no pair is left"
        assert set(days.outcomes) == {"STATE_CONFIRMED", "STATE_FAILED"}
        kinds = Counter(action.kind for batch in days.batches for action in batch.actions)
        assert min(kinds[kind] for kind in UnwindingKind) > 100


def test_the_days_quota_is_never_exceeded(played: Played) -> None:
    for days, quota in ((played.large, 3_000), (played.small, 100)):
        used = {day: days.venue.relayer.used(days.owner.address, day * 86_400 * 10**9) for day in days.used}
        assert used == dict(days.used)
        assert max(used.values()) <= quota
    assert max(played.large.used.values()) > 1_000, "the large quota was worth having"
    assert max(played.small.used.values()) == 100, "the small one was used up"


def test_under_a_small_quota_the_most_valuable_go_first(played: Played) -> None:
    waited = 0
    for batch in played.small.batches:
        # An action whose batch failed goes alone, before its turn.
        if len(batch.actions) > 1:
            assert min(action.worth_e6 for action in batch.actions) >= batch.waiting_e6
            waited += batch.waiting_e6 > 0
    assert waited > 100


def test_waiting_loses_nothing(played: Played) -> None:
    """The trades are the same, so the money is; only what was merged and what redeemed differs."""
    large, small = played.large, played.small
    assert small.now_ns > large.now_ns
    assert small.account.collateral_e6 == large.account.collateral_e6 != GRANT_E6
    assert small.unwound_e6.total() == large.unwound_e6.total()
