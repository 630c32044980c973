"""The orchestrator's door to its engine: whose account it is, and signatures for batches of its wallet.

One question, one answer, on a connection that says no name (a named one is a quoter's, with its dead-man switch).
The key stays in the engine, which signs nothing but merges and redemptions.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from clawswarm.kernel.engine_port import read_frame, send_frame
from clawswarm.model.errors import Retry, WireFault
from clawswarm.model.messages import AccountOpened, BatchSigned, OpenAccount, SignBatch
from clawswarm.model.positions import Unwinding

TIMEOUT_S = 2.0
_Answer = TypeVar("_Answer", AccountOpened, BatchSigned)


class AccountPort:
    """Asks the engine behind a port, in the name of one term of the orchestrator."""

    def __init__(self, path: Path, term: int) -> None:
        self._path, self._term = path, term

    async def open_account(self) -> AccountOpened:
        """Whose account it is. Raises Retry while the engine is not there."""
        return await self._ask(OpenAccount(), AccountOpened)

    async def sign(self, nonce: int, deadline_s: int, batch: Sequence[Unwinding]) -> str:
        """The owner's signature of a batch, 0x and 65 bytes. Raises Retry when the engine gives none."""
        request = SignBatch(term=self._term, nonce=nonce, deadline_s=deadline_s, calls=tuple(batch))
        signed = await self._ask(request, BatchSigned)
        if signed.signature is None:
            raise Retry(f"the engine does not sign the batch: {signed.refused}")
        return signed.signature

    async def _ask(self, request: OpenAccount | SignBatch, kind: type[_Answer]) -> _Answer:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(str(self._path))
                try:
                    send_frame(writer, request)
                    frame = await read_frame(reader)
                finally:
                    writer.close()
        except (OSError, TimeoutError, WireFault) as fault:
            raise Retry(f"the engine does not answer on its port: {fault!r}") from fault
        if frame is None:
            raise Retry("the engine closed its port without an answer")
        try:
            return msgspec.msgpack.decode(frame, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            raise Retry(f"the engine's answer is no {kind.__name__}: {fault}") from fault
