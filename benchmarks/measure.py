"""Timing of two candidates in one run, interleaved, or of one system; and how busy the machine was meanwhile.

A row is valid only while everything else on the machine uses less than a tenth of one core; else it is tried
again, and after TRIES its figures are null with the reason. This process and all its descendants are its own,
whether they have ended or not.
"""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

TRIES = 3
QUIET_CORE_SHARE = 0.10
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Split(msgspec.Struct, frozen=True):
    """One stage of what a row measures, in the row's unit; `at_max`: its part of the longest sample."""

    name: str
    p50: float
    p99: float
    at_max: float


class Row(msgspec.Struct, frozen=True):
    """One line of the table; `ratio` is peer_p50 / p50. `splits` and `notes` are printed below it."""

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
    max: float | None = None
    splits: tuple[Split, ...] = ()
    notes: tuple[str, ...] = ()


class Observation(msgspec.Struct, frozen=True):
    """What one run of a system gave: samples, or samples by stage, whose sum is the sample."""

    samples: list[float]
    stages: dict[str, list[float]] = {}
    notes: tuple[str, ...] = ()
    peer: str | None = None
    peer_samples: list[float] = []


class NotMeasured(Exception):
    """There is nothing to time; the sentence says why. On a busy machine it is tried again."""


class Missing(NotMeasured):
    """What would be measured does not exist yet; another try would not change it."""


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
        if row.reason is None or time.perf_counter() > _retries.end:
            break
    assert row is not None
    return row


def observe(name: str, unit: str, run: Callable[[], Observation]) -> Row:
    """Run a system until the machine was quiet; null with the reason where it raises NotMeasured."""
    row = None
    for _ in range(TRIES):
        watch = QuietWatch()
        try:
            seen = run()
        except NotMeasured as fault:
            row = _unmeasured(name, unit, str(fault), watch.other_cores())
            if isinstance(fault, Missing) or row.other_cores < QUIET_CORE_SHARE:
                break
        else:
            row = row_of(name, unit, seen, watch.other_cores())
            if row.reason is None:
                break
        if time.perf_counter() > _retries.end:
            break
    assert row is not None
    return row


class Retries:
    """Until when a row that was disturbed is tried again."""

    end = math.inf

    def allow_for(self, seconds: float) -> None:
        """Let a whole run come to an end, however busy the machine is."""
        self.end = time.perf_counter() + seconds


_retries = Retries()
allow_retries_for = _retries.allow_for


class QuietWatch:
    """How much of a core everything else on the machine has used since this was made."""

    def __init__(self) -> None:
        self._before_s, self._began = _other_busy_s(), time.perf_counter()

    def other_cores(self) -> float:
        """Cores, as a mean."""
        return _others(_other_busy_s() - self._before_s, time.perf_counter() - self._began)


def _unmeasured(name: str, unit: str, reason: str, other_cores: float) -> Row:
    if (busy := _why_invalid(other_cores)) is not None:
        reason = f"{reason}; {busy}"
    return Row(name, unit, 0, None, None, None, None, None, other_cores, reason)


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def row_of(name: str, unit: str, seen: Observation, other_cores: float) -> Row:
    """The row of one run; its figures are null when the machine was not quiet."""
    n, reason, samples = len(seen.samples), _why_invalid(other_cores), seen.samples
    if reason is not None:
        return Row(name, unit, n, None, None, seen.peer, None, None, other_cores, reason, notes=seen.notes)
    longest = samples.index(max(samples))
    splits = tuple(
        Split(stage, percentile(parts, 0.5), percentile(parts, 0.99), round(parts[longest], 2))
        for stage, parts in seen.stages.items()
    )
    p50 = percentile(samples, 0.5)
    peer_p50 = percentile(seen.peer_samples, 0.5) if seen.peer_samples else None
    return Row(
        name=name,
        unit=unit,
        n=n,
        p50=p50,
        p99=percentile(samples, 0.99),
        peer=seen.peer,
        peer_p50=peer_p50,
        ratio=None if peer_p50 is None else round(peer_p50 / p50, 2),
        other_cores=other_cores,
        reason=None,
        max=round(samples[longest], 2),
        splits=splits,
        notes=seen.notes,
    )


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
        own_us.append(time_us(own))
        peer_us.append(time_us(peer))
    elapsed_s = time.perf_counter() - began
    other_cores = _others(_other_busy_s() - busy_before, elapsed_s)
    if (reason := _why_invalid(other_cores)) is not None:
        return Row(name, "µs", n, None, None, peer.name, None, None, other_cores, reason)
    p50, peer_p50 = percentile(own_us, 0.5), percentile(peer_us, 0.5)
    ratio = round(peer_p50 / p50, 2)
    return Row(name, "µs", n, p50, percentile(own_us, 0.99), peer.name, peer_p50, ratio, other_cores, None)


def time_us(candidate: Candidate) -> float:
    """Do it once; microseconds."""
    call = candidate.call
    candidate.prepare()
    began = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - began) / 1_000


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all stay below."""
    ordered = sorted(values)
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2)


def _other_busy_s() -> float:
    """CPU seconds that anything but this process and its descendants, ended or not, has used since boot."""
    own = os.times()
    ended = own.children_user + own.children_system
    return _busy_s() - (own.user + own.system + ended + _descendants_s())


def _descendants_s() -> float:
    """CPU seconds of all living descendants and of the children that they have reaped."""
    parents, used = dict[int, int](), dict[int, float]()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        pid = int(entry.name)
        parents[pid] = int(fields[1])
        used[pid] = sum(int(field) for field in fields[11:15]) / _TICKS_PER_S

    def is_own(pid: int) -> bool:
        while pid in parents:
            pid = parents[pid]
            if pid == os.getpid():
                return True
        return False

    return sum(seconds for pid, seconds in used.items() if is_own(pid))


def _busy_s() -> float:
    """CPU seconds that everything has used since boot."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq = (int(field) for field in fields[:7])
    return (user + nice + system + irq + softirq) / _TICKS_PER_S
