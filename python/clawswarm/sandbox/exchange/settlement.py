"""The way of a trade after its match: MATCHED, MINED, CONFIRMED; or RETRYING on the way; or FAILED.

Pure: time is an argument, chance a seeded generator. `ordered` holds the fates that somebody (the control
port, a test) ordered for coming trades; they come before chance.
"""

import hashlib
import heapq
from collections import Counter, deque
from random import Random

import msgspec

from clawswarm.sandbox.exchange.events import Trade
from clawswarm.sandbox.exchange.records import customers
from clawswarm.sandbox.exchange.rules import Fate, SettlementDelay

TERMINAL = ("CONFIRMED", "FAILED")


class OrderedFate(msgspec.Struct, frozen=True):
    """What shall become of the next trade, of `address` when that is given."""

    fate: Fate
    address: str | None = None


class SettlementQueue:
    """Which trade changes its status when."""

    def __init__(self, delay: SettlementDelay, seed: int) -> None:
        self.ordered: deque[OrderedFate] = deque()
        self._delay = delay
        self._chance = Random(seed)
        self._heap: list[tuple[int, int, Trade, tuple[tuple[int, str], ...]]] = []
        self._serial = 0
        self._under_way: Counter[str] = Counter()

    def count(self, condition_id: str) -> int:
        """Trades of a market that are not confirmed or failed yet."""
        return self._under_way[condition_id]

    def add(self, trade: Trade) -> None:
        """Decide a new trade's way."""
        self._under_way[trade.market.condition_id] += 1
        self._push(trade, self._way(self._fate(trade), trade.matched_ns))

    def next_due_ns(self) -> int | None:
        """When `pop` has something, None for never."""
        return self._heap[0][0] if self._heap else None

    def pop(self, now_ns: int) -> Trade | None:
        """The next trade whose status changes by now, with status, time and hash changed; None when none is."""
        if not self._heap or self._heap[0][0] > now_ns:
            return None
        due, _, trade, steps = heapq.heappop(self._heap)
        trade.status, trade.updated_ns = steps[0][1], due
        if trade.status == "RETRYING":
            # The transaction that replaces it has another hash.
            trade.tx_hash = "0x" + hashlib.sha256(trade.tx_hash.encode()).hexdigest()
        if len(steps) > 1:
            self._push(trade, steps[1:])
        else:
            self._under_way[trade.market.condition_id] -= 1
        return trade

    def _push(self, trade: Trade, steps: tuple[tuple[int, str], ...]) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (steps[0][0], self._serial, trade, steps))

    def _way(self, fate: Fate, matched_ns: int) -> tuple[tuple[int, str], ...]:
        delay = self._delay
        mined, confirmed = matched_ns + delay.mined_ns, matched_ns + delay.confirmed_ns
        if fate == "confirm":
            return (mined, "MINED"), (confirmed, "CONFIRMED")
        if fate == "retry":
            late = delay.retried_ns
            return (mined, "RETRYING"), (mined + late, "MINED"), (confirmed + late, "CONFIRMED")
        return (mined, "RETRYING"), (mined + delay.retried_ns, "FAILED")

    def _fate(self, trade: Trade) -> Fate:
        if self.ordered:
            present = customers(trade)
            for ordered in self.ordered:
                if present if ordered.address is None else ordered.address in present:
                    self.ordered.remove(ordered)
                    return ordered.fate
        if not self._delay.retry_share and not self._delay.fail_share:
            return "confirm"
        drawn = self._chance.random()
        if drawn < self._delay.fail_share:
            return "fail"
        return "retry" if drawn < self._delay.fail_share + self._delay.retry_share else "confirm"
