"""`claw sandbox`: the simulated Polymarket alone, for people who want one to test their own programs on.

The venue is imported when it is served: the other commands start without it.
"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from clawswarm.model.errors import UserFault

_HIGHEST_PORT = 65_535


def sandbox(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of recordings to replay; data/sample when nothing else is asked for."),
    ] = None,
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
    series: Annotated[
        list[str] | None,
        typer.Option(help="Up/down series that rolls by itself, such as btc-5m; repeat it for more."),
    ] = None,
    standing: Annotated[
        list[str] | None,
        typer.Option(help="neg-risk: an event of several outcomes; long-dated: a market that ends in years."),
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write addresses, markets and test accounts here as JSON.")
    ] = None,
) -> None:
    """Serve the simulated Polymarket alone until Ctrl-C."""
    from clawswarm.console.sandbox_run import serve_alone
    from clawswarm.sandbox.settings import SandboxSettings

    if port == control_port and port:
        raise UserFault(f"--port and --control-port are both {port}; they must differ")
    if data is None and not series and not standing:
        data = Path("data/sample")
    facts = {
        "data": "" if data is None else str(data),
        "port": port,
        "control_port": control_port,
        "seed": seed,
        "speed": speed,
        "takers": takers,
        "series": series or [],
        "standing": standing or [],
    }
    try:
        settings = msgspec.convert(facts, SandboxSettings)
    except msgspec.ValidationError as fault:
        raise UserFault(f"{fault}: --standing is neg-risk or long-dated") from fault
    serve_alone(settings, tls, ready_file)
