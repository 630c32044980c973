"""The bare loopback socket round trip, as a process of its own: `python -m benchmarks.loopback_peer N PACE_S`.

Two processes, blocking sockets, 1,000 bytes there and back, nothing else; paced, so that it meets the machine in
the same state (idle cores, cold caches) as the path beside which it is measured. Prints a JSON list of µs.
"""

import json
import os
import socket
import sys
import time

SIZE = 1_000


def echo(server: socket.socket) -> None:
    """Send everything back."""
    near, _ = server.accept()
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := near.recv(65_536):
        near.sendall(data)


def round_trips(port: int, count: int, pace_s: float) -> list[float]:
    """µs of each."""
    took = []
    with socket.create_connection(("127.0.0.1", port)) as near:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = bytes(SIZE)
        for _ in range(count):
            time.sleep(pace_s)
            began, heard = time.perf_counter_ns(), 0
            near.sendall(sent)
            while heard < SIZE:
                heard += len(near.recv(65_536))
            took.append((time.perf_counter_ns() - began) / 1_000)
    return took


def main() -> None:
    """Entry point."""
    server = socket.create_server(("127.0.0.1", 0))
    if os.fork() == 0:
        echo(server)
        os._exit(0)
    print(json.dumps(round_trips(server.getsockname()[1], int(sys.argv[1]), float(sys.argv[2]))))
    os.wait()


if __name__ == "__main__":
    main()
