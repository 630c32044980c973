"""Timing of two candidates in one run, interleaved, or of one system; and how busy the machine was meanwhile.

A row is valid only while everything else on the machine uses less than a tenth of one core; else it is tried
again, and after TRIES its figures are null with the reason.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

TRIES = 3
QUIET_CORE_SHARE = 0.10
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Row(msgspec.Struct, frozen=True):
    """One line of the table; `ratio` is peer_p50 / p50."""

    name: str
    unit: str
    n: int
    p50: float | None
    p99: float | None
    peer: str | None
    peer_p50: float | None
    ratio: float | None
    other_cores: float
    reason: str | None


class Candidate(msgspec.Struct, frozen=True):
    """Something to time: `call` does the work once; `prepare` runs before each call, untimed."""

    name: str
    call: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


def compare(name: str, own: Candidate, peer: Candidate, n: int) -> Row:
    """Time both, call by call in turn, until the machine was quiet; microseconds."""
    row = None
    for _ in range(TRIES):
        row = _compare_once(name, own, peer, n)
        if row.reason is None:
            break
    assert row is not None
    return row


def observe(name: str, unit: str, run: Callable[[], list[float]]) -> Row:
    """Run a system that has no peer until the machine was quiet; it reaps every process it starts."""
    row = None
    for _ in range(TRIES):
        busy_before, began = _other_busy_s(), time.perf_counter()
        samples = run()
        elapsed_s = time.perf_counter() - began
        row = _row_of(name, unit, samples, _others(_other_busy_s() - busy_before, elapsed_s))
        if row.reason is None:
            break
    assert row is not None
    return row


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _row_of(name: str, unit: str, samples: list[float], other_cores: float) -> Row:
    n, reason = len(samples), _why_invalid(other_cores)
    if reason is not None:
        return Row(name, unit, n, None, None, None, None, None, other_cores, reason)
    p50, p99 = percentile(samples, 0.5), percentile(samples, 0.99)
    return Row(name, unit, n, p50, p99, None, None, None, other_cores, None)


def _others(seconds: float, elapsed_s: float) -> float:
    return round(max(seconds, 0.0) / elapsed_s, 3)


def _why_invalid(other_cores: float) -> str | None:
    if other_cores < QUIET_CORE_SHARE:
        return None
    return f"other processes used {other_cores:.0%} of a core"


def _compare_once(name: str, own: Candidate, peer: Candidate, n: int) -> Row:
    own_us: list[float] = []
    peer_us: list[float] = []
    busy_before, began = _other_busy_s(), time.perf_counter()
    for _ in range(n):
        own_us.append(_time_us(own))
        peer_us.append(_time_us(peer))
    elapsed_s = time.perf_counter() - began
    other_cores = _others(_other_busy_s() - busy_before, elapsed_s)
    if (reason := _why_invalid(other_cores)) is not None:
        return Row(name, "µs", n, None, None, peer.name, None, None, other_cores, reason)
    p50, peer_p50 = percentile(own_us, 0.5), percentile(peer_us, 0.5)
    ratio = round(peer_p50 / p50, 2)
    return Row(name, "µs", n, p50, percentile(own_us, 0.99), peer.name, peer_p50, ratio, other_cores, None)


def _time_us(candidate: Candidate) -> float:
    candidate.prepare()
    began = time.perf_counter_ns()
    candidate.call()
    return (time.perf_counter_ns() - began) / 1_000


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all stay below."""
    ordered = sorted(values)
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2)


def _other_busy_s() -> float:
    """CPU seconds that anything but this process and the children it has reaped has used since boot."""
    own = os.times()
    return _busy_s() - (own.user + own.system + own.children_user + own.children_system)


def _busy_s() -> float:
    """CPU seconds that everything has used since boot."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq = (int(field) for field in fields[:7])
    return (user + nice + system + irq + softirq) / _TICKS_PER_S
