"""Fixtures of the end-to-end tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.swarm_run import SwarmRun


@pytest.fixture
def start_swarm(tmp_path: Path) -> Iterator[Callable[..., SwarmRun]]:
    """Start swarms that are gone when the test is over."""
    runs: list[SwarmRun] = []

    def start(*arguments: str, **replaced: object) -> SwarmRun:
        runs.append(SwarmRun(tmp_path, *arguments, **replaced))
        return runs[-1]

    yield start
    for run in runs:
        run.close()
