"""The command `claw`. A failure is one sentence on stderr and a non-zero exit code, never a traceback.

What a command needs is imported when it runs: the others start without it.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from clawswarm.console.lab import lab
from clawswarm.console.ledger import ledger
from clawswarm.console.ledger import report as report_period
from clawswarm.console.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from clawswarm.console.sandbox import sandbox
from clawswarm.egress.proxies import forget_proxies
from clawswarm.model.errors import ClawFault

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="OpenClaw Swarm: eleven agents make markets on a simulated Polymarket.",
)
app.command()(sandbox)
app.add_typer(lab, name="lab")
app.add_typer(ledger, name="ledger")
app.command("report")(report_period)


@app.command()
def up(
    mode: Annotated[str | None, typer.Option(help="Only `sandbox` so far; must agree with the file.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    for_s: Annotated[
        float | None, typer.Option("--for", min=1.0, help="Stop this many seconds after all agents are up.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report here as JSON.")] = None,
) -> None:
    """Start the swarm and run it until Ctrl-C, --for, or the end of the recordings."""
    from clawswarm.console.swarm_run import run_swarm
    from clawswarm.runtime.configuration import load_configuration

    configuration = load_configuration(config)
    if mode is not None and mode != configuration.mode:
        raise typer.BadParameter(f"{config} is for mode {configuration.mode}, not {mode}")
    if (failure := run_swarm(configuration, config, for_s, report)) is not None:
        _say(failure)
        raise typer.Exit(EXIT_FAILED)


@app.command()
def status(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Show the state of the running swarm and of each agent."""
    _show(config, "status", as_json)


@app.command()
def halt(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Cancel every order and place none; returns when the venue has confirmed."""
    _show(config, "halt", as_json)


@app.command()
def resume(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Lift a halt."""
    _show(config, "resume", as_json)


def _show(config: Path, command: str, as_json: bool) -> None:
    from clawswarm.runtime.configuration import load_configuration
    from clawswarm.runtime.control import ask

    configuration = load_configuration(config)
    swarm = asyncio.run(ask(Path(configuration.state_dir), command))
    if as_json:
        print(msgspec.json.encode(swarm).decode())
        return
    from clawswarm.console.view import show_status

    show_status(swarm)


def _say(sentence: str) -> None:
    print(f"claw: {sentence}", file=sys.stderr)


def main() -> None:
    """Entry point of the command `claw`."""
    if ignored := forget_proxies(os.environ):
        _say(
            f"{', '.join(ignored)} of the environment is ignored: requests leave over this machine's own address"
        )
    try:
        app()
    except ClawFault as fault:
        _say(str(fault))
        sys.exit(EXIT_BAD_INPUT)
    except BrokenPipeError:
        # Python flushes stdout once more at its end; with nobody reading that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
