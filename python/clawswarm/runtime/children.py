"""One child process: spawned in its own session, watched through sd_notify, killed when it hangs."""

import asyncio
import os
import socket
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog

from clawswarm.kernel.clock import NS_PER_S, Clock
from clawswarm.kernel.process import EXIT_BAD_INPUT, LIFELINE_VARIABLE
from clawswarm.kernel.silence import Silence
from clawswarm.runtime.passphrase import VARIABLE, Passphrase

log = structlog.get_logger()


class ChildState(StrEnum):
    """Where a child stands."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    STOPPED = "stopped"


class ChildPlace(msgspec.Struct, frozen=True):
    """Where a child's notify socket and its log are."""

    socket_dir: Path
    log_dir: Path


class Child:
    """A child process and what it has said about itself."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        place: ChildPlace,
        clock: Clock,
        passphrase: Passphrase | None = None,
    ) -> None:
        self.name, self._passphrase = name, passphrase
        self._command, self.log_path, self._clock = command, place.log_dir / f"{name}.log", clock
        self._address = place.socket_dir / f"{name}.notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self._address))
        asyncio.get_running_loop().add_reader(self._socket, self._notified)
        self._process: asyncio.subprocess.Process | None = None
        self.state = ChildState.WAITING
        self.status: str | None = None
        self.restarts = 0
        self._silent_s: float | None = None
        self.starts_ns: list[int] = []
        self.silence = Silence(clock.now_ns())
        self.ready = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Process id while it lives."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process is not None else None

    def age_s(self, now_ns: int) -> float | None:
        """Seconds since the present process was started."""
        return (now_ns - self.starts_ns[-1]) / NS_PER_S if self.starts_ns and self.pid else None

    async def spawn(self, lifeline: int) -> None:
        """Start the process; `lifeline` is the read end of the pipe whose other end only we hold."""
        passphrase = () if self._passphrase is None else (self._passphrase.pipe(),)
        try:
            await self._spawn(lifeline, passphrase)
        finally:
            for descriptor in passphrase:
                os.close(descriptor)

    async def _spawn(self, lifeline: int, passphrase: tuple[int, ...]) -> None:
        self.ready.clear()
        self.status, self._silent_s = None, None
        # Before it is born: a quick child says that it is ready while this still waits for its process.
        self.state = ChildState.STARTING
        self.silence = Silence(self._clock.now_ns())
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(self._address),
            LIFELINE_VARIABLE: str(lifeline),
        }
        for descriptor in passphrase:
            environment[VARIABLE] = str(descriptor)
        with self.log_path.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=environment,
                pass_fds=(lifeline, *passphrase),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C belongs to the supervisor alone: it stops the others in order.
                start_new_session=True,
            )
        self.starts_ns.append(self._clock.now_ns())

    async def wait(self) -> int:
        """Exit code of the present process (negative: the signal that ended it)."""
        return await self._process.wait() if self._process is not None else 0

    def terminate(self) -> None:
        """Ask it to end in order."""
        if self._process is not None and self.pid is not None:
            self.state = ChildState.STOPPING
            self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self.pid is not None:
            self._process.kill()

    def kill_hung(self, silent_s: float) -> None:
        """End it at once because it has said nothing for that long."""
        self._silent_s = silent_s
        self.kill()

    def cause(self, code: int) -> str:
        """Why it ended, in short."""
        if self._silent_s is not None:
            return f"silent for {self._silent_s:g} s, killed"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def explain(self, code: int) -> str:
        """One sentence on why it ended."""
        if self.status is not None:
            return self.status
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        if self._silent_s is not None:
            how = f"was silent for {self._silent_s:g} s and was killed"
        return f"{self.name} {how}; its log is {self.log_path}"

    def is_bad_input(self, code: int) -> bool:
        """Whether only the user can mend it."""
        return code == EXIT_BAD_INPUT

    def close(self) -> None:
        """Give up the notify socket."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _notified(self) -> None:
        while True:
            try:
                text = self._socket.recv(4096).decode(errors="replace")
            except BlockingIOError:
                return
            self.silence.hear(self._clock.now_ns())
            for line in text.splitlines():
                key, _, value = line.partition("=")
                if key == "READY" and self.state is ChildState.STARTING:
                    self.state = ChildState.RUNNING
                    self.ready.set()
                elif key == "STATUS":
                    self.status = value
