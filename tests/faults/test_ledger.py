"""The ledger with real processes: kills at any moment, failing settlements, full and read-only disks.

The venue's own accounts, read from the control port, are the truth.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from faults.swarm_run import SwarmRun, claw, eventually, write_config

KILLS = 6


def holders(run: SwarmRun) -> list[dict]:
    """Accounts with tokens that are no participants': the swarm's wallet, once it holds any."""
    found = run.control("GET", "/accounts")["accounts"]
    return [account for account in found if not account["is_participant"] and account["tokens"]]


def venue_account(run: SwarmRun) -> dict[str, str]:
    """Collateral ("cash") and tokens of the swarm's wallet."""
    own = holders(run)
    assert len(own) == 1, own
    return {"cash": own[0]["collateral"], **own[0]["tokens"]}


def verified(run: SwarmRun) -> dict:
    """`claw ledger verify --json` of the newest run."""
    done = claw("ledger", "verify", "--json", "--config", str(run.config))
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def e6(text: str) -> int:
    """A decimal of the control port."""
    whole, _, rest = text.partition(".")
    return int(whole) * 1_000_000 + int(rest.ljust(6, "0"))


@pytest.mark.timeout(300)
def test_kills_at_random_leave_the_books_exact(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm(restarts=50, compare_s=2.0)
    run.until_quoting(markets=3)
    run.control("POST", "/faults/settlement", {"fate": "fail", "trades": 5})
    run.control("POST", "/faults/settlement", {"fate": "retry", "trades": 5})
    random = Random(6)
    for number in range(KILLS):
        victim = ("engine", "orchestrator")[number % 2]
        before = run.pid(victim)
        time.sleep(random.uniform(0.0, 1.5))
        run.kill(victim)
        eventually(lambda v=victim, b=before: run.pids().get(v, b) != b, 30, f"{victim} is back")
    run.until_quoting(markets=3)

    def is_held() -> bool:
        run.hit_bids()
        return bool(holders(run))

    eventually(is_held, 60, "something is held, although the first trades fail")
    # Nothing new is traded after a halt; what is pending settles, and the venue is looked at once more.
    assert claw("halt", "--config", str(run.config)).returncode == 0
    assert run.open_orders() == {}

    def is_exact() -> bool:
        found = verified(run)
        held = {check["asset"]: check["ledger"] for check in found["assets"]}
        is_settled = not any(balance["in_e6"] or balance["out_e6"] for balance in held.values())
        cash_e6 = e6(venue_account(run)["cash"])
        return bool(
            found["is_ok"] and found["is_asked"] and is_settled and held["cash"]["settled_e6"] == cash_e6
        )

    eventually(is_exact, 60, f"ledger and venue agree\n{verified(run)}\n{venue_account(run)}")
    tokens = sorted(e6(size) for asset, size in venue_account(run).items() if asset != "cash")
    held = [check["ledger"]["settled_e6"] for check in verified(run)["assets"] if check["asset"] != "cash"]
    assert sorted(size for size in held if size) == tokens
    code, _ = run.finish()
    assert code == 0, run.output()
    assert verified(run)["is_ok"]


def test_a_report_of_the_run_and_its_export(start_swarm: Callable[..., SwarmRun], tmp_path: Path) -> None:
    run = start_swarm()
    run.until_quoting(markets=3)

    def is_filled() -> bool:
        run.hit_bids()
        return bool(_fills(run))

    eventually(is_filled, 30, "a fill")
    code, _ = run.finish()
    assert code == 0, run.output()
    config = str(run.config)
    period = json.loads(claw("report", "--json", "--config", config).stdout)
    fills = sum(market["fills"] for market in period["markets"])
    assert fills > 0
    export = tmp_path / "fills.csv"
    done = claw("report", "--config", config, "--export", str(export))
    assert done.returncode == 0, done.stderr
    assert len(export.read_text().splitlines()) == 1 + fills + sum(m["failed"] for m in period["markets"])
    nothing = json.loads(claw("report", "--json", "--config", config, "--until", "2020-01-01").stdout)
    assert nothing["markets"] == []
    wrong = claw("report", "--config", config, "--from", "yesterday")
    assert (wrong.returncode, len(wrong.stderr.strip().splitlines())) == (2, 1)


def _fills(run: SwarmRun) -> list:
    return json.loads(claw("report", "--json", "--config", str(run.config)).stdout or '{"markets": []}')[
        "markets"
    ]


def test_a_ledger_of_another_version_stops_the_run(start_swarm: Callable[..., SwarmRun]) -> None:
    run = start_swarm()
    run.until_quoting(markets=1)
    path = run.run_dir / "orchestrator" / "ledger.db"
    with sqlite3.connect(path, timeout=10) as database:
        database.execute("PRAGMA user_version = 7")
    run.kill("orchestrator")
    code, report = run.finish(None)
    assert code == 1
    assert "is a ledger of version 7" in _flat(run.output())
    assert "Traceback" not in run.output()
    assert report["orders"]["open_at_end"] == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.timeout(300)
def test_a_full_disk_stops_quoting_and_loses_nothing(
    start_swarm: Callable[..., SwarmRun], small_disk: Path, tmp_path: Path
) -> None:
    run = start_swarm(state_dir=str(small_disk / "state"))
    run.state_dir = small_disk / "state"
    run.until_quoting(markets=1)
    kept = shutil.copytree(run.run_dir, tmp_path / "kept")
    # The run itself may have filled it already.
    with suppress(OSError), (small_disk / "filler").open("wb") as filler:
        while True:
            filler.write(bytes(1 << 16))
            filler.flush()
    # Sentinels and orchestrator write all the time: the first that cannot ends the run in order.
    code = run.process.wait(timeout=200)
    output = _flat(run.output())
    assert code == 1
    assert "No space left on device" in output, output
    assert "Traceback" not in output
    for name in ("engine/fills.journal", "orchestrator/ledger.journal"):
        assert (run.run_dir / name).read_bytes().startswith((kept / name).read_bytes()), name


def test_a_read_only_disk_is_refused_at_the_start(small_disk: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, state_dir=str(small_disk / "state"))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = claw("up", "--config", str(config))
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot use the state directory" in done.stderr


INTAKE = """
import sys
from pathlib import Path
from clawswarm.ledger.journals import OWN, LedgerFiles, checked, take_in
from clawswarm.ledger.store import LedgerStore
import clawswarm.ledger.journals as journals
journals.RECORDS_AT_ONCE = 7
files = LedgerFiles(Path(sys.argv[1]))
store = LedgerStore(files.database)
take_in(store, files, OWN, checked(store.cursor(OWN), files.own))
"""


def test_a_ledger_killed_while_it_writes_goes_on_where_it_was(tmp_path: Path) -> None:
    from clawswarm.kernel.journal import Journal
    from clawswarm.ledger.journals import OWN, LedgerFiles
    from clawswarm.ledger.store import LedgerStore
    from clawswarm.ledger.verify import verify
    from unit.ledger.histories import OPENED, encode, report

    files = LedgerFiles(tmp_path)
    journal = Journal(files.own)
    for entry in (OPENED, *(report(number) for number in range(3_000))):
        journal.append(encode(entry))
    journal.close()
    end, kills = files.own.stat().st_size, 0
    random = Random(4)
    while True:
        child = subprocess.Popen([sys.executable, "-c", INTAKE, str(tmp_path)])
        reached = _cursor(files.database)
        # Let it get somewhere, then kill it wherever it is.
        goal = reached + random.randrange(1, end // 12)
        eventually(
            lambda c=child, g=goal: c.poll() is not None or _cursor(files.database) >= g, 60, "progress"
        )
        if child.poll() is not None:
            assert child.returncode == 0
            break
        child.kill()
        child.wait()
        kills += 1
    assert kills >= 5
    store = LedgerStore(files.database)
    assert store.cursor(OWN).last_end == end
    found = verify(store, files, None)
    assert (found.is_ok, found.records) == (True, 3_001)
    store.close()


def _cursor(database: Path) -> int:
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10) as reader:
            row = reader.execute("SELECT last_end FROM cursors").fetchone()
    except sqlite3.OperationalError:
        return 0
    return 0 if row is None else row[0]


def _flat(text: str) -> str:
    """Words of an output that was wrapped to the terminal's width."""
    return " ".join(text.split())
