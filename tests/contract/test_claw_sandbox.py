"""`claw sandbox` as its users meet it: a ready file, TLS, Ctrl-C, and one sentence when it cannot start."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from venue_thread import record, snapshot

START_S = 30


def arguments(folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "clawswarm", "sandbox", "--data", str(folder), *more]


@contextmanager
def serving(folder: Path, *more: str) -> Iterator[dict[str, object]]:
    """The ready file of a sandbox that runs until the block ends, by Ctrl-C and with exit code 0."""
    ready = folder / "ready.json"
    ready.write_text("of an earlier run")
    command = arguments(folder, "--port", "0", "--control-port", "0", "--ready-file", str(ready), *more)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    began = time.perf_counter()
    while not ready.exists() or "earlier" in ready.read_text():
        assert process.poll() is None, process.communicate()[1]
        assert time.perf_counter() - began < START_S
        time.sleep(0.02)
    try:
        yield json.loads(ready.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def get(url: str, context: ssl.SSLContext | None = None) -> object:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), *([urllib.request.HTTPSHandler(context=context)] if context else [])
    )
    with opener.open(url, timeout=30) as response:
        return json.loads(response.read())


def test_the_ready_file_tells_all(tmp_path: Path) -> None:
    record(tmp_path, "btc-updown-1", [snapshot()])
    with serving(tmp_path, "--seed", "7", "--no-takers") as ready:
        assert {name for name, address in ready.items() if address is None} == {
            "ca_cert",
        }  # fmt: skip
        assert ready["chain_id"] == 137
        assert get(f"{ready['clob']}/version") == {"version": 2}
        assert len(get(f"{ready['gamma']}/markets")) == 1
        assert get(f"{ready['data']}/v2/trades")["data"] == []
        wallet = ready["accounts"][0]["wallet"]
        assert get(f"{ready['relayer']}/deployed?address={wallet}&type=WALLET") == {"deployed": True}
        assert get(str(ready["geoblock"]))["blocked"] is False
        (market,) = ready["markets"]
        assert (market["tick"], market["neg_risk"], len(market["token_ids"])) == ("0.01", False, 2)
        book = get(f"{ready['clob']}/book?token_id={market['token_ids'][0]}")
        assert book["market"] == market["condition_id"]
        held = {
            account["address"]: float(account["collateral"])
            for account in get(f"{ready['control']}/accounts")["accounts"]
        }
        assert len(ready["accounts"]) >= 4
        for account in ready["accounts"]:
            assert account["private_key"].startswith("0x")
            assert held[account["address"]] >= 1_000
            assert held[account["wallet"]] >= 1_000
    with serving(tmp_path, "--seed", "7") as again:
        assert (again["accounts"], again["markets"]) == (ready["accounts"], ready["markets"])
    with serving(tmp_path, "--seed", "8") as other:
        assert other["accounts"] != ready["accounts"]


def test_tls_with_an_authority_of_its_own(tmp_path: Path) -> None:
    record(tmp_path, "btc-updown-1", [snapshot()])
    with serving(tmp_path, "--tls") as ready:
        trusting = ssl.create_default_context(cafile=str(ready["ca_cert"]))
        url = str(ready["clob"])
        assert url.startswith("https://")
        assert str(ready["ws_market"]).startswith("wss://")
        assert get(f"{url}/version", trusting) == {"version": 2}
        assert get(f"{url.replace('127.0.0.1', 'localhost')}/version", trusting) == {"version": 2}
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            get(f"{url}/version", ssl.create_default_context())
    assert not Path(str(ready["ca_cert"])).exists()


@pytest.mark.parametrize("wrong", ["data", "port", "ports", "ready-file"])
def test_what_cannot_start_is_one_sentence(tmp_path: Path, wrong: str) -> None:
    record(tmp_path, "btc-updown-1", [snapshot()])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = {
            "data": arguments(tmp_path / "none", "--port", "0", "--control-port", "0"),
            "port": arguments(tmp_path, "--port", port, "--control-port", "0"),
            "ports": arguments(tmp_path, "--port", "8880", "--control-port", "8880"),
            "ready-file": arguments(tmp_path, "--port", "0", "--ready-file", str(tmp_path / "no" / "r.json")),
        }[wrong]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode not in (0, None)
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("claw: ")
    assert "Traceback" not in done.stderr


def test_the_private_key_of_the_certificate_is_private(tmp_path: Path) -> None:
    from clawswarm.sandbox.certificates import make_tls_context

    make_tls_context(tmp_path, wall_ms=1_800_000_000_000)
    assert os.stat(tmp_path / "server.key").st_mode & 0o077 == 0
