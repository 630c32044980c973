"""A real swarm in a temporary state directory, and the sandbox's control port as the truth about its orders."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.ports import free_ports

from clawswarm.kernel.clock import SystemClock, ns
from clawswarm.kernel.silence import Silence

PROJECT = Path(__file__).parents[2]
START_S = 60.0
PATIENCE_S = {
    "silence_s": 1.0,
    "pause_s": 2.0,
    "touch_timeout_s": 2.0,
    "sentinel_timeout_s": 2.0,
    "guard_silence_s": 1.0,
}
AGENTS = [
    "orchestrator",
    *(f"sentinel-{n}" for n in (1, 2)),
    *(f"quoter-{n}" for n in range(1, 7)),
    *(f"risk-manager-{n}" for n in (1, 2)),
]


def eventually(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Wait until `condition` holds. Fails with `what` when it does not within the limit.

    Time in which this process itself got no turn does not count: the swarm got none either.
    """
    clock = SystemClock()
    waited = Silence(clock.now_ns())
    while not condition():
        assert waited.look(clock.now_ns()) < ns(within_s), f"not within {within_s} s: {what}"
        time.sleep(0.02)


def write_config(folder: Path, **replaced: object) -> Path:
    """config/sandbox.toml with its own ports and state directory; `replaced` maps a key to its new value."""
    port, control_port = free_ports(2)
    changes = {"state_dir": str(folder / "state"), "port": port, "control_port": control_port, **replaced}
    changes.setdefault("data", str(PROJECT / "data/sample"))
    # Venue, swarm and another test share two cores: a pause of theirs is no fault. What the shipped limits are
    # worth is measured by `make bench`.
    for key, limit_s in PATIENCE_S.items():
        changes.setdefault(key, limit_s)
    lines = []
    for line in (PROJECT / "config/sandbox.toml").read_text().splitlines():
        # A key that is only shown, commented out, can be set too.
        key = line.removeprefix("# ").partition("=")[0].strip()
        if key in changes:
            line = f"{key} = {json.dumps(changes.pop(key))}"
        lines.append(line)
    assert not changes, f"no such key: {changes}"
    path = folder / "config.toml"
    path.write_text("\n".join(lines))
    return path


def claw(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "clawswarm", *arguments],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        timeout=90,
        check=False,
        **options,
    )


class SwarmRun:
    """One `claw up` in the background."""

    def __init__(
        self, folder: Path, *arguments: str, pass_fds: tuple[int, ...] = (), **replaced: object
    ) -> None:
        self.config = write_config(folder, **replaced)
        text = self.config.read_text()
        self._control = f"http://127.0.0.1:{_value(text, 'control_port')}"
        self.state_dir = folder / "state"
        self.report_path = folder / "report.json"
        self._output = (folder / "output.txt").open("w+")
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "clawswarm", "up", "--config", str(self.config),
                "--report", str(self.report_path), *arguments,
            ],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            start_new_session=True,
            pass_fds=pass_fds,
        )  # fmt: skip

    # --- what it says ---------------------------------------------------------------------------

    def status(self) -> dict:
        """`claw status --json`, by the command itself."""
        done = claw("status", "--json", "--config", str(self.config))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def pid(self, name: str) -> int:
        """Process id of one agent or service, from the process table."""
        return self.pids()[name]

    def pids(self) -> dict[str, int]:
        """Process ids of all children by name, from the process table."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if len(words) < 3 or str(self.state_dir).encode() not in words[-2]:
                continue
            if b"clawswarm.runtime.wiring" in words:
                found[words[-3].decode()] = int(entry.name)
            elif words[0].endswith((b"/claw-engine", b"/claw-guard")):
                found[words[0].rpartition(b"/claw-")[2].decode()] = int(entry.name)
        return found

    @property
    def run_dir(self) -> Path:
        """Folder of the newest run."""
        return max((self.state_dir / "runs").iterdir(), key=lambda entry: int(entry.name))

    def owners(self) -> dict[str, str]:
        """Which quoter owns which market, from the orchestrator's record."""
        record = json.loads((self.run_dir / "orchestrator/record.json").read_text())
        return {market: assignment["quoter"] for market, assignment in record["assignments"].items()}

    def output(self) -> str:
        """Everything printed so far."""
        self._output.seek(0)
        return self._output.read()

    # --- what the venue says --------------------------------------------------------------------

    def control(self, method: str, path: str, body: object = None) -> object:
        """Ask the sandbox's control port."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._control + path, data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def open_orders(self, market: str | None = None) -> dict[str, dict]:
        """Open orders of the swarm by id, as the venue has them."""
        listed = self.control("GET", "/open-orders")
        return {order["id"]: order for order in listed if market is None or order["market"] == market}

    def quoted_markets(self) -> set[str]:
        """Markets with an open order of ours on both sides."""
        sides: dict[str, set[str]] = {}
        for order in self.open_orders().values():
            sides.setdefault(order["market"], set()).add(order["side"])
        return {market for market, both in sides.items() if len(both) == 2}

    def hit_bids(self, market: str | None = None) -> None:
        """A taker comes to every market, or this one, and sells what our bids and all before them take."""
        for order in self.open_orders(market).values():
            if order["side"] == "BUY":
                hit = {"market": order["market"], "side": "SELL", "shares": "100000", "limit": order["price"]}
                self.control("POST", "/markets/take", hit)

    # --- life -----------------------------------------------------------------------------------

    def until_quoting(self, markets: int = 4) -> list[str]:
        """Wait until that many markets carry quotes on both sides; those that were seen to, in order."""
        seen: set[str] = set()

        def is_quoting() -> bool:
            nonlocal seen
            assert self.process.poll() is None, self.output()
            try:
                seen = self.quoted_markets()
            except OSError:
                return False
            return len(seen) >= markets

        eventually(is_quoting, START_S, f"{markets} markets quoted\n{self.output()}")
        return sorted(seen)

    def kill(self, name: str) -> None:
        """kill -9 one child."""
        os.kill(self.pid(name), signal.SIGKILL)

    def finish(self, number: int | None = signal.SIGTERM) -> tuple[int, dict]:
        """End it (None: let it end by itself); exit code and report."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        assert self.report_path.exists(), self.output()
        return code, json.loads(self.report_path.read_text())

    def close(self) -> None:
        """Leave nothing running, whatever the test did."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.pids().values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._output.close()


def _value(text: str, key: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"{key} =")).partition("=")[2].strip()
