"""The passphrase of a keystore: from the terminal or a descriptor into memory, and over a pipe to the engine.

It never stands in a file, an argument or the environment, and this type does not print it.
"""

import getpass
import os
import sys
from pathlib import Path

from clawswarm.model.errors import UserFault
from clawswarm.runtime.engine import EngineSettings

VARIABLE = "CLAW_PASSPHRASE_FD"
MAX_BYTES = 1_024


class Passphrase:
    """A passphrase that does not print."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Passphrase(…)"

    def pipe(self) -> int:
        """Read end of a pipe that holds it once; whoever is given it reads it to the end, the caller closes it."""
        reading, writing = os.pipe()
        # No longer than what a pipe holds, so that this never waits.
        os.write(writing, self._text)
        os.close(writing)
        return reading


def ask_passphrase(settings: EngineSettings) -> Passphrase | None:
    """The passphrase of the configured keystore, None without one. Raises UserFault when it cannot be had."""
    if settings.keystore is None:
        return None
    path = Path(settings.keystore)
    if not path.is_file():
        raise UserFault(f"there is no keystore {path}; name an Ethereum keystore file in [engine] keystore")
    if settings.passphrase_fd is not None:
        text = _read_descriptor(settings.passphrase_fd)
    elif sys.stdin.isatty():
        text = getpass.getpass(f"passphrase of {path}: ").encode()
    else:
        raise UserFault(
            f"the keystore {path} needs its passphrase; start in a terminal, or set [engine] passphrase_fd"
        )
    if not 0 < len(text) <= MAX_BYTES:
        raise UserFault(f"the passphrase of {path} must have 1 to {MAX_BYTES} bytes")
    return Passphrase(text)


def _read_descriptor(descriptor: int) -> bytes:
    try:
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MAX_BYTES + 2).rstrip(b"\r\n")
    except OSError as fault:
        raise UserFault(
            f"descriptor {descriptor} of [engine] passphrase_fd cannot be read ({fault.strerror}); "
            f"start with e.g. `claw up {descriptor}<FILE`"
        ) from fault
