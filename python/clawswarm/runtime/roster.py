"""Who is in the swarm: names and kinds of its processes."""

import msgspec

SUPERVISOR = "claw"
ENGINE = "engine"
GUARD = "guard"
SANDBOX = "sandbox"
QUOTERS = tuple(f"quoter-{n}" for n in range(1, 7))
SENTINELS = tuple(f"sentinel-{n}" for n in range(1, 3))
RISK_MANAGERS = tuple(f"risk-manager-{n}" for n in range(1, 3))
ORCHESTRATOR = "orchestrator"
AGENTS = (ORCHESTRATOR, *SENTINELS, *QUOTERS, *RISK_MANAGERS)
BUS_PEERS = (SUPERVISOR, ENGINE, *AGENTS)
SERVICES = (ENGINE, GUARD)
AGENT_KINDS = ("orchestrator", "sentinel", "quoter", "risk_manager")


def kind_of(name: str) -> str:
    """Kind of a process by its name ("quoter-3" → "quoter")."""
    return name.rstrip("0123456789").rstrip("-").replace("-", "_")


class RunPlace(msgspec.Struct, frozen=True):
    """Where one run of the swarm lives on this machine; the supervisor writes it, every child reads it."""

    config: str
    run_dir: str
    socket_dir: str
