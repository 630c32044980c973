"""The state directory: one swarm at a time, old runs go, and where to find the supervisor."""

import asyncio
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawswarm.model.errors import UserFault
from clawswarm.runtime.control import ask
from clawswarm.runtime.state_dir import KEPT_RUNS, StateDir, find_control

HOLDER = """
import sys
from pathlib import Path
from clawswarm.runtime.state_dir import StateDir
state = StateDir(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDir]:
    """A state directory of this process."""
    held = StateDir(tmp_path / "state")
    yield held
    held.release()


def test_a_second_swarm_is_refused_with_its_remedy(state: StateDir) -> None:
    with pytest.raises(UserFault, match=r"already running in .*state; stop it first"):
        StateDir(state.path)


def test_a_swarm_of_another_process_holds_it_until_it_dies(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserFault, match="already running"):
            StateDir(tmp_path)
    finally:
        holder.kill()
        holder.communicate()
    StateDir(tmp_path).release()


def test_a_temporary_folder_with_a_long_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Unix socket's path has at most 107 bytes."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(UserFault, match="too long a name for sockets; set a shorter one: TMPDIR=/tmp"):
        StateDir(tmp_path / "state")
    monkeypatch.undo()
    StateDir(tmp_path / "state").release()


def test_a_released_directory_can_be_taken_again(state: StateDir) -> None:
    sockets = state.socket_dir
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    state.announce(sockets / "control.sock")
    state.release()
    assert not sockets.exists()
    assert not (state.path / "control.json").exists()
    again = StateDir(state.path)
    assert again.socket_dir != sockets
    again.release()


def test_two_directories_are_two_swarms(state: StateDir, tmp_path: Path) -> None:
    other = StateDir(tmp_path / "other")
    assert other.socket_dir != state.socket_dir
    other.release()


def test_socket_paths_are_short_enough_for_the_system(state: StateDir) -> None:
    assert len(str(state.socket_dir / "risk-manager-2.notify")) < 100


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserFault, match=r"cannot use the state directory .*file.*; choose another state_dir"):
        StateDir(tmp_path / "file" / "state")


def test_runs_are_numbered_and_the_oldest_go(state: StateDir) -> None:
    for number in range(1, KEPT_RUNS + 4):
        run = state.new_run()
        assert run.name == str(number)
        assert (run / "logs").is_dir()
        (run / "engine.journal").write_bytes(b"x")
    kept = sorted(int(entry.name) for entry in (state.path / "runs").iterdir())
    assert kept == list(range(4, KEPT_RUNS + 4))


def test_what_is_no_run_is_left_alone(state: StateDir) -> None:
    state.new_run()
    (state.path / "runs" / "notes").mkdir()
    for _ in range(KEPT_RUNS + 1):
        state.new_run()
    assert (state.path / "runs" / "notes").is_dir()


def test_the_supervisor_can_be_found_while_it_lives(state: StateDir) -> None:
    with pytest.raises(UserFault, match=r"no swarm is running in .*; start one with `claw up`"):
        find_control(state.path)
    state.announce(state.socket_dir / "control.sock")
    address = find_control(state.path)
    assert (address.pid, address.socket) == (os.getpid(), str(state.socket_dir / "control.sock"))


@pytest.mark.parametrize("body", [b"", b"{}", b'{"pid":1', b'{"pid":1,"socket":"\xff"}'])
def test_a_damaged_address_is_no_swarm(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "control.json").write_bytes(body)
    with pytest.raises(UserFault, match="no swarm is running"):
        find_control(tmp_path)


def test_the_address_of_a_dead_process_is_no_swarm(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "control.json").write_text(f'{{"pid":{gone.pid},"socket":"x"}}')
    with pytest.raises(UserFault, match="no swarm is running"):
        find_control(tmp_path)


@pytest.mark.parametrize("pid", [os.getpid(), 0, -1, 2**64], ids=["alive", "none", "negative", "huge"])
def test_what_a_killed_swarm_left_is_no_swarm(tmp_path: Path, pid: int) -> None:
    """Its process id may be another's by now: nobody may be told to end that one."""
    left = {"pid": pid, "socket": str(tmp_path / "gone.sock")}
    (tmp_path / "control.json").write_text(json.dumps(left))
    with pytest.raises(UserFault, match="no swarm is running in"):
        asyncio.run(ask(tmp_path, "status"))
