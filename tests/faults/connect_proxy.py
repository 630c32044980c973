"""A CONNECT proxy on loopback, in threads: what an operator's own server on another address would be."""

import select
import socket
import socketserver
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK = 65_536


class ConnectProxy(socketserver.ThreadingTCPServer):
    """Carries whoever knows its password, unless it refuses or hears nobody; counts whom it has carried."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, is_refusing: bool = False, password: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.is_refusing = is_refusing
        self.is_silent = False
        self.password = password
        self.carried = 0

    def knows(self, head: bytes) -> bool:
        """Whether a request may be carried."""
        if self.password is None:
            return not self.is_refusing
        wanted = b"Proxy-Authorization: Basic " + b64encode(self.password.encode())
        return not self.is_refusing and wanted in head.split(b"\r\n")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        proxy: ConnectProxy = self.server  # type: ignore[assignment]
        near: socket.socket = self.request
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (part := near.recv(1)):
                return
            head += part
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        while proxy.is_silent:
            time.sleep(0.01)
        if method != "CONNECT" or not proxy.knows(head):
            near.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as far:
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            proxy.carried += 1
            while True:
                for ready in select.select([near, far], [], [], 0.01)[0]:
                    if proxy.is_silent:
                        time.sleep(0.01)
                        continue
                    try:
                        data = ready.recv(CHUNK)
                        (far if ready is near else near).sendall(data)
                    except OSError:
                        return
                    if not data:
                        return


@contextmanager
def connect_proxy(is_refusing: bool = False, password: str | None = None) -> Iterator[ConnectProxy]:
    """One that serves until the end of the context."""
    with ConnectProxy(is_refusing, password) as proxy:
        serving = threading.Thread(target=proxy.serve_forever, daemon=True)
        serving.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            serving.join()
