"""The command `claw`. A failure is one sentence on stderr and a non-zero exit code, never a traceback."""

import asyncio
import io
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer
import uvloop
from rich.console import Console
from rich.live import Live
from rich.table import Table

from clawswarm.console.lab import lab
from clawswarm.console.ledger import ledger
from clawswarm.console.ledger import report as report_period
from clawswarm.console.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from clawswarm.console.outputs import require_writable, stop_on_signals
from clawswarm.console.sandbox import sandbox
from clawswarm.console.view import budget_table, live_view, process_lines, progress_line, report_table
from clawswarm.egress.proxies import forget_proxies
from clawswarm.kernel.clock import NS_PER_S, Clock, SystemClock, ns
from clawswarm.model.errors import ClawFault, UserFault
from clawswarm.runtime.configuration import load_configuration
from clawswarm.runtime.control import SwarmStatus, ask
from clawswarm.runtime.passphrase import ask_passphrase
from clawswarm.runtime.report import write_report
from clawswarm.runtime.state_dir import StateDir
from clawswarm.runtime.summary import build_report
from clawswarm.runtime.supervisor import Supervisor, SwarmState

SCREENS_PER_S = 4
LINE_INTERVAL_S = 5.0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
LONGEST_RUN_S = 366 * 86_400.0

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="OpenClaw Swarm: eleven agents make markets on a simulated Polymarket.",
)


@app.command()
def up(
    mode: Annotated[str | None, typer.Option(help="Only `sandbox` so far; must agree with the file.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    for_s: Annotated[
        float | None,
        typer.Option(
            "--for", min=1.0, max=LONGEST_RUN_S, help="Stop this many seconds after all agents are up."
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report here as JSON.")] = None,
) -> None:
    """Start the swarm and run it until Ctrl-C, --for, or the end of the recordings."""
    configuration = load_configuration(config)
    if mode is not None and mode != configuration.mode:
        raise UserFault(f"--mode {mode} is not the mode of {config}: only {configuration.mode} runs so far")
    if report is not None:
        require_writable(report, "--report", makes_folder=True)
    passphrase = ask_passphrase(configuration.engine)
    state = StateDir(Path(configuration.state_dir))
    try:
        supervisor = Supervisor(configuration, config, state, SystemClock(), passphrase)
        uvloop.run(_run(supervisor, for_s))
        if not supervisor.has_started:
            _say(supervisor.failure or "stopped before any agent was started")
            raise typer.Exit(EXIT_FAILED)
        written = build_report(supervisor, (SystemClock().now_ns() - supervisor.started_ns) / NS_PER_S)
    finally:
        state.release()
    failure, places = supervisor.failure, f"journals and logs are in {supervisor.run_dir}"
    if report is not None:
        try:
            write_report(written, report)
            places = f"report written to {report}; {places}"
        except OSError as fault:
            failure = (
                failure or f"cannot write {report} ({fault.strerror}); the table above is the whole report"
            )
    console = Console()
    console.print(report_table(written))
    console.print(places, soft_wrap=True, highlight=False)
    if failure is not None:
        _say(failure)
        raise typer.Exit(EXIT_FAILED)


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
    """Show what is going on; where nobody can see it any more (`| head`, a closed terminal), end in order."""

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


@app.command()
def status(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Show the state of the running swarm and of each agent."""
    _show(_ask(config, "status"), as_json)


@app.command()
def halt(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Cancel every order and place none; returns when the venue has confirmed."""
    _show(_ask(config, "halt"), as_json)


@app.command()
def resume(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Lift a halt and the brakes that a loss has put on."""
    _show(_ask(config, "resume"), as_json)


def _ask(config: Path, command: str) -> SwarmStatus:
    configuration = load_configuration(config)
    return asyncio.run(ask(Path(configuration.state_dir), command))


def _show(swarm: SwarmStatus, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(swarm).decode())
        return
    console = Console(highlight=False)
    console.print(f"swarm: {swarm.state}", soft_wrap=True)
    if swarm.trading is not None:
        causes = f" ({'; '.join(swarm.causes)})" if swarm.causes else ""
        console.print(f"trading: {swarm.trading}{causes}", soft_wrap=True, markup=False)
    table = Table(box=None)
    for heading in ("name", "kind", "pid", "state", "age (s)", "restarts"):
        table.add_column(heading)
    for agent in (*swarm.agents, *swarm.services):
        pid = "–" if agent.pid is None else str(agent.pid)
        age = "–" if agent.age_s is None else f"{agent.age_s:g}"
        table.add_row(agent.name, agent.kind, pid, agent.state, age, str(agent.restarts))
    console.print(table)
    if swarm.budget is not None:
        console.print(budget_table(swarm.budget))


app.command("sandbox")(sandbox)
app.command("report")(report_period)
app.add_typer(ledger, name="ledger")
app.add_typer(lab, name="lab")


def _say(sentence: str) -> None:
    print(f"claw: {sentence}", file=sys.stderr)


def main() -> None:
    """Run the command `claw`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character gets a "?" for it.
            stream.reconfigure(errors="replace")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if ignored := forget_proxies(os.environ):
        _say(
            f"{', '.join(ignored)} of the environment is ignored: requests leave over this machine's own address"
        )
    try:
        app()
    except ClawFault as fault:
        _say(str(fault))
        sys.exit(EXIT_BAD_INPUT)
    except OSError as fault:
        if not isinstance(fault, BrokenPipeError):
            with suppress(OSError):
                where = "the output" if fault.filename is None else fault.filename
                _say(f"cannot use {where} ({fault.strerror or fault}); make room or mend it and start again")
        # Python flushes stdout once more at its end; with nobody reading that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
