"""Rows of the ledger, for a day of a million fills in a process of its own.

ledger.ingest   fills a second, from the engine's journal into the database, a commit every 10,000 (bar: 20,000)
ledger.memory   the most that this process used, the journal's index included (bar: 500 MiB)
ledger.report   `claw report` of the whole day, from the command to its end (bar: 2 s)
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Observation, Row, observe

FILLS = 1_000_000
REPORTS = 5
TIMEOUT_S = 900
PROJECT = Path(__file__).parents[1]


def rows() -> list[Row]:
    """All three, over one ledger."""
    with TemporaryDirectory(prefix="claw-ledger") as folder:
        bench = _Day(Path(folder))
        return [
            observe("ledger.ingest", "fills/s", bench.ingest),
            observe("ledger.memory", "MiB", bench.memory),
            observe("ledger.report", "s", bench.report),
        ]


class _Day:
    """One ledger, made by the first row."""

    def __init__(self, folder: Path) -> None:
        self._state, self._runs, self._peak_mib = folder / "state", 0, 0.0
        text = (PROJECT / "config/sandbox.toml").read_text()
        lines = [
            f'state_dir = "{self._state}"' if line.startswith("state_dir") else line
            for line in text.splitlines()
        ]
        self._config = folder / "config.toml"
        self._config.write_text("\n".join(lines))

    def ingest(self) -> Observation:
        """A fresh ledger each time: an old one knows every fill already."""
        self._runs += 1
        run_dir = self._state / "runs" / str(self._runs)
        run_dir.mkdir(parents=True)
        done = self._run("benchmarks.ledger_child", str(run_dir), str(FILLS))
        told = json.loads(done)
        self._peak_mib = told["peak_mib"]
        return Observation(told["rates"])

    def memory(self) -> Observation:
        """Of the last ingest."""
        return Observation([self._peak_mib])

    def report(self) -> Observation:
        """The command, several times."""
        samples = []
        for _ in range(REPORTS):
            began = time.perf_counter()
            told = self._run("clawswarm", "report", "--json", "--config", str(self._config))
            samples.append(time.perf_counter() - began)
            assert sum(market["fills"] for market in json.loads(told)["markets"]) == FILLS
        return Observation(samples)

    def _run(self, module: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            capture_output=True,
            text=True,
            cwd=PROJECT,
            timeout=TIMEOUT_S,
            check=True,
        )
        return done.stdout
