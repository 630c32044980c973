"""The risk manager's shell: fills in (all of them, in order, from the first), exposures out."""

import asyncio
from collections.abc import Sequence

from clawswarm.agents.risk_manager.exposure import ExposureBook, RiskSettings
from clawswarm.kernel.bus import Bus
from clawswarm.kernel.clock import ns
from clawswarm.kernel.process import Process
from clawswarm.model.messages import Beat, Exposure, Fill

PUBLISH_INTERVAL_S = 0.5


class RiskManager:
    """One risk manager process."""

    def __init__(
        self, process: Process, bus: Bus, managers: Sequence[str], settings: RiskSettings, capital_usd: int
    ) -> None:
        self._process, self._clock = process, process.clock
        self._book = ExposureBook(process.name, managers, settings, capital_usd)
        self._fills = bus.ordered("fills", Fill)
        self._exposures = bus.latest("exposure", Exposure)
        self._beats = bus.latest("beat", Beat)
        self._seen = 0

    async def run(self) -> None:
        """Compute until asked to stop. Raises OrderedGap when a fill is lost for good."""
        following = asyncio.create_task(self._follow_fills())
        self._process.ready()
        next_publish_ns = 0
        while await self._process.tick():
            if following.done():
                following.result()
            now = self._clock.now_ns()
            if now >= next_publish_ns:
                next_publish_ns = now + ns(PUBLISH_INTERVAL_S)
                for underlying in self._book.underlyings:
                    self._exposures.publish(self._book.exposure(underlying, now), underlying)
                self._publish_beat(now)
        following.cancel()

    async def _follow_fills(self) -> None:
        async for fill in self._fills.messages():
            self._seen += 1
            exposure = self._book.apply(fill)
            if exposure is not None:
                self._exposures.publish(exposure, exposure.underlying)

    def _publish_beat(self, now: int) -> None:
        self._beats.publish(
            Beat(
                name=self._process.name,
                kind="risk_manager",
                pid=self._process.pid,
                state="watching",
                sent_ns=now,
                counters={
                    "fills": float(self._seen),
                    "max_abs_ratio": self._book.max_abs_ratio,
                    "time_outside_s": self._book.outside_s(now),
                },
            ),
            self._process.name,
        )
