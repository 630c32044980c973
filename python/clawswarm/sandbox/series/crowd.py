"""Everyone else in a market without a recording: rival makers around a fair value, and takers. Pure and seeded.

Fair value of an up/down window is Φ(ln(S/K)/(σ√τ)) (Black and Scholes without drift), S the price now, K the
strike, τ the seconds left. Rivals stand one tick apart from it on `LEVELS` levels; a share of the takers knows
where the price goes in the next seconds, the rest is noise (sizes as measured, recorded-data.md).
"""

from math import exp, log, sqrt
from random import Random
from statistics import NormalDist

import msgspec

from clawswarm.model.units import MICRO, PRICE_ONE_E4
from clawswarm.sandbox.exchange.accounts import Account
from clawswarm.sandbox.exchange.events import Event
from clawswarm.sandbox.exchange.markets import ListedMarket
from clawswarm.sandbox.exchange.matching import Exchange
from clawswarm.sandbox.participants import ReplayMaker, Taker

LEVELS = 6
FINE_TICK_E4 = 10
FINE_ABOVE_E4, FINE_BELOW_E4 = 9_600, 400
_TAKERS_PER_S = 0.5
_INFORMED_SHARE = 0.3
_LOG_MEDIAN_SHARES, _LOG_DEVIATION = 2.12, 1.5
_LARGEST_SHARES = 2_500
_phi = NormalDist().cdf


class View(msgspec.Struct, frozen=True):
    """What the crowd knows: the probability of YES now, and in a few seconds."""

    fair: float
    soon: float


def probability(price: float, strike: float | None, volatility: float, left_s: float) -> float:
    """Chance that the price ends at or above the strike; one half while there is no strike."""
    if strike is None:
        return 0.5
    if left_s <= 0:
        return 1.0 if price >= strike else 0.0
    return _phi(log(price / strike) / (volatility * sqrt(left_s)))


class Crowd:
    """The participants of one market."""

    def __init__(
        self, exchange: Exchange, market: ListedMarket, makers: Account, takers: Account, seed: int
    ) -> None:
        self._exchange = exchange
        self._market = market
        self.maker = ReplayMaker(exchange, market, makers)
        self._taker = Taker(exchange, market, takers)
        self._random = Random(f"{seed}:crowd:{market.slug}")
        self._standing: dict[tuple[int, int], int] = {}

    def act(self, view: View, elapsed_s: float, now_ns: int, *, has_takers: bool) -> list[Event]:
        """Requote around the fair value, then let takers come."""
        market = self._market
        fair_e4 = min(max(round(view.fair * PRICE_ONE_E4), 1), PRICE_ONE_E4 - 1)
        events: list[Event] = []
        if not FINE_BELOW_E4 <= fair_e4 <= FINE_ABOVE_E4 and market.tick_e4 > FINE_TICK_E4:
            events += self._exchange.change_tick(market, FINE_TICK_E4, now_ns)
        events += self._requote(fair_e4, now_ns)
        if has_takers and self._random.random() < 1 - exp(-_TAKERS_PER_S * elapsed_s):
            events += self._take(view, fair_e4, now_ns)
        return events

    def _requote(self, fair_e4: int, now_ns: int) -> list[Event]:
        tick = self._market.tick_e4
        bid = (fair_e4 - tick // 2) // tick * tick
        ask = bid + tick if bid + tick > fair_e4 else bid + 2 * tick
        wanted: dict[tuple[int, int], int] = {}
        for level in range(LEVELS):
            for side, price in ((0, bid - level * tick), (1, ask + level * tick)):
                if tick <= price <= PRICE_ONE_E4 - tick:
                    # A level keeps its size most of the time, as orders rest: it changes with one draw in eight.
                    size = self._standing.get((side, price))
                    if size is None or self._random.random() < 0.125:
                        size = self._random.randint(5, 60) * (1 + level) * MICRO
                    wanted[side, price] = size
        changes = [(side, price, 0) for side, price in self._standing if (side, price) not in wanted]
        changes += [(*key, size) for key, size in wanted.items() if self._standing.get(key) != size]
        self._standing = wanted
        return self.maker.follow(changes, now_ns)

    def _take(self, view: View, fair_e4: int, now_ns: int) -> list[Event]:
        tick = self._market.tick_e4
        if self._random.random() < _INFORMED_SHARE:
            side = "BUY" if view.soon >= view.fair else "SELL"
        else:
            side = "BUY" if self._random.random() < 0.5 else "SELL"
        shares = min(self._random.lognormvariate(_LOG_MEDIAN_SHARES, _LOG_DEVIATION), _LARGEST_SHARES)
        reach = 2 * tick if side == "BUY" else -2 * tick
        limit = min(max((fair_e4 + reach) // tick * tick, tick), PRICE_ONE_E4 - tick)
        # Whole cents of a share: what makers get must be sellable.
        return self._taker.take(side, max(round(shares * 100), 100) * 10_000, limit, now_ns)
