"""Runs the swarm until it ends, and shows it: the live view, or a line now and then; at the end the report."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog
import uvloop
from rich.console import Console
from rich.live import Live

from clawswarm.console.outputs import require_writable, stop_on_signals
from clawswarm.console.view import live_view, process_lines, progress_line, report_table
from clawswarm.kernel.clock import NS_PER_S, Clock, SystemClock, ns
from clawswarm.runtime.configuration import Configuration
from clawswarm.runtime.passphrase import ask_passphrase
from clawswarm.runtime.report import write_report
from clawswarm.runtime.state_dir import StateDir
from clawswarm.runtime.summary import build_report
from clawswarm.runtime.supervisor import Supervisor, SwarmState

SCREENS_PER_S = 4
LINE_INTERVAL_S = 5.0


def run_swarm(
    configuration: Configuration, config: Path, for_s: float | None, report: Path | None
) -> str | None:
    """Run the swarm of `config`; a sentence when it did not end well."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if report is not None:
        require_writable(report, "--report", makes_folder=True)
    passphrase = ask_passphrase(configuration.engine)
    state = StateDir(Path(configuration.state_dir))
    try:
        supervisor = Supervisor(configuration, config, state, SystemClock(), passphrase)
        uvloop.run(_run(supervisor, for_s))
        if not supervisor.has_started:
            return supervisor.failure or "stopped before any agent was started"
        written = build_report(supervisor, (SystemClock().now_ns() - supervisor.started_ns) / NS_PER_S)
    finally:
        state.release()
    failure, places = supervisor.failure, f"journals and logs are in {supervisor.run_dir}"
    if report is not None:
        try:
            write_report(written, report)
            places = f"report written to {report}; {places}"
        except OSError as fault:
            lost = f"cannot write {report} ({fault.strerror}); the table above is the whole report"
            failure = failure or lost
    console = Console()
    console.print(report_table(written))
    console.print(places, soft_wrap=True, highlight=False)
    return failure


async def _run(supervisor: Supervisor, for_s: float | None) -> None:
    stop_on_signals(supervisor.request_stop)
    console, clock = Console(), SystemClock()
    if not console.is_terminal or console.is_dumb_terminal:
        await supervisor.run(for_s, _Shown(supervisor, _Lines(supervisor, clock)))
        return
    live = Live(console=console, auto_refresh=False)

    def draw() -> None:
        live.update(live_view(supervisor, clock.now_ns(), console.width), refresh=True)

    live.start()
    try:
        await supervisor.run(for_s, _Shown(supervisor, _Paced(1 / SCREENS_PER_S, clock, draw)))
    finally:
        # The run has its end and its report whether or not somebody still looks.
        with suppress(OSError):
            draw()
            live.stop()


class _Shown:
    """Show what is going on; where nobody can see it any more (`| head`, a full disk), end in order."""

    def __init__(self, supervisor: Supervisor, show: Callable[[], None]) -> None:
        self._supervisor, self._show, self._is_gone = supervisor, show, False

    def __call__(self) -> None:
        if self._is_gone:
            return
        try:
            self._show()
        except OSError as fault:
            self._is_gone = True
            self._supervisor.request_stop(
                f"what it shows cannot be written ({fault.strerror}): it has stopped"
            )


class _Paced:
    """Call `action` at most once an interval."""

    def __init__(self, interval_s: float, clock: Clock, action: Callable[[], None]) -> None:
        self._interval_ns, self._clock, self._action, self._next_ns = ns(interval_s), clock, action, 0

    def __call__(self) -> None:
        now = self._clock.now_ns()
        if now >= self._next_ns:
            self._next_ns = now + self._interval_ns
            self._action()


class _Lines:
    """Progress for outputs that cannot be drawn on: the agents once they are up, then a line now and then."""

    def __init__(self, supervisor: Supervisor, clock: Clock) -> None:
        self._supervisor, self._clock = supervisor, clock
        self._paced = _Paced(LINE_INTERVAL_S, clock, self._print)
        self._has_listed = False

    def __call__(self) -> None:
        if not self._has_listed and self._supervisor.state is SwarmState.RUNNING:
            self._has_listed = True
            print(process_lines(self._supervisor), flush=True)
        self._paced()

    def _print(self) -> None:
        print(progress_line(self._supervisor, self._clock.now_ns()), flush=True)
