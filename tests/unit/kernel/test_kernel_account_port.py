"""The orchestrator's door to its engine: one question, one answer; every other end is a reason to try again."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from clawswarm.kernel.account_port import AccountPort
from clawswarm.kernel.engine_port import read_frame, send_frame
from clawswarm.model.errors import Retry
from clawswarm.model.messages import AccountOpened, BatchSigned, OpenAccount, SignBatch
from clawswarm.model.positions import Unwinding, UnwindingKind

ACCOUNT = AccountOpened(
    address="0x1",
    wallet="0x2",
    signature_type=3,
    api_key="key",
    secret="hidden",
    passphrase="hidden",
    venue_ms=1_700_000_000_000,
    venue_at_ns=5,
)
MERGE = Unwinding(UnwindingKind.MERGE, "0x" + "5f" * 32, False, 7, 7, 7, 7)
Answer = Callable[[bytes, asyncio.StreamWriter], None]


def played(path: Path, answer: Answer, scene: Callable[[AccountPort], Awaitable[None]]) -> None:
    """A port that answers each frame in some way, and a client of term 4."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frame = await read_frame(reader)
        if frame is not None:
            answer(frame, writer)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_unix_server(serve, path=path):
            await scene(AccountPort(path, 4))

    asyncio.run(asyncio.wait_for(run(), timeout=30))


def test_a_question_and_its_answer(tmp_path: Path) -> None:
    asked: list[object] = []

    def answer(frame: bytes, writer: asyncio.StreamWriter) -> None:
        request = msgspec.msgpack.decode(frame, type=OpenAccount | SignBatch)
        asked.append(request)
        is_open = isinstance(request, OpenAccount)
        send_frame(writer, ACCOUNT if is_open else BatchSigned(signature="0xab", refused=None))

    async def scene(port: AccountPort) -> None:
        assert await port.open_account() == ACCOUNT
        assert await port.sign(9, 1_700_000_600, [MERGE]) == "0xab"

    played(tmp_path / "port", answer, scene)
    assert asked == [OpenAccount(), SignBatch(term=4, nonce=9, deadline_s=1_700_000_600, calls=(MERGE,))]
    assert "hidden" not in repr(ACCOUNT)


def refuse(_frame: bytes, writer: asyncio.StreamWriter) -> None:
    send_frame(writer, BatchSigned(signature=None, refused="they were not taken off sale"))


def babble(_frame: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x03\x00\x00\x00???")


def other(_frame: bytes, writer: asyncio.StreamWriter) -> None:
    send_frame(writer, ACCOUNT)


def silent(_frame: bytes, _writer: asyncio.StreamWriter) -> None:
    """Close without a word."""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refuse, "off sale"),
        (babble, "no BatchSigned"),
        (other, "no BatchSigned"),
        (silent, "closed its port"),
    ],
)
def test_without_a_signature_the_batch_waits(tmp_path: Path, answer: Answer, words: str) -> None:
    async def scene(port: AccountPort) -> None:
        with pytest.raises(Retry, match=words):
            await port.sign(0, 0, [MERGE])

    played(tmp_path / "port", answer, scene)


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Retry, match="does not answer"):
        asyncio.run(AccountPort(tmp_path / "nowhere", 1).open_account())
