"""Runs the swarm until it ends, and shows it: the live view, or a line now and then; at the end the report."""

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path

import structlog
import uvloop
from rich.console import Console
from rich.live import Live

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
    if report is not None:
        write_report(written, report)
    console = Console()
    console.print(report_table(written))
    if report is not None:
        console.print(f"report written to {report}; journals and logs are in {supervisor.run_dir}")
    return supervisor.failure


async def _run(supervisor: Supervisor, for_s: float | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.request_stop)
    console, clock = Console(), SystemClock()
    if not console.is_terminal:
        await supervisor.run(for_s, _Lines(supervisor, clock))
        return
    with Live(console=console, auto_refresh=False) as live:

        def draw() -> None:
            live.update(live_view(supervisor, clock.now_ns(), console.width), refresh=True)

        await supervisor.run(for_s, _Paced(1 / SCREENS_PER_S, clock, draw))
        draw()


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
    """Progress for outputs that are no terminal: the agents once they are up, then a line now and then."""

    def __init__(self, supervisor: Supervisor, clock: Clock) -> None:
        self._supervisor, self._clock = supervisor, clock
        self._paced = _Paced(LINE_INTERVAL_S, clock, self._print)
        self._has_listed = False

    def __call__(self) -> None:
        try:
            if not self._has_listed and self._supervisor.state is SwarmState.RUNNING:
                self._has_listed = True
                print(process_lines(self._supervisor), flush=True)
            self._paced()
        except BrokenPipeError:
            # Nobody reads any more (`claw up | head`): end in order, as after Ctrl-C.
            self._supervisor.request_stop()

    def _print(self) -> None:
        print(progress_line(self._supervisor, self._clock.now_ns()), flush=True)
