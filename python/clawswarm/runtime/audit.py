"""The venue's word about the account of a run, for `claw ledger verify`: a process of its own.

It trusts the run's own venue, which a process can only decide before it loads a client.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec

from clawswarm.model.errors import ClawFault, UserFault
from clawswarm.model.positions import AccountBalances
from clawswarm.runtime.configuration import load_configuration
from clawswarm.runtime.roster import RunPlace
from clawswarm.runtime.wiring import Wiring

TIMEOUT_S = 60.0


def venue_balances(run_dir: Path) -> AccountBalances | None:
    """Balances of a run's account, None where its key is not at hand. Raises UserFault when nobody answers."""
    command = [sys.executable, "-m", "clawswarm.runtime.audit", str(run_dir / "place.json")]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as fault:
        raise UserFault("the venue does not answer; try again, or stop the swarm first") from fault
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise UserFault(f"the venue cannot be asked ({reason}); try again, or stop the swarm first")
    return msgspec.json.decode(done.stdout, type=AccountBalances | None)


def main() -> None:
    """Print the balances as JSON."""
    place = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=RunPlace)
    wiring = Wiring(place, load_configuration(Path(place.config)))
    wiring.trust_venue()
    try:
        print(msgspec.json.encode(asyncio.run(wiring.venue_balances())).decode())
    except ClawFault as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
