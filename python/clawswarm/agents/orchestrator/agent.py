"""The orchestrator's shell: reads the venue's markets, records and publishes the mandate table."""

from collections.abc import Sequence
from pathlib import Path

import aiohttp
import structlog

from clawswarm.agents.orchestrator.allocator import OrchestratorSettings, assign, mandates
from clawswarm.agents.orchestrator.record import Record, load, save
from clawswarm.agents.orchestrator.rollover import RolloverSettings, next_change_ms, tradable
from clawswarm.kernel.bus import Bus
from clawswarm.kernel.clock import ns
from clawswarm.kernel.process import Process
from clawswarm.model.errors import Retry, WireFault
from clawswarm.model.instruments import Market
from clawswarm.model.messages import Allocation, Beat
from clawswarm.venues.polymarket.discovery import Listing, list_open_markets

BEAT_INTERVAL_S = 0.5
MARKETS_INTERVAL_S = 2.0
REQUEST_TIMEOUT_S = 1.5
log = structlog.get_logger()


class Orchestrator:
    """One term of the orchestrator."""

    def __init__(
        self,
        process: Process,
        bus: Bus,
        settings: OrchestratorSettings,
        quoters: Sequence[str],
        rollover: RolloverSettings,
        gamma_url: str,
        record_path: Path,
    ) -> None:
        self._process, self._clock, self._settings = process, process.clock, settings
        self._rollover = rollover
        self._quoters, self._gamma_url, self._record_path = quoters, gamma_url, record_path
        self._listings: list[Listing] = []
        self._markets: list[Market] = []
        self._next_change_ms: int | None = None
        self._allocations = bus.latest("allocation", Allocation)
        self._beats = bus.latest("beat", Beat)
        recorded = load(record_path)
        self._record = Record(recorded.term + 1, recorded.assignments)
        save(record_path, self._record)

    async def run(self) -> None:
        """Renew and adapt mandates until asked to stop."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            next_renewal_ns = next_beat_ns = next_markets_ns = 0
            self._process.ready()
            while await self._process.tick():
                now = self._clock.now_ns()
                if now >= next_markets_ns:
                    next_markets_ns = now + ns(MARKETS_INTERVAL_S)
                    await self._read_markets(session)
                is_rolling = (
                    self._next_change_ms is not None and self._clock.wall_ms() >= self._next_change_ms
                )
                if is_rolling:
                    self._assign()
                if (is_rolling or now >= next_renewal_ns) and self._markets:
                    next_renewal_ns = now + ns(self._settings.renew_s)
                    self._publish(self._clock.now_ns())
                if now >= next_beat_ns:
                    next_beat_ns = now + ns(BEAT_INTERVAL_S)
                    self._publish_beat(now)

    async def _read_markets(self, session: aiohttp.ClientSession) -> None:
        try:
            self._listings = await list_open_markets(session, self._gamma_url)
        except (Retry, WireFault) as fault:
            # What was known stays in force; the engine withdraws by itself when mandates run out.
            log.warning("orchestrator.markets.unread", reason=str(fault))
            return
        self._assign()

    def _assign(self) -> None:
        """Choose what is quoted now, and by whom."""
        now_ms = self._clock.wall_ms()
        self._markets = tradable(self._listings, now_ms, self._rollover)
        self._next_change_ms = next_change_ms(self._listings, now_ms, self._rollover)
        assignments = assign(self._markets, self._quoters, self._record.assignments)
        if assignments != self._record.assignments:
            self._record = Record(self._record.term, assignments)
            save(self._record_path, self._record)
            log.info("orchestrator.assigned", markets=len(assignments))

    def _publish(self, now: int) -> None:
        self._allocations.publish(
            Allocation(
                term=self._record.term,
                sent_ns=now,
                life_ns=ns(self._settings.mandate_life_s),
                mandates=mandates(self._markets, self._record.assignments, self._settings),
            )
        )

    def _publish_beat(self, now: int) -> None:
        self._beats.publish(
            Beat(
                name=self._process.name,
                kind="orchestrator",
                pid=self._process.pid,
                state="allocating" if self._record.assignments else "looking for markets",
                sent_ns=now,
                counters={"term": float(self._record.term), "markets": float(len(self._record.assignments))},
            ),
            self._process.name,
        )
