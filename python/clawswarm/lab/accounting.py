"""Fills and the fair value → profit and loss, where it came from, and the risk on the way. Pure.

For a fill at p on side s (+1 buy, −1 sale) of a position worth m at the end, with f the fair value just before it
and f_h the fair value h later:

    pnl = s·(m − p) = s·(f − p)  +  s·(f_5s − f)         +  s·(m − f_5s)   + rebate + rewards
                      spread        −adverse selection      inventory
    markout_h = s·(f_h − p)

The sums are integers until the last division, so the parts add up to the whole exactly. A market whose outcome is
unknown is valued at its last fair value.
"""

from collections.abc import Sequence

import msgspec

from clawswarm.lab.backtest import LabFill, Run, RunTerms
from clawswarm.lab.flows import FairPath, MarketFlow
from clawswarm.lab.rewards import rewards_usd
from clawswarm.model.units import MICRO, PRICE_ONE_E4
from clawswarm.sandbox.exchange.markets import RewardTerms

HORIZONS_S = (0.5, 1.0, 5.0, 30.0, 300.0)
ADVERSE_NS = 5_000_000_000
_NS_PER_S = 1_000_000_000
_MARK_EVERY_NS = _NS_PER_S
# Fair values come doubled, prices in 1e-4, sizes in 1e-6.
_UNIT = 2 * PRICE_ONE_E4 * MICRO


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One run in money (USD) and counts. `markouts` are sums over all fills by horizon in seconds.

    `two_sided_uptime` is of the time in which the market was tradeable. `rewards_usd` is at the assumed rate of
    `RunTerms`: no recording states its market's.
    """

    pnl_usd: float
    spread_usd: float
    rebates_usd: float
    rewards_usd: float
    inventory_usd: float
    adverse_selection_usd: float
    markouts_usd: dict[str, float]
    drawdown_usd: float
    fills: int
    shares: float
    orders: int
    cancels: int
    rejected: int
    refused: int
    two_sided_uptime: float
    is_partial: bool

    @property
    def risk_adjusted_usd(self) -> float:
        """PnL less the largest drawdown: what was left beyond the worst fall."""
        return self.pnl_usd - self.drawdown_usd


def settle(market: MarketFlow, run: Run, terms: RunTerms) -> Outcome:
    """Value one run."""
    ends_ns = market.market.duration_ms * 1_000_000
    fair = market.fair
    final = fair.at(ends_ns) if market.final_e4 is None else 2 * market.final_e4
    spread = adverse = inventory = shares = 0
    markouts = dict.fromkeys(HORIZONS_S, 0)
    rebates = 0.0
    for fill in run.fills:
        signed, price = fill.side.sign * fill.size_e6, 2 * fill.price_e4
        before = fair.before(fill.venue_ns)
        later = _value(fair, fill.venue_ns + ADVERSE_NS, ends_ns, final)
        spread += signed * (before - price)
        adverse += signed * (before - later)
        inventory += signed * (final - later)
        shares += fill.size_e6
        rebates += rebate_usd(fill, terms)
        for horizon_s in HORIZONS_S:
            at_ns = fill.venue_ns + round(horizon_s * _NS_PER_S)
            markouts[horizon_s] += signed * (_value(fair, at_ns, ends_ns, final) - price)
    sampled = run.sampled or ((),) * len(market.samples)
    rewards = rewards_usd(market.samples, sampled, terms.reward_daily_usd, reward_terms(terms))
    return Outcome(
        pnl_usd=(spread - adverse + inventory) / _UNIT + rebates + rewards,
        spread_usd=spread / _UNIT,
        rebates_usd=rebates,
        rewards_usd=rewards,
        inventory_usd=inventory / _UNIT,
        adverse_selection_usd=adverse / _UNIT,
        markouts_usd={f"{horizon_s:g}": value / _UNIT for horizon_s, value in markouts.items()},
        drawdown_usd=drawdown_usd(run.fills, fair, ends_ns, final),
        fills=len(run.fills),
        shares=shares / MICRO,
        orders=run.placed,
        cancels=run.cancelled,
        rejected=run.rejected,
        refused=sum(run.refused.values()),
        two_sided_uptime=min(run.quoted_ns / max(ends_ns - run.untradeable_s * _NS_PER_S, 1.0), 1.0),
        is_partial=market.is_partial,
    )


def reward_terms(terms: RunTerms) -> RewardTerms:
    """What an order must be to score."""
    return RewardTerms(
        min_size_e6=round(terms.reward_min_shares * MICRO),
        max_spread_e4=round(terms.reward_max_spread * PRICE_ONE_E4),
    )


def rebate_usd(fill: LabFill, terms: RunTerms) -> float:
    """The maker's share of the fee that this fill's taker paid."""
    price = fill.price_e4 / PRICE_ONE_E4
    return terms.rebate_rate * price * (1 - price) * fill.size_e6 / MICRO


def equity_curve(fills: Sequence[LabFill], fair: FairPath, ends_ns: int, final: int) -> list[tuple[int, int]]:
    """(time, value) each second and at the end, rebates left out; values in 1 / (2·1e4·1e6) USD."""
    curve, cash, net = [(0, 0)], 0, 0
    waiting = list(reversed(fills))
    for at_ns in [*range(_MARK_EVERY_NS, ends_ns, _MARK_EVERY_NS), ends_ns]:
        while waiting and waiting[-1].venue_ns <= at_ns:
            fill = waiting.pop()
            signed = fill.side.sign * fill.size_e6
            cash -= signed * 2 * fill.price_e4
            net += signed
        curve.append((at_ns, cash + net * _value(fair, at_ns, ends_ns, final)))
    return curve


def drawdown_usd(fills: Sequence[LabFill], fair: FairPath, ends_ns: int, final: int) -> float:
    """Largest fall of the equity from an earlier height."""
    height = worst = 0
    for _, value in equity_curve(fills, fair, ends_ns, final):
        height = max(height, value)
        worst = max(worst, height - value)
    return worst / _UNIT


def _value(fair: FairPath, at_ns: int, ends_ns: int, final: int) -> int:
    return final if at_ns >= ends_ns else fair.at(at_ns)
