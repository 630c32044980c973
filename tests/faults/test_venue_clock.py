"""Two clocks that come apart while the engine runs: a machine that was paused, a clock that runs fast."""

from pathlib import Path

import pytest

from contract.venue_thread import boottime_ns, record, running_venue, settings_for, snapshot
from faults.engine_alone import EngineAlone, certified

APART_S = 120


class MovableClock:
    """CLOCK_BOOTTIME and what was added to it."""

    def __init__(self, ahead_s: int) -> None:
        self.ahead_ns = ahead_s * 1_000_000_000

    def __call__(self) -> int:
        return boottime_ns() + self.ahead_ns


@pytest.mark.parametrize("moved_s", [APART_S, -APART_S])
def test_a_clock_that_has_come_apart_from_the_venues_is_put_right(tmp_path: Path, moved_s: int) -> None:
    record(tmp_path / "data", "btc-updown-1", [snapshot()])
    clock = MovableClock(APART_S)
    settings = settings_for(tmp_path / "data")
    with (
        running_venue(settings, certified(tmp_path / "tls"), clock) as venue,
        EngineAlone(tmp_path, venue, tmp_path / "tls") as engine,
    ):
        engine.until_ready()
        engine.place()
        clock.ahead_ns += moved_s * 1_000_000_000
        engine.until_logged("engine.clock.corrected")
        assert engine.place()
        assert engine.stop() == 0, engine.log()
