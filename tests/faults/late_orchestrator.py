"""An orchestrator started beside the supervisor's own, over the same durable place: what another host would do."""

import asyncio
import sys
from pathlib import Path

import msgspec

from clawswarm.kernel.bus import ZenohBus
from clawswarm.kernel.clock import SystemClock
from clawswarm.kernel.process import Process
from clawswarm.runtime.configuration import Configuration, load_configuration
from clawswarm.runtime.roster import BUS_PEERS, ORCHESTRATOR, QUOTERS, RunPlace
from clawswarm.runtime.wiring import Wiring

NAME = "orchestrator-late"


def main(place_file: str) -> None:
    """Run until killed."""
    place = msgspec.json.decode(Path(place_file).read_bytes(), type=RunPlace)
    configuration = load_configuration(Path(place.config))
    Wiring(place, configuration).trust_venue()
    asyncio.run(run(place, configuration))


async def run(place: RunPlace, settings: Configuration) -> None:
    # It loads aiohttp, which reads the venue's authority when it is loaded.
    from clawswarm.agents.orchestrator.agent import Orchestrator, StorePlace
    from clawswarm.ledger.keeper import LedgerKeeper

    run_dir = Path(place.run_dir)
    scheme = "https" if settings.sandbox.tls else "http"
    gamma_url = f"{scheme}://{settings.sandbox.host}:{settings.sandbox.port}/gamma"
    # Not the stopped one: who would join waits for its handshake.
    peers = tuple(peer for peer in BUS_PEERS if peer != ORCHESTRATOR)
    bus = ZenohBus(NAME, (*peers, NAME), Path(place.socket_dir))
    stores = StorePlace(run_dir.parents[1] / "standing.json", run_dir / "orchestrator/record.json")
    process = Process(NAME, SystemClock())
    ledger = LedgerKeeper(run_dir, settings.ledger, process.clock)
    await Orchestrator(
        process, bus, settings.orchestrator, QUOTERS, settings.rollover, gamma_url, stores, ledger
    ).run()


if __name__ == "__main__":
    main(sys.argv[1])
