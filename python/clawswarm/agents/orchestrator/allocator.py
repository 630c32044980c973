"""Markets, loads and capital → mandates. Pure.

A market keeps its quoter while that one lives. A new or orphaned one goes to the quoter that rendezvous hashing
ranks first among those whose load stays at or below the mean with it, so that two orchestrators with the same
record would choose the same and a quoter's death moves its markets alone. Every change of owner is a new epoch.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from clawswarm.model.instruments import Market
from clawswarm.model.messages import Mandate, RatePolicy, SwarmState
from clawswarm.model.units import MICRO

USUAL_LOAD = 1.0
# A move costs a withdrawal: only where it takes clearly more than it gives.
WORTH_MOVING = 1.5
CAUTIOUS_SPREAD_FACTOR = 2.0


class OrchestratorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the strategist decides. What can lose money has no default.

    `max_loss_usd` and `max_drawdown_usd` end or brake the trading, `cautious_share` of either makes it cautious.
    `window_share` and `least_value` are the order-rate policy (`RatePolicy`).
    """

    capital_usd: int
    max_position_shares: int
    order_size_shares: int
    max_loss_usd: float
    max_drawdown_usd: float
    mandate_life_s: float
    renew_s: float
    cautious_share: float = 0.5
    window_share: float = 1.0
    least_value: float = 0.0

    @property
    def rate(self) -> RatePolicy:
        """How the venue's limits are to be used."""
        return RatePolicy(window_share=self.window_share, least_value=self.least_value)


class Assignment(msgspec.Struct, frozen=True):
    """Who trades a market, since which epoch."""

    quoter: str
    epoch: int


def assign(
    markets: Sequence[Market],
    quoters: Sequence[str],
    recorded: Mapping[str, Assignment],
    load: Mapping[str, float] | None = None,
) -> dict[str, Assignment]:
    """Owner of every open market; recorded owners stay while they exist. Closed markets drop out.

    `load` is what a market costs its quoter, in any unit; a market without one has USUAL_LOAD.
    """
    known = load or {}
    open_keys = sorted(market.condition_id for market in markets if market.is_open)
    assigned = {
        key: recorded[key] for key in open_keys if key in recorded and recorded[key].quoter in quoters
    }
    carried = _carried(assigned, quoters, known)
    mean = sum(known.get(key, USUAL_LOAD) for key in open_keys) / len(quoters) if quoters else 0.0
    homeless = [key for key in open_keys if key not in assigned]
    for key in sorted(homeless, key=lambda key: (-known.get(key, USUAL_LOAD), key)):
        own = known.get(key, USUAL_LOAD)
        fitting = [quoter for quoter in quoters if carried[quoter] + own <= mean]
        if fitting:
            chosen = min(fitting, key=lambda quoter: _rank(key, quoter))
        else:
            chosen = min(quoters, key=lambda quoter: (carried[quoter], _rank(key, quoter)))
        carried[chosen] += own
        before = recorded.get(key)
        assigned[key] = Assignment(chosen, 1 if before is None else before.epoch + 1)
    return dict(sorted(assigned.items()))


def rebalance(
    assigned: Mapping[str, Assignment], quoters: Sequence[str], load: Mapping[str, float] | None = None
) -> dict[str, Assignment]:
    """The same, with at most one market moved from the busiest quoter to the idlest, if it is worth that."""
    known = load or {}
    changed = dict(assigned)
    if not quoters:
        return changed
    carried = _carried(assigned, quoters, known)
    busiest = max(quoters, key=lambda quoter: (carried[quoter], quoter))
    idlest = min(quoters, key=lambda quoter: (carried[quoter], quoter))
    gap = carried[busiest] - carried[idlest]
    movable = [
        (known.get(key, USUAL_LOAD), key)
        for key, assignment in assigned.items()
        if assignment.quoter == busiest and gap > WORTH_MOVING * known.get(key, USUAL_LOAD) > 0
    ]
    if movable:
        _, key = max(movable)
        changed[key] = Assignment(idlest, assigned[key].epoch + 1)
    return changed


def mandates(
    markets: Sequence[Market], assigned: Mapping[str, Assignment], settings: OrchestratorSettings
) -> tuple[Mandate, ...]:
    """Mandates of the assigned markets, capital split evenly between them."""
    if not assigned:
        return ()
    capital_e6 = settings.capital_usd * MICRO // len(assigned)
    return tuple(
        Mandate(
            market=market,
            quoter=assigned[market.condition_id].quoter,
            epoch=assigned[market.condition_id].epoch,
            capital_e6=capital_e6,
            max_position_e6=settings.max_position_shares * MICRO,
            order_size_e6=settings.order_size_shares * MICRO,
        )
        for market in markets
        if market.condition_id in assigned
    )


def braked(table: Sequence[Mandate], state: SwarmState) -> tuple[Mandate, ...]:
    """The mandates as they are in a state: CAUTIOUS halves sizes and widens, REDUCE_ONLY only reduces as well."""
    if state is SwarmState.NORMAL:
        return tuple(table)
    return tuple(
        msgspec.structs.replace(
            mandate,
            # Never below what the venue takes: then nothing would be quoted at all.
            order_size_e6=max(
                mandate.order_size_e6 // 2, min(mandate.order_size_e6, mandate.market.min_size_e6)
            ),
            spread_factor=mandate.spread_factor * CAUTIOUS_SPREAD_FACTOR,
            is_reduce_only=state is SwarmState.REDUCE_ONLY,
        )
        for mandate in table
    )


def _carried(
    assigned: Mapping[str, Assignment], quoters: Sequence[str], load: Mapping[str, float]
) -> dict[str, float]:
    carried = dict.fromkeys(quoters, 0.0)
    for key, assignment in assigned.items():
        if assignment.quoter in carried:
            carried[assignment.quoter] += load.get(key, USUAL_LOAD)
    return carried


def _rank(market: str, quoter: str) -> bytes:
    return hashlib.sha256(f"{market}|{quoter}".encode()).digest()
