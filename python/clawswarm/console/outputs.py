"""Where results go, asked for before the work that makes them; and the signals that end a command in order."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from clawswarm.model.errors import UserFault


def require_writable(path: Path, option: str, makes_folder: bool = False) -> None:
    """Raises UserFault, naming the option, when a file cannot be written there; what stands there stays."""
    try:
        if makes_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as fault:
        raise UserFault(f"cannot write {path} ({fault.strerror}); give another {option}") from fault


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` at Ctrl-C, SIGTERM and a terminal that closes, unless `nohup` said that this is no reason."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, stop)
