"""A folder in memory for as long as a simulation lasts: no record of its ledgers waits for a disk.

Its process holds a lock on it while it lives, however it ends; the next simulation clears what nobody holds.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = "claw-simulation-"
_MEMORY = Path("/dev/shm")


@contextmanager
def folder_in_memory(place: Path | None = None) -> Iterator[Path]:
    """A fresh folder, gone at the end; below `place`, or where memory serves as a disk."""
    if place is None:
        place = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for left in place.glob(f"{_NAME}*"):
        _clear(left)
    made = Path(tempfile.mkdtemp(dir=place))
    with _held(made):
        # Only now by the name that others look for: they never meet it without its lock.
        folder = made.rename(place / f"{_NAME}{made.name}")
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def _clear(left: Path) -> None:
    try:
        with _held(left):
            shutil.rmtree(left)
    except OSError:
        return  # held by a simulation that runs, somebody else's, or gone already


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """With a lock that ends with this process. Raises OSError when another one has it."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)
