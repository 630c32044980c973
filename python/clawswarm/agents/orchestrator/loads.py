"""What each market costs its quoter, from the plans that quoters count. Pure.

A quoter counts its plans, not those of each market, so its markets share them evenly; the mean market has
USUAL_LOAD.
"""

from collections import Counter
from collections.abc import Mapping

from clawswarm.agents.orchestrator.allocator import USUAL_LOAD, Assignment
from clawswarm.kernel.clock import NS_PER_S


class MarketLoads:
    """Plans a second of every quoter over the last whole period."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, int], float] = {}
        self._before: dict[tuple[str, int], float] = {}
        self._began_ns: int | None = None
        self._rates: dict[str, float] = {}

    def take_plans(self, quoter: str, pid: int, plans: float, now_ns: int) -> None:
        """A quoter's running total; a restarted one begins anew under another pid."""
        self._began_ns = now_ns if self._began_ns is None else self._began_ns
        self._newest[quoter, pid] = plans

    def close_period(self, now_ns: int) -> None:
        """Rates of the time since the last call."""
        if self._began_ns is None or now_ns <= self._began_ns:
            return
        elapsed_s = (now_ns - self._began_ns) / NS_PER_S
        rates: dict[str, float] = {}
        for (quoter, pid), plans in self._newest.items():
            made = plans - self._before.get((quoter, pid), 0.0)
            rates[quoter] = rates.get(quoter, 0.0) + made / elapsed_s
        self._rates, self._before, self._began_ns = rates, dict(self._newest), now_ns

    def of_markets(self, assigned: Mapping[str, Assignment]) -> dict[str, float]:
        """Load of every assigned market whose quoter was heard; the mean is USUAL_LOAD."""
        counts = Counter(assignment.quoter for assignment in assigned.values())
        shares = {
            market: self._rates[assignment.quoter] / counts[assignment.quoter]
            for market, assignment in assigned.items()
            if assignment.quoter in self._rates
        }
        mean = sum(shares.values()) / len(shares) if shares else 0.0
        if mean <= 0:
            return {}
        return {market: USUAL_LOAD * share / mean for market, share in shares.items()}
