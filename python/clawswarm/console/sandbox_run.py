"""Runs the sandbox server alone, until SIGINT or SIGTERM, and says where everything is."""

import asyncio
import ssl
import tempfile
from contextlib import ExitStack
from pathlib import Path

import uvloop
from rich.console import Console

from clawswarm.console.outputs import require_writable, stop_on_signals
from clawswarm.kernel.clock import SystemClock
from clawswarm.sandbox.certificates import make_tls_context
from clawswarm.sandbox.ready import Ready, describe, open_test_accounts, write_ready_file
from clawswarm.sandbox.server import SandboxServer, collect_seldom
from clawswarm.sandbox.settings import CA_FILE, SandboxSettings


def serve_alone(settings: SandboxSettings, is_tls: bool, ready_file: Path | None) -> None:
    """Serve until a signal. Raises UserFault for a taken port, missing recordings, an unwritable file."""
    if ready_file is not None:
        require_writable(ready_file, "--ready-file")
        # Whoever waits for the file must not see the last run's.
        ready_file.unlink(missing_ok=True)
    with ExitStack() as opened:
        ca_cert, context = None, None
        if is_tls:
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="claw-sandbox-")))
            context = make_tls_context(folder, SystemClock().wall_ms())
            ca_cert = folder / CA_FILE
        uvloop.run(_serve(settings, context, ca_cert, ready_file))


async def _serve(
    settings: SandboxSettings, tls: ssl.SSLContext | None, ca_cert: Path | None, ready_file: Path | None
) -> None:
    stop, clock = asyncio.Event(), SystemClock()
    stop_on_signals(stop.set)
    server = SandboxServer(settings, clock.now_ns, clock.wall_ms, tls)
    accounts = open_test_accounts(server, settings.seed)
    await server.start()
    collect_seldom()
    try:
        ready = describe(server, accounts, settings.host, ca_cert)
        if ready_file is not None:
            write_ready_file(ready_file, ready)
        _show(ready, ready_file)
        await server.run_until(stop)
    finally:
        await server.close()


def _show(ready: Ready, ready_file: Path | None) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"simulated Polymarket   {ready.clob}   ({len(ready.markets)} markets)")
    console.print(f"streams                {ready.ws_market}   {ready.ws_user}")
    console.print(f"faults and truth       {ready.control}")
    if ready.ca_cert is not None:
        console.print(f"trust this authority   {ready.ca_cert}   (SSL_CERT_FILE for most clients)")
    where = "--ready-file FILE shows them" if ready_file is None else f"in {ready_file}"
    console.print(f"test accounts          {len(ready.accounts)}, with markets {where}")
    console.print("Ctrl-C ends it.")
