"""The built-in strategy in plain Python, from the formulas of rust/core/src/quoting: the Rust core equals it.

Written for reading, not for speed; `random` situations are played to both (test_quoting.py).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clawswarm.agents.quoter.pricing import QuadraticModel

Levels = Sequence[tuple[int, int]]
HORIZONS_S, WEIGHTS = (0.5, 1.0, 5.0, 30.0, 300.0), (0.15, 0.25, 0.35, 0.2, 0.05)
BUY, SELL = True, False


def expit(x: float) -> float:
    return 0.5 + 0.5 * math.tanh(0.5 * x)


def logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def phi(d: float) -> float:
    return math.exp(-0.5 * d * d) / math.sqrt(2 * math.pi)


def cumulative(d: float) -> float:
    return 0.5 * math.erfc(-d / math.sqrt(2))


def beyond(d: float, deviation: float) -> float:
    """E[(J − d)⁺] of Student's t with three degrees of freedom and this deviation."""
    return (deviation - d * math.atan2(deviation, d)) / math.pi


def digital(spot: float, strike: float, sigma: float, r: float) -> float:
    deviation = sigma * math.sqrt(r)
    return cumulative(math.log(spot / strike) / deviation - 0.5 * deviation)


def average_digital(
    spot: float,
    sigma_usd: float,
    r: float,
    w: float,
    span: float | None,
    strike: float | None,
    final: float | None,
) -> tuple[float, float]:
    """Probability and delta."""
    v = 0.0 if span is None else r - span
    if span is not None and v >= w:
        mean, slope, variance = 0.0, 0.0, span - w / 3
    elif v > 0:
        assert strike is not None
        slope = (w - v) / w
        mean, variance = slope * (spot - strike), r - w + w / 3 + v**3 / (3 * w**2) - v**2 / w
    elif r >= w:
        assert strike is not None
        mean, slope, variance = spot - strike, 1.0, r - w + w / 3
    else:
        assert strike is not None
        assert final is not None
        mean, slope, variance = ((w - r) * final + r * spot) / w - strike, r / w, r**3 / (3 * w**2)
    deviation = sigma_usd * math.sqrt(variance)
    return cumulative(mean / deviation), phi(mean / deviation) * slope / deviation


class Regression:
    def __init__(self) -> None:
        self.products = self.squares = 0.0

    def take(self, lead: float, came: float) -> None:
        kept = 0.5 ** (1 / 60)
        self.products = self.products * kept + lead * came
        self.squares = self.squares * kept + lead * lead

    @property
    def weight(self) -> float:
        return min(max(self.products / (self.squares + 10 * 0.04**2), 0.0), 1.0)


class Belief:
    def __init__(self) -> None:
        self.state: tuple[float, float, int] | None = None
        self.step: tuple[float, int] | None = None
        self.squares = self.seconds = 0.0
        self.waiting: list[tuple[int, float, float, float]] = []
        self.changed: tuple[float, int] | None = None
        self.intervals = [0.0, 0.0]
        self.flow, self.model = Regression(), Regression()

    @property
    def volatility(self) -> float:
        return 0.03 if self.seconds < 5 else max(math.sqrt(self.squares / self.seconds), 0.002)

    @property
    def interval_s(self) -> float:
        """Mean time between changes of the book."""
        seconds, count = self.intervals
        return min(max((seconds + 5 * 0.2) / (count + 5), 0.05), 10.0)

    def _take_change(self, microprice: float, now: int) -> None:
        if self.changed is not None and microprice == self.changed[0]:
            return
        if self.changed is not None:
            kept = 0.5 ** (1 / 50)
            elapsed = (now - self.changed[1]) / 1e9
            self.intervals = [self.intervals[0] * kept + elapsed, self.intervals[1] * kept + 1]
        self.changed = (microprice, now)

    def take(
        self, microprice: float, width: float, flow: float, modelled: float | None, now: int
    ) -> tuple[float, float]:
        """Fair value and its uncertainty."""
        seen, noise = logit(microprice), (0.25 * width) ** 2
        if self.state is None:
            level, variance = seen, noise
        else:
            level, variance, at = self.state
            predicted = variance + self.volatility**2 * (now - at) / 1e9
            gain = predicted / (predicted + noise)
            level, variance = level + gain * (seen - level), (1 - gain) * predicted
        self.state = (level, variance, now)
        self._take_change(microprice, now)
        self._take_step(level, now)
        while self.waiting and self.waiting[0][0] <= now:
            _, book, lead_flow, lead_model = self.waiting.pop(0)
            came = min(max(level - book, -0.5), 0.5)
            self.flow.take(lead_flow, came)
            self.model.take(min(max(lead_model, -0.5), 0.5), came)
        leads = (flow * width, 0.0 if modelled is None else modelled - level)
        weights = (self.flow.weight, self.model.weight)
        for weight, lead in zip(weights, leads, strict=True):
            variance += weight * (1 - weight) * lead * lead
        if not self.waiting or now + 2_000_000_000 - self.waiting[-1][0] >= 500_000_000:
            self.waiting.append((now + 2_000_000_000, level, *leads))
        return level + sum(w * u for w, u in zip(weights, leads, strict=True)), math.sqrt(variance)

    def _take_step(self, level: float, now: int) -> None:
        if self.step is None:
            self.step = (level, now)
            return
        before, at = self.step
        elapsed = (now - at) / 1e9
        if elapsed < 1:
            return
        jump = 5 * self.volatility * math.sqrt(elapsed)
        moved = min(max(level - before, -jump), jump)
        kept = 0.5 ** (elapsed / 60)
        self.squares, self.seconds = self.squares * kept + moved * moved, self.seconds * kept + elapsed
        self.step = (level, now)


