"""The execution engine's settings file and command."""

import sys
from pathlib import Path

import msgspec
import pytest

from clawswarm.model.errors import UserFault
from clawswarm.runtime.configuration import load_configuration
from clawswarm.runtime.engine import EngineAccount, EngineFile, EngineWatch, GuardFile
from clawswarm.runtime.roster import RunPlace
from clawswarm.runtime.wiring import Wiring

PROJECT = Path(__file__).parents[3]


def wiring(folder: Path) -> Wiring:
    place = RunPlace("", str(folder / "run"), str(folder / "sockets"))
    return Wiring(place, load_configuration(PROJECT / "config/sandbox.toml"))


def beside_an_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    for name in ("claw-engine", "claw-guard"):
        (folder / name).touch()


def test_the_file_says_where_everything_is_and_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside_an_engine(tmp_path, monkeypatch)
    binary, settings = wiring(tmp_path).command("engine", tmp_path / "place.json")
    assert binary == str(tmp_path / "claw-engine")
    written = msgspec.json.decode(Path(settings).read_bytes(), type=EngineFile)
    assert (written.name, written.earlier_peers, written.chain_id) == ("engine", ("claw",), 137)
    assert (written.clob_url, written.user_ws_url) == (
        "https://127.0.0.1:8870",
        "wss://127.0.0.1:8870/ws/user",
    )
    assert written.ca_file == f"{tmp_path}/run/sandbox/ca.pem"
    assert (written.port, written.folder) == (f"{tmp_path}/sockets/engine.port", f"{tmp_path}/run/engine")
    assert written.limits.tier == "standard"
    assert written.feed.dead_after_s == 0.5
    assert written.account == EngineAccount(signature_type=3, funder=None, keystore=None)
    assert written.counters == f"{tmp_path}/run/engine/limits.counters"
    assert Path(written.counters).read_bytes() == b"fresh\n", "this venue has counted nothing yet"
    assert written.watch == EngineWatch(
        guard=f"{tmp_path}/sockets/guard.port",
        guard_timeout_s=3.0,
        touch_timeout_s=0.5,
        sentinel_timeout_s=0.5,
    )


def test_the_guard_listens_where_the_engine_connects_and_knows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside_an_engine(tmp_path, monkeypatch)
    binary, settings = wiring(tmp_path).command("guard", tmp_path / "place.json")
    assert binary == str(tmp_path / "claw-guard")
    assert msgspec.json.decode(Path(settings).read_bytes(), type=GuardFile) == GuardFile(
        name="guard",
        socket=f"{tmp_path}/sockets/guard.port",
        folder=f"{tmp_path}/run/guard",
        clob_url="https://127.0.0.1:8870",
        ca_file=f"{tmp_path}/run/sandbox/ca.pem",
        silence_s=0.3,
    )


def test_every_other_child_is_python(tmp_path: Path) -> None:
    command = wiring(tmp_path).command("quoter-3", tmp_path / "place.json")
    assert command[1:] == ["-m", "clawswarm.runtime.wiring", "quoter-3", str(tmp_path / "place.json")]


def test_a_missing_binary_is_one_sentence_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside_an_engine(tmp_path, monkeypatch)
    (tmp_path / "claw-engine").unlink()
    with pytest.raises(UserFault, match=r"claw-engine is missing; build it with `make`"):
        wiring(tmp_path).command("engine", tmp_path / "place.json")
    assert not (tmp_path / "run").exists()
