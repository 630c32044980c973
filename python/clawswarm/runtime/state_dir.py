"""The state directory: one swarm at a time, one folder a run, and the address of the running supervisor.

STATE/lock          held by the running supervisor
STATE/control.json  where it listens
STATE/runs/N/       configuration, journals, logs of run N (the newest KEPT_RUNS are kept)
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Annotated

import msgspec

from clawswarm.model.errors import UserFault

KEPT_RUNS = 10
# A Unix socket's path has at most 107 bytes; no name of one here is longer than 32.
LONGEST_FOLDER = 107 - 32


class ControlAddress(msgspec.Struct, frozen=True):
    """Where a running supervisor listens."""

    pid: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    socket: str


class StateDir:
    """A state directory held by this process."""

    def __init__(self, path: Path) -> None:
        """Take the directory. Raises UserFault when it cannot be made or another swarm holds it."""
        _check_temporary_folder()
        self.path = path
        self._lock: IO[str] | None = None
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = (path / "lock").open("a+")
        except OSError as fault:
            raise UserFault(
                f"cannot use the state directory {path} ({fault.strerror}); choose another state_dir"
            ) from fault
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            lock.close()
            raise UserFault(
                f"a swarm is already running in {path}; stop it first or give another state_dir"
            ) from fault
        self._lock = lock
        self.socket_dir = Path(tempfile.mkdtemp(prefix="claw-"))

    def new_run(self) -> Path:
        """A fresh folder for this run; old ones beyond KEPT_RUNS go."""
        runs = self.path / "runs"
        runs.mkdir(exist_ok=True)
        numbers = sorted(int(entry.name) for entry in runs.iterdir() if entry.name.isdigit())
        for old in numbers[: -(KEPT_RUNS - 1)]:
            shutil.rmtree(runs / str(old))
        fresh = runs / str(numbers[-1] + 1 if numbers else 1)
        (fresh / "logs").mkdir(parents=True)
        return fresh

    def announce(self, socket: Path) -> None:
        """Publish where the supervisor listens."""
        address = ControlAddress(os.getpid(), str(socket))
        (self.path / "control.json").write_bytes(msgspec.json.encode(address))

    def release(self) -> None:
        """Let go of the directory and remove the sockets."""
        (self.path / "control.json").unlink(missing_ok=True)
        shutil.rmtree(self.socket_dir, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()


def _check_temporary_folder() -> None:
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) + len("/claw-12345678/") > LONGEST_FOLDER:
        raise UserFault(
            f"the temporary folder {folder} has too long a name for sockets; set a shorter one: TMPDIR=/tmp"
        )


def find_control(state_dir: Path) -> ControlAddress:
    """Address of the swarm running in `state_dir`. Raises UserFault when none runs there."""
    try:
        address = msgspec.json.decode((state_dir / "control.json").read_bytes(), type=ControlAddress)
        os.kill(address.pid, 0)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise no_swarm(state_dir) from fault
    return address


def no_swarm(state_dir: Path) -> UserFault:
    """What there is to say where none runs."""
    return UserFault(f"no swarm is running in {state_dir}; start one with `claw up`")


def find_run(state_dir: Path, number: int | None) -> Path:
    """Folder of a run, the newest without a number. Raises UserFault when there is none."""
    runs = state_dir / "runs"
    numbers = (
        sorted(int(entry.name) for entry in runs.iterdir() if entry.name.isdigit()) if runs.is_dir() else []
    )
    if not numbers:
        raise UserFault(f"no swarm ever ran in {state_dir}; start one with `claw up`")
    if number is not None and number not in numbers:
        kept = ", ".join(map(str, numbers))
        raise UserFault(f"there is no run {number} in {state_dir}; kept are: {kept}")
    return runs / str(numbers[-1] if number is None else number)