class Toxicity:
    def __init__(self, prior: float) -> None:
        self.prior, self.faded = prior, 0
        self.waiting: list[list[float]] = []
        self.averages = {side: [[0.0, 0.0] for _ in HORIZONS_S] for side in (BUY, SELL)}

    def take_fill(self, side: bool, fair: float, now: int) -> None:
        self.waiting.append([float(side), fair, now, 0])

    def take_fair(self, fair: float, now: int) -> None:
        elapsed = (now - self.faded) / 1e9
        if elapsed >= 1:
            for average in (*self.averages[BUY], *self.averages[SELL]):
                average[:] = [value * 0.5 ** (elapsed / 120) for value in average]
            self.faded = now
        for fill in self.waiting:
            side, before, at, place = fill
            while place < len(HORIZONS_S) and (now - at) / 1e9 >= HORIZONS_S[int(place)]:
                average = self.averages[bool(side)][int(place)]
                kept = 0.5 ** (1 / 20)
                sign = 1 if side else -1
                average[0] = average[0] * kept - sign * (fair - before) / (2 * before * (1 - before))
                average[1] = average[1] * kept + 1
                place += 1
            fill[3] = place
        self.waiting = [fill for fill in self.waiting if fill[3] < len(HORIZONS_S)]

    def informed(self, side: bool) -> float:
        drawn = (
            weight * (total + 8 * self.prior) / (count + 8)
            for weight, (total, count) in zip(WEIGHTS, self.averages[side], strict=True)
        )
        return min(max(sum(drawn), 0.0), 0.6)


@dataclass
class Rewards:
    daily_usd: float
    min_size_e6: int
    max_spread_e4: float
    min_age_s: float

    def score(self, distance_e4: float, size_e6: int) -> float:
        if size_e6 < self.min_size_e6 or distance_e4 > self.max_spread_e4:
            return 0.0
        return ((self.max_spread_e4 - distance_e4) / self.max_spread_e4) ** 2 * size_e6 / 1e6

    def midpoint_e4(self, bids: Levels, asks: Levels) -> float | None:
        firsts = [
            next((price for price, size in side if size >= self.min_size_e6), None) for side in (bids, asks)
        ]
        return None if firsts[0] is None or firsts[1] is None else (firsts[0] + firsts[1]) / 2

    def income(self, one: float, two: float, others: float, midpoint_e4: float) -> float:
        ours = q_min(one, two, midpoint_e4)
        return self.daily_usd / 86_400 * ours / (ours + others) if ours > 0 else 0.0


def q_min(one: float, two: float, midpoint_e4: float) -> float:
    if 1_000 <= midpoint_e4 <= 9_000:
        return max(min(one, two), max(one, two) / 3)
    return min(one, two)


@dataclass
class Candidate:
    price_e4: int
    size_e6: int
    value: float
    score: float
    is_kept: bool


@dataclass
class Situation:
    """As in `MarketQuoter.decide`."""

    now_ns: int
    venue_ms: int
    bids: Levels
    asks: Levels
    tick_e4: int
    flow: float
    sweep: tuple[str, int, int] | None
    doubt: float
    net_e6: int
    max_position_e6: int
    order_size_e6: int
    capital_e6: int
    own: Sequence[tuple[bool, int, int]]
    shift: float
    tokens: tuple[float, float]
    is_reduce_only: bool = False


