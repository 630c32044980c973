"""Markets and capital → mandates. Pure.

A market keeps its quoter; a new one goes to the least loaded quoter, ties broken by rendezvous hash, so that two
orchestrators with the same record would choose the same. Every change of owner is a new epoch.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from clawswarm.model.instruments import Market
from clawswarm.model.messages import Mandate
from clawswarm.model.units import MICRO


class OrchestratorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the strategist decides. Nothing here has a default: it is the user's money."""

    capital_usd: int
    max_position_shares: int
    order_size_shares: int
    mandate_life_s: float
    renew_s: float


class Assignment(msgspec.Struct, frozen=True):
    """Who trades a market, since which epoch."""

    quoter: str
    epoch: int


def assign(
    markets: Sequence[Market], quoters: Sequence[str], recorded: Mapping[str, Assignment]
) -> dict[str, Assignment]:
    """Owner of every open market; recorded owners stay while they exist. Closed markets drop out."""
    assigned = {
        market.condition_id: recorded[market.condition_id]
        for market in markets
        if market.is_open
        and market.condition_id in recorded
        and recorded[market.condition_id].quoter in quoters
    }
    for market in sorted(markets, key=lambda market: market.condition_id):
        key = market.condition_id
        if not market.is_open or key in assigned:
            continue
        load = dict.fromkeys(quoters, 0)
        for assignment in assigned.values():
            load[assignment.quoter] += 1
        chosen = min(quoters, key=lambda quoter: (load[quoter], _rank(key, quoter)))
        before = recorded.get(key)
        assigned[key] = Assignment(chosen, 1 if before is None else before.epoch + 1)
    return assigned


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


def _rank(market: str, quoter: str) -> bytes:
    return hashlib.sha256(f"{market}|{quoter}".encode()).digest()
