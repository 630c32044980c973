"""Ports of loopback for servers that are started as processes of their own."""

import itertools
import os
import socket
from contextlib import suppress

# Below the ports that the kernel gives to connections: what is free stays free until the server is up.
_FIRST, _COUNT = 10_000, 20_000
_candidates = itertools.count(os.getpid() * 61)


def free_ports(count: int) -> list[int]:
    """So many ports that are free now; two processes that ask at once begin far apart."""
    ports: list[int] = []
    while len(ports) < count:
        port = _FIRST + next(_candidates) % _COUNT
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    return ports
