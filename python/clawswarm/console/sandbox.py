"""`claw sandbox`: the simulated Polymarket alone, for people who want one to test their own programs on.

The venue is imported when it is served: the other commands start without it.
"""

from pathlib import Path
from typing import Annotated

import typer

from clawswarm.model.errors import UserFault

_HIGHEST_PORT = 65_535


def sandbox(
    data: Annotated[Path, typer.Option(help="Folder of recordings to replay.")] = Path("data/sample"),
    seed: Annotated[int, typer.Option(help="Decides ids, test accounts and everything random.")] = 1,
    speed: Annotated[float, typer.Option(min=0.01, max=1000, help="Play recordings this much faster.")] = 1.0,
    port: Annotated[
        int, typer.Option(min=0, max=_HIGHEST_PORT, help="Of the venue; 0 takes a free one.")
    ] = 8880,
    control_port: Annotated[
        int, typer.Option(min=0, max=_HIGHEST_PORT, help="Of the fault control; 0 takes a free one.")
    ] = 8881,
    tls: Annotated[bool, typer.Option("--tls", help="https and wss, with a certificate of its own.")] = False,
    takers: Annotated[bool, typer.Option("--takers/--no-takers", help="Synthetic takers trade.")] = True,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write addresses, markets and test accounts here as JSON.")
    ] = None,
) -> None:
    """Serve the simulated Polymarket alone until Ctrl-C."""
    from clawswarm.console.sandbox_run import serve_alone
    from clawswarm.sandbox.settings import SandboxSettings

    if port == control_port and port:
        raise UserFault(f"--port and --control-port are both {port}; they must differ")
    settings = SandboxSettings(
        data=str(data), port=port, control_port=control_port, seed=seed, speed=speed, takers=takers
    )
    serve_alone(settings, tls, ready_file)
