"""`claw lab …`: simulate the swarm, judge strategies on recordings, make recordings, show the calibration."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from clawswarm.console.outputs import require_writable
from clawswarm.model.errors import UserFault

SAMPLE = Path("data/sample")
LARGEST_SEED = 2**32 - 1

lab = typer.Typer(
    no_args_is_help=True, help="Simulate the swarm, judge strategies on recordings, make recordings."
)


@lab.command()
def compare(
    candidate: Annotated[
        str | None, typer.Option(help="FILE.py:Class or package.module:Class; the swarm's own when left out.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder of recordings to compare on.")] = SAMPLE,
    tune: Annotated[Path, typer.Option(help="Folder of recordings every strategy is tuned on.")] = SAMPLE,
    seeds: Annotated[int, typer.Option(min=1, help="Paired seeds for each recording.")] = 10,
    partial: Annotated[
        bool, typer.Option("--partial", help="Run recordings of the touch alone, marked.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 is one a core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page here.")] = None,
) -> None:
    """Compare a candidate with the baselines: same flow, money, budget and parameter search."""
    import msgspec

    from clawswarm.lab.baselines import SWARM_QUOTER
    from clawswarm.lab.compare import Request
    from clawswarm.lab.compare import compare as run
    from clawswarm.lab.page import page, table

    if html is not None:
        require_writable(html, "--html")
    request = Request(
        candidate=candidate or SWARM_QUOTER,
        data=data,
        tune=tune,
        seeds=seeds,
        allow_partial=partial,
        workers=workers,
    )
    found = run(request, _tell)
    if html is not None:
        html.write_text(page(found), encoding="utf-8")
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        print(table(found))


@lab.command()
def simulate(
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="Of everything that is left to chance.")
    ] = 1,
    hours: Annotated[float, typer.Option(min=0.01, max=8_760, help="Virtual hours.")] = 1.0,
    faults: Annotated[
        str, typer.Option(help="What goes wrong: none, network, venue, processes, operator, all, storm.")
    ] = "all",
    config: Annotated[Path, typer.Option(help="Whose agents' settings; money and sizes are its own.")] = Path(
        "config/sandbox.toml"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run the whole swarm on virtual time; the same seed does the same. Exit code 1: an invariant was broken."""
    import msgspec

    from clawswarm.lab.simulation.faults import PROFILES
    from clawswarm.lab.simulation.outcome import table
    from clawswarm.lab.simulation.swarm import Simulated
    from clawswarm.lab.simulation.swarm import simulate as run
    from clawswarm.runtime.configuration import load_configuration

    if faults not in PROFILES:
        raise UserFault(f"--faults {faults} is unknown: choose one of {', '.join(PROFILES)}")
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of a set of strings is part of what happens.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {"PYTHONHASHSEED": "0"})
    asked = msgspec.convert({"seed": seed, "hours": hours, "profile": faults}, Simulated)
    outcome = run(asked, load_configuration(config), tell=_tell)
    print(msgspec.json.encode(outcome).decode() if as_json else table(outcome))
    if outcome.invariants_broken:
        raise typer.Exit(1)


@lab.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Folder of one source, or of several.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the recordings.")],
    seed: Annotated[int, typer.Option(help="Of the synthetic streams.")] = 1,
    coalesce_ms: Annotated[int, typer.Option(min=1, help="At most one book change in this time.")] = 100,
) -> None:
    """Turn recorded sources into recordings of the project; what cannot be read is named and skipped."""
    from clawswarm.lab.convert import convert_all

    convert_all(source, out, None, seed, coalesce_ms)


@lab.command()
def calibrate(
    markets: Annotated[int, typer.Option(min=1, help="Simulated markets to measure.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every figure of the simulated market beside the recorded one, matched or not."""
    import msgspec

    from clawswarm.lab.calibration import calibrate as measure
    from clawswarm.lab.calibration import table

    figures = measure(markets)
    if as_json:
        shown = [msgspec.structs.asdict(f) | {"is_matched": f.is_matched} for f in figures]
        print(msgspec.json.encode(shown).decode())
    else:
        print(table(figures))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
