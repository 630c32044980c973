"""HTTP as bytes: requests that a client library would not send, pipelined over keep-alive connections."""

import asyncio
from dataclasses import dataclass, field

PIPELINE = 40
LIMIT_S = 30


@dataclass(frozen=True)
class Case:
    """One request and what must come back."""

    method: str
    target: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_legs: bool = False

    def bytes(self) -> bytes:
        """The request as it goes over the wire."""
        head = [f"{self.method} {self.target} HTTP/1.1", "Host: 127.0.0.1"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body or self.method in ("POST", "DELETE"):
            head += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*head, "", ""]).encode("latin-1") + self.body


class RawConnection:
    """A keep-alive connection that pipelines; opens another one when the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.opened = 0

    async def send(self, cases: list[Case]) -> list[tuple[int, str, bytes]]:
        """Send all the requests, then read as many answers: status (0 for a hang-up), content type, body."""
        answers: list[tuple[int, str, bytes]] = []
        async with asyncio.timeout(LIMIT_S):
            while len(answers) < len(cases):
                reader = await self._write(cases[len(answers) :])
                try:
                    while len(answers) < len(cases):
                        answers.append(await self._answer(reader))
                except (asyncio.IncompleteReadError, ConnectionError):
                    answers.append((0, "", b"connection closed"))
                    await self.close()
        return answers

    async def _write(self, cases: list[Case]) -> asyncio.StreamReader:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self.opened += 1
        self._writer.write(b"".join(case.bytes() for case in cases))
        return self._reader

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, str, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        first, *lines = head.rstrip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return int(first.split(" ")[1]), headers.get("content-type", ""), body

    async def close(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()
            await self._writer.wait_closed()
        self._reader = self._writer = None