@dataclass
class Reference:
    """The quoter of one market."""

    model: QuadraticModel
    closes_ms: int | None
    min_size_e6: int
    rebate: float
    rewards: Rewards | None
    modelled: Callable[[int], float | None]
    belief: Belief = field(default_factory=Belief)
    fair: float | None = None
    places: dict[bool, tuple[int, int]] = field(default_factory=dict)
    endangered_until: dict[bool, float] = field(default_factory=lambda: {BUY: 0.0, SELL: 0.0})
    sweep_ns: int = 0
    volatility: float = 0.0
    jump: float = 0.0
    x: float = 0.0
    uncertainty: float = 0.0

    def __post_init__(self) -> None:
        self.toxicity = Toxicity(self.model.informed_prior)

    def take_fill(self, side: bool, now: int) -> None:
        if self.fair is not None:
            self.toxicity.take_fill(side, self.fair, now)

    def decide(self, seen: Situation) -> dict[str, object]:
        to_close = math.inf if self.closes_ms is None else (self.closes_ms - seen.venue_ms) / 1000
        bid, ask, microprice = self._touch(seen)
        width = logit(ask[0] / 1e4) - logit(bid[0] / 1e4)
        flow = math.tanh(seen.flow / ((bid[1] + ask[1]) / 1e6))
        x, self.uncertainty = self.belief.take(
            microprice, width, flow, self.modelled(seen.venue_ms), seen.now_ns
        )
        x += seen.shift
        self.fair = expit(x)
        self.toxicity.take_fair(self.fair, seen.now_ns)
        if seen.sweep is not None and seen.sweep[2] > self.sweep_ns:
            self.sweep_ns = seen.sweep[2]
            if seen.now_ns - self.sweep_ns < self.model.pull_s * 1e9:
                self.endangered_until[seen.sweep[0] != "BUY"] = seen.now_ns + int(self.model.pull_s * 1e9)
        self._keep_places(seen)
        if to_close <= self.model.withdraw_s:
            self.places = {}
            return {"bid": None, "ask": None, "reason": "close is near"}
        return self._quote(seen, x, to_close)

    def _touch(self, seen: Situation) -> tuple[tuple[int, int], tuple[int, int], float]:
        sides = []
        for side, levels in ((BUY, seen.bids), (SELL, seen.asks)):
            rest = [
                (p, s - sum(size for of, price, size in seen.own if of == side and price == p))
                for p, s in levels
            ]
            sides.append(next((level for level in rest if level[1] > 0), None))
        bid, ask = sides
        if bid is None or ask is None:
            bid, ask = seen.bids[0], seen.asks[0]
        return bid, ask, (bid[0] * ask[1] + ask[0] * bid[1]) / (bid[1] + ask[1]) / 1e4

    def _keep_places(self, seen: Situation) -> None:
        before, self.places = self.places, {}
        for side, levels in ((BUY, seen.bids), (SELL, seen.asks)):
            own = next(((p, s) for of, p, s in seen.own if of == side), None)
            if own is None:
                continue
            shown = next((size - own[1] for price, size in levels if price == own[0]), None)
            known = before[side][1] if side in before and before[side][0] == own[0] else None
            found = [
                value for value in (known, None if shown is None else max(shown, 0)) if value is not None
            ]
            self.places[side] = (own[0], min(found, default=0))

    def _quote(self, seen: Situation, x: float, to_close: float) -> dict[str, object]:
        m, q = self.model, min(max(seen.net_e6 / seen.max_position_e6, -1.0), 1.0)
        doubt = seen.doubt * (1 + (1 - to_close / m.widen_s if to_close < m.widen_s else 0))
        self.volatility = self.belief.volatility
        risk = m.risk_aversion * self.volatility**2 * min(m.holding_s, to_close)
        shared = 0.5 * risk + m.uncertainty_weight * self.uncertainty + m.cost
        widening = m.widen_linear * abs(q) + m.widen_quadratic * q * q
        break_even = {
            side: (shared + 2 * math.atanh(self.toxicity.informed(side))) * doubt + widening
            for side in (BUY, SELL)
        }
        r = x - q * (m.skew + risk)
        midpoint = None if self.rewards is None else self.rewards.midpoint_e4(seen.bids, seen.asks)
        self.jump = self.volatility * math.sqrt(self.belief.interval_s) * expit(x) * (1 - expit(x))
        self.x = x
        sides = {side: self._candidates(side, seen, r, break_even[side], midpoint) for side in (BUY, SELL)}
        bid, ask, value, reward = self._optimum(sides, seen, midpoint)
        return {"bid": bid, "ask": ask, "reason": None, "value": value, "reward": reward,
                "reservation": r, "break_even": (break_even[BUY], break_even[SELL])}  # fmt: skip

    def _gain(self, side: bool, r: float, break_even: float, price_e4: int) -> float:
        p, sign = price_e4 / 1e4, 1 if side else -1
        cost = abs(expit(r) - expit(r - sign * break_even))
        return sign * (expit(r) - p) - cost + self.rebate * p * (1 - p)

    def _value(
        self,
        side: bool,
        r: float,
        break_even: float,
        price_e4: int,
        order: tuple[int, float],
        feared: tuple[float, float],
    ) -> float:
        """Of an order as (size_e6, shares before it), with jumps as (deviation, seconds between them)."""
        m, p, sign = self.model, price_e4 / 1e4, 1 if side else -1
        size, ahead = order[0] / 1e6, order[1]
        rate = (
            m.fill_rate * math.exp(-4 * m.fill_decay * sign * (expit(r) - p)) / (1 + ahead / m.queue_shares)
        )
        trades = min(rate, size / m.rest_s) * self._gain(side, r, break_even, price_e4)
        fair = expit(self.x)
        lost = beyond(sign * (fair - p), feared[0]) - beyond(fair if side else 1 - fair, feared[0])
        picked_off = size / feared[1] * lost
        return trades - m.pick_off * picked_off + m.presence * (1 - abs(expit(self.x) - p))

    def _candidates(
        self, side: bool, seen: Situation, r: float, break_even: float, midpoint: float | None
    ) -> list[Candidate]:
        m, sign = self.model, 1 if side else -1
        is_adding = sign * seen.net_e6 >= 0
        ratio = abs(seen.net_e6) / seen.max_position_e6
        is_reduce_only = seen.is_reduce_only or ratio >= m.reduce_only
        if is_adding and is_reduce_only:
            return []
        feared = (self.jump, self.belief.interval_s)
        if seen.now_ns < self.endangered_until[side]:
            deviation = self.jump * math.sqrt(m.pull_s / self.belief.interval_s)
            feared = (max(3 * deviation, 2 * seen.tick_e4 / 1e4), m.pull_s)
        found = []
        levels = seen.bids if side else seen.asks
        wanted = int(seen.order_size_e6 * (1 - (ratio if is_adding else 0))) // 10_000 * 10_000
        own = [(price, size) for of, price, size in seen.own if of == side]
        if own:
            price, size = own[0]
            worth = self._value(side, r, break_even, price, (size, self.places[side][1] / 1e6), feared)
            is_fit = (
                size <= self._room(side, seen, 0)
                and size <= max(wanted + wanted // 2, self.min_size_e6)
                and price % seen.tick_e4 == 0
            )
            if is_fit and not (is_adding and self._gain(side, r, break_even, price) < 0):
                score = self._score(price, size, midpoint)
                found.append(Candidate(price, size, worth, score, True))
        standing = sum(size for _, size in own)
        size = min(max(wanted, self.min_size_e6), self._room(side, seen, standing)) // 10_000 * 10_000
        if size < self.min_size_e6:
            return found
        tokens = (seen.tokens[0] + (seen.tokens[1] + m.change_usd if found else 0)) / m.rest_s
        scoring = 0.0 if self.rewards is None else max(1 - self.rewards.min_age_s / m.rest_s, 0)
        tick = seen.tick_e4
        price = (seen.asks[0][0] - 1) // tick * tick if side else (seen.bids[0][0] // tick + 1) * tick
        price = min(price, 10_000 - tick) if side else max(price, tick)
        cost = abs(expit(r) - expit(r - sign * break_even))
        limit = (expit(r) - sign * (cost - self.rebate * expit(r) * (1 - expit(r)))) * 1e4
        if midpoint is not None:
            limit = max(limit, midpoint) if side else min(limit, midpoint)
        useful = (math.ceil(limit / tick) if side else math.floor(limit / tick)) * tick
        price = min(price, useful) if side else max(price, useful)
        for _ in range(45):
            if not tick <= price <= 10_000 - tick:
                break
            shown = dict(levels).get(price)
            is_beyond = sign * (levels[-1][0] - price) > 0
            ahead = (levels[-1][1] if is_beyond else 0) if shown is None else shown
            value = self._value(side, r, break_even, price, (size, ahead / 1e6), feared) - tokens
            found.append(Candidate(price, size, value, self._score(price, size, midpoint) * scoring, False))
            price -= sign * tick
        return found

    def _score(self, price_e4: int, size_e6: int, midpoint: float | None) -> float:
        if self.rewards is None or midpoint is None:
            return 0.0
        return self.rewards.score(abs(price_e4 - midpoint), size_e6)

    def _room(self, side: bool, seen: Situation, standing: int) -> int:
        signed = seen.net_e6 if side else -seen.net_e6
        limit = 0 if seen.is_reduce_only else seen.max_position_e6
        position = max(limit - signed - standing, 0)
        stood = sum(size for of, _, size in seen.own if standing or of != side)
        freed = 0 if signed >= 0 else abs(seen.net_e6)
        return min(position, max(seen.capital_e6 + freed - abs(seen.net_e6) - stood, 0))

    def _optimum(
        self, sides: dict[bool, list[Candidate]], seen: Situation, midpoint: float | None
    ) -> tuple[object, object, float, float]:
        """By brute force over every pair, "do not quote" included."""
        others = 0.0 if self.rewards is None or midpoint is None else self._others(seen, midpoint)

        def reward(bid: Candidate | None, ask: Candidate | None) -> float:
            if self.rewards is None or midpoint is None:
                return 0.0
            one, two = (0.0 if c is None else c.score for c in (bid, ask))
            return self.rewards.income(one, two, others, midpoint)

        def best(
            bids: list[Candidate], asks: list[Candidate]
        ) -> tuple[float, Candidate | None, Candidate | None]:
            if midpoint is None:
                # Without rewards the sides are two questions.
                alone = [
                    max([c for c in side if c.value > 0], key=lambda c: c.value, default=None)
                    for side in (bids, asks)
                ]
                return sum(c.value for c in alone if c is not None), alone[0], alone[1]
            found: tuple[float, Candidate | None, Candidate | None] = (0.0, None, None)
            for bid in (None, *bids):
                for ask in (None, *asks):
                    value = sum(c.value for c in (bid, ask) if c is not None) + reward(bid, ask)
                    if value > found[0]:
                        found = (value, bid, ask)
            return found

        value, bid, ask = best(sides[BUY], sides[SELL])
        before = best(*([c for c in sides[side] if c.is_kept] for side in (BUY, SELL)))[0]
        if bid is not None and ask is not None and bid.price_e4 >= ask.price_e4:
            bid, ask = (bid, None) if bid.value >= ask.value else (None, ask)
        places = sum(c is not None and not c.is_kept for c in (bid, ask))
        gain = (value - before) * self.model.rest_s / max(places, 1)
        flat = [
            None if c is None else (c.price_e4, c.size_e6, c.is_kept, 0.0 if c.is_kept else gain)
            for c in (bid, ask)
        ]
        return flat[0], flat[1], value, self._expected_reward(seen, bid, ask)

    def _expected_reward(self, seen: Situation, bid: Candidate | None, ask: Candidate | None) -> float:
        """With the targets standing, which move the midpoint themselves."""
        if self.rewards is None:
            return 0.0
        books, others = [], []
        for side, levels, target in ((BUY, seen.bids, bid), (SELL, seen.asks, ask)):
            rest = {
                p: s - sum(size for of, price, size in seen.own if of == side and price == p)
                for p, s in levels
            }
            others.append(rest)
            book = dict(rest)
            if target is not None:
                book[target.price_e4] = max(book.get(target.price_e4, 0), 0) + target.size_e6
            books.append(sorted(book.items(), reverse=side))
        midpoint = self.rewards.midpoint_e4(*books)
        if midpoint is None:
            return 0.0
        fresh = max(1 - self.rewards.min_age_s / self.model.rest_s, 0)
        ours = [
            0.0
            if target is None
            else self.rewards.score(abs(target.price_e4 - midpoint), target.size_e6)
            * (1 if target.is_kept else fresh)
            for target in (bid, ask)
        ]
        return self.rewards.income(*ours, self._others(seen, midpoint), midpoint)

    def _others(self, seen: Situation, midpoint: float) -> float:
        assert self.rewards is not None
        totals = []
        for side, levels in ((BUY, seen.bids), (SELL, seen.asks)):
            whole = sum(self.rewards.score(abs(p - midpoint), s) for p, s in levels)
            ours = sum(self.rewards.score(abs(p - midpoint), s) for of, p, s in seen.own if of == side)
            totals.append(max(whole - ours, 0.0))
        most = sum(totals) / 2 if 1_000 <= midpoint <= 9_000 else min(totals)
        return (q_min(*totals, midpoint) + most) / 2
