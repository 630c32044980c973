"""A child process as the supervisor sees it."""

import asyncio
import os
import socket
import sys
from pathlib import Path

from clawswarm.kernel.clock import SystemClock
from clawswarm.runtime.children import Child, ChildPlace, ChildState


def test_a_child_may_be_ready_before_its_birth_is_noticed(socket_dir: Path, tmp_path: Path) -> None:
    """A service in Rust says READY within milliseconds, sooner than a busy supervisor hears that it runs."""

    async def story() -> None:
        child = Child("quick", [sys.executable, "-c", ""], ChildPlace(socket_dir, tmp_path), SystemClock())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as early:
            early.sendto(b"READY=1", str(socket_dir / "quick.notify"))
        lifeline, other_end = os.pipe()
        await child.spawn(lifeline)
        os.close(lifeline)
        os.close(other_end)
        await asyncio.wait_for(child.ready.wait(), 60)
        assert child.state is ChildState.RUNNING
        assert await child.wait() == 0
        child.close()

    asyncio.run(story())


def test_a_child_that_was_killed_for_its_silence_says_so(socket_dir: Path, tmp_path: Path) -> None:
    async def story() -> None:
        command = [sys.executable, "-c", "import time; time.sleep(3600)"]
        child = Child("silent", command, ChildPlace(socket_dir, tmp_path), SystemClock())
        lifeline, other_end = os.pipe()
        await child.spawn(lifeline)
        child.kill_hung(3.0)
        code = await child.wait()
        assert child.cause(code) == "silent for 3 s, killed"
        assert child.explain(code).startswith("silent was silent for 3 s and was killed; its log is ")
        await child.spawn(lifeline)
        child.kill()
        assert child.cause(await child.wait()) == "signal 9"
        os.close(lifeline)
        os.close(other_end)
        child.close()

    asyncio.run(story())
