"""The supervisor's control socket: `claw status`, `claw halt`, `claw resume`.

One line in (the command), one JSON line out (the status after it), then the connection closes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from clawswarm.model.errors import UserFault, WireFault
from clawswarm.model.messages import BudgetState
from clawswarm.runtime.state_dir import find_control, no_swarm

COMMANDS = frozenset({"status", "halt", "resume"})


class AgentStatus(msgspec.Struct, frozen=True):
    """One agent or service; `pid` and `age_s` are null while it is not running."""

    name: str
    kind: str
    pid: int | None
    state: str
    age_s: float | None
    restarts: int


class SwarmStatus(msgspec.Struct, frozen=True):
    """What `claw status --json` prints.

    `trading` is what the orchestrator lets the swarm do (normal, cautious, reduce_only, halted) and `causes` why;
    `route` is the engine's way to the venue, `budget` its use of the venue's limits. Null before the first word.
    """

    state: str
    trading: str | None
    causes: tuple[str, ...]
    route: str | None
    agents: tuple[AgentStatus, ...]
    services: tuple[AgentStatus, ...]
    budget: BudgetState | None = None


class ControlServer:
    """Listens on a Unix socket; `handle` carries out a command."""

    def __init__(self, path: Path, handle: Callable[[str], Awaitable[SwarmStatus]]) -> None:
        self.path, self._handle = path, handle
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command = (await reader.readline()).decode(errors="replace").strip()
        if command in COMMANDS:
            writer.write(msgspec.json.encode(await self._handle(command)) + b"\n")
            await writer.drain()
        writer.close()


async def ask(state_dir: Path, command: str, timeout_s: float = 30.0) -> SwarmStatus:
    """Send one command to the swarm of `state_dir`. Raises UserFault when none answers."""
    address = find_control(state_dir)
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(address.socket)
            writer.write(command.encode() + b"\n")
            line = await reader.readline()
            writer.close()
    except (FileNotFoundError, ConnectionRefusedError) as fault:
        # Killed before it could take its address away; by now the process may be anybody's.
        raise no_swarm(state_dir) from fault
    except (OSError, TimeoutError) as fault:
        raise UserFault(
            f"the swarm in {state_dir} (process {address.pid}) does not answer; look at its logs, or end it"
        ) from fault
    try:
        return msgspec.json.decode(line, type=SwarmStatus)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise WireFault(f"the swarm in {state_dir} answered {line[:80]!r}") from fault
