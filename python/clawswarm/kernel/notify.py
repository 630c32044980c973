"""The sd_notify protocol, client side: a datagram to $NOTIFY_SOCKET, a no-op without one.

Works under systemd and under runtime/supervisor.py alike. Source: sd_notify(3).
"""

import os
import socket


class Notifier:
    """Tells the supervisor about this process."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address if address is not None else os.environ.get("NOTIFY_SOCKET")
        self._socket: socket.socket | None = None
        if self._address:
            # A supervisor that reads no more must not stop its children: their pulses are dropped instead.
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def ready(self) -> None:
        """Start-up is complete."""
        self._send("READY=1")

    def alive(self) -> None:
        """The work loop has checked its own invariants and goes on."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Orderly shutdown has begun."""
        self._send("STOPPING=1")

    def status(self, sentence: str) -> None:
        """One sentence for a person."""
        self._send("STATUS=" + sentence.replace("\n", " "))

    def _send(self, text: str) -> None:
        if self._socket is None or self._address is None:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:
            # The supervisor is gone or hangs; the lifeline tells so, and a pulse must never kill its sender.
            return
