"""Targets against open orders → what to cancel and what to place. Pure.

A stale quote that gives money away is always replaced at once; one within a fraction of a tick of the exact
target is held, and one that merely rests too far out is replaced when it is `requote_ticks` away, because each
replacement loses its place in the queue and costs order tokens.
"""

from collections.abc import Sequence

import msgspec

from clawswarm.agents.quoter.strategy import TargetQuote
from clawswarm.model.instruments import Side


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
    for side in Side:
        target = next((t for t in targets if t.side is side), None)
        resting = [o for o in open_quotes if o.side is side]
        kept = None
        if target is not None:
            kept = next((o for o in resting if _is_good(o, target, tick_e4, requote_ticks)), None)
            if kept is None:
                places.append(target)
        cancels += [order for order in resting if order is not kept]
    return Changes(tuple(cancels), tuple(places))


def _is_good(order: OpenQuote, target: TargetQuote, tick_e4: int, requote_ticks: int) -> bool:
    if order.remaining_e6 > target.size_e6 or 2 * order.remaining_e6 < target.size_e6:
        return False
    sign = target.side.sign
    is_too_generous = sign * order.price_e4 > max(sign * target.hold_e4, sign * target.price_e4)
    is_too_far_out = sign * (target.price_e4 - order.price_e4) >= requote_ticks * tick_e4
    return not is_too_generous and not is_too_far_out
