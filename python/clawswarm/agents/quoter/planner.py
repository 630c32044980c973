"""Targets against open orders → what to cancel and what to place. Pure.

A stale quote that gives money away is always replaced at once; one within a fraction of a tick of the exact
target is held, and one that merely rests too far out is replaced when it is `requote_ticks` away, because each
replacement loses its place in the queue and costs order tokens.
"""

from collections.abc import Sequence

import msgspec

from clawswarm.agents.quoter.strategy import TargetQuote
from clawswarm.model.instruments import Side

# To go through an enumeration itself takes a microsecond.
_SIDES = tuple(Side)


class OpenQuote(msgspec.Struct):
    """One of our orders as the engine last reported it; `order_id` is empty until it is acknowledged."""

    ref: int
    order_id: str
    side: Side
    price_e4: int
    remaining_e6: int


class Changes(msgspec.Struct, frozen=True):
    """Orders to cancel, quotes to place."""

    cancels: tuple[OpenQuote, ...]
    places: tuple[TargetQuote, ...]


def plan_changes(
    targets: Sequence[TargetQuote], open_quotes: Sequence[OpenQuote], tick_e4: int, requote_ticks: int
) -> Changes:
    """The changes after which the open orders are the targets, but for tolerated small differences."""
    cancels: list[OpenQuote] = []
    places: list[TargetQuote] = []
    for side in _SIDES:
        target = None
        for candidate in targets:
            if candidate.side is side:
                target = candidate
                break
        is_met = False
        for order in open_quotes:
            if order.side is not side:
                continue
            if target is not None and not is_met and _is_good(order, target, tick_e4, requote_ticks):
                is_met = True
            else:
                cancels.append(order)
        if target is not None and not is_met:
            places.append(target)
    return Changes(tuple(cancels), tuple(places))


def _is_good(order: OpenQuote, target: TargetQuote, tick_e4: int, requote_ticks: int) -> bool:
    if order.remaining_e6 > target.size_e6 or 2 * order.remaining_e6 < target.size_e6:
        return False
    if order.price_e4 == target.price_e4:
        return True
    sign = target.side.sign
    is_too_generous = sign * order.price_e4 > max(sign * target.hold_e4, sign * target.price_e4)
    is_too_far_out = sign * (target.price_e4 - order.price_e4) >= requote_ticks * tick_e4
    return not is_too_generous and not is_too_far_out
