"""The shell around every child process: signals, the supervisor's lifeline, readiness and watchdog.

Exit codes: 0 stopped as asked, EXIT_BAD_INPUT the user must mend something (never restarted), else a crash.
"""

import asyncio
import errno
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import structlog
import uvloop

from clawswarm.kernel.alarm import Alarm
from clawswarm.kernel.clock import Clock, SystemClock, ns
from clawswarm.kernel.notify import Notifier
from clawswarm.model.errors import ClawFault, UserFault

EXIT_BAD_INPUT = 78
LIFELINE_VARIABLE = "CLAW_LIFELINE_FD"
TICK_S = 0.1
_PULSE_NS = ns(TICK_S)
DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})

log = structlog.get_logger()


class Process:
    """A child process as it knows itself. `wake` is what its work loop waits for, `tick_s` at most."""

    def __init__(self, name: str, clock: Clock, tick_s: float = TICK_S) -> None:
        self.name = name
        self.pid = os.getpid()
        self.clock = clock
        self._tick_s = tick_s
        self.wake = asyncio.Event()
        self._alarm = Alarm(self.wake)
        self.is_stopping = False
        self.is_orphaned = False
        self._stopped = asyncio.Event()
        self._notifier = Notifier()
        self._pulsed_ns = 0

    def ready(self) -> None:
        """Tell the supervisor that start-up is complete."""
        self._notifier.ready()

    def explain(self, sentence: str) -> None:
        """Give the supervisor one sentence for a person."""
        self._notifier.status(sentence)

    def request_stop(self, cause: str) -> None:
        """Ask this process to end in order."""
        if not self.is_stopping:
            log.info("process.stopping", name=self.name, cause=cause)
            self.is_stopping = True
            self._notifier.stopping()
            self._stopped.set()
            self.wake.set()

    async def tick(self) -> bool:
        """Wait for `wake` or one tick and tell the watchdog the loop lives; False once it should end.

        Call it from the work loop after its own checks, never from a timer: a hang must show.
        """
        if not self.wake.is_set():
            self._alarm.set(self._tick_s)
            await self.wake.wait()
            self._alarm.clear()
        self.wake.clear()
        now = self.clock.now_ns()
        if now - self._pulsed_ns >= _PULSE_NS:
            self._pulsed_ns = now
            self._notifier.alive()
        return not self.is_stopping

    async def stopped(self) -> None:
        """Return once a stop was requested."""
        await self._stopped.wait()


def run_process(name: str, main: Callable[[Process], Awaitable[None]]) -> None:
    """Run `main` as this operating-system process and exit with its code; never returns."""
    _log_to_stderr()
    sys.exit(uvloop.run(_supervised(name, main)))


async def _supervised(name: str, main: Callable[[Process], Awaitable[None]]) -> int:
    process = Process(name, SystemClock())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.request_stop, signal.Signals(number).name)
    _hold_lifeline(process, loop)
    try:
        await main(process)
    except UserFault as fault:
        process.explain(str(fault))
        log.error("process.bad_input", name=name, reason=str(fault))
        return EXIT_BAD_INPUT
    except OSError as fault:
        if fault.errno not in DISK_FAULTS:
            raise
        # Not logged: the log may lie on the same disk.
        process.explain(f"{name} cannot write ({fault.strerror}); free or repair the disk and start again")
        return EXIT_BAD_INPUT
    except ClawFault as fault:
        process.explain(f"{name}: {fault}")
        log.exception("process.failed", name=name, fate=type(fault).__name__)
        return 1
    return 0


def _hold_lifeline(process: Process, loop: asyncio.AbstractEventLoop) -> None:
    """Stop when the supervisor dies: it alone holds the other end of this pipe and never writes."""
    text = os.environ.get(LIFELINE_VARIABLE)
    if text is None:
        return
    descriptor = int(text)

    def cut() -> None:
        loop.remove_reader(descriptor)
        process.is_orphaned = True
        process.request_stop("the supervisor is gone")

    loop.add_reader(descriptor, cut)


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
