"""The process shell: a real child, its signals, its lifeline, its words to the supervisor."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clawswarm.kernel.process import EXIT_BAD_INPUT, LIFELINE_VARIABLE

WAIT_S = 20

WORKS = """
async def main(process):
    process.ready()
    while await process.tick():
        pass
"""
FAILS = """
from clawswarm.model.errors import {fault}

async def main(process):
    process.ready()
    raise {fault}("the key file is missing; make one")
"""
BREAKS = """
async def main(process):
    process.ready()
    raise RuntimeError("a bug")
"""
WAITS = """
async def main(process):
    process.ready()
    await process.stopped()
    assert process.is_stopping
    process.explain("orphaned" if process.is_orphaned else "asked")
"""


class Child:
    """One child of the test and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], notify: socket.socket, lifeline: int) -> None:
        self.process, self._notify, self._lifeline = process, notify, lifeline
        self.said: list[str] = []

    def await_word(self, wanted: str) -> None:
        """Read datagrams until `wanted`."""
        while wanted not in self.said:
            self.said.append(self._notify.recv(4096).decode())

    def rest(self) -> list[str]:
        """Everything said, pulses left out, once the child has ended."""
        while select.select([self._notify], [], [], 0)[0]:
            self.said.append(self._notify.recv(4096).decode())
        return [word for word in self.said if word != "WATCHDOG=1"]

    def end(self) -> int:
        """Its exit code."""
        return self.process.wait(WAIT_S)

    def cut_lifeline(self) -> None:
        """What the death of the supervisor does."""
        os.close(self._lifeline)
        self._lifeline = -1

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)


@contextmanager
def child(folder: Path, source: str, log: Path) -> Iterator[Child]:
    """Run `main` of `source` as the process `worker`."""
    program = f"from clawswarm.kernel.process import run_process\n{source}\nrun_process('worker', main)\n"
    read_end, write_end = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(folder / "notify"))
        notify.settimeout(WAIT_S)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(folder / "notify"),
            LIFELINE_VARIABLE: str(read_end),
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", program], env=environment, pass_fds=(read_end,), stderr=output
            )
        os.close(read_end)
        running = Child(process, notify, write_end)
        try:
            yield running
        finally:
            running.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the child's standard error goes."""
    return tmp_path / "log"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(socket_dir: Path, log: Path, number: signal.Signals) -> None:
    with child(socket_dir, WORKS, log) as worker:
        worker.await_word("READY=1")
        worker.process.send_signal(number)
        assert worker.end() == 0
        assert worker.rest() == ["READY=1", "STOPPING=1"]
    assert f"cause={number.name}" in log.read_text()


def test_the_work_loop_pulses_by_itself(socket_dir: Path, log: Path) -> None:
    with child(socket_dir, WORKS, log) as worker:
        worker.await_word("READY=1")
        worker.said.clear()
        worker.await_word("WATCHDOG=1")
        worker.said.clear()
        worker.await_word("WATCHDOG=1")


def test_a_cut_lifeline_ends_it(socket_dir: Path, log: Path) -> None:
    with child(socket_dir, WAITS, log) as worker:
        worker.await_word("READY=1")
        worker.cut_lifeline()
        assert worker.end() == 0
        assert worker.rest() == ["READY=1", "STOPPING=1", "STATUS=orphaned"]


def test_a_stop_that_was_asked_for_is_no_orphaning(socket_dir: Path, log: Path) -> None:
    with child(socket_dir, WAITS, log) as worker:
        worker.await_word("READY=1")
        worker.process.terminate()
        assert worker.end() == 0
        assert worker.rest()[-1] == "STATUS=asked"


def test_what_the_user_can_mend_ends_with_its_own_code_and_one_sentence(socket_dir: Path, log: Path) -> None:
    with child(socket_dir, FAILS.format(fault="UserFault"), log) as worker:
        assert worker.end() == EXIT_BAD_INPUT == 78
        assert worker.rest() == ["READY=1", "STATUS=the key file is missing; make one"]
    assert "Traceback" not in log.read_text()


def test_a_fault_of_the_system_names_the_process(socket_dir: Path, log: Path) -> None:
    with child(socket_dir, FAILS.format(fault="OrderedGap"), log) as worker:
        assert worker.end() == 1
        assert worker.rest() == ["READY=1", "STATUS=worker: the key file is missing; make one"]
    assert "fate=OrderedGap" in log.read_text()


def test_a_bug_is_a_crash_with_its_traceback(socket_dir: Path, log: Path) -> None:
    with child(socket_dir, BREAKS, log) as worker:
        assert worker.end() == 1
    assert "RuntimeError: a bug" in log.read_text()
