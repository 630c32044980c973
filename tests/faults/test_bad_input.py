"""Bad input gets one clear sentence and a non-zero exit, never a traceback."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.swarm_run import PROJECT, SwarmRun, claw, write_config


def refused(config: Path, *words: str, command: str = "up") -> None:
    """Run the command; it must end with one sentence that holds all the words."""
    done = claw(command, "--config", str(config))
    sentence = done.stderr.strip()
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert len(sentence.splitlines()) == 1, sentence
    for word in words:
        assert word in sentence, sentence


def test_an_unknown_key(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    config.write_text(config.read_text().replace("renew_s", "renew_every_s"))
    refused(config, str(config), "renew_every_s", "[orchestrator]")


def test_broken_toml(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    config.write_text(config.read_text() + "\nnot toml")
    refused(config, str(config), "not valid TOML")


def test_no_configuration(tmp_path: Path) -> None:
    refused(tmp_path / "none.toml", "none.toml", "--config")


def test_a_missing_sample(tmp_path: Path) -> None:
    refused(write_config(tmp_path, data=str(tmp_path / "nowhere")), "nowhere", "sandbox")


def test_an_empty_sample(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(write_config(tmp_path, data=str(tmp_path / "empty")), "empty")


def test_a_damaged_sample(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(PROJECT / "data/sample", data)
    victim = sorted(data.glob("*.claw"))[0]
    victim.write_bytes(victim.read_bytes()[:-100])
    refused(write_config(tmp_path, data=str(data)), victim.name)


@pytest.mark.parametrize("key", ["port", "control_port"])
def test_a_taken_port(tmp_path: Path, key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(write_config(tmp_path, **{key: port}), str(port), "taken")


def test_a_second_swarm_in_the_same_state_directory(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=1)
    refused(run.config, "already running", str(run.state_dir))
    code, _ = run.finish()
    assert code == 0


def test_status_without_a_swarm(tmp_path: Path) -> None:
    refused(write_config(tmp_path), "no swarm is running", command="status")


@pytest.mark.parametrize("place", [".", "file/report.json"])
def test_a_report_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    done = claw("up", "--config", str(write_config(tmp_path)), "--report", str(tmp_path / place))
    (sentence,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence.startswith(f"claw: cannot write {tmp_path / place}")
    assert sentence.endswith("give another --report")


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "clawswarm", "up", "--config", str(config)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
            timeout=90,
            check=False,
        )
    (sentence,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert "No space left on device" in sentence


@pytest.mark.parametrize(
    "arguments", [("--for", "inf"), ("--for", "nan"), ("--for", "-1"), ("--mode", "live"), ("--run", "1")]
)
def test_options_that_cannot_be_meant(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = claw("up", "--config", str(write_config(tmp_path)), *arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_the_command_still_loads() -> None:
    interrupted = """
import os, signal, sys

class Early:
    def find_spec(self, name, path, target=None):
        if name == "clawswarm.console.cli":
            os.kill(os.getpid(), signal.SIGINT)

# A background job of a shell is started with this signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Early())
from clawswarm.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.mark.parametrize("text", [None, "{", '{"name": "engine", "surprise": 1}'])
def test_settings_that_the_engine_cannot_use(tmp_path: Path, text: str | None) -> None:
    settings = tmp_path / "settings.json"
    if text is not None:
        settings.write_text(text)
    engine = Path(sys.executable).with_name("claw-engine")
    done = subprocess.run([engine, settings], capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert str(settings) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_no_rust_toolchain(tmp_path: Path) -> None:
    """`make` in a fresh copy, on a machine whose PATH has everything but cargo."""
    shutil.copy(PROJECT / "Makefile", tmp_path)
    (tmp_path / "requirements.lock").touch()
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "make", "cc", "touch"):
        os.symlink(shutil.which(name), tools / name)
    os.symlink(sys._base_executable, tools / "python3")
    done = subprocess.run(
        ["make", "demo"], cwd=tmp_path, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "no Rust toolchain" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".venv").exists()
