"""A swarm on rolling 5-minute markets: is it always quoting, and never in a market that is over?

    python -m benchmarks.rollover [SECONDS] [SERIES ...]

Starts `claw up` on series alone (default 900 s of btc-5m) and asks the venue ten times a second for the swarm's
open orders. At every moment one market of a series is due: the window that runs, or the next one in the last
seconds of a window. Printed are the stretches in which the due market carried no order, and every order that stood
in a market past its end. Exit code 1 when a stretch that touches the first minute of a window is longer than 2 s,
when an order stood past an end, or when the run failed.
"""

import argparse
import calendar
import json
import math
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import msgspec

from benchmarks.ports import free_ports
from clawswarm.kernel.clock import SystemClock

PROJECT = Path(__file__).parents[1]
LONGEST_GAP_S = 2.0
POLL_S = 0.1
START_S = 60.0
# The quoter has withdrawn by then: [quoter.model] withdraw_s.
LEAVE_S = 11.0
ROLL_OVER_S = 60.0
SPAN_S = 300.0
MARGIN_S = 15.0


class Seen(msgspec.Struct):
    """What was seen of one series; `quoted_s` is when its due market last carried an order."""

    quoted_s: float | None = None
    gaps: list[tuple[float, float]] = []
    late: dict[str, float] = {}
    windows: set[str] = set()


class Market(msgspec.Struct, frozen=True):
    """One window."""

    series: str
    slug: str
    end_s: float


class Reader:
    """Reads JSON from the venue and its control port; the authority of the former is there once it runs."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        self._state = folder / "state"
        self._venue, self._control = f"https://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._secure: urllib.request.OpenerDirector | None = None

    def control(self, path: str) -> object:
        """One answer of the control port."""
        return self._read(self._opener, self._control + path)

    def venue(self, path: str) -> object:
        """One answer of the venue. Raises OSError until it is up."""
        if self._secure is None:
            authority = next(self._state.glob("runs/*/sandbox/ca.pem"), Path("not made yet"))
            handler = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority))
            self._secure = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler)
        return self._read(self._secure, self._venue + path)

    @staticmethod
    def _read(opener: urllib.request.OpenerDirector, url: str) -> object:
        with opener.open(url, timeout=5) as answer:
            return json.loads(answer.read())


def configuration(folder: Path, series: list[str], ports: list[int]) -> Path:
    """config/series.toml with other series, ports and state."""
    changes = {
        "state_dir": json.dumps(str(folder / "state")),
        "port": str(ports[0]),
        "control_port": str(ports[1]),
        "series": json.dumps(series),
    }
    lines = []
    for line in (PROJECT / "config/series.toml").read_text().splitlines():
        key = line.partition("=")[0].strip()
        lines.append(f"{key} = {changes[key]}" if key in changes else line)
    path = folder / "rollover.toml"
    path.write_text("\n".join(lines))
    return path


def markets_of(reader: Reader) -> dict[str, Market]:
    """Every market the venue ever listed, by condition id."""
    found: dict[str, Market] = {}
    cursor = ""
    while True:
        page = reader.venue(f"/gamma/markets/keyset?limit=500{cursor}")
        assert isinstance(page, dict)
        for market in page["markets"]:
            slug = market["slug"]
            end = time.strptime(market["endDate"], "%Y-%m-%dT%H:%M:%SZ")
            series = market["events"][0]["seriesSlug"]
            found[market["conditionId"]] = Market(series, slug, float(calendar.timegm(end)))
        if "next_cursor" not in page:
            return found
        cursor = f"&after_cursor={page['next_cursor']}"


def now() -> float:
    """Unix time."""
    return SystemClock().wall_ms() / 1000


def look(reader: Reader, markets: dict[str, Market], seen: dict[str, Seen], now_s: float) -> bool:
    """Take in one listing of open orders; False when a market of them is not known yet."""
    orders = reader.control("/open-orders")
    assert isinstance(orders, list)
    quoted: set[str] = set()
    for order in orders:
        market = markets.get(order["market"])
        if market is None:
            return False
        quoted.add(market.slug)
        if now_s >= market.end_s:
            late = seen[market.series].late
            late[market.slug] = max(late.get(market.slug, 0.0), now_s - market.end_s)
    for series, state in seen.items():
        coming = [m for m in markets.values() if m.series == series and m.end_s > now_s + LEAVE_S]
        if not coming:
            return False
        due = min(coming, key=lambda market: market.end_s)
        if due.slug in quoted:
            if state.quoted_s is not None and now_s - state.quoted_s > 3 * POLL_S:
                state.gaps.append((state.quoted_s, now_s))
            state.quoted_s = now_s
            state.windows.add(due.slug)
    return True


def watch(process: subprocess.Popen[bytes], reader: Reader, seconds: float) -> dict[str, Seen]:
    """Watch from the first quote until shortly before the run ends by itself."""
    began = now()
    seen: dict[str, Seen] = {}
    markets: dict[str, Market] = {}
    ends: float | None = None
    while process.poll() is None and (ends is None or now() < ends):
        time.sleep(POLL_S)
        try:
            if not markets or not look(reader, markets, seen, now()):
                markets = markets_of(reader)
                for market in markets.values():
                    seen.setdefault(market.series, Seen())
        except OSError:
            # Not up yet; or gone, and then the exit code tells.
            if now() - began > START_S and ends is None:
                raise
            continue
        if ends is None and any(state.quoted_s is not None for state in seen.values()):
            ends = now() + seconds - MARGIN_S
    for state in seen.values():
        if process.poll() is None and state.quoted_s is not None and now() - state.quoted_s > LONGEST_GAP_S:
            state.gaps.append((state.quoted_s, now()))
    return seen


def main() -> None:
    """Run, watch, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollover", description=main.__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=900.0, help="how long to watch (900)")
    parser.add_argument("series", nargs="*", default=["btc-5m"], help="such as btc-5m, eth-15m (btc-5m)")
    asked = parser.parse_args()
    seconds, series = asked.seconds, asked.series
    if not MARGIN_S < seconds < math.inf:
        parser.error(f"SECONDS must be above {MARGIN_S:g}")
    with tempfile.TemporaryDirectory(prefix="claw-rollover-") as name:
        folder = Path(name)
        ports = free_ports(2)
        config, report = configuration(folder, series, ports), folder / "report.json"
        command = [sys.executable, "-m", "clawswarm", "up", "--mode", "sandbox", "--for", str(seconds)]
        with (folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                [*command, "--config", str(config), "--report", str(report)], stdout=output, stderr=output
            )
            try:
                seen = watch(process, Reader(folder, ports), seconds)
                code = process.wait(timeout=90)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait(timeout=60)
        is_good = code == 0
        print(f"claw up ended with {code} after --for {seconds:g}; series {', '.join(series)}")
        if report.exists():
            orders = json.loads(report.read_text())["orders"]
            print(f"orders {orders}")
        else:
            print((folder / "output.txt").read_text()[-2000:])
        for slug, state in seen.items():
            print(f"{slug}: {len(state.windows)} windows quoted; orders past an end: {state.late or 'none'}")
            for begin, end in state.gaps:
                is_roll_over = begin % SPAN_S < ROLL_OVER_S or end % SPAN_S < ROLL_OVER_S
                is_good &= end - begin <= LONGEST_GAP_S or not is_roll_over
                where = "at a roll-over" if is_roll_over else f"{begin % SPAN_S:.0f} s into a window"
                print(f"  the due market carried no order for {end - begin:.2f} s, {where}")
            is_good &= not state.late and state.quoted_s is not None
        raise SystemExit(0 if is_good else 1)


if __name__ == "__main__":
    main()
