"""Liquidity rewards: a sample of every book each minute at a random second, paid daily at 00:00 UTC (§8).

    share of a sample = Q_min / Σ Q_min of all makers
    share of a day    = Σ over its samples / the same of all makers
    pool of a day     = daily rate · minutes sampled / 1440    (a market that lives an hour pays an hour)

Pure: time is an argument, the seconds come from the seed. Simulated participants are rivals: they take their
share, nobody is paid for it. A wallet whose day comes to less than a dollar is not paid.
"""

import hashlib

import msgspec

from clawswarm.sandbox.exchange.matching import Exchange
from clawswarm.sandbox.rewards.formula import sample_scores
from clawswarm.sandbox.rewards.payments import (
    MINIMUM_E6,
    NS_PER_DAY,
    Earning,
    Payment,
    day_of,
    forget_old,
)

MINUTES_A_DAY = 1_440
SHARE_ONE = 10**18
"""A whole sample; shares are rounded down to a part in 1e18."""
_NS_PER_S = 1_000_000_000
_S_PER_MINUTE = 60
_NS_PER_MINUTE = _S_PER_MINUTE * _NS_PER_S


class Tally(msgspec.Struct):
    """One market's samples of one day: how many, each maker's sum of shares, and the rate they are paid at."""

    rate_e6: int
    minutes: int = 0
    shares: dict[str, int] = {}

    def pool_e6(self) -> int:
        """What the market pays for the minutes sampled so far."""
        return self.rate_e6 * self.minutes // MINUTES_A_DAY

    def earned_e6(self, address: str) -> int:
        """A maker's part of the pool."""
        share = self.shares.get(address, 0)
        return self.pool_e6() * share // sum(self.shares.values()) if share else 0


class RewardProgram:
    """Samples the exchange's books and pays."""

    def __init__(self, exchange: Exchange, seed: int) -> None:
        self._exchange = exchange
        self._seed = seed
        self._minute: int | None = None
        self._next_sample_ns = 0
        self._day = 0
        self._days: dict[int, dict[str, Tally]] = {}
        self.payments: list[Payment] = []

    def advance(self, now_ns: int) -> None:
        """Take the samples and make the payments that are due."""
        if self._minute is None:
            self._day = day_of(now_ns)
            self._minute = now_ns // _NS_PER_MINUTE
            if self._sample_ns(self._minute) < now_ns:
                self._minute += 1
            self._next_sample_ns = self._sample_ns(self._minute)
        while (due := self._next_sample_ns) <= now_ns:
            self._turn(day_of(due))
            self._sample(due)
            self._minute += 1
            self._next_sample_ns = self._sample_ns(self._minute)
        self._turn(day_of(now_ns))

    def next_due_ns(self) -> int | None:
        """When the next sample or payment is due; None before the first `advance`."""
        if self._minute is None:
            return None
        return min(self._next_sample_ns, (self._day + 1) * NS_PER_DAY)

    def earnings(self, day: int, address: str) -> list[Earning]:
        """What a wallet earned in each market on a day, so far."""
        return [
            Earning(condition_id, address, day, amount)
            for condition_id, tally in self._days.get(day, {}).items()
            if (amount := tally.earned_e6(address))
        ]

    def share(self, day: int, condition_id: str, address: str) -> float:
        """A wallet's part of a market's rewards of a day, 0 to 1."""
        tally = self._days.get(day, {}).get(condition_id)
        whole = 0 if tally is None else sum(tally.shares.values())
        return 0.0 if tally is None or not whole else tally.shares.get(address, 0) / whole

    def competitors(self, day: int, condition_id: str) -> int:
        """How many makers scored in a market on a day."""
        tally = self._days.get(day, {}).get(condition_id)
        return 0 if tally is None else len(tally.shares)

    # --- inside ---------------------------------------------------------------------------------

    def _sample_ns(self, minute: int) -> int:
        drawn = hashlib.sha256(f"reward sample:{self._seed}:{minute}".encode()).digest()
        return (minute * _S_PER_MINUTE + int.from_bytes(drawn[:4], "big") % _S_PER_MINUTE) * _NS_PER_S

    def _sample(self, at_ns: int) -> None:
        tallies = self._days.setdefault(self._day, {})
        for market in self._exchange.markets.values():
            terms = market.rewards
            if not market.is_open or not terms.is_on or not terms.daily_rate_e6:
                continue
            tally = tallies.get(market.condition_id)
            if tally is None:
                tally = tallies[market.condition_id] = Tally(terms.daily_rate_e6)
            tally.minutes += 1
            scores = sample_scores(self._exchange.books[market.condition_id], terms, at_ns)
            whole = sum(scores.values())
            for address, score in scores.items():
                tally.shares[address] = tally.shares.get(address, 0) + score * SHARE_ONE // whole

    def _turn(self, day: int) -> None:
        """Pay the day that is over."""
        if day <= self._day:
            return
        over, self._day = self._day, day
        totals: dict[str, int] = {}
        for tally in self._days.get(over, {}).values():
            for address in tally.shares:
                totals[address] = totals.get(address, 0) + tally.earned_e6(address)
        for address, amount in totals.items():
            account = self._exchange.ledger.accounts[address]
            if account.is_participant or amount < MINIMUM_E6:
                continue
            self._exchange.ledger.grant(account, amount)
            self.payments.append(Payment("reward", address, over, amount, (over + 1) * NS_PER_DAY))
        forget_old(self._days, day)
