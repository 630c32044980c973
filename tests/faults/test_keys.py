"""Keys: from a keystore and a passphrase that is handed over, for two kinds of account, and nowhere else."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_account import Account

from clawswarm.runtime.configuration import load_configuration
from clawswarm.runtime.roster import RunPlace
from clawswarm.runtime.wiring import Wiring
from clawswarm.sandbox.identity.wallets import wallets_of
from faults.swarm_run import PROJECT, SwarmRun, claw, eventually, write_config

KEY = "0x4646464646464646464646464646464646464646464646464646464646464646"
PASSPHRASE = "correct horse battery staple"


def keystore(folder: Path, kdf: str = "scrypt", mode: int = 0o600) -> Path:
    """A keystore as another implementation writes it, cheap to open."""
    path = folder / "key.json"
    path.write_text(json.dumps(Account.encrypt(KEY, PASSPHRASE, kdf=kdf, iterations=2)))
    path.chmod(mode)
    return path


def pipe_with(text: str) -> int:
    reading, writing = os.pipe()
    os.write(writing, text.encode() + b"\n")
    os.close(writing)
    return reading


def secrets_shown(run: SwarmRun) -> list[str]:
    """Where the key or its passphrase can be read: files of the run, environments, command lines."""
    secrets = [KEY[2:].encode(), PASSPHRASE.encode()]
    places = [path for path in run.state_dir.rglob("*") if path.is_file()]
    for pid in (run.process.pid, *run.pids().values()):
        places += [Path(f"/proc/{pid}/environ"), Path(f"/proc/{pid}/cmdline")]
    return [str(place) for place in places if any(secret in place.read_bytes() for secret in secrets)]


def see_pairs_merged(run: SwarmRun, wallet: str) -> None:
    """The wallet's pairs become money: the orchestrator asks, and the engine signs with the keystore's key."""
    market = min(run.owners())
    log = run.run_dir / "logs/orchestrator.log"

    def merges() -> int:
        return log.read_text().count("outcome=confirmed")

    before = merges()
    run.control("POST", "/accounts/split", {"address": wallet, "market": market, "shares": "40"})
    # How many pairs is the quoter's affair: it may sell some of them before.
    eventually(lambda: merges() > before, 60, "pairs are merged")


@pytest.mark.parametrize(("signature_type", "kdf"), [(0, "scrypt"), (3, "pbkdf2")])
def test_an_account_of_a_keystore_trades_and_is_opened_again_after_a_restart(
    start_swarm: Callable[..., SwarmRun], tmp_path: Path, signature_type: int, kdf: str
) -> None:
    descriptor = pipe_with(PASSPHRASE)
    run = start_swarm(
        pass_fds=(descriptor,),
        keystore=str(keystore(tmp_path, kdf)),
        passphrase_fd=descriptor,
        signature_type=signature_type,
        # The pairs do not wait for their share of a day's batches, whatever was merged before.
        daily_batches=0,
    )
    os.close(descriptor)
    run.until_quoting(markets=4)
    wallet = wallets_of(Account.from_key(KEY).address).of_type(signature_type)[0]
    assert {order["owner"] for order in run.open_orders().values()} == {wallet}
    if signature_type == 3:
        see_pairs_merged(run, wallet)
    assert secrets_shown(run) == []
    pid = run.pid("engine")
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    assert next(line for line in limits if line.startswith("Max core file size")).split()[4:6] == ["0", "0"]
    run.kill("engine")
    eventually(lambda: run.pids().get("engine", pid) != pid, 30, "the engine is back")
    run.until_quoting(markets=4)
    code, report = run.finish()
    assert code == 0, run.output()
    assert report["orders"]["open_at_end"] == 0


def test_a_throwaway_key_can_trade_from_its_deposit_wallet(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(signature_type=3)
    run.until_quoting(markets=4)
    key = (run.run_dir / "engine/throwaway.key").read_text()
    assert {order["owner"] for order in run.open_orders().values()} == {
        wallets_of(Account.from_key(key).address).deposit
    }
    code, _ = run.finish()
    assert code == 0, run.output()


def test_a_session_signer_trades_for_the_wallet_of_its_owner_while_it_is_granted(
    start_swarm: Callable[..., SwarmRun], tmp_path: Path
) -> None:
    owner = Account.create().address
    wallet = wallets_of(owner).deposit
    descriptor = pipe_with(PASSPHRASE)
    run = start_swarm(
        pass_fds=(descriptor,),
        keystore=str(keystore(tmp_path)),
        passphrase_fd=descriptor,
        signature_type=3,
        funder=wallet,
        session_signer=True,
    )
    os.close(descriptor)
    grant = {"owner": owner, "address": Account.from_key(KEY).address}
    eventually(lambda: is_granted(run, grant), 30, "the venue takes the grant")
    run.until_quoting(markets=4)
    assert {order["owner"] for order in run.open_orders().values()} == {wallet}
    assert secrets_shown(run) == []
    run.control("POST", "/session-signers/revoke", {"address": grant["address"]})
    eventually(
        lambda: run.open_orders() == {}, 30, "the orders of a revoked signer are gone, and none follows"
    )
    code, _ = run.finish()
    assert code != 0, (
        "its API key went with the grant: the engine cannot see that nothing is open, and says so"
    )
    assert "the venue did not confirm" in run.output()


def is_granted(run: SwarmRun, grant: dict[str, str]) -> bool:
    """Admit a session signer, as soon as there is a venue."""
    try:
        run.control("POST", "/session-signers/authorize", grant)
    except OSError:
        return False
    return True


def test_claw_up_asks_on_the_terminal_and_a_wrong_passphrase_ends_the_run(tmp_path: Path) -> None:
    config = write_config(tmp_path, keystore=str(keystore(tmp_path)))
    terminal, keyboard = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "clawswarm", "up", "--config", str(config)],
        stdin=keyboard,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=PROJECT,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = b""
    while not said.endswith(b"key.json: "):
        said += process.stdout.read(1)
    os.write(terminal, b"not the passphrase\n")
    said += process.communicate(timeout=120)[0]
    os.close(terminal)
    os.close(keyboard)
    assert process.returncode not in (0, None)
    assert b"the passphrase is wrong" in said
    assert b"not the passphrase" not in said
    assert b"Traceback" not in said


def started(
    folder: Path, path: Path, passphrase: str | None, **account: object
) -> subprocess.CompletedProcess[str]:
    """Start the engine alone on a keystore."""
    place = RunPlace("", str(folder / "run"), str(folder))
    wiring = Wiring(place, load_configuration(PROJECT / "config/sandbox.toml"))
    command = wiring.command("engine", folder / "place.json")
    settings = json.loads(Path(command[1]).read_text())
    settings["account"] = {"signature_type": 0, "funder": None, "keystore": str(path), **account}
    Path(command[1]).write_text(json.dumps(settings))
    descriptor = None if passphrase is None else pipe_with(passphrase)
    variables = {} if descriptor is None else {"CLAW_PASSPHRASE_FD": str(descriptor)}
    done = subprocess.run(
        command,
        env={**os.environ, **variables},
        pass_fds=() if descriptor is None else (descriptor,),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if descriptor is not None:
        os.close(descriptor)
    return done


@pytest.mark.parametrize(
    ("mode", "passphrase", "damage", "account", "words"),
    [
        (0o600, "wrong", None, {}, "passphrase is wrong"),
        (0o600, None, None, {}, "needs its passphrase"),
        (0o640, PASSPHRASE, None, {}, "chmod 600"),
        (0o604, PASSPHRASE, None, {}, "chmod 600"),
        (0o600, PASSPHRASE, "{", {}, "not an Ethereum keystore"),
        (0o600, PASSPHRASE, None, {"signature_type": 1}, "needs its funder"),
        (0o600, PASSPHRASE, None, {"signature_type": 3, "funder": "0x12"}, "not an address"),
        (0o600, PASSPHRASE, None, {"signature_type": 3, "is_session": True}, "needs its funder"),
        (0o600, PASSPHRASE, None, {"is_session": True}, "has no session signers"),
    ],
)
def test_a_key_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, mode: int, passphrase: str | None, damage: str | None, account: dict, words: str
) -> None:
    path = keystore(tmp_path, mode=mode)
    if damage is not None:
        path.write_text(damage)
    done = started(tmp_path, path, passphrase, **account)
    assert done.returncode == 78
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert words in done.stderr
    for secret in (KEY[2:], PASSPHRASE):
        assert secret not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ({"keystore": "nowhere.json"}, "there is no keystore nowhere.json"),
        ({"keystore": __file__}, "passphrase_fd"),
        ({"keystore": __file__, "passphrase_fd": 77}, "descriptor 77"),
        ({"passphrase_fd": 3}, "goes with a keystore"),
        ({"signature_type": 2}, "needs its funder"),
        ({"session_signer": True}, "the wallet it signs for"),
    ],
)
def test_claw_up_says_what_is_missing(tmp_path: Path, replaced: dict, words: str) -> None:
    done = claw("up", "--config", str(write_config(tmp_path, **replaced)))
    assert done.returncode != 0
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
